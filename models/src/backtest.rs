//! The forecasts that a worker would have issued from exactly what was known at moments of the past.
//!
//! Observations arrive one by one, at the time that the file says (`received`) or else when they were
//! made, through the same admission, flags and window as in the live service; at each moment the
//! window is what the worker would then have held.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use archive::{ArchiveError, Arrival, Filter, Predicted, Report, count_rows, read_observations};
use weather::quality::Limits;
use weather::{Admission, Observation, Reason, Station, StationId, Time, Window};

use crate::forecaster::{Forecaster, Input};

/// Observations in memory at once, about 120 bytes each; only a station with more can exceed it.
const MOST_OBSERVATIONS: u64 = 1_000_000;
/// Windows that wait for the model: up to half a megabyte each for stations that report every minute.
const BATCH: usize = 64;

/// Files of observations and which stations they have.
#[derive(Clone, Debug)]
pub struct History {
    files: Vec<PathBuf>,
    rows: BTreeMap<StationId, u64>,
}

impl History {
    /// Looks through the files for their stations. A station may be in several of them; where two
    /// have the same station and time, the later file corrects the earlier one.
    ///
    /// # Errors
    /// [`ArchiveError`] when a file is unreadable or lacks a column.
    pub fn survey(files: Vec<PathBuf>) -> Result<Self, ArchiveError> {
        let mut rows = BTreeMap::new();
        for file in &files {
            for (station, count) in count_rows(file)? {
                *rows.entry(station).or_insert(0) += count;
            }
        }
        Ok(Self { files, rows })
    }

    /// Whether there is any row of the station.
    #[must_use]
    pub fn knows(&self, station: &StationId) -> bool {
        self.rows.contains_key(station)
    }

    /// Rows of all stations.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.rows.values().sum()
    }

    /// Leaves out the stations that are not among these.
    pub fn keep(&mut self, wanted: impl Fn(&StationId) -> bool) {
        self.rows.retain(|station, _| wanted(station));
    }

    /// Stations in portions that fit into memory.
    fn portions(&self) -> Vec<BTreeSet<StationId>> {
        let mut portions: Vec<(u64, BTreeSet<StationId>)> = Vec::new();
        for (station, count) in &self.rows {
            match portions.last_mut() {
                Some((sum, stations)) if *sum + count <= MOST_OBSERVATIONS => {
                    *sum += count;
                    stations.insert(station.clone());
                }
                _ => portions.push((*count, [station.clone()].into())),
            }
        }
        portions.into_iter().map(|(_, stations)| stations).collect()
    }
}

/// The moments at which forecasts are wanted.
#[derive(Clone, Debug)]
pub enum Moments {
    /// At whole multiples of so many seconds since 1970, UTC, while a station's history lasts; once
    /// per newest observation.
    Every {
        /// The interval, s, positive.
        seconds: i64,
        /// None before it.
        from: Option<Time>,
        /// None at or after it.
        to: Option<Time>,
    },
    /// At these.
    At(HashMap<StationId, BTreeSet<Time>>),
}

impl Moments {
    fn of(&self, station: &StationId, first: Time, last: Time) -> Vec<Time> {
        match self {
            Self::At(moments) => moments.get(station).into_iter().flatten().copied().collect(),
            Self::Every { seconds, from, to } => {
                let first = from.map_or(first, |from| first.max(from)).unix();
                let last = to.map_or(last, |to| last.min(to - 1)).unix();
                let first = first.saturating_add(seconds - 1).div_euclid(*seconds);
                (first..=last.div_euclid(*seconds)).map(|n| Time::from_unix(n * seconds)).collect()
            }
        }
    }
}

/// What became of the moments and of the observations.
#[derive(Clone, Debug, Default)]
pub struct BacktestReport {
    /// Moments with a prediction.
    pub predicted: u64,
    /// Stations that have one.
    pub stations: u64,
    /// Of these, how many nobody has described: without a place the model knows less.
    pub undescribed: u64,
    /// Moments before a station's first observation was known.
    pub nothing_known: u64,
    /// Moments at which the newest observation was too old.
    pub stale: u64,
    /// Regular moments since whose predecessor no newer observation had come.
    pub repeated: u64,
    /// Observations that the door would have refused.
    pub refused: BTreeMap<&'static str, u64>,
    /// What could not be read, by file.
    pub files: Vec<(PathBuf, Report)>,
}

/// A backtest about to run.
pub struct Backtest<'a> {
    /// What was observed.
    pub history: History,
    /// What is known of the stations; of others nothing is.
    pub stations: HashMap<StationId, Station>,
    /// When forecasts are wanted.
    pub moments: Moments,
    /// Nothing is predicted from a newest observation that is older, s.
    pub max_age: i64,
    /// The model.
    pub forecaster: &'a mut Forecaster,
}

/// A moment's window, waiting for the model.
struct Waiting {
    station: Station,
    window: Window,
    requested: Time,
    reference: Time,
}

/// Observations of one station in the order in which they became known.
#[derive(Default)]
struct Arrivals(Vec<Arrival>);

