//! The latest state of every station, and the place where updates meet subscriptions.
//!
//! One lock guards both, so that a subscription's snapshot and its first update join without a gap
//! or a double. Nothing waits while holding it: sessions have queues that never refuse.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{counter, gauge};
use streams::query::PartitionState;
use streams::tail::Payload;
use streams::{Entry, Log, Partition, Received, StreamId};
use weather::{StationId, Time};

use crate::frames::{Channel, Channels, Cursor, ForecastFrame, ObservationFrame, ServerFrame, StationFrame};
use crate::interest::{Interests, Key};
use crate::metrics::{STATIONS, UNREADABLE, UPDATES};
use crate::outbox::{Item, Outbox, Update};
use crate::record::Record;
use crate::shape::{self, State};
use crate::subscribe::{Resume, Selection, Subscription};

/// How far beyond the newest entry a cursor may be: another api process may be that much ahead.
const AHEAD_MILLISECONDS: u64 = 60_000;

/// The last entry of each stream that the hub has taken in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Applied {
    streams: HashMap<(Partition, Log), StreamId>,
    // Of streams that have brought nothing since the start.
    start: StreamId,
}

impl Applied {
    /// Whether the hub has taken in the entry; what it has not, it will hand out as an update.
    #[must_use]
    pub(crate) fn includes(&self, partition: Partition, log: Log, id: StreamId) -> bool {
        id <= self.streams.get(&(partition, log)).copied().unwrap_or(self.start)
    }
}

/// One station's state, as it was when the hub's lock was held.
#[derive(Debug)]
pub(crate) struct Held {
    /// What is known of it.
    pub(crate) station: shape::Station,
    /// Its newest observation.
    pub(crate) observation: Option<Arc<Received>>,
    /// Its latest forecast.
    pub(crate) forecast: Option<Arc<weather::Forecast>>,
    /// Seconds between its reports.
    pub(crate) cadence: i64,
}

/// The state that a subscription begins with.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Of which subscription.
    pub(crate) id: String,
    /// By station identifier.
    pub(crate) stations: Vec<Held>,
    /// Where it stands.
    pub(crate) cursor: Cursor,
}

/// What has to be read to bring a returning client up to where its updates begin.
#[derive(Debug)]
pub(crate) struct Recovery {
    /// The subscription, already receiving.
    pub(crate) subscription: Arc<Subscription>,
    /// Where the client stopped; none when that can't be known.
    pub(crate) from: Option<Cursor>,
    /// Entries beyond these come as updates.
    pub(crate) applied: Applied,
    /// Where the hub stood.
    pub(crate) cursor: Cursor,
}

