//! Networks of stations in memory, split into what is trained on and what is judged by.
//!
//! A [`Split`] at a moment holds out every fifth station (by a hash of its identifier) and, of every
//! network alike, all that was observed after that moment: a model is judged on stations it never
//! saw, in a period later than anything it was trained on. Neither alone would do, because
//! neighbouring stations report the same weather.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use archive::{Filter, read_observations, read_stations};
use sha2::{Digest, Sha256};
use weather::time::HOUR;
use weather::{LEADS, Sample, Station, StationId, Time, Variable, VariableSet, quality};

use crate::features::PAST;
use crate::hygiene::{self, FileReport};

/// One in so many stations is held out.
const HELD_OUT: u8 = 5;
/// How much of the past and of the future a case needs, s.
const BEHIND: i64 = PAST as i64 * HOUR;
const AHEAD: i64 = LEADS as i64 * HOUR + HOUR / 2;
/// A sensor that is heard in fewer of a station's reports speaks only when there is something to
/// say (gusts and rain in METARs): its silence is not zero, so its values are no fair target.
const REGULAR: f64 = 0.5;
/// A gauge that never says zero is silent when it is dry.
const SOME_DRY: f64 = 0.05;

/// What is trained on and what is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// Trained on what most stations reported before this moment; judged by the other stations, and
    /// by networks that nothing was trained on, after it.
    At(Time),
    /// Trained on everything: for a version that will serve. Nothing is left to judge it by.
    TrainAll,
    /// Judged by everything: right only for data that was not trained on.
    JudgeAll,
}

/// A station and all it reported.
pub(crate) struct Series {
    pub(crate) station: Station,
    /// Oldest first, one per time.
    pub(crate) samples: Vec<Sample>,
    /// Variables that are no fair target at this station.
    pub(crate) irregular: VariableSet,
    pub(crate) held_out: bool,
}

impl Series {
    fn new(station: Station) -> Self {
        Self { station, samples: Vec::new(), irregular: VariableSet::EMPTY, held_out: false }
    }

    /// The observations that a forecast at `reference` may see.
    pub(crate) fn past(&self, reference: Time) -> &[Sample] {
        let from = self.samples.partition_point(|s| s.time <= reference - (BEHIND + HOUR));
        let to = self.samples.partition_point(|s| s.time <= reference);
        &self.samples[from..to]
    }

    /// The observations that a forecast at `reference` is about.
    pub(crate) fn future(&self, reference: Time) -> &[Sample] {
        let from = self.samples.partition_point(|s| s.time <= reference);
        let to = self.samples.partition_point(|s| s.time <= reference + AHEAD);
        &self.samples[from..to]
    }

    /// The indexes of samples that can be a reference time, seen and judged within the bounds.
    pub(crate) fn references(&self, from: Time, to: Time) -> std::ops::Range<usize> {
        let first = self.samples.partition_point(|s| s.time < from + BEHIND);
        let end = self.samples.partition_point(|s| s.time < to - AHEAD);
        first..end.max(first)
    }
}

/// Files that share stations, as one.
pub(crate) struct Network {
    pub(crate) name: String,
    pub(crate) series: Vec<Series>,
    pub(crate) from: Time,
    /// Training ends and judging begins.
    pub(crate) cut: Time,
    pub(crate) to: Time,
    /// What was found in its files, and left out or marked.
    pub(crate) reports: Vec<FileReport>,
}

impl Network {
    pub(crate) fn training(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(|s| !s.held_out)
    }

    pub(crate) fn judging(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(|s| s.held_out)
    }
}

/// Whether a station is kept for judging, by its identifier alone, whatever file it is in.
pub(crate) fn held_out(id: &StationId) -> bool {
    Sha256::digest(id.as_str().as_bytes())[0].is_multiple_of(HELD_OUT)
}

/// Reads every `NAME.parquet` or `NAME.csv` that has a `NAME_stations.csv` beside it, below a
/// folder or its `tables/`. Files that share stations become one network with one cut.
///
/// # Errors
/// When there is no such file, or one can't be read.
pub(crate) fn read(data: &Path, split: Split, mut told: impl FnMut(&str)) -> anyhow::Result<Vec<Network>> {
    let mut networks: Vec<(String, HashMap<StationId, Series>, Vec<FileReport>)> = Vec::new();
    for (name, observations, stations) in tables(data)? {
        told(&name);
        let (series, report) = read_table(&observations, &stations)?;
        match networks.iter_mut().find(|(_, known, _)| series.keys().any(|id| known.contains_key(id))) {
            Some((known_name, known, reports)) => {
                known_name.push('+');
                known_name.push_str(&name);
                reports.push(report);
                for (id, more) in series {
                    match known.get_mut(&id) {
                        Some(known) => known.samples.extend(more.samples),
                        None => {
                            known.insert(id, more);
                        }
                    }
                }
            }
            None => networks.push((name, series, vec![report])),
        }
    }
    let assembled = networks.into_iter().filter_map(|(name, series, reports)| assemble(name, series, reports, split));
    Ok(assembled.collect())
}

