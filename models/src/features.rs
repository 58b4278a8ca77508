//! A window and a station as the network sees them: two rows of numbers, filled in place.
//!
//! Training, evaluation and serving use this one function, so that they can't differ. Everything
//! that moves with the weather is taken relative to its newest value (the anchor), in units of
//! [`SCALES`]; what is missing is 0 with its mask at 0. The day of year is left out on purpose: in
//! networks with less than two years of data it names the day.

use weather::time::HOUR;
use weather::{LEADS, Sample, Station, Time, Variable, VariableSet, freshness, sun};

use crate::grid::{Channel, Grid, Level};

/// Names the meaning of the numbers below; a weights file made for another one is refused.
pub(crate) const REVISION: &str = "hourly-72/1";

/// Hours of the past that the network sees, the newest included.
pub(crate) const PAST: usize = 72;
/// Quantities that are forecast as a change from their newest value.
pub(crate) const ANCHORED: usize = 5;
/// Days back at the same hour that each lead sees.
pub(crate) const DAYS: usize = 3;

/// One unit of the network's numbers for temperature, dew point, pressure, wind speed and gust, in
/// °C, hPa and m/s: about the standard deviation of a day's change.
pub(crate) const SCALES: [f32; ANCHORED] = [5.0, 5.0, 5.0, 3.0, 4.0];
/// The same for the components of the wind, m/s.
pub(crate) const WIND_SCALE: f32 = 5.0;

const QUANTITIES: [Channel; ANCHORED] =
    [Channel::Temperature, Channel::DewPoint, Channel::Pressure, Channel::WindSpeed, Channel::WindGust];
/// Channels with a mask of their own; the components of the wind share one.
const MASKED: [Channel; 9] = [
    Channel::Temperature,
    Channel::DewPoint,
    Channel::Pressure,
    Channel::WindSpeed,
    Channel::WindGust,
    Channel::WindU,
    Channel::Precipitation,
    Channel::Solar,
    Channel::CloudCover,
];
/// The channels whose absence counts as missing input: those that nearly every station has.
const EXPECTED: [Channel; 4] = [Channel::Temperature, Channel::DewPoint, Channel::Pressure, Channel::WindSpeed];

const STATIC: usize = 34;
/// Length of the row that describes the window and the station.
pub(crate) const ENCODER: usize = PAST * (Channel::COUNT + MASKED.len()) + STATIC;
/// Where the masks of the days back begin in a lead's row; their values stand before them.
const LEAD_MASKS: usize = ANCHORED * DAYS;
/// Length of the row that describes one lead.
pub(crate) const LEAD: usize = 2 * LEAD_MASKS + 10;
/// Length of the rows of all leads.
pub(crate) const ALL_LEADS: usize = LEAD * LEADS;

/// How old the newest value of a quantity may be to anchor its forecast, hours.
const OLDEST_ANCHOR: usize = 24;
/// A gust older than this says less than the mean wind of now, hours.
const OLDEST_GUST: usize = 3;
/// The usual ratio of an hour's highest gust to the mean wind over open land.
const GUST_FACTOR: f32 = 1.5;

/// The values that forecasts are changes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Anchors {
    /// Temperature, dew point, pressure, wind speed, gust, in their units.
    pub(crate) values: [Option<f32>; ANCHORED],
    /// East and north components, m/s.
    pub(crate) wind: Option<(f32, f32)>,
    /// Whether `values` holds sea-level pressure and not the station's.
    pub(crate) sea_level: bool,
    /// Share of the expected values of the window that is missing, 0 to 1.
    pub(crate) missing_share: f32,
}

/// The past of a window on the grid, with its anchors.
pub(crate) struct Past {
    pub(crate) grid: Grid<PAST>,
    pub(crate) level: Level,
    /// How many hours ago each anchor was measured.
    ages: [usize; ANCHORED],
    anchors: Anchors,
    reference: Time,
    cadence: i64,
}

