//! Files of observations in text, a line at a time: what they have in common, and which is which.
//!
//! Each format is one file (`iem.rs`, `ghcnh.rs`, `isd_lite.rs`, `table.rs`) with a [`LineReader`]. A reader
//! sees one line after the other and never the file; what it keeps is its header and, where a format
//! needs it, the lines of one hour.

use std::borrow::Cow;
use std::collections::HashSet;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use weather::admission::{Reason, check_value};
use weather::{Observation, Rejection, Station, StationId, Time, Values, Variable};

use crate::{ghcnh, iem, isd_lite, table};

/// What a line yields: observations and refusals.
pub type Items = Vec<Result<Observation, Rejection>>;

/// Seconds in an hour, as a period of precipitation.
pub(crate) const HOUR: f64 = 3600.0;
/// Percent of the sky in an okta.
pub(crate) const OKTA: f64 = 12.5;

/// The most stations of a file that are remembered as described; those beyond are described again.
const MOST_STATIONS: usize = 1_000_000;
/// How much of a stranger's text is repeated to him, in characters.
const SHOWN: usize = 60;

/// A format of files of observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Our own schema, or the shared one, in columns. Not read here: crate `archive`.
    Parquet,
    /// Our own schema, or the shared one, as CSV with a header.
    Csv,
    /// Our own JSON, one object a line.
    Ndjson,
    /// Iowa Environmental Mesonet, ASOS/AWOS/METAR download, CSV.
    Iem,
    /// NOAA's Global Historical Climatology Network hourly, pipe-separated.
    Ghcnh,
    /// NOAA's Integrated Surface Data Lite, columns of integers.
    IsdLite,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] = [Self::Parquet, Self::Csv, Self::Ndjson, Self::Iem, Self::Ghcnh, Self::IsdLite];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Iem => "iem",
            Self::Ghcnh => "ghcnh",
            Self::IsdLite => "isd-lite",
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// What a file does not say of itself.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// The time zone of times that carry none; UTC if not given. Only IEM writes such files.
    pub zone: Option<TimeZone>,
    /// Whose file it is, where its lines don't say: ISD-Lite.
    pub station: Option<StationId>,
}

/// Whether a reader knows its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header<'a> {
    /// It still waits for the line that names them.
    Awaited,
    /// It does, or needs none.
    Known,
    /// The line names too few; nothing of this file can be read.
    Unusable(&'a str),
}

impl<'a> Header<'a> {
    /// Of a reader that knows its columns, or has refused the line that should have named them.
    pub(crate) fn of(known: bool, refused: Option<&'a str>) -> Self {
        match refused {
            _ if known => Self::Known,
            Some(why) => Self::Unusable(why),
            None => Self::Awaited,
        }
    }
}

/// What a reader has read and not handed out yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing.
    Nothing,
    /// Of the last line only.
    LastLine,
    /// Of earlier lines too.
    More,
}

/// Values that were left out because their variable can't have them, by [`Variable`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped(pub [u64; Variable::COUNT]);

impl Dropped {
    /// Puts `number` in, or counts it as dropped when it is impossible.
    pub(crate) fn put(&mut self, values: &mut Values, variable: Variable, number: f64) {
        let value = number as f32;
        match check_value(variable, value) {
            Ok(()) => values.set(variable, value),
            Err(_) => self.0[variable as usize] += 1,
        }
    }
}

/// Reads a file line by line.
pub trait LineReader: Send {
    /// The next line, without its end, which arrives at `now`: what it, or earlier ones, yield.
    fn read(&mut self, line: &str, now: Time) -> Items;

    /// What is left when no line follows. More lines may follow all the same.
    fn finish(&mut self) -> Items {
        Items::new()
    }

    /// What has been read and not handed out.
    fn held(&self) -> Held {
        Held::Nothing
    }

    /// Which lines the items of the last call came from, counted from 1 over all calls of `read`; none when
    /// each came from the line just read.
    fn origins(&self) -> Option<&[u64]> {
        None
    }

    /// Whether its columns are known.
    fn header(&self) -> Header<'_> {
        Header::Known
    }

    /// Stations that the lines since the last call described for the first time.
    fn stations(&mut self) -> Vec<Station> {
        Vec::new()
    }

    /// Values left out so far.
    fn dropped(&self) -> Dropped {
        Dropped::default()
    }
}

