//! Convolutional networks for [burn-forward](burn_forward): architectures that are divided into blocks, local heads for feature
//! maps, and the rules that need them.
//!
//! Use it to train an image classifier block by block, each block with its own loss, with only as much memory as its largest
//! block needs:
//!
//! - [`ResNetConfig`](networks::ResNetConfig): a residual network. There are also VGG, MobileNetV2 and V3, the residual
//!   networks for CIFAR and plain stacks of convolutions. Each is a list of layers that a
//!   [`Partition`](burn_forward::network::Partition) divides into blocks, and its parameters have the names of public weights;
//! - [`ConvLayer`](layers::ConvLayer): a convolution with normalisation, activation function and pooling, for your own
//!   architectures;
//! - [`DecoupledGreedyConfig`](rules::DecoupledGreedyConfig): a rule with a small auxiliary network on every block. There are
//!   five more rules with [heads] on feature maps, and Trifecta. The rules of burn-forward can train these networks, too.
//!
//! [`register`] adds everything to the registry of a program that reads configs.
//!
//! One step in which every block of a small ResNet-18 learns from its own loss:
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use burn_forward::activation::{AnyActivation, RowShape};
//! use burn_forward::data::{Batch, BatchKey};
//! use burn_forward::network::{Network, NetworkSpec, Partition};
//! use burn_forward::random::Seed;
//! use burn_forward::rules::{RuleSpec, StepContext};
//! use burn_forward::tape::Tape;
//! use burn_forward_cnn::networks::ResNetConfig;
//! use burn_forward_cnn::rules::DecoupledGreedyConfig;
//! use serde_json::json;
//!
//! let (seed, device) = (Seed::new(1), Device::default().autodiff());
//!
//! // An eighth of the channels; the stem and every residual block form a block each.
//! let config: ResNetConfig = serde_json::from_value(json!({"depth": 18, "width": 0.125}))?;
//! let input = RowShape::Maps { channels: 3, height: 16, width: 16 };
//! let network = Network::new(config.layers(input, seed, &device)?, Partition::RESIDUAL)?;
//! let rule = DecoupledGreedyConfig::default().build(&network, 10, seed)?;
//!
//! let images = Tensor::<4>::ones([2, 3, 16, 16], &device);
//! let batch = Batch {
//!     inputs: AnyActivation::Maps(images),
//!     targets: Tensor::from_data([3, 7], &device),
//!     classes: 10,
//!     key: BatchKey::new(1, 0, 1),
//!     samples: [0, 1].into(),
//! };
//! let mut tape = Tape::new(());
//! rule.step(&network, &batch, StepContext { seed, key: batch.key }, &mut tape);
//!
//! assert_eq!(network.len(), 9);
//! assert_eq!(tape.records().len(), 9); // one loss per block
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