#[derive(Default)]
struct Inner {
    stations: BTreeMap<StationId, Record>,
    interests: Interests,
    sequence: u64,
    keys: Key,
    position: Cursor,
    applied: Applied,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Hub {
    inner: Mutex<Inner>,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what Redis holds of a partition, by the same way as updates.
    pub(crate) fn load(&self, state: PartitionState) {
        counter!(UNREADABLE, "reason" => crate::metrics::UNREADABLE_STATE).increment(state.unreadable as u64);
        let mut inner = self.lock();
        let now = Time::now();
        state.stations.into_iter().for_each(|station| inner.describe(station, now));
        state.newest.into_iter().for_each(|received| inner.observe(received, now));
        state.latest.into_iter().for_each(|forecast| inner.forecast(forecast, now));
    }

    /// Learns how often a station reports from its newest report times, ascending.
    pub(crate) fn learn_cadence(&self, station: &StationId, times: &[Time]) {
        if let Some(record) = self.lock().stations.get_mut(station) {
            record.heard_at(times);
        }
    }

    /// Takes in the tail's position: everything that arrived before it has been taken in.
    pub(crate) fn advance(&self, milliseconds: u64) {
        let mut inner = self.lock();
        inner.position = inner.position.max(Cursor(milliseconds));
    }

    /// The tail begins at `milliseconds`: what arrived by then is in what [`Hub::load`] brought.
    pub(crate) fn begin(&self, milliseconds: u64) {
        let mut inner = self.lock();
        inner.applied.start = StreamId { milliseconds, sequence: u64::MAX };
        inner.position = inner.position.max(Cursor(milliseconds));
    }

    /// Takes in an entry and hands it on; `complete_to` as [`streams::tail::Updates`] has it.
    pub(crate) fn apply(&self, update: streams::Update, complete_to: u64) {
        let mut inner = self.lock();
        inner.applied.streams.insert((update.partition, update.log), update.id);
        inner.position = inner.position.max(Cursor(update.id.milliseconds.min(complete_to)));
        inner.take(update);
    }

    /// Takes in an entry that stood in a stream before the tail began.
    pub(crate) fn apply_past(&self, update: streams::Update) {
        self.lock().take(update);
    }

    /// Begins a subscription: its snapshot, or the order to recover, is in the outbox before any
    /// of its updates. The key ends it.
    pub(crate) fn subscribe(&self, subscription: &Arc<Subscription>, outbox: &Arc<Outbox>) -> Key {
        let mut inner = self.lock();
        let item = match subscription.resume {
            None => Item::Snapshot(inner.snapshot(subscription)),
            Some(resume) => Item::Recover(inner.recovery(subscription, resume)),
        };
        outbox.push_item(item);
        inner.keys += 1;
        let key = inner.keys;
        inner.interests.add(key, &subscription.selection, subscription.channels, outbox);
        key
    }

    /// Puts the present state of a running subscription at the end of its session's queue.
    pub(crate) fn send_snapshot(&self, subscription: &Subscription, outbox: &Outbox) {
        let inner = self.lock();
        outbox.push_item(Item::Snapshot(inner.snapshot(subscription)));
    }

    /// Ends a subscription.
    pub(crate) fn unsubscribe(&self, key: Key, selection: &Selection) {
        self.lock().interests.remove(key, selection);
    }

    /// The state of a station that `selection` is about; none when it is not, or not to be seen.
    #[must_use]
    pub(crate) fn selected(&self, selection: &Selection, station: &StationId) -> Option<Held> {
        let inner = self.lock();
        let record = inner.stations.get(station).filter(|r| r.visible() && selection.contains(r.station()))?;
        Some(record.held(Time::now()))
    }

    /// Every visible station of a selection, by identifier.
    #[must_use]
    pub(crate) fn stations(&self, selection: &Selection) -> Vec<Held> {
        self.lock().held(selection)
    }

    /// One station; none when nobody may see it.
    #[must_use]
    pub(crate) fn station(&self, station: &StationId) -> Option<Held> {
        self.selected(&Selection::All, station)
    }

    /// Hands out what time alone has changed, and counts the stations of each state.
    pub(crate) fn sweep(&self, now: Time) {
        let mut inner = self.lock();
        let changed: Vec<StationId> =
            inner.stations.values().filter(|r| r.state(now) != r.announced()).map(|r| r.station().id.clone()).collect();
        for station in changed {
            inner.announce(&station, now);
        }
        let mut counts = [0u32; State::ALL.len()];
        for record in inner.stations.values().filter(|r| r.visible()) {
            counts[record.announced() as usize] += 1;
        }
        drop(inner);
        for state in State::ALL {
            gauge!(STATIONS, "state" => state.label()).set(counts[state as usize]);
        }
    }
}

impl Inner {
    fn take(&mut self, update: streams::Update) {
        let now = Time::now();
        match update.payload {
            Ok(Payload::Entry(Entry::Observation(received))) => self.observe(received, now),
            Ok(Payload::Entry(Entry::Station(station))) => self.describe(station, now),
            Ok(Payload::Forecast(forecast)) => self.forecast(*forecast, now),
            Err(error) => {
                counter!(UNREADABLE, "reason" => error.label()).increment(1);
                tracing::warn!(%error, id = %update.id, partition = update.partition, "skipped an unreadable entry");
            }
        }
    }

    /// The record of a station that has spoken, and whether nobody had heard of it before.
    fn record(&mut self, id: &StationId) -> (&mut Record, bool) {
        let new = !self.stations.contains_key(id);
        let record =
            self.stations.entry(id.clone()).or_insert_with(|| Record::new(weather::Station::unregistered(id.clone())));
        (record, new)
    }

