//! Outages: minutes to hours in which a station says nothing.

use weather::Time;

use super::unit;

/// The shortest and the longest outage, s. With many outages the longest are shorter.
const SHORTEST: f64 = 300.0;
const LONGEST: f64 = 6.0 * 3600.0;
/// The share of slots that have an outage.
const OFTEN: f64 = 0.9;
/// The most of a slot that an outage may take.
const ROOM: f64 = 0.8;
/// The seed's numbers for outages begin with this channel.
const CHANNEL: u64 = 200;

/// Outages that take a share of the time. Each station's time is cut into slots with one outage at most,
/// whose length is log-uniform.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gaps {
    seed: u64,
    slot: i64,
    longest: f64,
}

impl Gaps {
    /// The largest share that can be made up.
    pub(crate) const MOST: f64 = 0.45;

    /// Outages that take `share` of the time, up to [`Gaps::MOST`].
    pub(crate) fn new(seed: u64, share: f64) -> Option<Self> {
        if share <= 0.0 {
            return None;
        }
        let mean = |longest: f64| (longest - SHORTEST) / (longest / SHORTEST).ln();
        let slot = |longest: f64| OFTEN * mean(longest) / share.min(Self::MOST);
        let mut longest = LONGEST;
        while longest > ROOM * slot(longest) && longest > 1.1 * SHORTEST {
            longest *= 0.95;
        }
        Some(Self { seed, slot: slot(longest) as i64, longest })
    }

    /// The outage of a station that a time falls into: its begin and end.
    pub(crate) fn at(&self, index: usize, time: Time) -> Option<(Time, Time)> {
        let outage = self.of_slot(index, time.unix().div_euclid(self.slot))?;
        (outage.0 <= time && time < outage.1).then_some(outage)
    }

    /// The outages of a station that begin in a time.
    pub(crate) fn between(&self, index: usize, from: Time, to: Time) -> impl Iterator<Item = (Time, Time)> {
        let slots = from.unix().div_euclid(self.slot)..=to.unix().div_euclid(self.slot);
        slots.filter_map(move |slot| self.of_slot(index, slot)).filter(move |gap| gap.0 >= from && gap.0 < to)
    }

    fn of_slot(&self, index: usize, slot: i64) -> Option<(Time, Time)> {
        let draw = |channel| unit(self.seed, index as u64 + 1, CHANNEL + channel, slot);
        if draw(0) >= OFTEN {
            return None;
        }
        let length = (SHORTEST * (self.longest / SHORTEST).powf(draw(1))).round() as i64;
        let begin = slot * self.slot + (draw(2) * (self.slot - length) as f64) as i64;
        Some((Time::from_unix(begin), Time::from_unix(begin + length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_the_time_is_kept() {
        for share in [0.01, 0.05, 0.2, Gaps::MOST] {
            let gaps = Gaps::new(4, share).unwrap();
            let (mut silent, mut all) = (0, 0);
            for index in 0..20 {
                for minute in 0..60 * 24 * 30 {
                    silent += u32::from(gaps.at(index, Time::from_unix(1_700_000_000 + minute * 60)).is_some());
                    all += 1;
                }
            }
            let found = f64::from(silent) / f64::from(all);
            assert!((found / share - 1.0).abs() < 0.15, "{found} is not {share}");
        }
        assert!(Gaps::new(4, 0.0).is_none());
    }

    #[test]
    fn outages_last_minutes_to_hours_and_are_all_listed() {
        let gaps = Gaps::new(4, 0.05).unwrap();
        let (from, to) = (Time::from_unix(1_700_000_000), Time::from_unix(1_705_000_000));
        let listed: Vec<(Time, Time)> = gaps.between(3, from, to).collect();
        assert!(listed.len() > 20);
        assert!(listed.iter().all(|(begin, end)| (300..=21_600).contains(&(*end - *begin))));
        assert!(listed.iter().any(|(begin, end)| *end - *begin > 7200));
        assert!(listed.iter().all(|gap| gaps.at(3, gap.0) == Some(*gap) && gaps.at(3, gap.1) != Some(*gap)));
    }
}
