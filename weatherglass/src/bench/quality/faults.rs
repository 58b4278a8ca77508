//! Faults as sensors have them, planted in a recording.

use std::ops::Range;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use weather::{Time, Values, Variable};

/// What goes wrong. All are planted in the temperature but the last, which is in the pressure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// One value is 8 to 25 °C off.
    Spike,
    /// The value stays the same for a day and a half.
    Stuck,
    /// Everything from here on for a day is 12 to 20 °C off.
    Offset,
    /// 0.25 °C more with every hour for three days: without neighbours nobody can tell it from weather.
    Drift,
    /// Fahrenheit, called Celsius, for half a day.
    Fahrenheit,
    /// One value is 15 to 60 hPa off.
    PressureSpike,
}

/// A recording with faults.
pub(super) struct Planted {
    pub(super) variable: Variable,
    pub(super) observations: Vec<(Time, Values)>,
    /// Where they are.
    pub(super) events: Vec<Range<usize>>,
}

impl Fault {
    pub(super) const ALL: [Self; 6] =
        [Self::Spike, Self::Stuck, Self::Offset, Self::Drift, Self::Fahrenheit, Self::PressureSpike];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Spike => "spike",
            Self::Stuck => "stuck",
            Self::Offset => "offset",
            Self::Drift => "drift",
            Self::Fahrenheit => "fahrenheit",
            Self::PressureSpike => "pressure spike",
        }
    }

    const fn hours(self) -> i64 {
        match self {
            Self::Spike | Self::PressureSpike => 0,
            Self::Stuck => 36,
            Self::Offset => 24,
            Self::Drift => 72,
            Self::Fahrenheit => 12,
        }
    }
}

/// One event about every eight days, at random moments.
pub(super) fn plant(fault: Fault, recorded: &[(Time, Values)], seed: u64) -> Planted {
    let mut random = StdRng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(fault as u64));
    let has = |variable| recorded.iter().any(|(_, values)| values.get(variable).is_some());
    let variable = match fault {
        Fault::PressureSpike if has(Variable::PressureStation) => Variable::PressureStation,
        Fault::PressureSpike => Variable::PressureMsl,
        _ => Variable::Temperature,
    };
    let mut planted = Planted { variable, observations: recorded.to_vec(), events: Vec::new() };
    let (Some((first, _)), Some((last, _))) = (recorded.first(), recorded.last()) else { return planted };
    let mut next = *first + 4 * 86_400;
    while next < *last - 4 * 86_400 {
        let begin = recorded.partition_point(|(time, _)| *time < next);
        let end = recorded.partition_point(|(time, _)| *time <= recorded[begin].0 + fault.hours() * 3600);
        let amount = random.random_range(8.0..25.0_f32) * if random.random_bool(0.5) { 1.0 } else { -1.0 };
        if alter(fault, variable, &mut planted.observations[begin..end], amount) {
            planted.events.push(begin..end);
        }
        next = next + random.random_range(6..10) * 86_400 + random.random_range(0..86_400);
    }
    planted
}

/// Whether there was something to alter.
fn alter(fault: Fault, variable: Variable, observations: &mut [(Time, Values)], amount: f32) -> bool {
    let Some((begin, held)) = observations.iter().find_map(|(time, values)| Some((*time, values.get(variable)?)))
    else {
        return false;
    };
    for (time, values) in observations.iter_mut() {
        let Some(value) = values.get(variable) else { continue };
        let hours = (*time - begin) as f32 / 3600.0;
        let altered = match fault {
            Fault::Spike => value + amount,
            Fault::Stuck => held,
            Fault::Offset => value + amount.signum() * (12.0 + amount.abs() / 3.0),
            Fault::Drift => value + 0.25 * hours,
            Fault::Fahrenheit => value * 1.8 + 32.0,
            Fault::PressureSpike => value + 2.4 * amount,
        };
        values.set(variable, (altered * 10.0).round() / 10.0);
    }
    true
}
