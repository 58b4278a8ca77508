//! NOAA's Global Historical Climatology Network hourly (GHCNh, documentation v1.1): pipe-separated, some
//! 330 columns known by name, °C, hPa, m/s, mm, km, UTC.
//!
//! Each element `x` has beside it `x_Measurement_Code`, `x_Quality_Code`, `x_Report_Type`, `x_Source_Code`
//! and `x_Source_Station_ID`. Files by year name their columns `STATION|Station_name|DATE|LATITUDE|...`, the
//! older ones of a whole record `Station_ID|Station_name|Year|Month|Day|Hour|Minute|Latitude|...`; both are
//! read.
//!
//! **Quality codes** mean different things by source (table 3 of the documentation). A value is missing when
//! one of its codes says that it failed:
//! - `2`, `3`, `6`, `7` (suspect or erroneous) from whichever source;
//! - `5` (removed) from the sources 220 to 223, 347 and 348; from all others it is a pass;
//! - any lower-case letter: a failed test of GHCNh's own control;
//! - an upper-case letter, except those that ISD's validators left on values that they accepted or mended
//!   (`A C I M P R U`) from the sources of ISD, 313 to 346.
//!
//! No code, or one that is not listed, lets the value pass.
//!
//! Direction 0 and 999 are calm or variable: no direction. -9999 is missing. A trace of rain (measurement
//! code `T`, or beginning with `2`) is 0.0 mm. Where the hour's rain is missing the sum of 3, 6, 12 or 24
//! hours stands with its period. Pressure as in `iem.rs`; sky cover is that of the highest layer that has
//! one; present weather is the manual code (`pres_wx_MW1`, WMO 4677).

use std::borrow::Cow;

use jiff::tz::TimeZone;
use weather::{Observation, Rejection, Station, StationId, Time, Values, Variable};

use crate::files::{self, Described, Dropped, HOUR, Header, Items, LineReader, OKTA};

/// What marks every report.
const SOURCE: &str = "ghcnh";
const MISSING: f64 = -9999.0;
/// The largest direction; 999 is calm or variable.
const NORTH: f64 = 360.0;

/// Elements whose number is a variable in our unit times a factor.
const PLAIN: [(&str, Variable, f64); 8] = [
    ("temperature", Variable::Temperature, 1.0),
    ("dew_point_temperature", Variable::DewPoint, 1.0),
    ("relative_humidity", Variable::RelativeHumidity, 1.0),
    ("sea_level_pressure", Variable::PressureMsl, 1.0),
    ("station_level_pressure", Variable::PressureStation, 1.0),
    ("wind_speed", Variable::WindSpeed, 1.0),
    ("wind_gust", Variable::WindGust, 1.0),
    ("visibility", Variable::Visibility, 1000.0),
];

/// Rain of so many hours, the shortest first.
const RAIN: [(&str, f64); 5] = [
    ("precipitation", 1.0),
    ("precipitation_3_hour", 3.0),
    ("precipitation_6_hour", 6.0),
    ("precipitation_12_hour", 12.0),
    ("precipitation_24_hour", 24.0),
];

/// Sky cover by layer; which of the names a file has depends on its age.
const SKY: [&str; 7] = [
    "sky_cover_summation_1",
    "sky_cover_summation_2",
    "sky_cover_summation_3",
    "sky_cover_summation_4",
    "sky_cover_1",
    "sky_cover_2",
    "sky_cover_3",
];

/// Where an element and what is said of it stand.
#[derive(Clone, Copy, Debug)]
struct Element {
    value: usize,
    measurement: Option<usize>,
    quality: Option<usize>,
    source: Option<usize>,
}

/// Where the time is.
enum When {
    Date(usize),
    Parts([usize; 5]),
}

/// Where the columns are.
struct Layout {
    station: usize,
    name: Option<usize>,
    when: When,
    latitude: Option<usize>,
    longitude: Option<usize>,
    elevation: Option<usize>,
    plain: Vec<(Element, Variable, f64)>,
    rain: Vec<(Element, f64)>,
    sky: Vec<Element>,
    direction: Option<Element>,
    altimeter: Option<Element>,
    weather: Option<Element>,
}

