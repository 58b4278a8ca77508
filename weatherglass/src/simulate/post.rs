//! Posting a made-up network: its history at once, then its reports as they fall due.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use futures_util::StreamExt;
use indicatif::ProgressBar;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use weather::{Observation, Time};

use super::faults::Kind;
use super::gaps::Gaps;
use super::record::{self, Truth};
use super::{Area, Network};
use crate::poster::{Account, Poster};
use crate::replay::parse_time;
use crate::service;

/// Seconds between the reports of the history.
const HISTORY_STEP: i64 = 600;
/// Observations per request while history is loaded.
const BATCH: usize = 500;
/// Observations per request of those that have fallen due.
const LIVE_BATCH: usize = 5000;

/// Requests in flight while stations are registered.
const REGISTERING: usize = 16;
/// How far ahead the list of faults is written while reports go on, s.
const AHEAD: i64 = 86_400;
/// The longest that an episode of a fault lasts: one that runs when the list begins began no earlier, s.
const LONGEST: i64 = 5 * 86_400;

/// `weatherglass simulate`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Ingest's address.
    #[arg(long, default_value = "http://localhost:8001")]
    url: String,
    /// Bearer key, if ingest asks for one.
    #[arg(long, env = "WEATHERGLASS_KEY", hide_env_values = true)]
    key: Option<String>,
    /// How many stations.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    stations: u32,
    /// Where they stand, degrees; a dozen have names and places of their own if it is not given.
    #[arg(long, value_name = "SOUTH,WEST,NORTH,EAST", value_parser = Area::parse, allow_hyphen_values = true)]
    area: Option<Area>,
    /// Seconds between two reports of a station.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(i64).range(1..=86_400))]
    interval: i64,
    /// Observations a second of the whole network, instead of --interval: at most one a second of each station.
    #[arg(long, value_name = "RATE", conflicts_with = "interval", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Hours of history that are posted first.
    #[arg(long, default_value_t = 95, value_parser = clap::value_parser!(i64).range(0..=95))]
    history: i64,
    /// The same seed makes the same weather.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The share of the time, 0 to 0.45, in which a station is silent for minutes to hours.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = parse_gaps)]
    gaps: f64,
    /// Kinds of faults, with commas between them: stuck, spike, drift, unit, clock, duplicate, late; or all.
    #[arg(long, value_name = "KINDS", value_parser = Kinds::parse)]
    faults: Option<Kinds>,
    /// The share of the stations, 0 to 1, that have one of the faults.
    #[arg(long, default_value_t = 0.1, value_name = "SHARE", value_parser = parse_share)]
    fault_share: f64,
    /// Where to write which faults and outages were planted: CSV.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Write a history there instead of posting: NDJSON, and the stations beside it.
    #[arg(long, value_name = "FILE.ndjson")]
    output: Option<PathBuf>,
    /// Where that history begins; as many hours before its end as --history says if it is not given.
    #[arg(long, value_name = "TIME", requires = "output", value_parser = parse_time)]
    from: Option<Time>,
    /// Where that history ends; now if it is not given.
    #[arg(long, value_name = "TIME", requires = "output", value_parser = parse_time)]
    to: Option<Time>,
}

/// Kinds of faults, each once.
#[derive(Clone, Debug)]
struct Kinds(Vec<Kind>);

impl Kinds {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self(Kind::ALL.to_vec()));
        }
        let mut kinds = Vec::new();
        for name in text.split(',').map(str::trim) {
            let known = Kind::ALL.into_iter().find(|kind| kind.name() == name);
            let kind = known.ok_or_else(|| {
                let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
                format!("`{name}` is none of {}, all", names.join(", "))
            })?;
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        Ok(Self(kinds))
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "a share, 0 to 1".to_owned())
}

fn parse_gaps(text: &str) -> Result<f64, String> {
    parse_share(text).ok().filter(|share| *share <= Gaps::MOST).ok_or_else(|| format!("a share, 0 to {}", Gaps::MOST))
}

impl Args {
    /// Seconds between two reports of a station.
    fn interval(&self) -> anyhow::Result<i64> {
        match self.rate {
            None => Ok(self.interval),
            Some(rate) if rate > self.stations => bail!(
                "--rate {rate}: {} stations send at most one report a second each; --stations {rate} or more",
                self.stations
            ),
            Some(rate) => Ok(i64::from(self.stations.div_ceil(rate))),
        }
    }

    fn network(&self, interval: i64) -> Network {
        let count = self.stations as usize;
        let network = match self.area {
            Some(area) => Network::over(self.seed, count, area),
            None => Network::new(self.seed, count),
        };
        let kinds = self.faults.clone().map(|kinds| kinds.0).unwrap_or_default();
        network.with_gaps(self.gaps).with_faults(kinds, self.fault_share, interval)
    }

    /// The list of what is planted in a history, if it is wanted.
    fn truth(&self, network: &Network, (from, to): (Time, Time)) -> anyhow::Result<Option<Truth>> {
        let Some(path) = &self.truth else { return Ok(None) };
        let mut truth = Truth::create(path, from - LONGEST)?;
        truth.extend(network, to)?;
        Ok(Some(truth))
    }
}

