//! Last contacts: what each station sent last and what became of it, written down behind the doors.
//!
//! A door notes; a task writes what was noted once a second. What is noted is bounded: of one station the
//! newest counts, and beyond [`MOST`] stations those that have waited longest are dropped, counted. No
//! request waits for any of it.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::metrics::{counter, gauge};
use streams::{Backoff, Contact, Error, Knock, Refused, Verdict};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use weather::{Observation, Rejection, StationId};

use crate::link::Link;
use crate::metrics;
use crate::redact::Shown;

/// Contacts that wait to be written, each of some hundred bytes and at most about three KB.
const MOST: usize = 10_000;
/// Contacts that are written a second.
const WRITTEN: usize = 2000;
/// Between writes.
const PAUSE: Duration = Duration::from_secs(1);
/// Stations that may wait for an operator, over all of a deployment.
const MOST_UNCONFIRMED: usize = 10_000;
/// Writes between counts of them.
const COUNTED: u32 = 10;

/// A request at a door: what the contacts of its items say of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visit {
    /// The door's name.
    pub(crate) door: &'static str,
    /// Who sent it.
    pub(crate) remote: Option<IpAddr>,
    /// What is shown of it, where all of it is of one station.
    pub(crate) message: Option<Shown>,
    /// What is shown of single items, by their places in the request; of others that could be read, the
    /// observation is.
    pub(crate) pieces: HashMap<usize, Shown>,
}

/// What a contact shows.
#[derive(Clone, Debug)]
enum Raw {
    Text(Shown),
    /// Made into JSON when it is written: most are overtaken before.
    Observation(Box<Observation>),
}

/// An item to be noted.
pub(crate) struct Note<'a> {
    pub(crate) station: &'a StationId,
    /// Its place in the request.
    pub(crate) index: usize,
    /// What was read of it.
    pub(crate) observation: Option<&'a Observation>,
    /// None if it got in.
    pub(crate) refused: Option<&'a Rejection>,
    pub(crate) duplicate: bool,
}

/// A contact that waits to be written.
#[derive(Clone, Debug)]
struct Waiting {
    time: i64,
    door: &'static str,
    remote: Option<IpAddr>,
    verdict: Verdict,
    raw: Raw,
    refused: u64,
    listed: bool,
}

impl Waiting {
    fn of(visit: &Visit, note: &Note<'_>, time: i64) -> Self {
        let verdict = match note.refused {
            Some(rejection) => Verdict::Rejected(Refused {
                field: rejection.field.clone().into_owned(),
                reason: rejection.reason.label().to_owned(),
                detail: rejection.detail.clone(),
            }),
            None if note.duplicate => Verdict::Duplicate,
            None => Verdict::Accepted,
        };
        let piece = visit.pieces.get(&note.index).or(visit.message.as_ref());
        let raw = match (piece, note.observation) {
            (Some(shown), _) => Raw::Text(shown.clone()),
            (None, Some(observation)) => Raw::Observation(Box::new(observation.clone())),
            (None, None) => Raw::Text(Shown::default()),
        };
        let refused = u64::from(note.refused.is_some());
        // Whoever sent it: a console with a wrong key is what its owner looks for.
        let listed = note.refused.is_some();
        Self { time, door: visit.door, remote: visit.remote, verdict, raw, refused, listed }
    }

    fn knock(self, station: StationId) -> Knock {
        let Shown { text: raw, cut } = match self.raw {
            Raw::Text(shown) => shown,
            Raw::Observation(observation) => Shown::of(&serde_json::to_vec(&observation).unwrap_or_default(), &[]),
        };
        let remote = self.remote.map(|address| address.to_canonical().to_string());
        let contact = Contact { time: self.time, door: self.door.to_owned(), remote, verdict: self.verdict, raw, cut };
        Knock { station, contact, refused: self.refused, listed: self.listed }
    }
}

/// A station, and whether the contact was refused: of both kinds the last is kept.
type Place = (StationId, bool);

#[derive(Debug, Default)]
struct Pending {
    waiting: HashMap<Place, Waiting>,
    /// Each place that waits, once, by how long it has.
    order: VecDeque<Place>,
}

impl Pending {
    fn put(&mut self, place: Place, new: Waiting) {
        if let Some(held) = self.waiting.get_mut(&place) {
            let refused = held.refused + new.refused;
            let listed = held.listed || new.listed;
            // One that was given back after a failed write is the older one.
            if new.time >= held.time {
                *held = new;
            }
            (held.refused, held.listed) = (refused, listed);
            return;
        }
        if self.waiting.len() >= MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.waiting.remove(&oldest);
            counter!(metrics::CONTACTS, "outcome" => "dropped").increment(1);
        }
        self.order.push_back(place.clone());
        self.waiting.insert(place, new);
    }

    fn take(&mut self) -> Vec<(Place, Waiting)> {
        let places = self.order.drain(..self.order.len().min(WRITTEN));
        places.filter_map(|place| self.waiting.remove(&place).map(|waiting| (place, waiting))).collect()
    }
}