impl Layout {
    fn find(names: &[Cow<'_, str>]) -> Option<Self> {
        let at = |wanted: &str| names.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted));
        let element = |name: &str| {
            let of = |what: &str| at(&format!("{name}_{what}"));
            let (measurement, quality, source) = (of("Measurement_Code"), of("Quality_Code"), of("Source_Code"));
            Some(Element { value: at(name)?, measurement, quality, source })
        };
        let when = match at("DATE") {
            Some(date) => When::Date(date),
            None => When::Parts([at("Year")?, at("Month")?, at("Day")?, at("Hour")?, at("Minute")?]),
        };
        let plain: Vec<(Element, Variable, f64)> =
            PLAIN.iter().filter_map(|(name, variable, factor)| Some((element(name)?, *variable, *factor))).collect();
        if plain.is_empty() {
            return None;
        }
        Some(Self {
            station: at("STATION").or_else(|| at("Station_ID"))?,
            name: at("Station_name"),
            when,
            latitude: at("Latitude"),
            longitude: at("Longitude"),
            elevation: at("Elevation"),
            plain,
            rain: RAIN.iter().filter_map(|(name, hours)| Some((element(name)?, *hours))).collect(),
            sky: SKY.iter().filter_map(|name| element(name)).collect(),
            direction: element("wind_direction"),
            altimeter: element("altimeter"),
            weather: element("pres_wx_MW1"),
        })
    }
}

/// The cells of a line.
struct Row<'a>(Vec<Cow<'a, str>>);

impl Row<'_> {
    fn cell(&self, index: usize) -> &str {
        self.0.get(index).map_or("", |cell| cell.trim())
    }

    fn optional(&self, index: Option<usize>) -> &str {
        index.map_or("", |index| self.cell(index))
    }

    fn number(&self, index: Option<usize>) -> Option<f64> {
        files::number(self.optional(index)).filter(|number| *number != MISSING)
    }

    /// The text of an element that did not fail.
    fn text(&self, element: &Element) -> Option<&str> {
        let text = self.cell(element.value);
        let failed = has_failed(self.optional(element.quality), self.optional(element.source));
        (!text.is_empty() && !failed).then_some(text)
    }

    fn value(&self, element: &Element) -> Option<f64> {
        self.text(element).and_then(files::number).filter(|number| *number != MISSING)
    }

    fn time(&self, when: &When) -> Result<Time, Rejection> {
        match when {
            When::Date(date) => files::time(self.cell(*date), &TimeZone::UTC),
            When::Parts(parts) => {
                let [year, month, day, hour, minute] = parts.map(|part| self.cell(part));
                files::time(&format!("{year:0>4}-{month:0>2}-{day:0>2} {hour:0>2}:{minute:0>2}"), &TimeZone::UTC)
            }
        }
    }
}

/// Whether a quality code says that the value failed.
fn has_failed(codes: &str, source: &str) -> bool {
    // Some exports write the meaning behind the code: `9-Missing`.
    let codes = codes.split('-').next().unwrap_or_default();
    let source: u32 = source.split('-').next().unwrap_or_default().trim().parse().unwrap_or(0);
    codes.chars().any(|code| match code {
        '2' | '3' | '6' | '7' => true,
        '5' => matches!(source, 220..=223 | 347 | 348),
        'A' | 'C' | 'I' | 'M' | 'P' | 'R' | 'U' => !matches!(source, 313..=346),
        letter => letter.is_ascii_alphabetic(),
    })
}

/// Reads a file.
#[derive(Default)]
pub(crate) struct Reader {
    layout: Option<Layout>,
    unusable: Option<String>,
    described: Described,
    dropped: Dropped,
}

impl Reader {
    fn take_header(&mut self, line: &str) -> Result<(), Rejection> {
        let names = files::split(line.trim_start_matches('\u{feff}'), b'|');
        self.layout = Layout::find(&names);
        if self.layout.is_some() {
            return Ok(());
        }
        let wanted = "STATION and DATE (or Station_ID and Year to Minute) and an element such as temperature";
        let rejection = files::bad_header(wanted, &names);
        self.unusable = Some(rejection.detail.clone());
        Err(rejection)
    }

