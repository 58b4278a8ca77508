//! What a spool's file holds when it is opened.

use redb::{Database, ReadableTable, TableDefinition};

use super::record::claimed;
use super::{DAMAGED, Held, OVERHEAD, WAITING, begin};

/// [`NEXT`], and what tells this spool from every other.
pub(super) const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");
/// No record that is still to come has a lower number, though the table of those that wait be empty.
pub(super) const NEXT: &str = "next";
const NAME: &str = "name";

/// What a file holds, the next record's number, and the spool's name.
pub(super) struct Survey {
    pub(super) held: Held,
    pub(super) next: u64,
    pub(super) name: String,
}

pub(super) fn survey(file: &Database) -> Result<Survey, redb::Error> {
    let transaction = begin(file)?;
    let (mut held, mut next) = (Held::default(), 0);
    let name: u64;
    {
        let waiting = transaction.open_table(WAITING)?;
        for record in waiting.range::<u64>(..)? {
            let (number, value) = record?;
            held.observations += claimed(value.value());
            held.bytes += value.value().len() as u64 + OVERHEAD;
            next = number.value() + 1;
        }
        let aside = transaction.open_table(DAMAGED)?;
        next = next.max(aside.last()?.map_or(0, |(number, _)| number.value() + 1));
        let mut facts = transaction.open_table(FACTS)?;
        next = next.max(facts.get(NEXT)?.map_or(0, |next| next.value()));
        let known = facts.get(NAME)?.map(|name| name.value());
        name = known.unwrap_or_else(rand::random);
        facts.insert(NAME, name)?;
    }
    transaction.commit()?;
    Ok(Survey { held, next, name: format!("{name:016x}") })
}
