//! How good a version is, beside baselines from the simplest to the strongest, on stations and times
//! it never saw.
//!
//! A case counts only where the observation passed quality control and everyone has a forecast of
//! it, so that all are judged by the same cases. Scores are averaged within a station first, then
//! over stations.

mod cases;
mod climatology;
mod columns;
mod exchange;
mod npy;
mod plots;
mod record;
mod regression;
mod report;
mod ridge;
mod rivals;
mod simple;
mod subject;
mod summary;
mod svg;
mod table;
mod tally;
mod target;
mod targets;

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use weather::time::HOUR;
use weather::{LEADS, ModelId, Prediction, Time};

pub use self::summary::{Comparison, Group, RainSkill, Ranks, Reliability, Score, Spread, StationScore};
pub use self::tally::Contender;
pub use self::targets::Verdict;

use self::cases::Case;
use self::climatology::Climatology;
use self::columns::wet_share;
use self::exchange::{Examples, Predictions};
use self::rivals::Rivals;
use self::simple::Mixture;
use self::subject::{CHANCE, SUBJECTS};
use self::tally::{Place, Tally};
use crate::backend::BackendKind;
use crate::dataset::{self, Network, Split};
use crate::features::PAST;
use crate::forecaster::{Forecaster, Input};
use crate::version::{self, ScoreLine};

/// Reference times per station, as a rule; they are the same for every version.
pub const PER_STATION: usize = 200;
/// Cases that learned baselines are fitted on, as a rule.
pub const TRAINING_CASES: usize = 160_000;
/// The leads that are reported, hours.
pub(crate) const REPORTED: [usize; 6] = [1, 3, 6, 12, 24, 48];
/// Blocks of the bootstrap, s.
const BLOCK: i64 = 10 * 24 * HOUR;
/// Chooses the cases that learned baselines are fitted on.
const TRAINING_SEED: u64 = 5;
/// Windows that are forecast at once.
const BATCH: usize = 64;

/// What was judged, and beside whom.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// The version.
    pub model: ModelId,
    /// Nothing later was trained on; none where everything was judged.
    pub cut: Option<Time>,
    /// Moments of each station that were asked for.
    pub per_station: usize,
    /// Moments that were judged.
    pub judged: usize,
    /// Moments that baselines were fitted on.
    pub fitted: usize,
    /// Who made the learned baseline, in words.
    pub learned: Option<String>,
    /// What is missing, and why.
    pub left_out: Vec<String>,
}

/// An evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// What was judged, and beside whom.
    pub facts: Facts,
    /// All networks, then each.
    pub groups: Vec<Group>,
    /// Station by station.
    pub stations: Vec<StationScore>,
}

/// What to judge a version by.
#[derive(Clone, Debug)]
pub struct EvaluateOptions {
    /// A folder of `NAME.parquet` and `NAME_stations.csv`, or one that has them in `tables/`.
    pub data: PathBuf,
    /// The version's folder.
    pub version: PathBuf,
    /// What computes.
    pub backend: BackendKind,
    /// Every station over its whole period, instead of the held-out ones after the training cut:
    /// right only for data that the version was not trained on.
    pub everything: bool,
    /// The moment that training ended at, where the manifest does not say it.
    pub cut: Option<Time>,
    /// What baselines are fitted on where everything in `data` is judged.
    pub training_data: Option<PathBuf>,
    /// Cases that baselines are fitted on; with none they are left out.
    pub training_cases: usize,
    /// A folder of exported cases with the predictions of a learner.
    pub learned: Option<PathBuf>,
    /// Reference times per station.
    pub cases: usize,
}

impl EvaluateOptions {
    /// The usual way to judge a version by data.
    #[must_use]
    pub fn new(data: &Path, version: &Path) -> Self {
        Self {
            data: data.to_owned(),
            version: version.to_owned(),
            backend: BackendKind::Flex,
            everything: false,
            cut: None,
            training_data: None,
            training_cases: TRAINING_CASES,
            learned: None,
            cases: PER_STATION,
        }
    }

