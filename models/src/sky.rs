//! What is known beforehand of a place: where the sun will stand and what time it will be there.

use weather::time::HOUR;
use weather::{LEADS, Station, Time, sun};

/// The sun and the clock at one hour; zeros where the place is unknown.
#[derive(Clone, Copy, Default)]
pub(crate) struct Hour {
    /// Sine of the sun's elevation.
    pub(crate) sine: f32,
    /// Clear-sky radiation, kW/m².
    pub(crate) clear_sky: f32,
    pub(crate) hour_sine: f32,
    pub(crate) hour_cosine: f32,
}

/// What is known beforehand of the reference hour and of the coming two days.
pub(crate) struct Sky {
    pub(crate) now: Hour,
    coming: [Hour; LEADS],
    /// The highest sine of the sun's elevation in the coming day.
    pub(crate) highest: f32,
    /// 1 where the position is known.
    pub(crate) place: f32,
    /// 1 where the local hour is known, from the position or else the time zone.
    pub(crate) hour: f32,
}

impl Sky {
    pub(crate) fn new(station: &Station, reference: Time) -> Self {
        let position = station.position().filter(|(lat, lon)| lat.is_finite() && lon.is_finite());
        // Local solar time runs four minutes ahead per degree east.
        let shift = position.map(|(_, longitude)| (longitude * 240.0) as i64).or_else(|| zone(station, reference));
        let at = |lead: usize| {
            #[allow(clippy::cast_possible_wrap)] // at most 48
            let time = reference + lead as i64 * HOUR;
            let mut hour = Hour::default();
            if let Some((latitude, longitude)) = position {
                let elevation = sun::elevation(time, latitude, longitude);
                hour.sine = elevation.to_radians().sin() as f32;
                hour.clear_sky = (sun::clear_sky(elevation) / 1000.0) as f32;
            }
            if let Some(shift) = shift {
                #[allow(clippy::cast_precision_loss)] // seconds of a day
                let turn = (time + shift).unix().rem_euclid(24 * HOUR) as f32 / (24 * HOUR) as f32;
                (hour.hour_sine, hour.hour_cosine) = (turn * std::f32::consts::TAU).sin_cos();
            }
            hour
        };
        let coming: [Hour; LEADS] = std::array::from_fn(|index| at(index + 1));
        let highest = coming[..24].iter().map(|h| h.sine).fold(f32::MIN, f32::max);
        let known = |present: bool| if present { 1.0 } else { 0.0 };
        Self { now: at(0), coming, highest, place: known(position.is_some()), hour: known(shift.is_some()) }
    }

    /// The hour of a lead, 1 to 48.
    pub(crate) fn at(&self, lead: usize) -> Hour {
        self.coming[lead - 1]
    }
}

/// Seconds that the station's time zone is ahead of UTC.
fn zone(station: &Station, time: Time) -> Option<i64> {
    let zone = jiff::tz::TimeZone::get(station.timezone.as_deref()?).ok()?;
    Some(i64::from(zone.to_offset(time.timestamp()).seconds()))
}

#[cfg(test)]
mod tests {
    use weather::StationId;

    use super::*;

    #[test]
    fn a_zone_tells_the_hour_where_no_position_does() {
        let mut zoned = Station::unregistered(StationId::new("A").unwrap());
        zoned.timezone = Some("Asia/Tokyo".into());
        let noon = Time::parse("2026-06-01T03:00:00Z").unwrap();
        let sky = Sky::new(&zoned, noon);
        assert_eq!((sky.hour, sky.place), (1.0, 0.0));
        assert!((sky.now.hour_cosine + 1.0).abs() < 1e-5);
    }
}
