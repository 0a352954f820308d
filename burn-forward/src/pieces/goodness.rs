//! Goodness functions: one number per row that measures how strongly a layer responds to its input.
//!
//! Sum and mean differ by the factor `d`, so a threshold for one does not suit the other: `SumSquares` with threshold `d` and
//! scale 1 equals `MeanSquares` with threshold 1 and scale `d`. The gradient of a squared goodness vanishes on a unit that is
//! silent for every sample; [peer normalisation](crate::pieces::peer_norm) is the remedy.

use std::f64::consts::PI;

use burn::tensor::{Device, Tensor};
use burn_forward_kernels::relu::relu;
use serde::{Deserialize, Serialize};

use crate::init::Init;
use crate::random::Seed;
use crate::{Error, Result, require};

/// A goodness function `g` of the activities `h` `[B, d]` of a layer.
///
/// | name | `g(h)` | `dg/dh_i` | at initialisation (`z ~ N(0,1)`, relu) | at mean square 1 |
/// |---|---|---|---|---|
/// | `sum-squares` | `sum h^2` | `2 h_i` | `d/2` | `d` |
/// | `mean-squares` | `sum h^2 / d` | `2 h_i / d` | 0.5 | 1 |
/// | `negative-sum-squares` | `-sum h^2` | `-2 h_i` | `-d/2` | `-d` |
/// | `length` | `\|h\|` | `h_i/\|h\|` | `sqrt(d/2)` | `sqrt(d)` |
/// | `mean` | `sum h / d` | `1/d` | 0.399 | 0.564 |
/// | `top-k` | mean of the `k` largest, `k = max(5, 0.02 d)` | `1/k` on those | 2.42 (d = 2000) | 3.42 (d = 2000) |
/// | `entmax` | `sum_i pi_i h_i^2`, `pi = entmax_1.5(h)` | below | 10 (d = 2000) | 21 (d = 2000) |
/// | `burst` | excess kurtosis `mean(u^4) - 3`, `u = (h - mean)/std` | below | 2.4 | 2.4 |
///
/// The last column gives the threshold `unit-scale` of a [pair loss](crate::pieces::pair_loss).
///
/// Sources: Hinton 2022 (`sum-squares`, `negative-sum-squares`); Tosato et al. 2023, arXiv 2305.18353 (`length`); Akkus
/// et al. 2026, arXiv 2604.13081 (`top-k`, `entmax`, `burst`); entmax: Peters, Niculae and Martins 2019.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Goodness {
    /// `sum h^2`.
    #[default]
    SumSquares,
    /// `sum h^2 / d`.
    MeanSquares,
    /// `-sum h^2`: positive samples should have low activity.
    NegativeSumSquares,
    /// `|h|`, not squared.
    Length,
    /// `sum h / d`.
    Mean,
    /// Mean of the 2 % largest activities (at least 5).
    TopK,
    /// Squares weighted by the layer's sparse attention over its own units.
    Entmax,
    /// Excess kurtosis: a few units are far above the others. Invariant to the scale of `h`.
    Burst,
}

const EPSILON: f64 = 1e-8;
/// Approximate number of activities to draw for [`Goodness::at_unit_scale`].
const DRAWN: usize = 1 << 16;

impl Goodness {
    /// Goodness of every row. If a value in a row is not finite, neither is the row's goodness.
    ///
    /// # Shapes
    /// - `h`: `[B, d]`
    /// - returns `[B]`
    ///
    /// # Panics
    /// If rows have no features.
    pub fn of(self, h: Tensor<2>) -> Tensor<1> {
        let [rows, d] = h.dims();
        require(d > 0, || Error::argument("Goodness", "number of features of a row", d, ">= 1"));
        let g = match self {
            Self::SumSquares => h.square().sum_dim(1),
            Self::MeanSquares => h.square().mean_dim(1),
            Self::NegativeSumSquares => h.square().sum_dim(1).neg(),
            Self::Length => (h.square().sum_dim(1) + EPSILON * EPSILON).sqrt(),
            Self::Mean => h.mean_dim(1),
            Self::TopK => {
                // Burn sorts NaN to either end, so it may not be among the largest values.
                let finite = (h.clone().detach() * 0.0).sum_dim(1);
                h.topk(top_k(d), 1).mean_dim(1) + finite
            }
            Self::Entmax => entmax_energy(h),
            Self::Burst => burst(h),
        };
        g.reshape([rows])
    }

