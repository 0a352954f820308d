//! Ways of adding a candidate label to the input of a network whose goodness depends on it.

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
        /// Strength, on the scale of the data: 1 (the default) suits inputs in `[0, 1]`.
        #[serde(default = "overlay_strength")]
        #[cfg_attr(feature = "config", schemars(range(min = 1e-6, max = 1e6)))]
        strength: f64,
    },
    /// `one_hot(label) V_l` is added to the first pre-activation of every block. `V_l` `[C, d_l]` is learned and initially
    /// drawn from `N(0, 1)`; the input is not changed. The neutral label is the mean row of `V_l`.
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

/// Checks that there is a label for every row and that every label is a class; `place` names the caller in the error.
///
/// The values of the labels are checked only if they are in the memory of the process (flex, ndarray), since otherwise the
/// program would have to wait for the device.
///
/// # Shapes
/// - `labels`: `[B]`; `rows` and `classes` are those of the class scores `[B, C]`.
///
/// # Panics
/// If they do not match.
pub(crate) fn check(place: &'static str, labels: &Tensor<1, Int>, [rows, classes]: [usize; 2]) {
    let [count] = labels.dims();
    require(count == rows, || Error::argument(place, "number of labels", count, format!("{rows}, one per row")));
    if on_host(&labels.device()) {
        check_values(place, &labels.to_data().iter::<i64>().collect::<Vec<_>>(), classes);
    }
}

/// Like [`check`], for labels in the memory of the process.
pub(crate) fn check_values(place: &'static str, labels: &[i64], classes: usize) {
    let wrong = labels.iter().enumerate().find(|(_, label)| !(0..classes as i64).contains(label));
    if let Some((row, label)) = wrong {
        require(false, || {
            let needed = format!("a class from 0 to {}", classes.saturating_sub(1));
            Error::argument(place, format!("label of row {row}"), label, needed)
        });
    }
}

/// Whether the tensors of a device are in the memory of the process.
fn on_host(device: &Device) -> bool {
    match device.clone().inner().as_dispatch() {
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => true,
        #[cfg(feature = "ndarray")]
        DispatchDevice::NdArray(_) => true,
        #[allow(unreachable_patterns, reason = "the variants depend on the backends that are compiled in")]
        _ => false,
    }
}

/// One-hot rows `[B, C]` of class indices `[B]`.
///
/// # Panics
/// If a label is not a class.
pub fn one_hot(labels: &Tensor<1, Int>, classes: usize) -> Tensor<2> {
    let [rows] = labels.dims();
    check("one_hot", labels, [rows, classes]);
    match classes {
        // Burn's one-hot encoding requires at least two classes.
        1 => Tensor::ones([rows, 1], &labels.device()),
        _ => labels.clone().one_hot::<2>(classes).float(),
    }
}

/// Checks that some of the `features` remain after an overlay of `classes` features.
fn check_width(place: &'static str, features: usize, classes: usize) {
    require(features > classes, || {
        let needed = format!("more than {classes}, the number of classes, whose labels overwrite the first features");
        Error::argument(place, "number of features", features, needed)
    });
}

/// Rows with the first `C` features set to zero, to which an overlay can be added.
///
/// # Shapes
/// - `features`: `[B, d]`, `d > C`.
///
/// # Panics
/// If `d <= C`, since no input would remain.
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
/// If `d <= C`, since no input would remain, or if the numbers of rows differ.
pub fn overlay(features: Tensor<2>, overlay: Tensor<2>) -> Tensor<2> {
    let [rows, d] = features.dims();
    let [labels, classes] = overlay.dims();
    require(rows == labels, || {
        Error::argument("overlay", "number of rows of the overlay", labels, format!("{rows}, that of the features"))
    });
    check_width("overlay", d, classes);
    Tensor::cat(vec![overlay, features.slice([0..rows, classes..d])], 1)
}

/// The difference between the `C` candidate labels at the input: rows `strength * e_c`, padded to `width` features.
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

/// Every row with each of the `C` candidate labels in its first features; the candidates of a row are adjacent.
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

/// Number of rows whose class has the highest score, `[1]`. It is a count because fractions of batches do not add up exactly.
pub(crate) fn correct(logits: &Tensor<2>, targets: &Tensor<1, Int>) -> Tensor<1, Int> {
    let [rows, _] = logits.dims();
    logits.clone().argmax(1).reshape([rows]).equal(targets.clone()).int().sum()
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
