//! A network's weights as a safetensors file: eight bytes of length, that much JSON which says where
//! each tensor lies, then the numbers.

use std::fs;
use std::io;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
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
        let mut collect = Collect { tensors: Self(Vec::new()), path: Vec::new() };
        network.visit(&mut collect);
        collect.tensors
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

/// Collects the parameters under the path of fields that leads to each.
struct Collect {
    tensors: Tensors,
    path: Vec<String>,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.tensors.add_data(&self.path.join("."), parameter.val().into_data());
    }

    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::network::Architecture;

    #[test]
    fn every_parameter_is_there_under_its_path() {
        let network = Ensemble::new(&Architecture::new(16, 8, 2), &Device::flex());
        let tensors = Tensors::of(&network);
        let numbers: usize = tensors.0.iter().map(|(_, _, values)| values.len()).sum();
        assert_eq!(numbers, network.num_params());
        let (_, shape, values) = tensors.0.iter().find(|(name, ..)| name == "members.1.latent.weight").unwrap();
        assert_eq!((shape.as_slice(), values.len()), ([16, 8].as_slice(), 128));
        let file = tempfile::NamedTempFile::new().unwrap();
        tensors.write(file.path()).unwrap();
        let bytes = fs::read(file.path()).unwrap();
        let (length, rest) = bytes.split_first_chunk().unwrap();
        let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
        let header: Map<String, serde_json::Value> = serde_json::from_slice(header).unwrap();
        let place = &header["members.1.latent.weight"]["data_offsets"];
        let begin = place[0].as_u64().unwrap() as usize;
        assert_eq!(data[begin..begin + 4], values[0].to_le_bytes());
        assert_eq!(data.len(), 4 * numbers);
    }
}
