//! Our own schema and the shared one as CSV, and our own JSON, one object a line.
//!
//! CSV: columns are known by name, in any order; others are ignored. `station` (or `id`), `time` (RFC 3339,
//! or `YYYY-MM-DD HH:MM[:SS]` in UTC) and at least one measured column. The names are those of our JSON; where
//! there is a column `pressure_kind` the file is of the shared schema: `pressure` belongs to station level
//! (`station`) or sea level (`msl`, `qnh`), `cloud_cover` is in oktas (9 = obscured = missing),
//! `present_weather` is not a number; extras `precipitation_1h`, `cloud_cover_percent`,
//! `solar_radiation_wm2`. The same vocabularies as of the crate `archive`, which reads them from Parquet and
//! for training. `latitude`, `longitude`, `elevation` and `name`, where a file has them, describe the station.
//!
//! An impossible value is left out and counted: tables of many sources carry error codes. JSON is stricter,
//! line for line what `POST /v1/observations` would say of it.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use weather::admission::Reason;
use weather::{Observation, Rejection, Station, StationId, Time, Values, Variable};

use crate::dialect::{self, Encoding, Unreadable};
use crate::files::{self, Described, Dropped, HOUR, Header, Items, LineReader, OKTA};

/// The most oktas that are a share of the sky.
const OKTAS: f64 = 8.0;

/// What the numbers of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Value(Variable),
    Pressure,
    Oktas,
    HourlyRain,
}

impl Cell {
    fn of(name: &str, shared: bool) -> Option<Self> {
        match name {
            "pressure" if shared => Some(Self::Pressure),
            "cloud_cover" if shared => Some(Self::Oktas),
            "present_weather" if shared => None,
            "cloud_cover_percent" => Some(Self::Value(Variable::CloudCover)),
            "solar_radiation_wm2" => Some(Self::Value(Variable::SolarRadiation)),
            "precipitation_1h" => Some(Self::HourlyRain),
            other => Variable::from_name(other).map(Self::Value),
        }
    }
}

/// Where the columns are.
struct Layout {
    station: usize,
    time: usize,
    kind: Option<usize>,
    source: Option<usize>,
    cells: Vec<(usize, Cell)>,
    /// Name, latitude, longitude, elevation.
    about: [Option<usize>; 4],
}

impl Layout {
    fn find(names: &[Cow<'_, str>]) -> Option<Self> {
        let at = |wanted: &str| names.iter().position(|name| name.trim() == wanted);
        let kind = at("pressure_kind");
        let cells: Vec<(usize, Cell)> = names
            .iter()
            .enumerate()
            .filter_map(|(index, name)| Some((index, Cell::of(name.trim(), kind.is_some())?)))
            .collect();
        let about = ["name", "latitude", "longitude", "elevation"].map(at);
        let station = at("station").or_else(|| at("id"))?;
        (!cells.is_empty()).then_some(Self { station, time: at("time")?, kind, source: at("source"), cells, about })
    }
}

/// Reads a CSV file.
#[derive(Default)]
pub(crate) struct Reader {
    layout: Option<Layout>,
    unusable: Option<String>,
    described: Described,
    dropped: Dropped,
}

impl Reader {
    fn take_header(&mut self, line: &str) -> Result<(), Rejection> {
        let names = files::split(line.trim_start_matches('\u{feff}'), b',');
        self.layout = Layout::find(&names);
        if self.layout.is_some() {
            return Ok(());
        }
        let rejection = files::bad_header("station, time and what was measured, such as temperature", &names);
        self.unusable = Some(rejection.detail.clone());
        Err(rejection)
    }

    fn row(&mut self, line: &str) -> Result<Observation, Rejection> {
        let cells = files::split(line, b',');
        let Some(layout) = &self.layout else { return Err(files::bad_header("station and time", &cells)) };
        let cell = |index: usize| cells.get(index).map_or("", |c| c.trim());
        let station = StationId::new(cell(layout.station))?;
        let time = files::time(cell(layout.time), &TimeZone::UTC)?;
        let mut values = Values::default();
        let mut hourly = None;
        for (index, meaning) in &layout.cells {
            let text = cell(*index);
            if is_absent(text) {
                continue;
            }
            let Some(number) = files::number(text) else {
                let variable = match meaning {
                    Cell::Value(variable) => variable.name(),
                    Cell::Pressure => "pressure",
                    Cell::Oktas => "cloud_cover",
                    Cell::HourlyRain => "precipitation_1h",
                };
                return Err(Rejection::new(variable, Reason::WrongType, "must be a number, or empty if it is missing"));
            };
            match meaning {
                Cell::Value(variable) => self.dropped.put(&mut values, *variable, number),
                Cell::Pressure => match layout.kind.map(cell) {
                    Some("station") => self.dropped.put(&mut values, Variable::PressureStation, number),
                    Some("msl" | "qnh") => self.dropped.put(&mut values, Variable::PressureMsl, number),
                    _ => self.dropped.0[Variable::PressureStation as usize] += 1,
                },
                // 9: the sky could not be seen.
                Cell::Oktas if number > OKTAS => {}
                Cell::Oktas => self.dropped.put(&mut values, Variable::CloudCover, number * OKTA),
                Cell::HourlyRain => hourly = Some(number),
            }
        }
        if let Some(amount) = hourly {
            files::put_rain(&mut values, &mut self.dropped, amount, HOUR);
        }
        if values.get(Variable::Precipitation).is_none() {
            values.set(Variable::PrecipitationPeriod, f32::NAN);
        }
        let [name, latitude, longitude, elevation] = layout.about.map(|column| column.map(cell));
        let position = latitude.and_then(files::number).zip(longitude.and_then(files::number));
        self.described.note(&station, name, position, elevation.and_then(files::number));
        let source: Option<String> = layout.source.map(cell).filter(|text| !text.is_empty()).map(str::to_owned);
        let mut observation = files::observation(station, time, values, "")?;
        observation.source = source.map(|text| text.chars().filter(|c| !c.is_control()).take(100).collect());
        Ok(observation)
    }
}

/// The usual ways of writing that there is no value.
fn is_absent(text: &str) -> bool {
    matches!(text, "" | "NA" | "N/A" | "NaN" | "nan" | "null" | "None" | "M" | "-")
}

impl LineReader for Reader {
    fn read(&mut self, line: &str, _now: Time) -> Items {
        let line = line.trim_end_matches(['\r', '\n']);
        if line.trim().is_empty() || line.starts_with('#') {
            return Items::new();
        }
        if self.layout.is_none() {
            return self.take_header(line).err().map(Err).into_iter().collect();
        }
        vec![self.row(line)]
    }

