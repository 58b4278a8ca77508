//! From POST to WebSocket frame at shares of what the whole can do, with every service on the machine.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use weather::Time;

use super::client::{Body, Connection, Format, bodies};
use super::stack::Process;
use super::table::{Table, Wanted};
use super::worker::Feeder;
use crate::bench::quantile;
use crate::simulate::Network;

/// Stations that report in turn.
const STATIONS: usize = 4096;
/// Requests under way at once, at most.
const CONNECTIONS: usize = 16;
/// Observations per request while capacity is looked for.
const BATCH: usize = 64;
/// A run never has so few that its 99th percentile is its slowest but one.
const FEWEST: f64 = 400.0;
/// Silence after which nothing more will come.
const QUIET: Duration = Duration::from_secs(3);

/// When each station's reports were due, oldest first.
type Due = Arc<Mutex<HashMap<String, Vec<(i64, Instant)>>>>;

/// Capacity, then latency at shares of it.
pub(super) async fn run(table: &mut Table, time: Duration) -> anyhow::Result<()> {
    table.section("End to end: POST to the forecast's WebSocket frame");
    let network = Network::new(1, STATIONS);
    let mut feeder = Feeder::start(&network).await?;
    let stack = &feeder.stack;
    let (door, api, worker) =
        (stack.service("ingest", None).await?, stack.service("api", None).await?, stack.service("worker", None).await?);
    feeder.history(24).await?;
    feeder.stack.settled().await?;
    let mut clock = Clock { network: &network, second: super::client::first_second() };
    let capacity = clock.capacity(&feeder, &door, &api, &worker, time).await?;
    table.row("capacity with everything on this machine", (capacity, "observations/s"), None, None);
    let wanted = [(None, Some(10.0)), (Some(0.1), None), (Some(0.5), Some(250.0)), (Some(0.9), None)];
    for (share, p99) in wanted {
        let rate = share.map_or(50.0, |share| share * capacity);
        let what = share.map_or("light load".to_owned(), |share| format!("{:.0} % of capacity", share * 100.0));
        let mut seen = clock.paced(&door, &api, rate, time).await?;
        feeder.stack.settled().await?;
        let title = format!("{what}, {rate:.0} observations/s: p50");
        table.row(title, (quantile(&mut seen.times, 0.5), "ms"), None, None);
        table.row("  p95", (quantile(&mut seen.times, 0.95), "ms"), None, None);
        let title = format!("  p99 at {what}");
        table.row(title, (quantile(&mut seen.times, 0.99), "ms"), None, p99.map(Wanted::AtMost));
        if seen.missing > 0 {
            table.note(format!("{} of {} observations had no frame within {QUIET:?}.", seen.missing, seen.posted));
        }
    }
    table.note(
        "Single JSON posts; a time counts from when its post was due, so that a late sender hides nothing. An \
         observation whose forecast is conflated into a newer one's has arrived with that one.",
    );
    Ok(())
}

/// What came of a run.
struct Seen {
    times: Vec<Duration>,
    posted: usize,
    missing: usize,
}

/// Hands out seconds, so that no two reports of a station share one.
struct Clock<'a> {
    network: &'a Network,
    second: Time,
}

