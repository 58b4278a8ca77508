//! A file of observations as an iterator.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use weather::{Observation, StationId, Time, Values};

use crate::columns;
use crate::csv_file::CsvFile;
use crate::error::ArchiveError;
use crate::parquet_file::ParquetFile;
use crate::report::Report;

/// Precipitation reported more often than this is a sum over ten minutes all the same, s.
const SHORTEST_PERIOD: i64 = 600;
/// Precipitation reported less often than hourly is the past hour's, s.
const LONGEST_PERIOD: i64 = 3600;

/// Which observations of a file are wanted; the default wants them all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// None before it.
    pub from: Option<Time>,
    /// None at or after it.
    pub to: Option<Time>,
    /// Only of these stations.
    pub stations: Option<HashSet<String>>,
}

impl Filter {
    fn wants(&self, station: &StationId, time: Time) -> bool {
        self.from.is_none_or(|from| time >= from)
            && self.to.is_none_or(|to| time < to)
            && self.stations.as_ref().is_none_or(|s| s.contains(station.as_str()))
    }
}

/// One row of either kind of file, before it is an observation.
pub(crate) struct Row {
    pub(crate) station: Result<StationId, String>,
    pub(crate) time: Result<Time, String>,
    pub(crate) received: Result<Option<Time>, String>,
    pub(crate) values: Values,
}

/// An observation and when it was first known.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// What was observed.
    pub observation: Observation,
    /// When it arrived, where the file has a column `received` with a value.
    pub received: Option<Time>,
}

/// Where rows come from. A row whose values are not wanted is not decoded further.
pub(crate) enum Rows {
    Parquet(Box<ParquetFile>),
    Csv(Box<CsvFile>),
}

impl Rows {
    /// Parquet by its first bytes or its name, CSV by its name.
    fn open(path: &Path) -> Result<Self, ArchiveError> {
        match path.extension().and_then(|e| e.to_str()) {
            _ if is_parquet(path) => Ok(Self::Parquet(Box::new(ParquetFile::open(path)?))),
            Some("parquet") => Ok(Self::Parquet(Box::new(ParquetFile::open(path)?))),
            Some("csv") => Ok(Self::Csv(Box::new(CsvFile::open(path)?))),
            _ => Err(ArchiveError::Kind { path: path.to_owned() }),
        }
    }

    fn next(&mut self, report: &mut Report) -> Result<Option<Row>, ArchiveError> {
        match self {
            Self::Parquet(file) => file.next(report),
            Self::Csv(file) => file.next(report),
        }
    }

    fn needs_cadence(&self) -> bool {
        match self {
            Self::Parquet(file) => file.layout.needs_cadence(),
            Self::Csv(file) => file.layout.needs_cadence(),
        }
    }

    /// Reads stations and times only.
    fn without_values(&mut self) {
        match self {
            Self::Parquet(file) => file.layout.without_values(),
            Self::Csv(file) => file.layout.without_values(),
        }
    }
}

/// Whether a file says of itself that it is Parquet.
fn is_parquet(path: &Path) -> bool {
    let mut magic = [0; 4];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && &magic == b"PAR1"
}

/// The observations of a file, in its order. An error ends them.
pub struct Observations {
    path: PathBuf,
    rows: Rows,
    filter: Filter,
    cadences: HashMap<StationId, f32>,
    report: Report,
    ended: bool,
}

/// Opens a `.parquet` or `.csv` file of observations.
///
/// Rows stream by in batches of a row group, so memory does not grow with the file. Where the file
/// does not say over which time its precipitation fell, stations and times are read twice: the
/// period is each station's median interval, held to 10 minutes to an hour.
///
/// # Errors
/// [`ArchiveError`] when the file is unreadable, or lacks a required column, by name.
pub fn read_observations(path: &Path, filter: Filter) -> Result<Observations, ArchiveError> {
    let rows = Rows::open(path)?;
    let cadences = if rows.needs_cadence() { cadences(path)? } else { HashMap::new() };
    Ok(Observations { path: path.to_owned(), rows, filter, cadences, report: Report::default(), ended: false })
}

