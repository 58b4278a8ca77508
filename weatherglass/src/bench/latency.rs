//! `weatherglass bench latency`: the real services on a redis-server of their own, one observation
//! at a time; beside it, one Redis round trip and one inference, measured in the same run.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use models::{Forecaster, Input};
use serde_json::{Value, json};
use streams::Redis;
use streams::server::RedisServer;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use weather::{Flags, Observation, Time, Window};

use super::quantile;
use crate::poster::{Account, Poster};
use crate::service::settings;
use crate::simulate::Network;

/// Silence after the last post that ends the measurement.
const QUIET: Duration = Duration::from_secs(2);

/// `weatherglass bench latency`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Observations posted, one request each.
    #[arg(long, default_value_t = 1000)]
    observations: usize,
    /// Requests per second.
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Stations that report in turn.
    #[arg(long, default_value_t = 20)]
    stations: usize,
}

/// Runs it and prints the table.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let server = tokio::task::spawn_blocking(RedisServer::temporary).await??;
    let redis_config = server.config();
    let shutdown = CancellationToken::new();
    let (ingest_at, ingest_door) = listener().await?;
    let (api_at, api_door) = listener().await?;
    let health = Arc::new(worker::Health::default());
    let services = [
        tokio::spawn(ingest::run(
            ingest::Config { redis: redis_config.clone(), ..settings()? },
            ingest_door,
            shutdown.clone(),
        )),
        tokio::spawn(worker::run(
            worker::Config { redis: redis_config.clone(), ..settings()? },
            Arc::clone(&health),
            shutdown.clone(),
        )),
        tokio::spawn(api::run(api::Config { redis: redis_config.clone(), ..settings()? }, api_door, shutdown.clone())),
    ];
    let network = Network::new(1, args.stations.max(1));
    let poster = Poster::new(&format!("http://{ingest_at}"), None, shutdown.clone())?;
    let windows = fill(&poster, &network).await?;
    while health.ready().is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await; // the history's forecasts
    let (mut observed, mut forecast) = measure(&args, &poster, &network, &api_at).await?;
    let mut trips = Vec::new();
    let redis = Redis::connect(&redis_config).await?;
    for _ in 0..1000 {
        trips.push(redis.round_trip().await?);
    }
    let mut inference = tokio::task::spawn_blocking(move || infer(&network, &windows)).await??;
    shutdown.cancel();
    for service in services {
        service.await??;
    }
    println!(
        "{} observations at {}/s, {} stations with 72 h of history; milliseconds",
        args.observations, args.rate, args.stations
    );
    println!("{} frames of observations, {} of forecasts", observed.len(), forecast.len());
    println!("{:<44}{:>9}{:>9}", "", "p50", "p99");
    print("POST to observation frame", &mut observed);
    print("POST to forecast frame", &mut forecast);
    print("reference: one Redis round trip", &mut trips);
    print("reference: one inference", &mut inference);
    let reference = quantile(&mut trips, 0.99) + quantile(&mut inference, 0.99);
    let ratio = quantile(&mut forecast, 0.99) / reference;
    println!("p99 of POST to forecast frame / (round trip + inference) = {ratio:.1}   (aim: at most 10)");
    drop(server);
    Ok(())
}

async fn listener() -> anyhow::Result<(String, TcpListener)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    Ok((listener.local_addr()?.to_string(), listener))
}

/// Registers the stations and posts 72 hours; returns the same as windows for the bare inference.
async fn fill(poster: &Poster, network: &Network) -> anyhow::Result<Vec<Window>> {
    let mut account = Account::default();
    let mut windows = vec![Window::default(); network.stations().len()];
    let last = Time::now().hour() * 3600;
    for (index, station) in network.stations().iter().enumerate() {
        poster.register(station).await?;
        let history: Vec<Observation> =
            (1..=72).rev().filter_map(|h| network.observe(index, Time::from_unix(last - h * 3600))).collect();
        for observation in &history {
            windows[index].apply(observation, Flags::default());
        }
        poster.post(&history, &mut account).await?;
    }
    Ok(windows)
}

/// When each (station, time) was posted.
type Sent = Arc<Mutex<HashMap<(String, String), Instant>>>;

/// Posts at the given rate and times each observation's two frames.
async fn measure(
    args: &Args,
    poster: &Poster,
    network: &Network,
    api: &str,
) -> anyhow::Result<(Vec<Duration>, Vec<Duration>)> {
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{api}/api/v1/live")).await?;
    let subscribe = json!({"type": "subscribe", "id": "bench", "all": true, "channels": ["observation", "forecast"]});
    socket.send(Message::text(subscribe.to_string())).await?;
    let sent: Sent = Arc::default();
    let done = AtomicBool::new(false);
    let posting = async {
        let posted = post_all(args, poster, network, Arc::clone(&sent)).await;
        done.store(true, Ordering::SeqCst);
        posted
    };
    let receiving = async {
        let (mut observed, mut forecast) = (Vec::new(), Vec::new());
        loop {
            let message = match tokio::time::timeout(QUIET, socket.next()).await {
                Ok(Some(message)) => message?,
                Ok(None) => bail!("the api closed the socket"),
                // Observations that came together share a forecast: not every post has its own frame.
                Err(_) if done.load(Ordering::SeqCst) => return Ok((observed, forecast)),
                Err(_) => continue,
            };
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text)?;
            let (field, times) = match frame["type"].as_str() {
                Some("observation") => ("time", &mut observed),
                Some("forecast") => ("reference_time", &mut forecast),
                _ => continue,
            };
            let text = |field: &str| frame[field].as_str().unwrap_or_default().to_owned();
            if let Some(begun) =
                sent.lock().unwrap_or_else(PoisonError::into_inner).get(&(text("station"), text(field)))
            {
                times.push(begun.elapsed());
            }
        }
    };
    let (posted, received) = tokio::join!(posting, receiving);
    posted?;
    received
}

async fn post_all(args: &Args, poster: &Poster, network: &Network, sent: Sent) -> anyhow::Result<()> {
    let stations = network.stations().len();
    let mut clock = tokio::time::interval(Duration::from_secs_f64(1.0 / args.rate.max(0.1)));
    let mut account = Account::default();
    // Each post is a second of its own in its station's past hour: no two share a key.
    let begin = Time::now() - (args.observations / stations) as i64 - 1;
    for n in 0..args.observations {
        clock.tick().await;
        let observation = network.observe(n % stations, begin + (n / stations) as i64).context("no such station")?;
        let key = (observation.station.as_str().to_owned(), observation.time.to_string());
        sent.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Instant::now());
        poster.post(std::slice::from_ref(&observation), &mut account).await?;
    }
    Ok(())
}

fn infer(network: &Network, windows: &[Window]) -> anyhow::Result<Vec<Duration>> {
    let config: worker::Config = settings()?;
    let mut forecaster = Forecaster::load_newest(&config.models, config.backend)?;
    let mut times = Vec::new();
    for round in 0..520 {
        let index = round % windows.len();
        let input = Input { window: &windows[index], station: &network.stations()[index] };
        let begun = Instant::now();
        forecaster.predict(&[input]);
        // The first calls fill caches and the allocator.
        if round >= 20 {
            times.push(begun.elapsed());
        }
    }
    Ok(times)
}

fn print(what: &str, times: &mut [Duration]) {
    println!("{what:<44}{:>9.3}{:>9.3}", quantile(times, 0.5), quantile(times, 0.99));
}
