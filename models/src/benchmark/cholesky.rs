//! Inverses of positive definite matrices.

/// The inverse of `matrix` + `penalty` × identity by Cholesky's decomposition; nothing when that is
/// not positive definite.
#[allow(clippy::cast_possible_truncation)] // the products it goes into are in single precision
pub(crate) fn inverse(mut matrix: Vec<f64>, size: usize, penalty: f64) -> Option<Vec<f32>> {
    for at in 0..size {
        matrix[at * size + at] += penalty;
    }
    for row in 0..size {
        for column in 0..=row {
            let (left, right) = (&matrix[row * size..][..column], &matrix[column * size..][..column]);
            let rest = matrix[row * size + column] - dot(left, right);
            matrix[row * size + column] = match () {
                () if row != column => rest / matrix[column * size + column],
                () if rest > 0.0 => rest.sqrt(),
                () => return None,
            };
        }
    }
    // The inverse of the factor, column after column.
    let mut lower = vec![0.0f64; size * size];
    for column in 0..size {
        lower[column * size + column] = 1.0 / matrix[column * size + column];
        for row in column + 1..size {
            let factor = &matrix[row * size + column..][..row - column];
            let known = dot(factor, &lower[column * size + column..][..row - column]);
            lower[column * size + row] = -known / matrix[row * size + row];
        }
    }
    let mut inverse = vec![0.0f32; size * size];
    for row in 0..size {
        for column in 0..=row {
            let value = dot(&lower[row * size + row..][..size - row], &lower[column * size + row..][..size - row]);
            inverse[row * size + column] = value as f32;
            inverse[column * size + row] = value as f32;
        }
    }
    Some(inverse)
}

/// Four sums side by side, which the processor adds at once.
fn dot(left: &[f64], right: &[f64]) -> f64 {
    let (mut sums, whole) = ([0.0f64; 4], left.len() / 4 * 4);
    for (a, b) in left[..whole].chunks_exact(4).zip(right[..whole].chunks_exact(4)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f64 = left[whole..].iter().zip(&right[whole..]).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // [[4, 2], [2, 3]] has the determinant 8.
        let found = inverse(vec![3.5, 2.0, 2.0, 2.5], 2, 0.5).unwrap();
        for (found, expected) in found.iter().zip([0.375, -0.25, -0.25, 0.5]) {
            assert!((found - expected).abs() < 1e-6);
        }
        assert!(inverse(vec![1.0, 2.0, 2.0, 1.0], 2, 0.0).is_none());
    }

    #[test]
    fn undoes_its_matrix() {
        let size = 11;
        let value = |row: usize, column: usize| 1.0 / (1.0 + row.abs_diff(column) as f64);
        let matrix: Vec<f64> = (0..size * size).map(|at| value(at / size, at % size)).collect();
        let found = inverse(matrix.clone(), size, 0.1).unwrap();
        let penalised = |row, k| matrix[row * size + k] + if row == k { 0.1 } else { 0.0 };
        for row in 0..size {
            for column in 0..size {
                let sum: f64 = (0..size).map(|k| penalised(row, k) * f64::from(found[k * size + column])).sum();
                assert!((sum - f64::from(u8::from(row == column))).abs() < 1e-5);
            }
        }
    }
}
