//! Stochastic gradient descent.

use burn::optim::decay::{WeightDecay, WeightDecayConfig};
use burn::optim::momentum::{Momentum, MomentumConfig, MomentumState};
use burn::optim::{LearningRate, Optimizer, RecordState, SgdState, StateSink, StateSource, join_path};
use burn::tensor::{Device, Tensor};

#[cfg(feature = "flex")]
use super::{flex::OptimizerStep, update::SgdUpdate};
#[cfg(feature = "flex")]
use burn::backend::Dispatch;

use super::inputs::fits;

/// [`burn::optim::Sgd`] in one pass over memory: `w - lr u`. With `g' = g + decay w`, the update `u` is:
///
/// - without momentum: `u = g'`
/// - with momentum: `v = momentum v + (1 - dampening) g'` (in the first step, `v = g'`), and `u = v`
/// - with Nesterov momentum: `u = g' + momentum v`
///
/// | field | default | range | meaning |
/// |---|---|---|---|
/// | `momentum` | none | | momentum, dampening, and whether to use Nesterov momentum (Sutskever et al. 2013) |
/// | `weight_decay` | none | >= 0 | factor with which weights are added to the gradient |
#[derive(Debug, Clone, Default)]
pub struct FusedSgd {
    /// Momentum, and its dampening.
    pub momentum: Option<MomentumConfig>,
    /// Factor with which weights are added to the gradient.
    pub weight_decay: Option<f32>,
}

/// State of [`FusedSgd`]. Its record is that of [`burn::optim::SgdState`], whose velocity is private.
#[derive(Debug, Clone)]
pub struct FusedSgdState<const D: usize> {
    /// The velocity, with the shape of the parameter; `None` without momentum.
    pub velocity: Option<Tensor<D>>,
}

impl<const D: usize> RecordState for FusedSgdState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        SgdState::new(self.velocity.clone().map(MomentumState::new)).state_flatten(prefix, out);
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let velocity = src.take_tensor(&join_path(prefix, "momentum"), "velocity");
        Some(Self { velocity: velocity.map(|velocity| Tensor::from_data(velocity, device)) })
    }
}

impl Optimizer for FusedSgd {
    type State<const D: usize> = FusedSgdState<D>;

    /// # Shapes
    /// - `tensor`, `grad`, the velocity in the state, and both results have the same shape, of any rank.
    ///
    /// # Panics
    /// If the shapes differ.
    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<FusedSgdState<D>>,
    ) -> (Tensor<D>, Option<FusedSgdState<D>>) {
        let velocity = state.and_then(|state| state.velocity);
        let fits = fits("SGD", &tensor, &[("gradient", Some(&grad)), ("velocity", velocity.as_ref())]);
        let (tensor, velocity) = match fits {
            #[cfg(feature = "flex")]
            true => self.fused(lr, tensor, grad, velocity),
            _ => self.by_burn(lr, tensor, grad, velocity),
        };
        (tensor, Some(FusedSgdState { velocity }))
    }

    fn to_device<const D: usize>(state: FusedSgdState<D>, device: &Device) -> FusedSgdState<D> {
        FusedSgdState { velocity: state.velocity.map(|velocity| velocity.to_device(device)) }
    }
}

impl FusedSgd {
    /// A step with Burn's own operations.
    fn by_burn<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        velocity: Option<Tensor<D>>,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let grad = match self.weight_decay {
            Some(penalty) => WeightDecay::new(&WeightDecayConfig { penalty }).transform(grad, tensor.clone()),
            None => grad,
        };
        let Some(config) = &self.momentum else { return (tensor - grad.mul_scalar(lr), velocity) };
        // Without Nesterov momentum, Burn returns the velocity.
        let plain = Momentum::new(&MomentumConfig { nesterov: false, ..config.clone() });
        let (velocity, _) = plain.transform(grad.clone(), velocity.map(MomentumState::new));
        let direction = match config.nesterov {
            true => velocity.clone().mul_scalar(config.momentum as f32).add(grad),
            false => velocity.clone(),
        };
        (tensor - direction.mul_scalar(lr), Some(velocity))
    }

    /// A step in one pass.
    #[cfg(feature = "flex")]
    fn fused<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        velocity: Option<Tensor<D>>,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let update = SgdUpdate::new(lr, self.weight_decay, self.momentum.as_ref());
        let (tensor, grad) = (tensor.into_dispatch(), grad.into_dispatch());
        let (tensor, velocity) = match (&self.momentum, velocity) {
            (None, velocity) => return (Tensor::from_dispatch(Dispatch::plain_step(tensor, grad, update)), velocity),
            (Some(_), None) => Dispatch::first_velocity(tensor, grad, update),
            (Some(_), Some(velocity)) => Dispatch::next_velocity(tensor, grad, velocity.into_dispatch(), update),
        };
        (Tensor::from_dispatch(tensor), Some(Tensor::from_dispatch(velocity)))
    }
}
