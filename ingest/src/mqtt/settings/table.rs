//! A TOML table that is read field by field, so that what is wrong with one can be said in one line.

use anyhow::{anyhow, bail};
use toml::Value;

/// A table, where it stands, and which of its fields were asked for.
pub(crate) struct Table {
    place: String,
    fields: toml::Table,
    known: Vec<String>,
}

impl Table {
    pub(crate) const fn new(place: String, fields: toml::Table) -> Self {
        Self { place, fields, known: Vec::new() }
    }

    /// Adds to where it stands, for the messages that follow.
    pub(crate) fn also(&mut self, what: &str) {
        self.place = format!("{} ({what})", self.place);
    }

    fn at(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}: {name}", self.place) }
    }

    /// The error for a field that is `found`.
    pub(crate) fn wrong(&self, name: &str, found: &str, allowed: &str) -> anyhow::Error {
        anyhow!("{}: {found:?} is not allowed: {allowed}", self.at(name))
    }

    pub(crate) fn missing(&self, name: &str, allowed: &str) -> anyhow::Error {
        anyhow!("{} is missing: {allowed}", self.at(name))
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.known.push(name.to_owned());
        self.fields.remove(name)
    }

    fn kind(&self, name: &str, value: &Value, wanted: &str) -> anyhow::Error {
        anyhow!("{}: must be {wanted}, not a {}", self.at(name), value.type_str())
    }

    pub(crate) fn text(&mut self, name: &str) -> anyhow::Result<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.kind(name, &other, "a string")),
        }
    }

    pub(crate) fn required(&mut self, name: &str, allowed: &str) -> anyhow::Result<String> {
        self.text(name)?.ok_or_else(|| self.missing(name, allowed))
    }

    pub(crate) fn integer(&mut self, name: &str, from: i64, to: i64) -> anyhow::Result<Option<i64>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Integer(number)) if (from..=to).contains(&number) => Ok(Some(number)),
            Some(Value::Integer(number)) => Err(self.wrong(name, &number.to_string(), &format!("{from} to {to}"))),
            Some(other) => Err(self.kind(name, &other, "a whole number")),
        }
    }

    pub(crate) fn boolean(&mut self, name: &str) -> anyhow::Result<Option<bool>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Boolean(yes)) => Ok(Some(yes)),
            Some(other) => Err(self.kind(name, &other, "true or false")),
        }
    }

    pub(crate) fn one_of<T: Copy>(&mut self, name: &str, allowed: &[(&str, T)]) -> anyhow::Result<Option<T>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let found = allowed.iter().find(|(known, _)| *known == text).map(|(_, value)| *value);
        let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
        found.map(Some).ok_or_else(|| self.wrong(name, &text, &names.join(", ")))
    }

    /// The tables of an array of tables, each with its number.
    pub(crate) fn tables(&mut self, name: &str) -> anyhow::Result<Vec<Self>> {
        let list = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(self.kind(name, &other, &format!("[[{name}]] tables"))),
        };
        let one = |(at, value): (usize, Value)| match value {
            Value::Table(fields) => Ok(Self::new(format!("{name} {}", at + 1), fields)),
            other => Err(self.kind(name, &other, &format!("[[{name}]] tables"))),
        };
        list.into_iter().enumerate().map(one).collect()
    }

    /// The members of a table, each a table itself; a string stands for a table of one field, `short`.
    pub(crate) fn named(&mut self, name: &str, short: &str) -> anyhow::Result<Vec<(String, Self)>> {
        let members = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Table(members)) => members,
            Some(other) => return Err(self.kind(name, &other, "a table")),
        };
        let one = |(member, value): (String, Value)| {
            let place = format!("{}.{member}", self.at(name));
            match value {
                Value::Table(fields) => Ok((member, Self::new(place, fields))),
                text @ Value::String(_) => {
                    Ok((member, Self::new(place, toml::Table::from_iter([(short.to_owned(), text)]))))
                }
                other => bail!("{place}: must be a string or a table, not a {}", other.type_str()),
            }
        };
        members.into_iter().map(one).collect()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When there is a field that nobody asked for.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(unknown) => {
                bail!("{}: there is no such setting here; there are {}", self.at(unknown), self.known.join(", "))
            }
        }
    }
}
