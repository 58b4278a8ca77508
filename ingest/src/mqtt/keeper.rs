//! What becomes of messages: read, put together, kept, and only then acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::metrics::counter;
use streams::{Backoff, CounterReading};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use weather::{Observation, Rejection, Time};

use super::complaints::Complaints;
use super::merge::{Done, Merge};
use super::metrics::{self, Outcome};
use super::reader::{Message, Reader};
use super::session::{Delivery, Token};
use super::settings::Settings;
use crate::accept::Door;
use crate::console::names::TOTAL;
use crate::contact::Visit;
use crate::rain::{Gauges, settle};

/// Messages that are kept together at most.
const BATCH: usize = 256;
/// How long a value waits for its unit.
const UNIT_WITHIN: Duration = Duration::from_secs(10);
/// How far ahead the time of a counter's reading may be, s: a clock that is wrong by more would make
/// all later readings look late.
const AHEAD: i64 = 300;

/// A message that waits for the unit of an entity.
struct Parked {
    entity: String,
    until: Instant,
    delivery: Delivery,
}

/// What is kept in one go, and what can be acknowledged then.
#[derive(Default)]
struct Batch {
    items: Vec<Result<Observation, Rejection>>,
    /// Where each item came from.
    topics: Vec<String>,
    tokens: Vec<Token>,
}

/// Takes messages, keeps what they say, acknowledges them.
pub(crate) struct Keeper {
    door: Door,
    reader: Reader,
    merge: Merge,
    gauges: Gauges,
    parked: Vec<Parked>,
    /// Values that may wait for their unit; beyond, the oldest is refused.
    most_parked: usize,
    /// Entities whose unit did not come in time: their values are refused at once, until it comes.
    without_unit: BTreeSet<String>,
    complaints: Complaints,
    arrivals: mpsc::Receiver<Delivery>,
    kept: mpsc::Sender<Token>,
}

impl Keeper {
    pub(crate) fn new(
        (door, gauges): (Door, Gauges),
        settings: Arc<Settings>,
        arrivals: mpsc::Receiver<Delivery>,
        kept: mpsc::Sender<Token>,
    ) -> Self {
        // The broker goes on sending while some wait.
        let most_parked = usize::from(settings.broker.in_flight);
        let hold = (most_parked * 3 / 5).max(1);
        Self {
            door,
            reader: Reader::new(settings),
            merge: Merge::new(hold),
            gauges,
            parked: Vec::new(),
            most_parked,
            without_unit: BTreeSet::new(),
            complaints: Complaints::default(),
            arrivals,
            kept,
        }
    }