impl Clock<'_> {
    /// Observations per second that the worker commits while posts never stop and one browser watches.
    async fn capacity(
        &mut self,
        feeder: &Feeder<'_>,
        door: &Process,
        api: &Process,
        worker: &Process,
        time: Duration,
    ) -> anyhow::Result<f64> {
        let nothing = Watch { due: Due::default(), posted: Arc::default(), following: None };
        let watching = tokio::spawn(watch(api.port, nothing));
        let mut all = bodies(self.network, Format::MessagePack, BATCH)?;
        let mut connection = Connection::open(door.port).await?;
        let (mut sent, mut first) = (worker.metric(worker::metrics::OBSERVATIONS).await?, None);
        let begun = Instant::now();
        let rate = 'posting: loop {
            self.second = self.second + 1;
            for body in &mut all {
                body.stamp(self.second);
                connection.post(body).await?;
                sent += body.len() as f64;
                let mut done = worker.metric(worker::metrics::OBSERVATIONS).await?;
                // Enough that the worker never waits, and not so much that stations share a forecast.
                while sent - done > STATIONS as f64 / 2.0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    done = worker.metric(worker::metrics::OBSERVATIONS).await?;
                }
                let elapsed = begun.elapsed();
                if elapsed > time / 2 {
                    let (at, before) = *first.get_or_insert((Instant::now(), done));
                    if elapsed > time * 3 / 2 {
                        break 'posting (done - before) / at.elapsed().as_secs_f64();
                    }
                }
            }
        };
        feeder.stack.settled().await?;
        watching.abort();
        Ok(rate)
    }

    /// Posts one by one at a steady rate.
    async fn paced(&mut self, door: &Process, api: &Process, rate: f64, time: Duration) -> anyhow::Result<Seen> {
        let count = (rate * time.as_secs_f64()).max(FEWEST) as usize;
        let (due, posted): (Due, Arc<AtomicBool>) = Default::default();
        let (following, follows) = oneshot::channel();
        let watched = Watch { due: Arc::clone(&due), posted: Arc::clone(&posted), following: Some(following) };
        let watching = tokio::spawn(watch(api.port, watched));
        follows.await.context("the api sent no snapshot")?;
        let (posts, senders) = senders(door.port, CONNECTIONS).await?;
        let all = bodies(self.network, Format::Json, 1)?;
        let begun = Instant::now();
        for n in 0..count {
            let index = n % all.len();
            if index == 0 {
                self.second = self.second + 1;
            }
            let at = begun + Duration::from_secs_f64(n as f64 / rate);
            tokio::time::sleep_until(at.into()).await;
            let mut body = all[index].clone();
            body.stamp(self.second);
            let station = self.network.stations()[index].id.as_str().to_owned();
            due.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(station)
                .or_default()
                .push((self.second.unix(), at));
            posts.send(body).await.ok().context("the senders have ended")?;
        }
        drop(posts);
        for sender in senders {
            sender.await??;
        }
        posted.store(true, Ordering::SeqCst);
        let times = watching.await??;
        Ok(Seen { posted: count, missing: count.saturating_sub(times.len()), times })
    }
}

type Senders = Vec<tokio::task::JoinHandle<anyhow::Result<()>>>;

/// Connections that take what is due from one queue.
async fn senders(port: u16, count: usize) -> anyhow::Result<(mpsc::Sender<Body>, Senders)> {
    let (posts, queue) = mpsc::channel::<Body>(100_000);
    let queue = Arc::new(tokio::sync::Mutex::new(queue));
    let mut senders = Vec::new();
    for _ in 0..count {
        let (queue, mut connection) = (Arc::clone(&queue), Connection::open(port).await?);
        senders.push(tokio::spawn(async move {
            loop {
                let Some(body) = queue.lock().await.recv().await else { return Ok(()) };
                connection.post(&body).await?;
            }
        }));
    }
    Ok((posts, senders))
}

/// What a watching browser is told, and tells.
struct Watch {
    due: Due,
    /// Every post has been answered: silence means that nothing more will come.
    posted: Arc<AtomicBool>,
    /// Fired when the snapshot has been read and updates follow.
    following: Option<oneshot::Sender<()>>,
}

/// Reads frames as they come, and times the forecast of each observation that was due.
async fn watch(port: u16, mut watch: Watch) -> anyhow::Result<Vec<Duration>> {
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://127.0.0.1:{port}/api/v1/live")).await?;
    let subscribe = json!({"type": "subscribe", "id": "bench", "all": true, "channels": ["observation", "forecast"]});
    socket.send(Message::text(subscribe.to_string())).await?;
    let mut times = Vec::new();
    loop {
        let message = match tokio::time::timeout(QUIET, socket.next()).await {
            Ok(Some(message)) => message?,
            Ok(None) => bail!("the api closed the socket"),
            Err(_) if watch.posted.load(Ordering::SeqCst) => return Ok(times),
            Err(_) => continue,
        };
        let Message::Text(text) = message else { continue };
        if text.starts_with(r#"{"type":"snapshot""#) && text.contains(r#""cursor":"c1-"#) {
            watch.following.take().map(|following| following.send(()));
        }
        if !text.starts_with(r#"{"type":"forecast""#) {
            continue;
        }
        let (Some(station), Some(reference)) = (field(&text, "station"), field(&text, "reference_time")) else {
            bail!("a forecast without a station or a time");
        };
        let reference = Time::parse(reference).map_err(|error| anyhow!("{error}"))?.unix();
        let mut due = watch.due.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = due.get_mut(station) {
            waiting.retain(|(second, since)| {
                let arrived = *second <= reference;
                if arrived {
                    times.push(since.elapsed());
                }
                !arrived
            });
        }
    }
}

/// A text field of a frame. The rest of it is skipped: reading it all is a browser's work.
fn field<'a>(frame: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = frame.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next()
}
