//! Ridge regression in closed form: moments of all training windows, one decomposition per penalty,
//! and the penalty of each group of outputs chosen on the validation windows.

use anyhow::Context;
use burn::tensor::{Device, Tensor, TensorData};

use super::cholesky;
use super::score::Errors;

/// Windows per product: enough for the kernels, little memory.
pub(crate) const CHUNK: usize = 1024;

/// What to regress on what.
pub(crate) struct Regression<'a, Rows, Targets> {
    /// Training windows, by the first row of their targets.
    pub(crate) train: &'a [usize],
    /// The windows that choose the penalties.
    pub(crate) choosing: &'a [usize],
    /// The inputs of some windows, row after row.
    pub(crate) rows: Rows,
    /// Their targets, `[windows, outputs]`.
    pub(crate) targets: Targets,
    /// Outputs belong by turns to so many groups, each with a penalty of its own.
    pub(crate) groups: usize,
    /// The penalties to choose from, in units of the inputs' variance.
    pub(crate) penalties: &'a [f64],
}

/// A linear map of rows to outputs.
pub(crate) struct Ridge {
    /// Means of the inputs over the training windows.
    centre: Vec<f32>,
    weights: Tensor<2>,
    offset: Tensor<2>,
    /// The penalty each group got.
    pub(crate) penalties: Vec<f64>,
}

/// What least squares needs to know of the training windows.
struct Moments {
    centre: Vec<f32>,
    offset: Tensor<2>,
    /// Of the inputs, `[width, width]`.
    gram: Vec<f64>,
    /// Of inputs and targets, `[width, outputs]`.
    cross: Tensor<2>,
}

impl<Rows, Targets> Regression<'_, Rows, Targets>
where
    Rows: Fn(&[usize]) -> Vec<f32>,
    Targets: Fn(&[usize]) -> Tensor<2>,
{
    pub(crate) fn solve(&self, device: &Device) -> anyhow::Result<Ridge> {
        let moments = self.moments(device);
        let width = moments.centre.len();
        let mut best = vec![(f64::INFINITY, 0); self.groups];
        let mut tried = Vec::new();
        for &penalty in self.penalties {
            let inverse =
                cholesky::inverse(moments.gram.clone(), width, penalty).context("the inputs are degenerate")?;
            let inverse = Tensor::<2>::from_data(TensorData::new(inverse, [width, width]), device);
            let ridge = Ridge {
                centre: moments.centre.clone(),
                weights: inverse.matmul(moments.cross.clone()),
                offset: moments.offset.clone(),
                penalties: vec![penalty; self.groups],
            };
            for (best, mse) in best.iter_mut().zip(self.validated(&ridge, device)) {
                if mse < best.0 {
                    *best = (mse, tried.len());
                }
            }
            tried.push(ridge);
        }
        let best: Vec<usize> = best.into_iter().map(|(_, at)| at).collect();
        chosen(&tried, &best, device).context("no penalties to choose from")
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // numbers of windows
    fn moments(&self, device: &Device) -> Moments {
        let count = self.train.len() as f64;
        let (mut sums, mut total): (Vec<f64>, Option<Tensor<2>>) = (Vec::new(), None);
        for chunk in self.train.chunks(CHUNK) {
            let rows = (self.rows)(chunk);
            let width = rows.len() / chunk.len();
            sums.resize(width, 0.0);
            rows.chunks(width).for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x)));
            let part = (self.targets)(chunk).sum_dim(0) / count;
            total = Some(total.map_or_else(|| part.clone(), |total| total + part.clone()));
        }
        let centre: Vec<f32> = sums.into_iter().map(|sum| (sum / count) as f32).collect();
        let width = centre.len();
        let offset = total.unwrap_or_else(|| Tensor::zeros([1, self.groups], device));
        let mut gram = vec![0.0f64; width * width];
        let mut cross = Tensor::<2>::zeros([width, offset.dims()[1]], device);
        for chunk in self.train.chunks(CHUNK) {
            let rows = centred((self.rows)(chunk), &centre, device);
            let across = rows.clone().transpose() / count;
            let square = numbers(across.clone().matmul(rows));
            gram.iter_mut().zip(square).for_each(|(sum, part)| *sum += f64::from(part));
            cross = cross + across.matmul((self.targets)(chunk) - offset.clone());
        }
        Moments { centre, offset, gram, cross }
    }

    /// Mean squared error of each group on the windows that choose.
    fn validated(&self, ridge: &Ridge, device: &Device) -> Vec<f64> {
        let mut errors = vec![Errors::default(); self.groups];
        for chunk in self.choosing.chunks(CHUNK) {
            let forecasts = numbers(ridge.forward((self.rows)(chunk), device));
            for (at, (forecast, truth)) in forecasts.iter().zip(numbers((self.targets)(chunk))).enumerate() {
                errors[at % self.groups].add(*forecast, truth);
            }
        }
        errors.iter().map(|errors| errors.score().mse).collect()
    }
}

