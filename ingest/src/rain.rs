//! Rain from counters: the difference of two readings over the time between them.
//!
//! What the first reading shows nobody knows, nor what fell while a counter went back to zero: missing,
//! not nothing. A report that is sent again gets the same difference again, so that it stays a duplicate;
//! one that is older than the last gets none. The newest readings of each station are in Redis
//! (`streams/src/rain.rs`), where every ingest process finds them after every restart. While Redis is away
//! a process goes by what it remembers itself, and tells Redis afterwards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use streams::rain::KEPT;
use streams::{CounterReading, Error, Place};
use weather::admission::check_value;
use weather::{StationId, Values, Variable};

use crate::accept::count_error;
use crate::link::Link;

/// Stations that are remembered; twice as many at most. The least recently heard ones are forgotten.
const STATIONS: usize = 10_000;
/// How long Redis may take: a report must not wait for its rain.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long Redis is left alone after it did not answer.
const PAUSE: Duration = Duration::from_secs(2);
/// Counters are read in steps of 0.0254 mm and more; less than this is how decimals are stored, mm.
const ROUNDING: f64 = 1e-4;

/// What fell between two readings: mm, and the seconds between them.
///
/// Of the counters that both have it is the one that goes back to zero most seldom. None when that one
/// went back, when the amount can't be, or when the readings are more than a day apart.
pub(crate) fn difference(before: &CounterReading, after: &CounterReading) -> Option<(f32, f32)> {
    let common = |(code, total): &(u8, f64)| {
        let (_, earlier) = before.totals.iter().find(|(c, _)| c == code)?;
        Some(total - earlier)
    };
    let amount = after.totals.iter().find_map(common)?;
    if amount < -ROUNDING {
        return None;
    }
    let amount = ((amount.max(0.0) / ROUNDING).round() * ROUNDING) as f32;
    let period = (after.time - before.time) as f32;
    let possible = check_value(Variable::Precipitation, amount).is_ok()
        && check_value(Variable::PrecipitationPeriod, period).is_ok();
    possible.then_some((amount, period))
}

/// Sets the rain of a report, if its place among the readings tells it.
pub(crate) fn settle(values: &mut Values, place: &Place, reading: &CounterReading) {
    let Place::After(Some(before)) = place else { return };
    if let Some((amount, period)) = difference(before, reading) {
        values.set(Variable::Precipitation, amount);
        values.set(Variable::PrecipitationPeriod, period);
    }
}

/// The newest readings of one station, oldest first, and which of them Redis has.
#[derive(Default)]
struct Kept(Vec<(CounterReading, bool)>);

impl Kept {
    /// As `streams/scripts/rain.lua` does it.
    fn keep(&mut self, reading: &CounterReading) -> Place {
        let newest = self.0.last().map(|(r, _)| r.time);
        if newest.is_none_or(|newest| reading.time > newest) {
            let before = self.0.last().map(|(r, _)| r.clone());
            self.0.push((reading.clone(), false));
            let excess = self.0.len().saturating_sub(KEPT);
            self.0.drain(..excess);
            return Place::After(before);
        }
        let Some(at) = self.0.iter().position(|(r, _)| r.time == reading.time) else { return Place::Late };
        self.0[at] = (reading.clone(), false);
        Place::After(at.checked_sub(1).map(|before| self.0[before].0.clone()))
    }

    /// What Redis has to be told: what it does not have, and last the reading that is asked about.
    fn untold(&self, reading: &CounterReading) -> Vec<CounterReading> {
        let others = self.0.iter().filter(|(r, told)| !told && r.time != reading.time).map(|(r, _)| r.clone());
        others.chain([reading.clone()]).collect()
    }
}

/// The readings that one process remembers.
#[derive(Default)]
pub(crate) struct Memory {
    recent: HashMap<StationId, Kept>,
    older: HashMap<StationId, Kept>,
}

impl Memory {
    /// Keeps a reading and says where its place is.
    pub(crate) fn keep(&mut self, station: &StationId, reading: &CounterReading) -> Place {
        self.of(station).keep(reading)
    }

    fn of(&mut self, station: &StationId) -> &mut Kept {
        if !self.recent.contains_key(station) {
            if self.recent.len() >= STATIONS {
                self.older = std::mem::take(&mut self.recent);
            }
            let kept = self.older.remove(station).unwrap_or_default();
            self.recent.insert(station.clone(), kept);
        }
        self.recent.entry(station.clone()).or_default()
    }
}

/// Every station's rain gauge, in Redis and in memory.
#[derive(Clone)]
pub(crate) struct Gauges {
    link: Link,
    memory: Arc<Mutex<Memory>>,
    resting: Arc<Mutex<Option<Instant>>>,
}

impl Gauges {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, memory: Arc::default(), resting: Arc::default() }
    }

    /// Keeps a reading and says where its place is. A Redis that does not answer costs at most a second,
    /// now and then.
    pub(crate) async fn keep(&self, station: &StationId, reading: &CounterReading) -> Place {
        let (remembered, untold) = {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = memory.of(station);
            (kept.keep(reading), kept.untold(reading))
        };
        let Some(stored) = self.ask(station, &untold).await else { return remembered };
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        for (known, told) in &mut memory.of(station).0 {
            *told |= untold.contains(known);
        }
        later(remembered, stored)
    }

    async fn ask(&self, station: &StationId, untold: &[CounterReading]) -> Option<Place> {
        let now = Instant::now();
        if self.resting.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| now < until) {
            return None;
        }
        let asked = async { self.link.redis()?.keep_rain(station, untold).await };
        let silent = || Error::Unavailable("it took too long to keep a rain counter".to_owned());
        match tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(silent())) {
            Ok(place) => Some(place),
            Err(error) => {
                count_error(&error);
                *self.resting.lock().unwrap_or_else(PoisonError::into_inner) = Some(now + PAUSE);
                None
            }
        }
    }
}

