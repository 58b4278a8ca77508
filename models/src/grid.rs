//! Observations on an hourly grid that is laid from a reference time.
//!
//! Stations report every minute to every three hours, on no common grid. The grid's hours are
//! counted from the reference time itself, so that the newest observation always falls on a point.

use weather::time::HOUR;
use weather::{Sample, Time, Variable, VariableSet, derived};

/// A quantity on the grid. The order is that of the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Channel {
    /// °C.
    Temperature,
    /// °C, derived from humidity where it is not measured.
    DewPoint,
    /// hPa, at the level of [`Level`].
    Pressure,
    /// m/s.
    WindSpeed,
    /// The maximum of the hour that ends at the point, m/s.
    WindGust,
    /// East component, m/s.
    WindU,
    /// North component, m/s.
    WindV,
    /// mm in the hour that ends at the point.
    Precipitation,
    /// W/m².
    Solar,
    /// %.
    CloudCover,
}

impl Channel {
    pub(crate) const COUNT: usize = 10;
}

/// Where a window's pressure is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Level {
    /// Mean sea level, measured or reduced with the station's elevation, m.
    Sea(Option<f32>),
    /// The station's, because its elevation is unknown: good for tendencies only.
    Station,
}

impl Level {
    /// The level that the newest pressure of a window allows.
    pub(crate) fn of(samples: &[Sample], elevation: Option<f32>) -> Self {
        let newest = samples
            .iter()
            .rev()
            .find(|s| s.usable(Variable::PressureMsl).is_some() || s.usable(Variable::PressureStation).is_some());
        match newest {
            Some(sample) if sample.pressure_msl(elevation).is_none() => Self::Station,
            _ => Self::Sea(elevation),
        }
    }

    fn pressure(self, sample: &Sample) -> Option<f32> {
        match self {
            Self::Sea(elevation) => sample.pressure_msl(elevation),
            Self::Station => sample.usable(Variable::PressureStation),
        }
    }
}

/// Half an hour: how far an observation may lie from the grid point it stands for, s.
const REACH: i64 = HOUR / 2;
/// Station clocks and report times scatter: a sum ends with the hour if it ends this near, s.
const JITTER: i64 = 300;
/// Precipitation over at least this long stands for the hour by itself; shorter sums are added, s.
const LONG_PERIOD: f32 = 1800.0;
const SECONDS: f32 = 3600.0;

/// `N` consecutive hours; NaN where nothing is known.
pub(crate) struct Grid<const N: usize> {
    values: [[f32; N]; Channel::COUNT],
    distance: [[u16; N]; Channel::COUNT],
    /// Precipitation in pieces shorter than the hour, mm, and the time they cover, s.
    pieces: [(f32, f32); N],
}

impl<const N: usize> Grid<N> {
    /// Lays samples, oldest first, on the hours `first..first + N` after `reference`.
    ///
    /// Each point takes the nearest usable value within half an hour. Variables in `hidden` are
    /// treated as absent.
    pub(crate) fn lay(samples: &[Sample], reference: Time, first: i64, level: Level, hidden: VariableSet) -> Self {
        let mut grid = Self {
            values: [[f32::NAN; N]; Channel::COUNT],
            distance: [[u16::MAX; N]; Channel::COUNT],
            pieces: [(0.0, 0.0); N],
        };
        for sample in samples {
            let offset = sample.time - reference;
            let nearest = (offset + REACH).div_euclid(HOUR);
            let ending = -(JITTER - offset).div_euclid(HOUR);
            if let Some(hour) = index::<N>(ending - first) {
                grid.add_to_hour(hour, sample, hidden);
            }
            if let Some(hour) = index::<N>(nearest - first) {
                let distance = u16::try_from((offset - nearest * HOUR).abs()).unwrap_or(u16::MAX);
                grid.put(hour, distance, sample, level, hidden);
            }
        }
        for (hour, (sum, covered)) in grid.pieces.into_iter().enumerate() {
            let rain = &mut grid.values[Channel::Precipitation as usize][hour];
            if rain.is_nan() && covered >= LONG_PERIOD {
                *rain = sum * SECONDS / covered.min(SECONDS);
            }
        }
        grid
    }

    /// The value of `channel` at the `hour`th point.
    pub(crate) fn get(&self, channel: Channel, hour: usize) -> Option<f32> {
        let value = self.values[channel as usize][hour];
        (!value.is_nan()).then_some(value)
    }

    pub(crate) fn row(&self, channel: Channel) -> &[f32; N] {
        &self.values[channel as usize]
    }

    /// Takes a value away.
    pub(crate) fn hide(&mut self, channel: Channel, hour: usize) {
        self.values[channel as usize][hour] = f32::NAN;
    }

    /// Rounds a channel to steps, as a coarser instrument would have reported it.
    pub(crate) fn round(&mut self, channel: Channel, step: f32) {
        self.values[channel as usize].iter_mut().for_each(|value| *value = (*value / step).round() * step);
    }

    /// A channel's hours, oldest first, to be changed.
    pub(crate) fn row_mut(&mut self, channel: Channel) -> &mut [f32; N] {
        &mut self.values[channel as usize]
    }

    fn add_to_hour(&mut self, hour: usize, sample: &Sample, hidden: VariableSet) {
        if !hidden.contains(Variable::WindGust)
            && let Some(gust) = sample.usable(Variable::WindGust)
        {
            let most = &mut self.values[Channel::WindGust as usize][hour];
            *most = most.max(gust); // the maximum with NaN is the other
        }
        if !hidden.contains(Variable::Precipitation)
            && let Some((amount, period)) = precipitation(sample)
            && period < LONG_PERIOD
        {
            let (sum, covered) = &mut self.pieces[hour];
            *sum += amount;
            *covered += period;
        }
    }

