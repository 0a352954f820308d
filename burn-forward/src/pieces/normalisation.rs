//! Normalisers `N` between layers, which remove the goodness of one block from the input of the next.
//!
//! Without a normaliser, a block trained by goodness can read the answer from the length of its input and learn nothing.
//! Normalisers have no parameters, since a learnable scale would restore the length.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// A normaliser of rows `a` `[B, d]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Normalisation {
    /// `a`, unchanged.
    #[default]
    None,
    /// `a / (1e-8 + sqrt(mean_j a_j^2))`: mean square 1 per feature. Hinton's choice for Forward-Forward.
    Rms,
    /// `a / (1e-4 + |a|)`: length 1.
    L2,
    /// `(a - mean) / sqrt(var + 1e-5)` without a learnable scale or shift.
    LayerNorm,
}

/// Avoids division by zero, with the value of the recipes that use each normaliser.
const RMS_EPSILON: f64 = 1e-8;
const L2_EPSILON: f64 = 1e-4;
const LAYER_NORM_EPSILON: f64 = 1e-5;

/// The divisor `sqrt(squared) + epsilon`, or infinity for 0: a row without direction stays 0 and gets no gradient. (The
/// gradient of the root at 0 is infinite, and multiplying it by 0 would give NaN.)
fn length<const D: usize>(squared: Tensor<D>, epsilon: f64) -> Tensor<D> {
    let nothing = squared.clone().equal_elem(0.0);
    (squared.clamp_min(f32::MIN_POSITIVE).sqrt() + epsilon).mask_fill(nothing, f32::INFINITY)
}

impl Normalisation {
    /// The name in a config.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Rms => "rms",
            Self::L2 => "l2",
            Self::LayerNorm => "layer-norm",
        }
    }

    /// Applies the normaliser to every row. A row of zeros is unchanged, and no gradient passes through it if the normaliser
    /// needs a direction (`rms`, `l2`).
    ///
    /// # Shapes
    /// - `a`: `[B, d]`
    /// - returns `[B, d]`
    pub fn forward(self, a: Tensor<2>) -> Tensor<2> {
        match self {
            Self::None => a,
            Self::Rms => {
                let divisor = length(a.clone().square().mean_dim(1), RMS_EPSILON);
                a / divisor
            }
            Self::L2 => {
                let divisor = length(a.clone().square().sum_dim(1), L2_EPSILON);
                a / divisor
            }
            Self::LayerNorm => {
                let centred = a.clone() - a.mean_dim(1);
                let variance = centred.clone().square().mean_dim(1);
                centred / (variance + LAYER_NORM_EPSILON).sqrt()
            }
        }
    }

    /// The divisor of rows with a known squared length, for normalisers that only divide; `None` for the others. It is
    /// infinite for a length of 0.
    ///
    /// # Shapes
    /// - `squared_length`: any shape; squared lengths of rows with `d` features.
    pub fn divisor<const D: usize>(self, squared_length: Tensor<D>, d: usize) -> Option<Tensor<D>> {
        match self {
            Self::None => Some(squared_length.ones_like()),
            Self::Rms => Some(length(squared_length / d as f64, RMS_EPSILON)),
            Self::L2 => Some(length(squared_length, L2_EPSILON)),
            Self::LayerNorm => None,
        }
    }

    /// Like [`divisor`](Self::divisor), for one row.
    pub fn divisor_of(self, squared_length: f32, d: f32) -> Option<f32> {
        match self {
            Self::None => Some(1.0),
            Self::Rms => Some((squared_length / d).sqrt() + RMS_EPSILON as f32),
            Self::L2 => Some(squared_length.sqrt() + L2_EPSILON as f32),
            Self::LayerNorm => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tolerance};

    fn rows() -> Tensor<2> {
        Tensor::from_data([[1.0, -2.0, 3.0, 0.5], [0.1, 0.0, 0.2, -0.3]], &Device::flex())
    }

    #[test]
    fn scale_of_the_input_is_removed() {
        for n in [Normalisation::Rms, Normalisation::L2, Normalisation::LayerNorm] {
            let (a, b) = (n.forward(rows() * 100.0), n.forward(rows() * 300.0));
            a.into_data().assert_approx_eq::<f32>(&b.into_data(), Tolerance::absolute(1e-4));
        }
    }

    #[test]
    fn rms_gives_unit_mean_square() {
        let ms = Normalisation::Rms.forward(rows()).square().mean_dim(1);
        ms.into_data().assert_approx_eq::<f32>(
            &Tensor::<2>::ones([2, 1], &Device::flex()).into_data(),
            Tolerance::absolute(1e-5),
        );
    }

    #[test]
    fn by_hand() {
        let x = Tensor::<2>::from_data([[3.0, 4.0]], &Device::flex());
        let l2: Vec<f32> = Normalisation::L2.forward(x.clone()).into_data().try_to_vec().unwrap();
        assert!((l2[0] - 3.0 / 5.0001).abs() < 1e-6 && (l2[1] - 4.0 / 5.0001).abs() < 1e-6);
        let ln: Vec<f32> = Normalisation::LayerNorm.forward(x).into_data().try_to_vec().unwrap();
        assert!((ln[0] + 1.0).abs() < 1e-3 && (ln[1] - 1.0).abs() < 1e-3);
    }

    #[test]
    fn a_row_of_zeros_stays_one_and_hears_no_gradient() {
        for n in [Normalisation::Rms, Normalisation::L2] {
            let device = Device::flex().autodiff();
            let a = Tensor::<2>::from_data([[0.0, 0.0, 0.0], [1.0, -2.0, 0.5]], &device).require_grad();
            let out = n.forward(a.clone());
            let gradients = (out.clone() * Tensor::from_data([[1.0, 2.0, 3.0]], &device)).sum().backward();
            let gradient: Vec<f32> = a.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
            let out: Vec<f32> = out.into_data().try_to_vec().unwrap();
            assert_eq!((&out[..3], &gradient[..3]), (&[0.0; 3][..], &[0.0; 3][..]), "{n:?}");
            assert!(gradient[3..].iter().all(|g| g.is_finite() && *g != 0.0), "{n:?}: {gradient:?}");
        }
    }

    #[test]
    fn divisor_agrees_with_forward() {
        let squared = rows().square().sum_dim(1);
        for n in [Normalisation::None, Normalisation::Rms, Normalisation::L2] {
            let via = rows() / n.divisor(squared.clone(), 4).unwrap();
            via.into_data().assert_approx_eq::<f32>(&n.forward(rows()).into_data(), Tolerance::absolute(1e-5));
        }
        assert!(Normalisation::LayerNorm.divisor(squared, 4).is_none());
    }
}
