//! When a value stops looking live.

use serde::{Deserialize, Serialize};

use crate::time::{HOUR, Time};

/// The interval assumed of a station that has reported once, seconds.
const UNKNOWN_CADENCE: i64 = HOUR;

/// The usual interval between a station's reports, seconds: the median of the given newest times.
///
/// `times` are in ascending order; with fewer than two the answer is an hour.
#[must_use]
pub fn cadence(times: &[Time]) -> i64 {
    let mut intervals: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).filter(|s| *s > 0).collect();
    if intervals.is_empty() {
        return UNKNOWN_CADENCE;
    }
    let middle = intervals.len() / 2;
    *intervals.select_nth_unstable(middle).1
}

/// When an observation made at `time` must no longer look live: after two and a half missed
/// reports, at least ten minutes and at most six hours.
#[must_use]
pub fn observation_expires(time: Time, cadence: i64) -> Time {
    time + (cadence * 5 / 2).clamp(600, 6 * HOUR)
}

/// When a forecast made from data at `reference_time` must no longer look live: after four missed
/// reports, at least an hour and at most six, since by then its nearest leads have passed.
#[must_use]
pub fn forecast_expires(reference_time: Time, cadence: i64) -> Time {
    reference_time + (cadence * 4).clamp(HOUR, 6 * HOUR)
}

/// How recently a station has been heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contact {
    /// Its newest observation has not expired.
    Up,
    /// Its newest observation has expired.
    Stale,
    /// Nothing for three expiries or more.
    Down,
    /// Registered, never heard.
    Silent,
}

/// The state of a station at `now` whose newest observation was made at `newest`.
#[must_use]
pub fn contact(newest: Option<Time>, cadence: i64, now: Time) -> Contact {
    let Some(newest) = newest else {
        return Contact::Silent;
    };
    let lifetime = observation_expires(newest, cadence) - newest;
    match now - newest {
        age if age <= lifetime => Contact::Up,
        age if age <= 3 * lifetime => Contact::Stale,
        _ => Contact::Down,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cadence_is_a_median_that_a_gap_does_not_move() {
        let times = [0, 60, 120, 180, 7200, 7260].map(Time::from_unix);
        assert_eq!(cadence(&times), 60);
        assert_eq!(cadence(&times[..1]), HOUR);
    }

    #[test]
    fn minutes_expire_in_minutes_and_hours_in_hours() {
        let t = Time::from_unix(0);
        assert_eq!(observation_expires(t, 60).unix(), 600);
        assert_eq!(observation_expires(t, 3600).unix(), 9000);
        assert_eq!(observation_expires(t, 86_400).unix(), 21_600);
    }

    #[test]
    fn contact_degrades_with_age() {
        let at = |s| contact(Some(Time::from_unix(0)), 60, Time::from_unix(s));
        assert_eq!((at(600), at(601), at(1801)), (Contact::Up, Contact::Stale, Contact::Down));
        assert_eq!(contact(None, 60, Time::from_unix(0)), Contact::Silent);
    }
}
