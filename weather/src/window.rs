//! A station's recent past: every observation of its newest hours, in time order.
//!
//! Redis keeps a window as one hash field per hour, so that a new observation rewrites one small
//! field and not the whole; [`Window::pack_hour`] and [`Window::unpack_hour`] are that field's format.

use crate::derived;
use crate::freshness;
use crate::observation::{Observation, Values};
use crate::quality::{self, Flag, Flags, Limits, Marks, Test};
use crate::station::Station;
use crate::time::{HOUR, Time};
use crate::variable::{Variable, VariableSet};

/// How many hours a window reaches back from its newest observation.
pub const WINDOW_HOURS: i64 = 96;

/// The most observations a window holds: one a minute. The window of a station that reports faster
/// reaches back fewer hours; the oldest go first.
pub const WINDOW_SAMPLES: usize = WINDOW_HOURS as usize * 60;

/// One observation in a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// When it was made.
    pub time: Time,
    /// What was measured.
    pub values: Values,
    /// What did not pass quality control.
    pub flags: Flags,
    /// How often it has been corrected.
    pub revision: u8,
}

impl Sample {
    /// The value of `variable` if it was measured and passed quality control.
    #[must_use]
    pub fn usable(&self, variable: Variable) -> Option<f32> {
        if self.flags.usable(variable) { self.values.get(variable) } else { None }
    }

    /// Dew point, °C, as measured or else from temperature and humidity.
    #[must_use]
    pub fn dew_point(&self) -> Option<f32> {
        self.usable(Variable::DewPoint).or_else(|| {
            let humidity = self.usable(Variable::RelativeHumidity)?;
            Some(derived::dew_point(self.usable(Variable::Temperature)?, humidity))
        })
    }

    /// Sea-level pressure, hPa, as measured or else reduced from the station's with its elevation, m.
    #[must_use]
    pub fn pressure_msl(&self, elevation: Option<f32>) -> Option<f32> {
        self.usable(Variable::PressureMsl).or_else(|| {
            let temperature = self.usable(Variable::Temperature).unwrap_or(15.0);
            let vapour = self.dew_point().map_or(0.0, derived::vapour_pressure);
            Some(derived::pressure_msl(self.usable(Variable::PressureStation)?, elevation?, temperature, vapour))
        })
    }
}

/// What an observation did to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is the newest now.
    Newest,
    /// It is older than the newest and took its place between the others.
    Late,
    /// The same time with other values: a correction, now at this revision.
    Corrected(u8),
    /// The same time and values again: nothing changed.
    Duplicate,
    /// It is older than the window reaches: nothing changed.
    TooOld,
}

impl Change {
    /// Whether the window is different now, so that a new forecast is due.
    #[must_use]
    pub const fn altered(self) -> bool {
        matches!(self, Self::Newest | Self::Late | Self::Corrected(_))
    }

    /// The metric label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Late => "late",
            Self::Corrected(_) => "corrected",
            Self::Duplicate => "duplicate",
            Self::TooOld => "too_old",
        }
    }
}

/// A station's newest [`WINDOW_HOURS`] of observations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    samples: Vec<Sample>,
}

impl Window {
    /// The observations, oldest first.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The newest observation.
    #[must_use]
    pub fn newest(&self) -> Option<&Sample> {
        self.samples.last()
    }

    /// The share of its measured values that did not pass quality control, 0 to 1.
    #[must_use]
    pub fn masked_share(&self) -> f32 {
        let (measured, masked) = self.samples.iter().fold((0, 0), |(measured, masked), sample| {
            let flagged = if sample.flags.is_clean() {
                0
            } else {
                sample.values.iter().filter(|(variable, _)| !sample.flags.usable(*variable)).count()
            };
            (measured + sample.values.len(), masked + flagged)
        });
        if measured == 0 { 0.0 } else { masked as f32 / measured as f32 }
    }

    /// The usual interval between reports, seconds, from the newest dozen.
    #[must_use]
    pub fn cadence(&self) -> i64 {
        let newest = &self.samples[self.samples.len().saturating_sub(12)..];
        let times: Vec<Time> = newest.iter().map(|s| s.time).collect();
        freshness::cadence(&times)
    }