    fn split(&self) -> anyhow::Result<Split> {
        match (self.everything, self.cut) {
            (true, _) => Ok(Split::JudgeAll),
            (false, Some(cut)) => {
                let trained = trained_until(&self.version)?;
                anyhow::ensure!(cut >= trained, "--cut {cut} is before {trained}, which the version was trained until");
                Ok(Split::At(cut))
            }
            (false, None) => Ok(Split::At(trained_until(&self.version)?)),
        }
    }
}

/// Networks that are judged and, where they are others, those that baselines are fitted on.
struct Data {
    judged: Vec<Network>,
    training: Option<Vec<Network>>,
}

impl Data {
    fn read(options: &EvaluateOptions) -> anyhow::Result<Self> {
        let judged = dataset::read(&options.data, options.split()?, |_| ())?;
        let other = options.training_data.as_ref().filter(|_| options.everything);
        let training = other.map(|data| dataset::read(data, Split::TrainAll, |_| ())).transpose()?;
        for network in judged.iter().chain(training.iter().flatten()) {
            network.reports.iter().for_each(|report| eprintln!("{}", report.summary()));
        }
        Ok(Self { judged, training })
    }

    fn training(&self) -> &[Network] {
        self.training.as_ref().unwrap_or(&self.judged)
    }

    fn cases(&self, options: &EvaluateOptions) -> anyhow::Result<Vec<Case<'_>>> {
        let judged = cases::judged(&self.judged, options.cases);
        anyhow::ensure!(
            !judged.is_empty(),
            "{}: no held-out station has five days after its network's cut; for data that was not trained on, judge all",
            options.data.display()
        );
        Ok(judged)
    }
}

/// Reads data and scores a version by it.
///
/// # Errors
/// When the data, the version or a learner's predictions can't be read, or nothing can be judged.
pub fn evaluate(options: &EvaluateOptions) -> anyhow::Result<Evaluation> {
    let mut forecaster = Forecaster::load(&options.version, options.backend)?;
    let data = Data::read(options)?;
    let judged = data.cases(options)?;
    let training = cases::training(data.training(), options.training_cases, TRAINING_SEED);
    let mut left_out = Vec::new();
    let mut rivals = Rivals::default();
    if training.is_empty() {
        left_out.push("climatology, damped anomaly, blend and ridge: nothing to fit them on (--training-data)".into());
    } else {
        let networks = data.judged.iter().chain(data.training.iter().flatten());
        let climatology = Climatology::fit(networks);
        rivals.mixture = Mixture::fit(&training[..training.len().min(simple::FITTED)], climatology);
        rivals.ridge = Rivals::ridge(&Examples::of(&training), &judged[0]);
    }
    match &options.learned {
        Some(folder) => rivals.learned = Some(Predictions::read(folder, &judged)?),
        None => left_out.push("LightGBM: no predictions were given (--learned)".into()),
    }
    let cut = match options.split()? {
        Split::At(cut) => Some(cut),
        Split::TrainAll | Split::JudgeAll => None,
    };
    let model = forecaster.id().clone();
    let (tally, names) = score(&data.judged, &judged, &rivals, &mut forecaster);
    let learned = rivals.learned.map(|learned| learned.made_by);
    let facts = Facts {
        model,
        cut,
        per_station: options.cases,
        judged: judged.len(),
        fitted: training.len(),
        learned,
        left_out,
    };
    Ok(Evaluation { facts, groups: groups(&tally, &data.judged), stations: summary::stations(&tally, &names) })
}

/// All networks together, then each that has anything to judge by.
fn groups(tally: &Tally, networks: &[Network]) -> Vec<Group> {
    let mut groups = vec![summary::group(tally, None, "all networks".into())];
    for (index, network) in networks.iter().enumerate() {
        let mut group = summary::group(tally, Some(index), network.name.clone());
        group.period = Some((network.cut, network.to));
        groups.extend((group.stations > 0).then_some(group));
    }
    groups
}

