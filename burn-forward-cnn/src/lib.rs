//! Convolutional networks for burn-forward: architectures, local heads for feature maps, import of public weights.

use burn_forward::config::Registry;

/// Adds this crate's networks and rules to a registry.
pub fn register(_registry: &mut Registry) {}