    /// Puts an observation in its place and drops what the window no longer reaches.
    pub fn apply(&mut self, observation: &Observation, flags: Flags) -> Change {
        let time = observation.time;
        if self.first_hour().is_some_and(|first| time.hour() < first) {
            return Change::TooOld;
        }
        let sample = Sample { time, values: observation.values, flags, revision: 0 };
        let change = match self.samples.binary_search_by_key(&time, |s| s.time) {
            Ok(at) if self.samples[at].values == sample.values => return Change::Duplicate,
            Ok(at) => {
                let revision = self.samples[at].revision.saturating_add(1);
                self.samples[at] = Sample { revision, ..sample };
                Change::Corrected(revision)
            }
            Err(at) => {
                let newest = at == self.samples.len();
                self.samples.insert(at, sample);
                if newest { Change::Newest } else { Change::Late }
            }
        };
        self.evict();
        // A full window has no room for what is older than its oldest hour.
        if self.samples.first().is_some_and(|oldest| oldest.time > time) { Change::TooOld } else { change }
    }

    /// Puts an observation of `station` in its place, and has quality control look at it and at what it says
    /// of those beside it. Answers also the times of those whose flags are others now, with those that they
    /// had: the observation itself came with those that the door had given it.
    pub fn observe(
        &mut self,
        observation: &Observation,
        flags: Flags,
        station: &Station,
        limits: &Limits,
    ) -> (Change, Vec<(Time, Flags)>) {
        let change = self.apply(observation, flags);
        let place = self.samples.binary_search_by_key(&observation.time, |s| s.time);
        let (true, Ok(at)) = (change.altered(), place) else { return (change, Vec::new()) };
        let judged = quality::temporal::judge(&mut self.samples, at, station, limits);
        (change, judged.into_iter().map(|(index, before)| (self.samples[index].time, before)).collect())
    }

    /// Enters what the neighbours say of the newest observation, in place of what they said before.
    /// Answers its time and the flags that it had, if they are others now.
    pub fn judge_newest_by_neighbours(&mut self, found: &[(Variable, Flag)]) -> Option<(Time, Flags)> {
        let newest = self.samples.last_mut()?;
        let before = newest.flags;
        newest.flags.clear(&[Test::Spatial]);
        for (variable, flag) in found {
            newest.flags.mark(Test::Spatial, *variable, *flag);
        }
        (newest.flags != before).then_some((newest.time, before))
    }

    /// The observation of `time`.
    #[must_use]
    pub fn at(&self, time: Time) -> Option<&Sample> {
        self.samples.binary_search_by_key(&time, |s| s.time).ok().map(|at| &self.samples[at])
    }

    /// The first hour that the window reaches back to; fields of earlier hours can be deleted.
    #[must_use]
    pub fn first_hour(&self) -> Option<i64> {
        self.newest().map(|newest| newest.time.hour() - WINDOW_HOURS + 1)
    }

    /// Whole hours are dropped, so that what stands in Redis and what stands in memory agree.
    fn evict(&mut self) {
        let Some(mut first) = self.first_hour() else { return };
        if let Some(excess) = self.samples.len().checked_sub(WINDOW_SAMPLES + 1) {
            first = first.max(self.samples[excess].time.hour() + 1);
        }
        let old = self.samples.partition_point(|s| s.time.hour() < first);
        // The newest observation stays, even in an hour with more of them than fit.
        self.samples.drain(..old.min(self.samples.len().saturating_sub(1)));
    }

    /// The packed observations of one hour; empty when there are none.
    ///
    /// Layout, little-endian: a version byte, then per observation: `u16` second of the hour, `u8`
    /// revision, `u16` present, `u16` suspect, `u16` failed (bit `n` is the `n`th of
    /// [`Variable::ALL`]), then an `f32` per present variable. Version 2, written where a value did not
    /// pass, has after an observation with such values a `u16` for each of them in order: two bits a
    /// test in the order of [`Test::ALL`], 1 suspect, 2 failed.
    #[must_use]
    pub fn pack_hour(&self, hour: i64) -> Vec<u8> {
        let from = self.samples.partition_point(|s| s.time.hour() < hour);
        let samples = || self.samples[from..].iter().take_while(|s| s.time.hour() == hour);
        let mut packed = Vec::new();
        // Hours without a flag can still be read by what reads version 1 only.
        let version = if samples().all(|s| s.flags.is_clean()) { 1 } else { PACKED_VERSION };
        for sample in samples() {
            if packed.is_empty() {
                packed.push(version);
            }
            pack(sample, version, &mut packed);
        }
        packed
    }

