//! The owner's memory of its stations: a cache of windows whose truth is in Redis.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ::metrics::{counter, gauge};
use streams::{Delivery, Entry, Error, Keys, Partition, Redis, StreamId};
use tokio::sync::Notify;
use tracing::error;
use weather::quality::limits::Networks;
use weather::{Change, Flags, Station, StationId, Time, Window};

use crate::metrics;
use crate::neighbours::Found;
use crate::tally::Tally;

/// Observations kept in memory over all stations, about 100 bytes each: most of a gigabyte.
const MOST_SAMPLES: usize = 8_000_000;

/// A station as its owner remembers it.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) station: Station,
    pub(crate) window: Window,
    loaded: u64,
    last_used: u64,
}

/// What a batch did to one station.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Hours of its window to be written; an hour that the window no longer reaches is deleted.
    pub(crate) hours: BTreeSet<i64>,
    /// The entry that altered it last, which causes the forecast.
    pub(crate) cause: Option<StreamId>,
    /// The bytes of the newest observation, if it changed.
    pub(crate) newest: Option<Vec<u8>>,
    /// When ingest had the observation that altered it last, milliseconds since 1970.
    pub(crate) received: Option<i64>,
    /// Observations of which quality control says something else than was told of them.
    pub(crate) judged: BTreeSet<Time>,
}

impl Touched {
    /// Notes that the flags of an observation are others now, which had `before`.
    pub(crate) fn note_judged(&mut self, window: &Window, time: Time, before: Flags, tally: &mut Tally) {
        self.hours.insert(time.hour());
        self.judged.insert(time);
        if let Some(sample) = window.at(time) {
            tally.flagged(before, sample.flags);
        }
    }
}

/// Windows by station, at most so many.
#[derive(Debug)]
pub(crate) struct Windows {
    stations: HashMap<StationId, Remembered>,
    /// Observations of all of them, those lent out included: counting them anew with every batch would
    /// make a batch dearer the more stations there are.
    samples: usize,
    most: usize,
    clock: u64,
    networks: Arc<Networks>,
    /// Told when a station has told where it is.
    moved: Arc<Notify>,
}

impl Windows {
    pub(crate) fn new(most: usize, networks: Arc<Networks>, moved: Arc<Notify>) -> Self {
        Self { stations: HashMap::new(), samples: 0, most: most.max(1), clock: 0, networks, moved }
    }

    /// What is remembered of a station.
    pub(crate) fn get(&self, station: &StationId) -> Option<&Remembered> {
        self.stations.get(station)
    }

    /// Enters what the neighbours of a station say of its newest observation.
    pub(crate) fn judge_by_neighbours(&mut self, id: &StationId, found: &Found, note: &mut Touched, tally: &mut Tally) {
        let Some(Remembered { window, .. }) = self.stations.get_mut(id) else { return };
        if let Some((time, before)) = window.judge_newest_by_neighbours(found) {
            note.note_judged(window, time, before, tally);
        }
    }

