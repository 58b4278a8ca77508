//! `weatherglass demo`: everything in one process, beside a redis-server, with a simulated network.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::ArgMatches;
use clap::parser::ValueSource;
use indicatif::{ProgressBar, ProgressStyle};
use streams::server::RedisServer;
use streams::{Redis, RedisConfig};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weather::Time;

use crate::poster::Poster;
use crate::simulate::{self, Network};
use crate::{replay, service, telemetry};

/// How long the services may take to get ready, and all forecasts to appear.
const WARM_UP: Duration = Duration::from_secs(180);

/// `weatherglass demo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    redis: RedisConfig,
    /// Folder of the demo's own redis-server; not used when REDIS_HOST, REDIS_PORT or REDIS_URL names another.
    #[arg(long, env = "WEATHERGLASS_DATA_DIR", default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// Port of the demo's own redis-server.
    #[arg(long, default_value_t = 6381, value_name = "PORT")]
    own_redis_port: u16,
    /// Address of the ingest door.
    #[arg(long, default_value = "0.0.0.0:8001", value_name = "ADDRESS")]
    ingest_listen: SocketAddr,
    /// Address of the API, which serves the dashboard too.
    #[arg(long, default_value = "0.0.0.0:8000", value_name = "ADDRESS")]
    api_listen: SocketAddr,
    /// A second address of the dashboard.
    #[arg(long, default_value = "0.0.0.0:5173", value_name = "ADDRESS")]
    web_listen: SocketAddr,
    /// Address of /metrics of everything.
    #[arg(long, default_value = "127.0.0.1:9101", value_name = "ADDRESS")]
    metrics_listen: SocketAddr,
    /// Folder of the built dashboard.
    #[arg(long, env = "WEATHERGLASS_WEB", default_value = "web/dist", value_name = "DIR")]
    web: PathBuf,
    /// How many simulated stations; 0 for none.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    stations: u32,
    /// Seconds between two reports of a simulated station.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(i64).range(1..=3600))]
    interval: i64,
    /// The same seed makes the same weather.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Whether the user said where Redis is.
pub(crate) fn redis_is_named(matches: &ArgMatches) -> bool {
    ["redis_host", "redis_port", "redis_url"]
        .iter()
        .any(|name| matches!(matches.value_source(name), Some(ValueSource::CommandLine | ValueSource::EnvVariable)))
}

/// Runs the demo until Ctrl-C. `redis_named`: use that Redis instead of starting one.
pub(crate) async fn run(args: Args, redis_named: bool) -> anyhow::Result<()> {
    let shutdown = service::stop_on_signal()?;
    // Ports first: whatever is in the way is said before anything has been started.
    let doors = Doors::open(&args).await?;
    let metrics = telemetry::start_metrics()?;
    let mut redis = args.redis.clone();
    let server = if redis_named {
        step(&format!("using Redis at {}", redis.address()));
        // Asked here, where the fix is known, before three services ask and fail one by one.
        Redis::connect(&redis).await.with_context(|| {
            format!(
                "can't use Redis at {}: start it, or put REDIS_HOST, REDIS_PORT and its credentials right, or leave \
                 them out and the demo starts a redis-server of its own",
                redis.address()
            )
        })?;
        None
    } else {
        let (port, data) = (args.own_redis_port, args.data.clone());
        step(&format!("starting redis-server on port {port}, data in {}", data.display()));
        redis.redis_port = port;
        Some(tokio::task::spawn_blocking(move || RedisServer::persistent(port, &data)).await??)
    };
    let addresses = doors.addresses()?;
    let mut house = House::start(&args, &redis, doors, metrics)?;
    let outcome = tokio::select! {
        lived = live(&args, &addresses, &shutdown) => lived,
        failed = house.failed() => failed,
    };
    eprintln!();
    step("stopping");
    let stopped = house.stop().await;
    // The server writes its data as it stops; this waits for it.
    tokio::task::spawn_blocking(move || drop(server)).await?;
    step("stopped; everything accepted is kept");
    outcome.and(stopped)
}

fn step(text: &str) {
    eprintln!("  {text}");
}

struct Doors {
    ingest: TcpListener,
    api: TcpListener,
    web: TcpListener,
    metrics: TcpListener,
}

impl Doors {
    async fn open(args: &Args) -> anyhow::Result<Self> {
        Ok(Self {
            ingest: service::listen(args.ingest_listen, "--ingest-listen").await?,
            api: service::listen(args.api_listen, "--api-listen").await?,
            web: service::listen(args.web_listen, "--web-listen").await?,
            metrics: service::listen(args.metrics_listen, "--metrics-listen").await?,
        })
    }

    fn addresses(&self) -> anyhow::Result<Addresses> {
        Ok(Addresses { ingest: reachable(&self.ingest)?, api: reachable(&self.api)?, dashboard: reachable(&self.web)? })
    }
}

/// Where the demo is reached from this machine.
struct Addresses {
    ingest: String,
    api: String,
    dashboard: String,
}

type Service = JoinHandle<anyhow::Result<()>>;

/// The running services, each with its own switch, so that they can be stopped in the order of the stream.
struct House {
    services: Vec<(&'static str, CancellationToken, Service)>,
}

impl House {
    fn start(
        args: &Args,
        redis: &RedisConfig,
        doors: Doors,
        metrics: metrics_exporter_prometheus::PrometheusHandle,
    ) -> anyhow::Result<Self> {
        let mut house = Self { services: Vec::new() };
        let ingest = ingest::Config { redis: redis.clone(), ..service::settings()? };
        let worker = worker::Config { redis: redis.clone(), ..service::settings()? };
        let api = api::Config { redis: redis.clone(), web: args.web.clone(), ..service::settings()? };
        let health = Arc::new(worker::Health::default());
        // Listed in the order in which they stop: nothing new, then what is in progress, then what shows it.
        house.add("ingest", |token| tokio::spawn(ingest::run(ingest, doors.ingest, token)));
        let shown = Arc::clone(&health);
        house.add("worker", |token| tokio::spawn(worker::run(worker, shown, token)));
        house.add("api", |token| tokio::spawn(api::serve_on(api, vec![doors.api, doors.web], token)));
        house.add("metrics", |token| {
            tokio::spawn(telemetry::serve_metrics(doors.metrics, metrics, Some(health), token))
        });
        Ok(house)
    }

