//! Losses of pairs of goodness values, which raise that of positive samples and lower that of negative ones.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, log_softmax};
use serde::{Deserialize, Serialize};

use crate::pieces::label;
use crate::{Error, require};

/// The boundary between positive and negative goodness in a logistic loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Threshold {
    /// A value that depends on the layer.
    Named(ThresholdName),
    /// A fixed value, on the scale of the goodness function.
    Value(f64),
}

/// Named thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ThresholdName {
    /// The number of units, Hinton's choice for `sum-squares`. Only the values of `sum-squares` are on this scale.
    Width,
    /// The goodness at which the mean square of the activities is 1; for `sum-squares`, this is the number of units.
    UnitScale,
}

impl Threshold {
    /// The number of units.
    pub const WIDTH: Self = Self::Named(ThresholdName::Width);
    /// The goodness at which the mean square of the activities is 1.
    pub const UNIT_SCALE: Self = Self::Named(ThresholdName::UnitScale);

    /// The value for a layer whose goodness is `unit` if the mean square of its activities is 1
    /// ([`Goodness::at_unit_scale`](crate::pieces::goodness::Goodness::at_unit_scale)).
    pub fn of(self, unit: f64) -> f64 {
        match self {
            Self::Named(ThresholdName::Width | ThresholdName::UnitScale) => unit,
            Self::Value(v) => v,
        }
    }
}

impl Default for Threshold {
    fn default() -> Self {
        Self::UNIT_SCALE
    }
}

/// A loss of the goodness `g+` of positive and `g-` of negative samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PairLoss {
    /// `softplus(-s (g+ - theta)) + softplus(s (g- - theta))`: compares each goodness with a threshold (Hinton 2022).
    Logistic {
        /// The threshold `theta`: `"unit-scale"` (default), `"width"` or a number.
        #[serde(default)]
        threshold: Threshold,
        /// The scale `s` of the logit; default 1.
        #[serde(default = "logistic_scale")]
        #[cfg_attr(feature = "config", schemars(range(min = 1e-6, max = 1e6)))]
        scale: f64,
    },
    /// `softplus(-alpha (g+ - g-))`: compares the two goodness values of the same sample, without a threshold (Lee and Song
    /// 2023, arXiv 2303.08418).
    Symba {
        /// Scale `alpha` of the difference; default 4.
        #[serde(default = "symba_alpha")]
        #[cfg_attr(feature = "config", schemars(range(min = 1e-6, max = 1e6)))]
        alpha: f64,
    },
}

fn logistic_scale() -> f64 {
    1.0
}

fn symba_alpha() -> f64 {
    4.0
}

impl Default for PairLoss {
    fn default() -> Self {
        Self::Logistic { threshold: Threshold::default(), scale: logistic_scale() }
    }
}

/// `softplus(u) = log(1 + e^u)`, stable for large `|u|`.
fn softplus<const D: usize>(u: Tensor<D>) -> Tensor<D> {
    log_sigmoid(u.neg()).neg()
}

impl PairLoss {
    /// The mean loss over pairs.
    ///
    /// # Shapes
    /// - `positive`, `negative`: goodness `[B]`, row `b` of both from the same sample.
    /// - `unit`: goodness of a layer whose activities have the mean square 1, for a named threshold; for `sum-squares`, this
    ///   is the number of units.
    /// - returns `[1]`.
    ///
    /// # Panics
    /// If the numbers of positives and negatives differ, or are 0.
    pub fn forward(self, positive: Tensor<1>, negative: Tensor<1>, unit: f64) -> Tensor<1> {
        let ([rows], [others]) = (positive.dims(), negative.dims());
        require(rows == others && rows > 0, || {
            let given = format!("{rows} positive and {others} negative");
            Error::argument("PairLoss", "number of goodness values", given, "the same number of both, >= 1")
        });
        match self {
            Self::Logistic { threshold, scale } => {
                let theta = threshold.of(unit);
                (softplus((positive - theta) * -scale) + softplus((negative - theta) * scale)).mean()
            }
            Self::Symba { alpha } => softplus((positive - negative) * -alpha).mean(),
        }
    }
}