    /// Reads the windows of those stations that are not remembered.
    pub(crate) async fn load(
        &mut self,
        redis: &Redis,
        stations: impl Iterator<Item = &StationId>,
    ) -> Result<(), Error> {
        self.clock += 1;
        let mut missing = BTreeSet::new();
        for id in stations {
            match self.stations.get_mut(id) {
                Some(remembered) => remembered.last_used = self.clock,
                None => {
                    missing.insert(id.clone());
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<StationId> = missing.into_iter().collect();
        let (read, described) = tokio::try_join!(redis.windows(&missing), redis.stations(&missing))?;
        if read.unreadable > 0 {
            error!(hours = read.unreadable, "hours of windows are unreadable and left out");
            counter!(metrics::UNREADABLE).increment(read.unreadable as u64);
        }
        for ((id, window), station) in missing.into_iter().zip(read.windows).zip(described) {
            let station = station.unwrap_or_else(|| Station::unregistered(id.clone()));
            self.samples += window.samples().len();
            self.stations.insert(id, Remembered { station, window, loaded: self.clock, last_used: self.clock });
        }
        Ok(())
    }

    /// Applies one entry to its station, which has been loaded.
    pub(crate) fn apply(
        &mut self,
        delivery: &Delivery,
        entry: &Entry,
        touched: &mut HashMap<StationId, Touched>,
        tally: &mut Tally,
    ) {
        let Some(remembered) = self.stations.get_mut(entry.station()) else { return };
        match entry {
            Entry::Removed(id) => {
                self.samples -= remembered.window.samples().len();
                (remembered.window, remembered.station) = (Window::default(), Station::unregistered(id.clone()));
                // What the batch had done to it before is gone with it.
                touched.remove(id);
            }
            Entry::Station(station) => {
                // What has just been loaded may hold this very description already, without its forecast.
                let changed = remembered.station != *station || remembered.loaded == self.clock;
                remembered.station = station.clone();
                if changed {
                    self.moved.notify_one();
                }
                // A place is an input of the model: knowing it better changes the forecast.
                if changed && remembered.window.newest().is_some() {
                    touched.entry(station.id.clone()).or_default().cause = Some(delivery.id);
                }
            }
            Entry::Observation(received) => {
                let window = &mut remembered.window;
                let oldest = |window: &Window| window.samples().first().map(|s| s.time.hour());
                let oldest_before = oldest(window);
                let before = window.samples().len();
                let limits = self.networks.of(received.observation.station.as_str());
                let station = &remembered.station;
                let (change, judged) = window.observe(&received.observation, received.flags, station, limits);
                self.samples = self.samples + window.samples().len() - before;
                tally.observed(change);
                if !change.altered() {
                    return;
                }
                let note = touched.entry(received.observation.station.clone()).or_default();
                if note.received.is_some() {
                    tally.conflated += 1;
                }
                note.hours.insert(received.observation.time.hour());
                for (time, before) in judged {
                    note.note_judged(window, time, before, tally);
                }
                // The hours that the window has just left behind.
                if let (Some(before), Some(now)) = (oldest_before, oldest(window)) {
                    note.hours.extend((before..now).take(weather::WINDOW_HOURS as usize));
                }
                note.cause = Some(delivery.id);
                note.received = Some(received.received);
                let newest = window.newest().is_some_and(|s| s.time == received.observation.time);
                if newest || change == Change::Newest {
                    note.newest = Some(delivery.bytes.clone());
                }
            }
        }
    }

    /// Lends out what is remembered of a station; [`Windows::put_back`] returns it.
    pub(crate) fn take(&mut self, station: &StationId) -> Option<Remembered> {
        self.stations.remove(station)
    }

    /// Returns what was lent out.
    pub(crate) fn put_back(&mut self, remembered: Remembered) {
        self.stations.insert(remembered.station.id.clone(), remembered);
    }

    /// Forgets stations whose commit failed: what is in Redis counts.
    pub(crate) fn forget<'a>(&mut self, stations: impl Iterator<Item = &'a StationId>) {
        for station in stations {
            if let Some(forgotten) = self.stations.remove(station) {
                self.samples -= forgotten.window.samples().len();
            }
        }
    }

    /// Forgets the stations of partitions that somebody else may have written meanwhile.
    pub(crate) fn forget_partitions(&mut self, keys: &Keys, partitions: &[Partition]) {
        if !partitions.is_empty() {
            self.stations.retain(|id, _| !partitions.contains(&keys.partition_of(id)));
            self.count();
        }
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&mut self) {
        self.stations.clear();
        self.samples = 0;
    }

    fn count(&mut self) {
        self.samples = self.stations.values().map(|r| r.window.samples().len()).sum();
    }

    /// Keeps to the limit by forgetting what has not been used for longest.
    pub(crate) fn shrink(&mut self) {
        // Stations that report every minute weigh as much as sixty hourly ones.
        let most = if self.samples > MOST_SAMPLES { self.most.min(self.stations.len() / 2).max(1) } else { self.most };
        if self.stations.len() > most {
            let mut used: Vec<u64> = self.stations.values().map(|r| r.last_used).collect();
            // A tenth more than needed, so that not every batch has to search.
            let excess = (self.stations.len() - most + most / 10).min(used.len() - 1);
            let bound = *used.select_nth_unstable(excess).1;
            self.stations.retain(|_, r| r.last_used >= bound);
            self.count();
        }
        gauge!(metrics::CACHED).set(self.stations.len() as f64);
    }
}
