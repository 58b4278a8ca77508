//! What we make of a raw message: the very parsers of the doors, one line at a time.
//!
//! A door that reads a dialect has one line in [`DIALECTS`].

use weather::{Observation, Rejection, Time};

use crate::dialect::{self, Encoding, Unreadable};

/// Reads one message of a dialect, as its door would at the given time.
type Read = fn(&str, Time) -> Vec<Result<Observation, Rejection>>;

/// Name -> parser.
const DIALECTS: [(&str, Read); 5] = [
    ("json", |line, _| json(line)),
    ("metar", crate::metar::read),
    ("awc", |line, now| items(crate::aviation_weather::read(line.as_bytes(), now).map(|reading| reading.items))),
    ("nws", |line, _| items(crate::nws::read(line.as_bytes()).map(|reading| reading.items))),
    ("open-meteo", |line, _| items(crate::open_meteo::read(line.as_bytes()))),
];

/// The names of the dialects that can be decoded.
pub fn dialects() -> impl Iterator<Item = &'static str> {
    DIALECTS.iter().map(|(name, _)| *name)
}

/// What the door of that dialect makes of one message that arrives at `now`; none for an unknown dialect.
#[must_use]
pub fn decode(name: &str, message: &str, now: Time) -> Option<Vec<Result<Observation, Rejection>>> {
    let (_, read) = DIALECTS.iter().find(|(known, _)| *known == name)?;
    Some(read(message, now))
}

/// A body that can't be read is one refused item.
fn items(read: Result<Vec<Result<Observation, Rejection>>, String>) -> Vec<Result<Observation, Rejection>> {
    read.unwrap_or_else(|why| vec![Err(Rejection::new("item", weather::admission::Reason::Unparseable, why))])
}

fn json(line: &str) -> Vec<Result<Observation, Rejection>> {
    dialect::read(Encoding::Json, line.as_bytes()).unwrap_or_else(|unreadable| {
        let why = match unreadable {
            Unreadable::Syntax(why) => why,
            Unreadable::TooMany => "too many items".to_owned(),
        };
        vec![Err(Rejection::new("item", weather::admission::Reason::Unparseable, why))]
    })
}