    /// Goodness of a layer of `d` ReLU units whose mean square is 1, in terms of which thresholds are defined. `top-k`,
    /// `entmax` and `burst` have no closed form for every width; for these it is a mean over rows drawn from a separate
    /// stream, so it is always the same.
    ///
    /// # Errors
    /// [`Error::Argument`] if `d` is 0.
    pub fn at_unit_scale(self, d: usize, device: &Device) -> Result<f64> {
        if d == 0 {
            return Err(Error::argument("Goodness::at_unit_scale", "number of units", d, ">= 1"));
        }
        let units = d as f64;
        Ok(match self {
            Self::SumSquares => units,
            Self::MeanSquares => 1.0,
            Self::NegativeSumSquares => -units,
            Self::Length => units.sqrt(),
            // E relu(z) = 1/sqrt(2 pi), E relu(z)^2 = 1/2.
            Self::Mean => PI.sqrt().recip(),
            Self::TopK | Self::Entmax | Self::Burst => {
                let rows = (DRAWN / d).clamp(1, 64);
                let mut rng = Seed::new(0).stream("goodness", &[units as u64]);
                let z = Init::Normal(2f64.sqrt()).draw([rows, d], &mut rng, &device.clone().inner())?;
                self.of(relu(z)).mean().into_scalar::<f64>()
            }
        })
    }

    /// Slope of this goodness relative to `sum-squares`, for a layer of `d` units with goodness `unit` at mean square 1. The
    /// slope is the change under a common factor of all activities, which is `k unit` for a goodness of degree `k` and `2 d`
    /// for `sum-squares`. A weight that was measured with `sum-squares` keeps its relative strength with another goodness if
    /// it is multiplied by this value.
    pub fn steepness(self, d: usize, unit: f64) -> f64 {
        let degree = match self {
            Self::SumSquares | Self::MeanSquares | Self::NegativeSumSquares | Self::Entmax => 2.0,
            // A common factor does not change the kurtosis; a change in one unit does, as much as for degree 1.
            Self::Length | Self::Mean | Self::TopK | Self::Burst => 1.0,
        };
        degree * unit.abs() / (2.0 * d.max(1) as f64)
    }

    /// Expected value at initialisation for a layer of `d` ReLU units with pre-activations of unit variance.
    pub fn at_init(self, d: usize) -> f64 {
        let d = d as f64;
        match self {
            Self::SumSquares => d / 2.0,
            Self::MeanSquares => 0.5,
            Self::NegativeSumSquares => -d / 2.0,
            Self::Length => (d / 2.0).sqrt(),
            Self::Mean => 0.399,
            Self::TopK => 2.42,
            Self::Entmax => 10.0,
            Self::Burst => 2.41,
        }
    }
}

/// Number of units that `top-k` averages in a layer of `d` units.
fn top_k(d: usize) -> usize {
    ((0.02 * d as f64).floor() as usize).max(5).min(d)
}

/// `kappa - 3` with `kappa = mean(u^4)`; autodiff gives `(4/(d s)) (u_i^3 - mean(u^3) - kappa u_i)`.
fn burst(h: Tensor<2>) -> Tensor<2> {
    let centred = h.clone() - h.mean_dim(1);
    let squares = centred.square();
    let variance = squares.clone().mean_dim(1) + EPSILON;
    squares.square().mean_dim(1) / variance.square() - 3.0
}

/// `sum_i pi_i h_i^2` with `pi = entmax_1.5(h)`.
///
/// Support and threshold of entmax come from a sort, which has no useful gradient. The closed form
/// `dg/dh_i = 2 pi_i h_i + s_i (h_i^2 - sum_j s_j h_j^2 / sum_j s_j)`, `s = sqrt(pi)`, is used instead.
fn entmax_energy(h: Tensor<2>) -> Tensor<2> {
    let fixed = h.clone().detach();
    let pi = entmax15(fixed.clone());
    let squares = fixed.clone().square();
    let value = (pi.clone() * squares.clone()).sum_dim(1);
    let s = pi.clone().sqrt();
    let weighted = (s.clone() * squares.clone()).sum_dim(1) / (s.clone().sum_dim(1) + EPSILON);
    let slope = pi * fixed.clone() * 2.0 + s * (squares - weighted);
    value + (slope * (h - fixed)).sum_dim(1)
}