/// A reader of a text format; none for Parquet, which has no lines.
#[must_use]
pub fn reader(format: Format, hints: Hints) -> Option<Box<dyn LineReader>> {
    Some(match format {
        Format::Parquet => return None,
        Format::Csv => Box::new(table::Reader::default()),
        Format::Ndjson => Box::new(table::JsonLines),
        Format::Iem => Box::new(iem::Reader::new(hints.zone)),
        Format::Ghcnh => Box::new(ghcnh::Reader::default()),
        Format::IsdLite => Box::new(isd_lite::Reader::new(hints.station)),
    })
}

/// What the beginning of a file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detected {
    /// Its format.
    Known(Format),
    /// Its first line is not complete yet.
    TooEarly,
    /// None that is known: what was seen instead, in words.
    Unknown(String),
}

/// Tells a file's format from its first bytes, of which at least the first line must be there.
#[must_use]
pub fn detect(beginning: &[u8]) -> Detected {
    if beginning.starts_with(b"PAR1") {
        return Detected::Known(Format::Parquet);
    }
    for (magic, what) in [(&b"\x1f\x8b"[..], "gzip"), (b"\x28\xb5\x2f\xfd", "Zstandard"), (b"PK\x03\x04", "zip")] {
        if beginning.starts_with(magic) {
            return Detected::Unknown(format!("{what}, which has to be unpacked first"));
        }
    }
    let lines = beginning.split_inclusive(|b| *b == b'\n');
    let mut complete = lines.filter(|line| line.ends_with(b"\n")).map(<[u8]>::trim_ascii);
    let telling = complete.find(|line| !line.is_empty() && !line.starts_with(b"#"));
    let Some(line) = telling else {
        return if is_text(beginning) { Detected::TooEarly } else { Detected::Unknown(seen(beginning)) };
    };
    match std::str::from_utf8(line).ok().and_then(format_of) {
        Some(format) => Detected::Known(format),
        None => Detected::Unknown(seen(line)),
    }
}

/// Whether bytes could be the beginning of a text, which may end within a character.
fn is_text(bytes: &[u8]) -> bool {
    let utf8 = std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true);
    utf8 && bytes.iter().all(|b| *b >= b' ' || matches!(*b, b'\t' | b'\n' | b'\r'))
}

/// The format whose first line this could be.
fn format_of(line: &str) -> Option<Format> {
    let line = line.trim_start_matches('\u{feff}');
    if line.starts_with('{') {
        return Some(Format::Ndjson);
    }
    let has = |delimiter, wanted: &[&str]| {
        let names = split(line, delimiter);
        wanted.iter().any(|wanted| names.iter().any(|name| name.trim().eq_ignore_ascii_case(wanted)))
    };
    if has(b'|', &["STATION", "Station_ID"]) {
        Some(Format::Ghcnh)
    } else if has(b',', &["station"]) && has(b',', &["valid"]) {
        Some(Format::Iem)
    } else if has(b',', &["station", "id"]) && has(b',', &["time"]) {
        Some(Format::Csv)
    } else if isd_lite::is_line(line) {
        Some(Format::IsdLite)
    } else {
        None
    }
}

/// The beginning of what was found, fit to be printed.
fn seen(line: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(&line[..line.len().min(4 * SHOWN)]).chars().take(SHOWN).collect();
    let array = if text.starts_with('[') { " (a JSON array: NDJSON has one object a line)" } else { "" };
    format!("a file that begins with `{}`{array}", text.escape_debug())
}

/// The cells of a line. A cell in double quotes may contain the delimiter, and a doubled quote means one.
pub(crate) fn split(line: &str, delimiter: u8) -> Vec<Cow<'_, str>> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let (cell, after) = match rest.strip_prefix('"').and_then(|inner| quoted(inner, delimiter)) {
            Some(found) => found,
            None => match rest.bytes().position(|b| b == delimiter) {
                Some(at) => (Cow::Borrowed(&rest[..at]), Some(&rest[at + 1..])),
                None => (Cow::Borrowed(rest), None),
            },
        };
        cells.push(cell);
        match after {
            Some(after) => rest = after,
            None => return cells,
        }
    }
}

/// A quoted cell after its first quote and what follows its delimiter; none if it is not closed.
fn quoted(inner: &str, delimiter: u8) -> Option<(Cow<'_, str>, Option<&str>)> {
    let bytes = inner.as_bytes();
    let mut at = 0;
    loop {
        at += bytes.get(at..)?.iter().position(|b| *b == b'"')?;
        match bytes.get(at + 1) {
            Some(b'"') => at += 2,
            next => {
                let text = &inner[..at];
                let cell =
                    if text.contains('"') { Cow::Owned(text.replace("\"\"", "\"")) } else { Cow::Borrowed(text) };
                return match next {
                    None => Some((cell, None)),
                    Some(b) if *b == delimiter => Some((cell, Some(&inner[at + 2..]))),
                    Some(_) => None,
                };
            }
        }
    }
}