impl Past {
    /// Lays `samples` (oldest first) on the grid that ends at `reference`. Values in `hidden` are
    /// treated as absent; serving hides none.
    pub(crate) fn new(samples: &[Sample], reference: Time, station: &Station, hidden: VariableSet) -> Self {
        // What lies before the grid must not matter: windows keep more than the network sees.
        #[allow(clippy::cast_possible_wrap)] // 72
        let from = samples.partition_point(|s| s.time <= reference - (PAST as i64 + 1) * HOUR);
        let samples = &samples[from..];
        let level = Level::of(samples, station.elevation);
        #[allow(clippy::cast_possible_wrap)] // 72
        let grid = Grid::lay(samples, reference, 1 - PAST as i64, level, hidden);
        let newest = &samples[samples.len().saturating_sub(12)..];
        let mut times = [reference; 12];
        for (time, sample) in times.iter_mut().zip(newest) {
            *time = sample.time;
        }
        Self::of(grid, level, reference, freshness::cadence(&times[..newest.len()]))
    }

    fn of(grid: Grid<PAST>, level: Level, reference: Time, cadence: i64) -> Self {
        let anchors = Anchors { values: [None; ANCHORED], wind: None, sea_level: false, missing_share: 1.0 };
        let mut past = Self { grid, level, ages: [0; ANCHORED], anchors, reference, cadence };
        past.anchor();
        past
    }

    /// Finds the anchors; again after values were hidden.
    pub(crate) fn anchor(&mut self) {
        let newest = |channel, oldest: usize| {
            (0..oldest).find_map(|age| self.grid.get(channel, PAST - 1 - age).map(|value| (value, age)))
        };
        let mut found = QUANTITIES.map(|channel| newest(channel, OLDEST_ANCHOR));
        let [.., speed, gust] = &mut found;
        if gust.is_none_or(|(_, age)| age >= OLDEST_GUST) {
            *gust = speed.map(|(speed, age)| (speed * GUST_FACTOR, age));
        }
        let missing = EXPECTED.iter().flat_map(|c| self.grid.row(*c)).filter(|v| v.is_nan()).count();
        #[allow(clippy::cast_precision_loss)] // hundreds
        let missing_share = missing as f32 / (EXPECTED.len() * PAST) as f32;
        let wind = newest(Channel::WindU, OLDEST_ANCHOR).zip(newest(Channel::WindV, OLDEST_ANCHOR));
        self.anchors = Anchors {
            values: found.map(|f| f.map(|(value, _)| value)),
            wind: wind.map(|((u, _), (v, _))| (u, v)),
            sea_level: matches!(self.level, Level::Sea(_)),
            missing_share,
        };
        self.ages = found.map(|f| f.map_or(OLDEST_ANCHOR, |(_, age)| age));
    }

    /// The newest value of `channel` that is recent enough to anchor on.
    pub(crate) fn newest(&self, channel: Channel) -> Option<f32> {
        (0..OLDEST_ANCHOR).find_map(|age| self.grid.get(channel, PAST - 1 - age))
    }

    pub(crate) fn anchors(&self) -> Anchors {
        self.anchors
    }

    /// The value at the valid time of a lead (1 to 48), whole days earlier: `day` 0 is the newest
    /// day that is past. A neighbouring hour stands in where the hour itself is missing.
    pub(crate) fn same_hour(&self, channel: Channel, lead: usize, day: usize) -> Option<f32> {
        let back = (day + 1) * 24 - ((lead - 1) % 24 + 1);
        let hour = PAST - 1 - back;
        let near = [Some(hour), Some(hour + 1).filter(|h| *h < PAST), hour.checked_sub(1)];
        near.into_iter().flatten().find_map(|h| self.grid.get(channel, h))
    }

    /// Fills the row of the window, [`ENCODER`] long, and those of the leads, [`ALL_LEADS`] long.
    pub(crate) fn fill(&self, station: &Station, encoder: &mut [f32], leads: &mut [f32]) {
        let (values, rest) = encoder.split_at_mut(PAST * Channel::COUNT);
        let (masks, statics) = rest.split_at_mut(PAST * MASKED.len());
        self.fill_values(values);
        for (channel, row) in MASKED.into_iter().zip(masks.chunks_exact_mut(PAST)) {
            for (mask, value) in row.iter_mut().zip(self.grid.row(channel)) {
                *mask = if value.is_nan() { 0.0 } else { 1.0 };
            }
        }
        let sky = Sky::new(station, self.reference);
        self.fill_statics(station, &sky, statics);
        for (index, row) in leads.chunks_exact_mut(LEAD).enumerate() {
            self.fill_lead(index + 1, &sky, row);
        }
    }

