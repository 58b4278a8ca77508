//! NOAA's ISD-Lite: one station and year a file, columns of whole numbers ("Integrated Surface Data -
//! Lite, Format Documentation", NCDC, 20 June 2006).
//!
//! Year, month, day, hour (UTC), temperature, dew point (°C × 10), pressure at sea level (hPa × 10), wind
//! direction (degrees; 0 with a calm), wind speed (m/s × 10), sky cover code, rain of one hour, rain of six
//! hours (mm × 10). -9999 is missing, -1 in a rain column is a trace, read as 0.0 mm. The six hours' rain is
//! used where the hour's is missing. The lines don't say whose they are: the file's name does,
//! `USAF-WBAN-YEAR`.

use weather::admission::Reason;
use weather::{Observation, Rejection, StationId, Time, Values, Variable};

use crate::files::{self, Dropped, HOUR, Items, LineReader, OKTA};

/// What marks every report.
const SOURCE: &str = "isd-lite";
/// How many columns a line has.
const COLUMNS: usize = 12;
const MISSING: i64 = -9999;
const TRACE: i64 = -1;

/// Whether a line could be one of ISD-Lite: twelve whole numbers that begin with a date.
pub(crate) fn is_line(line: &str) -> bool {
    numbers(line).is_some_and(|n| {
        (1700..=2200).contains(&n[0])
            && (1..=12).contains(&n[1])
            && (1..=31).contains(&n[2])
            && (0..=23).contains(&n[3])
    })
}

/// The station that a file of this name is of: `725300-94846-2024` is of `725300-94846`.
#[must_use]
pub fn station_of(name: &str) -> Option<StationId> {
    let stem = name.split('.').next()?;
    let mut parts = stem.split('-');
    let (usaf, wban, year) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    let usaf_is = usaf.len() == 6 && usaf.bytes().all(|b| b.is_ascii_alphanumeric());
    let whole = usaf_is && digits(wban, 5) && digits(year, 4) && parts.next().is_none();
    if whole { StationId::new(&format!("{usaf}-{wban}")).ok() } else { None }
}

fn numbers(line: &str) -> Option<[i64; COLUMNS]> {
    let mut words = line.split_ascii_whitespace();
    let mut found = [0; COLUMNS];
    for slot in &mut found {
        *slot = words.next()?.parse().ok()?;
    }
    words.next().is_none().then_some(found)
}

/// Reads a file.
pub(crate) struct Reader {
    station: Option<StationId>,
    dropped: Dropped,
}

impl Reader {
    pub(crate) fn new(station: Option<StationId>) -> Self {
        Self { station, dropped: Dropped::default() }
    }

    fn row(&mut self, line: &str) -> Result<Observation, Rejection> {
        let Some(n) = numbers(line) else {
            return Err(Rejection::new("item", Reason::Unparseable, "a line of ISD-Lite has twelve whole numbers"));
        };
        let station = self.station.clone().ok_or_else(|| {
            Rejection::new(
                "station",
                Reason::MissingField,
                "a file named USAF-WBAN-YEAR, or --station, says whose it is",
            )
        })?;
        let time =
            files::time(&format!("{:04}-{:02}-{:02} {:02}:00", n[0], n[1], n[2], n[3]), &jiff::tz::TimeZone::UTC)?;
        let mut values = Values::default();
        let known = |number: i64| (number != MISSING).then_some(number as f64);
        for (column, variable, factor) in [
            (4, Variable::Temperature, 0.1),
            (5, Variable::DewPoint, 0.1),
            (6, Variable::PressureMsl, 0.1),
            (8, Variable::WindSpeed, 0.1),
        ] {
            if let Some(number) = known(n[column]) {
                self.dropped.put(&mut values, variable, number * factor);
            }
        }
        let calm = values.get(Variable::WindSpeed) == Some(0.0);
        if let Some(direction) = known(n[7]).filter(|_| !calm) {
            self.dropped.put(&mut values, Variable::WindDirection, direction);
        }
        if let Some(oktas) = oktas(n[9]) {
            self.dropped.put(&mut values, Variable::CloudCover, oktas * OKTA);
        }
        let rain = |number: i64| if number == TRACE { Some(0.0) } else { known(number).map(|tenths| tenths * 0.1) };
        if let Some((amount, period)) = rain(n[10]).map(|mm| (mm, HOUR)).or(rain(n[11]).map(|mm| (mm, 6.0 * HOUR))) {
            files::put_rain(&mut values, &mut self.dropped, amount, period);
        }
        files::observation(station, time, values, SOURCE)
    }
}

