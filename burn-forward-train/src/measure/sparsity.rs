//! Sparsity of activities.

use burn::tensor::Tensor;

/// Hoyer sparsity of every row: `(sqrt(n) - |x|_1/|x|_2) / (sqrt(n) - 1)`, which is 1 for a one-hot row and 0 for a
/// constant one (Hoyer 2004). It is undefined for a row of zeros, which gives NaN; means should skip it.
///
/// # Shapes
/// - `x`: `[B, n]`, `n >= 2`; returns `[B]`.
pub fn hoyer(x: Tensor<2>) -> Tensor<1> {
    let [rows, n] = x.dims();
    let root = (n as f64).sqrt();
    let l1 = x.clone().abs().sum_dim(1).reshape([rows]);
    let l2 = x.square().sum_dim(1).sqrt().reshape([rows]);
    (l1 / l2).neg().add_scalar(root).div_scalar((root - 1.0).max(1e-12))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn one_hot_constant_scale_and_zero() {
        let x = Tensor::<2>::from_data(
            [[0.0, 3.0, 0.0, 0.0], [2.0, 2.0, 2.0, 2.0], [1.0, 2.0, 0.0, 1.0], [10.0, 20.0, 0.0, 10.0], [0.0; 4]],
            &Device::flex(),
        );
        let s: Vec<f32> = hoyer(x).into_data().try_to_vec().unwrap();
        assert!((s[0] - 1.0).abs() < 1e-6 && s[1].abs() < 1e-6 && (s[2] - s[3]).abs() < 1e-6 && s[4].is_nan(), "{s:?}");
    }
}