/// Where contacts are noted. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Pending>>);

impl Recorder {
    /// Notes the items of a visit at `time`, milliseconds since 1970.
    pub(crate) fn note<'a>(&self, visit: &Visit, time: i64, notes: impl Iterator<Item = Note<'a>>) {
        // Of a long request only the last of each station is copied.
        let mut last: HashMap<(&StationId, bool), (Note<'a>, u64)> = HashMap::new();
        for note in notes {
            let refused = note.refused.is_some();
            let before = last.get(&(note.station, refused)).map_or(0, |(_, count)| *count);
            last.insert((note.station, refused), (note, before + u64::from(refused)));
        }
        let waiting: Vec<(Place, Waiting)> = last
            .into_iter()
            .map(|((station, rejected), (note, refused))| {
                ((station.clone(), rejected), Waiting { refused, ..Waiting::of(visit, &note, time) })
            })
            .collect();
        self.put(waiting);
    }

    fn put(&self, waiting: Vec<(Place, Waiting)>) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.into_iter().for_each(|(place, waiting)| pending.put(place, waiting));
    }

    /// Writes what has been noted, every second, until `shutdown`.
    ///
    /// # Errors
    /// Never.
    pub(crate) async fn keep_writing(self, link: Link, shutdown: CancellationToken) -> anyhow::Result<()> {
        let (mut backoff, mut writes) = (Backoff::default(), 0);
        loop {
            let step = async {
                self.write(&link).await?;
                if writes % COUNTED == 0 {
                    gauge!(metrics::UNCONFIRMED).set(link.redis()?.unconfirmed_count().await? as f64);
                }
                Ok::<_, Error>(())
            };
            let pause = match step.await {
                Ok(()) => {
                    writes += 1;
                    backoff.reset();
                    PAUSE
                }
                Err(error) => {
                    counter!(metrics::REDIS_ERRORS, "kind" => error.label()).increment(1);
                    if backoff.failures() == 0 {
                        warn!(%error, "last contacts can't be written now");
                    }
                    PAUSE + backoff.pause()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
        }
    }

    /// Writes some of what has been noted; what can't be written now is kept.
    pub(crate) async fn write(&self, link: &Link) -> Result<(), Error> {
        // What is left of a full Redis is for those who accepted observations.
        if link.is_nearly_full() {
            return Ok(());
        }
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if taken.is_empty() {
            return Ok(());
        }
        let knocks: Vec<Knock> =
            taken.iter().map(|((station, _), waiting)| waiting.clone().knock(station.clone())).collect();
        let written = async { link.redis()?.write_contacts(&knocks, MOST_UNCONFIRMED).await };
        match written.await {
            Ok(done) => {
                counter!(metrics::CONTACTS, "outcome" => "written").increment(done.written);
                counter!(metrics::CONTACTS, "outcome" => "unregistered").increment(done.strangers);
                counter!(metrics::UNCONFIRMED_DROPPED).increment(done.dropped);
                Ok(())
            }
            Err(error) => {
                self.put(taken);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weather::admission::Reason;

    fn id(text: &str) -> StationId {
        StationId::new(text).unwrap()
    }

    fn taken(recorder: &Recorder) -> Vec<(Place, Waiting)> {
        recorder.0.lock().unwrap().take()
    }

    #[test]
    fn of_a_station_the_newest_of_each_kind_waits_and_refusals_add_up() {
        let recorder = Recorder::default();
        let (a, b) = (id("A"), id("B"));
        let rejection = Rejection::new("time", Reason::BadTime, "x");
        let note = |station, refused| Note { station, index: 0, observation: None, refused, duplicate: false };
        let visit = Visit { door: "json", ..Visit::default() };
        recorder.note(&visit, 1, [note(&a, Some(&rejection)), note(&a, Some(&rejection)), note(&b, None)].into_iter());
        recorder.note(&visit, 2, [note(&a, Some(&rejection)), note(&a, None)].into_iter());
        let mut taken = taken(&recorder);
        taken.sort_by(|x, y| x.0.cmp(&y.0));
        let facts: Vec<_> = taken.iter().map(|(place, w)| (place.clone(), w.time, w.refused, w.listed)).collect();
        assert_eq!(facts, [((a.clone(), false), 2, 0, false), ((a, true), 2, 3, true), ((b, false), 1, 0, false)]);
    }

    #[test]
    fn no_more_wait_than_may_and_the_newest_win() {
        let recorder = Recorder::default();
        let ids: Vec<StationId> = (0..MOST + 5).map(|n| id(&n.to_string())).collect();
        for station in &ids {
            let note = Note { station, index: 0, observation: None, refused: None, duplicate: false };
            recorder.note(&Visit::default(), 1, std::iter::once(note));
        }
        let pending = recorder.0.lock().unwrap();
        assert_eq!((pending.waiting.len(), pending.order.len()), (MOST, MOST));
        assert!(!pending.waiting.contains_key(&(id("4"), false)) && pending.waiting.contains_key(&(id("5"), false)));
    }
}
