//! What we make of a raw message: the very parsers of the doors, one line at a time.
//!
//! A door that reads a dialect has one line in [`DIALECTS`].

use weather::{Observation, Rejection, Time};

use crate::dialect::{self, Encoding, Unreadable};
use crate::files::{self, Format, Hints, Items, LineReader};

/// Reads one message of a dialect, as its door would at the given time.
type Read = fn(&str, Time) -> Vec<Result<Observation, Rejection>>;

/// Name -> parser.
const DIALECTS: [(&str, Read); 1] = [("json", |line, _| json(line))];

/// Dialects whose lines are known only by those before them: files, with their header.
const FILES: [Format; 5] = [Format::Csv, Format::Ndjson, Format::Iem, Format::Ghcnh, Format::IsdLite];

/// The names of the dialects that can be decoded.
pub fn dialects() -> impl Iterator<Item = &'static str> {
    DIALECTS.iter().map(|(name, _)| *name).chain(FILES.map(Format::name))
}

/// A reader of messages of that dialect, one after the other; none for an unknown dialect.
#[must_use]
pub fn reader(name: &str, hints: Hints) -> Option<Box<dyn LineReader>> {
    match DIALECTS.iter().find(|(known, _)| *known == name) {
        Some((_, read)) => Some(Box::new(Messages(*read))),
        None => files::reader(Format::from_name(name)?, hints),
    }
}

/// A dialect whose every message stands by itself.
struct Messages(Read);

impl LineReader for Messages {
    fn read(&mut self, line: &str, now: Time) -> Items {
        (self.0)(line, now)
    }
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
