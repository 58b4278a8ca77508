//! The Burn forecaster: features, network, training, evaluation, baselines, versions.
//!
//! [`Forecaster`] turns windows into predictions. Burn's types stay inside this crate.

mod backend;
mod baselines;
mod batch;
mod benchmark;
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
mod train;
mod version;

pub use backend::{BackendKind, UnknownBackend};
pub use benchmark::{
    BenchmarkOptions, BenchmarkReport, BenchmarkRow, BenchmarkScore, HORIZONS, LOOKBACKS, SEEDS, STEPS, benchmark,
};
pub use evaluate::{EvaluateOptions, Evaluation, NetworkScores, PER_STATION, evaluate};
pub use forecaster::{Forecaster, Input, Output};
pub use train::{Budget, TrainOptions, train};
pub use version::{DEFAULT_MODEL, LoadError, ScoreLine, VersionInfo, versions};
