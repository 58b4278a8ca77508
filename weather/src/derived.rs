//! Quantities computed from measured ones.

/// Dew point, °C, from temperature, °C, and relative humidity, %: the Magnus form with the
/// coefficients of Alduchov and Eskridge (1996), over water.
///
/// Humidity is held to 1-100 %: a sensor that reads 0 has failed, and its logarithm is no number.
#[must_use]
pub fn dew_point(temperature: f32, relative_humidity: f32) -> f32 {
    let gamma = (relative_humidity.clamp(1.0, 100.0) / 100.0).ln() + 17.625 * temperature / (243.04 + temperature);
    243.04 * gamma / (17.625 - gamma)
}

/// Relative humidity, %, from temperature and dew point, °C (Alduchov and Eskridge 1996).
#[must_use]
pub fn relative_humidity(temperature: f32, dew_point: f32) -> f32 {
    let exponent = |t: f32| 17.625 * t / (243.04 + t);
    (100.0 * (exponent(dew_point) - exponent(temperature)).exp()).min(100.0)
}

/// Vapour pressure, hPa, at the dew point, °C (Alduchov and Eskridge 1996, over water).
#[must_use]
pub fn vapour_pressure(dew_point: f32) -> f32 {
    6.1094 * (17.625 * dew_point / (243.04 + dew_point)).exp()
}

/// Pressure reduced to mean sea level, hPa (WMO-8, part I, 3.11), from station pressure, hPa,
/// elevation, m, temperature, °C, and vapour pressure, hPa.
#[must_use]
pub fn pressure_msl(station_pressure: f32, elevation: f32, temperature: f32, vapour_pressure: f32) -> f32 {
    let column = temperature + 273.15 + 0.00325 * elevation + 0.12 * vapour_pressure;
    station_pressure * 10f32.powf(0.014_827_5 * elevation / column)
}

/// Pressure of the station, hPa, from its altimeter setting (QNH), hPa, and elevation, m: the standard
/// atmosphere of ICAO Doc 7488 from the setting's level up, which is how the setting is defined.
#[must_use]
pub fn station_pressure(altimeter_setting: f32, elevation: f32) -> f32 {
    // Lapse rate times the gas constant of dry air over gravity.
    const POWER: f32 = 0.190_263;
    let lost = 1013.25_f32.powf(POWER) * 0.0065 * elevation / 288.15;
    (altimeter_setting.powf(POWER) - lost).max(0.0).powf(1.0 / POWER)
}

/// East and north components (u, v), m/s, of a wind of `speed` m/s that comes *from* `direction` degrees.
#[must_use]
pub fn wind_components(speed: f32, direction: f32) -> (f32, f32) {
    let (sin, cos) = direction.to_radians().sin_cos();
    (-speed * sin, -speed * cos)
}

/// The direction, degrees in (0, 360], that a wind with components (u, v) comes from.
#[must_use]
pub fn wind_direction(u: f32, v: f32) -> f32 {
    let degrees = (-u).atan2(-v).to_degrees().rem_euclid(360.0);
    if degrees == 0.0 { 360.0 } else { degrees }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(found: f32, expected: f32, tolerance: f32) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }

    #[test]
    fn dew_points() {
        for (t, rh, expected) in [
            (25.0, 60.0, 16.698),
            (0.0, 80.0, -3.039),
            (-20.0, 60.0, -25.779),
            (40.0, 10.0, 2.624),
            (10.0, 100.0, 10.0),
        ] {
            near(dew_point(t, rh), expected, 0.002);
        }
        assert!(dew_point(20.0, 0.0).is_finite());
    }

    #[test]
    fn humidities() {
        for (t, td, expected) in [(25.0, 15.0, 53.86), (30.0, 10.0, 28.97), (-10.0, -12.0, 85.27)] {
            near(relative_humidity(t, td), expected, 0.05);
        }
    }

    #[test]
    fn sea_level_pressures() {
        for (p, h, t, e, expected) in [
            (950.0, 500.0, 15.0, 10.0, 1007.40),
            (900.0, 1000.0, 0.0, 4.0, 1018.11),
            (1003.0, 85.0, -10.0, 2.0, 1014.10),
        ] {
            near(pressure_msl(p, h, t, e), expected, 0.02);
        }
    }

    #[test]
    fn station_pressures() {
        // MetPy's vectors; it begins at 288 K, and adds the 0.3 hPa of the Smithsonian tables, which no QNH has.
        for (setting, elevation, expected) in
            [(1009.144, 500.0, 950.965), (1000.0, 2000.0, 784.263), (1010.0, 1000.0, 896.038), (1013.0, 500.0, 954.639)]
        {
            near(station_pressure(setting, elevation), expected - 0.3, 0.15);
        }
        near(station_pressure(1013.0, 0.0), 1013.0, 0.01);
    }

    #[test]
    fn winds() {
        let (u, v) = wind_components(8.0, 150.0);
        near(u, -4.0, 1e-4);
        near(v, 6.9282, 1e-4);
        near(wind_direction(3.0, 4.0), 216.870, 1e-3);
        near(wind_direction(0.0, -1.0), 360.0, 1e-4);
    }

    #[test]
    fn vapour_pressure_at_twenty() {
        near(vapour_pressure(20.0), 23.3344, 0.001);
    }
}