/// What memory and Redis know together. Redis may have gone back to an earlier state; memory knows nothing
/// of what other processes heard, and so not whether a reading that it never met came too late.
fn later(remembered: Place, stored: Place) -> Place {
    match (remembered, stored) {
        (Place::After(a), Place::After(b)) => {
            let time = |r: &Option<CounterReading>| r.as_ref().map(|r| r.time);
            Place::After(if time(&a) > time(&b) { a } else { b })
        }
        (_, stored) => stored,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weather::Time;

    use super::*;

    fn reading(time: i64, totals: &[(u8, f64)]) -> CounterReading {
        CounterReading { time: Time::from_unix(time), totals: totals.to_vec() }
    }

    fn station() -> StationId {
        StationId::new("A").unwrap()
    }

    fn fell(memory: &mut Memory, time: i64, total: f64) -> Option<(f32, f32)> {
        let reading = reading(time, &[(0, total)]);
        let mut values = Values::default();
        settle(&mut values, &memory.keep(&station(), &reading), &reading);
        values.get(Variable::Precipitation).zip(values.get(Variable::PrecipitationPeriod))
    }

    #[test]
    fn rain_is_the_difference_and_what_nobody_knows_is_missing() {
        let mut memory = Memory::default();
        assert_eq!(fell(&mut memory, 0, 100.0), None, "the first");
        assert_eq!(fell(&mut memory, 60, 100.254), Some((0.254, 60.0)));
        assert_eq!(fell(&mut memory, 120, 100.254), Some((0.0, 60.0)));
        assert_eq!(fell(&mut memory, 120, 100.254), Some((0.0, 60.0)), "the same again");
        assert_eq!(fell(&mut memory, 60, 100.254), Some((0.254, 60.0)), "an earlier one again");
        assert_eq!(fell(&mut memory, 90, 100.254), None, "late");
        assert_eq!(fell(&mut memory, 180, 0.0), None, "the counter went back");
        assert_eq!(fell(&mut memory, 240, 0.508), Some((0.508, 60.0)));
        assert_eq!(fell(&mut memory, 300, 5000.0), None, "more than can be");
        assert_eq!(fell(&mut memory, 300 + 86_401, 5000.0), None, "more than a day later");
    }

    #[test]
    fn the_counter_that_goes_back_most_seldom_counts() {
        let both = |time, year, day| reading(time, &[(1, year), (4, day)]);
        assert_eq!(difference(&both(0, 10.0, 3.0), &both(60, 11.0, 0.0)), Some((1.0, 60.0)), "midnight");
        assert_eq!(difference(&both(0, 10.0, 3.0), &both(60, 0.0, 3.5)), None, "the year's went back");
        assert_eq!(difference(&both(0, 10.0, 3.0), &reading(60, &[(4, 3.5)])), Some((0.5, 60.0)));
        assert_eq!(difference(&reading(0, &[(4, 3.0)]), &reading(60, &[(12, 3.5)])), None, "another gauge");
    }

    #[test]
    fn redis_and_memory_know_more_together() {
        let after = |time: Option<i64>| Place::After(time.map(|t| reading(t, &[])));
        assert_eq!(later(after(Some(5)), after(None)), after(Some(5)));
        assert_eq!(later(after(Some(5)), after(Some(7))), after(Some(7)));
        assert_eq!(later(after(Some(5)), Place::Late), Place::Late);
        assert_eq!(later(Place::Late, after(Some(5))), after(Some(5)), "another process had it");
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_silent_first() {
        let mut memory = Memory::default();
        let name = |n: usize| StationId::new(&format!("S{n}")).unwrap();
        for n in 0..5 * STATIONS {
            memory.keep(&name(n), &reading(0, &[(0, 1.0)]));
            memory.keep(&name(0), &reading(n as i64, &[(0, 1.0)]));
        }
        assert!(memory.recent.len() + memory.older.len() <= 2 * STATIONS);
        assert!(memory.of(&name(0)).0.len() == KEPT);
    }

    #[test]
    fn what_redis_missed_is_told_later() {
        let mut kept = Kept::default();
        kept.keep(&reading(1, &[(0, 1.0)]));
        kept.keep(&reading(2, &[(0, 2.0)]));
        let again = reading(1, &[(0, 1.0)]);
        assert_eq!(kept.untold(&again), [reading(2, &[(0, 2.0)]), again.clone()]);
        kept.0.iter_mut().for_each(|(_, told)| *told = true);
        assert_eq!(kept.untold(&again), [again]);
    }

    proptest! {
        /// Whatever counters do, rain is possible or missing, and all of it together is what they rose by.
        #[test]
        fn no_difference_is_impossible(totals in proptest::collection::vec(-1e9..1e9_f64, 2..20)) {
            let mut memory = Memory::default();
            for (n, total) in totals.iter().enumerate() {
                if let Some((amount, period)) = fell(&mut memory, n as i64 * 300, *total) {
                    prop_assert!((0.0..=2000.0).contains(&amount));
                    prop_assert_eq!(period, 300.0);
                }
            }
        }
    }
}
