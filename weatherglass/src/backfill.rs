//! `weatherglass backfill`: files of observations through the door, at full speed, and on where it stopped.
//!
//! A file is read ahead on a thread (`source.rs`) as rounds of some thousand observations. The stations of a
//! round are dealt to a few senders, so that each station's observations arrive in their order; when all of
//! a round has been answered for, its place in the file is noted (`state.rs`). What was sent and not noted
//! is sent again after a crash, and counts as duplicate. `watch.rs` tells which files there are.

mod progress;
mod source;
mod state;
mod summary;
mod watch;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::builder::PossibleValuesParser;
use ingest::files::{Format, Hints};
use jiff::tz::TimeZone;
use streams::Backoff;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use weather::{Observation, Station, StationId};

use crate::decode::{parse_station, parse_zone};
use crate::poster::{Poster, Receipt, Refused};
use crate::service;
use progress::Progress;
use source::{Job, Round};
use state::{Plan, Stamp, State};
use summary::Summary;
use watch::Watch;

/// Observations per request.
const BATCH: usize = 1000;
/// Rounds read ahead of the one being sent; the reader waits when they are full.
const AHEAD: usize = 1;
/// How long requests in flight may take after shutdown was asked for.
const GRACE: Duration = Duration::from_secs(5);
/// How often a summary is printed while folders are watched and something came.
const REPORT: Duration = Duration::from_secs(60);

/// `weatherglass backfill`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Files of observations, or folders of them.
    #[arg(required = true, value_name = "FILES|DIR")]
    paths: Vec<PathBuf>,
    /// How the files are written; found out by their content if `auto`.
    #[arg(long, default_value = "auto", value_parser = PossibleValuesParser::new(
        std::iter::once("auto").chain(Format::ALL.map(Format::name))))]
    format: String,
    /// Ingest's address.
    #[arg(long, default_value = "http://127.0.0.1:8001")]
    url: String,
    /// Bearer key, if ingest asks for one.
    #[arg(long, env = "WEATHERGLASS_KEY", hide_env_values = true)]
    key: Option<String>,
    /// File with the bearer key.
    #[arg(long, env = "WEATHERGLASS_KEY_FILE", value_name = "FILE", conflicts_with = "key")]
    key_file: Option<PathBuf>,
    /// Go on: read what is added to the files and to the folders.
    #[arg(long)]
    watch: bool,
    /// Where to remember how far each file has been read.
    #[arg(long, default_value = ".weatherglass-backfill.json", value_name = "FILE")]
    state: PathBuf,
    /// Forget what has been read before, and read everything.
    #[arg(long)]
    anew: bool,
    /// Requests in flight at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    connections: u8,
    /// Leave stations as they are, also where the files know their positions.
    #[arg(long)]
    no_stations: bool,
    /// Whose observations they are, where neither lines nor file names say it: isd-lite.
    #[arg(long, value_name = "ID", value_parser = parse_station)]
    station: Option<StationId>,
    /// The time zone of times that carry none, such as America/Chicago: iem. UTC if not given.
    #[arg(long, value_name = "ZONE", value_parser = parse_zone)]
    tz: Option<TimeZone>,
}

impl Args {
    fn bearer(&self) -> anyhow::Result<Option<String>> {
        let Some(file) = &self.key_file else { return Ok(self.key.clone()) };
        let text = std::fs::read_to_string(file).with_context(|| format!("--key-file {}", file.display()))?;
        Ok(Some(text.trim().to_owned()))
    }
}

/// Reads the files and prints the account. Fails when a file that was named can't be read, or nothing was
/// taken.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let shutdown = service::stop_on_signal()?;
    let poster = Poster::new(&args.url, args.bearer()?, shutdown.clone())?;
    for path in &args.paths {
        std::fs::metadata(path).with_context(|| path.display().to_string())?;
    }
    let watch = args.watch.then(|| Watch::new(&args.paths));
    let state = State::open(&args.state, args.url.trim_end_matches('/'), args.anew)?;
    let mut backfill = Backfill {
        args,
        poster,
        shutdown,
        state,
        summary: Summary::default(),
        troubles: HashMap::new(),
        registered: HashMap::new(),
    };
    let outcome = backfill.pass().await;
    let outcome = match watch {
        Some(watch) => backfill.watch(watch, outcome).await,
        None => outcome,
    };
    backfill.state.save()?;
    println!("{}", backfill.summary);
    outcome?;
    backfill.judge()
}

/// A file that can't be read, as it was then.
struct Trouble {
    stamp: Stamp,
    /// Whether it has been said.
    said: bool,
}

struct Backfill {
    args: Args,
    poster: Poster,
    shutdown: CancellationToken,
    state: State,
    summary: Summary,
    troubles: HashMap<PathBuf, Trouble>,
    /// Stations as they have been described to the door.
    registered: HashMap<StationId, Station>,
}