    fn describe(&mut self, station: weather::Station, now: Time) {
        let id = station.id.clone();
        match self.stations.get_mut(&id) {
            Some(record) if *record.station() == station => return,
            Some(record) => record.describe(station),
            None => {
                self.stations.insert(id.clone(), Record::new(station));
            }
        }
        self.announce(&id, now);
    }

    fn observe(&mut self, received: Received, now: Time) {
        let id = received.observation.station.clone();
        let received = Arc::new(received);
        let (record, new) = self.record(&id);
        let Some(place) = record.observe(&received) else { return };
        if new || record.state(now) != record.announced() {
            self.announce(&id, now);
        }
        self.deliver(&id, Channel::Observation, place.is_late(), |record, cursor| {
            let observation = shape::Observation::received(&received, record.cadence());
            ServerFrame::Observation(ObservationFrame { observation, cursor })
        });
    }

    fn forecast(&mut self, forecast: weather::Forecast, now: Time) {
        let id = forecast.station.clone();
        let forecast = Arc::new(forecast);
        let (record, new) = self.record(&id);
        let newer = record.forecast(&forecast);
        if new {
            self.announce(&id, now);
        }
        if newer {
            self.deliver(&id, Channel::Forecast, false, |_, cursor| {
                ServerFrame::Forecast(ForecastFrame { forecast: shape::Forecast::from(&*forecast), cursor })
            });
        }
    }

    /// Tells who the station is and how it is now.
    fn announce(&mut self, id: &StationId, now: Time) {
        let Some(record) = self.stations.get_mut(id) else { return };
        let details = record.announce(now);
        self.deliver(id, Channel::Station, false, |_, cursor| {
            ServerFrame::Station(StationFrame { station: details.id.clone(), state: details.state, details, cursor })
        });
    }

    fn deliver(
        &mut self,
        id: &StationId,
        channel: Channel,
        late: bool,
        frame: impl FnOnce(&Record, Cursor) -> ServerFrame,
    ) {
        let Some(record) = self.stations.get(id).filter(|r| r.visible()) else { return };
        counter!(UPDATES, "kind" => channel.label()).increment(1);
        if self.interests.is_empty() {
            return;
        }
        self.sequence += 1;
        let frame = frame(record, self.position);
        let update = Arc::new(Update::new(self.sequence, channel, id.clone(), late, frame));
        self.interests.deliver(record.station(), &update);
    }

    fn held(&self, selection: &Selection) -> Vec<Held> {
        let now = Time::now();
        let wanted = |r: &&Record| r.visible() && selection.contains(r.station());
        match selection {
            Selection::Stations(ids) => {
                let mut held: Vec<Held> =
                    ids.iter().filter_map(|id| self.stations.get(id)).filter(wanted).map(|r| r.held(now)).collect();
                held.sort_unstable_by(|a, b| a.station.id.cmp(&b.station.id));
                held
            }
            _ => self.stations.values().filter(wanted).map(|r| r.held(now)).collect(),
        }
    }

    fn snapshot(&self, subscription: &Subscription) -> Snapshot {
        let mut stations = self.held(&subscription.selection);
        let wants = |channel| Channels::contains(subscription.channels, channel);
        for held in &mut stations {
            held.observation = held.observation.take().filter(|_| wants(Channel::Observation));
            held.forecast = held.forecast.take().filter(|_| wants(Channel::Forecast));
        }
        Snapshot { id: subscription.id.clone(), stations, cursor: self.position }
    }

    fn recovery(&self, subscription: &Arc<Subscription>, resume: Resume) -> Recovery {
        let from = match resume {
            // A cursor from beyond the newest entry is of another Redis, or made up.
            Resume::At(cursor) if cursor.0 <= self.position.0.saturating_add(AHEAD_MILLISECONDS) => Some(cursor),
            Resume::At(_) | Resume::Garbled => None,
        };
        Recovery { subscription: subscription.clone(), from, applied: self.applied.clone(), cursor: self.position }
    }
}
