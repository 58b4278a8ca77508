//! What waits for one session: in order while it keeps up, the newest of each station when not.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use metrics::counter;
use tokio::sync::Notify;
use weather::StationId;

use crate::config::Limits;
use crate::frames::{Channel, Encoded, Format, ServerFrame};
use crate::hub::{Recovery, Snapshot};
use crate::metrics::CONFLATED;

/// One update, shared by every session that wants it and encoded once per format.
#[derive(Debug)]
pub(crate) struct Update {
    /// Grows by one with every update of the hub.
    pub(crate) sequence: u64,
    /// Of what kind.
    pub(crate) channel: Channel,
    /// Of which station.
    pub(crate) station: StationId,
    /// Whether it tells of a time before the newest known: of no use to who wants the present.
    pub(crate) late: bool,
    frame: ServerFrame,
    json: OnceLock<Encoded>,
    msgpack: OnceLock<Encoded>,
}

impl Update {
    /// An update that has not been encoded yet.
    #[must_use]
    pub(crate) const fn new(
        sequence: u64,
        channel: Channel,
        station: StationId,
        late: bool,
        frame: ServerFrame,
    ) -> Self {
        Self { sequence, channel, station, late, frame, json: OnceLock::new(), msgpack: OnceLock::new() }
    }

    /// Its bytes in `format`, made by whoever asks first.
    #[must_use]
    pub(crate) fn encoded(&self, format: Format) -> &Encoded {
        let once = match format {
            Format::Json => &self.json,
            Format::MsgPack => &self.msgpack,
        };
        once.get_or_init(|| Encoded::new(&self.frame, format))
    }
}

/// What a session has to do next.
#[derive(Debug)]
pub(crate) enum Item {
    /// Send this.
    Update(Arc<Update>),
    /// Encode and send this.
    Snapshot(Snapshot),
    /// Read what the client missed and send it.
    Recover(Recovery),
}

/// The queue of one session. Whoever fills it never waits.
pub(crate) struct Outbox {
    format: Format,
    max_updates: usize,
    max_bytes: usize,
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Default)]
struct Queue {
    // By order of arrival; a map, so that conflation can take one out of the middle.
    items: BTreeMap<u64, Item>,
    arrivals: u64,
    last: u64,
    bytes: usize,
    // Where each station's newest stands, while conflating.
    places: Option<HashMap<(StationId, Channel), u64>>,
}

