//! How a candidate label enters a network whose goodness depends on it.

use burn::tensor::{Device, Int, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Label injection for goodness-based rules.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LabelInput {
    /// The first `C` input features are overwritten by `strength * one_hot(label)` (Hinton 2022). The neutral label is
    /// `strength/C` in each of them.
    Overlay {
        /// On the scale of the data: 1 for inputs in `[0, 1]`; default 1.
        #[serde(default = "one")]
        #[schemars(range(min = 1e-6, max = 1e6))]
        strength: f64,
    },
    /// Every block gets `one_hot(label) V_l` added to its first pre-activation, `V_l` `[C, d_l]` learned and drawn from
    /// `N(0, 1)`; the input is left alone. The neutral label is the mean row of `V_l`.
    PerLayer,
}

fn one() -> f64 {
    1.0
}

impl Default for LabelInput {
    fn default() -> Self {
        Self::Overlay { strength: 1.0 }
    }
}

/// One-hot rows `[B, C]` of class indices `[B]`.
pub fn one_hot(labels: &Tensor<1, Int>, classes: usize) -> Tensor<2> {
    labels.clone().one_hot::<2>(classes).float()
}

/// Rows with the first `C` features set to zero, ready for an overlay to be added.
///
/// # Shapes
/// - `features`: `[B, d]`, `d >= C`.
pub fn clear_overlay(features: Tensor<2>, classes: usize) -> Tensor<2> {
    let [rows, d] = features.dims();
    let device = features.device();
    let zeros = Tensor::zeros([rows, classes], &device);
    if d == classes {
        return zeros;
    }
    Tensor::cat(vec![zeros, features.slice([0..rows, classes..d])], 1)
}

/// Overwrites the first `C` features of every row by a row of `overlay` `[B, C]`.
pub fn overlay(features: Tensor<2>, overlay: Tensor<2>) -> Tensor<2> {
    let [rows, d] = features.dims();
    let [_, classes] = overlay.dims();
    if d == classes {
        return overlay;
    }
    Tensor::cat(vec![overlay, features.slice([0..rows, classes..d])], 1)
}

/// What distinguishes the `C` candidate labels at the input: rows `strength * e_c` padded to `width` features.
///
/// # Shapes
/// - returns `[C, width]`
pub fn overlay_candidates(classes: usize, width: usize, strength: f64, device: &Device) -> Tensor<2> {
    let eye = Tensor::<2>::eye(classes, device) * strength;
    if width == classes {
        return eye;
    }
    Tensor::cat(vec![eye, Tensor::zeros([classes, width - classes], device)], 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlay_replaces_only_the_first_features() {
        let device = Device::flex();
        let x = Tensor::<2>::from_data([[5.0, 6.0, 7.0], [8.0, 9.0, 1.0]], &device);
        let y = one_hot(&Tensor::from_data([1, 0], &device), 2) * 3.0;
        let got: Vec<f32> = overlay(x.clone(), y).into_data().try_to_vec().unwrap();
        assert_eq!(got, [0.0, 3.0, 7.0, 3.0, 0.0, 1.0]);
        let via = clear_overlay(x, 2).slice([0..1, 0..3]) + overlay_candidates(2, 3, 3.0, &device).slice([1..2, 0..3]);
        assert_eq!(via.into_data().try_to_vec::<f32>().unwrap(), [0.0, 3.0, 7.0]);
    }
}