/// Cross-entropy of scores `G` `[B, C]` against classes: mean of `-G_y + log sum_c exp(G_c)`; gradient
/// `(softmax(G) - e_y)/B`.
///
/// # Shapes
/// - `scores`: `[B, C]`; `targets`: `[B]`, each in `0..C`; returns `[1]`.
///
/// # Panics
/// If the number of targets differs from the number of rows, or a target is not a class (checked on the CPU only).
pub fn cross_entropy(scores: Tensor<2>, targets: Tensor<1, burn::tensor::Int>) -> Tensor<1> {
    label::check("cross_entropy", &targets, scores.dims());
    let [rows, _] = scores.dims();
    log_softmax(scores, 1).gather(1, targets.reshape([rows, 1])).mean().neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Int};

    fn vector(v: &[f32], device: &Device) -> Tensor<1> {
        Tensor::from_floats(v, device)
    }

    fn sigmoid(u: f64) -> f64 {
        1.0 / (1.0 + (-u).exp())
    }

    #[test]
    fn gradients_are_the_closed_forms() {
        let device = Device::flex().autodiff();
        let (gp, gn) = ([3.0f32, 0.5], [1.0f32, 2.5]);
        type Closed = Box<dyn Fn(f64, f64) -> (f64, f64)>;
        let cases: [(PairLoss, Closed); 2] = [
            (
                PairLoss::Logistic { threshold: Threshold::Value(2.0), scale: 1.5 },
                Box::new(|p, n| (-1.5 * sigmoid(-1.5 * (p - 2.0)), 1.5 * sigmoid(1.5 * (n - 2.0)))),
            ),
            (
                PairLoss::Symba { alpha: 4.0 },
                Box::new(|p, n| (-4.0 * sigmoid(-4.0 * (p - n)), 4.0 * sigmoid(-4.0 * (p - n)))),
            ),
        ];
        for (loss, closed) in cases {
            let (p, n) = (vector(&gp, &device).require_grad(), vector(&gn, &device).require_grad());
            let grads = loss.forward(p.clone(), n.clone(), 7.0).backward();
            let dp: Vec<f32> = p.grad(&grads).unwrap().into_data().try_to_vec().unwrap();
            let dn: Vec<f32> = n.grad(&grads).unwrap().into_data().try_to_vec().unwrap();
            for b in 0..2 {
                let (wp, wn) = closed(gp[b] as f64, gn[b] as f64);
                assert!((dp[b] as f64 - wp / 2.0).abs() < 1e-5, "{loss:?} + {} {}", dp[b], wp / 2.0);
                assert!((dn[b] as f64 - wn / 2.0).abs() < 1e-5, "{loss:?} - {} {}", dn[b], wn / 2.0);
            }
        }
    }

    #[test]
    fn sum_with_width_threshold_is_mean_with_threshold_one() {
        let device = Device::flex();
        let d = 8.0;
        let (p, n) = (vector(&[9.0, 3.0], &device), vector(&[2.0, 11.0], &device));
        let sum = PairLoss::Logistic { threshold: Threshold::default(), scale: 1.0 }.forward(p.clone(), n.clone(), d);
        let mean = PairLoss::Logistic { threshold: Threshold::Value(1.0), scale: d }.forward(p / d, n / d, 1.0);
        assert!((sum.into_scalar::<f64>() - mean.into_scalar::<f64>()).abs() < 1e-5);
    }

    #[test]
    fn symba_ignores_a_common_shift() {
        let device = Device::flex();
        let (p, n) = (vector(&[0.3, 1.0], &device), vector(&[0.1, 1.4], &device));
        let loss = PairLoss::Symba { alpha: 4.0 };
        let a = loss.forward(p.clone(), n.clone(), 1.0).into_scalar::<f64>();
        let b = loss.forward(p + 5.0, n + 5.0, 1.0).into_scalar::<f64>();
        assert!((a - b).abs() < 1e-5);
    }

    #[test]
    fn cross_entropy_is_its_margin_form() {
        let device = Device::flex();
        let (scores, targets) = ([[1.0, -0.5, 2.0], [0.2, 0.9, -3.0], [30.0, 28.0, 29.0]], [2, 0, 1]);
        let got = cross_entropy(Tensor::from_data(scores, &device), Tensor::<1, Int>::from_data(targets, &device));
        // The "full comparison" of Mono-Forward's second version: log(1 + sum_{c != y} exp(G_c - G_y)).
        let margin = |(row, y): ([f64; 3], usize)| row.iter().map(|score| (score - row[y]).exp()).sum::<f64>().ln();
        let expected = scores.into_iter().zip(targets.map(|y| y as usize)).map(margin).sum::<f64>() / 3.0;
        let got = got.into_scalar::<f64>();
        assert!((got - expected).abs() < 1e-5, "{got}, expected {expected}");
    }

    #[test]
    fn stable_far_from_zero() {
        let device = Device::flex();
        let loss = PairLoss::default().forward(vector(&[-1e4], &device), vector(&[1e4], &device), 10.0);
        let v = loss.into_scalar::<f64>();
        assert!(v.is_finite() && (v - 20_000.0).abs() < 1.0, "{v}");
    }
}