    fn row(&mut self, line: &str) -> Result<Observation, Rejection> {
        let row = Row(files::split(line, b'|'));
        let Some(layout) = &self.layout else { return Err(files::bad_header("STATION and DATE", &row.0)) };
        let station = StationId::new(row.cell(layout.station))?;
        let time = row.time(&layout.when)?;
        let mut values = Values::default();
        for (element, variable, factor) in &layout.plain {
            if let Some(number) = row.value(element) {
                self.dropped.put(&mut values, *variable, number * factor);
            }
        }
        let direction = layout.direction.as_ref().and_then(|element| row.value(element));
        if let Some(direction) = direction.filter(|degrees| (1.0..=NORTH).contains(degrees))
            && values.get(Variable::WindSpeed) != Some(0.0)
        {
            self.dropped.put(&mut values, Variable::WindDirection, direction);
        }
        let rain = layout.rain.iter().find_map(|(element, hours)| Some((rain(&row, element)?, *hours)));
        if let Some((amount, hours)) = rain {
            files::put_rain(&mut values, &mut self.dropped, amount, hours * HOUR);
        }
        if let Some(oktas) = layout.sky.iter().filter_map(|layer| row.text(layer).and_then(oktas)).max() {
            self.dropped.put(&mut values, Variable::CloudCover, f64::from(oktas) * OKTA);
        }
        if let Some(code) = layout.weather.as_ref().and_then(|e| row.text(e)).and_then(code_of) {
            self.dropped.put(&mut values, Variable::PresentWeather, f64::from(code));
        }
        let elevation = row.number(layout.elevation).filter(|metres| (-500.0..=9000.0).contains(metres));
        if let Some(setting) = layout.altimeter.as_ref().and_then(|element| row.value(element))
            && values.get(Variable::PressureStation).is_none()
            && let Some(elevation) = elevation
        {
            self.dropped.put(&mut values, Variable::PressureStation, files::station_pressure(setting, elevation));
        }
        let position = row.number(layout.latitude).zip(row.number(layout.longitude));
        self.described.note(&station, Some(row.optional(layout.name)), position, elevation);
        files::observation(station, time, values, SOURCE)
    }
}

/// Rain in mm; a trace is none that was measured.
fn rain(row: &Row<'_>, element: &Element) -> Option<f64> {
    let measurement = row.optional(element.measurement);
    let trace = measurement.starts_with(['T', '2']);
    match row.value(element) {
        Some(_) | None if trace => Some(0.0),
        found => found,
    }
}

/// The oktas in `SCT:04;`, or of the word alone; none where the sky could not be seen.
fn oktas(text: &str) -> Option<u8> {
    match code_of(text) {
        Some(oktas) => Some(oktas).filter(|oktas| *oktas <= 8),
        None => match text.split([':', ';']).next().unwrap_or_default().trim() {
            "CLR" | "SKC" | "NSC" | "NCD" => Some(0),
            "FEW" => Some(2),
            "SCT" => Some(4),
            "BKN" => Some(7),
            "OVC" => Some(8),
            _ => None,
        },
    }
}

/// The number in `SCT:04;`, `RA:61` or `61`.
fn code_of(text: &str) -> Option<u8> {
    let last = text.trim_end_matches(';').rsplit(':').next().unwrap_or_default();
    last.trim().parse().ok().filter(|code| *code <= 99)
}