    fn fill_values(&self, values: &mut [f32]) {
        let [t, td, p, speed, gust] = self.anchors.values.map(Option::unwrap_or_default);
        let rows: [(Channel, f32, f32); Channel::COUNT] = [
            (Channel::Temperature, t, SCALES[0]),
            (Channel::DewPoint, td, SCALES[1]),
            (Channel::Pressure, p, SCALES[2]),
            (Channel::WindSpeed, speed, SCALES[3]),
            (Channel::WindGust, gust, SCALES[4]),
            (Channel::WindU, 0.0, WIND_SCALE),
            (Channel::WindV, 0.0, WIND_SCALE),
            (Channel::Precipitation, 0.0, 1.0),
            (Channel::Solar, 0.0, 400.0),
            (Channel::CloudCover, 0.0, 100.0),
        ];
        for ((channel, anchor, scale), row) in rows.into_iter().zip(values.chunks_exact_mut(PAST)) {
            for (out, value) in row.iter_mut().zip(self.grid.row(channel)) {
                *out = match *value {
                    v if v.is_nan() => 0.0,
                    v if channel == Channel::Precipitation => v.ln_1p(),
                    v => (v - anchor) / scale,
                };
            }
        }
    }

    /// What does not change with the hour: levels, means, place, sun, what the station measures.
    #[allow(clippy::cast_precision_loss)] // small counts
    fn fill_statics(&self, station: &Station, sky: &Sky, row: &mut [f32]) {
        let [t, td, p, speed, gust] = self.anchors.values;
        let depression = t.zip(td).map_or(0.0, |(t, td)| (t - td) / 10.0);
        let level = if self.anchors.sea_level { p.map_or(0.0, |p| (p - 1013.0) / 15.0) } else { 0.0 };
        let mean = |channel, anchor: Option<f32>, scale, hours| {
            anchor.zip(self.mean(channel, hours)).map_or(0.0, |(anchor, mean)| (mean - anchor) / scale)
        };
        let mask = |present: bool| if present { 1.0 } else { 0.0 };
        let (latitude, elevation) =
            (station.position().map(|(lat, _)| lat.to_radians().sin() as f32), station.elevation);
        let [age_t, _, age_p, age_speed, _] = self.ages.map(|age| age as f32 / OLDEST_ANCHOR as f32);
        let cadence = (self.cadence.clamp(60, 6 * HOUR) as f32 / HOUR as f32).ln();
        let filled: [f32; STATIC] = [
            t.map_or(0.0, |t| (t - 15.0) / 10.0),
            td.map_or(0.0, |td| (td - 8.0) / 10.0),
            depression,
            level,
            speed.map_or(0.0, |s| s / 5.0),
            gust.map_or(0.0, |g| g / 8.0),
            mask(t.is_some()),
            mask(td.is_some()),
            mask(p.is_some()),
            mask(self.anchors.sea_level),
            mask(speed.is_some()),
            mask(self.anchors.wind.is_some()),
            mean(Channel::Temperature, t, SCALES[0], 24),
            mean(Channel::DewPoint, td, SCALES[1], 24),
            mean(Channel::Pressure, p, SCALES[2], 24),
            mean(Channel::WindSpeed, speed, SCALES[3], 24),
            mean(Channel::Temperature, t, SCALES[0], PAST),
            mean(Channel::DewPoint, td, SCALES[1], PAST),
            mean(Channel::Precipitation, Some(0.0), 1.0, 6),
            mean(Channel::Precipitation, Some(0.0), 1.0, PAST),
            self.range(Channel::Temperature) / 10.0,
            age_t,
            age_p,
            age_speed,
            cadence,
            mask(latitude.is_some()),
            latitude.unwrap_or(0.0),
            latitude.map_or(0.0, f32::abs),
            mask(elevation.is_some()),
            elevation.unwrap_or(0.0) / 1000.0,
            sky.now.sine,
            sky.highest,
            sky.now.hour_sine,
            sky.now.hour_cosine,
        ];
        row.copy_from_slice(&filled);
    }

