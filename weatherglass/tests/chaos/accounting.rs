//! What follows from what was sent and accepted, held against what Redis has.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use streams::codec::Judgement;
use streams::tail::Payload;
use streams::{Entry, Log, Partition, Received, Redis, StreamId};
use weather::quality::Limits;
use weather::{Change, Forecast, Observation, Sample, Station, StationId, Time, Window};

/// The fates of all that was accepted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    sent: usize,
    resent: usize,
    accepted: usize,
    forecast: usize,
    conflated: usize,
    duplicate: usize,
    too_old: usize,
    dead: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, resent, accepted, forecast, conflated, duplicate, too_old, dead } = self;
        write!(
            f,
            "{sent} sent = {accepted} accepted + {resent} the same again; {accepted} accepted = {forecast} forecast \
             + {conflated} conflated + {duplicate} duplicate + {too_old} too old; {dead} poison entries, {dead} dead letters"
        )
    }
}

/// What stands in one partition's streams.
#[derive(Default)]
struct Stood {
    entries: Vec<(StreamId, Received)>,
    poison: Vec<StreamId>,
    forecasts: Vec<Forecast>,
    judgements: Vec<Judgement>,
}

/// Panics at the first difference.
pub(crate) async fn account(redis: &Redis, sent: &[Observation]) -> Counts {
    let mut counts = Counts { sent: sent.len(), ..Counts::default() };
    let expected = accepted(sent);
    let mut found: BTreeMap<StationId, Vec<Observation>> = BTreeMap::new();
    for partition in 0..redis.keys().partitions() {
        let stood = read(redis, partition).await;
        for (_, received) in &stood.entries {
            let observation = received.observation.clone();
            found.entry(observation.station.clone()).or_default().push(observation);
        }
        fates(redis, partition, &stood, &mut counts).await;
        let mut dead: Vec<StreamId> =
            redis.dead_letters(partition, None).await.unwrap().iter().map(|letter| letter.entry).collect();
        dead.sort_unstable();
        assert_eq!(dead, stood.poison, "dead letters of partition {partition}: each poison entry once, nothing else");
        counts.dead += dead.len();
    }
    counts.accepted = found.values().map(Vec::len).sum();
    counts.resent = counts.sent - counts.accepted;
    assert!(found.keys().eq(expected.keys()), "stations that nobody sent, or that are missing");
    for (station, expected) in &expected {
        let found = &found[station];
        let at = expected.iter().zip(found).position(|(a, b)| a != b).unwrap_or(expected.len().min(found.len()));
        assert!(
            expected == found,
            "the stream of {station} differs from what was sent at {at}: {:?} and {:?} ({} and {} in all)",
            expected.get(at),
            found.get(at),
            expected.len(),
            found.len()
        );
    }
    let fates = counts.forecast + counts.conflated + counts.duplicate + counts.too_old;
    assert_eq!(fates, counts.accepted, "{counts}");
    counts
}

/// What of a list ingest accepts, by station: all but what says the same as the last of its second.
fn accepted(sent: &[Observation]) -> BTreeMap<StationId, Vec<Observation>> {
    let mut last: HashMap<(&StationId, Time), &Observation> = HashMap::new();
    let mut accepted: BTreeMap<StationId, Vec<Observation>> = BTreeMap::new();
    for observation in sent {
        if last.insert((&observation.station, observation.time), observation) != Some(observation) {
            accepted.entry(observation.station.clone()).or_default().push(observation.clone());
        }
    }
    accepted
}

async fn read(redis: &Redis, partition: Partition) -> Stood {
    let past = redis.since(&[partition], 0, 1_000_000).await.unwrap();
    assert!(past.complete, "nothing has been trimmed");
    let mut stood = Stood::default();
    for update in past.updates {
        match (update.log, update.payload) {
            (Log::Observations, Ok(Payload::Entry(Entry::Observation(r)))) => stood.entries.push((update.id, r)),
            (Log::Observations, Err(_)) => stood.poison.push(update.id),
            (Log::Forecasts, Ok(Payload::Forecast(forecast))) => stood.forecasts.push(*forecast),
            (Log::Forecasts, Ok(Payload::Judgement(judgement))) => stood.judgements.push(*judgement),
            other => panic!("an entry that nobody sent: {other:?}"),
        }
    }
    stood
}

/// Applies a partition's entries to windows of our own, one after another.
async fn fates(redis: &Redis, partition: Partition, stood: &Stood, counts: &mut Counts) {
    let mut windows: BTreeMap<StationId, Window> = BTreeMap::new();
    // Entries of each station that changed its window since its last forecast.
    let mut open: HashMap<StationId, usize> = HashMap::new();
    let mut causes: HashSet<StreamId> = HashSet::new();
    for forecast in &stood.forecasts {
        let cause: StreamId = forecast.cause.parse().unwrap();
        assert!(causes.insert(cause), "partition {partition}: two forecasts of entry {cause}");
    }
    for (id, received) in &stood.entries {
        let station = &received.observation.station;
        let window = windows.entry(station.clone()).or_default();
        let described = Station::unregistered(station.clone());
        let (change, _) = window.observe(&received.observation, received.flags, &described, Limits::standard());
        let is_cause = causes.remove(id);
        match change {
            Change::Duplicate => counts.duplicate += 1,
            Change::TooOld => counts.too_old += 1,
            _ if is_cause => {
                counts.forecast += 1;
                counts.conflated += open.remove(station).unwrap_or_default();
            }
            _ => *open.entry(station.clone()).or_default() += 1,
        }
        assert!(change.altered() || !is_cause, "partition {partition}: entry {id} changed nothing and has a forecast");
    }
    assert!(causes.is_empty(), "partition {partition}: forecasts without their entries: {causes:?}");
    assert!(open.is_empty(), "partition {partition}: accepted and in no forecast: {open:?}");
    // The last of each station in the stream is the one that is served.
    let last: BTreeMap<&StationId, &Forecast> = stood.forecasts.iter().map(|f| (&f.station, f)).collect();
    for latest in &redis.partition_state(partition).await.unwrap().latest {
        assert_eq!(Some(&latest), last.get(&latest.station), "the forecast of {} that is served", latest.station);
    }
    // What readers were told last of an observation is what quality control says of it.
    let told: BTreeMap<(&StationId, Time), &Judgement> =
        stood.judgements.iter().map(|j| ((&j.observation.station, j.observation.time), j)).collect();
    for ((station, time), judgement) in told {
        // A correction is another observation: what was said of its predecessor is void.
        let same = |sample: &&Sample| sample.values == judgement.observation.values;
        if let Some(sample) = windows.get(station).and_then(|window| window.at(time)).filter(same) {
            assert_eq!(sample.flags, judgement.flags, "what was said of {station} at {time}");
        }
    }
    let stations: Vec<StationId> = windows.keys().cloned().collect();
    let held = redis.windows(&stations).await.unwrap();
    assert_eq!(held.unreadable, 0);
    for ((station, ours), theirs) in windows.iter().zip(&held.windows) {
        assert!(ours == theirs, "the window of {station} differs from the one of a single thread");
    }
}