impl Observations {
    /// What became of the rows so far; complete once the iterator has ended.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many rows the file has, where its kind tells beforehand.
    #[must_use]
    pub fn row_count(&self) -> Option<u64> {
        match &self.rows {
            Rows::Parquet(file) => Some(file.row_count()),
            Rows::Csv(_) => None,
        }
    }

    /// The next observation with its arrival; none at the end.
    pub fn next_arrival(&mut self) -> Option<Result<Arrival, ArchiveError>> {
        while !self.ended {
            match self.rows.next(&mut self.report) {
                Ok(Some(row)) => {
                    if let Some(arrival) = self.accept(row) {
                        return Some(Ok(arrival));
                    }
                }
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    fn accept(&mut self, row: Row) -> Option<Arrival> {
        let (station, time, received) = match (row.station, row.time, row.received) {
            (Ok(station), Ok(time), Ok(received)) => (station, time, received),
            (Err(message), _, _) | (_, Err(message), _) | (_, _, Err(message)) => {
                self.report.of_row.clear();
                self.report.bad(|| message);
                return None;
            }
        };
        self.report.row_of(&station);
        if !self.filter.wants(&station, time) {
            self.report.filtered += 1;
            return None;
        }
        let mut values = row.values;
        columns::finish(&mut values, self.cadences.get(&station).copied());
        if values.is_empty() {
            self.report.empty += 1;
            return None;
        }
        self.report.observations += 1;
        Some(Arrival { observation: Observation { station, time, values, source: None }, received })
    }
}

impl Iterator for Observations {
    type Item = Result<Observation, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_arrival()?.map(|arrival| arrival.observation))
    }
}

/// How many rows each station has in a file, without reading what was measured.
///
/// # Errors
/// [`ArchiveError`] when the file is unreadable, or lacks a required column, by name.
pub fn count_rows(path: &Path) -> Result<BTreeMap<StationId, u64>, ArchiveError> {
    let mut rows = Rows::open(path)?;
    rows.without_values();
    let mut ignored = Report::default();
    let mut counts = BTreeMap::new();
    while let Some(row) = rows.next(&mut ignored)? {
        if let Ok(station) = row.station {
            *counts.entry(station).or_insert(0) += 1;
        }
    }
    Ok(counts)
}

/// The usual interval between the rows of each station, seconds.
fn cadences(path: &Path) -> Result<HashMap<StationId, f32>, ArchiveError> {
    let mut rows = Rows::open(path)?;
    rows.without_values();
    let mut ignored = Report::default();
    let mut intervals: HashMap<StationId, (Time, BTreeMap<i64, u32>)> = HashMap::new();
    while let Some(row) = rows.next(&mut ignored)? {
        let (Ok(station), Ok(time)) = (row.station, row.time) else {
            continue;
        };
        let (last, counts) = intervals.entry(station).or_insert_with(|| (time, BTreeMap::new()));
        // To whole minutes: a histogram of at most a day's minutes, however long the file.
        let minutes = (time - *last).abs().min(86_400) / 60;
        if minutes > 0 {
            *counts.entry(minutes).or_insert(0) += 1;
        }
        *last = time;
    }
    #[allow(clippy::cast_precision_loss)] // at most 3600
    let seconds = |counts: &BTreeMap<i64, u32>| {
        median(counts).map_or(LONGEST_PERIOD, |m| (m * 60).clamp(SHORTEST_PERIOD, LONGEST_PERIOD)) as f32
    };
    Ok(intervals.into_iter().map(|(station, (_, counts))| (station, seconds(&counts))).collect())
}

fn median(counts: &BTreeMap<i64, u32>) -> Option<i64> {
    let total: u32 = counts.values().sum();
    let mut seen = 0;
    counts.iter().find_map(|(value, count)| {
        seen += count;
        (seen * 2 >= total).then_some(*value)
    })
}
