//! Which sessions want what, so that an update finds them without asking everyone.

use std::collections::HashMap;
use std::sync::Arc;

use weather::StationId;

use crate::frames::Channels;
use crate::outbox::{Outbox, Update};
use crate::subscribe::{Bbox, Selection};

/// The hub's number of a subscription.
pub(crate) type Key = u64;

struct Watch {
    outbox: Arc<Outbox>,
    channels: Channels,
}

impl Watch {
    fn offer(&self, update: &Arc<Update>) {
        if self.channels.contains(update.channel) {
            self.outbox.push(update);
        }
    }
}

/// Every subscription, by what it selects.
#[derive(Default)]
pub(crate) struct Interests {
    all: HashMap<Key, Watch>,
    boxes: HashMap<Key, (Bbox, Watch)>,
    named: HashMap<StationId, HashMap<Key, Watch>>,
}

impl Interests {
    /// Adds a subscription under a new key.
    pub(crate) fn add(&mut self, key: Key, selection: &Selection, channels: Channels, outbox: &Arc<Outbox>) {
        let watch = || Watch { outbox: outbox.clone(), channels };
        match selection {
            Selection::All => {
                self.all.insert(key, watch());
            }
            Selection::Bbox(bbox) => {
                self.boxes.insert(key, (*bbox, watch()));
            }
            Selection::Stations(stations) => {
                for station in stations {
                    self.named.entry(station.clone()).or_default().insert(key, watch());
                }
            }
        }
    }

    /// Takes a subscription away.
    pub(crate) fn remove(&mut self, key: Key, selection: &Selection) {
        match selection {
            Selection::All => {
                self.all.remove(&key);
            }
            Selection::Bbox(_) => {
                self.boxes.remove(&key);
            }
            Selection::Stations(stations) => {
                for station in stations {
                    if let Some(watches) = self.named.get_mut(station) {
                        watches.remove(&key);
                        if watches.is_empty() {
                            self.named.remove(station);
                        }
                    }
                }
            }
        }
    }

    /// Hands an update of `station` to the sessions that want it.
    pub(crate) fn deliver(&self, station: &weather::Station, update: &Arc<Update>) {
        self.all.values().for_each(|watch| watch.offer(update));
        if let Some((latitude, longitude)) = station.position() {
            let inside = self.boxes.values().filter(|(bbox, _)| bbox.contains(latitude, longitude));
            inside.for_each(|(_, watch)| watch.offer(update));
        }
        if let Some(watches) = self.named.get(&station.id) {
            watches.values().for_each(|watch| watch.offer(update));
        }
    }

    /// Whether nobody is subscribed, so that frames need not be made.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty() && self.boxes.is_empty() && self.named.is_empty()
    }
}