    fn fill_lead(&self, lead: usize, sky: &Sky, row: &mut [f32]) {
        let (values, rest) = row.split_at_mut(LEAD_MASKS);
        let (masks, rest) = rest.split_at_mut(LEAD_MASKS);
        for (q, channel) in QUANTITIES.into_iter().enumerate() {
            for day in 0..DAYS {
                let change = self.anchors.values[q].zip(self.same_hour(channel, lead, day));
                values[q * DAYS + day] = change.map_or(0.0, |(anchor, value)| (value - anchor) / SCALES[q]);
                masks[q * DAYS + day] = if change.is_some() { 1.0 } else { 0.0 };
            }
        }
        let then = sky.at(lead);
        let scaled = |channel| self.same_hour(channel, lead, 0).map_or(0.0, |v| v / WIND_SCALE);
        #[allow(clippy::cast_precision_loss)] // 1 to 48
        rest.copy_from_slice(&[
            scaled(Channel::WindU),
            scaled(Channel::WindV),
            self.same_hour(Channel::Precipitation, lead, 0).map_or(0.0, f32::ln_1p),
            then.sine,
            then.clear_sky,
            sky.place,
            then.hour_sine,
            then.hour_cosine,
            sky.hour,
            lead as f32 / LEADS as f32,
        ]);
    }

    #[allow(clippy::cast_precision_loss)] // at most 72
    fn mean(&self, channel: Channel, hours: usize) -> Option<f32> {
        let known = self.grid.row(channel)[PAST - hours..].iter().filter(|v| !v.is_nan());
        let (sum, count) = known.fold((0.0, 0), |(sum, count), v| (sum + v, count + 1));
        (count > 0).then(|| sum / count as f32)
    }

    fn range(&self, channel: Channel) -> f32 {
        let day = self.grid.row(channel)[PAST - 24..].iter().filter(|v| !v.is_nan());
        let (low, high) = day.fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
        (high - low).max(0.0)
    }
}

/// The sun and the clock at one hour; zeros where the place is unknown.
#[derive(Clone, Copy, Default)]
struct Hour {
    /// Sine of the sun's elevation.
    sine: f32,
    /// Clear-sky radiation, kW/m².
    clear_sky: f32,
    hour_sine: f32,
    hour_cosine: f32,
}

/// What is known beforehand of the reference hour and of the coming two days.
struct Sky {
    now: Hour,
    coming: [Hour; LEADS],
    /// The highest sine of the sun's elevation in the coming day.
    highest: f32,
    /// 1 where the position is known.
    place: f32,
    /// 1 where the local hour is known, from the position or else the time zone.
    hour: f32,
}

impl Sky {
    fn new(station: &Station, reference: Time) -> Self {
        let position = station.position().filter(|(lat, lon)| lat.is_finite() && lon.is_finite());
        // Local solar time runs four minutes ahead per degree east.
        let shift = position.map(|(_, longitude)| (longitude * 240.0) as i64).or_else(|| zone(station, reference));
        let at = |lead: usize| {
            #[allow(clippy::cast_possible_wrap)] // at most 48
            let time = reference + lead as i64 * HOUR;
            let mut hour = Hour::default();
            if let Some((latitude, longitude)) = position {
                let elevation = sun::elevation(time, latitude, longitude);
                hour.sine = elevation.to_radians().sin() as f32;
                hour.clear_sky = (sun::clear_sky(elevation) / 1000.0) as f32;
            }
            if let Some(shift) = shift {
                #[allow(clippy::cast_precision_loss)] // seconds of a day
                let turn = (time + shift).unix().rem_euclid(24 * HOUR) as f32 / (24 * HOUR) as f32;
                (hour.hour_sine, hour.hour_cosine) = (turn * std::f32::consts::TAU).sin_cos();
            }
            hour
        };
        let coming: [Hour; LEADS] = std::array::from_fn(|index| at(index + 1));
        let highest = coming[..24].iter().map(|h| h.sine).fold(f32::MIN, f32::max);
        let known = |present: bool| if present { 1.0 } else { 0.0 };
        Self { now: at(0), coming, highest, place: known(position.is_some()), hour: known(shift.is_some()) }
    }

