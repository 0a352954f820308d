//! AdamW.

use burn::optim::{AdamW, AdamWConfig, AdamWState, LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

#[cfg(feature = "flex")]
use super::{
    moments::step,
    update::{AdamWUpdate, AdaptiveUpdate, Means},
};

use super::inputs::fit_moments;

/// [`burn::optim::AdamW`] in one pass over memory (Loshchilov and Hutter 2019, arXiv 1711.05101). At step `t`:
///
/// - `m = beta_1 m + (1 - beta_1) g`, `v = beta_2 v + (1 - beta_2) g^2`, both 0 before the first step
/// - `(1 - lr decay) w - lr (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)`
///
/// | field | default | range | meaning |
/// |---|---|---|---|
/// | `beta_1`, `beta_2` | 0.9, 0.999 | [0, 1) | decay of the moments |
/// | `epsilon` | 1e-5 | > 0 | added to avoid division by zero |
/// | `weight_decay` | 1e-4 | >= 0 | decay of the weights, multiplied by the learning rate |
/// | `cautious_weight_decay` | false | | no decay against the direction of a step (arXiv 2510.12402); uses Burn's operations |
/// | `amsgrad` | false | | divide by the largest `v` so far; uses Burn's own operations |
#[derive(Debug, Clone)]
pub struct FusedAdamW {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Added to avoid division by zero.
    pub epsilon: f32,
    /// Decay of the weights.
    pub weight_decay: f32,
    /// Whether weights decay only if this is not against the direction of the step.
    pub cautious_weight_decay: bool,
    /// Whether to divide by the largest second moment so far (Reddi et al. 2018).
    pub amsgrad: bool,
}

/// Burn's defaults.
impl Default for FusedAdamW {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-5,
            weight_decay: 1e-4,
            cautious_weight_decay: false,
            amsgrad: false,
        }
    }
}

impl FusedAdamW {
    /// Burn's optimiser with these settings.
    fn burns(&self) -> AdamW {
        let config = AdamWConfig::new().with_beta_1(self.beta_1).with_beta_2(self.beta_2).with_epsilon(self.epsilon);
        let config = config.with_weight_decay(self.weight_decay).with_cautious_weight_decay(self.cautious_weight_decay);
        config.with_amsgrad(self.amsgrad).build()
    }
}

impl Optimizer for FusedAdamW {
    type State<const D: usize> = AdamWState<D>;

    /// # Shapes
    /// - `tensor`, `grad`, the moments in the state, and all results have the same shape, of any rank.
    ///
    /// # Panics
    /// If the shapes differ.
    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let fits = fit_moments("AdamW", &tensor, &grad, state.as_ref().map(|state| &state.momentum));
        match fits && !self.amsgrad && !self.cautious_weight_decay {
            #[cfg(feature = "flex")]
            true => {
                let means = Means::new([self.beta_1, self.beta_2]);
                let update = |time| AdamWUpdate::new(lr, time, means, self.epsilon, self.weight_decay);
                let momentum = state.map(|state| state.momentum);
                let (tensor, momentum) = step(tensor, grad, momentum, |time| AdaptiveUpdate::AdamW(update(time)));
                (tensor, Some(AdamWState::new(momentum)))
            }
            _ => self.burns().step(lr, tensor, grad, state),
        }
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        AdamW::to_device(state, device)
    }
}