impl Outbox {
    /// An empty queue for a session of `format`.
    #[must_use]
    pub(crate) fn new(format: Format, limits: &Limits) -> Self {
        Self {
            format,
            max_updates: limits.queued_updates,
            max_bytes: limits.queued_bytes,
            queue: Mutex::default(),
            filled: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an update at the end, unless it is there already because two subscriptions want it.
    pub(crate) fn push(&self, update: &Arc<Update>) {
        let size = update.encoded(self.format).len();
        let mut queue = self.lock();
        if queue.last >= update.sequence {
            return;
        }
        queue.last = update.sequence;
        let full = queue.items.len() >= self.max_updates || queue.bytes + size > self.max_bytes;
        // A single frame larger than the bound must still be able to pass.
        if queue.places.is_none() && full && !queue.items.is_empty() {
            queue.conflate(self.format);
        }
        queue.add(update, size, self.format);
        drop(queue);
        self.filled.notify_one();
    }

    /// Puts something that is not an update at the end; what the hub hands out later comes after it.
    pub(crate) fn push_item(&self, item: Item) {
        let mut queue = self.lock();
        let place = queue.arrivals;
        queue.arrivals += 1;
        queue.items.insert(place, item);
        drop(queue);
        self.filled.notify_one();
    }

    /// Waits for the next item. Nothing is lost when the wait is given up.
    pub(crate) async fn next(&self) -> Item {
        loop {
            if let Some(item) = self.try_next() {
                return item;
            }
            self.filled.notified().await;
        }
    }

    /// The next item, if there is one.
    #[must_use]
    pub(crate) fn try_next(&self) -> Option<Item> {
        let mut queue = self.lock();
        let (_, item) = queue.items.pop_first()?;
        if let Item::Update(update) = &item {
            queue.bytes -= update.encoded(self.format).len();
            if let Some(places) = &mut queue.places {
                places.remove(&(update.station.clone(), update.channel));
            }
        }
        if queue.items.is_empty() {
            queue.places = None;
        }
        Some(item)
    }
}

impl Queue {
    fn add(&mut self, update: &Arc<Update>, size: usize, format: Format) {
        let place = self.arrivals;
        self.arrivals += 1;
        if let Some(places) = &mut self.places {
            if update.late {
                counter!(CONFLATED).increment(1);
                return;
            }
            // The newer one goes to the end: cursors must not run ahead of what is still queued.
            if let Some(older) = places.insert((update.station.clone(), update.channel), place)
                && let Some(Item::Update(older)) = self.items.remove(&older)
            {
                self.bytes -= older.encoded(format).len();
                counter!(CONFLATED).increment(1);
            }
        }
        self.bytes += size;
        self.items.insert(place, Item::Update(update.clone()));
    }

    /// Keeps only the newest update of each station and channel, from now until it is empty.
    fn conflate(&mut self, format: Format) {
        let mut places = HashMap::new();
        let mut dropped = Vec::new();
        for (&place, item) in self.items.iter().rev() {
            let Item::Update(update) = item else { continue };
            let key = (update.station.clone(), update.channel);
            if update.late || places.contains_key(&key) {
                dropped.push((place, update.encoded(format).len()));
            } else {
                places.insert(key, place);
            }
        }
        counter!(CONFLATED).increment(dropped.len() as u64);
        for (place, size) in dropped {
            self.items.remove(&place);
            self.bytes -= size;
        }
        self.places = Some(places);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Cursor;
    use crate::shape::{State, Station};

    fn update(sequence: u64, station: &str, late: bool) -> Arc<Update> {
        let id = StationId::new(station).unwrap();
        let details = Station::new(&weather::Station::unregistered(id.clone()), State::Up);
        let frame = crate::frames::StationFrame::about(details, Cursor(1));
        Arc::new(Update::new(sequence, Channel::Station, id, late, ServerFrame::Station(frame)))
    }

    fn outbox(queued_updates: usize) -> Outbox {
        Outbox::new(Format::Json, &Limits { queued_updates, ..Limits::default() })
    }

    fn drained(outbox: &Outbox) -> Vec<u64> {
        std::iter::from_fn(|| outbox.try_next())
            .map(|item| match item {
                Item::Update(update) => update.sequence,
                _ => panic!("not an update"),
            })
            .collect()
    }

    #[test]
    fn what_two_subscriptions_want_goes_out_once() {
        let outbox = outbox(10);
        let one = update(1, "A", false);
        outbox.push(&one);
        outbox.push(&one);
        outbox.push(&update(2, "A", false));
        assert_eq!(drained(&outbox), [1, 2]);
    }

    #[test]
    fn a_slow_reader_gets_the_newest_of_each_station_and_then_everything_again() {
        let outbox = outbox(3);
        for (sequence, station) in [(1, "A"), (2, "B"), (3, "A"), (4, "B"), (5, "A"), (6, "C")] {
            outbox.push(&update(sequence, station, false));
        }
        outbox.push(&update(7, "B", true));
        assert_eq!(drained(&outbox), [4, 5, 6], "late ones and older ones make room");
        assert_eq!(outbox.lock().bytes, 0);
        outbox.push(&update(8, "A", false));
        outbox.push(&update(9, "A", false));
        assert_eq!(drained(&outbox), [8, 9], "after it has caught up nothing is skipped");
    }

    #[test]
    fn bytes_are_bounded_too() {
        let size = update(1, "A", false).encoded(Format::Json).len();
        let outbox = Outbox::new(Format::Json, &Limits { queued_bytes: 2 * size, ..Limits::default() });
        (1..=50).for_each(|sequence| outbox.push(&update(sequence, "A", false)));
        assert_eq!(drained(&outbox), [50]);
        let tiny = Outbox::new(Format::Json, &Limits { queued_bytes: 1, ..Limits::default() });
        tiny.push(&update(1, "A", false));
        assert_eq!(drained(&tiny), [1], "a frame larger than the bound still passes");
    }

    #[test]
    fn both_formats_are_encoded_once() {
        let update = update(1, "A", false);
        for format in Format::ALL {
            assert!(std::ptr::eq(update.encoded(format), update.encoded(format)));
        }
    }
}