impl Arrivals {
    /// When an observation was known: not before it arrived, nor before it was made.
    fn known(arrival: &Arrival) -> Time {
        arrival.received.map_or(arrival.observation.time, |received| received.max(arrival.observation.time))
    }

    fn sort(&mut self) {
        self.0.sort_by_key(Self::known);
    }
}

impl Backtest<'_> {
    /// Runs it: each prediction goes to `take`; `progress` hears of observations as they are done.
    ///
    /// # Errors
    /// When a file can't be read, or what `take` says.
    pub fn run(
        mut self,
        mut take: impl FnMut(Predicted) -> anyhow::Result<()>,
        mut progress: impl FnMut(u64),
    ) -> anyhow::Result<BacktestReport> {
        if let Moments::At(moments) = &self.moments {
            self.history.keep(|station| moments.contains_key(station));
        }
        let mut report = BacktestReport::default();
        let mut waiting = Vec::new();
        for portion in self.history.portions() {
            for (id, arrivals) in self.read(&portion, &mut report)? {
                let count = arrivals.0.len() as u64;
                self.station(&id, arrivals, &mut waiting, &mut report, &mut take)?;
                progress(count);
            }
        }
        self.predict(&mut waiting, &mut take)?;
        Ok(report)
    }

    fn read(
        &self,
        portion: &BTreeSet<StationId>,
        report: &mut BacktestReport,
    ) -> anyhow::Result<BTreeMap<StationId, Arrivals>> {
        let names = portion.iter().map(|id| id.as_str().to_owned()).collect();
        let filter = Filter { stations: Some(names), ..Filter::default() };
        let mut stations: BTreeMap<StationId, Arrivals> = BTreeMap::new();
        for path in &self.history.files {
            let mut file = read_observations(path, filter.clone())?;
            while let Some(arrival) = file.next_arrival().transpose()? {
                stations.entry(arrival.observation.station.clone()).or_default().0.push(arrival);
            }
            note(path, file.report(), report);
        }
        Ok(stations)
    }

    /// Lets a station's observations arrive and keeps its window at each of its moments.
    fn station(
        &mut self,
        id: &StationId,
        mut arrivals: Arrivals,
        waiting: &mut Vec<Waiting>,
        report: &mut BacktestReport,
        take: &mut impl FnMut(Predicted) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        arrivals.sort();
        let (Some(first), Some(last)) = (arrivals.0.first(), arrivals.0.last()) else { return Ok(()) };
        let moments = self.moments.of(id, Arrivals::known(first), Arrivals::known(last));
        let described = self.stations.get(id).cloned();
        let undescribed = described.is_none();
        let station = described.unwrap_or_else(|| Station::unregistered(id.clone()));
        let mut arriving = arrivals.0.iter().peekable();
        let mut window = Window::default();
        let mut last_reference = None;
        let predicted_before = report.predicted;
        for requested in moments {
            while let Some(arrival) = arriving.next_if(|arrival| Arrivals::known(arrival) <= requested) {
                if let Err(reason) = admit(&mut window, &arrival.observation, arrival.received, &station) {
                    *report.refused.entry(reason.label()).or_insert(0) += 1;
                }
            }
            let Some(reference) = window.newest().map(|s| s.time) else {
                report.nothing_known += 1;
                continue;
            };
            if requested - reference > self.max_age {
                report.stale += 1;
            } else if matches!(self.moments, Moments::Every { .. }) && last_reference == Some(reference) {
                report.repeated += 1;
            } else {
                last_reference = Some(reference);
                report.predicted += 1;
                waiting.push(Waiting { station: station.clone(), window: window.clone(), requested, reference });
                if waiting.len() == BATCH {
                    self.predict(waiting, take)?;
                }
            }
        }
        if report.predicted > predicted_before {
            report.stations += 1;
            report.undescribed += u64::from(undescribed);
        }
        Ok(())
    }

    fn predict(
        &mut self,
        waiting: &mut Vec<Waiting>,
        take: &mut impl FnMut(Predicted) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let inputs: Vec<Input<'_>> = waiting.iter().map(|w| Input { window: &w.window, station: &w.station }).collect();
        let outputs = self.forecaster.predict(&inputs);
        for (waiting, output) in waiting.drain(..).zip(outputs) {
            take(Predicted {
                station: waiting.station.id,
                requested_time: waiting.requested,
                reference_time: waiting.reference,
                prediction: output.prediction,
            })?;
        }
        Ok(())
    }
}

/// What the door and then the worker do with an observation that arrives, but for what neighbours say.
fn admit(
    window: &mut Window,
    observation: &Observation,
    received: Option<Time>,
    station: &Station,
) -> Result<(), Reason> {
    let now = received.unwrap_or(observation.time);
    let flags = Admission::default().admit(observation, now).map_err(|rejection| rejection.reason)?;
    window.observe(observation, flags, station, Limits::standard());
    Ok(())
}

/// Keeps what was wrong with a file. Every portion reads it whole and finds the same.
fn note(path: &Path, read: &Report, report: &mut BacktestReport) {
    if !read.is_clean() && !report.files.iter().any(|(known, _)| known == path) {
        report.files.push((path.to_owned(), read.clone()));
    }
}
