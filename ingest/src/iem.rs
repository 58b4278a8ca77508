//! The Iowa Environmental Mesonet's download of airport observations (ASOS, AWOS and METAR), as CSV.
//!
//! Lines that begin with `#` are remarks, then a header, then a report a line: `station,valid[,lon,lat
//! [,elevation]],tmpf,dwpf,relh,drct,sknt,p01i,alti,mslp,vsby,gust,skyc1-4,...,metar`, whichever of
//! them were asked for. `M`, `null` or nothing is a missing value. `T` is a trace of rain, too little to
//! measure: 0.0 mm. `valid` is in UTC unless another zone was asked for.
//!
//! `p01i` counts since the station's last hourly reset, so the counts of reports between two resets
//! overlap: of an hour, the last count before it falls back is kept, as the sum of that hour. The reader
//! therefore holds the reports of one hour back until the next begins.
//!
//! Pressure: `mslp` is that at sea level. From the altimeter setting and the elevation, where the file has
//! one, follows that at the station. Without an elevation the setting stands for the pressure at sea
//! level, for stations that never report it: of one that does, the two differ by some hPa.
//!
//! Not read: weather codes, cloud heights and the METAR itself, which the METAR door decodes.

use std::collections::{HashMap, HashSet};

use jiff::tz::TimeZone;
use weather::time::HOUR as HOUR_SECONDS;
use weather::{Observation, Rejection, Station, StationId, Time, Values, Variable};

use crate::files::{self, Described, Dropped, HOUR, Header, Held, Items, LineReader, OKTA};
use crate::units::factor;

/// What marks every report.
const SOURCE: &str = "iem";
/// Reports held back at once; an hour that has more is handed out in parts.
const MOST_HELD: usize = 20_000;
/// Stations remembered for the level of their pressure.
const MOST_STATIONS: usize = 100_000;

/// What the numbers of a column are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cell {
    Fahrenheit(Variable),
    /// A variable in our unit times a factor.
    Times(Variable, f64),
    Direction,
    Rain(f64),
    Altimeter,
    Sky,
    Latitude,
    Longitude,
    Elevation,
}

impl Cell {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "tmpf" => Self::Fahrenheit(Variable::Temperature),
            "tmpc" => Self::Times(Variable::Temperature, 1.0),
            "dwpf" => Self::Fahrenheit(Variable::DewPoint),
            "dwpc" => Self::Times(Variable::DewPoint, 1.0),
            "relh" => Self::Times(Variable::RelativeHumidity, 1.0),
            "drct" => Self::Direction,
            "sknt" => Self::Times(Variable::WindSpeed, factor::KNOT),
            "gust" => Self::Times(Variable::WindGust, factor::KNOT),
            "p01i" => Self::Rain(factor::INCH),
            "p01m" => Self::Rain(1.0),
            "alti" => Self::Altimeter,
            "mslp" => Self::Times(Variable::PressureMsl, 1.0),
            "vsby" => Self::Times(Variable::Visibility, factor::STATUTE_MILE),
            "skyc1" | "skyc2" | "skyc3" | "skyc4" => Self::Sky,
            "lat" => Self::Latitude,
            "lon" => Self::Longitude,
            "elevation" => Self::Elevation,
            _ => return None,
        })
    }
}

/// Where the columns are.
struct Layout {
    station: usize,
    valid: usize,
    cells: Vec<(usize, Cell)>,
}

/// Reads a download.
pub(crate) struct Reader {
    zone: TimeZone,
    layout: Option<Layout>,
    unusable: Option<String>,
    /// Reports of one hour, in their order.
    held: Vec<Observation>,
    /// The line that each of them came in.
    held_lines: Vec<u64>,
    /// The place of each station's newest one among them.
    newest: HashMap<StationId, usize>,
    /// Lines read so far.
    lines: u64,
    /// The lines of what the last call handed out.
    origins: Vec<u64>,
    reports_sea_level: HashSet<StationId>,
    described: Described,
    dropped: Dropped,
}

impl Reader {
    pub(crate) fn new(zone: Option<TimeZone>) -> Self {
        Self {
            zone: zone.unwrap_or(TimeZone::UTC),
            layout: None,
            unusable: None,
            held: Vec::new(),
            held_lines: Vec::new(),
            newest: HashMap::new(),
            lines: 0,
            origins: Vec::new(),
            reports_sea_level: HashSet::new(),
            described: Described::default(),
            dropped: Dropped::default(),
        }
    }