    fn at(&self, lead: usize) -> Hour {
        self.coming[lead - 1]
    }
}

/// Seconds that the station's time zone is ahead of UTC.
fn zone(station: &Station, time: Time) -> Option<i64> {
    let zone = jiff::tz::TimeZone::get(station.timezone.as_deref()?).ok()?;
    Some(i64::from(zone.to_offset(time.timestamp()).seconds()))
}

/// The variables that training hides together, as if the station had no such sensor.
pub(crate) const SENSORS: [&[Variable]; 8] = [
    &[Variable::Temperature],
    &[Variable::DewPoint, Variable::RelativeHumidity],
    &[Variable::PressureMsl, Variable::PressureStation],
    &[Variable::WindSpeed, Variable::WindGust, Variable::WindDirection],
    &[Variable::WindGust],
    &[Variable::Precipitation],
    &[Variable::SolarRadiation],
    &[Variable::CloudCover],
];

#[cfg(test)]
mod tests {
    use weather::{Flags, Observation, StationId, Window};

    use super::*;

    fn station() -> Station {
        let mut station = Station::unregistered(StationId::new("A").unwrap());
        (station.latitude, station.longitude, station.elevation) = (Some(-15.8), Some(-47.9), Some(1160.0));
        station
    }

    fn window(hours: i64) -> Window {
        let mut window = Window::default();
        for hour in 0..=hours {
            let time = Time::from_unix(1_700_001_000 + hour * HOUR);
            #[allow(clippy::cast_precision_loss)]
            let values = [(Variable::Temperature, hour as f32), (Variable::PressureStation, 890.0)];
            let values = values.into_iter().collect();
            window.apply(&Observation { station: station().id, time, values, source: None }, Flags::default());
        }
        window
    }

    fn past(samples: &[Sample]) -> Past {
        Past::new(samples, samples.last().unwrap().time, &station(), VariableSet::EMPTY)
    }

    fn rows(samples: &[Sample], station: &Station) -> (Vec<f32>, Vec<f32>) {
        let (mut encoder, mut leads) = (vec![9.9; ENCODER], vec![9.9; ALL_LEADS]);
        past(samples).fill(station, &mut encoder, &mut leads);
        (encoder, leads)
    }

    #[test]
    fn what_lies_before_the_grid_does_not_matter() {
        let window = window(95);
        let samples = window.samples();
        assert_eq!(rows(samples, &station()), rows(&samples[samples.len() - 73..], &station()));
    }

    #[test]
    fn the_same_hour_of_the_last_days() {
        let window = window(95);
        let past = past(window.samples());
        // The reference is hour 95: lead 1 is hour 96, a day earlier 72.
        for (lead, day, expected) in
            [(1, 0, 72.0), (24, 0, 95.0), (25, 0, 72.0), (48, 0, 95.0), (1, 2, 24.0), (13, 1, 60.0)]
        {
            assert_eq!(past.same_hour(Channel::Temperature, lead, day), Some(expected), "{lead} {day}");
        }
    }

    #[test]
    fn every_number_is_filled_and_none_is_wild() {
        let window = window(30);
        for place in [station(), Station::unregistered(station().id)] {
            let (encoder, leads) = rows(window.samples(), &place);
            assert!(encoder.iter().chain(&leads).all(|v| v.is_finite() && v.abs() < 9.0));
        }
    }

    #[test]
    fn a_zone_tells_the_hour_where_no_position_does() {
        let mut zoned = Station::unregistered(station().id);
        zoned.timezone = Some("Asia/Tokyo".into());
        let noon = Time::parse("2026-06-01T03:00:00Z").unwrap();
        let sky = Sky::new(&zoned, noon);
        assert_eq!((sky.hour, sky.place), (1.0, 0.0));
        assert!((sky.now.hour_cosine + 1.0).abs() < 1e-5);
    }
}
