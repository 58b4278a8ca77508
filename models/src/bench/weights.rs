//! A network's weights as a safetensors file: eight bytes of length, that much JSON which says where
//! each tensor lies, then the numbers.

use std::fs;
use std::io;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, ParamId};
use burn::tensor::{Tensor, TensorData};
use serde_json::{Map, json};
use weather::LEADS;

use crate::features::{ENCODER, LEAD};
use crate::network::{DISTRIBUTIONS, Ensemble, LEVELS, SINGLES, served};

/// Tensors by name, in order.
pub(super) struct Tensors(Vec<(String, Vec<usize>, Vec<f32>)>);

impl Tensors {
    /// Every parameter, under the path of its fields.
    pub(super) fn of(network: &Ensemble) -> Self {
        let mut tensors = Self(Vec::new());
        network.visit(&mut tensors);
        tensors
    }

    /// What the graph multiplies by that is not learnt.
    pub(super) fn constants(&mut self) {
        self.add_data("spread", served());
    }

    /// The golden input and what this network says to it.
    pub(super) fn golden(&mut self, encoder: &[f32], leads: &[f32], quantiles: Vec<f32>, singles: Vec<f32>) {
        let batch = encoder.len() / ENCODER;
        self.0.push(("golden.window".to_owned(), vec![batch, ENCODER], encoder.to_vec()));
        self.0.push(("golden.leads".to_owned(), vec![batch, LEADS, LEAD], leads.to_vec()));
        self.0.push(("golden.quantiles".to_owned(), vec![batch * LEADS, DISTRIBUTIONS, LEVELS], quantiles));
        self.0.push(("golden.singles".to_owned(), vec![batch * LEADS, SINGLES], singles));
    }

    fn add_data(&mut self, name: &str, data: TensorData) {
        let shape = data.shape().to_vec();
        self.0.push((name.to_owned(), shape, data.try_into_vec().unwrap_or_default()));
    }

    pub(super) fn write(&self, file: &Path) -> io::Result<()> {
        let (mut header, mut numbers) = (Map::new(), Vec::new());
        for (name, shape, values) in &self.0 {
            let begin = numbers.len();
            numbers.extend(values.iter().flat_map(|v| v.to_le_bytes()));
            let place = json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, numbers.len()]});
            header.insert(name.clone(), place);
        }
        let header = serde_json::to_vec(&header)?;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend(numbers);
        fs::write(file, bytes)
    }
}

impl ModuleVisitor for Tensors {
    fn visit_float_with_path<const D: usize>(&mut self, path: &[String], _: ParamId, tensor: &Tensor<D>) {
        self.add_data(&path.join("."), tensor.clone().into_data());
    }
}
