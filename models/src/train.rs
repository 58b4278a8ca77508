//! Training: from files of observations to a version folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use anyhow::Context;
use burn::module::Module;
use burn::tensor::Device;
use indicatif::ProgressBar;
use weather::{LEADS, QUANTILES, Quantity, Time};

use crate::backend::{BackendKind, TrainDevice};
use crate::batch::{Batch, Source};
use crate::checkpoint::{self, Checkpoint};
use crate::dataset::{self, Network as Stations, Split};
use crate::evaluate;
use crate::features::{self, PAST, SCALES, WIND_SCALE};
use crate::forecaster::Forecaster;
use crate::hygiene::FileReport;
use crate::learner::{Learner, Learnt};
use crate::network::{Architecture, Ensemble};
use crate::version::{self, DataFacts, Files, Manifest, Normalisation, Training, WindowFacts};

/// The file of a version that says what was found in its training data, by station.
const DATA_REPORT: &str = "data-report.txt";

/// How long to train.
#[derive(Clone, Copy, Debug)]
pub enum Budget {
    /// This many steps: reproducible.
    Steps(u64),
    /// As many steps as fit, measured on the first ones. The manifest says how many it were.
    Time(Duration),
}

/// What to train, on what, and where to put it.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// A folder of `NAME.parquet` and `NAME_stations.csv`, or one that has them in `tables/`.
    pub data: PathBuf,
    /// The weights folder; the version goes to `<out>/<name>/<version>/`.
    pub out: PathBuf,
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One line about it.
    pub description: String,
    /// Train only on what most stations reported before this moment, so that the rest can judge;
    /// on everything when absent.
    pub cut: Option<Time>,
    /// The model, of the same version, that is judged in place of one that is trained on everything.
    pub judged_as: Option<String>,
    /// Everything random follows from it.
    pub seed: u64,
    /// How long.
    pub budget: Budget,
    /// Windows per step.
    pub batch: usize,
    /// Width of the encoder.
    pub hidden: usize,
    /// Width of the decoder.
    pub latent: usize,
    /// Networks that are trained one after another, each from its own seed, and averaged.
    pub members: usize,
    /// Train only this member, the first being 0, and leave it as a checkpoint: so that several
    /// processes can share the work, before a resumed training of them all puts them together.
    pub only: Option<usize>,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// The share of the encoder's numbers that each step leaves out, 0 to 1.
    pub dropped: f64,
    /// The last share of every network's training period that is kept from training to say how it
    /// goes, 0 to 1; the weights that did best there are the ones that are written. With 0 the last
    /// ones are.
    pub validated: f64,
    /// Validations without a better one after which training ends.
    pub patience: u32,
    /// Where training computes.
    pub device: TrainDevice,
    /// Go on from the checkpoint of a training that was cut off.
    pub resume: bool,
}

/// Batches of one validation.
const VALIDATION: u64 = 16;

/// Moments of each station that a new version is judged by: a look, where `evaluate` takes its time.
const JUDGED: usize = 40;

/// What a training has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trained {
    /// The folder of a version that is ready.
    Version(PathBuf),
    /// The folder of the checkpoint of one member.
    Member(PathBuf),
}

/// Trains, writes the version folder, evaluates it and records the scores in its manifest.
///
/// When `stop` becomes true, or the process dies, a checkpoint is left beside the version, which
/// [`TrainOptions::resume`] goes on from: to the same weights that it would have come to. Half-trained
/// versions are never written: a worker might serve them.
///
/// # Errors
/// When it was stopped, the data can't be read, holds nothing to train on, the folder can't be written, or a
/// checkpoint is there that is not resumed, or is of another training.
pub fn train(options: &TrainOptions, stop: &AtomicBool) -> anyhow::Result<Trained> {
    let folder = options.out.join(&options.name).join(&options.version);
    anyhow::ensure!(!folder.exists(), "{} exists: choose another --version", folder.display());
    let members = options.only.map_or(0..options.members, |only| only..only + 1);
    let checkpoints = members.map(|member| Checkpoint::open(&folder, options, member));
    let checkpoints: Vec<Checkpoint> = checkpoints.collect::<anyhow::Result<_>>()?;
    let split = options.cut.map_or(Split::TrainAll, Split::At);
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    let networks = dataset::read(&options.data, split, |name| bar.set_message(format!("reading {name}")))?;
    bar.finish_and_clear();
    for network in &networks {
        network.reports.iter().for_each(|report| eprintln!("{}", report.summary()));
    }
    let mut learnt = Vec::new();
    for (at, checkpoint) in checkpoints.iter().enumerate() {
        eprintln!("member {} of {}", options.only.unwrap_or(at) + 1, options.members);
        learnt.push(fit(options, &networks, checkpoint, stop)?);
        anyhow::ensure!(
            !stop.load(Ordering::Relaxed),
            "stopped at step {}: the checkpoint is in {}, and --resume goes on from it",
            learnt.last().map_or(0, |l| l.steps),
            checkpoint.folder().display()
        );
    }
    if let (Some(_), [checkpoint]) = (options.only, checkpoints.as_slice()) {
        return Ok(Trained::Member(checkpoint.folder().to_owned()));
    }
    write(options, &networks, &folder, learnt)?;
    checkpoint::remove(&folder);
    Ok(Trained::Version(folder))
}

