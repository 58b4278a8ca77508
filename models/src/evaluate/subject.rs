//! What is scored, and what was observed of it.

use weather::{LEADS, Prediction, QUANTILES, Quantity, derived};

use super::target::Target;
use crate::decode::WET;
use crate::grid::{Channel, Grid};

/// Below this observed speed a direction means little, m/s.
const STEADY: f32 = 3.0;

/// What is scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Subject {
    /// A quantity with its unit.
    Scalar(Quantity, Target, &'static str),
    /// The chance of [`WET`].
    Chance,
    /// Where the wind comes from, where it blows.
    Direction,
}

/// In the order of the tables.
pub(crate) const SUBJECTS: [Subject; 8] = [
    Subject::Scalar(Quantity::Temperature, Target::Temperature, "temperature, degC"),
    Subject::Scalar(Quantity::DewPoint, Target::DewPoint, "dew point, degC"),
    Subject::Scalar(Quantity::PressureMsl, Target::Pressure, "pressure, hPa"),
    Subject::Scalar(Quantity::WindSpeed, Target::WindSpeed, "wind speed, m/s"),
    Subject::Scalar(Quantity::WindGust, Target::WindGust, "wind gust, m/s"),
    Subject::Direction,
    Subject::Scalar(Quantity::Precipitation, Target::Rain, "precipitation, mm"),
    Subject::Chance,
];
/// The index of the chance of rain in [`SUBJECTS`].
pub(crate) const CHANCE: usize = 7;

/// What a forecast says: one number, and seven where it has a distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) value: f32,
    pub(crate) levels: Option<[f32; QUANTILES.len()]>,
}

impl Subject {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Scalar(_, _, name) => name,
            Self::Chance => "rain >= 0.1 mm, Brier",
            Self::Direction => "wind direction, deg",
        }
    }

    /// What was observed `lead` hours ahead; 1 or 0 for rain.
    pub(crate) fn observed(self, truth: &Grid<LEADS>, lead: usize) -> Option<f32> {
        let hour = lead - 1;
        match self {
            Self::Scalar(_, target, _) => truth.get(target.channel(), hour),
            Self::Chance => truth.get(Channel::Precipitation, hour).map(|mm| if mm >= WET { 1.0 } else { 0.0 }),
            Self::Direction => {
                let (u, v) = truth.get(Channel::WindU, hour).zip(truth.get(Channel::WindV, hour))?;
                (u.hypot(v) >= STEADY).then(|| derived::wind_direction(u, v))
            }
        }
    }

    /// What the model says of it.
    pub(crate) fn of(self, prediction: &Prediction, lead: usize) -> Option<Entry> {
        let hour = lead - 1;
        match self {
            Self::Scalar(quantity, _, _) => {
                let distribution = prediction.get(quantity)?;
                let levels = std::array::from_fn(|level| distribution.level(level)[hour]);
                Some(Entry { value: distribution.median()[hour], levels: Some(levels) })
            }
            Self::Chance => Some(Entry::alone(prediction.precipitation_probability.as_ref()?[hour])),
            Self::Direction => Some(Entry::alone(prediction.wind_direction.as_ref()?[hour])),
        }
    }
}

impl Entry {
    pub(crate) const fn alone(value: f32) -> Self {
        Self { value, levels: None }
    }
}