impl Ridge {
    /// Rows less their means in training.
    pub(crate) fn centred(&self, rows: Vec<f32>, device: &Device) -> Tensor<2> {
        centred(rows, &self.centre, device)
    }

    /// The outputs of some rows.
    pub(crate) fn forward(&self, rows: Vec<f32>, device: &Device) -> Tensor<2> {
        self.centred(rows, device).matmul(self.weights.clone()) + self.offset.clone()
    }
}

/// For each group the columns of the candidate that did best on it.
fn chosen(tried: &[Ridge], best: &[usize], device: &Device) -> Option<Ridge> {
    let first = tried.first()?;
    let [width, outputs] = first.weights.dims();
    let mut weights = vec![0.0f32; width * outputs];
    for (at, candidate) in tried.iter().enumerate() {
        for (place, weight) in numbers(candidate.weights.clone()).into_iter().enumerate() {
            if best[place % outputs % best.len()] == at {
                weights[place] = weight;
            }
        }
    }
    Some(Ridge {
        centre: first.centre.clone(),
        weights: Tensor::from_data(TensorData::new(weights, [width, outputs]), device),
        offset: first.offset.clone(),
        penalties: best.iter().map(|at| tried[*at].penalties[0]).collect(),
    })
}

fn centred(mut rows: Vec<f32>, centre: &[f32], device: &Device) -> Tensor<2> {
    let width = centre.len();
    rows.iter_mut().enumerate().for_each(|(at, value)| *value -= centre[at % width]);
    let count = rows.len() / width;
    Tensor::from_data(TensorData::new(rows, [count, width]), device)
}

/// A tensor's numbers in row-major order.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_line_and_a_penalty_for_each_group() {
        let device = Device::flex();
        // Group 0 is 3x + 1, which no penalty finds exactly; group 1 has the opposite sign where it
        // is judged, so that the stiffest penalty is the best.
        let (train, choosing): (Vec<usize>, Vec<usize>) = ((0..2000).collect(), (2000..2400).collect());
        let x = |origin: usize| ((origin * 7919) % 1000) as f32 / 500.0 - 1.0;
        let targets = |origins: &[usize]| {
            let row = |at: &usize| [3.0 * x(*at) + 1.0, if *at < 2000 { x(*at) } else { -x(*at) }];
            let numbers: Vec<f32> = origins.iter().flat_map(row).collect();
            Tensor::<2>::from_data(TensorData::new(numbers, [origins.len(), 2]), &device)
        };
        let rows = |origins: &[usize]| origins.iter().map(|at| x(*at)).collect();
        let penalties = [1e-6, 10.0];
        let regression =
            Regression { train: &train, choosing: &choosing, rows, targets, groups: 2, penalties: &penalties };
        let ridge = regression.solve(&device).unwrap();
        assert_eq!(ridge.penalties, [1e-6, 10.0]);
        let found = numbers(ridge.forward(vec![0.0, 0.5], &device));
        assert!((found[0] - 1.0).abs() < 1e-3 && (found[2] - 2.5).abs() < 1e-3, "{found:?}");
        assert!(found[3].abs() < 0.1, "{found:?}");
    }
}