/// Exact entmax with `alpha = 1.5` for every row of `[B, d]`.
fn entmax15(h: Tensor<2>) -> Tensor<2> {
    let [_, d] = h.dims();
    let device = h.device();
    let half = h / 2.0;
    let v = half.clone() - half.max_dim(1);
    let sorted = v.clone().sort_descending(1);
    let k: Tensor<2> = Tensor::arange(1..d as i64 + 1, &device).float().reshape([1, d]);
    let mean = sorted.clone().cumsum(1) / k.clone();
    let mean_squares = sorted.clone().square().cumsum(1) / k.clone();
    let spread = (mean_squares - mean.clone().square()) * k.clone();
    let delta = ((spread.neg() + 1.0) / k).clamp_min(0.0);
    let tau = mean - delta.sqrt();
    // The largest entry is always in the support, except in rows that are not finite, whose result is NaN whatever the index.
    let support = (tau.clone().lower_equal(sorted).int().sum_dim(1) - 1).clamp_min(0);
    let threshold = tau.gather(1, support);
    (v - threshold).clamp_min(0.0).square()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Goodness; 8] = [
        Goodness::SumSquares,
        Goodness::MeanSquares,
        Goodness::NegativeSumSquares,
        Goodness::Length,
        Goodness::Mean,
        Goodness::TopK,
        Goodness::Entmax,
        Goodness::Burst,
    ];

    fn value(g: Goodness, h: &[f32]) -> f64 {
        let t = Tensor::<1>::from_floats(h, &Device::flex()).reshape([1, h.len()]);
        g.of(t).into_scalar::<f64>()
    }

    #[test]
    fn by_hand() {
        let h = [1.0, 0.0, 2.0, 0.0, 0.0, 3.0];
        for (g, expected) in [
            (Goodness::SumSquares, 14.0),
            (Goodness::MeanSquares, 14.0 / 6.0),
            (Goodness::NegativeSumSquares, -14.0),
            (Goodness::Length, 14f64.sqrt()),
            (Goodness::Mean, 1.0),
            (Goodness::TopK, 6.0 / 5.0),
            // Mean 1, deviations 0 -1 1 -1 -1 2: variance 8/6, fourth moment 20/6.
            (Goodness::Burst, (20.0 / 6.0) / (8.0f64 / 6.0).powi(2) - 3.0),
        ] {
            let got = value(g, &h);
            assert!((got - expected).abs() < 1e-5, "{g:?}: {got}, expected {expected}");
        }
    }

    #[test]
    fn entmax_by_bisection() {
        let h = [0.3f64, 1.7, 1.1, -0.4, 1.6];
        // pi_i = [h_i/2 - tau]_+^2 with sum 1 and tau found by bisection: the definition, not the sort.
        let (mut lo, mut hi) = (-2.0, 2.0);
        for _ in 0..200 {
            let tau = (lo + hi) / 2.0;
            let sum: f64 = h.iter().map(|x| (x / 2.0 - tau).max(0.0).powi(2)).sum();
            if sum > 1.0 { lo = tau } else { hi = tau }
        }
        let expected: f64 = h.iter().map(|x| (x / 2.0 - lo).max(0.0).powi(2) * x * x).sum();
        let got = value(Goodness::Entmax, &h.map(|x| x as f32));
        assert!((got - expected).abs() < 1e-5, "{got} {expected}");
    }

    #[test]
    fn values_at_initialisation() {
        let d = 2000;
        let z: Tensor<2> =
            Init::Normal(1.0).draw([64, d], &mut Seed::new(3).stream("z", &[]), &Device::flex()).unwrap();
        for g in ALL {
            let got = g.of(relu(z.clone())).mean().into_scalar::<f64>();
            let expected = g.at_init(d);
            let tolerance = if g == Goodness::Entmax { 0.2 } else { 0.06 };
            assert!((got / expected - 1.0).abs() < tolerance, "{g:?}: {got}, expected about {expected}");
        }
    }

    #[test]
    fn slopes_are_changes_under_a_common_factor() {
        let (device, d, step) = (Device::flex(), 500, 1e-2);
        let z: Tensor<2> =
            Init::Normal(2f64.sqrt()).draw([64, d], &mut Seed::new(6).stream("z", &[]), &device).unwrap();
        let change = |g: Goodness| {
            let at = |factor: f64| g.of(relu(z.clone()) * factor).mean().into_scalar::<f64>();
            ((at(1.0 + step) - at(1.0 - step)) / (2.0 * step)).abs()
        };
        for g in ALL.into_iter().filter(|g| *g != Goodness::Burst) {
            let (got, expected) =
                (g.steepness(d, g.at_unit_scale(d, &device).unwrap()), change(g) / change(Goodness::SumSquares));
            // The slope of entmax itself changes with the factor.
            let tolerance = if g == Goodness::Entmax { 0.5 } else { 0.05 };
            assert!((got / expected - 1.0).abs() < tolerance, "{g:?}: {got}, expected {expected}");
        }
    }

    /// The definition, evaluated on rows from another stream that are scaled one by one to mean square 1.
    #[test]
    fn values_at_unit_scale() {
        let device = Device::flex();
        for d in [20, 64, 500, 2000] {
            let z: Tensor<2> = Init::Normal(1.0).draw([400, d], &mut Seed::new(5).stream("z", &[]), &device).unwrap();
            let h = relu(z);
            let h = h.clone() / h.square().mean_dim(1).sqrt();
            for g in ALL {
                let expected = g.of(h.clone()).mean().into_scalar::<f64>();
                let got = g.at_unit_scale(d, &device).unwrap();
                // Rows with few units vary, especially before they are scaled.
                let tolerance = 0.15 + 2.0 / (d as f64).sqrt();
                assert!((got / expected - 1.0).abs() < tolerance, "{g:?}, {d} units: {got}, expected about {expected}");
            }
        }
    }

    #[test]
    fn gradients_equal_finite_differences() {
        let h = [0.9f32, 0.2, 1.4, 0.7, 2.1, 0.05, 1.1, 0.33];
        let device = Device::flex().autodiff();
        for g in ALL {
            let x = Tensor::<1>::from_floats(h, &device).reshape([1, h.len()]).require_grad();
            let gradients = g.of(x.clone()).sum().backward();
            let got: Vec<f32> = x.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
            for i in 0..h.len() {
                let at = |e: f32| {
                    let mut moved = h;
                    moved[i] += e;
                    value(g, &moved)
                };
                let expected = (at(1e-2) - at(-1e-2)) / 2e-2;
                assert!(
                    (got[i] as f64 - expected).abs() < 2e-2 * (1.0 + expected.abs()),
                    "{g:?}[{i}]: {} against {expected}",
                    got[i]
                );
            }
        }
    }

    #[test]
    fn closed_forms_of_the_gradients() {
        let h = [0.9f64, 0.2, 1.4, 0.7, 2.1, 0.05];
        let d = h.len() as f64;
        let device = Device::flex().autodiff();
        let autodiff = |g: Goodness| -> Vec<f32> {
            let x = Tensor::<1>::from_floats(h.map(|v| v as f32), &device).reshape([1, h.len()]).require_grad();
            let grads = g.of(x.clone()).sum().backward();
            x.grad(&grads).unwrap().into_data().try_to_vec().unwrap()
        };
        let mean = h.iter().sum::<f64>() / d;
        let s = (h.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / d).sqrt();
        let u: Vec<f64> = h.iter().map(|x| (x - mean) / s).collect();
        let m3 = u.iter().map(|x| x.powi(3)).sum::<f64>() / d;
        let kappa = u.iter().map(|x| x.powi(4)).sum::<f64>() / d;
        let length = h.iter().map(|x| x * x).sum::<f64>().sqrt();
        for (g, closed) in [
            (Goodness::SumSquares, h.iter().map(|x| 2.0 * x).collect::<Vec<f64>>()),
            (Goodness::MeanSquares, h.iter().map(|x| 2.0 * x / d).collect()),
            (Goodness::Length, h.iter().map(|x| x / length).collect()),
            (Goodness::Mean, vec![1.0 / d; 6]),
            (Goodness::Burst, u.iter().map(|x| 4.0 / (d * s) * (x.powi(3) - m3 - kappa * x)).collect()),
        ] {
            for (got, want) in autodiff(g).iter().zip(&closed) {
                assert!((*got as f64 - want).abs() < 1e-4, "{g:?}: {got} {want}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_seen_in_its_row_and_in_no_other() {
        let row = [0.9f32, 0.2, 1.4, 0.7, 2.1, 0.05, 1.1, 0.33];
        for device in [Device::flex(), Device::flex().autodiff()] {
            for g in ALL {
                // On some processors the NaN of 0 * infinity is negative, and sorted below all numbers.
                for broken in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    for place in 0..row.len() {
                        let mut wrong = row;
                        wrong[place] = broken;
                        let h = Tensor::<2>::from_floats([row, wrong, row], &device);
                        let found: Vec<f32> = g.of(h).into_data().try_to_vec().unwrap();
                        let finite = found.iter().map(|v| v.is_finite()).collect::<Vec<_>>();
                        assert_eq!(finite, [true, false, true], "{g:?} with {broken} at {place}: {found:?}");
                        assert_eq!(found[0], found[2], "{g:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn burst_ignores_scale() {
        let h = [0.9f32, 0.2, 1.4, 0.7, 2.1, 0.05];
        assert!((value(Goodness::Burst, &h) - value(Goodness::Burst, &h.map(|x| 7.0 * x))).abs() < 1e-4);
    }
}
