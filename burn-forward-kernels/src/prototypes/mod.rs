//! Scores of rows against representatives that are rows themselves: `s_ik = <h_i, h_(N - C + k)> / T`.
//!
//! Burn would copy the representatives from the rows, multiply, and add two gradients of the size of the rows. On flex, this
//! crate needs one pass over the rows forward and one backward. Burn's own operations are used on other backends, and for
//! number types other than single precision.

#[cfg(feature = "flex")]
mod flex;

use burn::tensor::Tensor;
#[cfg(feature = "flex")]
use burn::{backend::Dispatch, tensor::DType};

#[cfg(feature = "flex")]
use self::flex::LastRowScores;
#[cfg(feature = "flex")]
use crate::device::is_flex;

/// `<h_i, r_k> / temperature`, where the representatives are the last `classes` rows of `h` (for example, those of virtual
/// nodes), or all rows if there are fewer. The last rows get gradients in both roles.
///
/// # Shapes
/// - `h`: `[N, d]`; returns `[N, C]`.
pub fn scores_of_last_rows(h: Tensor<2>, classes: usize, temperature: f64) -> Tensor<2> {
    let [rows, _] = h.dims();
    let last = classes.min(rows);
    #[cfg(feature = "flex")]
    if h.dtype() == DType::F32 && is_flex(&h.device()) {
        let scale = (1.0 / temperature) as f32;
        return Tensor::from_dispatch(<Dispatch as LastRowScores>::last_row_scores(h.into_dispatch(), last, scale));
    }
    let representatives = h.clone().narrow(0, rows - last, last);
    h.matmul(representatives.transpose()) / temperature
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn scores_of_the_last_rows_are_those_of_a_copy_of_them() {
        let devices = [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()];
        for (device, rows, classes) in devices.iter().flat_map(|d| [(d, 700, 3), (d, 3, 3), (d, 9, 1)]) {
            let random = |shape| Tensor::<2>::random(shape, burn::tensor::Distribution::Default, device);
            let (h, weights) = (random([rows, 13]).require_grad(), random([rows, classes]));
            let ours = scores_of_last_rows(h.clone(), classes, 0.7);
            let theirs = h.clone().matmul(h.clone().narrow(0, rows - classes, classes).transpose()) / 0.7;
            let gradient = |s: &Tensor<2>| h.grad(&(s.clone().square() * weights.clone()).sum().backward()).unwrap();
            let pairs = [(gradient(&ours), gradient(&theirs)), (ours.inner(), theirs.inner())];
            for (ours, theirs) in pairs {
                let [ours, theirs] = [ours, theirs].map(|t| t.into_data().iter::<f32>().collect::<Vec<_>>());
                for (a, b) in ours.iter().zip(&theirs) {
                    assert!((a - b).abs() < 1e-4 * b.abs().max(1.0), "{rows} rows, {classes} classes: {a}, not {b}");
                }
            }
        }
    }
}
