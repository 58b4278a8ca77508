//! What is issued: quantiles of the coming 48 hours for one station.

use serde::{Deserialize, Serialize};

use crate::station::StationId;
use crate::time::Time;

/// Hourly leads: 1 to 48 hours after the reference time.
pub const LEADS: usize = 48;

/// The served quantile levels.
pub const QUANTILES: [f32; 7] = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95];

/// How many steps make a probability of 1: probabilities are rounded to whole steps.
pub const PROBABILITY_STEPS: f32 = 1000.0;

/// The index of the median in [`QUANTILES`].
pub const MEDIAN: usize = 3;

/// A scalar quantity that is forecast as a distribution. Wind direction, being circular, has a
/// median only and stands beside them in [`Prediction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // names and units are in the methods
pub enum Quantity {
    Temperature,
    DewPoint,
    PressureMsl,
    WindSpeed,
    WindGust,
    Precipitation,
}

impl Quantity {
    /// How many there are.
    pub const COUNT: usize = 6;

    /// Every quantity, in packed order.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Temperature, Self::DewPoint, Self::PressureMsl, Self::WindSpeed, Self::WindGust, Self::Precipitation];

    /// The JSON name: that of the observed variable. Precipitation and gust belong to the hour
    /// that ends at the valid time.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::DewPoint => "dew_point",
            Self::PressureMsl => "pressure_msl",
            Self::WindSpeed => "wind_speed",
            Self::WindGust => "wind_gust",
            Self::Precipitation => "precipitation",
        }
    }

    /// The quantity of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|q| q.name() == name)
    }

    /// How many steps make one unit (°C, hPa, m/s, mm): values are rounded to whole steps, which
    /// fit 16 bits on the wire.
    #[must_use]
    pub const fn steps(self) -> f32 {
        match self {
            Self::PressureMsl => 10.0,
            _ => 100.0,
        }
    }

    /// Whether a negative value is impossible.
    #[must_use]
    pub const fn non_negative(self) -> bool {
        matches!(self, Self::WindSpeed | Self::WindGust | Self::Precipitation)
    }
}

/// Quantiles of one quantity for every lead: `quantiles[level][lead]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution(Box<[[f32; LEADS]; QUANTILES.len()]>);

impl Distribution {
    /// Rounds to the quantity's resolution, cuts at zero what can't be negative, and sorts the
    /// levels of each lead, so that quantiles never cross whatever made them. A number that is not
    /// finite makes the whole distribution none: it must not reach anyone as a zero.
    #[must_use]
    pub fn new(quantity: Quantity, mut quantiles: Box<[[f32; LEADS]; QUANTILES.len()]>) -> Option<Self> {
        if !quantiles.iter().flatten().all(|v| v.is_finite()) {
            return None;
        }
        let steps = quantity.steps();
        let lowest = if quantity.non_negative() { 0.0 } else { f32::from(i16::MIN) };
        for lead in 0..LEADS {
            let mut levels: [f32; QUANTILES.len()] = std::array::from_fn(|level| {
                let whole = (quantiles[level][lead] * steps).round();
                whole.clamp(lowest, f32::from(i16::MAX)) / steps
            });
            levels.sort_unstable_by(f32::total_cmp);
            for (level, value) in levels.into_iter().enumerate() {
                quantiles[level][lead] = value;
            }
        }
        Some(Self(quantiles))
    }

    /// The values of the `level`th of [`QUANTILES`], by lead.
    #[must_use]
    pub fn level(&self, level: usize) -> &[f32; LEADS] {
        &self.0[level]
    }

    /// The median by lead.
    #[must_use]
    pub fn median(&self) -> &[f32; LEADS] {
        &self.0[MEDIAN]
    }
}

/// What a model says of one station: the numbers of a forecast.
///
/// A quantity is absent when the station gives nothing to anchor it on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prediction {
    /// By [`Quantity`].
    pub distributions: [Option<Distribution>; Quantity::COUNT],
    /// Median direction the wind comes from, degrees in (0, 360], whole.
    pub wind_direction: Option<Box<[f32; LEADS]>>,
    /// Probability of at least 0.1 mm in the hour that ends at the valid time, 0 to 1, in steps of
    /// 1/[`PROBABILITY_STEPS`].
    pub precipitation_probability: Option<Box<[f32; LEADS]>>,
}

impl Prediction {
    /// The distribution of `quantity`.
    #[must_use]
    pub fn get(&self, quantity: Quantity) -> Option<&Distribution> {
        self.distributions[quantity as usize].as_ref()
    }

    /// Makes quantities agree that bound each other: level by level, no gust below the mean wind and
    /// no dew point above the temperature. Quantiles stay in order, since both sides are.
    pub fn reconcile(&mut self) {
        self.bound(Quantity::WindGust, Quantity::WindSpeed, f32::max);
        self.bound(Quantity::DewPoint, Quantity::Temperature, f32::min);
    }

    fn bound(&mut self, bounded: Quantity, bound: Quantity, choose: fn(f32, f32) -> f32) {
        let Some(bound) = self.get(bound).cloned() else { return };
        let Some(bounded) = self.distributions[bounded as usize].as_mut() else { return };
        for (value, bound) in bounded.0.iter_mut().flatten().zip(bound.0.iter().flatten()) {
            *value = choose(*value, *bound);
        }
    }

