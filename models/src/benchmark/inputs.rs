//! What a model sees of a window: means over ever longer bins back in time, the clock, and how high
//! the sun will stand.
//!
//! There are two views. One channel alone sees the whole window. All channels together see its last
//! day only: there are 21 times as many numbers, and less than a year to learn from.

use std::f64::consts::TAU;

use weather::{Time, sun};

use super::table::CHANNELS;

/// Where the file was recorded: the roof of the institute in Jena.
const LATITUDE: f64 = 50.91;
const LONGITUDE: f64 = 11.57;
/// Steps in a day.
pub(crate) const DAY: usize = 144;
/// Steps between two looks at the coming sun.
const SUN_STEP: usize = 6;
/// Harmonics of the day.
const HARMONICS: usize = 4;
/// Where the bins of the newest 96 steps end, counted back from the newest: short where the
/// future depends on the detail, long where it depends on the mean.
const BINS: [usize; 21] = [0, 1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 24, 30, 36, 42, 48, 57, 66, 75, 84, 96];
/// The length of the bins before those.
const OLDER: usize = 24;
/// Amount and duration of rain. The mean of a window says little about the next one: their forecasts
/// start from the mean of the training part instead.
const RAIN: [usize; 2] = [14, 15];
/// The size of the level among the inputs: half, so that the penalty trusts it less than what
/// happens around it.
const LEVEL: f32 = 0.5;

/// The channels, filled and standardised, with what is known beside them.
pub(crate) struct Series {
    /// `[rows, CHANNELS]`.
    pub(crate) values: Vec<f32>,
    /// Sums of the rows before each row, `[rows + 1, CHANNELS]`.
    sums: Vec<f64>,
    /// Radiation under a clear sky, kW/m².
    sun: Vec<f32>,
    /// The part of the day that has passed.
    clock: Vec<f64>,
}

impl Series {
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    pub(crate) fn new(times: &[Time], values: Vec<f32>) -> Self {
        let mut sums = vec![0.0f64; CHANNELS];
        for (at, value) in values.iter().enumerate() {
            sums.push(sums[at] + f64::from(*value));
        }
        let radiation = |time: &Time| sun::clear_sky(sun::elevation(*time, LATITUDE, LONGITUDE)) / 1000.0;
        let sun = times.iter().map(|time| radiation(time) as f32).collect();
        let clock = times.iter().map(|time| time.unix().rem_euclid(86_400) as f64 / 86_400.0).collect();
        Self { values, sums, sun, clock }
    }

    /// The mean of a channel over the steps `near..far` back from `origin`.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    fn mean(&self, origin: usize, near: usize, far: usize, channel: usize) -> f32 {
        let upto = |row: usize| self.sums[row * CHANNELS + channel];
        ((upto(origin - near) - upto(origin - far)) / (far - near) as f64) as f32
    }
}

/// The shape of a window and what is made of it.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    pub(crate) lookback: usize,
    pub(crate) horizon: usize,
    /// The steps that make the level from which changes are counted: a whole day if there is one,
    /// so that the level does not depend on the time of the day.
    day: usize,
    long: Vec<usize>,
    short: Vec<usize>,
}

impl Inputs {
    pub(crate) fn new(lookback: usize, horizon: usize) -> Self {
        let day = lookback.min(DAY);
        Self { lookback, horizon, day, long: edges(lookback), short: edges(day) }
    }

    /// Numbers in a row of one channel.
    #[cfg(test)]
    fn width_alone(&self) -> usize {
        self.long.len() + 2 * HARMONICS + self.suns()
    }

    /// Numbers in a row of all channels.
    #[cfg(test)]
    fn width_together(&self) -> usize {
        self.short.len() * CHANNELS + 2 * HARMONICS + self.suns()
    }

    fn suns(&self) -> usize {
        self.horizon.min(DAY).div_ceil(SUN_STEP)
    }

    /// Appends what a channel alone sees of the window that ends before `origin`.
    pub(crate) fn alone(&self, series: &Series, origin: usize, channel: usize, row: &mut Vec<f32>) {
        let level = series.mean(origin, 0, self.day, channel);
        row.extend(self.long.windows(2).map(|bin| series.mean(origin, bin[0], bin[1], channel) - level));
        row.push(level * LEVEL);
        self.known(series, origin, row);
    }