    /// Works until `shutdown`, or the session has ended. What waits for its other parts then is kept as
    /// it is; what can't be kept is not acknowledged, and so comes again.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let mut batch = Batch::default();
            let deadline = self.deadline();
            let due = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                first = self.arrivals.recv() => {
                    let Some(first) = first else { break };
                    self.take(first, &mut batch).await;
                    for _ in 1..BATCH {
                        let Ok(next) = self.arrivals.try_recv() else { break };
                        self.take(next, &mut batch).await;
                    }
                }
                () = due => {}
                () = shutdown.cancelled() => break,
            }
            self.look_at_clock(&mut batch).await;
            if !self.keep(batch, &shutdown).await {
                return;
            }
        }
        let (mut batch, mut done) = (Batch::default(), Vec::new());
        self.merge.drain(&mut done);
        self.finish(done, &mut batch).await;
        let count = batch.items.len();
        if count > 0 && self.keep(batch, &shutdown).await {
            info!(count, "observations that waited for more parts were kept as they were");
        }
    }

    /// When something has to be done though nothing arrives.
    fn deadline(&self) -> Option<Instant> {
        let units = self.parked.iter().map(|parked| parked.until).min();
        self.merge.deadline().into_iter().chain(units).min()
    }

    async fn look_at_clock(&mut self, batch: &mut Batch) {
        let (now, mut done) = (Instant::now(), Vec::new());
        self.merge.due(now, &mut done);
        self.finish(done, batch).await;
        let excess = self.parked.len().saturating_sub(self.most_parked);
        let parked = std::mem::take(&mut self.parked).into_iter().enumerate();
        let (over, wait): (Vec<_>, Vec<_>) = parked.partition(|(at, parked)| parked.until <= now || *at < excess);
        self.parked = wait.into_iter().map(|(_, parked)| parked).collect();
        for (_, Parked { entity, delivery, .. }) in over {
            self.refuse(&entity, delivery, batch);
            self.without_unit.insert(entity);
        }
    }

    fn refuse(&self, entity: &str, delivery: Delivery, batch: &mut Batch) {
        metrics::message("homeassistant", Outcome::Rejected);
        batch.items.push(Err(self.reader.without_unit(entity)));
        batch.topics.push(delivery.publish.topic);
        batch.tokens.extend(delivery.token);
    }

    async fn take(&mut self, delivery: Delivery, batch: &mut Batch) {
        let publish = &delivery.publish;
        let (dialect, message) = self.reader.read(&publish.topic, &publish.payload, publish.retain, delivery.arrived);
        match message {
            Message::Nothing => {
                metrics::message(dialect, Outcome::Ignored);
                batch.tokens.extend(delivery.token);
            }
            Message::Unit(entity) => {
                metrics::message(dialect, Outcome::Ignored);
                batch.tokens.extend(delivery.token);
                self.without_unit.remove(&entity);
                let parked = std::mem::take(&mut self.parked).into_iter();
                let (told, wait): (Vec<_>, Vec<_>) = parked.partition(|parked| parked.entity == entity);
                self.parked = wait;
                for parked in told {
                    Box::pin(self.take(parked.delivery, batch)).await;
                }
            }
            Message::WithoutUnit(entity) if self.without_unit.contains(&entity) => {
                self.refuse(&entity, delivery, batch);
            }
            Message::WithoutUnit(entity) => {
                let until = delivery.since + UNIT_WITHIN;
                self.parked.push(Parked { entity, until, delivery });
            }
            Message::Parts(parts, merge) => {
                let is_read = parts.iter().any(Result::is_ok);
                metrics::message(dialect, if is_read { Outcome::Read } else { Outcome::Rejected });
                let Delivery { publish, token, since, .. } = delivery;
                let mut token = token;
                for part in parts {
                    match part {
                        Ok(part) if !merge.is_zero() => {
                            let mut done = Vec::new();
                            self.merge.add(part, (&publish.topic, token.take()), merge, since, &mut done);
                            self.finish(done, batch).await;
                        }
                        Ok(part) => {
                            let rain = part.rain.map(|total| (part.time, total));
                            let (topic, tokens) = (publish.topic.clone(), Vec::new());
                            let done = Done { observation: Some(part.alone()), rain, tokens, topic };
                            self.finish(vec![done], batch).await;
                        }
                        Err(rejection) => {
                            batch.items.push(Err(rejection));
                            batch.topics.push(publish.topic.clone());
                        }
                    }
                }
                batch.tokens.extend(token);
            }
        }
    }

    /// Puts what is finished into the batch, with the rain that a counter says fell.
    async fn finish(&mut self, done: Vec<Done>, batch: &mut Batch) {
        for Done { observation, rain, tokens, topic } in done {
            batch.tokens.extend(tokens);
            let Some(mut observation) = observation else { continue };
            if let Some(reading) = rain.filter(|(time, _)| *time - Time::now() <= AHEAD) {
                self.with_rain(&mut observation, reading).await;
            }
            // Nothing but the first reading of a counter: it says something once there is a second.
            if !observation.values.is_empty() {
                batch.items.push(Ok(observation));
                batch.topics.push(topic);
            }
        }
    }

    /// Sets the rain that the counter's readings tell. It is one that never goes back, as far as anybody knows.
    async fn with_rain(&self, observation: &mut Observation, (time, total): (Time, f64)) {
        let reading = CounterReading { time, totals: vec![(TOTAL, total)] };
        let place = self.gauges.keep(&observation.station, &reading).await;
        settle(&mut observation.values, &place, &reading);
    }

    /// Keeps a batch, however long it takes, and acknowledges it. False when `shutdown` came first.
    async fn keep(&mut self, batch: Batch, shutdown: &CancellationToken) -> bool {
        let mut backoff = Backoff::default();
        let visit = Visit { door: "mqtt", ..Visit::default() };
        while !batch.items.is_empty() {
            match self.door.accept_from(visit.clone(), batch.items.clone()).await {
                Ok(receipt) => {
                    for refusal in &receipt.rejected {
                        let topic = batch.topics.get(refusal.index).map_or("", String::as_str);
                        self.complaints.tell(topic, refusal);
                    }
                    break;
                }
                Err(closed) => {
                    counter!(metrics::RETRIES).increment(1);
                    if backoff.failures() == 0 {
                        warn!(%closed, "MQTT messages are not taken now: they are tried again, and wait unacknowledged");
                    }
                    tokio::select! {
                        () = tokio::time::sleep(backoff.pause()) => {}
                        () = shutdown.cancelled() => return false,
                    }
                }
            }
        }
        if backoff.failures() > 0 {
            info!("MQTT messages are taken again");
        }
        for token in batch.tokens {
            // The session has ended: they come again.
            if self.kept.send(token).await.is_err() {
                break;
            }
        }
        true
    }
}