fn tables(data: &Path) -> anyhow::Result<Vec<(String, PathBuf, PathBuf)>> {
    let folder = Some(data.join("tables")).filter(|t| t.is_dir()).unwrap_or_else(|| data.to_owned());
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut found: Vec<(String, PathBuf, PathBuf)> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "parquet" || e == "csv"))
        .filter_map(|path| {
            let name = path.file_stem()?.to_str()?.to_owned();
            let stations = path.with_file_name(format!("{name}_stations.csv"));
            stations.exists().then_some((name, path, stations))
        })
        .collect();
    found.sort();
    anyhow::ensure!(!found.is_empty(), "{}: no NAME.parquet with a NAME_stations.csv beside it", folder.display());
    Ok(found)
}

fn read_table(observations: &Path, stations: &Path) -> anyhow::Result<(HashMap<StationId, Series>, FileReport)> {
    let mut series: HashMap<StationId, Series> =
        read_stations(stations)?.into_iter().map(|station| (station.id.clone(), Series::new(station))).collect();
    let mut file = read_observations(observations, Filter::default())?;
    for observation in file.by_ref() {
        let observation = observation?;
        let flags = quality::check(&observation.values, quality::Limits::standard());
        let id = observation.station;
        let entry = series.entry(id.clone()).or_insert_with(|| Series::new(Station::unregistered(id)));
        entry.samples.push(Sample { time: observation.time, values: observation.values, flags, revision: 0 });
    }
    let read = file.report();
    // Without its folder: the report goes where the model goes.
    let file = observations.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut report = FileReport { file, read: read.to_string(), stations: vec![] };
    let ids: BTreeSet<StationId> = series.keys().cloned().collect();
    for id in ids {
        let impossible: Vec<_> = Variable::ALL
            .into_iter()
            .filter_map(|variable| Some((variable, *read.impossible.get(&(id.clone(), variable))?)))
            .collect();
        if let Some(Series { station, samples, .. }) = series.get_mut(&id)
            && !samples.is_empty()
        {
            report.stations.push(hygiene::clean(station, samples, &impossible));
        }
    }
    hygiene::accept(observations, &report)?;
    Ok((series, report))
}

