//! The running average of a network's weights: smoother than any single step's, at the price of a
//! copy now and then.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};

/// The share of the average that stays at each update, once there are enough.
const KEPT: f32 = 0.99;

/// The average, parameter by parameter.
#[derive(Default)]
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
