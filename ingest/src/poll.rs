//! Doors that ask: a source on the web is polled for what it has, politely.
//!
//! One request for all stations where the source can do that; never more than one a minute to the same
//! address; nothing sent again that has not changed (`ETag`, `Last-Modified`); what `Retry-After` says is
//! kept; failures are answered with exponential backoff and jitter. A source is a [`Source`] in a file of
//! its own. What it reads goes through the same door as everything else; of what it said last time already
//! nothing is handed over again.

mod fetch;
mod places;
mod settings;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use ::metrics::{counter, gauge};
use reqwest::Url;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use weather::{Observation, Rejection, Station, StationId, Time};

use self::fetch::{Failure, Fetched, Fetcher, Validators};
pub(crate) use self::places::name;
pub(crate) use self::settings::{station_list, web_address};
use crate::accept::Door;
use crate::contact::Visit;
use crate::{aviation_weather, metrics, nws, open_meteo};

/// How far ahead of our clock an item may be to be handed over, seconds; one further ahead is asked for
/// again, since some sources publish the report of the full hour before it.
const AHEAD: i64 = 300;

/// Settings of all sources.
#[derive(Clone, Debug, clap::Args)]
pub struct PollSettings {
    #[allow(missing_docs)]
    #[command(flatten)]
    pub metar: aviation_weather::MetarSettings,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub nws: nws::NwsSettings,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub open_meteo: open_meteo::OpenMeteoSettings,
    /// Seconds between two requests for the same thing.
    #[arg(long, env = "WEATHERGLASS_POLL_INTERVAL", default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(60..=86_400))]
    pub poll_interval: u64,
    /// Mail address or page that sources are told in the User-Agent: api.weather.gov asks for one.
    #[arg(long, env = "WEATHERGLASS_POLL_CONTACT", default_value = "", hide_default_value = true, value_name = "TEXT", value_parser = fetch::contact)]
    pub poll_contact: String,
}

/// What a body held.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Its items, in the order in which they are to be taken.
    pub(crate) items: Vec<Result<Observation, Rejection>>,
    /// What it says of its stations.
    pub(crate) stations: Vec<Station>,
}

/// A source: what to ask, and how to read the answer.
pub(crate) trait Source: Send + Sync + 'static {
    /// Its name, which is a metric label too.
    fn name(&self) -> &'static str;
    /// The content types that it can read.
    fn accepts(&self) -> &'static str {
        "application/json"
    }
    /// What to ask for now, one address after the other.
    fn addresses(&self) -> Vec<Url>;
    /// Reads what came from an address; `now` is when.
    ///
    /// # Errors
    /// Why the body as a whole can't be read.
    fn read(&mut self, address: &Url, body: &[u8], now: Time) -> Result<Reading, String>;
}

/// How fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Between two rounds.
    pub(crate) interval: Duration,
    /// Between two addresses of a round.
    pub(crate) gap: Duration,
    /// The longest wait after failures.
    pub(crate) longest: Duration,
    /// How long a request may take.
    pub(crate) timeout: Duration,
}

impl Pace {
    fn of(settings: &PollSettings) -> Self {
        let interval = Duration::from_secs(settings.poll_interval);
        let longest = interval.max(Duration::from_secs(1800));
        Self { interval, gap: Duration::from_secs(1), longest, timeout: Duration::from_secs(30) }
    }
}

/// Starts the sources that are configured.
///
/// # Errors
/// When there is no way to speak HTTPS.
pub(crate) fn start(
    settings: &PollSettings,
    door: &Door,
    shutdown: &CancellationToken,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let pace = Pace::of(settings);
    let fetcher = |name, accepts| Fetcher::new(name, accepts, &settings.poll_contact, pace.timeout);
    if let Some(source) = aviation_weather::AviationWeather::of(&settings.metar) {
        let fetcher = fetcher(source.name(), source.accepts())?;
        tasks.spawn(Poller::new(source, door.clone(), fetcher, pace).run(shutdown.clone()));
    }
    if let Some(source) = nws::Nws::of(&settings.nws) {
        let fetcher = fetcher(source.name(), source.accepts())?;
        tasks.spawn(Poller::new(source, door.clone(), fetcher, pace).run(shutdown.clone()));
    }
    if let Some(source) = open_meteo::OpenMeteo::of(&settings.open_meteo) {
        let fetcher = fetcher(source.name(), source.accepts())?;
        tasks.spawn(Poller::new(source, door.clone(), fetcher, pace).run(shutdown.clone()));
    }
    Ok(())
}

/// What is remembered of an address.
#[derive(Default)]
struct Memory {
    validators: Validators,
    /// What it said last.
    items: Vec<Result<Observation, Rejection>>,
    /// The failure that was told last, so that it is told once.
    told: Option<&'static str>,
}

/// One source being polled.
pub(crate) struct Poller<S> {
    source: S,
    door: Door,
    fetcher: Fetcher,
    pace: Pace,
    memory: HashMap<Url, Memory>,
    /// Stations whose description is settled.
    introduced: HashSet<StationId>,
    failures: u32,
}