    fn take_header(&mut self, line: &str) -> Result<(), Rejection> {
        let names = files::split(line.trim_start_matches('\u{feff}'), b',');
        let at = |wanted: &str| names.iter().position(|name| name.trim() == wanted);
        let cells: Vec<(usize, Cell)> =
            names.iter().enumerate().filter_map(|(index, name)| Some((index, Cell::of(name.trim())?))).collect();
        let measured = cells.iter().any(|(_, c)| !matches!(c, Cell::Latitude | Cell::Longitude | Cell::Elevation));
        match (at("station"), at("valid")) {
            (Some(station), Some(valid)) if measured => {
                self.layout = Some(Layout { station, valid, cells });
                Ok(())
            }
            _ => {
                let rejection = files::bad_header("station, valid and what was measured, such as tmpf", &names);
                self.unusable = Some(rejection.detail.clone());
                Err(rejection)
            }
        }
    }

    fn row(&mut self, line: &str) -> Result<Observation, Rejection> {
        let cells = files::split(line, b',');
        let Some(layout) = &self.layout else { return Err(files::bad_header("station and valid", &cells)) };
        let cell = |index: usize| cells.get(index).map_or("", |c| c.trim());
        let station = StationId::new(cell(layout.station))?;
        let time = files::time(cell(layout.valid), &self.zone)?;
        let mut values = Values::default();
        let (mut direction, mut altimeter, mut sky) = (None, None, None);
        let (mut latitude, mut longitude, mut elevation) = (None, None, None);
        for (index, meaning) in &layout.cells {
            let text = cell(*index);
            if *meaning == Cell::Sky {
                sky = sky.max(oktas(text));
                continue;
            }
            let number = match (text, meaning) {
                ("T", Cell::Rain(_)) => Some(0.0),
                _ => files::number(text),
            };
            let Some(number) = number else { continue };
            match meaning {
                Cell::Fahrenheit(variable) => self.dropped.put(&mut values, *variable, (number - 32.0) / 1.8),
                Cell::Times(variable, factor) => self.dropped.put(&mut values, *variable, number * factor),
                Cell::Rain(factor) => files::put_rain(&mut values, &mut self.dropped, number * factor, HOUR),
                Cell::Direction => direction = Some(number),
                Cell::Altimeter => altimeter = Some(number * factor::INCH_OF_MERCURY),
                Cell::Latitude => latitude = Some(number),
                Cell::Longitude => longitude = Some(number),
                Cell::Elevation => elevation = Some(number).filter(|e| (-500.0..=9000.0).contains(e)),
                Cell::Sky => {}
            }
        }
        if let Some(oktas) = sky {
            self.dropped.put(&mut values, Variable::CloudCover, f64::from(oktas) * OKTA);
        }
        // A calm has no direction; it is written as 0.
        if let Some(direction) = direction.filter(|_| values.get(Variable::WindSpeed) != Some(0.0)) {
            self.dropped.put(&mut values, Variable::WindDirection, direction);
        }
        self.put_pressure(&mut values, &station, altimeter, elevation);
        self.described.note(&station, None, latitude.zip(longitude), elevation);
        files::observation(station, time, values, SOURCE)
    }

    fn put_pressure(
        &mut self,
        values: &mut Values,
        station: &StationId,
        altimeter: Option<f64>,
        elevation: Option<f64>,
    ) {
        if values.get(Variable::PressureMsl).is_some() && !self.reports_sea_level.contains(station) {
            if self.reports_sea_level.len() >= MOST_STATIONS {
                self.reports_sea_level.clear();
            }
            self.reports_sea_level.insert(station.clone());
        }
        match (altimeter, elevation) {
            (Some(setting), Some(elevation)) => {
                let pressure = files::station_pressure(setting, elevation);
                self.dropped.put(values, Variable::PressureStation, pressure);
            }
            (Some(setting), None) if !self.reports_sea_level.contains(station) => {
                self.dropped.put(values, Variable::PressureMsl, setting);
            }
            _ => {}
        }
    }

    /// Holds a report, and settles which of its hour and station has the hour's rain.
    fn hold(&mut self, mut observation: Observation) {
        self.held_lines.push(self.lines);
        if let Some(earlier) = self.newest.get(&observation.station).and_then(|at| self.held.get_mut(*at)) {
            let count = |o: &Observation| o.values.get(Variable::Precipitation);
            match (count(earlier), count(&observation)) {
                // It has been reset: what follows belongs to the next hour's last report.
                (Some(before), Some(now)) if now < before => {
                    without_rain(&mut observation);
                    self.held.push(observation);
                    // The earlier one stays the one that later counts are compared with.
                    return;
                }
                (Some(_), Some(_)) => without_rain(earlier),
                _ => {}
            }
        }
        self.newest.insert(observation.station.clone(), self.held.len());
        self.held.push(observation);
    }

