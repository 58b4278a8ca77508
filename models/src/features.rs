//! A window and a station as the network sees them: two rows of numbers, filled in place.
//!
//! Training, evaluation and serving use this one function, so that they can't differ. Everything
//! that moves with the weather is taken relative to its newest value (the anchor), in units of
//! [`SCALES`]; what is missing is 0 with its mask at 0. The day of year is left out on purpose: in
//! networks with less than two years of data it names the day.

use weather::time::HOUR;
use weather::{LEADS, Sample, Station, Time, Variable, VariableSet, WINDOW_HOURS, freshness};

use crate::grid::{Channel, Grid, Level};
use crate::resolution;
use crate::sky::Sky;

/// Names the meaning of the numbers below; a weights file made for another one is refused.
pub(crate) const REVISION: &str = "hourly-96/2";

/// Hours of the past that the network sees, the newest included: all that a window holds.
pub(crate) const PAST: usize = WINDOW_HOURS as usize;
/// Quantities that are forecast as a change from their newest value.
pub(crate) const ANCHORED: usize = 5;
/// Days back at the same hour that each lead sees.
pub(crate) const DAYS: usize = PAST / 24;
/// The newest hours are seen one by one, what was before in means of three: the weather of the day
/// before yesterday matters by its course, not by its minutes, and gaps close.
const FINE: usize = 24;
const COARSE: usize = 3;
/// Points of the past per channel, the coarse ones first. A window's row begins with
/// [`Channel::COUNT`] times as many values.
pub(crate) const SLOTS: usize = FINE + (PAST - FINE) / COARSE;

/// One unit of the network's numbers for temperature, dew point, pressure, wind speed and gust, in
/// °C, hPa and m/s: about the standard deviation of a day's change.
pub(crate) const SCALES: [f32; ANCHORED] = [5.0, 5.0, 5.0, 3.0, 4.0];
/// The same for the components of the wind, m/s.
pub(crate) const WIND_SCALE: f32 = 5.0;

/// The newest hours whose changes from the hour before are seen by themselves, large: nearly all that is
/// known of the next hours is in them, and is lost among changes of days.
const FRESH: usize = 6;
/// One unit of them: about an ordinary hour's change, °C, hPa and m/s.
const FRESH_SCALES: [f32; ANCHORED] = [0.7, 0.7, 0.5, 1.0, 1.5];

/// Those quantities' channels.
pub(crate) const QUANTITIES: [Channel; ANCHORED] =
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

const STATIC: usize = 38;
/// Length of the row that describes the window and the station.
pub(crate) const ENCODER: usize = STATICS + STATIC + FRESH * ANCHORED;
/// Where what does not change with the hour begins: temperature, dew point, depression and pressure
/// come first, as levels.
pub(crate) const STATICS: usize = SLOTS * (Channel::COUNT + MASKED.len());
/// Where the window's row says the latitude: its mask, itself, and its distance from the equator.
pub(crate) const PLACE: std::ops::Range<usize> = STATICS + 25..STATICS + 28;
/// Values of the days back at a lead's hour, in front of its row: of each anchored quantity, then of
/// precipitation.
pub(crate) const RECALLED: usize = (ANCHORED + 1) * DAYS;
/// Length of the row that describes one lead: then come their masks, and the rest.
pub(crate) const LEAD: usize = 2 * RECALLED + 9;
/// Length of the rows of all leads.
pub(crate) const ALL_LEADS: usize = LEAD * LEADS;

/// How old the newest value of a quantity may be to anchor its forecast, hours.
const OLDEST_ANCHOR: usize = 24;
/// A gust older than this says less than the mean wind of now, hours.
const OLDEST_GUST: usize = 3;
/// The cadences that networks to learn from have, s: what is quicker or slower is taken for these.
const CADENCES: (i64, i64) = (600, 2 * HOUR);
/// The usual ratio of an hour's highest gust to the mean wind over open land.
const GUST_FACTOR: f32 = 1.5;

/// The values that forecasts are changes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Anchors {
    /// Temperature, dew point, pressure, wind speed, gust, in their units.
    pub(crate) values: [Option<f32>; ANCHORED],
    /// The steps that each of them is reported in, in its unit, where they are coarse.
    pub(crate) steps: [Option<f32>; ANCHORED],
    /// East and north components, m/s.
    pub(crate) wind: Option<(f32, f32)>,
    /// Whether `values` holds sea-level pressure and not the station's.
    pub(crate) sea_level: bool,
    /// Share of the expected values of the window that is missing, 0 to 1.
    pub(crate) missing_share: f32,
}

