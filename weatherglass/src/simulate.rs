//! A made-up network: weather that could be, the same for the same seed.
//!
//! Every value is a function of seed, station and time, so history and live reports fit together
//! however often the demo is stopped and started. Pressure waves drift eastward; cloud and rain
//! come with their troughs; the sun, the season and the height do the rest.

pub(crate) mod post;

use std::f64::consts::TAU;

use weather::{Observation, Station, StationId, Time, Values, Variable, derived, sun};

/// What marks every made-up report.
pub(crate) const SOURCE: &str = "simulated";

/// A network of stations between the Adriatic, the Alps and the Pannonian plain.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    seed: u64,
    stations: Vec<Station>,
}

/// Names with degrees north and east and metres above sea level. The stations are made up, the
/// ground under them is not: a coast, valleys, a plain and two mountains.
const PLACES: [(&str, f64, f64, f32); 12] = [
    ("Harbour", 45.55, 13.73, 5.0),
    ("Lighthouse", 45.05, 13.63, 12.0),
    ("Summit Hut", 46.38, 13.84, 2070.0),
    ("Quarry", 46.62, 13.85, 510.0),
    ("North Ridge", 47.45, 13.62, 1260.0),
    ("Market Square", 47.07, 15.44, 353.0),
    ("Old Mill", 46.25, 15.27, 241.0),
    ("Vineyard Hill", 46.68, 15.99, 287.0),
    ("Orchard", 45.52, 15.31, 190.0),
    ("Airfield", 45.75, 16.07, 107.0),
    ("Reed Bay", 46.75, 17.25, 105.0),
    ("Solar Park", 45.63, 17.62, 148.0),
];

