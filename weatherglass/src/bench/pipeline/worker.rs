//! From the stream to committed forecasts, on one core, beside bare inference of the same model on
//! the same windows; and by several workers.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use models::bench::on_one_thread;
use models::{Forecaster, Input};
use streams::{Appender, Received};
use weather::{Flags, Observation, Time, Window};

use super::client::first_second;
use super::cores;
use super::stack::{Process, Stack, can_pin};
use super::table::{Table, Wanted};
use crate::bench::median;
use crate::service::settings;
use crate::simulate::Network;

/// Stations that report in turn: more than any batch takes, so that each observation has its forecast.
pub(super) const STATIONS: usize = 8192;
/// Hours of hourly history behind each.
pub(super) const HISTORY: i64 = 48;
/// Windows in a call of bare inference.
const BATCH: usize = 256;
/// Observations appended at once.
const CHUNK: usize = 4096;
/// Turns of bare inference and worker.
const ROUNDS: usize = 3;

/// What workers did in a while, summed over them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Worked {
    pub(super) per_second: f64,
    pub(super) forecasts: f64,
    /// Microseconds of processor time per observation: of the model's threads, of all else in the
    /// workers, and of Redis.
    pub(super) inference: f64,
    pub(super) beside: f64,
    pub(super) redis: f64,
    /// Commands per observation.
    pub(super) sent: f64,
    pub(super) inside: f64,
}

impl Worked {
    fn cpu(&self) -> f64 {
        self.inference + self.beside
    }
}

/// One worker on one core.
pub(super) async fn run(table: &mut Table, time: Duration) -> anyhow::Result<Worked> {
    table.section("Worker: stream to committed forecast, one core");
    let network = Network::new(1, STATIONS);
    let mut feeder = Feeder::start(&network).await?;
    let core = cores() - 1;
    let empty = feeder.stack.statistics().await?.memory;
    let worker = feeder.stack.service("worker", Some(core)).await?;
    let before = worker.resident();
    feeder.history(HISTORY).await?;
    feeder.stack.settled().await?;
    let held = (worker.resident() - before, (feeder.stack.statistics().await?.memory - empty) as f64);
    let (mut bare, mut worked) = (Vec::new(), Vec::new());
    let workers = [worker];
    for _ in 0..ROUNDS {
        let windows = feeder.windows.clone();
        let known = network.stations().to_vec();
        let inferred = tokio::task::spawn_blocking(move || infer(&windows, &known, time / 2)).await??;
        worked.push(feeder.measure(&workers, inferred.per_second, time).await?);
        bare.push(inferred);
    }
    show(table, &bare, &worked);
    let per_100k = 1e5 / STATIONS as f64 / 1e9;
    table.row(
        format!("memory of the worker, {HISTORY} h of hourly reports"),
        (held.0 * per_100k, "GB/100 000 stations"),
        None,
        None,
    );
    table.row("memory of Redis for the same, streams and all", (held.1 * per_100k, "GB/100 000 stations"), None, None);
    if !can_pin() {
        table.note("taskset is not installed: the worker was not held to one core, its rate is of more than one.");
    }
    worked.sort_unstable_by(|a, b| a.cpu().total_cmp(&b.cpu()));
    Ok(worked[worked.len() / 2])
}

fn show(table: &mut Table, bare: &[Bare], worked: &[Worked]) {
    let of = |part: fn(&Worked) -> f64| median(worked.iter().map(part));
    let bare_rate = median(bare.iter().map(|b| b.per_second));
    let bare_cpu = median(bare.iter().map(|b| b.cpu));
    let name = "bare inferences/s";
    table.row(
        "observations/s, one core",
        (of(|w| w.per_second), "observations/s"),
        Some((bare_rate, name)),
        Some(Wanted::AtLeast(0.7)),
    );
    let per_core_second = (1e6 / of(Worked::cpu), "observations");
    table.row(
        "  the same per second of processor time",
        per_core_second,
        Some((1e6 / bare_cpu, "bare inferences")),
        Some(Wanted::AtLeast(0.7)),
    );
    table.row("  processor time of the worker", (of(Worked::cpu), "us/observation"), Some((bare_cpu, "us bare")), None);
    table.row("  of it, all but inference", (of(|w| w.beside), "us/observation"), None, Some(Wanted::AtMost(10.0)));
    table.row("  processor time of Redis", (of(|w| w.redis), "us/observation"), None, None);
    table.row("  commands sent to Redis", (of(|w| w.sent), "/observation"), None, Some(Wanted::AtMost(2.0)));
    table.row("  commands run within scripts", (of(|w| w.inside), "/observation"), None, None);
    table.row("  forecasts (the rest shared one)", (of(|w| w.forecasts), "/observation"), None, None);
}