impl LineReader for Reader {
    fn read(&mut self, line: &str, _now: Time) -> Items {
        if line.trim().is_empty() {
            return Items::new();
        }
        let line = line.trim_end_matches(['\r', '\n']);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weather::admission::Reason;

    use super::*;
    use crate::files::tests::{assert_possible, hostile, read_all};

    const BY_YEAR: &str = include_str!("../fixtures/ghcnh/by_year.psv");
    const OLDER: &str = include_str!("../fixtures/ghcnh/older.psv");

    #[test]
    fn a_file_by_year_is_read() {
        let mut reader = Reader::default();
        let items = read_all(&mut reader, BY_YEAR);
        let first = items[0].as_ref().unwrap();
        assert_eq!((first.station.as_str(), first.time.to_string().as_str()), ("USW00094789", "2025-01-01T01:51:00Z"));
        let found: Vec<(Variable, f32)> = first.values.iter().collect();
        assert_eq!(
            found,
            [
                (Variable::Temperature, 10.6),
                (Variable::DewPoint, 6.7),
                (Variable::RelativeHumidity, 77.0),
                (Variable::PressureMsl, 1002.4),
                (Variable::PressureStation, 1001.9),
                (Variable::WindSpeed, 8.8),
                (Variable::WindDirection, 90.0),
                (Variable::WindGust, 13.4),
                (Variable::Precipitation, 0.5),
                (Variable::PrecipitationPeriod, 3600.0),
                (Variable::CloudCover, 87.5),
                (Variable::Visibility, 16_093.0),
                (Variable::PresentWeather, 61.0),
            ]
        );
        let station = &reader.stations()[0];
        assert_eq!((station.name.as_str(), station.latitude), ("JFK INTL AP", Some(40.6386)));
        assert_eq!(station.elevation, Some(2.7));
    }

    #[test]
    fn what_failed_and_what_stands_for_nothing_is_missing() {
        let items = read_all(&mut Reader::default(), BY_YEAR);
        let values = |index: usize| items[index].as_ref().unwrap().values;
        // Erroneous temperature; calm, written as 999; a trace; sky obscured.
        assert_eq!(values(1).get(Variable::Temperature), None);
        assert_eq!((values(1).get(Variable::WindSpeed), values(1).get(Variable::WindDirection)), (Some(0.0), None));
        assert_eq!(values(1).get(Variable::Precipitation), Some(0.0));
        assert_eq!(values(1).get(Variable::CloudCover), None);
        // -9999, a failed test of GHCNh's own, six hours' rain, pressure from the altimeter.
        assert_eq!(values(2).get(Variable::Temperature), None);
        assert_eq!(values(2).get(Variable::DewPoint), None);
        assert_eq!(values(2).get(Variable::Precipitation), Some(4.2));
        assert_eq!(values(2).get(Variable::PrecipitationPeriod), Some(21_600.0));
        assert!(values(2).get(Variable::PressureStation).is_some_and(|p| (p - 1012.93).abs() < 0.05));
        assert_eq!(items[3].as_ref().unwrap_err().reason, Reason::MissingField);
        assert_eq!(items[4].as_ref().unwrap_err().reason, Reason::BadTime);
        assert_eq!(items.len(), 5);
    }

    #[test]
    fn codes_by_source() {
        for (code, source, failed) in [
            ("", "", false),
            ("1", "343", false),
            ("5", "343", false),
            ("5", "223", true),
            ("3", "", true),
            ("9-Missing", "343", false),
            ("A", "335", false),
            ("A", "413", true),
            ("l", "343", true),
            ("1d", "343", true),
        ] {
            assert_eq!(has_failed(code, source), failed, "{code} of {source}");
        }
    }

    #[test]
    fn an_older_file_is_read() {
        let mut reader = Reader::default();
        let items = read_all(&mut reader, OLDER);
        let first = items[0].as_ref().unwrap();
        assert_eq!(first.time.to_string(), "1998-03-07T06:30:00Z");
        assert_eq!(first.values.get(Variable::Temperature), Some(-3.4));
        assert_eq!(first.values.get(Variable::CloudCover), Some(100.0));
        let station = &reader.stations()[0];
        assert_eq!((station.id.as_str(), station.elevation), ("HUM00012843", None));
        let none = Reader::default().read("STATION|DATE|LATITUDE", Time::from_unix(0));
        assert!(none[0].as_ref().unwrap_err().detail.contains("temperature"));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_impossible_comes_out(text in hostile(BY_YEAR)) {
            assert_possible(&read_all(&mut Reader::default(), &text));
        }
    }
}
