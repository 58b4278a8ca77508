//! The Burn forecaster: features, network, training, evaluation, baselines, versions.
//!
//! [`Forecaster`] turns windows into predictions. Burn's types stay inside this crate.

mod backend;
mod baselines;
mod batch;
mod dataset;
mod decode;
mod ema;
mod evaluate;
mod features;
mod forecaster;
mod golden;
mod grid;
mod losses;
mod network;
mod run;
mod shelf;
mod train;
mod version;

pub use backend::{BackendKind, UnknownBackend};
pub use evaluate::{EvaluateOptions, Evaluation, NetworkScores, PER_STATION, evaluate};
pub use forecaster::{Forecaster, Input, Output};
pub use shelf::{Haste, Look, Refusal, Shelf};
pub use train::{Budget, TrainOptions, train};
pub use version::{DEFAULT_MODEL, LoadError, ScoreLine, VersionInfo, versions};
