//! Rain by the difference of two readings of a counter.

use std::collections::HashMap;

use weather::{StationId, Time, Values, Variable};

/// Stations whose readings are remembered; beyond, the one that was silent longest is forgotten.
const MOST_STATIONS: usize = 4096;
/// The longest time between two readings whose difference is still of use, s.
const LONGEST: i64 = 86_400;
/// More rain than ever fell in a minute, mm: what is above was damaged on the way.
const MOST_PER_MINUTE: f64 = 40.0;

/// The last reading of a station's counter, and what fell before it.
#[derive(Clone, Copy, Debug)]
struct Reading {
    time: Time,
    total: f64,
    fallen: Option<(f64, i64)>,
}

/// The counters of rain of all stations.
///
/// A counter that went back was reset or replaced: what fell meanwhile is missing, not negative and
/// not nothing. The same holds for its first reading here.
#[derive(Debug, Default)]
pub(crate) struct Counter(HashMap<StationId, Reading>);

impl Counter {
    /// Takes a reading, mm, and says how much fell, mm, in how many seconds before `time`. The same
    /// reading again says the same again.
    pub(crate) async fn difference(&mut self, station: &StationId, time: Time, total: f64) -> Option<(f64, i64)> {
        let last = self.0.get(station).copied();
        let fallen = match last {
            None => None,
            Some(last) if last.time == time && last.total.to_bits() == total.to_bits() => return last.fallen,
            // Late: what it counted is in what came after it.
            Some(last) if last.time >= time => return None,
            Some(last) => {
                let (amount, seconds) = (total - last.total, time - last.time);
                let possible = MOST_PER_MINUTE * (seconds as f64 / 60.0).max(1.0);
                ((0.0..=possible).contains(&amount) && seconds <= LONGEST).then_some((amount, seconds))
            }
        };
        if last.is_none() && self.0.len() >= MOST_STATIONS {
            let silent = self.0.iter().min_by_key(|(_, reading)| reading.time).map(|(station, _)| station.clone());
            silent.map(|station| self.0.remove(&station));
        }
        self.0.insert(station.clone(), Reading { time, total, fallen });
        fallen
    }

    /// Puts what a counter says into an observation's values.
    pub(crate) async fn apply(&mut self, station: &StationId, values: &mut Values, (time, total): (Time, f64)) {
        if let Some((amount, seconds)) = self.difference(station, time, total).await {
            let amount = (amount * 1000.0).round() / 1000.0;
            if weather::admission::check_value(Variable::Precipitation, amount as f32).is_ok() {
                values.set(Variable::Precipitation, amount as f32);
                values.set(Variable::PrecipitationPeriod, seconds as f32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_fell_between_two_readings() {
        let station = StationId::new("A").unwrap();
        let mut counter = Counter::default();
        let mut said = Vec::new();
        for (time, total) in [
            (1000, 10.0), // the first
            (1060, 10.5),
            (1060, 10.5), // again
            (1030, 10.2), // late
            (1120, 10.5),
            (1180, 0.5), // reset
            (1240, 0.75),
            (1300, 500.0),    // damaged
            (1360, 0.75),     // and right again
            (100_000, 0.875), // after more than a day
            (100_060, 1.0),
        ] {
            said.push(counter.difference(&station, Time::from_unix(time), total).await);
        }
        assert_eq!(
            said,
            [
                None,
                Some((0.5, 60)),
                Some((0.5, 60)),
                None,
                Some((0.0, 60)),
                None,
                Some((0.25, 60)),
                None,
                None,
                None,
                Some((0.125, 60)),
            ]
        );
    }

    #[tokio::test]
    async fn memory_has_a_bound() {
        let mut counter = Counter::default();
        for n in 0..MOST_STATIONS as i64 + 10 {
            counter.difference(&StationId::new(&format!("S{n}")).unwrap(), Time::from_unix(n), 1.0).await;
        }
        assert_eq!(counter.0.len(), MOST_STATIONS);
        assert!(!counter.0.contains_key("S0"));
    }
}
