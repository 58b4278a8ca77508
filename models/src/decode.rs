//! From the network's numbers to a prediction in units.

use weather::forecast::PROBABILITY_STEPS;
use weather::{Distribution, LEADS, Prediction, QUANTILES, Quantity, derived};

use crate::features::{ANCHORED, Anchors, SCALES, WIND_SCALE};
use crate::network::{DISTRIBUTIONS, LEVELS, SINGLES};
use crate::resolution;

/// The least precipitation that counts as some, mm in the hour.
pub(crate) const WET: f32 = 0.1;
/// Below this the components say nothing about a direction, m/s.
const DIRECTIONLESS: f32 = 1e-3;

/// One station's numbers for all leads: `quantiles` is `[LEADS, DISTRIBUTIONS, LEVELS]`, `singles`
/// is `[LEADS, SINGLES]`.
pub(crate) struct Numbers<'a> {
    pub(crate) quantiles: &'a [f32],
    pub(crate) singles: &'a [f32],
}

/// A prediction, without what the station gives nothing to anchor on.
pub(crate) fn prediction(numbers: &Numbers<'_>, anchors: &Anchors) -> Prediction {
    let mut prediction = Prediction::default();
    let anchored =
        [Quantity::Temperature, Quantity::DewPoint, Quantity::PressureMsl, Quantity::WindSpeed, Quantity::WindGust];
    for (index, quantity) in anchored.into_iter().enumerate() {
        // A station's own pressure without its elevation is good for a tendency, not for a map.
        if quantity == Quantity::PressureMsl && !anchors.sea_level {
            continue;
        }
        prediction.distributions[quantity as usize] = anchors.values[index].and_then(|anchor| {
            let changes = table(|level, lead| SCALES[index] * numbers.quantile(lead, index, level));
            let changes = match anchors.steps[index] {
                Some(step) => settled(changes, step),
                None => changes,
            };
            Distribution::new(quantity, table(|level, lead| anchor + changes[level][lead]))
        });
    }
    if let Some((u, v)) = anchors.wind.filter(|_| anchors.values[3].is_some()) {
        prediction.wind_direction = direction(numbers, u, v);
    }
    let chance: Box<[f32; LEADS]> = Box::new(std::array::from_fn(|lead| sigmoid(numbers.single(lead, 2))));
    if chance.iter().all(|p| p.is_finite()) {
        let at = |level: usize, lead: usize| amount(numbers, lead, QUANTILES[level], chance[lead]);
        prediction.distributions[Quantity::Precipitation as usize] =
            Distribution::new(Quantity::Precipitation, table(at));
        // As it will be served: what is compared with a forecast must not know more digits.
        let whole = |p: f32| (p * PROBABILITY_STEPS).round() / PROBABILITY_STEPS;
        prediction.precipitation_probability = Some(Box::new(chance.map(whole)));
    }
    prediction.reconcile();
    prediction
}

fn table(at: impl Fn(usize, usize) -> f32) -> Box<[[f32; LEADS]; LEVELS]> {
    let mut table = Box::new([[0.0; LEADS]; LEVELS]);
    for (level, row) in table.iter_mut().enumerate() {
        for (lead, value) in row.iter_mut().enumerate() {
            *value = at(level, lead);
        }
    }
    table
}

/// The changes of a quantity that is reported in steps.
fn settled(mut changes: Box<[[f32; LEADS]; LEVELS]>, step: f32) -> Box<[[f32; LEADS]; LEVELS]> {
    for lead in 0..LEADS {
        let mut levels: [f32; LEVELS] = std::array::from_fn(|level| changes[level][lead]);
        let middle = levels[LEVELS - 2] - levels[1];
        resolution::settle(&mut levels, step, middle);
        levels.into_iter().zip(changes.iter_mut()).for_each(|(level, row)| row[lead] = level);
    }
    changes
}

