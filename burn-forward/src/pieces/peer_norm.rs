//! Peer normalisation (Hinton 2022): drives all units towards equal mean activity, including silent units.
//!
//! The state of a layer is the running mean activity `m` `[d]`, initially 0.5, `m <- 0.9 m + 0.1 mean_batch(h)` over positive
//! samples, where `h = f(z)` are the activities before pooling and dropout. The term added to the loss is
//! `lambda / B * sum_b sum_j sg(m_j - mean(m)) z_bj`, in terms of the **pre**-activations `z`. Its gradient
//! `lambda (m_j - mean(m)) / B` is not masked by `h > 0`, so a unit that is off for every sample is raised until it becomes
//! active. A squared goodness alone gives such a unit no gradient at all.
//!
//! A channel of feature maps is one unit at `P` positions, since its weights are the same at all of them: `m_c` is the mean
//! over samples and positions, and the term sums `z_bcp` over positions, just as `sum-squares` sums `h_bcp^2`.

use burn::module::{Module, RunningState};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::{Error, require};

/// Settings of peer normalisation.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `strength` | 0.03 | >= 0 | `lambda`; calibrated for `sum-squares`; for a flatter goodness, see [`Goodness::steepness`](crate::pieces::goodness::Goodness::steepness) |
/// | `momentum` | 0.9 | [0, 1) | momentum of the running mean |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PeerConfig {
    /// Weight `lambda` of the term.
    #[serde(default = "strength")]
    #[cfg_attr(feature = "config", schemars(range(min = 0.0)))]
    pub strength: f64,
    /// Momentum of the running mean.
    #[serde(default = "momentum")]
    #[cfg_attr(feature = "config", schemars(range(min = 0.0, max = 0.999999)))]
    pub momentum: f64,
}

fn strength() -> f64 {
    0.03
}

fn momentum() -> f64 {
    0.9
}

impl Default for PeerConfig {
    fn default() -> Self {
        Self { strength: strength(), momentum: momentum() }
    }
}

/// Running mean activity of a layer.
#[derive(Module, Debug)]
pub struct PeerNormalisation {
    mean: RunningState<Tensor<1>>,
    strength: f64,
    momentum: f64,
}

impl PeerNormalisation {
    /// The initial state of a layer with `width` units (channels, for maps).
    pub fn new(width: usize, config: PeerConfig, device: &Device) -> Self {
        Self {
            mean: RunningState::new(Tensor::full([width], 0.5, device)),
            strength: config.strength,
            momentum: config.momentum,
        }
    }

    /// Updates the running mean and returns the term `[1]` to add to the loss.
    ///
    /// # Shapes
    /// - `pre_activation`: `z` of positive samples by unit and position `[B, d, P]`, as
    ///   [`Activation::by_unit`](crate::activation::Activation::by_unit) gives them; `activity`: `h` of the same.
    ///
    /// # Panics
    /// If the shapes are different.
    pub fn penalty(&self, pre_activation: Tensor<3>, activity: Tensor<3>) -> Tensor<1> {
        let [rows, d, positions] = activity.dims();
        let [units] = self.mean.value().dims();
        require(d == units && pre_activation.dims() == activity.dims(), || {
            let given = format!("{:?} and {:?}", pre_activation.dims(), [rows, d, positions]);
            Error::argument("PeerNormalisation", "shapes of z and h", given, format!("[B, {units}, P] for both"))
        });
        let batch_mean = activity.detach().mean_dim(2).mean_dim(0).reshape([d]);
        let mean =
            self.mean.value_sync().to_device(&batch_mean.device()) * self.momentum + batch_mean * (1.0 - self.momentum);
        let mean = mean.detach();
        self.mean.update(mean.clone());
        // Burn applies an update one step late by default; a checkpoint must hold the newest state.
        let _ = self.mean.value_sync();
        let push = mean.clone() - mean.mean();
        (pre_activation * push.reshape([1, d, 1])).sum() * (self.strength / rows as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::Activation;
    use burn::tensor::activation::relu;

    #[test]
    fn a_dead_unit_is_raised_and_only_by_this() {
        let device = Device::flex().autodiff();
        // Unit 0 is silent on both samples, unit 1 is active.
        let z = Tensor::<2>::from_data([[-1.0, 2.0], [-3.0, 4.0]], &device).require_grad();
        let h = relu(z.clone());
        let goodness = h.clone().square().sum().backward();
        let from_goodness: Vec<f32> = z.grad(&goodness).unwrap().into_data().try_to_vec().unwrap();
        assert_eq!((from_goodness[0], from_goodness[2]), (0.0, 0.0));

        let peer = PeerNormalisation::new(2, PeerConfig { strength: 0.1, momentum: 0.9 }, &device);
        let z = z.detach().require_grad();
        let grads = peer.penalty(z.by_unit(), relu(z.clone()).by_unit()).backward();
        let got: Vec<f32> = z.grad(&grads).unwrap().into_data().try_to_vec().unwrap();
        // m = 0.9*0.5 + 0.1*[0, 3] = [0.45, 0.75], mean 0.6: the push is -0.15 and +0.15, times 0.1/2.
        for (g, want) in got.iter().zip([-0.0075, 0.0075, -0.0075, 0.0075]) {
            assert!((g - want).abs() < 1e-6, "{got:?}");
        }
    }

    #[test]
    fn a_channel_of_maps_is_one_unit() {
        let device = Device::flex().autodiff();
        // One sample of two channels at 1 x 2 positions: channel 0 is silent, channel 1 outputs 2 and 4.
        let z = Tensor::<4>::from_data([[[[-1.0, -3.0]], [[2.0, 4.0]]]], &device).require_grad();
        let peer = PeerNormalisation::new(2, PeerConfig { strength: 0.1, momentum: 0.9 }, &device);
        let grads = peer.penalty(z.by_unit(), relu(z.clone()).by_unit()).backward();
        let got: Vec<f32> = z.grad(&grads).unwrap().into_data().try_to_vec().unwrap();
        // m = 0.9*0.5 + 0.1*[0, 3] = [0.45, 0.75], mean 0.6: the push is -0.15 and +0.15, times 0.1, at every position.
        for (g, want) in got.iter().zip([-0.015, -0.015, 0.015, 0.015]) {
            assert!((g - want).abs() < 1e-6, "{got:?}");
        }
    }
}