/// Writes the cases that a learner is fitted on and asked, and says how many: fitted on, asked.
///
/// # Errors
/// When the data can't be read, nothing can be judged, or the folder can't be written.
pub fn export_cases(options: &EvaluateOptions, folder: &Path) -> anyhow::Result<(usize, usize)> {
    let data = Data::read(options)?;
    let judged = data.cases(options)?;
    let training = cases::training(data.training(), options.training_cases, TRAINING_SEED);
    anyhow::ensure!(!training.is_empty(), "there is nothing to fit on: give --training-data with --all");
    exchange::write(folder, &Examples::of(&training), &judged)?;
    Ok((training.len(), judged.len()))
}

/// The moment that a version's training ended at.
fn trained_until(version: &Path) -> anyhow::Result<Time> {
    let version::Training { cut, judged_as, .. } = version::read_manifest(version)?.training;
    let text = cut.with_context(|| {
        let twin = judged_as.map_or(String::new(), |name| format!("; on this data judge --name {name} in its place"));
        format!(
            "{}: trained on everything, so only data that it never saw can judge it, with --all{twin}",
            version.display()
        )
    })?;
    Time::parse(&text).with_context(|| format!("{}: training.cut is {text}", version.display()))
}

/// Scores the forecaster beside persistence on the held-out stations of each network after its cut:
/// what a manifest keeps.
pub(crate) fn networks(networks: &[Network], forecaster: &mut Forecaster, per_station: usize) -> Vec<ScoreLine> {
    let judged = cases::judged(networks, per_station);
    summary::lines(&score(networks, &judged, &Rivals::default(), forecaster).0)
}

/// Everything summed up, and the names of the networks and stations that were judged.
fn score(
    networks: &[Network],
    judged: &[Case<'_>],
    rivals: &Rivals,
    forecaster: &mut Forecaster,
) -> (Tally, Vec<(String, String)>) {
    let mut tally = Tally::default();
    let mut names: Vec<(String, String)> = Vec::new();
    for (batch, cases) in judged.chunks(BATCH).enumerate() {
        let windows: Vec<_> = cases.iter().map(Case::window).collect();
        let inputs: Vec<Input<'_>> =
            windows.iter().zip(cases).map(|(window, case)| Input { window, station: &case.series.station }).collect();
        for (offset, (case, output)) in cases.iter().zip(forecaster.predict(&inputs)).enumerate() {
            let network = networks.get(case.network).map_or("", |network| network.name.as_str());
            let name = (network.to_owned(), case.series.station.id.to_string());
            // Cases come station by station.
            if names.last() != Some(&name) {
                names.push(name);
            }
            let block = case.reference.unix().div_euclid(BLOCK);
            let place = Place { network: case.network, station: names.len() - 1, block };
            score_case(place, batch * BATCH + offset, case, &output.prediction, rivals, &mut tally);
        }
    }
    (tally, names)
}

fn score_case(
    place: Place,
    index: usize,
    case: &Case<'_>,
    prediction: &Prediction,
    rivals: &Rivals,
    tally: &mut Tally,
) {
    let past = case.past();
    let truth = case.truth(&past);
    let seen = rivals.see(index, case, &past);
    let window = wet_share(&past, PAST);
    for (subject, kind) in SUBJECTS.into_iter().enumerate() {
        for lead in 1..=LEADS {
            let both = kind.of(prediction, lead).zip(kind.observed(&truth, lead));
            let Some((entry, observed)) = both else { continue };
            tally.add_model(place, subject, lead, &entry, observed);
            if let Some(window) = window.filter(|_| subject == CHANCE) {
                tally.add_wet(place, lead, entry.value, window, observed);
            }
            let Some(at) = REPORTED.iter().position(|reported| *reported == lead) else { continue };
            if let Some(mut entries) = rivals.entries(&seen, subject, at) {
                entries.insert(0, (Contender::Model, entry));
                tally.add(place, subject, at, &entries, observed);
            }
        }
    }
}
