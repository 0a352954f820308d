//! Graph networks for burn-forward: graphs, message passing, and the forward learning of ForwardGNN.

use burn_forward::config::Registry;

/// Adds this crate's networks, rules and data sets to a registry.
pub fn register(_registry: &mut Registry) {}