    /// Adds the observations of a packed hour, as written by [`Window::pack_hour`].
    ///
    /// Hours may come in any order. What lies outside the window of the newest is dropped.
    ///
    /// # Errors
    /// When the bytes are of another version or cut off; the window keeps what it had.
    pub fn unpack_hour(&mut self, hour: i64, packed: &[u8]) -> Result<(), UnpackError> {
        let samples = unpack(hour, packed)?;
        let at = self.samples.partition_point(|s| s.time.hour() < hour);
        self.samples.splice(at..at, samples);
        self.evict();
        Ok(())
    }
}

/// The newest version, which is read with all before it.
const PACKED_VERSION: u8 = 2;

/// A packed hour that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// Written by a newer release.
    #[error("packed hour of version {0}, this release reads {PACKED_VERSION}")]
    Version(u8),
    /// The bytes end in the middle of an observation, or their times are out of order.
    #[error("packed hour is damaged")]
    Damaged,
}

fn pack(sample: &Sample, version: u8, out: &mut Vec<u8>) {
    let second = sample.time.unix().rem_euclid(HOUR) as u16;
    let mut present = VariableSet::EMPTY;
    for (variable, _) in sample.values.iter() {
        present.insert(variable);
    }
    out.extend_from_slice(&second.to_le_bytes());
    out.push(sample.revision);
    for set in [present, sample.flags.suspect, sample.flags.failed] {
        out.extend_from_slice(&set.bits().to_le_bytes());
    }
    for (_, value) in sample.values.iter() {
        out.extend_from_slice(&value.to_le_bytes());
    }
    if version > 1 {
        for variable in sample.flags.suspect.with(sample.flags.failed).iter() {
            out.extend_from_slice(&tests_of(&sample.flags, variable).to_le_bytes());
        }
    }
}

/// Two bits a test: what it found in `variable`.
fn tests_of(flags: &Flags, variable: Variable) -> u16 {
    flags.all().iter().enumerate().fold(0, |bits, (test, marks)| {
        let found = u16::from(marks.suspect.contains(variable)) | u16::from(marks.failed.contains(variable)) << 1;
        bits | found << (2 * test)
    })
}

/// The flags of an observation, as [`pack`] has written them.
fn flags_of(rest: &mut &[u8], version: u8, suspect: VariableSet, failed: VariableSet) -> Result<Flags, UnpackError> {
    if version == 1 {
        return Ok(Flags::untold(suspect, failed));
    }
    let mut by = [Marks::default(); Test::COUNT];
    for variable in suspect.with(failed).iter() {
        let bits = u16::from_le_bytes(take(rest)?);
        for (test, marks) in by.iter_mut().enumerate() {
            if bits >> (2 * test) & 1 != 0 {
                marks.suspect.insert(variable);
            }
            if bits >> (2 * test) & 2 != 0 {
                marks.failed.insert(variable);
            }
        }
    }
    Ok(Flags::told(suspect, failed, by))
}