/// The number in a cell, if there is one that is finite.
pub(crate) fn number(cell: &str) -> Option<f64> {
    cell.trim().parse().ok().filter(|n: &f64| n.is_finite())
}

/// `YYYY-MM-DD HH:MM[:SS]`, with a `T` too, in `zone`; or RFC 3339, which says its own.
pub(crate) fn time(text: &str, zone: &TimeZone) -> Result<Time, Rejection> {
    let text = text.trim();
    if let Ok(time) = Time::parse(text) {
        return Ok(time);
    }
    let zoned = text.parse::<DateTime>().ok().and_then(|civil| civil.to_zoned(zone.clone()).ok());
    let found = zoned.ok_or_else(|| {
        let shown: String = text.chars().take(SHOWN).collect();
        Rejection::new("time", Reason::BadTime, format!("`{shown}` is no time such as 2026-11-23 08:00"))
    })?;
    Ok(Time::from_unix(found.timestamp().as_second()))
}

/// Pressure at the station, hPa, from the altimeter setting, hPa, and the elevation, m, in the ICAO
/// standard atmosphere. The Smithsonian tables (1951) have 0.3 hPa more, for a cabin's height.
pub(crate) fn station_pressure(altimeter: f64, elevation: f64) -> f64 {
    const EXPONENT: f64 = 0.190_263;
    const LAPSE: f64 = 8.417_286e-5;
    (altimeter.powf(EXPONENT) - LAPSE * elevation).max(0.0).powf(1.0 / EXPONENT)
}

/// The refusal of a line without a value that could be used.
pub(crate) fn observation(
    station: StationId,
    time: Time,
    values: Values,
    source: &'static str,
) -> Result<Observation, Rejection> {
    if values.iter().all(|(variable, _)| variable == Variable::PrecipitationPeriod) {
        return Err(Rejection::new("temperature", Reason::MissingField, "the line has no value that can be used"));
    }
    Ok(Observation { station, time, values, source: Some(source.to_owned()) })
}

/// Precipitation, mm, over a period, s.
pub(crate) fn put_rain(values: &mut Values, dropped: &mut Dropped, amount: f64, period: f64) {
    dropped.put(values, Variable::Precipitation, amount);
    if values.get(Variable::Precipitation).is_some() {
        dropped.put(values, Variable::PrecipitationPeriod, period);
    }
}

/// A refusal of the header line: what it must name, and what it does.
pub(crate) fn bad_header(wanted: &str, names: &[Cow<'_, str>]) -> Rejection {
    let shown: Vec<&str> = names.iter().take(12).map(AsRef::as_ref).collect();
    let shown: String = shown.join(", ").chars().filter(|c| !c.is_control()).take(200).collect();
    Rejection::new("header", Reason::MissingField, format!("the first line must name {wanted}; it names {shown}"))
}

/// Stations that a file describes, each handed out once.
#[derive(Default)]
pub(crate) struct Described {
    known: HashSet<StationId>,
    fresh: Vec<Station>,
}

impl Described {
    /// Notes a station's position (degrees) and elevation (m), if it is new and they are possible.
    pub(crate) fn note(
        &mut self,
        id: &StationId,
        name: Option<&str>,
        position: Option<(f64, f64)>,
        elevation: Option<f64>,
    ) {
        let Some((latitude, longitude)) = position else { return };
        if self.known.contains(id) {
            return;
        }
        if self.known.len() >= MOST_STATIONS {
            self.known.clear();
        }
        self.known.insert(id.clone());
        let mut station = Station::unregistered(id.clone());
        if let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) {
            station.name = name.chars().filter(|c| !c.is_control()).take(200).collect();
        }
        (station.latitude, station.longitude) = (Some(latitude), Some(longitude));
        // -999 and the like stand for an unknown height, which costs the position nothing.
        station.elevation = elevation.map(|e| e as f32).filter(|e| (-500.0..=9000.0).contains(e));
        if station.check().is_ok() {
            self.fresh.push(station);
        }
    }

    /// What has been noted since the last call.
    pub(crate) fn take(&mut self) -> Vec<Station> {
        std::mem::take(&mut self.fresh)
    }
}

#[cfg(test)]
pub(crate) mod tests;
