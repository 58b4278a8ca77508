//! A made-up network: weather that could be, the same for the same seed.
//!
//! Every report is a function of seed, station and time, so history and live reports fit together however
//! often the demo is stopped and started. `weather.rs`: pressure waves drift eastward, cloud and rain come with
//! their troughs, and the sun, the season and the height do the rest. `fronts.rs`: cold and warm fronts move
//! across. On request stations fall silent (`gaps.rs`) or fail (`faults.rs`), and what was planted is written
//! down (`record.rs`). `post.rs` reports to a door.

mod faults;
mod fronts;
mod gaps;
pub(crate) mod post;
mod record;
mod weather;

use ::weather::{Observation, Station, StationId, Time};

use self::weather::{Place, State};
use faults::{Faults, Kind};
use fronts::Fronts;
use gaps::Gaps;

/// What marks every made-up report.
pub(crate) const SOURCE: &str = "simulated";

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

/// A part of the earth, degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Area {
    pub(crate) south: f64,
    pub(crate) west: f64,
    pub(crate) north: f64,
    pub(crate) east: f64,
}

impl Area {
    /// Between the Adriatic, the Alps and the Pannonian plain.
    const HOME: Self = Self { south: 45.6, west: 13.9, north: 48.6, east: 20.9 };

    /// `SOUTH,WEST,NORTH,EAST`.
    fn parse(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<f64>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[south, west, north, east])
                if -90.0 <= south
                    && south < north
                    && north <= 90.0
                    && -180.0 <= west
                    && west < east
                    && east <= 180.0 =>
            {
                Ok(Self { south, west, north, east })
            }
            _ => Err("SOUTH,WEST,NORTH,EAST in degrees, such as 45.6,13.9,48.6,20.9".to_owned()),
        }
    }

    fn middle(&self) -> (f64, f64) {
        ((self.south + self.north) / 2.0, (self.west + self.east) / 2.0)
    }
}

/// A network of stations.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    seed: u64,
    stations: Vec<Station>,
    fronts: Fronts,
    gaps: Option<Gaps>,
    faults: Option<Faults>,
}

impl Network {
    /// `count` stations; beyond the named places they are scattered by the seed.
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        Self::build(seed, count, Area::HOME, &PLACES)
    }

    /// `count` stations scattered over an area.
    pub(crate) fn over(seed: u64, count: usize, area: Area) -> Self {
        Self::build(seed, count, area, &[])
    }

    fn build(seed: u64, count: usize, area: Area, places: &[(&str, f64, f64, f32)]) -> Self {
        let timezone = (area == Area::HOME).then(|| "Europe/Ljubljana".to_owned());
        let station = |index: usize| {
            let (name, latitude, longitude, elevation) = match places.get(index) {
                Some((name, latitude, longitude, elevation)) => ((*name).to_owned(), *latitude, *longitude, *elevation),
                None => {
                    let random = |channel| unit(seed, index as u64, channel, 0);
                    let elevation = (90.0 + 500.0 * random(90).powi(2)).round() as f32;
                    let latitude = area.south + (area.north - area.south) * random(92);
                    (
                        format!("Field {}", index + 1),
                        latitude,
                        area.west + (area.east - area.west) * random(91),
                        elevation,
                    )
                }
            };
            let id = StationId::new(&format!("SIM-{:02}", index + 1)).ok()?;
            Some(Station {
                name,
                latitude: Some((latitude * 1e4).round() / 1e4),
                longitude: Some((longitude * 1e4).round() / 1e4),
                elevation: Some(elevation),
                timezone: timezone.clone(),
                simulated: true,
                ..Station::unregistered(id)
            })
        };
        let (latitude, longitude) = area.middle();
        let fronts = Fronts::new(seed, latitude, longitude);
        Self { seed, stations: (0..count).filter_map(station).collect(), fronts, gaps: None, faults: None }
    }

    /// With outages that take a share of the time, 0 to [`Gaps::MOST`].
    pub(crate) fn with_gaps(self, share: f64) -> Self {
        Self { gaps: Gaps::new(self.seed, share), ..self }
    }

    /// With faults of these kinds at a share of the stations, which report every `interval` seconds.
    pub(crate) fn with_faults(self, kinds: Vec<Kind>, share: f64, interval: i64) -> Self {
        Self { faults: Faults::new(self.seed, kinds, share, interval), ..self }
    }

    /// Every `step`th of its stations, as a network that reports the same.
    pub(crate) fn every(&self, step: usize) -> Self {
        let stations = self.stations.iter().step_by(step).cloned().collect();
        Self { stations, faults: None, gaps: None, ..*self }
    }

    /// Its stations.
    pub(crate) fn stations(&self) -> &[Station] {
        &self.stations
    }

    /// What a sound station at `index` measures at `time`.
    pub(crate) fn observe(&self, index: usize, time: Time) -> Option<Observation> {
        let station = self.stations.get(index)?;
        let (latitude, longitude) = station.position()?;
        let elevation = f64::from(station.elevation.unwrap_or(0.0));
        let place = Place { index: index as u64, latitude, longitude, elevation };
        let values = State::of(self.seed, &self.fronts, &place, time).values();
        Some(Observation { station: station.id.clone(), time, values, source: Some(SOURCE.to_owned()) })
    }

    /// What the station at `index` sends at `time`: a report, none, or two; right or wrong.
    pub(crate) fn report(&self, index: usize, time: Time) -> Vec<Observation> {
        let mut sent = Vec::new();
        let is_silent = |time| self.gaps.as_ref().is_some_and(|gaps| gaps.at(index, time).is_some());
        if let Some(late) = self.faults.as_ref().and_then(|faults| faults.late(index, time)) {
            let made = time - late.amount as i64;
            sent.extend(self.observe(index, made).filter(|_| !is_silent(made)));
        }
        let episode = self.faults.as_ref().and_then(|faults| faults.at(index, time));
        let is_late = episode.is_some_and(|episode| episode.kind == Kind::Late);
        let Some(mut observation) = self.observe(index, time).filter(|_| !is_late && !is_silent(time)) else {
            return sent;
        };
        if let Some(episode) = episode {
            let then = match episode.kind {
                Kind::Stuck => self.observe(index, episode.from).map(|then| then.values),
                _ => None,
            };
            episode.spoil(&mut observation, &then.unwrap_or_default());
            if episode.kind == Kind::Duplicate {
                sent.push(observation.clone());
            }
        }
        sent.push(observation);
        sent
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
mod tests;
