//! Posting a made-up network: its history at once, then its reports as they fall due.

use std::time::Duration;

use indicatif::ProgressBar;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use weather::{Observation, Time};

use super::Network;
use crate::poster::{Account, Poster};
use crate::service;

/// Seconds between the reports of the history.
const HISTORY_STEP: i64 = 600;
/// Observations per request while history is loaded.
const BATCH: usize = 500;

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
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    stations: u32,
    /// Seconds between two reports of a station.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(i64).range(1..=86_400))]
    interval: i64,
    /// Hours of history that are posted first.
    #[arg(long, default_value_t = 95, value_parser = clap::value_parser!(i64).range(0..=95))]
    history: i64,
    /// The same seed makes the same weather.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Registers the network, posts its history, and goes on reporting until it is told to stop.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let shutdown = service::stop_on_signal()?;
    let network = Network::new(args.seed, args.stations as usize);
    let poster = Poster::new(&args.url, args.key, shutdown.clone())?;
    let bar = crate::replay::bar(network.stations().len() as u64, "registering stations");
    register(&poster, &network, &bar).await?;
    let bar = crate::replay::bar(history_length(&network, args.history), "posting history");
    let account = history(&poster, &network, args.history, &bar, &shutdown).await?;
    println!(
        "{} stations, {} observations of history accepted, {} known before; reporting every {} s until Ctrl-C",
        network.stations().len(),
        account.accepted,
        account.duplicates,
        args.interval
    );
    live(&poster, &network, args.interval, &shutdown).await;
    Ok(())
}

/// Describes every station.
pub(crate) async fn register(poster: &Poster, network: &Network, bar: &ProgressBar) -> anyhow::Result<()> {
    for station in network.stations() {
        poster.register(station).await?;
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
        batch.extend((0..network.stations().len()).filter_map(|index| network.observe(index, time)));
        if batch.len() >= BATCH || step == 0 {
            if shutdown.is_cancelled() {
                break;
            }
            poster.post(&batch, &mut account).await?;
            bar.inc(batch.len() as u64);
            batch.clear();
        }
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
        let due = due(network, interval, done, now);
        if !due.is_empty()
            && let Err(error) = poster.post(&due, &mut account).await
        {
            if shutdown.is_cancelled() {
                return;
            }
            warn!(error = %format!("{error:#}"), "simulated reports were not taken");
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
            due.extend(network.observe(index as usize, Time::from_unix(newest)));
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