    /// Appends what all channels together see of it.
    pub(crate) fn together(&self, series: &Series, origin: usize, row: &mut Vec<f32>) {
        let level: Vec<f32> = (0..CHANNELS).map(|channel| series.mean(origin, 0, self.day, channel)).collect();
        for bin in self.short.windows(2) {
            row.extend((0..CHANNELS).map(|channel| series.mean(origin, bin[0], bin[1], channel) - level[channel]));
        }
        row.extend(level.iter().map(|level| level * LEVEL));
        self.known(series, origin, row);
    }

    /// What is known of the future: the clock and the sun.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn known(&self, series: &Series, origin: usize, row: &mut Vec<f32>) {
        for harmonic in 1..=HARMONICS {
            let (sine, cosine) = (TAU * harmonic as f64 * series.clock[origin]).sin_cos();
            row.extend([sine as f32, cosine as f32]);
        }
        let sun = |step: usize| series.sun[origin + step * SUN_STEP] * 10.0 / 3.0 - 0.5;
        row.extend((0..self.suns()).map(sun));
    }

    /// What the forecast of a window starts from, per channel.
    pub(crate) fn anchor(&self, series: &Series, origin: usize) -> [f32; CHANNELS] {
        std::array::from_fn(|channel| self.anchor_alone(series, origin, channel))
    }

    /// The same of one channel.
    pub(crate) fn anchor_alone(&self, series: &Series, origin: usize, channel: usize) -> f32 {
        if RAIN.contains(&channel) { 0.0 } else { series.mean(origin, 0, self.day, channel) }
    }
}

/// Where the bins of so many steps end.
fn edges(steps: usize) -> Vec<usize> {
    let mut edges: Vec<usize> = BINS.into_iter().filter(|edge| *edge < steps).collect();
    let newest = BINS[BINS.len() - 1];
    edges.extend((newest + OLDER..steps).step_by(OLDER));
    edges.push(steps);
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(rows: usize) -> Series {
        let times: Vec<Time> = (0..rows).map(|row| Time::from_unix(1_592_697_600 + row as i64 * 600)).collect();
        let values = (0..rows * CHANNELS).map(|at| (at / CHANNELS) as f32).collect();
        Series::new(&times, values)
    }

    #[test]
    fn bins_cover_the_window_once() {
        for steps in [96, 100, 120, 121, 336, 720] {
            let edges = edges(steps);
            assert_eq!((edges[0], *edges.last().unwrap()), (0, steps));
            assert!(edges.is_sorted_by(|a, b| a < b), "{edges:?}");
        }
        assert_eq!(edges(96), BINS);
        assert_eq!(edges(168)[20..], [96, 120, 144, 168]);
    }

    #[test]
    fn a_row_sees_nothing_after_its_window() {
        let series = series(400);
        let inputs = Inputs::new(96, 96);
        let rows = |series: &Series| {
            let (mut alone, mut together) = (Vec::new(), Vec::new());
            inputs.alone(series, 150, 3, &mut alone);
            inputs.together(series, 150, &mut together);
            (alone, together)
        };
        let (alone, together) = rows(&series);
        assert_eq!((alone.len(), together.len()), (inputs.width_alone(), inputs.width_together()));
        // The newest value of a ramp is 149, the mean of its last 96 is 101.5.
        assert_eq!((alone[0], together[3], inputs.anchor(&series, 150)[3]), (47.5, 47.5, 101.5));
        assert_eq!(inputs.anchor(&series, 150)[RAIN[0]], 0.0);
        let times: Vec<Time> = (0..400).map(|row| Time::from_unix(1_592_697_600 + row * 600)).collect();
        let mut values = series.values;
        values[150 * CHANNELS..].fill(1e6);
        assert_eq!(rows(&Series::new(&times, values)), (alone, together));
    }

    #[test]
    fn the_sun_is_that_of_jena() {
        // 21 June 2020: noon there is near 11:15 UTC, and midnight dark.
        let series = series(144);
        let noon = series.sun.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        assert!((66..70).contains(&noon), "{noon}");
        assert_eq!(series.sun[0], 0.0);
        assert!((series.clock[72] - 0.5).abs() < 1e-9);
    }
}
