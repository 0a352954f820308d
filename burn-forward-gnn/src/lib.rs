//! Graph networks for burn-forward: graphs, message passing, and the forward learning of ForwardGNN.
//!
//! A graph's nodes flow through a network as one activation ([`AnyActivation::Nodes`](burn_forward::activation::AnyActivation))
//! with their graph beside them, so every learning rule of the core trains graph networks unchanged. This crate adds
//! [graphs](graph), [layers], [data], and the [rules] that make something of the graph itself.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod baselines;
pub mod data;
pub mod graph;
pub mod layers;
pub mod rules;

use burn_forward::registry::Registry;

/// Adds this crate's networks, rules and data sets to a registry.
pub fn register(registry: &mut Registry) {
    registry.networks.extend(layers::network_entries());
    registry.data.extend(data::data_entries());
    registry.rules.extend(rules::rule_entries());
}
