//! Convolutional networks for burn-forward: architectures, local heads for feature maps, import of public weights.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod conv;
pub mod heads;
pub mod layers;
pub mod module_init;
pub mod networks;
pub mod nonlinearity;
pub mod rules;

use burn_forward::registry::Registry;

/// Adds this crate's networks and rules to a registry.
pub fn register(registry: &mut Registry) {
    registry.networks.extend(networks::network_entries());
    registry.rules.extend(rules::rule_entries());
}