/// 1, 2 and 4 workers share the partitions.
pub(super) async fn owners(table: &mut Table, time: Duration) -> anyhow::Result<()> {
    table.section("Workers that share the partitions");
    let network = Network::new(1, STATIONS);
    let mut alone = None;
    for count in [1, 2, 4] {
        let mut feeder = Feeder::start(&network).await?;
        let mut workers = Vec::new();
        for _ in 0..count {
            workers.push(feeder.stack.service("worker", None).await?);
        }
        let shares = shares(&workers).await?;
        feeder.history(4).await?;
        feeder.stack.settled().await?;
        let worked = feeder.measure(&workers, 4000.0 * cores() as f64, time).await?;
        let first = *alone.get_or_insert(worked);
        let (all, reference) = ((worked.per_second, "observations/s"), (first.per_second, "with one"));
        table.row(format!("{count} workers, {shares:?} partitions each"), all, Some(reference), None);
        let (cost, one) = (worked.cpu() + worked.redis, first.cpu() + first.redis);
        table.row(
            "  processor time, Redis's too",
            (cost, "us/observation"),
            Some((one, "with one")),
            Some(Wanted::AtMost(1.25)),
        );
        table.row("  commands sent to Redis", (worked.sent, "/observation"), None, Some(Wanted::AtMost(2.0)));
        if shares.contains(&0) {
            table.note("A worker owned nothing: the figures are of those that did.");
        }
    }
    table.note(format!("More workers than the {} cores can only share them, with Redis.", cores()));
    Ok(())
}

/// What each worker owns once everyone owns something, or after a while.
async fn shares(workers: &[Process]) -> anyhow::Result<Vec<u32>> {
    let begun = Instant::now();
    loop {
        let mut shares = Vec::new();
        for worker in workers {
            shares.push(worker.metric(worker::metrics::PARTITIONS).await? as u32);
        }
        if !shares.contains(&0) || begun.elapsed() > Duration::from_secs(15) {
            return Ok(shares);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Bare inference: windows to forecasts, as the worker asks for them.
#[derive(Clone, Copy, Debug)]
struct Bare {
    per_second: f64,
    /// Microseconds of processor time per forecast.
    cpu: f64,
}

fn infer(windows: &[Window], stations: &[weather::Station], time: Duration) -> anyhow::Result<Bare> {
    let config: worker::Config = settings()?;
    let mut forecaster = Forecaster::load_newest(&config.models, config.backend)?;
    on_one_thread(move || {
        let inputs: Vec<Input<'_>> =
            windows.iter().zip(stations).map(|(window, station)| Input { window, station }).collect();
        forecaster.predict(&inputs[..BATCH.min(inputs.len())]);
        let (begun, cpu) = (Instant::now(), thread_seconds());
        let mut made = 0;
        for batch in inputs.chunks(BATCH).cycle() {
            made += std::hint::black_box(forecaster.predict(batch)).len();
            if begun.elapsed() >= time {
                break;
            }
        }
        Bare {
            per_second: made as f64 / begun.elapsed().as_secs_f64(),
            cpu: (thread_seconds() - cpu) * 1e6 / made as f64,
        }
    })
}

/// Processor time of this thread.
fn thread_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).map_or(f64::NAN, |ns| ns / 1e9)
}

/// Puts observations into the streams, past the door.
pub(super) struct Feeder<'a> {
    pub(super) stack: Stack,
    network: &'a Network,
    appender: Appender,
    /// As the worker should have them.
    pub(super) windows: Vec<Window>,
    second: Time,
    newest: Vec<Observation>,
}

impl<'a> Feeder<'a> {
    pub(super) async fn start(network: &'a Network) -> anyhow::Result<Self> {
        let feeder = Self::start_empty(network).await?;
        feeder.describe().await?;
        Ok(feeder)
    }

    /// One that has not registered its stations.
    pub(super) async fn start_empty(network: &'a Network) -> anyhow::Result<Self> {
        let stack = Stack::start().await?;
        let appender = Appender::new(stack.redis.clone());
        let windows = vec![Window::default(); network.stations().len()];
        let second = first_second();
        let newest = (0..windows.len()).filter_map(|index| network.observe(index, second)).collect();
        Ok(Self { stack, network, appender, windows, second, newest })
    }

    /// Registers the stations.
    pub(super) async fn describe(&self) -> anyhow::Result<()> {
        for some in self.network.stations().chunks(64) {
            for put in futures_util::future::join_all(some.iter().map(|s| self.appender.put_station(s))).await {
                put?;
            }
        }
        Ok(())
    }

