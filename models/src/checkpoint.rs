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
    /// Updates of the averaged weights.
    pub(crate) curve: String,
}

impl Progress {
    pub(crate) fn new(steps: u64) -> Self {
        Self { step: 0, steps, seconds: 0.0, loss: f32::NAN, validated: f32::NAN, stale: 0, curve: String::new() }
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

/// The folder of a training's checkpoint, beside the version that it will become.
pub(crate) struct Checkpoint {
    folder: PathBuf,
    training: String,
    resume: bool,
}

impl Checkpoint {
    /// # Errors
    /// When there is one that is not to be resumed, or none that is.
    pub(crate) fn open(version: &Path, options: &TrainOptions) -> anyhow::Result<Self> {
        let folder = version.with_file_name(format!("{}.checkpoint", options.version));
        let exists = folder.join(STATE).exists();
        anyhow::ensure!(
            exists || !options.resume,
            "{}: there is no checkpoint to go on from: leave --resume out",
            folder.display()
        );
        anyhow::ensure!(
            !exists || options.resume,
            "{}: a training of this version was cut off: go on with --resume, or remove that folder",
            folder.display()
        );
        Ok(Self { folder, training: training(options), resume: options.resume })
    }

    /// What was saved, if the training is to go on.
    ///
    /// # Errors
    /// When it can't be read or is of a training with other options.
    pub(crate) fn load(&self) -> anyhow::Result<Option<Saved>> {
        if !self.resume {
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

    /// The version is written: nothing is left to go on with.
    pub(crate) fn remove(&self) {
        if let Err(error) = fs::remove_dir_all(&self.folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            eprintln!("{}: the checkpoint stays: {error}", self.folder.display());
        }
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

/// Everything that decides what a training comes to, but for the data themselves.
fn training(options: &TrainOptions) -> String {
    let TrainOptions { seed, budget, batch, hidden, latent, members, learning_rate, dropped, validated, cut, .. } =
        options;
    let cut = cut.map_or_else(|| "none".to_owned(), |cut| cut.to_string());
    format!(
        "features {}, seed {seed}, {budget:?}, batch {batch}, hidden {hidden}, latent {latent}, members {members}, \
         learning rate {learning_rate}, dropped {dropped}, validated {validated}, cut {cut}",
        features::REVISION
    )
}
