//! A step of an optimiser with two moments.

use burn::backend::Dispatch;
use burn::optim::AdaptiveMomentumState;
use burn::tensor::Tensor;

use super::flex::OptimizerStep;
use super::update::AdaptiveUpdate;

/// A step with two moments in one pass; `update` is called with the number of the step, from 1.
pub(super) fn step<const D: usize>(
    tensor: Tensor<D>,
    grad: Tensor<D>,
    state: Option<AdaptiveMomentumState<D>>,
    update: impl FnOnce(usize) -> AdaptiveUpdate,
) -> (Tensor<D>, AdaptiveMomentumState<D>) {
    let (tensor, grad) = (tensor.into_dispatch(), grad.into_dispatch());
    let (time, largest, (tensor, moment_1, moment_2)) = match state {
        None => (1, None, Dispatch::first_moments(tensor, grad, update(1))),
        Some(AdaptiveMomentumState { time, moment_1, moment_2, max_moment_2 }) => {
            let (time, moments) = (time + 1, [moment_1, moment_2].map(Tensor::into_dispatch));
            let [moment_1, moment_2] = moments;
            (time, max_moment_2, Dispatch::next_moments(tensor, grad, moment_1, moment_2, update(time)))
        }
    };
    let [tensor, moment_1, moment_2] = [tensor, moment_1, moment_2].map(Tensor::from_dispatch);
    (tensor, AdaptiveMomentumState { time, moment_1, moment_2, max_moment_2: largest })
}