    fn release(&mut self) -> Items {
        self.newest.clear();
        self.origins = std::mem::take(&mut self.held_lines);
        // Taking the rain away may have left nothing.
        std::mem::take(&mut self.held)
            .into_iter()
            .map(|o| files::observation(o.station, o.time, o.values, SOURCE))
            .collect()
    }
}

fn without_rain(observation: &mut Observation) {
    observation.values.set(Variable::Precipitation, f32::NAN);
    observation.values.set(Variable::PrecipitationPeriod, f32::NAN);
}

/// The oktas that a sky cover code stands for, as the recordings have it; none where the sky could not be seen.
fn oktas(code: &str) -> Option<u8> {
    match code {
        "CLR" | "SKC" | "NSC" | "NCD" | "CAVOK" => Some(0),
        "FEW" => Some(2),
        "SCT" => Some(4),
        "BKN" => Some(7),
        "OVC" => Some(8),
        _ => None,
    }
}

impl LineReader for Reader {
    fn read(&mut self, line: &str, _now: Time) -> Items {
        let line = line.trim_end_matches(['\r', '\n']);
        self.lines += 1;
        self.origins.clear();
        if line.trim().is_empty() || line.starts_with('#') {
            return Items::new();
        }
        self.origins.push(self.lines);
        if self.layout.is_none() {
            return self.take_header(line).err().map(Err).into_iter().collect();
        }
        match self.row(line) {
            Err(rejection) => vec![Err(rejection)],
            Ok(observation) => {
                let hour = observation.time.unix().div_euclid(HOUR_SECONDS);
                let same = |o: &Observation| o.time.unix().div_euclid(HOUR_SECONDS) == hour;
                let stays = self.held.first().is_some_and(same) && self.held.len() < MOST_HELD;
                let released = if stays { Items::new() } else { self.release() };
                self.hold(observation);
                released
            }
        }
    }

    fn finish(&mut self) -> Items {
        self.release()
    }

    fn held(&self) -> Held {
        match self.held_lines.as_slice() {
            [] => Held::Nothing,
            [line] if *line == self.lines => Held::LastLine,
            _ => Held::More,
        }
    }