fn unpack(hour: i64, packed: &[u8]) -> Result<Vec<Sample>, UnpackError> {
    let Some((&version, mut rest)) = packed.split_first() else {
        return Ok(Vec::new());
    };
    if !(1..=PACKED_VERSION).contains(&version) {
        return Err(UnpackError::Version(version));
    }
    let mut samples: Vec<Sample> = Vec::new();
    while !rest.is_empty() {
        let second = i64::from(u16::from_le_bytes(take(&mut rest)?));
        let [revision] = take(&mut rest)?;
        let mut set = || take(&mut rest).map(|b| VariableSet::from_bits(u16::from_le_bytes(b)));
        let (present, suspect, failed) = (set()?, set()?, set()?);
        let mut values = Values::default();
        for variable in present.iter() {
            values.set(variable, f32::from_le_bytes(take(&mut rest)?));
        }
        let time = Time::from_unix(hour.saturating_mul(HOUR) + second);
        if second >= HOUR || samples.last().is_some_and(|last| last.time >= time) {
            return Err(UnpackError::Damaged);
        }
        let flags = flags_of(&mut rest, version, suspect, failed)?;
        samples.push(Sample { time, values, flags, revision });
    }
    Ok(samples)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], UnpackError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(UnpackError::Damaged)?;
    *rest = tail;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StationId;
    use crate::quality::Flag;

    fn observe(time: i64, temperature: f32) -> Observation {
        Observation {
            station: StationId::new("A").unwrap(),
            time: Time::from_unix(time),
            values: [(Variable::Temperature, temperature)].into_iter().collect(),
            source: None,
        }
    }

    fn window(observations: &[(i64, f32)]) -> Window {
        let mut window = Window::default();
        for (time, temperature) in observations {
            window.apply(&observe(*time, *temperature), Flags::default());
        }
        window
    }

    #[test]
    fn every_kind_of_change() {
        let mut w = window(&[(HOUR, 1.0), (3 * HOUR, 3.0)]);
        let mut apply = |time, t| w.apply(&observe(time, t), Flags::default());
        assert_eq!(apply(3 * HOUR, 3.0), Change::Duplicate);
        assert_eq!(apply(2 * HOUR, 2.0), Change::Late);
        assert_eq!(apply(2 * HOUR, 2.5), Change::Corrected(1));
        assert_eq!(apply(2 * HOUR, 2.6), Change::Corrected(2));
        assert_eq!(apply(4 * HOUR, 4.0), Change::Newest);
        assert_eq!(apply(4 * HOUR - WINDOW_HOURS * HOUR, 0.0), Change::TooOld);
        assert!(w.samples().is_sorted_by_key(|s| s.time));
        assert_eq!(w.samples().len(), 4);
    }

    #[test]
    fn order_of_arrival_does_not_matter() {
        let forward = window(&[(0, 0.0), (700, 1.0), (HOUR, 2.0), (90 * HOUR, 3.0)]);
        let backward = window(&[(90 * HOUR, 3.0), (HOUR, 2.0), (700, 1.0), (0, 0.0)]);
        assert_eq!(forward, backward);
    }

    #[test]
    fn a_window_survives_packing_bit_for_bit() {
        let mut original = window(&[(10, -0.0), (600, 1.1), (HOUR, f32::MIN_POSITIVE), (50 * HOUR + 3599, 7.7)]);
        let mut flags = Flags::default();
        flags.mark(Test::Spike, Variable::Temperature, Flag::Fail);
        flags.mark(Test::Persistence, Variable::Temperature, Flag::Suspect);
        original.apply(&observe(600, 1.2), flags);
        let mut restored = Window::default();
        for hour in [50, 0, 1] {
            restored.unpack_hour(hour, &original.pack_hour(hour)).unwrap();
        }
        assert_eq!(restored, original);
        assert_eq!(restored.samples()[1].revision, 1);
        assert!(original.pack_hour(2).is_empty());
    }

    #[test]
    fn damaged_hours_are_refused_and_change_nothing() {
        let original = window(&[(0, 1.0)]);
        let packed = original.pack_hour(0);
        let mut other = Window::default();
        for cut in 2..packed.len() {
            assert_eq!(other.unpack_hour(0, &packed[..cut]), Err(UnpackError::Damaged));
        }
        assert_eq!(other.unpack_hour(0, &[9]), Err(UnpackError::Version(9)));
        assert_eq!(other, Window::default());
    }

    #[test]
    fn old_hours_leave_as_new_ones_come() {
        let w = window(&[(0, 0.0), (HOUR, 1.0), (WINDOW_HOURS * HOUR, 2.0)]);
        assert_eq!(w.first_hour(), Some(1));
        assert_eq!(w.samples().len(), 2);
    }

    #[test]
    fn a_window_that_is_full_drops_its_oldest_hours_whole() {
        let mut w = Window::default();
        let end = WINDOW_SAMPLES as i64 * 10 + 2 * HOUR;
        for second in (0..end).step_by(10) {
            w.apply(&observe(second, 1.0), Flags::default());
        }
        assert!(w.samples().len() <= WINDOW_SAMPLES && w.samples().len() > WINDOW_SAMPLES - 720);
        let oldest = w.samples()[0].time;
        assert_eq!(oldest.unix() % HOUR, 0, "the oldest hour is whole");
        let before = w.clone();
        assert_eq!(w.apply(&observe(oldest.unix() - 60, 1.0), Flags::default()), Change::TooOld);
        assert_eq!(w, before);
    }

    #[test]
    fn an_hour_that_the_window_has_left_takes_nothing_in() {
        let mut w = window(&[(WINDOW_HOURS * HOUR + 600, 1.0)]);
        assert_eq!(w.apply(&observe(HOUR - 1, 0.0), Flags::default()), Change::TooOld);
        assert_eq!(w.apply(&observe(HOUR, 0.0), Flags::default()), Change::Late);
    }

    #[test]
    fn masked_values_are_not_usable() {
        let mut flags = Flags::default();
        flags.mark(Test::Range, Variable::Temperature, Flag::Fail);
        let mut w = Window::default();
        w.apply(&observe(0, 30.0), flags);
        assert_eq!(w.newest().unwrap().usable(Variable::Temperature), None);
    }
}
