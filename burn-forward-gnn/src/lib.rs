//! Graph networks for [burn-forward](burn_forward): graphs, message passing, and the forward learning of ForwardGNN.
//!
//! Use it to predict the classes of a graph's nodes, or the pairs of nodes that are connected, without back-propagation through
//! the whole network:
//!
//! - [`Graph`](graph::Graph): the edges along which nodes send messages, with sums, means and maxima over neighbours on every
//!   backend; if the backend supports products of sparse matrices, they are used;
//! - [`GraphData`](data::GraphData): a graph with features, labels and a split, whole or in sampled neighbourhoods. The karate
//!   club is embedded; Cora, Cora_ML, GitHub and your own graphs are read from CSV, TSV and `.npz` files;
//! - [`SingleForward`](rules::SingleForward): the rule of ForwardGNN that needs no negative samples. The nodes flow through a
//!   network as one activation ([`AnyActivation::Nodes`](burn_forward::activation::AnyActivation)) together with their graph,
//!   so the rules of burn-forward can train graph networks, too.
//!
//! The [layers] are GCN, GraphSAGE, GAT and GIN. [`register`] adds everything to the registry of a program that reads configs.
//!
//! One step in which both layers of a network learn, each from its own loss:
//!
//! ```
//! use std::sync::Arc;
//!
//! use burn::tensor::Device;
//! use burn_forward::activation::RowShape;
//! use burn_forward::data::LoadedData;
//! use burn_forward::network::{Network, NetworkSpec, Partition};
//! use burn_forward::random::Seed;
//! use burn_forward::rules::{RuleSpec, StepContext};
//! use burn_forward::tape::Tape;
//! use burn_forward_gnn::data::{Features, GraphData, GraphDataset, NodeSplit};
//! use burn_forward_gnn::graph::Graph;
//! use burn_forward_gnn::layers::GcnConfig;
//! use burn_forward_gnn::rules::SingleForwardConfig;
//! use serde_json::json;
//!
//! let (seed, device) = (Seed::new(1), Device::default().autodiff());
//!
//! // Two triangles connected by an edge, with one class each and one-hot features.
//! let graph = Graph::undirected(6, &[(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 5), (5, 3)])?;
//! let labels = [0, 0, 0, 1, 1, 1].map(Some).to_vec();
//! let set = GraphDataset::new(Arc::new(graph), Features::identity(6), labels, 2, "two triangles")?;
//! let split = NodeSplit { train: vec![0, 5], validation: Vec::new(), test: vec![1, 2, 3, 4] };
//! let data = GraphData::nodes(set, split, 1, None, seed)?;
//!
//! // Two graph convolutions, each of them a block.
//! let config: GcnConfig = serde_json::from_value(json!({"widths": [8, 8], "normalisation": "l2"}))?;
//! let network = Network::new(config.layers(RowShape::Nodes(6), seed, &device)?, Partition::LAYER)?;
//! let rule = SingleForwardConfig::default().build(&network, 2, seed)?;
//!
//! let loader = data.train_loader(2.into(), 1, 0, &device)?;
//! let batch = loader.iter().next().ok_or("an epoch has a batch")??;
//! let mut tape = Tape::new(());
//! rule.step(&network, &batch, StepContext { seed, key: batch.key }, &mut tape);
//!
//! assert_eq!(tape.records().len(), 2); // one loss per block
//! assert_eq!(tape.gradients().len(), 4); // weights and bias of both
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
