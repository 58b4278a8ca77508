//! What we make of a raw message: the very parsers of the doors, one line at a time.
//!
//! A door that reads a dialect has one line in [`DIALECTS`].

use weather::{Observation, Rejection, Time};

use crate::console::Report;
use crate::dialect::{self, Encoding, Unreadable};
use crate::files::{self, Format, Hints, Items, LineReader};
use crate::rain::{Memory, settle};
use crate::{ambient, ecowitt, mqtt, wunderground};

/// Reads one message of a dialect, as its door would at the given time.
type Read = fn(&str, Time) -> Vec<Result<Observation, Rejection>>;

/// Name -> parser.
const DIALECTS: [(&str, Read); 8] = [
    ("json", |line, _| json(line)),
    ("metar", crate::metar::read),
    ("awc", |line, now| items(crate::aviation_weather::read(line.as_bytes(), now).map(|reading| reading.items))),
    ("nws", |line, _| items(crate::nws::read(line.as_bytes()).map(|reading| reading.items))),
    ("open-meteo", |line, _| items(crate::open_meteo::read(line.as_bytes()))),
    ("rtl433", mqtt::decode_rtl433),
    ("weewx", mqtt::decode_weewx),
    ("homeassistant", mqtt::decode_homeassistant),
];

/// Reads one report of a console.
type ReadReport = fn(&str, Time) -> Result<Report, Rejection>;

/// The same of the dialects whose rain is the difference to an earlier message.
const CONSOLES: [(&str, ReadReport); 3] =
    [("wunderground", wunderground::read_line), ("ecowitt", ecowitt::read_line), ("ambient", ambient::read_line)];

/// Dialects whose lines are known only by those before them: files, with their header.
const FILES: [Format; 5] = [Format::Csv, Format::Ndjson, Format::Iem, Format::Ghcnh, Format::IsdLite];

/// The names of the dialects that can be decoded.
pub fn dialects() -> impl Iterator<Item = &'static str> {
    let messages = DIALECTS.iter().map(|(name, _)| *name);
    messages.chain(CONSOLES.iter().map(|(name, _)| *name)).chain(FILES.map(Format::name))
}

/// A reader of messages of that dialect, one after the other; none for an unknown dialect.
#[must_use]
pub fn reader(name: &str, hints: Hints) -> Option<Box<dyn LineReader>> {
    if let Some((_, read)) = DIALECTS.iter().find(|(known, _)| *known == name) {
        return Some(Box::new(Messages(*read)));
    }
    if let Some((_, read)) = CONSOLES.iter().find(|(known, _)| *known == name) {
        return Some(Box::new(Reports { read: *read, rain: Memory::default() }));
    }
    files::reader(Format::from_name(name)?, hints)
}

/// A dialect whose every message stands by itself.
struct Messages(Read);

impl LineReader for Messages {
    fn read(&mut self, line: &str, now: Time) -> Items {
        (self.0)(line, now)
    }
}

/// A dialect of consoles: what rain counters showed is remembered.
struct Reports {
    read: ReadReport,
    rain: Memory,
}

impl LineReader for Reports {
    fn read(&mut self, line: &str, now: Time) -> Items {
        vec![(self.read)(line, now).map(|report| self.with_rain(report))]
    }
}

impl Reports {
    fn with_rain(&mut self, report: Report) -> Observation {
        let Report { mut observation, counters, .. } = report;
        if !counters.totals.is_empty() {
            let place = self.rain.keep(&observation.station, &counters);
            settle(&mut observation.values, &place, &counters);
        }
        observation
    }
}

/// What the door of that dialect makes of one message that arrives at `now`; none for an unknown dialect.
#[must_use]
pub fn decode(name: &str, message: &str, now: Time) -> Option<Vec<Result<Observation, Rejection>>> {
    let mut reader = reader(name, Hints::default())?;
    let mut items = reader.read(message, now);
    items.extend(reader.finish());
    Some(items)
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