impl Backfill {
    /// Passes again whenever something may have changed, until shutdown. A door that is away is waited for.
    async fn watch(&mut self, mut watch: Watch, first: anyhow::Result<()>) -> anyhow::Result<()> {
        let mut outcome = first;
        let mut backoff = Backoff::default();
        let mut reported = (std::time::Instant::now(), self.summary.received());
        println!("{}\nwatching until Ctrl-C", self.summary);
        while !self.shutdown.is_cancelled() {
            match outcome {
                Ok(()) => backoff.reset(),
                // A key that is wrong stays wrong.
                Err(error) if error.is::<Refused>() => return Err(error),
                Err(error) => {
                    warn!(error = %format!("{error:#}"), "trying again");
                    let pause = backoff.pause();
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.shutdown.cancelled() => break,
                    }
                }
            }
            if backoff.failures() == 0 {
                tokio::select! {
                    () = watch.next() => {}
                    () = self.shutdown.cancelled() => break,
                }
            }
            outcome = self.pass().await;
            if reported.0.elapsed() >= REPORT && self.summary.received() > reported.1 {
                reported = (std::time::Instant::now(), self.summary.received());
                println!("{}", self.summary);
            }
        }
        Ok(())
    }

    /// Reads what is new of every file.
    async fn pass(&mut self) -> anyhow::Result<()> {
        let mut due = Vec::new();
        for path in watch::list(&self.args.paths) {
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            let path = path.canonicalize().unwrap_or(path);
            let stamp = Stamp::of(&metadata);
            let given_up = self.troubles.get(&path).is_some_and(|trouble| trouble.stamp == stamp && trouble.said);
            if self.state.is_done(&path, stamp) {
                self.summary.known += u64::from(!self.args.watch);
            } else if !given_up && !self.is_own(&path) {
                due.push((path, stamp));
            }
        }
        let mut progress = Progress::new(due.iter().map(|(_, stamp)| stamp.size).sum());
        for (path, stamp) in due {
            if self.shutdown.is_cancelled() {
                break;
            }
            match self.prepare(&path, stamp) {
                Ok(None) => {}
                Err(why) => self.trouble(&path, stamp, &why, &progress),
                Ok(Some(job)) => {
                    let read = self.file(job, &mut progress).await;
                    if let Some(why) = read.inspect_err(|_| progress.finish())? {
                        self.trouble(&path, stamp, &why, &progress);
                    }
                }
            }
            progress.file_done(stamp.size);
        }
        progress.finish();
        Ok(())
    }

    /// Whether it is the state file itself.
    fn is_own(&self, path: &Path) -> bool {
        self.args.state.canonicalize().is_ok_and(|state| state == path)
    }

    /// What is to be read of a file; none if nothing can be said of it yet.
    fn prepare(&self, path: &Path, stamp: Stamp) -> Result<Option<Job>, String> {
        let format = match Format::from_name(&self.args.format) {
            Some(format) => format,
            None => match source::detect(path, self.args.watch) {
                Ok(format) => format,
                Err(None) => return Ok(None),
                Err(Some(why)) => return Err(why),
            },
        };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let station = self.args.station.clone().or_else(|| ingest::isd_lite_station(name));
        if format == Format::IsdLite && station.is_none() {
            return Err("its lines don't say whose they are: name it USAF-WBAN-YEAR, or give --station".to_owned());
        }
        let hints = Hints { zone: self.args.tz.clone(), station };
        Ok(match self.state.plan(path, stamp, format) {
            Plan::Skip => None,
            Plan::From(from) => {
                Some(Job { path: path.to_owned(), stamp, format, hints, from, growing: self.args.watch })
            }
        })
    }

    /// Notes a file that can't be read. While folders are watched it may only not be complete yet: it is
    /// said when it has stayed as it is from one look to the next.
    fn trouble(&mut self, path: &Path, stamp: Stamp, why: &str, progress: &Progress) {
        let before = self.troubles.get(path);
        let settled = !self.args.watch || before.is_some_and(|trouble| trouble.stamp == stamp);
        let said = before.is_some_and(|trouble| trouble.said);
        if settled && !said {
            self.summary.unreadable += 1;
            progress.say(&format!("{}: {why}; skipped", path.display()));
        }
        self.troubles.insert(path.to_owned(), Trouble { stamp, said: said || settled });
    }

    /// Reads a file and posts it. What is wrong with it as a whole is told in words.
    async fn file(&mut self, job: Job, progress: &mut Progress) -> anyhow::Result<Option<String>> {
        let (path, stamp, format) = (job.path.clone(), job.stamp, job.format);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.register_list(&path).await?;
        let mut position = job.from;
        let (sender, mut rounds) = mpsc::channel(AHEAD);
        let reading =
            tokio::task::spawn_blocking(move || source::read(&job, |round| sender.blocking_send(round).is_ok()));
        while let Some(round) = rounds.recv().await {
            if self.shutdown.is_cancelled() {
                break;
            }
            progress.advance(&name, round.bytes, round.observations.len() as u64);
            let (reached, shutdown) = (round.position, self.shutdown.clone());
            let patience = async {
                shutdown.cancelled().await;
                tokio::time::sleep(GRACE).await;
            };
            tokio::select! {
                posted = self.post(&path, round) => posted?,
                () = patience => break,
            }
            position = reached;
            self.state.note(&path, stamp, format, position, false)?;
        }
        // A reader that waits to hand out a round ends with the channel.
        drop(rounds);
        let ended = reading.await.context("a file's reader broke off")?;
        if self.shutdown.is_cancelled() {
            return Ok(None);
        }
        match ended {
            Err(why) => Ok(Some(why)),
            Ok(()) => {
                self.summary.files += 1;
                self.troubles.remove(&path);
                self.state.note(&path, stamp, format, position, true)?;
                Ok(None)
            }
        }
    }

    /// Posts a round, several requests at once, each station's observations in their order.
    async fn post(&mut self, path: &Path, round: Round) -> anyhow::Result<()> {
        for station in round.stations {
            self.register(station).await?;
        }
        let connections = usize::from(self.args.connections);
        let mut lanes: Vec<(Vec<u64>, Vec<Observation>)> = vec![Default::default(); connections];
        for (line, observation) in round.observations {
            let mut hasher = DefaultHasher::new();
            observation.station.hash(&mut hasher);
            let lane = &mut lanes[(hasher.finish() % connections as u64) as usize];
            lane.0.push(line);
            lane.1.push(observation);
        }
        let mut sending = JoinSet::new();
        for (lines, observations) in lanes.into_iter().filter(|lane| !lane.0.is_empty()) {
            let poster = self.poster.clone();
            sending.spawn(async move {
                let mut answers: Vec<(Vec<u64>, Receipt)> = Vec::new();
                for (lines, batch) in lines.chunks(BATCH).zip(observations.chunks(BATCH)) {
                    answers.push((lines.to_vec(), poster.deliver(batch).await?));
                }
                anyhow::Ok(answers)
            });
        }
        let mut answered = Vec::new();
        while let Some(ended) = sending.join_next().await {
            answered.extend(ended.context("a sender broke off")??);
        }
        // The order of the file, so that the first places named are the first.
        answered.sort_by_key(|(lines, _)| lines.first().copied());
        for (lines, receipt) in &answered {
            self.summary.add(path, lines, receipt);
        }
        for (line, rejection) in &round.refused {
            self.summary.refuse(path, *line, rejection);
        }
        self.summary.drop_values(&round.dropped);
        Ok(())
    }

    /// Registers the stations of the list beside a file.
    async fn register_list(&mut self, file: &Path) -> anyhow::Result<()> {
        let Some(list) = watch::station_list(file).filter(|_| !self.args.no_stations) else { return Ok(()) };
        match archive::read_stations(&list) {
            Ok(stations) => {
                for station in stations.into_iter().filter(|station| station.position().is_some()) {
                    self.register(station).await?;
                }
            }
            Err(error) => warn!(%error, "the stations of a file are not registered"),
        }
        Ok(())
    }

    async fn register(&mut self, station: Station) -> anyhow::Result<()> {
        if self.args.no_stations || self.registered.get(&station.id) == Some(&station) {
            return Ok(());
        }
        match self.poster.register(&station).await {
            // Someone else's station: its observations will be refused one by one.
            Err(error) if error.is::<Refused>() => warn!(station = %station.id, %error, "not registered"),
            outcome => {
                outcome?;
                self.summary.stations += 1;
            }
        }
        self.registered.insert(station.id.clone(), station);
        Ok(())
    }

    /// Whether it was of any use.
    fn judge(&self) -> anyhow::Result<()> {
        let named = self.args.paths.iter().filter(|path| path.is_file());
        let unreadable = named.filter(|path| path.canonicalize().is_ok_and(|path| self.troubles.contains_key(&path)));
        if self.shutdown.is_cancelled() {
            return Ok(());
        }
        let unreadable = unreadable.count();
        if unreadable > 0 {
            bail!("{unreadable} of the files named can't be read");
        }
        let taken = self.summary.accepted + self.summary.duplicates;
        if taken == 0 && self.summary.rejections() > 0 {
            bail!("ingest accepted nothing");
        }
        if self.summary.files + self.summary.known == 0 {
            bail!("no file of observations there");
        }
        Ok(())
    }
}