fn assemble(
    name: String,
    series: HashMap<StationId, Series>,
    reports: Vec<FileReport>,
    split: Split,
) -> Option<Network> {
    let mut series: Vec<Series> = series.into_values().filter(|s| !s.samples.is_empty()).collect();
    // A map's order differs from run to run; training must not.
    series.sort_by(|a, b| a.station.id.cmp(&b.station.id));
    for station in &mut series {
        station.samples.sort_by_key(|s| s.time);
        // Of two reports of one time the later file's counts, as a correction does in the live service.
        station.samples.dedup_by(|later, kept| {
            let same = later.time == kept.time;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        station.samples.shrink_to_fit();
        station.irregular = irregular(&station.samples);
    }
    let from = series.iter().filter_map(|s| s.samples.first()).map(|s| s.time).min()?;
    let to = series.iter().filter_map(|s| s.samples.last()).map(|s| s.time).max()?;
    let cut = match split {
        Split::At(cut) => cut.clamp(from, to),
        Split::TrainAll => to,
        Split::JudgeAll => from,
    };
    for station in &mut series {
        // A network that only begins after the cut was never trained on: all of it can judge.
        station.held_out = cut == from || (split != Split::TrainAll && held_out(&station.station.id));
    }
    Some(Network { name, series, from, cut, to, reports })
}

#[allow(clippy::cast_precision_loss)] // counts of reports
fn irregular(samples: &[Sample]) -> VariableSet {
    let count = |wanted: &dyn Fn(&Sample) -> bool| samples.iter().filter(|s| wanted(s)).count() as f64;
    let has = |variable| count(&|s: &Sample| s.values.get(variable).is_some());
    let mut irregular = VariableSet::EMPTY;
    if has(Variable::WindGust) < REGULAR * has(Variable::WindSpeed) {
        irregular.insert(Variable::WindGust);
    }
    let dry = count(&|s: &Sample| s.values.get(Variable::Precipitation) == Some(0.0));
    if dry < SOME_DRY * has(Variable::Precipitation) {
        irregular.insert(Variable::Precipitation);
    }
    irregular
}

/// The licence of a network that is known by name; others are not stated.
pub(crate) fn licence(network: &str) -> &'static str {
    const KNOWN: [(&str, &str); 7] = [
        ("brazil_inmet", "INMET public historical data, no licence stated"),
        (
            "china_cities",
            "repository BSD-3-Clause; observations of the China Meteorological Administration, no data licence stated",
        ),
        ("europe_metar", "METARs via NOAA Aviation Weather Center, US public domain"),
        ("us_uk_airports_bdg1", "repository MIT; airport METARs from Weather Underground history pages"),
        ("beijing_prsa", "UCI Machine Learning Repository, CC BY 4.0 (Zhang et al. 2017)"),
        ("new_york_airports_2013", "CC0 package; ASOS, NOAA, US public domain"),
        ("jena_2020", "Max Planck Institute for Biogeochemistry, free to use with acknowledgement"),
    ];
    KNOWN.iter().find(|(name, _)| network.starts_with(name)).map_or("not stated", |(_, licence)| licence)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn the_split_of_stations_is_for_ever() {
        let id = |text: &str| StationId::new(text).unwrap();
        let held: Vec<&str> = ["KJFK", "KEWR", "KLGA", "A001", "A002", "LHBP", "jena-mpi-bgc"]
            .into_iter()
            .filter(|t| held_out(&id(t)))
            .collect();
        assert_eq!(held, ["KJFK", "KEWR", "jena-mpi-bgc"], "a model would be judged on what it was trained on");
        let share = (0..1000).filter(|n| held_out(&id(&format!("S{n}")))).count();
        assert!((150..250).contains(&share), "{share}");
    }

    /// Station A from `day` of January for 20 days, hourly.
    fn write(folder: &Path, name: &str, day: u32) {
        let mut rows = "station,time,temperature\n".to_owned();
        for hour in 0..20 * 24 {
            writeln!(rows, "A,2024-01-{:02} {:02}:00,5", day + hour / 24, hour % 24).unwrap();
        }
        fs::write(folder.join(format!("{name}.csv")), rows).unwrap();
        fs::write(folder.join(format!("{name}_stations.csv")), "station\nA\n").unwrap();
    }

    #[test]
    fn files_of_the_same_stations_are_one_network_with_one_cut() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "early", 1);
        write(folder.path(), "late", 11);
        let cut = Time::parse("2024-01-16T00:00:00Z").unwrap();
        let networks = read(folder.path(), Split::At(cut), |_| ()).unwrap();
        let [network] = networks.as_slice() else { panic!("{} networks", networks.len()) };
        assert_eq!(network.name, "early+late");
        let series = &network.series[0];
        assert_eq!(series.samples.len(), 30 * 24, "the ten common days count once");
        assert_eq!(network.cut, cut);
        for (from, to) in [(network.from, network.cut), (network.cut, network.to)] {
            let range = series.references(from, to);
            assert!(!range.is_empty());
            for index in range {
                let reference = series.samples[index].time;
                let seen = series.past(reference);
                assert!(reference - BEHIND >= from && reference + AHEAD < to);
                assert!(seen.iter().all(|s| s.time <= reference));
                assert!(series.future(reference).iter().all(|s| s.time > reference && s.time < to));
            }
        }
    }

    #[test]
    fn nothing_that_judges_was_trained_on() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "first", 1);
        let read = |split| read(folder.path(), split, |_| ()).unwrap().remove(0);
        let at = |text: &str| Split::At(Time::parse(text).unwrap());
        let before = read(at("2023-06-01T00:00:00Z"));
        assert!(before.cut == before.from && before.judging().count() == 1, "a network that began later judges whole");
        let after = read(at("2025-06-01T00:00:00Z"));
        assert!(after.cut == after.to && after.judging().count() == 1, "A is held out by its id");
        assert_eq!(read(Split::TrainAll).training().count(), 1);
        let all = read(Split::JudgeAll);
        assert!(all.cut == all.from && all.judging().count() == 1);
    }

    #[test]
    fn sensors_that_speak_only_when_it_blows_or_rains_are_no_target() {
        let sample = |gust: f32, rain: f32| Sample {
            time: Time::from_unix(0),
            values: [(Variable::WindSpeed, 1.0), (Variable::WindGust, gust), (Variable::Precipitation, rain)]
                .into_iter()
                .collect(),
            flags: weather::Flags::default(),
            revision: 0,
        };
        let found = irregular(&[sample(9.0, 0.2), sample(f32::NAN, f32::NAN), sample(f32::NAN, f32::NAN)]);
        assert!(found.contains(Variable::WindGust) && found.contains(Variable::Precipitation));
        assert_eq!(irregular(&[sample(9.0, 0.0), sample(3.0, 0.4)]), VariableSet::EMPTY);
    }
}
