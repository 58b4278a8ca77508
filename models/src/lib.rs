//! The Burn forecaster: features, network, training, evaluation, baselines, versions.
//!
//! [`Forecaster`] turns windows into predictions. Burn's types stay inside this crate.

mod backend;
mod backtest;
mod baselines;
mod batch;
pub mod bench;
mod benchmark;
mod bootstrap;
mod checkpoint;
mod dataset;
mod decode;
mod ema;
mod evaluate;
mod features;
mod forecaster;
mod golden;
mod grid;
mod hygiene;
mod learner;
mod losses;
mod network;
mod resolution;
mod run;
pub mod scores;
mod shelf;
mod sky;
mod train;
mod version;

pub use backend::{BackendKind, TrainDevice, UnknownBackend, UnknownDevice};
pub use backtest::{Backtest, BacktestReport, History, Moments};
pub use benchmark::{
    BenchmarkOptions, BenchmarkReport, BenchmarkRow, BenchmarkScore, HORIZONS, LOOKBACKS, SEEDS, STEPS, benchmark,
};
pub use evaluate::{
    Comparison, Contender, EvaluateOptions, Evaluation, Facts, Group, PER_STATION, RainSkill, Ranks, Reliability,
    Score, Spread, StationScore, TRAINING_CASES, Verdict, evaluate, export_cases,
};
pub use forecaster::{Forecaster, Input, Output};
pub use shelf::{Haste, Look, Refusal, Shelf};
pub use train::{Budget, TrainOptions, Trained, train};
pub use version::{DEFAULT_MODEL, LoadError, ScoreLine, VersionInfo, versions};
