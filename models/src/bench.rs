//! What `weatherglass bench inference` measures: the network alone on filled rows, a reference
//! network in Burn, and the same weights as a file for a runtime that is not Burn.

mod mixer;
mod weights;

use std::path::Path;
use std::time::{Duration, Instant};

use burn::module::Module;
use weather::ModelId;

use crate::backend::BackendKind;
use crate::features::{ALL_LEADS, ENCODER};
use crate::forecaster::Forecaster;
use crate::golden;
use crate::run;
use crate::version::LoadError;

pub use mixer::Mixer;

/// The Python program that rebuilds the network from [`NetworkBench::export`]'s file and runs it in
/// ONNX Runtime: `python3 -c SCRIPT FILE`. Its first lines say what it reads and answers.
pub const ONNX_SCRIPT: &str = include_str!("../onnx_bench.py");

/// A version's network and rows for it.
pub struct NetworkBench {
    forecaster: Forecaster,
    /// The golden input, of two stations.
    encoder: Vec<f32>,
    leads: Vec<f32>,
}

impl NetworkBench {
    /// Loads a version as a worker does.
    ///
    /// # Errors
    /// As [`Forecaster::load`].
    pub fn load(version: &Path, backend: BackendKind) -> Result<Self, LoadError> {
        let (encoder, leads) = golden::input();
        Ok(Self { forecaster: Forecaster::load(version, backend)?, encoder, leads })
    }

    /// The version.
    #[must_use]
    pub fn id(&self) -> &ModelId {
        self.forecaster.id()
    }

    /// Its weights, over all members.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.forecaster.parts().0.num_params()
    }

    /// The time from `batch` filled rows to the network's outputs. Filling them is not counted.
    #[must_use]
    pub fn time(&self, batch: usize) -> Duration {
        let (network, device) = self.forecaster.parts();
        let rows = |rows: &[f32], length: usize| rows.iter().copied().cycle().take(batch * length).collect();
        let (encoder, leads): (Vec<f32>, Vec<f32>) = (rows(&self.encoder, ENCODER), rows(&self.leads, ALL_LEADS));
        let begun = Instant::now();
        let outputs = run::network(network, encoder, leads, device);
        let taken = begun.elapsed();
        drop(std::hint::black_box(outputs));
        taken
    }

    /// Writes the weights, what the graph needs beside them, and the golden input and output, as
    /// safetensors.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn export(&self, file: &Path) -> std::io::Result<()> {
        let (network, device) = self.forecaster.parts();
        let mut tensors = weights::Tensors::of(network);
        let (quantiles, singles) = run::network(network, self.encoder.clone(), self.leads.clone(), device);
        tensors.constants();
        tensors.golden(&self.encoder, &self.leads, quantiles, singles);
        tensors.write(file)
    }
}

/// Runs `work` where Burn's kernels have one thread.
///
/// # Errors
/// When the thread can't be started.
pub fn on_one_thread<T: Send>(work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
    Ok(rayon::ThreadPoolBuilder::new().num_threads(1).build()?.install(work))
}