impl<S: Source> Poller<S> {
    pub(crate) fn new(source: S, door: Door, fetcher: Fetcher, pace: Pace) -> Self {
        for outcome in Failure::LABELS.into_iter().chain(["read", "unchanged"]) {
            counter!(metrics::POLLS, "source" => source.name(), "outcome" => outcome).absolute(0);
        }
        counter!(metrics::POLL_REPEATED, "source" => source.name()).absolute(0);
        gauge!(metrics::POLL_SUCCESS, "source" => source.name()).set(0);
        Self { source, door, fetcher, pace, memory: HashMap::new(), introduced: HashSet::new(), failures: 0 }
    }

    /// Polls until `shutdown`. No failure ends it.
    ///
    /// # Errors
    /// None.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        info!(source = self.source.name(), addresses = self.source.addresses().len(), "polling begins");
        loop {
            // What the door has been handed is finished by the door, whether or not it is waited for.
            let pause = tokio::select! {
                pause = self.round() => pause,
                () = shutdown.cancelled() => return Ok(()),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
        }
    }

    /// Asks every address once; answers how long to wait.
    async fn round(&mut self) -> Duration {
        let (mut good, mut failed, mut after) = (0_u32, 0_u32, Duration::ZERO);
        for (at, address) in self.source.addresses().into_iter().enumerate() {
            if at > 0 {
                tokio::time::sleep(self.pace.gap).await;
            }
            match self.poll(&address).await {
                Ok(label) => {
                    good += 1;
                    counter!(metrics::POLLS, "source" => self.source.name(), "outcome" => label).increment(1);
                    gauge!(metrics::POLL_SUCCESS, "source" => self.source.name()).set(Time::now().unix() as f64);
                    self.memory.entry(address).or_default().told = None;
                }
                Err(failure) => {
                    failed += 1;
                    self.tell(&address, &failure);
                    after = after.max(failure.retry_after().unwrap_or_default());
                    if failure.is_of_all() {
                        // The next address would fare no better, and the source wants to be left alone.
                        good = 0;
                        break;
                    }
                }
            }
        }
        let in_vain = failed > 0 && good == 0;
        self.failures = if in_vain { self.failures.saturating_add(1) } else { 0 };
        self.pause().max(after)
    }

    /// The interval with a little jitter; after failures twice as long for each.
    fn pause(&self) -> Duration {
        let interval = self.pace.interval;
        if self.failures == 0 {
            return interval.mul_f64(1.0 + 0.1 * rand::random::<f64>());
        }
        let ceiling = self.pace.longest.min(interval.saturating_mul(1 << self.failures.min(10)));
        interval.max(ceiling.mul_f64(0.5 + 0.5 * rand::random::<f64>()))
    }

    async fn poll(&mut self, address: &Url) -> Result<&'static str, Failure> {
        let known = self.memory.get(address).map(|memory| memory.validators.clone()).unwrap_or_default();
        let (body, validators) = match self.fetcher.fetch(address, &known).await? {
            Fetched::Unchanged => return Ok("unchanged"),
            Fetched::Body(body, validators) => (body, validators),
        };
        let now = Time::now();
        let reading = self.source.read(address, &body, now).map_err(Failure::Unreadable)?;
        let is_due = |item: &Result<Observation, Rejection>| item.as_ref().map_or(true, |o| o.time - now <= AHEAD);
        let all = reading.items.len();
        let items: Vec<_> = reading.items.into_iter().filter(is_due).collect();
        let complete = items.len() == all;
        places::introduce(&self.door, reading.stations, &mut self.introduced).await;
        let memory = self.memory.entry(address.clone()).or_default();
        let fresh: Vec<_> = items.iter().filter(|item| !memory.items.contains(item)).cloned().collect();
        let repeated = items.len() - fresh.len();
        if !fresh.is_empty() {
            let visit = Visit { door: self.source.name(), ..Visit::default() };
            let receipt = self.door.accept_from(visit, fresh).await.map_err(Failure::Closed)?;
            debug!(source = self.source.name(), ?receipt, "polled");
        }
        counter!(metrics::POLL_REPEATED, "source" => self.source.name()).increment(repeated as u64);
        memory.items = items;
        // Only once the door has everything: else the next answer would be that nothing has changed.
        memory.validators = if complete { validators } else { Validators::default() };
        Ok("read")
    }

    /// Counts a failure, and tells it when it is a new one.
    fn tell(&mut self, address: &Url, failure: &Failure) {
        let (source, label) = (self.source.name(), failure.label());
        counter!(metrics::POLLS, "source" => source, "outcome" => label).increment(1);
        let memory = self.memory.entry(address.clone()).or_default();
        if memory.told.replace(label) != Some(label) {
            warn!(source, %address, outcome = label, %failure, "a poll failed");
        }
    }
}

#[cfg(test)]
mod tests;