impl Network {
    /// `count` stations; beyond the named places they are scattered by the seed.
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        let station = |index: usize| {
            let (name, latitude, longitude, elevation) = match PLACES.get(index) {
                Some((name, latitude, longitude, elevation)) => ((*name).to_owned(), *latitude, *longitude, *elevation),
                None => {
                    let random = |channel| unit(seed, index as u64, channel, 0);
                    let elevation = (90.0 + 500.0 * random(90).powi(2)).round() as f32;
                    (format!("Field {}", index + 1), 45.6 + 3.0 * random(92), 13.9 + 7.0 * random(91), elevation)
                }
            };
            let id = StationId::new(&format!("SIM-{:02}", index + 1)).ok()?;
            Some(Station {
                name,
                latitude: Some((latitude * 1e4).round() / 1e4),
                longitude: Some((longitude * 1e4).round() / 1e4),
                elevation: Some(elevation),
                timezone: Some("Europe/Ljubljana".to_owned()),
                simulated: true,
                ..Station::unregistered(id)
            })
        };
        Self { seed, stations: (0..count).filter_map(station).collect() }
    }

    /// Every `step`th of its stations, as a network that reports the same.
    pub(crate) fn every(&self, step: usize) -> Self {
        Self { seed: self.seed, stations: self.stations.iter().step_by(step).cloned().collect() }
    }

    /// Its stations.
    pub(crate) fn stations(&self) -> &[Station] {
        &self.stations
    }

    /// What the station at `index` reports at `time`.
    pub(crate) fn observe(&self, index: usize, time: Time) -> Option<Observation> {
        let station = self.stations.get(index)?;
        let (latitude, longitude) = station.position()?;
        let state = self.state(index as u64, time, latitude, longitude, f64::from(station.elevation.unwrap_or(0.0)));
        Some(Observation { station: station.id.clone(), time, values: state.values(), source: Some(SOURCE.to_owned()) })
    }

    fn state(&self, index: u64, time: Time, latitude: f64, longitude: f64, elevation: f64) -> State {
        let noise = |channel, period: i64| self.smooth(index, channel, time, period);
        let days = time.unix() as f64 / 86_400.0;
        // Two waves, of 3.7 and 6.3 days, that move from west to east.
        let phase = |period: f64, degrees: f64, offset: f64| {
            TAU * (days / period - (longitude + 0.4 * latitude) / degrees + offset)
        };
        let shift = unit(self.seed, 0, 1, 0);
        let (short, long) = (phase(3.7, 22.0, shift), phase(6.3, 41.0, 2.0 * shift));
        let pressure = 1015.0 + 7.5 * short.sin() + 5.0 * long.sin() + 0.25 * noise(2, 3 * 3600);
        // Deep in the trough and just behind it, the sky closes.
        let trough = -(short - 0.5).sin() * 0.9 - long.sin() * 0.5 + 0.5 * noise(3, 5400);
        let cloud = 1.0 / (1.0 + (-3.0 * (trough - 0.15)).exp());
        let shower = (cloud - 0.72).max(0.0) * (0.7 + noise(4, 1500)).max(0.0);
        let rain_rate = if shower > 0.02 { 9.0 * shower } else { 0.0 };

        let solar_elevation = sun::elevation(time, latitude, longitude);
        let clear = sun::clear_sky(solar_elevation);
        let solar = clear * (1.0 - 0.75 * cloud.powf(3.4)) * (1.0 - 0.12 * cloud * (1.0 + noise(5, 600)));
        let season = -(TAU * (days.rem_euclid(365.2425) - 20.0) / 365.2425).cos();
        let noon_elevation = 90.0 - latitude + 23.4 * season;
        let local_hour = (days.fract() * 24.0 + longitude / 15.0).rem_euclid(24.0);
        let diurnal = (1.5 + 0.085 * noon_elevation) * (1.0 - 0.65 * cloud) * (TAU * (local_hour - 9.2) / 24.0).sin();
        let air_mass = 4.2 * (short + 1.9).sin() + 2.0 * (long + 1.0).sin();
        let temperature = 11.2 + 10.8 * season - 0.0065 * elevation + diurnal + air_mass - 1.5 * rain_rate.min(1.5)
            + 0.5 * noise(6, 7200)
            + 0.15 * noise(7, 600);
        let moisture = 7.0 * (1.0 - cloud) - 1.5 * air_mass / 6.0 + 1.5 * noise(8, 4 * 3600) + 1.4;
        let dew_point = temperature - (moisture + 0.55 * diurnal).max(0.2 + 1.2 * (1.0 - cloud));

        // The wind turns with the wave, freshens where pressure changes and by day.
        let change = 7.5 * short.cos().abs() + 3.0 * long.cos().abs();
        let day_mixing = 0.5 + 0.5 * (clear / 900.0).min(1.0);
        let exposure = 0.8 + (elevation / 900.0).min(1.2);
        let wind_speed = ((0.9 + 0.33 * change * day_mixing) * exposure * (1.0 + 0.28 * noise(9, 1200))
            + 0.3 * noise(10, 300))
        .max(0.0);
        let wind_direction =
            (225.0 + 70.0 * short.cos() + 22.0 * noise(11, 5400) + 8.0 * noise(12, 300)).rem_euclid(360.0);
        let wind_gust = wind_speed * (1.45 + 0.2 * noise(13, 600)) + 0.6 + 2.0 * shower;
        State {
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

    /// Smooth noise in about -1 to 1 that changes over `period` seconds.
    fn smooth(&self, index: u64, channel: u64, time: Time, period: i64) -> f64 {
        let step = time.unix().div_euclid(period);
        let part = time.unix().rem_euclid(period) as f64 / period as f64;
        let at = |n: i64| 2.0 * unit(self.seed, index + 1, channel, n) - 1.0;
        let weight = part * part * (3.0 - 2.0 * part);
        at(step) * (1.0 - weight) + at(step + 1) * weight
    }
}

struct State {
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
    /// In the standard atmosphere (ICAO), hPa.
    fn station_pressure(&self) -> f64 {
        self.pressure * (1.0 - 2.255_77e-5 * self.elevation).powf(5.255_88)
    }

    /// As an instrument would print it.
    fn values(&self) -> Values {
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

/// A number in 0..1 that depends on nothing but its arguments (splitmix64).
fn unit(seed: u64, index: u64, channel: u64, step: i64) -> f64 {
    let mut z = seed
        .wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(channel.wrapping_mul(0xD1B5_4A32_D192_ED03))
        .wrapping_add((step as u64).wrapping_mul(0x8CB9_2BA7_2F3D_8DD7));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use weather::{Admission, Flags, quality};

    #[test]
    fn every_report_is_possible_and_consistent() {
        let network = Network::new(7, 20);
        let start = Time::parse("2026-01-01T00:00:00Z").unwrap();
        for index in 0..20 {
            for hour in (0..365 * 24).step_by(7) {
                let time = start + hour * 3600;
                let observation = network.observe(index, time).unwrap();
                Admission::default().check(&observation, time).unwrap();
                assert_eq!(
                    quality::check(&observation.values, quality::Limits::standard()),
                    Flags::default(),
                    "{observation:?}"
                );
            }
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_weather_and_another_makes_another() {
        let time = Time::parse("2026-11-23T12:34:00Z").unwrap();
        let report = |seed| Network::new(seed, 3).observe(2, time).unwrap().values;
        assert_eq!(report(1), report(1));
        assert_ne!(report(1), report(2));
    }

    #[test]
    fn it_rains_sometimes_and_the_sun_sets() {
        let network = Network::new(1, 1);
        let start = Time::parse("2026-06-01T00:00:00Z").unwrap();
        let reports: Vec<Values> = (0..24 * 60).map(|h| network.observe(0, start + h * 3600).unwrap().values).collect();
        let wet = reports.iter().filter(|v| v.get(Variable::Precipitation) > Some(0.0)).count();
        assert!((30..500).contains(&wet), "{wet} wet hours of {}", reports.len());
        assert!(reports.iter().any(|v| v.get(Variable::SolarRadiation) == Some(0.0)));
    }
}
