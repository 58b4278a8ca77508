//! A training that was cut off goes on from here.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use serde::{Deserialize, Serialize};

use crate::ema::Average;
use crate::features;
use crate::network::Ensemble;
use crate::train::TrainOptions;

const STATE: &str = "state.toml";
const NETWORK: &str = "network.bpk";
const OPTIMISER: &str = "optimiser.bpk";
const AVERAGE: &str = "average.bin";
const BEST: &str = "best.bin";

/// How far a training has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) step: u64,
    pub(crate) steps: u64,
    pub(crate) seconds: f64,
    /// Smoothed over the last steps; NaN before the first.
    pub(crate) loss: f32,
    /// The best validation; NaN before the first.
    pub(crate) validated: f32,
    /// Validations since the best one.
    pub(crate) stale: u32,
    /// There is nothing more to learn.
    pub(crate) finished: bool,
    /// A line per validation.
    pub(crate) curve: String,
}

impl Progress {
    pub(crate) fn new(steps: u64) -> Self {
        let (loss, validated) = (f32::NAN, f32::NAN);
        Self { step: 0, steps, seconds: 0.0, loss, validated, stale: 0, finished: steps == 0, curve: String::new() }
    }
}

/// What was saved.
pub(crate) struct Saved {
    pub(crate) network: ModuleRecord,
    pub(crate) optimiser: Bytes,
    pub(crate) average: Average,
    pub(crate) best: Option<Average>,
    pub(crate) progress: Progress,
}

#[derive(Serialize, Deserialize)]
struct State {
    /// What must be the same for the training to go on.
    training: String,
    progress: Progress,
}

/// The folder of a member's checkpoint, beside the version that it will be part of.
pub(crate) struct Checkpoint {
    folder: PathBuf,
    training: String,
    seed: u64,
    resume: bool,
}

impl Checkpoint {
    /// # Errors
    /// When there is one that is not to be resumed, or none at all that is.
    pub(crate) fn open(version: &Path, options: &TrainOptions, member: usize) -> anyhow::Result<Self> {
        let all = all(version);
        let folder = all.join(format!("{}", member + 1));
        anyhow::ensure!(
            all.exists() || !options.resume,
            "{}: there is no checkpoint to go on from: leave --resume out",
            all.display()
        );
        anyhow::ensure!(
            !folder.exists() || options.resume,
            "{}: a training of this version was cut off: go on with --resume, or remove that folder",
            folder.display()
        );
        let seed = options.seed.wrapping_add(member as u64);
        Ok(Self { folder, training: training(options, seed), seed, resume: options.resume })
    }

    /// What everything random in this member follows from.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was saved, if the training is to go on.
    ///
    /// # Errors
    /// When it can't be read or is of a training with other options.
    pub(crate) fn load(&self) -> anyhow::Result<Option<Saved>> {
        let old = self.folder.with_extension("old");
        if self.resume && !self.folder.exists() && old.exists() {
            // Cut off between the two steps of replacing it.
            fs::rename(&old, &self.folder).with_context(|| format!("{}", old.display()))?;
        }
        if !self.resume || !self.folder.exists() {
            return Ok(None);
        }
        let State { training, progress } = toml::from_str(&String::from_utf8_lossy(&self.read(STATE)?))
            .with_context(|| format!("{}", self.folder.join(STATE).display()))?;
        anyhow::ensure!(
            training == self.training,
            "{}: made by a training with other options ({training}), these are {}",
            self.folder.display(),
            self.training
        );
        let network = ModuleRecord::from_bytes(Bytes::from_bytes_vec(self.read(NETWORK)?))
            .map_err(|e| anyhow::anyhow!("{}: {e}", self.folder.join(NETWORK).display()))?;
        let best = self.folder.join(BEST).exists().then(|| self.average(BEST)).transpose()?;
        let optimiser = Bytes::from_bytes_vec(self.read(OPTIMISER)?);
        Ok(Some(Saved { network, optimiser, average: self.average(AVERAGE)?, best, progress }))
    }

    /// Replaces what was saved, all of it or nothing.
    pub(crate) fn save(
        &self,
        network: &Ensemble,
        optimiser: Bytes,
        average: &Average,
        best: Option<&Average>,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let fresh = self.folder.with_extension("new");
        let old = self.folder.with_extension("old");
        let written = || -> anyhow::Result<()> {
            for stale in [&fresh, &old] {
                if stale.exists() {
                    fs::remove_dir_all(stale)?;
                }
            }
            fs::create_dir_all(&fresh)?;
            let weights = network.clone().into_record().into_bytes().map_err(|e| anyhow::anyhow!("{e}"))?;
            fs::write(fresh.join(NETWORK), &*weights)?;
            fs::write(fresh.join(OPTIMISER), &*optimiser)?;
            fs::write(fresh.join(AVERAGE), average.to_bytes())?;
            if let Some(best) = best {
                fs::write(fresh.join(BEST), best.to_bytes())?;
            }
            let state = State { training: self.training.clone(), progress: progress.clone() };
            fs::write(fresh.join(STATE), toml::to_string(&state)?)?;
            if self.folder.exists() {
                fs::rename(&self.folder, &old)?;
            }
            fs::rename(&fresh, &self.folder)?;
            if old.exists() {
                fs::remove_dir_all(&old)?;
            }
            Ok(())
        };
        written().with_context(|| format!("{}: the checkpoint can't be written", self.folder.display()))
    }

    fn read(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        let path = self.folder.join(name);
        fs::read(&path).with_context(|| format!("{}", path.display()))
    }

    fn average(&self, name: &str) -> anyhow::Result<Average> {
        let bytes = self.read(name)?;
        Average::from_bytes(&bytes).with_context(|| format!("{}: cut off", self.folder.join(name).display()))
    }
}

/// Where the checkpoints of a version's members are.
fn all(version: &Path) -> PathBuf {
    let mut name = version.file_name().unwrap_or_default().to_owned();
    name.push(".checkpoint");
    version.with_file_name(name)
}

/// The version is written: nothing is left to go on with.
pub(crate) fn remove(version: &Path) {
    let folder = all(version);
    if let Err(error) = fs::remove_dir_all(&folder)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        eprintln!("{}: the checkpoint stays: {error}", folder.display());
    }
}

/// Everything that decides what a member comes to, but for the data themselves.
fn training(options: &TrainOptions, seed: u64) -> String {
    let TrainOptions { budget, batch, hidden, latent, learning_rate, dropped, validated, cut, .. } = options;
    let cut = cut.map_or_else(|| "none".to_owned(), |cut| cut.to_string());
    format!(
        "features {}, seed {seed}, {budget:?}, batch {batch}, hidden {hidden}, latent {latent}, learning rate {learning_rate}, dropped {dropped}, validated {validated}, cut {cut}",
        features::REVISION
    )
}
