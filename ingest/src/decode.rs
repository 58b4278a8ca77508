//! What we make of a raw message: the very parsers of the doors, one line at a time.
//!
//! A door that reads a dialect has one line in [`DIALECTS`].

use weather::{Observation, Rejection, Time};

use crate::dialect::{self, Encoding, Unreadable};
use crate::mqtt;

/// Reads one message of a dialect, as its door would at the given time.
type Read = fn(&str, Time) -> Vec<Result<Observation, Rejection>>;

/// Name -> parser.
const DIALECTS: [(&str, Read); 4] = [
    ("json", |line, _| json(line)),
    ("rtl433", mqtt::decode_rtl433),
    ("weewx", mqtt::decode_weewx),
    ("homeassistant", mqtt::decode_homeassistant),
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

fn json(line: &str) -> Vec<Result<Observation, Rejection>> {
    dialect::read(Encoding::Json, line.as_bytes()).unwrap_or_else(|unreadable| {
        let why = match unreadable {
            Unreadable::Syntax(why) => why,
            Unreadable::TooMany => "too many items".to_owned(),
        };
        vec![Err(Rejection::new("item", weather::admission::Reason::Unparseable, why))]
    })
}