fn write(options: &TrainOptions, networks: &[Stations], folder: &Path, learnt: Vec<Learnt>) -> anyhow::Result<()> {
    let facts = facts(options, &learnt);
    let curve: String = std::iter::once("member,step,seconds,learning_rate,loss,validation\n".to_owned())
        .chain(learnt.iter().enumerate().flat_map(|(member, learnt)| {
            learnt.curve.lines().map(move |line| format!("{},{line}\n", member + 1)).collect::<Vec<_>>()
        }))
        .collect();
    let ensemble = Ensemble::of(learnt.into_iter().map(|learnt| learnt.network));
    let facts = Training { parameters: ensemble.num_params() as u64, ..facts };
    let mut manifest = manifest(options, networks, facts, ensemble.members());
    version::write(folder, &mut manifest, &ensemble, &Device::flex())?;
    let found: String = networks.iter().flat_map(|n| &n.reports).map(FileReport::full).collect();
    fs::write(folder.join(DATA_REPORT), found).with_context(|| format!("{}", folder.display()))?;
    fs::write(folder.join("curve.csv"), curve).with_context(|| format!("{}", folder.display()))?;
    if options.cut.is_some() {
        let mut forecaster = Forecaster::load(folder, BackendKind::Flex)?;
        manifest.scores = evaluate::networks(networks, &mut forecaster, JUDGED);
        version::write_manifest(folder, &manifest)?;
    }
    Ok(())
}

fn fit(
    options: &TrainOptions,
    networks: &[Stations],
    checkpoint: &Checkpoint,
    stop: &AtomicBool,
) -> anyhow::Result<Learnt> {
    let source = Source::learnt(networks, options.validated, options.batch);
    anyhow::ensure!(!source.is_empty(), "{}: no station has enough history to train on", options.data.display());
    let unseen = Source::validated(networks, options.validated, options.batch);
    let validation: Vec<Batch> =
        if unseen.is_empty() { Vec::new() } else { (0..VALIDATION).map(|step| unseen.draw(0, step)).collect() };
    let learner = Learner::new(options, checkpoint)?;
    let first = learner.step();
    std::thread::scope(|scope| {
        // Two batches ahead: the network never waits, memory stays small.
        let (sender, batches) = sync_channel(2);
        scope.spawn({
            let (source, seed) = (&source, checkpoint.seed());
            move || (first..).take_while(|step| sender.send(source.draw(seed, *step)).is_ok()).last()
        });
        learner.run(&batches, &validation, checkpoint, stop)
    })
}

#[allow(clippy::cast_precision_loss)] // a handful
fn facts(options: &TrainOptions, learnt: &[Learnt]) -> Training {
    let mean = |value: &dyn Fn(&Learnt) -> f64| learnt.iter().map(value).sum::<f64>() / learnt.len().max(1) as f64;
    let validated = mean(&|l| f64::from(l.validated.unwrap_or(f32::NAN)));
    Training {
        seed: options.seed,
        steps: learnt.iter().map(|l| l.steps).sum(),
        batch: options.batch as u64,
        seconds: learnt.iter().map(|l| l.seconds).sum(),
        parameters: 0,
        learning_rate: options.learning_rate,
        final_loss: mean(&|l| f64::from(l.loss)),
        validation_loss: Some(validated).filter(|v| v.is_finite()),
        cut: options.cut.map(|cut| cut.to_string()),
        judged_as: options.judged_as.clone(),
    }
}

fn manifest(options: &TrainOptions, networks: &[Stations], training: Training, members: usize) -> Manifest {
    let [temperature, dew_point, pressure, wind_speed, wind_gust] = SCALES;
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut outputs: Vec<String> = Quantity::ALL.iter().map(|q| q.name().to_owned()).collect();
    outputs.extend(names(&["wind_direction", "precipitation_probability"]));
    Manifest {
        name: options.name.clone(),
        version: options.version.clone(),
        description: options.description.clone(),
        created: weather::Time::now().to_string(),
        features: features::REVISION.to_owned(),
        architecture: Architecture::new(options.hidden, options.latent, members),
        window: WindowFacts {
            hours: PAST,
            leads: LEADS,
            inputs: names(&[
                "temperature",
                "dew_point",
                "pressure",
                "wind_speed",
                "wind_gust",
                "wind_u",
                "wind_v",
                "precipitation",
                "solar_radiation",
                "cloud_cover",
                "latitude",
                "elevation",
                "solar elevation",
                "clear-sky radiation",
                "local hour",
            ]),
            outputs,
            quantiles: QUANTILES.to_vec(),
        },
        normalisation: Normalisation {
            temperature,
            dew_point,
            pressure,
            wind_speed,
            wind_gust,
            wind_components: WIND_SCALE,
        },
        files: Files::default(),
        training,
        data: networks.iter().map(network).collect(),
        scores: Vec::new(),
    }
}

fn network(network: &Stations) -> DataFacts {
    DataFacts {
        network: network.name.clone(),
        stations: network.series.len(),
        held_out: network.judging().count(),
        from: network.from.to_string(),
        trained_until: network.cut.to_string(),
        licence: dataset::licence(&network.name).to_owned(),
    }
}
