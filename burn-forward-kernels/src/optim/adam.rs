//! Adam.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::{Adam, AdamConfig, AdamState, LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

#[cfg(feature = "flex")]
use super::{
    moments::step,
    update::{AdamUpdate, AdaptiveUpdate, Means},
};

use super::inputs::fit_moments;

/// [`burn::optim::Adam`] in one pass over memory (Kingma and Ba 2015, arXiv 1412.6980). At step `t`, with `g' = g + decay w`:
///
/// - `m = beta_1 m + (1 - beta_1) g'`, `v = beta_2 v + (1 - beta_2) g'^2`, both 0 before the first step
/// - `w - lr (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)`
///
/// | field | default | range | meaning |
/// |---|---|---|---|
/// | `beta_1`, `beta_2` | 0.9, 0.999 | [0, 1) | decay of the moments |
/// | `epsilon` | 1e-5 | > 0 | added to avoid division by zero |
/// | `amsgrad` | false | | divide by the largest `v` so far; uses Burn's own operations |
/// | `weight_decay` | none | >= 0 | factor with which weights are added to the gradient |
#[derive(Debug, Clone)]
pub struct FusedAdam {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Added to avoid division by zero.
    pub epsilon: f32,
    /// Whether to divide by the largest second moment so far (Reddi et al. 2018).
    pub amsgrad: bool,
    /// Factor with which weights are added to the gradient.
    pub weight_decay: Option<f32>,
}

/// Burn's defaults.
impl Default for FusedAdam {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-5, amsgrad: false, weight_decay: None }
    }
}

impl FusedAdam {
    /// Burn's optimiser with these settings.
    fn burns(&self) -> Adam {
        let config = AdamConfig::new().with_beta_1(self.beta_1).with_beta_2(self.beta_2).with_epsilon(self.epsilon);
        let decay = self.weight_decay.map(|penalty| WeightDecayConfig { penalty });
        config.with_amsgrad(self.amsgrad).with_weight_decay(decay).build()
    }
}

impl Optimizer for FusedAdam {
    type State<const D: usize> = AdamState<D>;

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
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        let fits = fit_moments("Adam", &tensor, &grad, state.as_ref().map(|state| &state.momentum));
        match fits && !self.amsgrad {
            #[cfg(feature = "flex")]
            true => {
                let means = Means::new([self.beta_1, self.beta_2]);
                let update = |time| AdamUpdate::new(lr, time, means, self.epsilon, self.weight_decay);
                let momentum = state.map(|state| state.momentum);
                let (tensor, momentum) = step(tensor, grad, momentum, |time| AdaptiveUpdate::Adam(update(time)));
                (tensor, Some(AdamState::new(momentum)))
            }
            _ => self.burns().step(lr, tensor, grad, state),
        }
    }

    fn to_device<const D: usize>(state: AdamState<D>, device: &Device) -> AdamState<D> {
        Adam::to_device(state, device)
    }
}
