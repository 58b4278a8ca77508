//! The running average of a network's weights: smoother than any single step's, at the price of a
//! copy now and then.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};

/// The share of the average that stays at each update, once there are enough.
const KEPT: f32 = 0.99;

/// The average, parameter by parameter.
#[derive(Clone, Default)]
pub(crate) struct Average {
    values: Vec<Vec<f32>>,
    updates: u16,
}

impl Average {
    /// Takes in the present weights.
    pub(crate) fn update<M: Module>(&mut self, network: &M) {
        // The first weights are nearly random: the average follows fast in the beginning.
        let kept = KEPT.min(f32::from(self.updates) / (f32::from(self.updates) + 9.0));
        self.updates = self.updates.saturating_add(1);
        network.visit(&mut Update { average: self, kept, at: 0 });
    }

    /// All of it: `u16` updates, then per parameter `u64` count and `f32` values, little-endian.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.updates.to_le_bytes().to_vec();
        for values in &self.values {
            bytes.extend_from_slice(&(values.len() as u64).to_le_bytes());
            bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        }
        bytes
    }

    /// What [`Average::to_bytes`] wrote; none where the bytes are cut off.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (updates, mut rest) = bytes.split_first_chunk()?;
        let mut values = Vec::new();
        while !rest.is_empty() {
            let (count, after) = rest.split_first_chunk()?;
            let size = usize::try_from(u64::from_le_bytes(*count)).ok()?.checked_mul(4)?;
            let (numbers, after) = after.split_at_checked(size)?;
            values.push(numbers.as_chunks::<4>().0.iter().map(|v| f32::from_le_bytes(*v)).collect());
            rest = after;
        }
        Some(Self { values, updates: u16::from_le_bytes(*updates) })
    }

    /// The network with the averaged weights, on `device`.
    pub(crate) fn network<M: Module>(&self, network: M, device: &Device) -> M {
        network.map(&mut Replace { average: self, device, at: 0 })
    }
}

struct Update<'a> {
    average: &'a mut Average,
    kept: f32,
    at: usize,
}

impl ModuleVisitor for Update<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let now: Vec<f32> = param.val().into_data().try_into_vec().unwrap_or_default();
        match self.average.values.get_mut(self.at) {
            Some(average) => {
                for (average, now) in average.iter_mut().zip(now) {
                    *average = self.kept * *average + (1.0 - self.kept) * now;
                }
            }
            None => self.average.values.push(now),
        }
        self.at += 1;
    }
}

struct Replace<'a> {
    average: &'a Average,
    device: &'a Device,
    at: usize,
}

impl ModuleMapper for Replace<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.val().dims();
        let Some(values) = self.average.values.get(self.at) else {
            return param;
        };
        self.at += 1;
        let tensor = Tensor::from_data(TensorData::new(values.clone(), shape), self.device);
        Param::initialized(param.id, tensor)
    }
}
