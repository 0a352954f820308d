//! Moving a tensor between a device with autodiff and the same device without.

use burn::tensor::kind::Autodiff;
use burn::tensor::{Device, Tensor};

/// The values of `tensor` as a leaf of a new autodiff graph on a training `device`; as they are on a device without autodiff.
///
/// [`Tensor::from_inner`] alone forgets whether the device checkpoints gradients, and tensors that do and do not cannot be
/// operands of one operation.
pub fn autodiff_leaf<const D: usize, K: Autodiff>(tensor: Tensor<D, K>, device: &Device) -> Tensor<D, K> {
    match device.gradient_checkpointing_strategy() {
        Some(strategy) => Tensor::from_inner(tensor).with_gradient_checkpointing_strategy(strategy),
        None => tensor,
    }
}

/// Whether this is the flex backend, with autodiff or without.
pub(crate) fn is_flex(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return *device == Device::flex();
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}
