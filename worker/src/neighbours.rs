//! What the stations around one say: the spatial test of quality control.
//!
//! Neighbours may be of any partition, so where stations are is read from all of them now and then, and
//! what foreign ones said last is read when it is needed and remembered for a moment.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rstar::RTree;
use rstar::primitives::GeomWithData;
use streams::{Error, Redis};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use weather::quality::limits::Networks;
use weather::quality::spatial::{Elsewhere, buddy};
use weather::quality::{Flag, Flags, Limits};
use weather::{Sample, StationId, Time, Values, Variable};

use crate::windows::{Remembered, Windows};

/// Neighbours that a station is held against: the nearest.
const MOST: usize = 8;
/// How long what a foreign neighbour said is taken for its newest.
const FRESH: Duration = Duration::from_secs(30);
/// How long it is taken for silent.
const SILENT: Duration = Duration::from_secs(1);
/// Foreign neighbours that are remembered.
const MOST_REMEMBERED: usize = 100_000;
/// Time between looks at where stations are; more with many of them.
const LOOK: Duration = Duration::from_secs(60);
/// Time between news and the look.
const SETTLE: Duration = Duration::from_secs(1);
/// The mean radius of the Earth (IUGG), m.
const EARTH: f64 = 6_371_008.8;

/// Where every station is that has told.
#[derive(Debug, Default)]
pub(crate) struct Places {
    tree: RTree<GeomWithData<[f64; 3], usize>>,
    stations: Vec<(StationId, Option<f32>)>,
}

impl Places {
    fn new(placed: impl IntoIterator<Item = (StationId, f64, f64, Option<f32>)>) -> Self {
        let (mut points, mut stations) = (Vec::new(), Vec::new());
        for (id, latitude, longitude, elevation) in placed {
            points.push(GeomWithData::new(on_sphere(latitude, longitude), stations.len()));
            stations.push((id, elevation));
        }
        Self { tree: RTree::bulk_load(points), stations }
    }

    /// The nearest others, with their heights, m.
    fn around(
        &self,
        id: &StationId,
        position: (f64, f64),
        height: Option<f32>,
        limits: &Limits,
    ) -> Vec<(&StationId, Option<f32>)> {
        let spatial = limits.spatial;
        // The chord of the arc; beyond a quarter of the Earth nothing is a neighbour.
        let chord = 2.0 * (spatial.radius.clamp(0.0, 1e7) / EARTH / 2.0).sin();
        let level = |other: Option<f32>| match (height, other) {
            (Some(here), Some(there)) => (here - there).abs() <= spatial.most_height,
            _ => true,
        };
        self.tree
            .nearest_neighbor_iter_with_distance_2(on_sphere(position.0, position.1))
            .take_while(|(_, squared)| *squared <= chord * chord)
            .filter_map(|(point, _)| self.stations.get(point.data))
            .filter(|(other, elevation)| other != id && level(*elevation))
            .take(MOST)
            .map(|(other, elevation)| (other, *elevation))
            .collect()
    }
}

/// Latitude and longitude, degrees, as a point of the unit sphere.
fn on_sphere(latitude: f64, longitude: f64) -> [f64; 3] {
    let ((sin_lat, cos_lat), (sin_lon, cos_lon)) = (latitude.to_radians().sin_cos(), longitude.to_radians().sin_cos());
    [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat]
}

/// Keeps the places up to date until shutdown; `moved` says that there is news.
pub(crate) async fn watch_places(
    redis: Redis,
    places: watch::Sender<Arc<Places>>,
    moved: Arc<Notify>,
    shutdown: CancellationToken,
) {
    let work = async {
        let mut settle = SETTLE;
        loop {
            let pause = match read_places(&redis).await {
                Ok(read) => {
                    let many = Duration::from_millis(read.stations.len() as u64);
                    places.send_replace(Arc::new(read));
                    let pause = LOOK.max(many);
                    settle = SETTLE.max(many);
                    pause
                }
                Err(error) => {
                    crate::metrics::redis_error(&error);
                    warn!(%error, "could not read where stations are; what was known stays");
                    LOOK
                }
            };
            if tokio::time::timeout(pause, moved.notified()).await.is_ok() {
                // A network is described station by station: one look for all of them.
                tokio::time::sleep(settle).await;
            }
        }
    };
    shutdown.run_until_cancelled(work).await;
}

async fn read_places(redis: &Redis) -> Result<Places, Error> {
    let mut placed = Vec::new();
    for partition in 0..redis.keys().partitions() {
        let stations = redis.descriptions(partition).await?;
        placed.extend(stations.into_iter().filter_map(|station| {
            let (latitude, longitude) = station.position()?;
            Some((station.id, latitude, longitude, station.elevation))
        }));
    }
    let places = Places::new(placed);
    info!(stations = places.stations.len(), "know where stations are");
    Ok(places)
}

/// What a station said last.
#[derive(Clone, Copy, Debug)]
struct Said {
    time: Time,
    values: Values,
    flags: Flags,
}

impl From<&Sample> for Said {
    fn from(sample: &Sample) -> Self {
        Self { time: sample.time, values: sample.values, flags: sample.flags }
    }
}