impl Anchors {
    /// Of an empty window.
    pub(crate) const NONE: Self =
        Self { values: [None; ANCHORED], steps: [None; ANCHORED], wind: None, sea_level: false, missing_share: 1.0 };
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
        // What a window would have dropped must not matter: training draws from longer series.
        let from = samples.partition_point(|s| s.time.hour() <= reference.hour() - WINDOW_HOURS);
        let samples = &samples[from..];
        let level = Level::of(samples, station.elevation);
        let grid = Grid::lay(samples, reference, 1 - WINDOW_HOURS, level, hidden);
        let newest = &samples[samples.len().saturating_sub(12)..];
        let mut times = [reference; 12];
        for (time, sample) in times.iter_mut().zip(newest) {
            *time = sample.time;
        }
        Self::of(grid, level, reference, freshness::cadence(&times[..newest.len()]))
    }

    fn of(grid: Grid<PAST>, level: Level, reference: Time, cadence: i64) -> Self {
        let anchors = Anchors::NONE;
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
            steps: QUANTITIES.map(|channel| resolution::of(channel, self.grid.row(channel))),
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

    /// Says how far apart the reports are, where hours have been hidden, s.
    pub(crate) fn set_cadence(&mut self, seconds: i64) {
        self.cadence = seconds;
    }

    /// Fills the row of the window, [`ENCODER`] long, and those of the leads, [`ALL_LEADS`] long.
    pub(crate) fn fill(&self, station: &Station, encoder: &mut [f32], leads: &mut [f32]) {
        let (values, rest) = encoder.split_at_mut(SLOTS * Channel::COUNT);
        let (masks, rest) = rest.split_at_mut(SLOTS * MASKED.len());
        let (statics, fresh) = rest.split_at_mut(STATIC);
        self.fill_values(values);
        self.fill_fresh(fresh);
        for (channel, row) in MASKED.into_iter().zip(masks.chunks_exact_mut(SLOTS)) {
            let known = self.is_anchored(channel);
            for (mask, hours) in row.iter_mut().zip(slots(self.grid.row(channel))) {
                *mask = if known { known_share(hours) } else { 0.0 };
            }
        }
        let sky = Sky::new(station, self.reference);
        self.fill_statics(station, &sky, statics);
        for (index, row) in leads.chunks_exact_mut(LEAD).enumerate() {
            self.fill_lead(index + 1, &sky, row);
        }
    }

    /// Whether a channel's values have something to be relative to. A sensor that fell silent a day ago
    /// has not: as it stands, its pressure would be two hundred units high.
    fn is_anchored(&self, channel: Channel) -> bool {
        QUANTITIES.iter().position(|q| *q == channel).is_none_or(|at| self.anchors.values[at].is_some())
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
        for ((channel, anchor, scale), row) in rows.into_iter().zip(values.chunks_exact_mut(SLOTS)) {
            let known = self.is_anchored(channel);
            for (out, hours) in row.iter_mut().zip(slots(self.grid.row(channel))) {
                *out = match mean(hours).filter(|_| known) {
                    None => 0.0,
                    Some(v) if channel == Channel::Precipitation => v.ln_1p(),
                    Some(v) => (v - anchor) / scale,
                };
            }
        }
    }

    fn fill_fresh(&self, row: &mut [f32]) {
        let quantities = QUANTITIES.into_iter().zip(FRESH_SCALES);
        for ((channel, scale), changes) in quantities.zip(row.chunks_exact_mut(FRESH)) {
            for (age, out) in changes.iter_mut().enumerate() {
                let hour = PAST - 1 - age;
                let change = self.grid.get(channel, hour).zip(self.grid.get(channel, hour - 1));
                *out = change.map_or(0.0, |(now, before)| (now - before) / scale);
            }
        }
    }

    /// What does not change with the hour: levels, means, place, sun, what the station measures.
    #[allow(clippy::cast_precision_loss)] // small counts
    fn fill_statics(&self, station: &Station, sky: &Sky, row: &mut [f32]) {
        let [t, td, p, speed, gust] = self.anchors.values;
        let depression = t.zip(td).map_or(0.0, |(t, td)| (t - td) / 10.0);
        let level = if self.anchors.sea_level { p.map_or(0.0, |p| (p - 1013.0) / 15.0) } else { 0.0 };
        let mean = |channel, anchor: Option<f32>, scale, hours: usize| {
            let mean = mean(&self.grid.row(channel)[PAST - hours..]);
            anchor.zip(mean).map_or(0.0, |(anchor, mean)| (mean - anchor) / scale)
        };
        // What is reported in coarse steps changes by a step or not at all.
        let [step_t, step_td, step_p, step_speed, _] = self.anchors.steps.map(Option::unwrap_or_default);
        let mask = |present: bool| if present { 1.0 } else { 0.0 };
        let (latitude, elevation) =
            (station.position().map(|(lat, _)| lat.to_radians().sin() as f32), station.elevation);
        let [age_t, _, age_p, age_speed, _] = self.ages.map(|age| age as f32 / OLDEST_ANCHOR as f32);
        let cadence = (self.cadence.clamp(CADENCES.0, CADENCES.1) as f32 / HOUR as f32).ln();
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
            step_t,
            step_td,
            step_p,
            2.0 * step_speed,
        ];
        row.copy_from_slice(&filled);
    }

    fn fill_lead(&self, lead: usize, sky: &Sky, row: &mut [f32]) {
        let (values, rest) = row.split_at_mut(RECALLED);
        let (masks, rest) = rest.split_at_mut(RECALLED);
        let days = values.chunks_exact_mut(DAYS).zip(masks.chunks_exact_mut(DAYS)).enumerate();
        for (q, (values, masks)) in days {
            for (day, (value, mask)) in values.iter_mut().zip(masks).enumerate() {
                let change = match QUANTITIES.get(q) {
                    Some(channel) => {
                        let then = self.same_hour(*channel, lead, day);
                        self.anchors.values[q].zip(then).map(|(anchor, then)| (then - anchor) / SCALES[q])
                    }
                    None => self.same_hour(Channel::Precipitation, lead, day).map(f32::ln_1p),
                };
                *value = change.unwrap_or_default();
                *mask = if change.is_some() { 1.0 } else { 0.0 };
            }
        }
        let then = sky.at(lead);
        let scaled = |channel| self.same_hour(channel, lead, 0).map_or(0.0, |v| v / WIND_SCALE);
        #[allow(clippy::cast_precision_loss)] // 1 to 48
        rest.copy_from_slice(&[
            scaled(Channel::WindU),
            scaled(Channel::WindV),
            then.sine,
            then.clear_sky,
            sky.place,
            then.hour_sine,
            then.hour_cosine,
            sky.hour,
            lead as f32 / LEADS as f32,
        ]);
    }

    fn range(&self, channel: Channel) -> f32 {
        let day = self.grid.row(channel)[PAST - 24..].iter().filter(|v| !v.is_nan());
        let (low, high) = day.fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
        (high - low).max(0.0)
    }
}

