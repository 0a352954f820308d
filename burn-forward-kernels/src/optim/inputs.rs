//! The inputs of a step.

use burn::optim::AdaptiveMomentumState;
use burn::tensor::{DType, Tensor};

use crate::device::is_flex;
use crate::shape;

/// Panics unless the gradient and moments of a parameter have its shape. Returns whether this crate computes the step: all
/// tensors must have single precision and be on flex without autodiff.
#[track_caller]
pub(super) fn fits<const D: usize>(
    optimizer: &str,
    weights: &Tensor<D>,
    others: &[(&'static str, Option<&Tensor<D>>)],
) -> bool {
    let (needed, is_ours) =
        (weights.dims().map(Some), |t: &Tensor<D>| t.dtype() == DType::F32 && !t.is_autodiff() && is_flex(&t.device()));
    let given = || others.iter().filter_map(|(name, tensor)| Some((name, (*tensor)?)));
    given().for_each(|(name, tensor)| shape::check(optimizer, name, tensor.dims(), needed));
    is_ours(weights) && given().all(|(_, tensor)| is_ours(tensor))
}

/// Like [`fits`], with the two moments of `state`.
#[track_caller]
pub(super) fn fit_moments<const D: usize>(
    optimizer: &str,
    weights: &Tensor<D>,
    gradient: &Tensor<D>,
    state: Option<&AdaptiveMomentumState<D>>,
) -> bool {
    let (first, second) = (state.map(|state| &state.moment_1), state.map(|state| &state.moment_2));
    let others = [("gradient", Some(gradient)), ("first moment", first), ("second moment", second)];
    fits(optimizer, weights, &others)
}
