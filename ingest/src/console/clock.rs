//! Times as consoles write them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use weather::admission::Reason;
use weather::{Rejection, Time};

/// Longer is no time.
const LONGEST: usize = 40;

/// Reads `dateutc`: `2026-11-23 08:00:00` in UTC, with as few digits as some firmware writes and blanks
/// where other firmware puts them; `now` and nothing are the time of arrival. Some clocks send RFC 3339.
///
/// # Errors
/// [`Reason::BadTime`]. What was sent is not repeated: nobody knows what it holds.
pub(crate) fn read(text: Option<&str>, now: Time) -> Result<Time, Rejection> {
    let text = text.unwrap_or_default().trim();
    if text.is_empty() || text.eq_ignore_ascii_case("now") {
        return Ok(now);
    }
    civil(text).or_else(|| Time::parse(text).ok()).ok_or_else(|| {
        Rejection::new("dateutc", Reason::BadTime, "UTC as 2026-11-23 08:00:00 (year, month, day, hours), or now")
    })
}

fn civil(text: &str) -> Option<Time> {
    let separates = |c: char| matches!(c, '-' | '/' | ':' | ' ' | 'T');
    if text.len() > LONGEST || !text.chars().all(|c| c.is_ascii_digit() || separates(c)) {
        return None;
    }
    let mut parts = text.split(separates).filter(|part| !part.is_empty()).map(str::parse::<i16>);
    let mut next = || parts.next()?.ok();
    let year = next()?;
    let mut small = || i8::try_from(next()?).ok();
    let (month, day, hour, minute) = (small()?, small()?, small()?, small()?);
    let second = match parts.next() {
        Some(second) => i8::try_from(second.ok()?).ok()?,
        None => 0,
    };
    if parts.next().is_some() {
        return None;
    }
    let instant = DateTime::new(year, month, day, hour, minute, second, 0).ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(Time::from_unix(instant.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_that_consoles_write_a_time() {
        let now = Time::parse("2026-11-23T08:00:00Z").unwrap();
        let read = |text| super::read(Some(text), now).unwrap().to_string();
        assert_eq!(read("2016-1-4 21:2:35"), "2016-01-04T21:02:35Z");
        assert_eq!(read("2024-02-08 10: 36: 28"), "2024-02-08T10:36:28Z");
        assert_eq!(read("2026-11-23T07:59"), "2026-11-23T07:59:00Z");
        assert_eq!(read("2026-11-23T09:00:00+01:00"), "2026-11-23T08:00:00Z");
        for present in [Some("now"), Some("NOW"), Some(" "), None] {
            assert_eq!(super::read(present, now).unwrap(), now);
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let now = Time::from_unix(0);
        for text in ["2026-13-01 00:00:00", "2026-11-23", "99999-01-01 00:00:00", "2026-11-23 25:00:00", "-", "soon"] {
            assert_eq!(read(Some(text), now).unwrap_err().reason, Reason::BadTime, "{text}");
        }
        assert!(read(Some("2026-11-23 08:00:00:00"), now).is_err());
    }
}