impl Numbers<'_> {
    fn quantile(&self, lead: usize, distribution: usize, level: usize) -> f32 {
        self.quantiles[(lead * DISTRIBUTIONS + distribution) * LEVELS + level]
    }

    fn single(&self, lead: usize, which: usize) -> f32 {
        self.singles[lead * SINGLES + which]
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The direction the median wind comes from, whole degrees; the newest one where it dies down.
fn direction(numbers: &Numbers<'_>, u: f32, v: f32) -> Option<Box<[f32; LEADS]>> {
    let directions: Box<[f32; LEADS]> = Box::new(std::array::from_fn(|lead| {
        let east = u + WIND_SCALE * numbers.single(lead, 0);
        let north = v + WIND_SCALE * numbers.single(lead, 1);
        let (east, north) = if east.hypot(north) < DIRECTIONLESS { (u, v) } else { (east, north) };
        let whole = derived::wind_direction(east, north).round();
        if whole == 0.0 { 360.0 } else { whole }
    }));
    directions.iter().all(|d| d.is_finite()).then_some(directions)
}

/// The `level` quantile of precipitation, mm: 0 up to the chance of none, beyond it the quantile
/// of the amounts if there is any, so that probability and quantiles agree.
fn amount(numbers: &Numbers<'_>, lead: usize, level: f32, chance: f32) -> f32 {
    let dry = 1.0 - chance;
    if level <= dry {
        return 0.0;
    }
    let rank = (level - dry) / chance;
    // ln(1 + mm) by rank, from the least amount that counts at rank 0.
    let least = WET.ln_1p();
    let (mut low_rank, mut low) = (0.0, least);
    for (index, high_rank) in QUANTILES.into_iter().enumerate() {
        let high = numbers.quantile(lead, ANCHORED, index).max(least);
        if rank <= high_rank {
            let share = (rank - low_rank) / (high_rank - low_rank);
            return (low + share * (high - low)).exp_m1();
        }
        (low_rank, low) = (high_rank, high);
    }
    low.exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchors() -> Anchors {
        Anchors { values: [Some(10.0); ANCHORED], wind: Some((3.0, 4.0)), sea_level: true, ..Anchors::NONE }
    }

    fn decode(quantiles: f32, logit: f32, anchors: &Anchors) -> Prediction {
        let quantiles = vec![quantiles; LEADS * DISTRIBUTIONS * LEVELS];
        let singles = [0.0, 0.0, logit].repeat(LEADS);
        prediction(&Numbers { quantiles: &quantiles, singles: &singles }, anchors)
    }

    #[test]
    fn changes_are_added_to_anchors_in_their_units() {
        let p = decode(1.0, -9.0, &anchors());
        assert_eq!(p.get(Quantity::Temperature).unwrap().median()[0], 15.0);
        assert_eq!(p.get(Quantity::WindSpeed).unwrap().median()[0], 13.0);
        assert_eq!(p.wind_direction.unwrap()[0], 217.0);
    }

    #[test]
    fn rain_quantiles_agree_with_its_probability() {
        let p = decode(1.0, 0.0, &anchors());
        let rain = p.get(Quantity::Precipitation).unwrap();
        let levels: Vec<f32> = (0..LEVELS).map(|l| rain.level(l)[5]).collect();
        assert_eq!(&levels[..4], [0.0; 4], "as dry as not");
        assert!((levels[4] - 1.718).abs() < 0.01 && levels[6] == levels[5], "{levels:?}");
        let certain = decode(1.0, 20.0, &anchors());
        assert!(certain.get(Quantity::Precipitation).unwrap().level(0)[0] >= WET);
    }

    #[test]
    fn without_anchor_nothing_is_said() {
        let none = Anchors::NONE;
        let p = decode(0.0, 0.0, &none);
        assert!(p.get(Quantity::Temperature).is_none() && p.wind_direction.is_none());
        assert!(p.get(Quantity::Precipitation).is_some());
        let station = Anchors { sea_level: false, ..anchors() };
        assert!(decode(0.0, 0.0, &station).get(Quantity::PressureMsl).is_none());
    }

    #[test]
    fn numbers_that_are_none_reach_nobody() {
        let p = decode(f32::NAN, f32::NAN, &anchors());
        assert!(p.distributions.iter().all(Option::is_none) && p.precipitation_probability.is_none());
        let p = decode(f32::INFINITY, 0.0, &anchors());
        assert!(p.distributions.iter().take(5).all(Option::is_none));
    }
}