    fn header(&self) -> Header<'_> {
        Header::of(self.layout.is_some(), self.unusable.as_deref())
    }

    fn stations(&mut self) -> Vec<Station> {
        self.described.take()
    }

    fn dropped(&self) -> Dropped {
        self.dropped
    }
}

/// Reads our own JSON, an object a line.
pub(crate) struct JsonLines;

impl LineReader for JsonLines {
    fn read(&mut self, line: &str, _now: Time) -> Items {
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() {
            return Items::new();
        }
        dialect::read(Encoding::Ndjson, line.as_bytes()).unwrap_or_else(|unreadable| {
            let why = match unreadable {
                Unreadable::Syntax(why) => why,
                Unreadable::TooMany => "too many items".to_owned(),
            };
            vec![Err(Rejection::new("item", Reason::Unparseable, why))]
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::files::tests::{assert_possible, hostile, read_all};

    const OURS: &str = include_str!("../fixtures/table/ours.csv");
    const SHARED: &str = include_str!("../fixtures/table/shared_schema.csv");
    const LINES: &str = include_str!("../fixtures/table/ours.ndjson");

    #[test]
    fn our_own_columns() {
        let mut reader = Reader::default();
        let items = read_all(&mut reader, OURS);
        let first = items[0].as_ref().unwrap();
        assert_eq!(first.source.as_deref(), Some("a \"quoted\" source, with a comma"));
        let found: Vec<(Variable, f32)> = first.values.iter().collect();
        assert_eq!(
            found,
            [
                (Variable::Temperature, 12.5),
                (Variable::PressureMsl, 1013.2),
                (Variable::WindSpeed, 3.4),
                (Variable::Precipitation, 0.2),
                (Variable::PrecipitationPeriod, 600.0),
            ]
        );
        assert_eq!(items[1].as_ref().unwrap().time.to_string(), "2026-11-23T08:10:00Z");
        assert_eq!(items[1].as_ref().unwrap().values.len(), 1, "a period without rain means nothing");
        assert_eq!(reader.dropped().0[Variable::PressureMsl as usize], 1);
        let reasons: Vec<Reason> = items.iter().filter_map(|i| i.as_ref().err()).map(|r| r.reason).collect();
        assert_eq!(reasons, [Reason::WrongType, Reason::BadStation, Reason::MissingField]);
        assert_eq!(reader.stations()[0].position(), Some((47.5, 19.0)));
    }

    #[test]
    fn the_shared_schema() {
        let items = read_all(&mut Reader::default(), SHARED);
        let values = |index: usize| items[index].as_ref().unwrap().values;
        assert_eq!(values(0).get(Variable::PressureMsl), Some(1012.0));
        assert_eq!(values(0).get(Variable::CloudCover), Some(87.5));
        assert_eq!(values(0).get(Variable::PresentWeather), None);
        assert_eq!(values(1).get(Variable::PressureStation), Some(998.4));
        assert_eq!(values(1).get(Variable::CloudCover), None, "obscured");
        assert_eq!(values(1).get(Variable::Precipitation), Some(1.4));
        assert_eq!(values(1).get(Variable::PrecipitationPeriod), Some(3600.0));
    }

    #[test]
    fn a_header_must_name_what_is_needed() {
        for (header, missing) in
            [("station,temperature", "time"), ("time,temperature", "station"), ("station,time", "")]
        {
            let mut reader = Reader::default();
            let items = reader.read(header, Time::from_unix(0));
            let rejection = items[0].as_ref().unwrap_err();
            assert!(rejection.detail.contains(missing) && rejection.detail.contains(&header.replace(',', ", ")));
            assert!(matches!(reader.header(), Header::Unusable(_)));
        }
    }

    #[test]
    fn lines_of_json_are_judged_one_by_one() {
        let items = read_all(&mut JsonLines, LINES);
        assert_eq!(items.iter().flatten().count(), 2);
        let reasons: Vec<Reason> = items.iter().filter_map(|i| i.as_ref().err()).map(|r| r.reason).collect();
        assert_eq!(reasons, [Reason::Unparseable, Reason::UnknownField]);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_impossible_comes_out(ours in hostile(OURS), shared in hostile(SHARED)) {
            assert_possible(&read_all(&mut Reader::default(), &ours));
            assert_possible(&read_all(&mut Reader::default(), &shared));
        }

        #[test]
        fn json_never_panics(text in hostile(LINES)) {
            let _ = read_all(&mut JsonLines, &text);
        }
    }
}