/// The spatial test, with what it remembers of foreign neighbours.
pub(crate) struct Neighbours {
    places: watch::Receiver<Arc<Places>>,
    networks: Arc<Networks>,
    foreign: HashMap<StationId, (Instant, Option<Said>)>,
}

/// What the neighbours say of a station's newest observation.
pub(crate) type Found = Vec<(Variable, Flag)>;

impl Neighbours {
    pub(crate) fn new(places: watch::Receiver<Arc<Places>>, networks: Arc<Networks>) -> Self {
        Self { places, networks, foreign: HashMap::new() }
    }

    /// Judges the newest observation of each of these stations.
    ///
    /// # Errors
    /// When Redis can't say what foreign neighbours said.
    pub(crate) async fn judge(
        &mut self,
        redis: &Redis,
        windows: &Windows,
        stations: Vec<StationId>,
    ) -> Result<Vec<(StationId, Found)>, Error> {
        let places = Arc::clone(&self.places.borrow());
        if places.stations.len() < 2 {
            return Ok(Vec::new());
        }
        let mut around = Vec::new();
        for id in stations {
            let Some(remembered) = windows.get(&id) else { continue };
            let Some(position) = remembered.station.position() else { continue };
            let limits = self.networks.of(id.as_str());
            let near = places.around(&id, position, remembered.station.elevation, limits);
            if near.len() >= limits.spatial.least_neighbours {
                around.push((id, near));
            }
        }
        self.read_foreign(redis, windows, around.iter().flat_map(|(_, near)| near).map(|(id, _)| *id)).await?;
        let judged = around.into_iter().filter_map(|(id, near)| {
            let found = self.found(windows.get(&id)?, windows, &near);
            Some((id, found))
        });
        Ok(judged.collect())
    }

    async fn read_foreign(
        &mut self,
        redis: &Redis,
        windows: &Windows,
        wanted: impl Iterator<Item = &StationId>,
    ) -> Result<(), Error> {
        let fresh =
            |(read, said): &(Instant, Option<Said>)| read.elapsed() < if said.is_some() { FRESH } else { SILENT };
        let missing: BTreeSet<&StationId> =
            wanted.filter(|id| windows.get(id).is_none() && !self.foreign.get(*id).is_some_and(fresh)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<StationId> = missing.into_iter().cloned().collect();
        let now = Instant::now();
        if self.foreign.len() + missing.len() > MOST_REMEMBERED {
            self.foreign.retain(|_, read| fresh(read));
        }
        if self.foreign.len() + missing.len() > MOST_REMEMBERED {
            self.foreign.clear();
        }
        let said = redis.newest(&missing).await?;
        for (id, received) in missing.into_iter().zip(said) {
            let said =
                received.map(|r| Said { time: r.observation.time, values: r.observation.values, flags: r.flags });
            self.foreign.insert(id, (now, said));
        }
        Ok(())
    }

    fn said(&self, windows: &Windows, id: &StationId) -> Option<Said> {
        match windows.get(id) {
            Some(remembered) => remembered.window.newest().map(Said::from),
            None => self.foreign.get(id).and_then(|(_, said)| *said),
        }
    }

    fn found(&self, this: &Remembered, windows: &Windows, near: &[(&StationId, Option<f32>)]) -> Found {
        let Some(newest) = this.window.newest() else { return Vec::new() };
        let limits = self.networks.of(this.station.id.as_str());
        let said: Vec<(Said, Option<f32>)> = near
            .iter()
            .filter_map(|(id, elevation)| Some((self.said(windows, id)?, *elevation)))
            .filter(|(said, _)| (said.time - newest.time).abs() <= limits.spatial.most_seconds)
            .collect();
        let judged = newest.values.iter().filter_map(|(variable, value)| {
            let rule = limits.of(variable).buddy.as_ref()?;
            let others: Vec<Elsewhere> = said
                .iter()
                .filter(|(said, _)| said.flags.usable(variable))
                .filter_map(|(said, elevation)| {
                    Some(Elsewhere { value: said.values.get(variable)?, elevation: *elevation })
                })
                .collect();
            let here = Elsewhere { value, elevation: this.station.elevation };
            Some((variable, buddy(here, &others, limits.spatial.least_neighbours, rule)))
        });
        judged.filter(|(_, flag)| matches!(flag, Flag::Suspect | Flag::Fail)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> StationId {
        StationId::new(text).unwrap()
    }

    #[test]
    fn neighbours_are_the_nearest_at_about_the_same_height_and_across_the_date_line() {
        let places = Places::new([
            (id("HERE"), 0.0, 179.95, Some(10.0)),
            (id("EAST"), 0.0, -179.95, Some(20.0)),
            (id("NORTH"), 0.1, 179.95, None),
            (id("SUMMIT"), 0.0, 179.96, Some(900.0)),
            (id("FAR"), 0.0, 179.0, Some(10.0)),
        ]);
        let near = places.around(&id("HERE"), (0.0, 179.95), Some(10.0), Limits::standard());
        let names: Vec<&str> = near.iter().map(|(id, _)| id.as_str()).collect();
        // A tenth of a degree is 11.1 km; both are within 30 km.
        assert_eq!(names.iter().collect::<BTreeSet<_>>(), BTreeSet::from([&"EAST", &"NORTH"]));
    }
}