    fn put(&mut self, hour: usize, distance: u16, sample: &Sample, level: Level, hidden: VariableSet) {
        let usable = |v: Variable| if hidden.contains(v) { None } else { sample.usable(v) };
        self.offer(Channel::Temperature, hour, distance, || usable(Variable::Temperature));
        self.offer(Channel::DewPoint, hour, distance, || {
            if hidden.contains(Variable::DewPoint) { None } else { sample.dew_point() }
        });
        self.offer(Channel::Pressure, hour, distance, || {
            if hidden.contains(Variable::PressureMsl) { None } else { level.pressure(sample) }
        });
        self.offer(Channel::WindSpeed, hour, distance, || usable(Variable::WindSpeed));
        if let Some((u, v)) = usable(Variable::WindSpeed).and_then(|speed| components(speed, sample)) {
            self.offer(Channel::WindU, hour, distance, || Some(u));
            self.offer(Channel::WindV, hour, distance, || Some(v));
        }
        self.offer(Channel::Precipitation, hour, distance, || {
            usable(Variable::Precipitation)?;
            precipitation(sample).filter(|(_, period)| *period >= LONG_PERIOD).map(|(a, period)| a * SECONDS / period)
        });
        self.offer(Channel::Solar, hour, distance, || usable(Variable::SolarRadiation));
        self.offer(Channel::CloudCover, hour, distance, || usable(Variable::CloudCover));
    }

    /// Of two at the same distance the later one stays: samples come oldest first.
    fn offer(&mut self, channel: Channel, hour: usize, distance: u16, value: impl FnOnce() -> Option<f32>) {
        if distance <= self.distance[channel as usize][hour]
            && let Some(value) = value().filter(|v| v.is_finite())
        {
            self.values[channel as usize][hour] = value;
            self.distance[channel as usize][hour] = distance;
        }
    }
}

fn index<const N: usize>(hour: i64) -> Option<usize> {
    usize::try_from(hour).ok().filter(|h| *h < N)
}

/// East and north components, m/s; a calm has none of either, whatever its direction.
fn components(speed: f32, sample: &Sample) -> Option<(f32, f32)> {
    if speed < 0.3 {
        return Some((0.0, 0.0));
    }
    sample.usable(Variable::WindDirection).map(|direction| derived::wind_components(speed, direction))
}

/// Amount, mm, and the period it fell over, s.
fn precipitation(sample: &Sample) -> Option<(f32, f32)> {
    let amount = sample.usable(Variable::Precipitation)?;
    let period = sample.usable(Variable::PrecipitationPeriod).unwrap_or(SECONDS);
    (period > 0.0).then_some((amount, period))
}

#[cfg(test)]
mod tests {
    use weather::{Flags, Values};

    use super::*;

    fn sample(time: i64, values: &[(Variable, f32)]) -> Sample {
        let values: Values = values.iter().copied().collect();
        Sample { time: Time::from_unix(time), values, flags: Flags::default(), revision: 0 }
    }

    fn past(samples: &[Sample]) -> Grid<4> {
        let reference = samples.last().unwrap().time;
        Grid::lay(samples, reference, -3, Level::of(samples, None), VariableSet::EMPTY)
    }

    #[test]
    fn each_point_takes_the_nearest_value() {
        let t = |time, value| sample(time, &[(Variable::Temperature, value)]);
        let grid = past(&[t(0, 1.0), t(3000, 2.0), t(3700, 3.0), t(7200, 4.0), t(10_800, 5.0)]);
        let row: Vec<f32> = grid.row(Channel::Temperature).to_vec();
        assert_eq!(row, [1.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn short_sums_are_added_up_and_hourly_ones_are_not() {
        let rain = |time, mm, s| sample(time, &[(Variable::Precipitation, mm), (Variable::PrecipitationPeriod, s)]);
        let tens: Vec<Sample> = (1..=6).map(|i| rain(i * 600, 0.5, 600.0)).collect();
        assert_eq!(past(&tens).get(Channel::Precipitation, 3), Some(3.0));
        let rolling: Vec<Sample> = (1..=6).map(|i| rain(i * 600, 2.0, 3600.0)).collect();
        assert_eq!(past(&rolling).get(Channel::Precipitation, 3), Some(2.0));
    }

    #[test]
    fn gusts_are_the_maximum_of_the_hour_that_ends() {
        let gust = |time, v| sample(time, &[(Variable::WindGust, v)]);
        let grid = past(&[gust(3600, 20.0), gust(4200, 9.0), gust(6000, 12.0), gust(7200, 8.0)]);
        assert_eq!(grid.get(Channel::WindGust, 3), Some(12.0));
        assert_eq!(grid.get(Channel::WindGust, 2), Some(20.0));
    }

    #[test]
    fn pressure_without_elevation_stays_at_the_station() {
        let p = sample(0, &[(Variable::PressureStation, 900.0)]);
        assert_eq!(Level::of(std::slice::from_ref(&p), None), Level::Station);
        assert_eq!(Level::of(std::slice::from_ref(&p), Some(10.0)), Level::Sea(Some(10.0)));
        assert_eq!(past(&[p]).get(Channel::Pressure, 3), Some(900.0));
    }

    #[test]
    fn what_failed_quality_control_is_absent() {
        let mut bad = sample(0, &[(Variable::Temperature, 10.0)]);
        bad.flags.failed.insert(Variable::Temperature);
        assert_eq!(past(&[bad]).get(Channel::Temperature, 3), None);
    }
}