/// Registers the network, posts its history, and goes on reporting until it is told to stop; or writes the
/// history to a file.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let shutdown = service::stop_on_signal()?;
    let interval = args.interval()?;
    let network = args.network(interval);
    if let Some(path) = &args.output {
        return write(&args, path, &network, interval, &shutdown);
    }
    let now = Time::now();
    let mut truth = args.truth(&network, (now - args.history * 3600, now + AHEAD))?;
    let poster = Poster::new(&args.url, args.key, shutdown.clone())?;
    let bar = crate::replay::bar(network.stations().len() as u64, "registering stations");
    register(&poster, &network, &bar).await?;
    let bar = crate::replay::bar(history_length(&network, args.history), "posting history");
    let account = history(&poster, &network, args.history, &bar, &shutdown).await?;
    println!(
        "{} stations, {} observations of history accepted, {} known before, {} rejected; reporting every {interval} s \
         until Ctrl-C",
        network.stations().len(),
        account.accepted,
        account.duplicates,
        account.rejections()
    );
    let list = async {
        while let Some(truth) = &mut truth {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(AHEAD as u64 / 4)) => {}
                () = shutdown.cancelled() => return,
            }
            let until = truth.written().max(Time::now() + AHEAD);
            if let Err(error) = truth.extend(&network, until) {
                warn!(error = %format!("{error:#}"), "the list of faults does not go on");
                return;
            }
        }
    };
    tokio::join!(list, live(&poster, &network, interval, &shutdown));
    Ok(())
}

fn write(
    args: &Args,
    path: &Path,
    network: &Network,
    interval: i64,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let to = args.to.unwrap_or_else(Time::now);
    // On whole intervals, as the reports of a history are.
    let whole = |time: Time| Time::from_unix(-(-time.unix()).div_euclid(interval) * interval);
    let from = whole(args.from.unwrap_or(to - args.history * 3600));
    if from >= to {
        bail!("--from {from} is not before --to {to}");
    }
    args.truth(network, (from, to))?;
    let length = ((to - from + interval - 1) / interval) as u64 * network.stations().len() as u64;
    let bar = crate::replay::bar(length, "writing");
    let count = record::history(network, path, (from, to), interval, &bar, shutdown)?;
    bar.finish_and_clear();
    println!("{}: {count} observations of {} stations, {from} to {to}", path.display(), network.stations().len());
    Ok(())
}

/// Describes every station.
pub(crate) async fn register(poster: &Poster, network: &Network, bar: &ProgressBar) -> anyhow::Result<()> {
    let mut registering = futures_util::stream::iter(network.stations())
        .map(|station| poster.register(station))
        .buffer_unordered(REGISTERING);
    while let Some(registered) = registering.next().await {
        registered?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// How many observations the history has.
pub(crate) fn history_length(network: &Network, hours: i64) -> u64 {
    (hours * 3600 / HISTORY_STEP) as u64 * network.stations().len() as u64
}

/// Posts the past `hours`, in order of time.
pub(crate) async fn history(
    poster: &Poster,
    network: &Network,
    hours: i64,
    bar: &ProgressBar,
    shutdown: &CancellationToken,
) -> anyhow::Result<Account> {
    let mut account = Account::default();
    let last = Time::now().unix().div_euclid(HISTORY_STEP) * HISTORY_STEP;
    let mut batch = Vec::with_capacity(BATCH);
    for step in (0..hours * 3600 / HISTORY_STEP).rev() {
        let time = Time::from_unix(last - step * HISTORY_STEP);
        for index in 0..network.stations().len() {
            batch.extend(network.report(index, time));
            if batch.len() >= BATCH {
                if shutdown.is_cancelled() {
                    return Ok(account);
                }
                poster.post(&batch, &mut account).await?;
                batch.clear();
            }
        }
        bar.inc(network.stations().len() as u64);
    }
    if !batch.is_empty() {
        poster.post(&batch, &mut account).await?;
    }
    bar.finish_and_clear();
    Ok(account)
}

/// Reports as time passes, stations spread over the interval, until shutdown.
pub(crate) async fn live(poster: &Poster, network: &Network, interval: i64, shutdown: &CancellationToken) {
    let mut account = Account::default();
    // Every station reports at once, so that nothing begins as old as the end of the history.
    let mut done = Time::now() - interval;
    while !shutdown.is_cancelled() {
        let now = Time::now();
        for batch in due(network, interval, done, now).chunks(LIVE_BATCH) {
            if let Err(error) = poster.post(batch, &mut account).await {
                if shutdown.is_cancelled() {
                    return;
                }
                warn!(error = %format!("{error:#}"), "simulated reports were not taken");
                break;
            }
        }
        done = now;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// The reports that fall due after `done` and until `now`. Station `n` of `N` reports when the time
/// is `n/N` of an interval past a whole number of intervals.
fn due(network: &Network, interval: i64, done: Time, now: Time) -> Vec<Observation> {
    let count = network.stations().len() as i64;
    let mut due = Vec::new();
    for index in 0..count {
        let offset = index * interval / count;
        let newest = (now.unix() - offset).div_euclid(interval) * interval + offset;
        if newest > done.unix() {
            due.extend(network.report(index as usize, Time::from_unix(newest)));
        }
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_station_reports_once_an_interval_whatever_the_ticks() {
        let network = Network::new(1, 7);
        let mut reports = 0;
        let mut done = Time::from_unix(1_790_000_000);
        for tick in [1, 0, 3, 2, 1, 1, 5, 20, 27] {
            let now = done + tick;
            let due = due(&network, 60, done, now);
            assert!(due.iter().all(|o| o.time > done && o.time <= now));
            reports += due.len();
            done = now;
        }
        assert_eq!(reports, 7);
    }
}
