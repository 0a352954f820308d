//! How a candidate label enters a network whose goodness depends on it.

use burn::backend::DispatchDevice;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::{Error, require};

/// Label injection for goodness-based rules.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LabelInput {
    /// The first `C` input features are overwritten by `strength * one_hot(label)` (Hinton 2022). The neutral label is
    /// `strength/C` in each of them.
    Overlay {
        /// On the scale of the data: 1 for inputs in `[0, 1]`; default 1.
        #[serde(default = "overlay_strength")]
        #[cfg_attr(feature = "config", schemars(range(min = 1e-6, max = 1e6)))]
        strength: f64,
    },
    /// Every block gets `one_hot(label) V_l` added to its first pre-activation, `V_l` `[C, d_l]` learned and drawn from
    /// `N(0, 1)`; the input is left alone. The neutral label is the mean row of `V_l`.
    PerLayer,
}

fn overlay_strength() -> f64 {
    1.0
}

impl Default for LabelInput {
    fn default() -> Self {
        Self::Overlay { strength: overlay_strength() }
    }
}

/// Checks that there is a label for every row, and that every label is a class; `place` is who asks.
///
/// The labels themselves are looked at where they lie in the program's own memory (flex, ndarray): elsewhere it would have
/// the program wait for the device.
///
/// # Shapes
/// - `labels`: `[B]`; `rows` and `classes` are those of the class scores `[B, C]`.
///
/// # Panics
/// If they do not fit.
pub(crate) fn check(place: &'static str, labels: &Tensor<1, Int>, [rows, classes]: [usize; 2]) {
    let [count] = labels.dims();
    require(count == rows, || Error::argument(place, "number of labels", count, format!("{rows}, one per row")));
    if on_host(&labels.device()) {
        check_values(place, &labels.to_data().iter::<i64>().collect::<Vec<_>>(), classes);
    }
}

/// As [`check`], of labels in the program's memory.
pub(crate) fn check_values(place: &'static str, labels: &[i64], classes: usize) {
    let wrong = labels.iter().enumerate().find(|(_, label)| !(0..classes as i64).contains(label));
    if let Some((row, label)) = wrong {
        require(false, || {
            let needed = format!("a class from 0 to {}", classes.saturating_sub(1));
            Error::argument(place, format!("label of row {row}"), label, needed)
        });
    }
}

/// Whether tensors of a device lie in the program's own memory.
fn on_host(device: &Device) -> bool {
    match device.clone().inner().as_dispatch() {
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => true,
        #[cfg(feature = "ndarray")]
        DispatchDevice::NdArray(_) => true,
        #[allow(unreachable_patterns, reason = "which there are depends on the backends that are compiled in")]
        _ => false,
    }
}

/// One-hot rows `[B, C]` of class indices `[B]`.
///
/// # Panics
/// If a label is no class.
pub fn one_hot(labels: &Tensor<1, Int>, classes: usize) -> Tensor<2> {
    let [rows] = labels.dims();
    check("one_hot", labels, [rows, classes]);
    match classes {
        // Burn's has at least two.
        1 => Tensor::ones([rows, 1], &labels.device()),
        _ => labels.clone().one_hot::<2>(classes).float(),
    }
}

/// Checks that something is left of `features` after an overlay of `classes`.
fn check_width(place: &'static str, features: usize, classes: usize) {
    require(features > classes, || {
        let needed = format!("more than {classes}, the classes whose labels overwrite the first of them");
        Error::argument(place, "number of features", features, needed)
    });
}

/// Rows with the first `C` features set to zero, ready for an overlay to be added.
///
/// # Shapes
/// - `features`: `[B, d]`, `d > C`.
///
/// # Panics
/// If `d <= C`: nothing would be left of the input.
pub fn clear_overlay(features: Tensor<2>, classes: usize) -> Tensor<2> {
    let [rows, d] = features.dims();
    check_width("clear_overlay", d, classes);
    let zeros = Tensor::zeros([rows, classes], &features.device());
    Tensor::cat(vec![zeros, features.slice([0..rows, classes..d])], 1)
}

/// Overwrites the first `C` features of every row by a row of `overlay`.
///
/// # Shapes
/// - `features`: `[B, d]`, `d > C`; `overlay`: `[B, C]`; returns `[B, d]`.
///
/// # Panics
/// If `d <= C`, since nothing would be left of the input, or with other numbers of rows.
pub fn overlay(features: Tensor<2>, overlay: Tensor<2>) -> Tensor<2> {
    let [rows, d] = features.dims();
    let [labels, classes] = overlay.dims();
    require(rows == labels, || {
        Error::argument("overlay", "number of rows of the overlay", labels, format!("{rows}, as of the features"))
    });
    check_width("overlay", d, classes);
    Tensor::cat(vec![overlay, features.slice([0..rows, classes..d])], 1)
}

/// What distinguishes the `C` candidate labels at the input: rows `strength * e_c` padded to `width` features.
///
/// # Shapes
/// - returns `[C, width]`, `width > C`.
///
/// # Panics
/// If `width <= C`.
pub fn overlay_candidates(classes: usize, width: usize, strength: f64, device: &Device) -> Tensor<2> {
    check_width("overlay_candidates", width, classes);
    let eye = Tensor::<2>::eye(classes, device) * strength;
    Tensor::cat(vec![eye, Tensor::zeros([classes, width - classes], device)], 1)
}

/// Every row once with each of the `C` candidate labels in its first features, the candidates of a row side by side.
///
/// # Shapes
/// - `features`: `[B, d]`, `d > C`; returns `[B C, d]`.
///
/// # Panics
/// If `d <= C`.
pub fn with_every_label(features: Tensor<2>, classes: usize) -> Tensor<2> {
    let [rows, width] = features.dims();
    let labels = overlay_candidates(classes, width, 1.0, &features.device());
    let cleared = clear_overlay(features, classes).reshape([rows, 1, width]);
    (cleared + labels.reshape([1, classes, width])).reshape([rows * classes, width])
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

    #[test]
    fn every_label_is_an_overlay_of_every_row() {
        let device = Device::flex();
        let x = Tensor::<2>::from_data([[5.0, 6.0, 7.0], [8.0, 9.0, 1.0]], &device);
        let got: Vec<f32> = with_every_label(x, 2).into_data().try_to_vec().unwrap();
        assert_eq!(got, [1.0, 0.0, 7.0, 0.0, 1.0, 7.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0]);
    }
}