    fn add(&mut self, name: &'static str, start: impl FnOnce(CancellationToken) -> Service) {
        let token = CancellationToken::new();
        let service = start(token.clone());
        self.services.push((name, token, service));
    }

    /// Ends when a service has ended by itself.
    async fn failed(&mut self) -> anyhow::Result<()> {
        loop {
            if let Some(at) = self.services.iter().position(|(_, _, service)| service.is_finished()) {
                let (name, _, service) = self.services.remove(at);
                service.await.with_context(|| format!("{name} failed"))??;
                bail!("{name} has stopped by itself");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn stop(self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for (name, token, service) in self.services {
            token.cancel();
            let stopped = service.await.with_context(|| format!("{name} failed"))?;
            outcome = outcome.and(stopped.with_context(|| format!("{name} did not stop cleanly")));
        }
        outcome
    }
}

/// `http://localhost:PORT` for a listener on all addresses.
fn reachable(listener: &TcpListener) -> anyhow::Result<String> {
    let address = listener.local_addr()?;
    Ok(match address {
        SocketAddr::V4(v4) if *v4.ip() == Ipv4Addr::UNSPECIFIED || v4.ip().is_loopback() => {
            format!("http://localhost:{}", v4.port())
        }
        other => format!("http://{other}"),
    })
}

async fn live(args: &Args, addresses: &Addresses, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    let network = Network::new(args.seed, args.stations as usize);
    let Some(()) = prepare(&client, addresses, &network, shutdown).await? else { return Ok(()) };
    greet(addresses, &network, args.interval);
    let poster = Poster::new(&addresses.ingest, None, shutdown.clone())?;
    if network.stations().is_empty() {
        shutdown.cancelled().await;
    } else {
        simulate::post::live(&poster, &network, args.interval, shutdown).await;
    }
    Ok(())
}

/// Waits for the services and fills them with history; none when it was stopped meanwhile.
async fn prepare(
    client: &reqwest::Client,
    addresses: &Addresses,
    network: &Network,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<()>> {
    let spinner = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("  {spinner} {msg}")?);
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner.set_message("loading the model, waiting for the services");
    let begun = Instant::now();
    for url in [format!("{}/readyz", addresses.ingest), format!("{}/readyz", addresses.api)] {
        while !client.get(&url).send().await.is_ok_and(|r| r.status().is_success()) {
            if begun.elapsed() > WARM_UP {
                bail!("{url} did not answer within {WARM_UP:?}");
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
                () = shutdown.cancelled() => return Ok(None),
            }
        }
    }
    spinner.finish_and_clear();
    if network.stations().is_empty() {
        return Ok(Some(()));
    }
    let poster = Poster::new(&addresses.ingest, None, shutdown.clone())?;
    let bar = replay::bar(network.stations().len() as u64, "  registering simulated stations");
    simulate::post::register(&poster, network, &bar).await?;
    let bar = replay::bar(simulate::post::history_length(network, HISTORY), "  loading 95 hours of history");
    let account = simulate::post::history(&poster, network, HISTORY, &bar, shutdown).await?;
    step(&format!("history: {} observations accepted, {} known before", account.accepted, account.duplicates));
    warm_up(client, addresses, network, shutdown).await
}

/// Hours of history: what the window holds and the door takes.
const HISTORY: i64 = 95;

/// Waits until every station has a forecast that is live.
async fn warm_up(
    client: &reqwest::Client,
    addresses: &Addresses,
    network: &Network,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<()>> {
    let bar = replay::bar(network.stations().len() as u64, "  forecasting");
    let begun = Instant::now();
    for station in network.stations() {
        let url = format!("{}/api/v1/stations/{}/forecast", addresses.api, station.id);
        while !is_live(client, &url).await {
            if begun.elapsed() > WARM_UP {
                bail!("no forecast for {} within {WARM_UP:?}", station.id);
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
                () = shutdown.cancelled() => return Ok(None),
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    step(&format!("{} forecasts", network.stations().len()));
    Ok(Some(()))
}

async fn is_live(client: &reqwest::Client, url: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Answer {
        expires: Time,
    }
    let Ok(response) = client.get(url).send().await else { return false };
    response.json::<Answer>().await.is_ok_and(|answer| answer.expires > Time::now())
}

fn greet(addresses: &Addresses, network: &Network, interval: i64) {
    println!("\nWeatherglass is running.\n");
    println!("  Dashboard   {}   (also {})", addresses.dashboard, addresses.api);
    println!("  API         {}/api/docs", addresses.api);
    if !network.stations().is_empty() {
        println!("  Stations    {}, all simulated, each reporting every {interval} s", network.stations().len());
    }
    println!("\nPost an observation of your own and watch it arrive:\n");
    println!("  curl -X POST {}/v1/observations -H 'content-type: application/json' \\", addresses.ingest);
    println!(
        "    -d '{{\"station\":\"GARDEN\",\"time\":\"'$(date -u +%FT%TZ)'\",\"temperature\":12.3,\"relative_humidity\":80}}'"
    );
    println!("\nCtrl-C stops everything; what was accepted is kept for the next time.");
}