/// The hours of a row that each slot stands for, oldest first.
fn slots(row: &[f32; PAST]) -> impl Iterator<Item = &[f32]> {
    let (old, new) = row.split_at(PAST - FINE);
    old.chunks_exact(COARSE).chain(new.chunks_exact(1))
}

/// The mean of what is known.
#[allow(clippy::cast_precision_loss)] // at most 96
fn mean(hours: &[f32]) -> Option<f32> {
    let known = hours.iter().filter(|v| !v.is_nan());
    let (sum, count) = known.fold((0.0, 0), |(sum, count), v| (sum + v, count + 1));
    (count > 0).then(|| sum / count as f32)
}

/// The share of the hours of which something is known, 0 to 1.
#[allow(clippy::cast_precision_loss)] // at most 96
fn known_share(hours: &[f32]) -> f32 {
    hours.iter().filter(|v| !v.is_nan()).count() as f32 / hours.len() as f32
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
        // The second window has let go of the first one's hours; a series in training has both.
        let (mut series, window) = (window(110).samples()[..15].to_vec(), window(110));
        series.iter_mut().for_each(|s| s.time = s.time - 15 * HOUR);
        series.extend(window.samples().iter().cloned());
        assert_eq!(rows(&series, &station()), rows(window.samples(), &station()));
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
    fn a_sensor_that_fell_silent_a_day_ago_says_nothing() {
        let window = window(30);
        let mut samples = window.samples().to_vec();
        for sample in &mut samples[5..] {
            sample.values.set(Variable::PressureStation, f32::NAN);
        }
        let (encoder, leads) = rows(&samples, &station());
        assert!(encoder.iter().chain(&leads).all(|v| v.is_finite() && v.abs() < 9.0));
    }

    #[test]
    fn the_latitude_is_where_training_hides_it() {
        let window = window(30);
        let at = |latitude| {
            let mut place = station();
            place.latitude = Some(latitude);
            rows(window.samples(), &place).0
        };
        let expected = (-0.25f64).to_radians().sin() as f32;
        assert_eq!(at(-0.25)[PLACE], [1.0, expected, -expected]);
    }

    #[test]
    fn every_number_is_filled_and_none_is_wild() {
        let window = window(30);
        for place in [station(), Station::unregistered(station().id)] {
            let (encoder, leads) = rows(window.samples(), &place);
            assert!(encoder.iter().chain(&leads).all(|v| v.is_finite() && v.abs() < 9.0));
        }
    }
}
