//! The latest state of every station, and the place where updates meet subscriptions.
//!
//! One lock guards both, so that a subscription's snapshot and its first update join without a gap
//! or a double. Nothing waits while holding it: sessions have queues that never refuse.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{counter, gauge};
use streams::codec::Judgement;
use streams::query::PartitionState;
use streams::tail::Payload;
use streams::{Entry, Log, Partition, Received, StreamId};
use weather::{StationId, Time};

use crate::frames::{Channel, Channels, Cursor, ForecastFrame, ObservationFrame, ServerFrame, StationFrame};
use crate::interest::{Interests, Key};
use crate::metrics::{STATIONS, UNREADABLE, UPDATES};
use crate::outbox::{Item, Outbox, Update};
use crate::record::Record;
use crate::removals::Removals;
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
    removed: Removals,
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
            Ok(Payload::Entry(Entry::Removed(id))) => {
                // Told where it stood, to those who could see it.
                self.remove(&id);
                self.stations.remove(&id);
                self.removed.note(id, update.id);
            }
            Ok(Payload::Forecast(forecast)) if self.removed.before(&forecast) => {}
            Ok(Payload::Forecast(forecast)) => self.forecast(*forecast, now),
            Ok(Payload::Judgement(judgement)) => self.judge(*judgement),
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
        match self.stations.get(&id) {
            Some(record) if *record.station() == station => return,
            // Before the record changes: told to those who could see it, where it stood.
            Some(record) if record.visible() && !station.public => self.remove(&id),
            _ => {}
        }
        match self.stations.get_mut(&id) {
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

    /// Quality control has another word on an observation: it is told anew.
    fn judge(&mut self, judgement: Judgement) {
        let id = judgement.observation.station.clone();
        let Some((received, place)) = self.stations.get_mut(&id).and_then(|record| record.judge(judgement)) else {
            return;
        };
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
            ServerFrame::Station(StationFrame::about(details, cursor))
        });
    }

    /// Tells that a station is no longer to be shown.
    fn remove(&mut self, id: &StationId) {
        self.deliver(id, Channel::Station, false, |_, cursor| {
            ServerFrame::Station(StationFrame::removed(id.clone(), cursor))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::frames::{Encoded, Format};
    use weather::{Flags, Observation, Variable};

    fn entry(milliseconds: u64, entry: Entry) -> streams::Update {
        let id = StreamId { milliseconds, sequence: 0 };
        streams::Update { partition: 0, log: Log::Observations, id, payload: Ok(Payload::Entry(entry)) }
    }

    fn observed(milliseconds: u64, time: Time, temperature: f32) -> streams::Update {
        let values = [(Variable::Temperature, temperature)].into_iter().collect();
        let station = StationId::new("A").unwrap();
        let observation = Observation { station, time, values, source: None };
        entry(milliseconds, Entry::Observation(Received { observation, flags: Flags::default(), received: 0 }))
    }

    fn subscribed(hub: &Hub, resume: Option<Resume>) -> Arc<Outbox> {
        let outbox = Arc::new(Outbox::new(Format::Json, &Limits::default()));
        let channels = Channel::ALL.into_iter().collect();
        let id = "s".to_owned();
        hub.subscribe(&Arc::new(Subscription { id, selection: Selection::All, channels, resume }), &outbox);
        outbox
    }

    /// The frames that wait, as (type, cursor).
    fn waiting(outbox: &Outbox) -> Vec<(String, String)> {
        let updates = std::iter::from_fn(|| outbox.try_next()).filter_map(|item| match item {
            Item::Update(update) => Some(update),
            _ => None,
        });
        let text = |update: Arc<Update>| match update.encoded(Format::Json) {
            Encoded::Text(text) => serde_json::from_str::<serde_json::Value>(text).unwrap(),
            Encoded::Binary(_) => panic!("not text"),
        };
        let field = |frame: &serde_json::Value, name: &str| frame[name].as_str().unwrap().to_owned();
        updates.map(text).map(|frame| (field(&frame, "type"), field(&frame, "cursor"))).collect()
    }

    #[test]
    fn a_cursor_never_claims_what_a_cut_read_has_not_brought() {
        let hub = Hub::default();
        hub.begin(1000);
        let outbox = subscribed(&hub, None);
        let now = Time::now();
        hub.apply(observed(2000, now, 1.0), 1500);
        hub.apply(observed(2100, now + 1, 2.0), 2100);
        let cursors: Vec<String> = waiting(&outbox).into_iter().map(|(_, cursor)| cursor).collect();
        assert_eq!(cursors, [1500, 1500, 2100].map(|ms| Cursor(ms).to_string()));
    }

    #[test]
    fn what_says_nothing_new_is_not_sent() {
        let hub = Hub::default();
        let outbox = subscribed(&hub, None);
        let now = Time::now();
        for (ms, time, temperature) in [(1, now, 1.0), (2, now, 1.0), (3, now, 1.5), (4, now - 60, 0.0)] {
            hub.apply(observed(ms, time, temperature), ms);
        }
        let kinds: Vec<String> = waiting(&outbox).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["station", "observation", "observation", "observation"]);
        let held = hub.station(&StationId::new("A").unwrap()).unwrap();
        assert_eq!(held.observation().unwrap().temperature, Some(1.5), "corrected, and no late one instead");
        hub.apply(entry(5, Entry::Station(weather::Station::unregistered(StationId::new("A").unwrap()))), 5);
        assert!(waiting(&outbox).is_empty(), "the same description again");
    }

    #[test]
    fn a_station_made_private_disappears_and_its_viewers_are_told() {
        let hub = Hub::default();
        hub.apply(observed(1, Time::now(), 1.0), 1);
        let outbox = subscribed(&hub, None);
        assert!(matches!(outbox.try_next(), Some(Item::Snapshot(_))));
        let mut station = weather::Station::unregistered(StationId::new("A").unwrap());
        station.public = false;
        hub.apply(entry(2, Entry::Station(station.clone())), 2);
        assert!(hub.stations(&Selection::All).is_empty());
        let Some(Item::Update(told)) = outbox.try_next() else { panic!("nothing was told") };
        let Encoded::Text(text) = told.encoded(Format::Json) else { panic!("not text") };
        assert_eq!(text.as_str(), r#"{"type":"station","station":"A","state":"removed","cursor":"c1-2"}"#);
        station.name = "Hidden".into();
        hub.apply(entry(3, Entry::Station(station)), 3);
        hub.apply(observed(4, Time::now(), 2.0), 4);
        assert!(outbox.try_next().is_none(), "nothing more of it");
    }

    #[test]
    fn time_alone_makes_a_station_stale_and_it_is_told_once() {
        let hub = Hub::default();
        let now = Time::now();
        hub.apply(observed(1, now, 1.0), 1);
        let outbox = subscribed(&hub, None);
        hub.sweep(now + 3 * 3600);
        hub.sweep(now + 3 * 3600);
        assert_eq!(waiting(&outbox).len(), 1);
    }

    #[test]
    fn a_recovery_knows_what_comes_as_an_update() {
        let hub = Hub::default();
        hub.begin(1000);
        hub.apply(observed(2000, Time::now(), 1.0), 2000);
        let outbox = subscribed(&hub, Some(Resume::At(Cursor(1500))));
        let Some(Item::Recover(recovery)) = outbox.try_next() else { panic!("no recovery") };
        let id = |milliseconds| StreamId { milliseconds, sequence: 0 };
        assert!(recovery.applied.includes(0, Log::Observations, id(2000)));
        assert!(!recovery.applied.includes(0, Log::Observations, id(2001)));
        assert!(recovery.applied.includes(0, Log::Forecasts, id(1000)), "as old as the start");
        assert!(!recovery.applied.includes(0, Log::Forecasts, id(1001)));
        let outbox = subscribed(&hub, Some(Resume::At(Cursor(u64::MAX))));
        assert!(matches!(outbox.try_next(), Some(Item::Recover(Recovery { from: None, .. }))));
    }
}
