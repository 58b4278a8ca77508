//! A loaded version, ready to forecast.

use std::path::Path;

use burn::tensor::Device;
use weather::{LEADS, ModelId, Prediction, Station, VariableSet, Window};

use crate::backend::BackendKind;
use crate::decode::{self, Numbers};
use crate::features::{ALL_LEADS, Anchors, ENCODER, Past};
use crate::network::{DISTRIBUTIONS, Ensemble, LEVELS, SINGLES};
use crate::run;
use crate::version::{self, LoadError};

/// Windows that go through the network at once: beyond it nothing gets cheaper, only memory grows.
const BATCH: usize = 64;

/// One station to forecast for.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Its observations; the newest one's time is the reference time.
    pub window: &'a Window,
    /// What is known of it.
    pub station: &'a Station,
}

/// What the model says of one station.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The numbers. Empty for an empty window.
    pub prediction: Prediction,
    /// Share of temperature, dew point, pressure and wind in the last 96 h that is missing, 0 to 1.
    pub missing_share: f32,
}

/// A loaded model version.
pub struct Forecaster {
    id: ModelId,
    network: Ensemble,
    device: Device,
}

impl Forecaster {
    /// Loads and checks a version folder: its manifest, the checksums, the architecture, and that
    /// the golden input still gives the golden output.
    ///
    /// # Errors
    /// [`LoadError`] with the reason; nothing of a version that fails is used.
    pub fn load(version_dir: &Path, backend: BackendKind) -> Result<Self, LoadError> {
        let device = backend.device();
        let (manifest, network) = version::load(version_dir, &device)?;
        Ok(Self { id: ModelId { name: manifest.name, version: manifest.version }, network, device })
    }

    /// Loads the highest version of [`crate::DEFAULT_MODEL`] below a weights folder.
    ///
    /// # Errors
    /// [`LoadError`]: there is none, or it fails its checks; an older one is not tried instead.
    pub fn load_newest(weights: &Path, backend: BackendKind) -> Result<Self, LoadError> {
        Self::load(&version::newest(weights)?, backend)
    }

    /// The name and version.
    #[must_use]
    pub fn id(&self) -> &ModelId {
        &self.id
    }

    /// What computes, for the bench.
    pub(crate) const fn parts(&self) -> (&Ensemble, &Device) {
        (&self.network, &self.device)
    }

    /// One output per input, in order. The reference time is the window's newest observation.
    ///
    /// Deterministic: on the same machine the numbers for a window are the same to the bit,
    /// whatever else is in the batch.
    pub fn predict(&mut self, inputs: &[Input<'_>]) -> Vec<Output> {
        inputs.chunks(BATCH).flat_map(|chunk| self.predict_chunk(chunk)).collect()
    }

    fn predict_chunk(&self, inputs: &[Input<'_>]) -> Vec<Output> {
        let mut encoder = vec![0.0; inputs.len() * ENCODER];
        let mut leads = vec![0.0; inputs.len() * ALL_LEADS];
        let rows = encoder.chunks_exact_mut(ENCODER).zip(leads.chunks_exact_mut(ALL_LEADS));
        let anchors: Vec<Option<Anchors>> = inputs.iter().zip(rows).map(|(i, (e, l))| fill(i, e, l)).collect();
        let (quantiles, singles) = run::network(&self.network, encoder, leads, &self.device);
        let quantiles = quantiles.chunks_exact(LEADS * DISTRIBUTIONS * LEVELS);
        let mut numbers = quantiles.zip(singles.chunks_exact(LEADS * SINGLES));
        let decode = |anchors: Option<Anchors>| {
            let numbers = numbers.next().map(|(quantiles, singles)| Numbers { quantiles, singles });
            match numbers.zip(anchors) {
                Some((numbers, anchors)) => {
                    Output { prediction: decode::prediction(&numbers, &anchors), missing_share: anchors.missing_share }
                }
                None => Output { prediction: Prediction::default(), missing_share: 1.0 },
            }
        };
        anchors.into_iter().map(decode).collect()
    }
}

/// Fills a station's rows; none for an empty window.
fn fill(input: &Input<'_>, encoder: &mut [f32], leads: &mut [f32]) -> Option<Anchors> {
    let reference = input.window.newest()?.time;
    let past = Past::new(input.window.samples(), reference, input.station, VariableSet::EMPTY);
    past.fill(input.station, encoder, leads);
    Some(past.anchors())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_forecaster_can_move_to_its_thread() {
        fn assert_send<T: Send>() {}
        assert_send::<super::Forecaster>();
    }
}
