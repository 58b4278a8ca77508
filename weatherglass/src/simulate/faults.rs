//! Instruments that fail, on request, and what is planted where.
//!
//! A share of the stations is faulty. Each of these has one kind of fault, in episodes: its time is cut
//! into slots, and in each the seed decides when an episode begins and ends and which variable it hits.
//! Whatever a station reports is therefore a function of seed, station and time, as the weather is.

use weather::{Observation, Time, Values, Variable};

use super::unit;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// The seed's numbers for faults begin with this channel.
const CHANNEL: u64 = 300;
/// The steps of a history, s.
const STEP: i64 = 600;

/// What can be wrong with a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A value that no longer changes.
    Stuck,
    /// One report that is far off.
    Spike,
    /// A value that moves away slowly.
    Drift,
    /// Fahrenheit, inches of mercury, km/h.
    Unit,
    /// A clock that is off.
    Clock,
    /// Reports that are sent twice.
    Duplicate,
    /// Reports that arrive minutes to hours later.
    Late,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] =
        [Self::Stuck, Self::Spike, Self::Drift, Self::Unit, Self::Clock, Self::Duplicate, Self::Late];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Spike => "spike",
            Self::Drift => "drift",
            Self::Unit => "unit",
            Self::Clock => "clock",
            Self::Duplicate => "duplicate",
            Self::Late => "late",
        }
    }

    /// Slot, shortest and longest episode, s.
    const fn times(self) -> (i64, i64, i64) {
        match self {
            Self::Stuck => (DAY, 4 * HOUR, 14 * HOUR),
            Self::Spike => (6 * HOUR, STEP, STEP),
            Self::Drift => (5 * DAY, 3 * DAY, 4 * DAY),
            Self::Unit => (3 * DAY, DAY, 2 * DAY),
            Self::Clock => (2 * DAY, 6 * HOUR, DAY),
            Self::Duplicate | Self::Late => (DAY, 2 * HOUR, 12 * HOUR),
        }
    }

    /// The variables it can hit; none where it is the whole report.
    const fn variables(self) -> &'static [Variable] {
        use Variable::{PressureMsl, RelativeHumidity, Temperature, WindSpeed};
        match self {
            Self::Stuck => &[Temperature, RelativeHumidity, PressureMsl, WindSpeed],
            Self::Spike => &[Temperature, PressureMsl, WindSpeed],
            Self::Drift => &[Temperature, RelativeHumidity, PressureMsl],
            Self::Unit => &[Temperature, PressureMsl, WindSpeed],
            Self::Clock | Self::Duplicate | Self::Late => &[],
        }
    }
}

/// A time in which something is wrong with a station.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Episode {
    pub(crate) kind: Kind,
    /// What is wrong; the whole report if nothing.
    pub(crate) variable: Option<Variable>,
    pub(crate) from: Time,
    pub(crate) to: Time,
    /// By how much: in the variable's unit at its end (spike, drift), seconds (clock, late); 0 otherwise.
    pub(crate) amount: f64,
}

impl Episode {
    /// Whether a report of that time is one of it.
    pub(crate) fn contains(&self, time: Time) -> bool {
        self.from <= time && time < self.to
    }

    /// The report of that time, spoiled. `then` is what was measured when the episode began.
    pub(crate) fn spoil(&self, observation: &mut Observation, then: &Values) {
        if let Some(variable) = self.variable
            && let Some(good) = observation.values.get(variable)
        {
            let bad = self.spoiled(variable, f64::from(good), observation.time, then);
            let rounded = (bad * 10.0).round() / 10.0;
            observation.values.set(variable, rounded as f32);
        }
        if self.kind == Kind::Clock {
            observation.time = observation.time + self.amount as i64;
        }
    }

    fn spoiled(&self, variable: Variable, good: f64, time: Time, then: &Values) -> f64 {
        match (self.kind, variable) {
            (Kind::Stuck, _) => then.get(variable).map_or(good, f64::from),
            (Kind::Spike, _) => good + self.amount,
            (Kind::Drift, Variable::RelativeHumidity) => (good + self.amount * self.share(time)).clamp(1.0, 100.0),
            (Kind::Drift, _) => good + self.amount * self.share(time),
            (Kind::Unit, Variable::Temperature) => good * 1.8 + 32.0,
            (Kind::Unit, Variable::PressureMsl) => good / 33.8639,
            (Kind::Unit, _) => good * 3.6,
            _ => good,
        }
    }

    /// How much of it has passed, 0 to 1.
    fn share(&self, time: Time) -> f64 {
        (time - self.from) as f64 / (self.to - self.from).max(1) as f64
    }
}

/// Which stations are faulty, and in which ways.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    seed: u64,
    kinds: Vec<Kind>,
    share: f64,
    /// How long a single wrong report takes, s: no longer than it is until the next one.
    one_report: i64,
    /// Late reports are late by a multiple of it, s.
    step: i64,
}

impl Faults {
    /// A `share` of the stations, 0 to 1, that report every `interval` seconds.
    pub(crate) fn new(seed: u64, kinds: Vec<Kind>, share: f64, interval: i64) -> Option<Self> {
        let any = !kinds.is_empty() && share > 0.0;
        any.then(|| Self { seed, kinds, share, one_report: interval.clamp(1, HOUR), step: interval.max(STEP) })
    }

    /// The kind of fault of a station; none if it is sound.
    pub(crate) fn kind(&self, index: usize) -> Option<Kind> {
        let draw = |channel| unit(self.seed, index as u64 + 1, CHANNEL + channel, 0);
        if draw(0) >= self.share {
            return None;
        }
        self.kinds.get((draw(1) * self.kinds.len() as f64) as usize).copied()
    }

