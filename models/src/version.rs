//! A model version on disk: weights, what they are, and proof that they compute what they did.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Device};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use weather::ModelId;

use crate::features;
use crate::golden;
use crate::network::{Architecture, Ensemble};

/// The name of the model that is served unless another is named.
pub const DEFAULT_MODEL: &str = "weatherglass";

pub(crate) const MANIFEST: &str = "manifest.toml";
const WEIGHTS: &str = "weights.bpk";
const GOLDEN: &str = "golden.bin";
/// Every file of a version.
pub(crate) const FILES: [&str; 3] = [MANIFEST, WEIGHTS, GOLDEN];

/// Why a version cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file of it cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no version at all.
    #[error(
        "{path}: no version of `{DEFAULT_MODEL}` here: run `weatherglass train`, or point --models at models/weights"
    )]
    NoVersion {
        /// The weights folder.
        path: PathBuf,
    },
    /// The version that is asked for is not among those that are there.
    #[error("{path}: no version {version} of `{DEFAULT_MODEL}` here: `weatherglass models` lists those that are")]
    NotThere {
        /// The weights folder.
        path: PathBuf,
        /// The version.
        version: String,
    },
    /// The manifest is no manifest.
    #[error("{path}: {message}")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A file is not the one that the manifest describes: cut off, altered or swapped.
    #[error("{path}: checksum is {found}, the manifest says {expected}: the file is damaged or of another version")]
    Checksum {
        /// The file.
        path: PathBuf,
        /// What the manifest says.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Made for other features or another network than this release has.
    #[error("{path}: made for {found}, this release has {expected}")]
    Architecture {
        /// The manifest.
        path: PathBuf,
        /// What this release can run.
        expected: String,
        /// What the version is.
        found: String,
    },
    /// The weights are not those of the architecture in the manifest.
    #[error("{path}: not the weights of this architecture: {message}")]
    Weights {
        /// The weights.
        path: PathBuf,
        /// What Burn said.
        message: String,
    },
    /// The network does not reproduce what it computed when it was made.
    #[error(
        "{path}: the golden input gives other numbers than when the version was made (largest difference {difference})"
    )]
    Golden {
        /// The golden file.
        path: PathBuf,
        /// In units of the network's outputs.
        difference: f32,
    },
}

impl LoadError {
    /// The labels of what a version can be refused for.
    pub const LABELS: [&'static str; 6] = ["unreadable", "manifest", "checksum", "architecture", "weights", "golden"];

    /// A short name of the reason, for metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Io { .. } => "unreadable",
            Self::NoVersion { .. } | Self::NotThere { .. } => "no_version",
            Self::Manifest { .. } => "manifest",
            Self::Checksum { .. } => "checksum",
            Self::Architecture { .. } => "architecture",
            Self::Weights { .. } => "weights",
            Self::Golden { .. } => "golden",
        }
    }
}

/// What `manifest.toml` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) created: String,
    /// [`features::REVISION`].
    pub(crate) features: String,
    pub(crate) architecture: Architecture,
    pub(crate) window: WindowFacts,
    pub(crate) normalisation: Normalisation,
    pub(crate) files: Files,
    pub(crate) training: Training,
    #[serde(default)]
    pub(crate) data: Vec<DataFacts>,
    #[serde(default)]
    pub(crate) scores: Vec<ScoreLine>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WindowFacts {
    pub(crate) hours: usize,
    pub(crate) leads: usize,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) quantiles: Vec<f32>,
}

/// Changes from the newest value are divided by these.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Normalisation {
    pub(crate) temperature: f32,
    pub(crate) dew_point: f32,
    pub(crate) pressure: f32,
    pub(crate) wind_speed: f32,
    pub(crate) wind_gust: f32,
    pub(crate) wind_components: f32,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Files {
    pub(crate) weights_bytes: u64,
    pub(crate) weights_sha256: String,
    pub(crate) golden_sha256: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Training {
    pub(crate) seed: u64,
    pub(crate) steps: u64,
    pub(crate) batch: u64,
    pub(crate) seconds: u64,
    pub(crate) parameters: u64,
    pub(crate) learning_rate: f64,
    pub(crate) final_loss: f64,
    /// The best loss on the validated part of the training period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) validation_loss: Option<f64>,
    /// Nothing later was trained on, and of every five stations one not at all (by SHA-256 of its
    /// id). Absent where everything was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cut: Option<String>,
    /// Of a version that was trained on everything: the model, of the same version, that was trained
    /// by the same recipe up to a cut, so that it could be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) judged_as: Option<String>,
}

/// One network of stations that was trained on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DataFacts {
    pub(crate) network: String,
    pub(crate) stations: usize,
    pub(crate) held_out: usize,
    pub(crate) from: String,
    pub(crate) trained_until: String,
    pub(crate) licence: String,
}

/// One line of the evaluation, on held-out stations in the held-out period.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScoreLine {
    /// The quantity and its unit.
    pub quantity: String,
    /// Hours ahead.
    pub lead: usize,
    /// Cases.
    pub n: u64,
    /// Mean absolute error of the median, averaged over stations; the Brier score of a probability.
    pub model: f64,
    /// The same of the newest value carried on.
    pub persistence: f64,
    /// The same of the newest value at the same hour of the day.
    pub diurnal: f64,
    /// CRPS from the seven quantiles, weighted; none for what has no quantiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crps: Option<f64>,
    /// Share of observations between the 10 % and 90 % quantiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage80: Option<f64>,
}

/// A version found on disk, for a listing.
#[derive(Clone, Debug)]
pub struct VersionInfo {
    /// Its name and version.
    pub id: ModelId,
    /// One line about it.
    pub description: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its evaluation.
    pub scores: Vec<ScoreLine>,
    /// The model, of the same version, that was judged in its place.
    pub judged_as: Option<String>,
}