    fn origins(&self) -> Option<&[u64]> {
        Some(&self.origins)
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

    const AMES: &str = include_str!("../fixtures/iem/ames.csv");

    fn near(found: Option<f32>, expected: f32) {
        assert!(found.is_some_and(|f| (f - expected).abs() < 0.01), "{found:?} is not {expected}");
    }

    #[test]
    fn a_download_is_read() {
        let mut reader = Reader::new(None);
        let items = read_all(&mut reader, AMES);
        let good: Vec<Observation> = items.iter().flatten().cloned().collect();
        let first = &good[0];
        assert_eq!((first.station.as_str(), first.time.to_string().as_str()), ("AMW", "2022-07-04T11:38:00Z"));
        near(first.values.get(Variable::Temperature), 22.2);
        near(first.values.get(Variable::DewPoint), 21.7);
        near(first.values.get(Variable::RelativeHumidity), 96.53);
        near(first.values.get(Variable::WindSpeed), 5.144);
        near(first.values.get(Variable::WindGust), 9.26);
        assert_eq!(first.values.get(Variable::WindDirection), Some(280.0));
        near(first.values.get(Variable::Visibility), 1609.344);
        assert_eq!(first.values.get(Variable::CloudCover), Some(100.0));
        // The setting of 30.01 inHg at 291 m; no pressure at sea level in this report.
        near(first.values.get(Variable::PressureStation), 981.70);
        assert_eq!(first.values.get(Variable::PressureMsl), None);
        let stations = reader.stations();
        assert_eq!(stations.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["AMW", "DSM"]);
        assert_eq!((stations[0].latitude, stations[0].elevation), (Some(41.9922), Some(291.0)));
        assert_eq!(reader.dropped(), Dropped::default());
    }

    #[test]
    fn of_an_hour_the_last_count_before_the_reset_is_its_rain() {
        let items = read_all(&mut Reader::new(None), AMES);
        let rain: Vec<(String, Option<f32>)> = items
            .iter()
            .flatten()
            .filter(|o| o.station.as_str() == "AMW")
            .map(|o| (o.time.to_string()[11..16].to_owned(), o.values.get(Variable::Precipitation)))
            .collect();
        let found = |at: &str| rain.iter().find(|(time, _)| time == at).unwrap().1;
        assert_eq!(found("11:38"), None);
        near(found("11:53"), 25.4 * 0.71);
        assert_eq!(found("11:58"), None, "after the reset");
        assert_eq!(found("12:10"), None);
        near(found("12:53"), 25.4 * 0.30);
        assert_eq!(found("13:53"), Some(0.0), "a trace is nothing that was measured");
        assert_eq!(found("14:53"), None, "M");
    }

    #[test]
    fn a_calm_has_no_direction_and_m_is_missing() {
        let text = "station,valid,tmpf,drct,sknt,gust,mslp,alti\nA,2024-01-01 00:53,M,0.00,0.00,M,M,30.00\n\
                    A,2024-01-01 01:53,50,0,3,null,1015.2,30.00\nA,2024-01-01 02:53,50,360,3,,M,30.10\n";
        let items: Vec<Observation> = read_all(&mut Reader::new(None), text).into_iter().flatten().collect();
        assert_eq!(items[0].values.get(Variable::WindSpeed), Some(0.0));
        assert_eq!(items[0].values.get(Variable::WindDirection), None);
        near(items[0].values.get(Variable::PressureMsl), 1015.92);
        near(items[1].values.get(Variable::PressureMsl), 1015.2);
        assert_eq!(items[1].values.get(Variable::WindDirection), Some(0.0));
        assert_eq!(items[2].values.get(Variable::PressureMsl), None, "this one reports the pressure at sea level");
    }

    #[test]
    fn local_times_need_their_zone() {
        let text = "station,valid,tmpf\nA,2024-07-01 00:53,50\n";
        let zone = TimeZone::get("America/Chicago").unwrap();
        let items = read_all(&mut Reader::new(Some(zone)), text);
        assert_eq!(items[0].as_ref().unwrap().time.to_string(), "2024-07-01T05:53:00Z");
    }

    #[test]
    fn bad_lines_cost_only_themselves() {
        let text = "station,valid,tmpf,vsby\nA B,2024-01-01 00:53,50,1\nA,yesterday,50,1\nA,2024-01-01 00:53\n\
                    A,2024-01-01 00:55,-9999,1e9\nA,2024-01-01 00:56,50,-9999\n";
        let mut reader = Reader::new(None);
        let items = read_all(&mut reader, text);
        let reasons: Vec<Reason> = items.iter().filter_map(|i| i.as_ref().err()).map(|r| r.reason).collect();
        assert_eq!(reasons, [Reason::BadStation, Reason::BadTime, Reason::MissingField, Reason::MissingField]);
        assert_eq!(items.iter().flatten().count(), 1);
        assert_eq!(reader.dropped().0[Variable::Visibility as usize], 2);
    }

    #[test]
    fn a_header_without_columns_is_said_once_and_for_all() {
        let mut reader = Reader::new(None);
        let items = reader.read("station,valid,lat", Time::from_unix(0));
        assert!(items[0].as_ref().unwrap_err().detail.contains("tmpf"));
        assert!(matches!(reader.header(), Header::Unusable(why) if why.contains("lat")));
    }

    #[test]
    fn what_is_held_is_known() {
        let mut reader = Reader::new(None);
        let mut held = Vec::new();
        for line in ["station,valid,tmpf", "A,2024-01-01 00:10,50", "A,2024-01-01 00:53,50", "A,2024-01-01 01:53,50"] {
            reader.read(line, Time::from_unix(0));
            held.push(reader.held());
        }
        assert_eq!(held, [Held::Nothing, Held::LastLine, Held::More, Held::LastLine]);
        assert_eq!(reader.origins(), Some(&[2, 3][..]));
        assert!(reader.read("A,never,50", Time::from_unix(0))[0].is_err());
        assert_eq!((reader.origins(), reader.held()), (Some(&[5][..]), Held::More));
        assert_eq!((reader.finish().len(), reader.held()), (1, Held::Nothing));
        assert_eq!(reader.origins(), Some(&[4][..]));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_impossible_comes_out(text in hostile(AMES)) {
            assert_possible(&read_all(&mut Reader::new(None), &text));
        }
    }
}