    /// The episode of a station that a time falls into.
    pub(crate) fn at(&self, index: usize, time: Time) -> Option<Episode> {
        let kind = self.kind(index)?;
        Some(self.of_slot(index, kind, time.unix().div_euclid(kind.times().0))).filter(|e| e.contains(time))
    }

    /// How much later a station's reports may arrive, s; the episode that says so covers their times.
    pub(crate) fn late(&self, index: usize, delivered: Time) -> Option<Episode> {
        let kind = self.kind(index).filter(|kind| *kind == Kind::Late)?;
        let slot = delivered.unix().div_euclid(kind.times().0);
        let mut episodes = [slot - 1, slot].map(|slot| self.of_slot(index, kind, slot)).into_iter();
        episodes.find(|episode| episode.contains(delivered - episode.amount as i64))
    }

    /// The episodes of a station that begin in a time.
    pub(crate) fn between(&self, index: usize, from: Time, to: Time) -> Vec<Episode> {
        let Some(kind) = self.kind(index) else { return Vec::new() };
        let slot = kind.times().0;
        (from.unix().div_euclid(slot)..=to.unix().div_euclid(slot))
            .map(|slot| self.of_slot(index, kind, slot))
            .filter(|episode| episode.from >= from && episode.from < to)
            .collect()
    }

    fn of_slot(&self, index: usize, kind: Kind, slot: i64) -> Episode {
        let draw = |channel| unit(self.seed, index as u64 + 1, CHANNEL + 10 + channel, slot);
        let (length, shortest, longest) = kind.times();
        let mut lasts = shortest + (draw(0) * (longest - shortest) as f64) as i64;
        let mut begin = slot * length + (draw(1) * (length - lasts) as f64) as i64;
        if kind == Kind::Spike {
            // On the hour, when a history reports too; too short for a second report.
            (begin, lasts) = (begin.div_euclid(HOUR) * HOUR, self.one_report);
        }
        let variables = kind.variables();
        let variable = variables.get((draw(2) * variables.len() as f64) as usize).copied();
        let sign = if draw(3) < 0.5 { -1.0 } else { 1.0 };
        let size = |small: f64, large: f64| sign * (small + (large - small) * draw(4));
        let amount = match (kind, variable) {
            (Kind::Spike, Some(Variable::PressureMsl)) => size(10.0, 30.0),
            (Kind::Spike, Some(Variable::WindSpeed)) => size(20.0, 45.0).abs(),
            (Kind::Spike, _) => size(8.0, 20.0),
            (Kind::Drift, Some(Variable::PressureMsl)) => size(5.0, 10.0),
            (Kind::Drift, Some(Variable::RelativeHumidity)) => size(15.0, 30.0),
            (Kind::Drift, _) => size(3.0, 6.0),
            (Kind::Clock, _) => size(600.0, 10_800.0).round(),
            // Whole steps, so that late reports arrive when others are made.
            (Kind::Late, _) => ((size(600.0, 10_800.0).abs() / self.step as f64).ceil() * self.step as f64).round(),
            _ => 0.0,
        };
        Episode { kind, variable, from: Time::from_unix(begin), to: Time::from_unix(begin + lasts), amount }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(kind: Kind) -> Faults {
        Faults::new(5, vec![kind], 1.0, 60).unwrap()
    }

    #[test]
    fn a_share_of_the_stations_is_faulty_each_in_its_way() {
        let faults = Faults::new(5, Kind::ALL.to_vec(), 0.2, 60).unwrap();
        let kinds: Vec<Kind> = (0..5000).filter_map(|index| faults.kind(index)).collect();
        assert!((900..1100).contains(&kinds.len()), "{}", kinds.len());
        for kind in Kind::ALL {
            assert!(kinds.iter().filter(|k| **k == kind).count() > 90, "{kind:?}");
        }
        assert!(Faults::new(5, Vec::new(), 0.2, 60).is_none() && Faults::new(5, vec![Kind::Spike], 0.0, 60).is_none());
    }

    #[test]
    fn episodes_are_found_by_their_times() {
        let from = Time::from_unix(1_790_000_000);
        for kind in Kind::ALL {
            let faults = only(kind);
            let episodes = faults.between(7, from, from + 60 * DAY);
            assert!(episodes.len() > 10, "{kind:?}");
            for episode in episodes {
                assert!(episode.kind == kind && episode.from < episode.to);
                assert_eq!(faults.at(7, episode.from), Some(episode));
                assert_eq!(faults.at(7, episode.to - 1), Some(episode));
                assert_ne!(faults.at(7, episode.to), Some(episode));
            }
        }
    }

    #[test]
    fn late_reports_arrive_once() {
        let faults = only(Kind::Late);
        let begin = Time::from_unix(1_790_000_000 / 600 * 600);
        let mut arrived = Vec::new();
        for step in 0..1000 {
            let now = begin + step * 600;
            arrived.extend(faults.late(2, now).map(|episode| now - episode.amount as i64));
            arrived.extend(faults.at(2, now).is_none().then_some(now));
        }
        arrived.sort_unstable();
        let wanted: Vec<Time> = (0..1000).map(|step| begin + step * 600).collect();
        let (last, missing) = (arrived[arrived.len() - 1], wanted.iter().filter(|t| !arrived.contains(t)).count());
        arrived.dedup();
        assert!(arrived.len() + missing >= 1000 && missing < 20, "{missing} still to come after {last}");
        assert!(arrived.iter().filter(|t| **t >= begin).count() + missing == 1000, "none twice");
    }
}
