//! Where the sun stands, and how much of it would reach the ground under a clear sky.

use solar_positioning::time::JulianDate;
use solar_positioning::{Location, SolarPositions};

use crate::time::Time;

/// TT minus UT1 in seconds; it has been within a second of this since 2010, and a second moves the
/// sun by 0.004°.
const DELTA_T: f64 = 69.0;

/// Elevation of the sun's centre above the horizon in degrees, without refraction.
///
/// Grena (2012) algorithm 3, accurate to 0.01° from 2010 to 2110; NREL's slower SPA outside those
/// years. A place or time that neither takes has the sun on the horizon.
#[must_use]
pub fn elevation(time: Time, latitude: f64, longitude: f64) -> f64 {
    #[allow(clippy::cast_precision_loss)] // exact for the next 285 million years
    let julian = 2_440_587.5 + time.unix() as f64 / 86_400.0;
    let location = Location { latitude: latitude.clamp(-90.0, 90.0), longitude: longitude.clamp(-180.0, 180.0) };
    JulianDate::new(julian, DELTA_T)
        .and_then(|date| {
            let fast = SolarPositions::grena3().at_from_julian(date, location, 0.0, None);
            fast.or_else(|_| SolarPositions::new().at_from_julian(date, location, 0.0, None))
        })
        .map_or(0.0, |position| position.elevation_angle())
}

/// Global horizontal radiation under a clear sky, W/m² (Haurwitz 1945), at a solar elevation in degrees.
#[must_use]
pub fn clear_sky(elevation: f64) -> f64 {
    let sine = elevation.to_radians().sin();
    if sine <= 0.0 { 0.0 } else { 1098.0 * sine * (-0.059 / sine).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elevations_of_pvlib_and_spa() {
        for (time, latitude, longitude, expected) in [
            ("2003-10-17T19:30:30Z", 39.742_476, -105.178_6, 39.872_046),
            ("2026-06-21T12:00:00Z", 52.0, 5.0, 90.0 - 28.775),
            ("2026-12-21T12:00:00Z", 52.0, 5.0, 90.0 - 75.592),
            ("2026-11-23T15:00:00Z", 0.0, 0.0, 90.0 - 51.520),
        ] {
            let found = elevation(Time::parse(time).unwrap(), latitude, longitude);
            assert!((found - expected).abs() < 0.02, "{time}: {found} is not {expected}");
        }
    }

    #[test]
    fn clear_skies_of_pvlib() {
        for (elevation, expected) in [(5.0, 48.63), (30.0, 487.89), (90.0, 1035.09), (0.0, 0.0), (-10.0, 0.0)] {
            assert!((clear_sky(elevation) - expected).abs() < 0.01);
        }
    }

    #[test]
    fn absurd_places_do_not_panic() {
        assert!(elevation(Time::from_unix(i64::MAX), 91.0, f64::NAN).is_finite());
    }
}
