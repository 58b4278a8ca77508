//! What we make of a raw message: the very parsers of the doors, one line at a time.
//!
//! A door that reads a dialect has one line in [`DIALECTS`].

use weather::{Observation, Rejection, Time};

use crate::console::Report;
use crate::dialect::{self, Encoding, Unreadable};
use crate::rain::{Memory, settle};
use crate::{ambient, ecowitt, wunderground};

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

/// Reads one report of a console.
type ReadReport = fn(&str, Time) -> Result<Report, Rejection>;

/// The same of the dialects whose rain is the difference to an earlier message.
const CONSOLES: [(&str, ReadReport); 3] =
    [("wunderground", wunderground::read_line), ("ecowitt", ecowitt::read_line), ("ambient", ambient::read_line)];

/// The names of the dialects that can be decoded.
pub fn dialects() -> impl Iterator<Item = &'static str> {
    DIALECTS.iter().map(|(name, _)| *name).chain(CONSOLES.iter().map(|(name, _)| *name))
}

/// What the door of that dialect makes of one message that arrives at `now`; none for an unknown dialect.
#[must_use]
pub fn decode(name: &str, message: &str, now: Time) -> Option<Vec<Result<Observation, Rejection>>> {
    Decoder::default().decode(name, message, now)
}

/// Decodes message after message and remembers what rain counters showed.
#[derive(Default)]
pub struct Decoder {
    rain: Memory,
}

impl Decoder {
    /// As [`decode`], after the messages before it.
    pub fn decode(&mut self, name: &str, message: &str, now: Time) -> Option<Vec<Result<Observation, Rejection>>> {
        if let Some((_, read)) = CONSOLES.iter().find(|(known, _)| *known == name) {
            return Some(vec![read(message, now).map(|report| self.with_rain(report))]);
        }
        let (_, read) = DIALECTS.iter().find(|(known, _)| *known == name)?;
        Some(read(message, now))
    }

    fn with_rain(&mut self, report: Report) -> Observation {
        let Report { mut observation, counters, .. } = report;
        if !counters.totals.is_empty() {
            let place = self.rain.keep(&observation.station, &counters);
            settle(&mut observation.values, &place, &counters);
        }
        observation
    }
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
