//! What is usual at a place, an hour and a season: harmonics of the day and of the year.
//!
//! Only a station with most of a year of reports before the cut has them. One function of place,
//! season and hour for the others was tried: on a continent that it was not fitted on it is 8 °C wrong.

use std::collections::HashMap;

use weather::time::HOUR;
use weather::{StationId, Time};

use super::cases::Case;
use super::columns::clock;
use super::regression::{Equations, dot};
use super::target::Target;
use crate::dataset::{Network, Series};
use crate::decode::WET;
use crate::grid::{Grid, Level};

/// Targets, and the chance of rain after them.
const KINDS: usize = Target::COUNT + 1;
/// The constant and two harmonics, of the day times of the year.
const BASIS: usize = 25;
/// A year, s.
const YEAR: f64 = 365.2425 * 86_400.0;
/// Own harmonics need reports over this long before the cut, s, and so many.
const HISTORY: i64 = 300 * 24 * HOUR;
const ENOUGH: usize = 600;
/// Reports that a station's harmonics are fitted on; more add nothing.
const REPORTS: usize = 2500;
const PENALTY: f64 = 1e-4;

type Coefficients = [Option<Vec<f64>>; KINDS];

/// Fitted harmonics.
pub(crate) struct Climatology {
    own: HashMap<StationId, Coefficients>,
}

impl Climatology {
    /// Fits the harmonics of those stations that have a history before their network's cut.
    pub(crate) fn fit<'a>(all: impl Iterator<Item = &'a Network>) -> Self {
        let mut own = HashMap::new();
        for network in all {
            for series in &network.series {
                own.extend(own_harmonics(series, network.cut).map(|found| (series.station.id.clone(), found)));
            }
        }
        Self { own }
    }

    /// Whether the station of a case has a history.
    pub(crate) fn knows(&self, case: &Case<'_>) -> bool {
        self.own.contains_key(&case.series.station.id)
    }

    /// What is usual at that hour, where the station has a history; the chance of rain for no target.
    pub(crate) fn usual(&self, case: &Case<'_>, time: Time, target: Option<Target>) -> Option<f32> {
        let kind = target.map_or(Target::COUNT, |target| target as usize);
        let coefficients = self.own.get(&case.series.station.id)?[kind].as_ref()?;
        let value = dot(&basis(case.series, time), coefficients);
        #[allow(clippy::cast_possible_truncation)] // weather
        Some(match target {
            None => value.clamp(0.0, 1.0) as f32,
            Some(target) if target.non_negative() => value.max(0.0) as f32,
            Some(_) => value as f32,
        })
    }
}

fn own_harmonics(series: &Series, cut: Time) -> Option<Coefficients> {
    let before = series.samples.partition_point(|s| s.time < cut);
    let span = series.samples[..before].last()?.time - series.samples.first()?.time;
    if before < ENOUGH || span < HISTORY {
        return None;
    }
    let mut equations = Equations::<KINDS>::new(BASIS);
    history(series, cut, REPORTS, |time, values| equations.add(&basis(series, time), values));
    Some(solve(&mut equations))
}

/// Up to `most` moments before the cut, evenly apart, with what was observed then.
fn history(series: &Series, cut: Time, most: usize, mut found: impl FnMut(Time, [Option<f64>; KINDS])) {
    let before = series.samples.partition_point(|s| s.time < cut);
    // A step that shares no factor with the hours of a day meets all of them.
    let step = (before / most).max(1) | 1;
    for index in (0..before).step_by(step) {
        let time = series.samples[index].time;
        let near = &series.samples[series.samples.partition_point(|s| s.time <= time - HOUR)..=index];
        let level = Level::of(near, series.station.elevation);
        let grid = Grid::<1>::lay(near, time, 0, level, series.irregular);
        let value = |target: Target| {
            let known = target != Target::Pressure || matches!(level, Level::Sea(_));
            grid.get(target.channel(), 0).filter(|_| known).map(f64::from)
        };
        let wet = value(Target::Rain).map(|mm| if mm >= f64::from(WET) { 1.0 } else { 0.0 });
        found(time, std::array::from_fn(|kind| Target::ALL.get(kind).map_or(wet, |target| value(*target))));
    }
}

fn solve(equations: &mut Equations<KINDS>) -> Coefficients {
    std::array::from_fn(|kind| {
        let (mut gram, moment) = equations.of(kind);
        let enough = gram.n >= ENOUGH as u64 / 2;
        if enough { gram.solve(moment, PENALTY) } else { None }
    })
}

/// Harmonics of the year times those of the day; the constant comes last.
fn basis(series: &Series, time: Time) -> [f64; BASIS] {
    let harmonics = |turn: f64| [1.0, turn.sin(), turn.cos(), (2.0 * turn).sin(), (2.0 * turn).cos()];
    #[allow(clippy::cast_precision_loss)] // seconds since 1970
    let year = harmonics(time.unix() as f64 / YEAR * std::f64::consts::TAU);
    let day = match clock(&series.station, time) {
        Some([sine, cosine]) => harmonics(f64::from(sine).atan2(f64::from(cosine))),
        None => [1.0, 0.0, 0.0, 0.0, 0.0],
    };
    let mut basis: [f64; BASIS] = std::array::from_fn(|i| year[i / day.len()] * day[i % day.len()]);
    basis.rotate_left(1);
    basis
}
