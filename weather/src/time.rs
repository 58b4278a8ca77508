//! UTC instants with a resolution of one second.

use std::fmt;
use std::ops::{Add, Sub};

use jiff::Timestamp;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds in an hour.
pub const HOUR: i64 = 3_600;

/// A UTC instant in whole seconds since 1970.
///
/// Stations identify an observation by (station, time), so a fraction of a second, which no
/// station clock is good for, is cut off on the way in. Human-readable formats (JSON) carry
/// RFC 3339; binary ones (MessagePack) carry the integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// The instant `seconds` after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// The present moment by the system clock.
    #[must_use]
    pub fn now() -> Self {
        Self(Timestamp::now().as_second())
    }

    /// Whole hours since 1970; the hour that contains this instant.
    #[must_use]
    pub const fn hour(self) -> i64 {
        self.0.div_euclid(HOUR)
    }

    /// Reads RFC 3339, as `2026-11-23T08:00:00Z`.
    ///
    /// # Errors
    /// When the text is not RFC 3339 with an offset.
    pub fn parse(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<Timestamp>().map(|t| Self(t.as_second()))
    }

    /// This instant as a `jiff` timestamp; instants beyond year 9999 are clamped.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_second(self.0).unwrap_or(if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

impl Add<i64> for Time {
    type Output = Self;
    fn add(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

impl Sub<i64> for Time {
    type Output = Self;
    fn sub(self, seconds: i64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }
}

/// The seconds from `other` to `self`.
impl Sub for Time {
    type Output = i64;
    fn sub(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an RFC 3339 time such as 2026-11-23T08:00:00Z")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
        Time::parse(text).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Time, E> {
        Ok(Time(seconds))
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Time, E> {
        i64::try_from(seconds).map(Time).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(seconds), &self))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(TimeVisitor)
        } else {
            deserializer.deserialize_any(TimeVisitor)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_rfc_3339_and_fractions_are_cut() {
        let time: Time = serde_json::from_str("\"2026-11-23T09:00:00.75+01:00\"").unwrap();
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2026-11-23T08:00:00Z\"");
    }

    #[test]
    fn a_time_without_offset_is_refused() {
        assert!(serde_json::from_str::<Time>("\"2026-11-23T09:00:00\"").is_err());
    }

    #[test]
    fn messagepack_is_the_integer() {
        let packed = rmp_serde::to_vec(&Time::from_unix(5)).unwrap();
        assert_eq!(packed, [5]);
        assert_eq!(rmp_serde::from_slice::<Time>(&packed).unwrap(), Time::from_unix(5));
    }

    #[test]
    fn hours_before_1970_round_down() {
        assert_eq!(Time::from_unix(-1).hour(), -1);
    }
}
