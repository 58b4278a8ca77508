//! What a returning client missed, read from what Redis still holds.

use std::collections::{BTreeSet, HashSet};

use streams::codec::Judgement;
use streams::tail::Payload;
use streams::{Entry, Error, Partition, Received, Redis};
use weather::StationId;

use crate::frames::{Channel, Cursor, ForecastFrame, ObservationFrame, ServerFrame, StationFrame};
use crate::hub::{Held, Hub, Recovery};
use crate::shape::{self, State};
use crate::subscribe::Selection;

/// Every update of the subscription between the client's cursor and where its updates begin, in
/// order of arrival; none when Redis no longer holds all of it, it is more than `limit` entries, or
/// a station was hidden meanwhile: to say which would name those that never were to be seen, while
/// a snapshot just leaves it out.
///
/// An update of the very millisecond of the cursor may come a second time.
///
/// # Errors
/// When Redis can't say.
pub(crate) async fn missed(
    redis: &Redis,
    hub: &Hub,
    recovery: &Recovery,
    limit: usize,
) -> Result<Option<Vec<ServerFrame>>, Error> {
    let Some(from) = recovery.from else { return Ok(None) };
    let mut left = limit;
    let mut found = Vec::new();
    for partition in partitions(redis, &recovery.subscription.selection) {
        let past = redis.since(&[partition], from.0, left).await?;
        if !past.complete || past.updates.len() > left {
            return Ok(None);
        }
        left -= past.updates.len();
        found.extend(past.updates);
    }
    found.sort_by_key(|update| update.id);
    let mut heard = HashSet::new();
    let mut frames = Vec::new();
    for update in found {
        if recovery.applied.includes(update.partition, update.log, update.id) {
            if hides(hub, recovery, &update) {
                return Ok(None);
            }
            let cursor = Cursor(update.id.milliseconds).min(recovery.cursor);
            frames.extend(frame(hub, recovery, update, cursor, &mut heard));
        }
    }
    if recovery.subscription.channels.contains(Channel::Station) {
        frames.extend(states(hub, recovery, &heard));
    }
    Ok(Some(frames))
}

fn partitions(redis: &Redis, selection: &Selection) -> BTreeSet<Partition> {
    match selection {
        Selection::Stations(ids) => ids.iter().map(|id| redis.keys().partition_of(id)).collect(),
        Selection::All | Selection::Bbox(_) => (0..redis.keys().partitions()).collect(),
    }
}

/// Whether an entry may have taken a station from the client's sight for good, or from the network.
fn hides(hub: &Hub, recovery: &Recovery, update: &streams::Update) -> bool {
    let Ok(Payload::Entry(entry)) = &update.payload else { return false };
    let id = entry.station();
    let concerned = match &recovery.subscription.selection {
        Selection::Stations(ids) => ids.contains(id),
        // Where it stood before is not known.
        Selection::All | Selection::Bbox(_) => true,
    };
    concerned
        && match entry {
            Entry::Observation(_) => false,
            Entry::Station(station) => !station.public && hub.station(id).is_none(),
            // It may be back by now, and what the client has of it is of another life.
            Entry::Removed(_) => true,
        }
}

/// The frame of an entry, if the subscription wants it.
fn frame(
    hub: &Hub,
    recovery: &Recovery,
    update: streams::Update,
    cursor: Cursor,
    heard: &mut HashSet<StationId>,
) -> Option<ServerFrame> {
    // What can't be read was counted when the tail met it.
    let payload = update.payload.ok()?;
    let (station, channel) = match &payload {
        Payload::Entry(entry @ Entry::Observation(_)) => (entry.station(), Channel::Observation),
        Payload::Entry(entry @ Entry::Station(_)) => (entry.station(), Channel::Station),
        Payload::Entry(Entry::Removed(_)) => return None,
        Payload::Forecast(forecast) => (&forecast.station, Channel::Forecast),
        Payload::Judgement(judgement) => (&judgement.observation.station, Channel::Observation),
    };
    let held = hub.selected(&recovery.subscription.selection, station)?;
    if channel == Channel::Observation {
        heard.insert(station.clone());
    }
    if !recovery.subscription.channels.contains(channel) {
        return None;
    }
    Some(match payload {
        Payload::Entry(Entry::Observation(received)) => {
            let observation = shape::Observation::received(&received, held.cadence);
            ServerFrame::Observation(ObservationFrame { observation, cursor })
        }
        Payload::Entry(Entry::Station(_) | Entry::Removed(_)) => station_frame(held, cursor),
        Payload::Judgement(judgement) => {
            let Judgement { observation, flags } = *judgement;
            let received = Received { observation, flags, received: 0 };
            let observation = shape::Observation::received(&received, held.cadence);
            ServerFrame::Observation(ObservationFrame { observation, cursor })
        }
        Payload::Forecast(forecast) => {
            ServerFrame::Forecast(ForecastFrame { forecast: shape::Forecast::from(&*forecast), cursor })
        }
    })
}

/// States change without an entry in Redis: told again where they may have. A station that is up
/// and was not heard meanwhile was up before.
fn states(hub: &Hub, recovery: &Recovery, heard: &HashSet<StationId>) -> Vec<ServerFrame> {
    let held = hub.stations(&recovery.subscription.selection).into_iter();
    let changed = held.filter(|h| h.station.state != State::Up || heard.contains(h.id()));
    changed.map(|h| station_frame(h, recovery.cursor)).collect()
}

fn station_frame(held: Held, cursor: Cursor) -> ServerFrame {
    ServerFrame::Station(StationFrame::about(held.station, cursor))
}
