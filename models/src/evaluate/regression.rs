//! Least squares with a penalty: normal equations and their Cholesky factor.

/// The upper half of the sum of outer products of rows, by rows of the matrix.
#[derive(Clone)]
pub(crate) struct Gram {
    size: usize,
    values: Vec<f64>,
    pub(crate) n: u64,
    waiting: Vec<f64>,
}

/// Rows that are added at once: the matrix then goes through memory once for all of them.
const TOGETHER: usize = 4;

impl Gram {
    pub(crate) fn new(size: usize) -> Self {
        Self { size, values: vec![0.0; size * size], n: 0, waiting: Vec::with_capacity(size * TOGETHER) }
    }

    pub(crate) fn add(&mut self, row: &[f64]) {
        self.n += 1;
        self.waiting.extend_from_slice(row);
        if self.waiting.len() >= self.size * TOGETHER {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.waiting.resize(self.size * TOGETHER, 0.0);
        let mut rows = self.waiting.chunks_exact(self.size);
        if let (Some(a), Some(b), Some(c), Some(d)) = (rows.next(), rows.next(), rows.next(), rows.next()) {
            for (i, out) in self.values.chunks_exact_mut(self.size).enumerate() {
                let (p, q, r, s) = (a[i], b[i], c[i], d[i]);
                let columns = a[i..].iter().zip(&b[i..]).zip(&c[i..]).zip(&d[i..]);
                for (sum, (((a, b), c), d)) in out[i..].iter_mut().zip(columns) {
                    *sum += p * a + q * b + r * c + s * d;
                }
            }
        }
        self.waiting.clear();
    }

    /// Adds what another has summed up.
    pub(crate) fn merge(&mut self, other: &mut Self) {
        other.flush();
        self.n += other.n;
        self.values.iter_mut().zip(&other.values).for_each(|(sum, more)| *sum += more);
    }

    /// The coefficients for the sum of rows times target. The last column, a constant, goes
    /// without a penalty. None where the equations have no single solution.
    #[allow(clippy::cast_precision_loss)] // counts
    pub(crate) fn solve(&mut self, moment: &[f64], penalty: f64) -> Option<Vec<f64>> {
        self.flush();
        let size = self.size;
        // Lower factor, by rows.
        let mut factor = vec![0.0; size * size];
        for i in 0..size {
            for j in 0..=i {
                let mut sum = self.values[j * size + i];
                if i == j && i + 1 < size {
                    sum += penalty * self.n as f64;
                }
                let (left, right) = (&factor[i * size..i * size + j], &factor[j * size..j * size + j]);
                sum -= left.iter().zip(right).map(|(a, b)| a * b).sum::<f64>();
                factor[i * size + j] = if i == j {
                    if sum <= 1e-9 {
                        return None;
                    }
                    sum.sqrt()
                } else {
                    sum / factor[j * size + j]
                };
            }
        }
        let mut solution = moment.to_vec();
        for i in 0..size {
            let known: f64 = factor[i * size..i * size + i].iter().zip(&solution).map(|(a, b)| a * b).sum();
            solution[i] = (solution[i] - known) / factor[i * size + i];
        }
        for i in (0..size).rev() {
            let known: f64 = (i + 1..size).map(|j| factor[j * size + i] * solution[j]).sum();
            solution[i] = (solution[i] - known) / factor[i * size + i];
        }
        solution.iter().all(|v| v.is_finite()).then_some(solution)
    }
}

/// Several targets that share their rows but not what is missing: rows with the same targets known
/// are summed up once for all of these.
pub(crate) struct Equations<const TARGETS: usize> {
    size: usize,
    grams: std::collections::BTreeMap<u32, Gram>,
    moments: Vec<Vec<f64>>,
}

impl<const TARGETS: usize> Equations<TARGETS> {
    pub(crate) fn new(size: usize) -> Self {
        Self { size, grams: std::collections::BTreeMap::new(), moments: vec![vec![0.0; size]; TARGETS] }
    }

    /// Adds a row and what is known of its targets.
    pub(crate) fn add(&mut self, row: &[f64], targets: [Option<f64>; TARGETS]) {
        let mut known = 0;
        for (index, (target, moment)) in targets.into_iter().zip(&mut self.moments).enumerate() {
            if let Some(target) = target {
                known |= 1 << index;
                moment.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * target);
            }
        }
        if known != 0 {
            self.grams.entry(known).or_insert_with(|| Gram::new(self.size)).add(row);
        }
    }

    /// The equations of one target.
    pub(crate) fn of(&mut self, target: usize) -> (Gram, &[f64]) {
        let mut gram = Gram::new(self.size);
        let known = self.grams.iter_mut().filter(|(known, _)| (**known >> target) & 1 == 1);
        known.for_each(|(_, part)| gram.merge(part));
        (gram, &self.moments[target])
    }
}

pub(crate) fn dot(row: &[f64], coefficients: &[f64]) -> f64 {
    row.iter().zip(coefficients).map(|(value, coefficient)| value * coefficient).sum()
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn what_made_the_targets_is_found_whatever_is_missing() {
        let mut rng = StdRng::seed_from_u64(3);
        let truth = [[1.5, -2.0, 0.25, 7.0], [0.0, 3.0, -1.0, -2.0]];
        let mut equations = Equations::<2>::new(4);
        for _ in 0..301 {
            let row = [rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0), 1.0];
            let targets = truth.map(|coefficients| rng.random_bool(0.7).then(|| dot(&row, &coefficients)));
            equations.add(&row, targets);
        }
        for (target, expected) in truth.into_iter().enumerate() {
            let (mut gram, moment) = equations.of(target);
            assert!(gram.n < 301);
            let found = gram.solve(moment, 0.0).unwrap();
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-8), "{found:?}");
            let shrunk = gram.solve(moment, 10.0).unwrap();
            assert!(shrunk[1].abs() < expected[1].abs() / 2.0, "a penalty shrinks: {shrunk:?}");
            assert!((shrunk[3] - expected[3]).abs() < 0.6, "the constant has none: {shrunk:?}");
        }
    }

    #[test]
    fn columns_that_say_the_same_need_a_penalty() {
        let mut gram = Gram::new(3);
        for i in 0..20 {
            let x = f64::from(i);
            gram.add(&[x, x, 1.0]);
        }
        assert_eq!(gram.solve(&[1.0, 1.0, 1.0], 0.0), None);
        assert!(gram.solve(&[1.0, 1.0, 1.0], 0.1).is_some());
    }
}