    /// A condition code (subset of WMO 4677 as Open-Meteo uses it) for every lead, from the
    /// medians and the probability of rain. Without a rain forecast there is none.
    #[must_use]
    pub fn weather_code(&self) -> Option<[u8; LEADS]> {
        let probability = self.precipitation_probability.as_ref()?;
        let median = |quantity, lead: usize| self.get(quantity).map(|d| d.median()[lead]);
        let amount = |lead: usize| self.get(Quantity::Precipitation).map_or(0.0, |d| d.level(MEDIAN + 1)[lead]);
        Some(std::array::from_fn(|lead| {
            let temperature = median(Quantity::Temperature, lead);
            let dew_point = median(Quantity::DewPoint, lead);
            let depression = temperature.zip(dew_point).map(|(t, td)| t - td);
            let calm = median(Quantity::WindSpeed, lead).is_some_and(|w| w < 2.5);
            condition(probability[lead], amount(lead), temperature, depression, calm)
        }))
    }
}

/// One hour's code. Rain classes are the AMS glossary's hourly rates (light to 2.5, heavy from
/// 7.6 mm/h); snow below 0.5 °C; without a cloud forecast the sky is graded by the chance of rain.
fn condition(probability: f32, amount: f32, temperature: Option<f32>, depression: Option<f32>, calm: bool) -> u8 {
    if probability >= 0.5 {
        let class = |light, moderate, heavy| match amount {
            a if a >= 7.6 => heavy,
            a if a >= 2.5 => moderate,
            _ => light,
        };
        return match temperature {
            Some(t) if t < 0.5 => class(71, 73, 75),
            _ if amount < 0.3 => 51,
            _ => class(61, 63, 65),
        };
    }
    if calm && depression.is_some_and(|d| d < 0.3) {
        return 45;
    }
    match probability {
        p if p >= 0.3 => 3,
        p if p >= 0.12 => 2,
        p if p >= 0.04 => 1,
        _ => 0,
    }
}

/// A model and its version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelId {
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// How good the input of a forecast was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Age of the newest observation when the forecast was issued, seconds.
    pub age_seconds: i64,
    /// Share of the model's window that was missing or masked, 0 to 1.
    pub missing_share: f32,
    /// Share of the values that were measured and that quality control masked, 0 to 1.
    #[serde(default)]
    pub masked_share: f32,
}

/// An issued forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// For whom.
    pub station: StationId,
    /// The newest observation used; lead `n` is valid `n` hours later.
    pub reference_time: Time,
    /// When it was made.
    pub issue_time: Time,
    /// When it must no longer look live.
    pub expires: Time,
    /// Who made it.
    pub model: ModelId,
    /// From how good an input.
    pub inputs: Inputs,
    /// The stream ID of the observation that caused it.
    pub cause: String,
    /// How many corrections of the newest observation it has taken in.
    pub revision: u32,
    /// The numbers.
    pub prediction: Prediction,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(values: [f32; 7]) -> Box<[[f32; LEADS]; 7]> {
        Box::new(values.map(|v| [v; LEADS]))
    }

    #[test]
    fn quantiles_are_rounded_sorted_and_cut() {
        let wind = Distribution::new(Quantity::WindSpeed, filled([-1.0, 0.5, 0.2, 3.004_9, 4.0, 8.0, 9.0])).unwrap();
        let levels: Vec<f32> = (0..7).map(|l| wind.level(l)[47]).collect();
        assert_eq!(levels, [0.0, 0.2, 0.5, 3.0, 4.0, 8.0, 9.0]);
        assert_eq!(Distribution::new(Quantity::PressureMsl, filled([1013.26; 7])).unwrap().median()[0], 1013.3);
        assert!(Distribution::new(Quantity::DewPoint, filled([0.0, 0.0, f32::NAN, 0.0, 0.0, 0.0, 0.0])).is_none());
    }

    #[test]
    fn a_gust_is_no_lull_and_air_is_no_more_than_saturated() {
        let mut prediction = Prediction::default();
        for (quantity, values) in [
            (Quantity::WindSpeed, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
            (Quantity::WindGust, [0.0, 1.0, 4.0, 5.0, 6.0, 7.0, 6.5]),
            (Quantity::Temperature, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            (Quantity::DewPoint, [-1.0, 1.5, 1.5, 3.5, 4.0, 4.0, 7.0]),
        ] {
            prediction.distributions[quantity as usize] = Distribution::new(quantity, filled(values));
        }
        prediction.reconcile();
        let levels =
            |quantity: Quantity| (0..7).map(|l| prediction.get(quantity).unwrap().level(l)[9]).collect::<Vec<_>>();
        assert_eq!(levels(Quantity::WindGust), [1.0, 2.0, 4.0, 5.0, 6.0, 6.5, 7.0]);
        assert_eq!(levels(Quantity::DewPoint), [-1.0, 1.0, 1.5, 3.0, 4.0, 4.0, 6.0]);
    }

    #[test]
    fn names_round_trip() {
        for quantity in Quantity::ALL {
            assert_eq!(Quantity::from_name(quantity.name()), Some(quantity));
        }
    }

    #[test]
    fn codes_follow_rain_and_cold() {
        assert_eq!(condition(0.9, 8.0, Some(10.0), Some(1.0), false), 65);
        assert_eq!(condition(0.9, 8.0, Some(-2.0), Some(1.0), false), 75);
        assert_eq!(condition(0.6, 0.1, Some(10.0), None, false), 51);
        assert_eq!(condition(0.0, 0.0, Some(5.0), Some(0.1), true), 45);
        assert_eq!(condition(0.0, 0.0, Some(5.0), Some(4.0), true), 0);
        assert!(Prediction::default().weather_code().is_none());
    }
}