    async fn append(&self, observations: Vec<Observation>) -> anyhow::Result<()> {
        let received = jiff::Timestamp::now().as_millisecond();
        let wrapped = |observation| Received { observation, flags: Flags::default(), received };
        let all: Vec<Received> = observations.into_iter().map(wrapped).collect();
        for chunk in all.chunks(CHUNK) {
            self.appender.append(chunk).await?;
        }
        Ok(())
    }

    /// Hourly reports of the past, station by station.
    pub(super) async fn history(&mut self, hours: i64) -> anyhow::Result<()> {
        let last = Time::now().hour() * 3600 - 3600;
        let mut some = Vec::new();
        for (index, window) in self.windows.iter_mut().enumerate() {
            for hour in (0..hours).rev() {
                let observation =
                    self.network.observe(index, Time::from_unix(last - hour * 3600)).context("no station")?;
                window.apply(&observation, Flags::default());
                some.push(observation);
            }
        }
        self.append(some).await
    }

    /// A report of every station, all of a second of their own.
    pub(super) async fn round(&mut self) -> anyhow::Result<()> {
        self.second = self.second + 1;
        self.newest.iter_mut().for_each(|observation| observation.time = self.second);
        self.append(self.newest.clone()).await
    }

    /// Lets workers deal with a backlog and looks at them while it lasts. `most` is more than they
    /// can do in a second.
    pub(super) async fn measure(&mut self, workers: &[Process], most: f64, time: Duration) -> anyhow::Result<Worked> {
        let rounds = (most * (time.as_secs_f64() + 1.0) / self.newest.len() as f64).ceil() as usize + 1;
        for _ in 0..rounds {
            self.round().await?;
        }
        let first = self.look(workers, 0.0).await?;
        let begun = Instant::now();
        let mut last = self.look(workers, first.observations).await?;
        while begun.elapsed() < time && self.lags().await? {
            last = self.look(workers, last.observations).await?;
        }
        self.stack.settled().await?;
        ensure!(last.observations > first.observations, "the backlog was too short to be measured");
        Ok(Worked::between(&first, &last))
    }

    async fn lags(&self) -> anyhow::Result<bool> {
        // One partition speaks for all: they are read together.
        let backlog = self.stack.redis.backlog(0).await?;
        Ok(backlog.oldest.is_some())
    }

    /// Waits until more has been committed than before: only then do count and processor time belong
    /// together.
    async fn look(&self, workers: &[Process], before: f64) -> anyhow::Result<Sample> {
        let observations = || async {
            let mut sum = 0.0;
            for worker in workers {
                sum += worker.metric(worker::metrics::OBSERVATIONS).await?;
            }
            Ok::<f64, anyhow::Error>(sum)
        };
        let begun = Instant::now();
        let before = if before > 0.0 { before } else { observations().await? };
        let mut now = before;
        while now <= before && begun.elapsed() < Duration::from_secs(10) {
            // Each look costs the worker a page of metrics.
            tokio::time::sleep(Duration::from_millis(50)).await;
            now = observations().await?;
        }
        let mut sample = Sample { at: Instant::now(), observations: now, ..Sample::default() };
        for worker in workers {
            sample.cpu += worker.cpu_seconds();
            sample.inference += worker.inference_seconds();
            sample.forecasts += worker.metric(worker::metrics::FORECASTS).await?;
        }
        let statistics = self.stack.statistics().await?;
        sample.redis = statistics.cpu_seconds;
        (sample.sent, sample.inside) = (statistics.sent(), statistics.inside());
        Ok(sample)
    }
}

/// Counters at a moment.
struct Sample {
    at: Instant,
    observations: f64,
    forecasts: f64,
    cpu: f64,
    inference: f64,
    redis: f64,
    sent: u64,
    inside: u64,
}

impl Default for Sample {
    fn default() -> Self {
        let (observations, forecasts, cpu, inference, redis) = (0.0, 0.0, 0.0, 0.0, 0.0);
        Self { at: Instant::now(), observations, forecasts, cpu, inference, redis, sent: 0, inside: 0 }
    }
}

impl Worked {
    fn between(first: &Sample, last: &Sample) -> Self {
        let count = last.observations - first.observations;
        let each = |first: f64, last: f64| (last - first) * 1e6 / count;
        let inference = each(first.inference, last.inference);
        Self {
            per_second: count / (last.at - first.at).as_secs_f64(),
            forecasts: (last.forecasts - first.forecasts) / count,
            inference,
            beside: each(first.cpu, last.cpu) - inference,
            redis: each(first.redis, last.redis),
            sent: (last.sent - first.sent) as f64 / count,
            inside: (last.inside - first.inside) as f64 / count,
        }
    }
}
