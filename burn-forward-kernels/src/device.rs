//! Moves a tensor between a device with autodiff and the same device without.

use burn::tensor::kind::Autodiff;
use burn::tensor::{Device, Tensor};

/// The values of `tensor` as a leaf of a new autodiff graph if `device` has autodiff, and unchanged otherwise.
///
/// [`Tensor::from_inner`] alone loses the information whether the device uses gradient checkpointing, and tensors with and
/// without checkpointing cannot be combined in one operation.
pub fn autodiff_leaf<const D: usize, K: Autodiff>(tensor: Tensor<D, K>, device: &Device) -> Tensor<D, K> {
    match device.gradient_checkpointing_strategy() {
        Some(strategy) => Tensor::from_inner(tensor).with_gradient_checkpointing_strategy(strategy),
        None => tensor,
    }
}

/// Whether this is the flex backend, with or without autodiff.
pub(crate) fn is_flex(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return *device == Device::flex();
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}