/// The versions below a weights folder, by name, the newest last. What cannot be read is left out:
/// loading it says why.
#[must_use]
pub fn versions(weights: &Path) -> Vec<VersionInfo> {
    let mut found: Vec<VersionInfo> = folders(weights)
        .flat_map(|name| folders(&name))
        .filter_map(|folder| {
            let manifest = read_manifest(&folder).ok()?;
            let id = ModelId { name: manifest.name, version: manifest.version };
            let Manifest { description, scores, training, .. } = manifest;
            Some(VersionInfo { id, description, folder, scores, judged_as: training.judged_as })
        })
        .collect();
    found.sort_by_cached_key(|v| (v.id.name.clone(), numbers(&v.id.version)));
    found
}

/// The folders in a folder, without hidden ones: a version that is being written is one.
pub(crate) fn folders(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let hidden = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(move |entry| !hidden(entry)).map(|entry| entry.path()).filter(|p| p.is_dir())
}

/// A version in an order where 0.10 comes after 0.9.
pub(crate) fn numbers(version: &str) -> (Vec<u64>, String) {
    let parts = version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok());
    (parts.collect(), version.to_owned())
}

/// The folder of the highest version of the default model.
pub(crate) fn newest(weights: &Path) -> Result<PathBuf, LoadError> {
    versions(weights)
        .into_iter()
        .rfind(|v| v.id.name == DEFAULT_MODEL)
        .map(|v| v.folder)
        .ok_or_else(|| LoadError::NoVersion { path: weights.to_owned() })
}

pub(crate) fn read_manifest(folder: &Path) -> Result<Manifest, LoadError> {
    let path = folder.join(MANIFEST);
    let text = fs::read_to_string(&path).map_err(|source| LoadError::Io { path: path.clone(), source })?;
    toml::from_str(&text).map_err(|error| LoadError::Manifest { path, message: error.to_string() })
}

/// Writes a version folder, all at once for whoever watches; fills in the checksums.
pub(crate) fn write(folder: &Path, manifest: &mut Manifest, network: &Ensemble, device: &Device) -> anyhow::Result<()> {
    let weights = network.clone().into_record().into_bytes().map_err(|e| anyhow::anyhow!("{e}"))?;
    let golden = golden::make(network, device);
    manifest.files =
        Files { weights_bytes: weights.len() as u64, weights_sha256: sha256(&weights), golden_sha256: sha256(&golden) };
    let unfinished = unfinished(folder);
    let written = (|| {
        fs::create_dir_all(&unfinished)?;
        fs::write(unfinished.join(WEIGHTS), &*weights)?;
        fs::write(unfinished.join(GOLDEN), golden)?;
        write_manifest(&unfinished, manifest)?;
        Ok(fs::rename(&unfinished, folder)?)
    })();
    if written.is_err() {
        let _ = fs::remove_dir_all(&unfinished); // the failure that is returned came first
    }
    written
}

/// Replaces the manifest, all at once.
pub(crate) fn write_manifest(folder: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    let (path, text) = (folder.join(MANIFEST), toml::to_string(manifest)?);
    let unfinished = unfinished(&path);
    fs::write(&unfinished, text)?;
    Ok(fs::rename(unfinished, path)?)
}

/// A hidden name beside `path`, of this process alone.
fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.unfinished-{}", std::process::id()))
}

/// Reads and checks a version: features, architecture, checksums, weights, golden input.
pub(crate) fn load(folder: &Path, device: &Device) -> Result<(Manifest, Ensemble), LoadError> {
    let manifest = read_manifest(folder)?;
    check_shape(folder, &manifest)?;
    let weights = read_checked(&folder.join(WEIGHTS), &manifest.files.weights_sha256)?;
    let golden = read_checked(&folder.join(GOLDEN), &manifest.files.golden_sha256)?;
    let refused = |message: String| LoadError::Weights { path: folder.join(WEIGHTS), message };
    // The manifest has no checksum: sizes that the file can't hold must not be allocated for.
    if !manifest.architecture.fits(weights.len()) {
        return Err(refused("the manifest's sizes are larger than the file".to_owned()));
    }
    let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(weights)).map_err(|e| refused(e.to_string()))?;
    let network = Ensemble::new(&manifest.architecture, device);
    let network = network.try_load_record(record).map_err(|e| refused(e.to_string()))?;
    golden::check(&golden, &network, device)
        .map_err(|difference| LoadError::Golden { path: folder.join(GOLDEN), difference })?;
    Ok((manifest, network))
}

fn check_shape(folder: &Path, manifest: &Manifest) -> Result<(), LoadError> {
    let Architecture { hidden, latent, members, .. } = manifest.architecture;
    let ours = Architecture::new(hidden, latent, members);
    if manifest.features == features::REVISION && manifest.architecture == ours {
        return Ok(());
    }
    let describe = |features: &str, a: &Architecture| {
        format!("{} on features {features} ({} + {} in, {} out)", a.kind, a.encoder_inputs, a.lead_inputs, a.outputs)
    };
    Err(LoadError::Architecture {
        path: folder.join(MANIFEST),
        expected: describe(features::REVISION, &ours),
        found: describe(&manifest.features, &manifest.architecture),
    })
}

fn read_checked(path: &Path, expected: &str) -> Result<Vec<u8>, LoadError> {
    let bytes = fs::read(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
    let found = sha256(&bytes);
    if found == expected {
        return Ok(bytes);
    }
    Err(LoadError::Checksum { path: path.to_owned(), expected: expected.to_owned(), found })
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a string cannot fail
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_comes_after_nine() {
        assert!(numbers("0.10.0") > numbers("0.9.3"));
        assert!(numbers("1.0") > numbers("0.10.0"));
    }
}
