//! The weather of a place at a time.

use std::f64::consts::TAU;

use weather::{Time, Values, Variable, derived, sun};

use super::fronts::Fronts;
use super::unit;

/// The most moisture that the air near the ground takes up, as a dew point, °C.
const MUGGIEST: f64 = 28.0;

/// Where and how high a station is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The station's number in its network: whose noise it is.
    pub(crate) index: u64,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    /// m.
    pub(crate) elevation: f64,
}

/// Smooth noise in about -1 to 1 that changes over `period` seconds.
fn smooth(seed: u64, index: u64, channel: u64, time: Time, period: i64) -> f64 {
    let step = time.unix().div_euclid(period);
    let part = time.unix().rem_euclid(period) as f64 / period as f64;
    let at = |n: i64| 2.0 * unit(seed, index + 1, channel, n) - 1.0;
    let weight = part * part * (3.0 - 2.0 * part);
    at(step) * (1.0 - weight) + at(step + 1) * weight
}

/// What is measured at a place.
pub(crate) struct State {
    temperature: f64,
    dew_point: f64,
    pressure: f64,
    elevation: f64,
    wind_speed: f64,
    wind_direction: f64,
    wind_gust: f64,
    rain_rate: f64,
    solar: f64,
    cloud: f64,
}

impl State {
    /// The weather of `seed` at a place and time.
    pub(crate) fn of(seed: u64, fronts: &Fronts, place: &Place, time: Time) -> Self {
        let Place { index, latitude, longitude, elevation } = *place;
        let noise = |channel, period: i64| smooth(seed, index, channel, time, period);
        let days = time.unix() as f64 / 86_400.0;
        let front = fronts.effect(latitude, longitude, time);
        // Two waves, of 3.7 and 6.3 days, that move from west to east.
        let phase = |period: f64, degrees: f64, offset: f64| {
            TAU * (days / period - (longitude + 0.4 * latitude) / degrees + offset)
        };
        let shift = unit(seed, 0, 1, 0);
        let (short, long) = (phase(3.7, 22.0, shift), phase(6.3, 41.0, 2.0 * shift));
        let pressure = 1015.0 + 6.5 * short.sin() + 5.0 * long.sin() + front.pressure + 0.25 * noise(2, 3 * 3600);
        // Deep in the trough and just behind it, and along a front, the sky closes.
        let trough = -(short - 0.5).sin() * 0.9 - long.sin() * 0.5 + 0.5 * noise(3, 5400);
        let open = 1.0 / (1.0 + (-3.0 * (trough - 0.15)).exp());
        let cloud = open + (1.0 - open) * front.cloud;
        let shower = (open - 0.72).max(0.0) * (0.7 + noise(4, 1500)).max(0.0);
        let band = front.rain * (0.75 + 0.5 * noise(4, 1500)).max(0.0);
        let showers = if shower > 0.02 { 9.0 * shower } else { 0.0 };
        let rain_rate = showers + if band > 0.1 { band } else { 0.0 };

        let clear = sun::clear_sky(sun::elevation(time, latitude, longitude));
        let solar = clear * (1.0 - 0.75 * cloud.powf(3.4)) * (1.0 - 0.12 * cloud * (1.0 + noise(5, 600)));
        let north = if latitude < 0.0 { -1.0 } else { 1.0 };
        let season = -north * (TAU * (days.rem_euclid(365.2425) - 20.0) / 365.2425).cos();
        let noon_elevation = (90.0 - latitude.abs() + 23.4 * season).max(0.0);
        let local_hour = (days.fract() * 24.0 + longitude / 15.0).rem_euclid(24.0);
        let diurnal = (1.5 + 0.085 * noon_elevation) * (1.0 - 0.65 * cloud) * (TAU * (local_hour - 9.2) / 24.0).sin();
        let air_mass = 3.2 * (short + 1.9).sin() + 1.8 * (long + 1.0).sin() + front.temperature;
        let temperature = climate(latitude) + 10.8 * (latitude.abs() / 46.5).min(1.5) * season - 0.0065 * elevation
            + diurnal
            + air_mass
            - 1.5 * showers.min(1.5)
            - 0.4 * (rain_rate - showers).min(2.0)
            + 0.5 * noise(6, 7200)
            + 0.15 * noise(7, 600);
        let moisture = 7.0 * (1.0 - cloud) - 1.5 * air_mass / 6.0 + 1.5 * noise(8, 4 * 3600) + 1.4;
        let dew_point = (temperature - (moisture + 0.55 * diurnal).max(0.2 + 1.2 * (1.0 - cloud))).min(MUGGIEST);

        // The wind turns with the waves and the fronts, freshens where pressure changes and by day.
        let change = 7.5 * short.cos().abs() + 3.0 * long.cos().abs();
        let day_mixing = 0.5 + 0.5 * (clear / 900.0).min(1.0);
        let exposure = 0.8 + (elevation / 900.0).min(1.2);
        let wind_speed = ((0.9 + 0.33 * change * day_mixing + front.wind) * exposure * (1.0 + 0.28 * noise(9, 1200))
            + 0.3 * noise(10, 300))
        .max(0.0);
        let turned = 70.0 * short.cos() * north + front.veer;
        let wind_direction = (225.0 + turned + 22.0 * noise(11, 5400) + 8.0 * noise(12, 300)).rem_euclid(360.0);
        let wind_gust = wind_speed * (1.45 + 0.2 * noise(13, 600)) + 0.6 + 2.0 * shower + 0.5 * front.wind;
        Self {
            temperature,
            dew_point,
            pressure,
            elevation,
            wind_speed,
            wind_direction,
            wind_gust,
            rain_rate,
            solar,
            cloud,
        }
    }

    /// In the standard atmosphere (ICAO), hPa.
    fn station_pressure(&self) -> f64 {
        self.pressure * (1.0 - 2.255_77e-5 * self.elevation).powf(5.255_88)
    }

    /// As an instrument would print it.
    pub(crate) fn values(&self) -> Values {
        let rounded = |value: f64, steps: f64| ((value * steps).round() / steps) as f32;
        let (t, td) = (self.temperature as f32, self.dew_point as f32);
        let mut values: Values = [
            (Variable::Temperature, rounded(self.temperature, 10.0)),
            (Variable::DewPoint, rounded(self.dew_point, 10.0)),
            (Variable::RelativeHumidity, derived::relative_humidity(t, td).round()),
            (Variable::PressureMsl, rounded(self.pressure, 10.0)),
            (Variable::PressureStation, rounded(self.station_pressure(), 10.0)),
            (Variable::WindSpeed, rounded(self.wind_speed, 10.0)),
            (Variable::WindGust, rounded(self.wind_gust.max(self.wind_speed), 10.0)),
            (Variable::Precipitation, rounded(self.rain_rate, 10.0)),
            (Variable::PrecipitationPeriod, 3600.0),
            (Variable::SolarRadiation, rounded(self.solar, 1.0)),
            (Variable::CloudCover, rounded(100.0 * self.cloud, 0.2)),
        ]
        .into_iter()
        .collect();
        // A calm has no direction.
        if self.wind_speed >= 0.5 {
            values.set(Variable::WindDirection, rounded(self.wind_direction, 0.2));
        }
        values
    }
}

/// The mean temperature of the year at sea level, °C, about: warm at the equator, 11 °C on the 46th parallel,
/// cold at the poles.
fn climate(latitude: f64) -> f64 {
    -3.0 + 30.0 * latitude.to_radians().cos().powi(2) - 0.3 * (latitude.abs() - 60.0).max(0.0)
}