/// The oktas of a sky cover code; none where the sky could not be seen, or not in full (9 and 10).
fn oktas(code: i64) -> Option<f64> {
    Some(match code {
        0..=8 => code as f64,
        // Thin, plain and dark scattered, broken and overcast.
        11..=13 => 4.0,
        14..=16 => 7.0,
        17..=19 => 8.0,
        _ => return None,
    })
}

impl LineReader for Reader {
    fn read(&mut self, line: &str, _now: Time) -> Items {
        if line.trim().is_empty() { Items::new() } else { vec![self.row(line)] }
    }

    fn dropped(&self) -> Dropped {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::files::tests::{assert_possible, hostile, read_all};

    const OHARE: &str = include_str!("../fixtures/isd_lite/725300-94846-2024");

    fn reader() -> Reader {
        Reader::new(station_of("725300-94846-2024"))
    }

    #[test]
    fn a_file_is_read() {
        let items = read_all(&mut reader(), OHARE);
        assert_eq!(items.len(), 6);
        let first = items[0].as_ref().unwrap();
        assert_eq!((first.station.as_str(), first.time.to_string().as_str()), ("725300-94846", "2024-01-01T00:00:00Z"));
        let found: Vec<(Variable, f32)> = first.values.iter().collect();
        assert_eq!(
            found,
            [
                (Variable::Temperature, -1.1),
                (Variable::DewPoint, -4.4),
                (Variable::PressureMsl, 1021.3),
                (Variable::WindSpeed, 5.1),
                (Variable::WindDirection, 290.0),
                (Variable::Precipitation, 0.0),
                (Variable::PrecipitationPeriod, 3600.0),
                (Variable::CloudCover, 100.0),
            ]
        );
        let values = |index: usize| items[index].as_ref().unwrap().values;
        assert_eq!((values(1).get(Variable::WindSpeed), values(1).get(Variable::WindDirection)), (Some(0.0), None));
        assert_eq!(values(1).get(Variable::Precipitation), Some(0.0), "a trace");
        assert_eq!(values(2).get(Variable::Precipitation), Some(3.0));
        assert_eq!(values(2).get(Variable::PrecipitationPeriod), Some(21_600.0));
        assert_eq!(values(2).get(Variable::CloudCover), None, "obscured");
        assert_eq!(values(3).get(Variable::CloudCover), Some(87.5));
        assert_eq!(items[4].as_ref().unwrap_err().reason, Reason::MissingField);
        assert_eq!(items[5].as_ref().unwrap_err().reason, Reason::BadTime);
    }

    #[test]
    fn names_of_files_name_stations() {
        assert_eq!(station_of("A00001-03026-2019.txt").unwrap().as_str(), "A00001-03026");
        for bad in ["725300-94846", "725300-94846-24", "readme.txt", "725300-94846-2024-1", "72530-94846-2024"] {
            assert_eq!(station_of(bad), None, "{bad}");
        }
        let items = read_all(&mut Reader::new(None), OHARE);
        assert!(items[0].as_ref().unwrap_err().detail.contains("USAF-WBAN-YEAR"));
    }

    #[test]
    fn impossible_values_are_missing_and_counted() {
        let mut reader = reader();
        let items = read_all(&mut reader, "2024 01 01 00 9999 -44 10213 999 51 8 0 -9999\nx\n");
        let values = items[0].as_ref().unwrap().values;
        assert_eq!((values.get(Variable::Temperature), values.get(Variable::WindDirection)), (None, None));
        assert_eq!(reader.dropped().0.iter().sum::<u64>(), 2);
        assert_eq!(items[1].as_ref().unwrap_err().reason, Reason::Unparseable);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_impossible_comes_out(text in hostile(OHARE)) {
            assert_possible(&read_all(&mut reader(), &text));
        }
    }
}
