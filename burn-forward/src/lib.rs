//! Local learning for the [Burn](https://burn.dev) deep-learning framework: every block of a network learns from a loss of its
//! own, behind a detached input, and no gradient crosses a block border.
//!
//! Use it to train networks without keeping the activations of all layers for one backward pass through them, to try a local
//! rule in a model of your own, or to compare rules:
//!
//! - [`Local`]: a [`Block`] (any Burn module from activations to activations) with a [`LocalLoss`]. [`Local::learn`] runs
//!   forward and backward in this block alone and gives its detached output to the next;
//! - [`Tape`]: what a step collects: gradients by parameter, for any of Burn's optimisers, and a score per block;
//! - [`Rule`](rules::Rule): how all blocks of a [`Network`](network::Network) learn from a batch, and how the network then
//!   predicts. [`rules`] has Forward-Forward, Mono-Forward, direct feedback alignment and others, each with a
//!   [`RuleSpec`](rules::RuleSpec) for its settings, and [`pieces`] has what they are made of.
//!
//! [`prelude`] has what most programs use. Convolutional and graph networks, experiments from config files and a program are crates of their own on top of this one.
//!
//! # Example
//!
//! One step in which both layers of a model learn, each from its own loss:
//!
//! ```
//! use burn::module::Module;
//! use burn::nn::{Linear, LinearConfig};
//! use burn::optim::SgdConfig;
//! use burn::tensor::{Device, Tensor, activation::relu};
//! use burn_forward::random::Seed;
//! use burn_forward::{Block, CrossEntropy, Labels, Local, ProjectedCrossEntropy, Tape};
//!
//! #[derive(Module, Debug)]
//! struct Dense {
//!     linear: Linear,
//! }
//!
//! impl Block for Dense {
//!     type Input = Tensor<2>;
//!     type Output = Tensor<2>;
//!     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
//!         relu(self.linear.forward(x))
//!     }
//! }
//!
//! #[derive(Module, Debug)]
//! struct Net {
//!     hidden: Local<Dense, ProjectedCrossEntropy>, // learns to classify through a projection
//!     output: Local<Linear, CrossEntropy>,         // its output is the class scores
//! }
//!
//! impl Net {
//!     fn learn(&self, x: Tensor<2>, tape: &mut Tape<Labels>) -> Tensor<2> {
//!         self.output.learn(self.hidden.learn(x, tape), tape)
//!     }
//! }
//!
//! let device = Device::default().autodiff();
//! let projection = ProjectedCrossEntropy::new(8, 3, false, &mut Seed::new(1).stream("projection", &[]), &device)?;
//! let net = Net {
//!     hidden: Local::new(Dense { linear: LinearConfig::new(4, 8).init(&device) }, projection),
//!     output: Local::new(LinearConfig::new(8, 3).init(&device), CrossEntropy),
//! };
//! let x = Tensor::from_data([[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]], &device);
//! let mut tape = Tape::new(Labels(Tensor::from_data([0, 2], &device)));
//! net.learn(x, &mut tape);
//!
//! assert_eq!(tape.records().len(), 2); // a loss per layer
//! assert_eq!(tape.gradients().len(), 5); // two weights, two biases, a projection
//! let (gradients, _) = tape.into_parts();
//! let net = SgdConfig::new().init().step(0.1, net, gradients);
//! # drop(net);
//! # Ok::<(), burn_forward::Error>(())
//! ```
//!
//! # Features
//!
//! | feature | default | what it gives |
//! |---|---|---|
//! | `flex` | yes | Burn's CPU backend in pure Rust, with the operations of `burn-forward-kernels` |
//! | `train` | yes | training on burn-train: [`LocalModel`](model::LocalModel), [`Tape::finish`] |
//! | `config` | no | settings as JSON with their schemas, registries of rules, networks and data sets; implies `train` |
//! | `wgpu`, `vulkan`, `metal`, `cuda`, `rocm`, `cpu` | no | Burn's other backends, passed through |
//! | `ndarray`, `tch` | no | two backends that Burn deprecated in 0.22 |
//!
//! A backend is compiled in by its feature and chosen at run time, as in any Burn program; at least one is needed. Without
//! default features, `features = ["flex"]` is the smallest library.
//!
//! # Compatibility
//!
//! Burn's minor versions change its API, so each minor version of this crate is made for one version of Burn:
//!
//! | burn-forward | Burn |
//! |---|---|
//! | 0.1 | 0.22.1 |
//!
//! The oldest Rust that compiles it is the `rust-version` in its `Cargo.toml`.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod activation;
pub mod block;
pub mod data;
pub mod device;
pub mod erased;
mod error;
pub mod init;
#[cfg(feature = "config")]
pub mod input;
pub mod local;
#[cfg(feature = "train")]
pub mod model;
pub mod network;
pub mod optim;
pub mod parameters;
pub mod pieces;
pub mod prelude;
pub mod random;
#[cfg(feature = "config")]
pub mod registry;
pub mod rules;
#[cfg(feature = "config")]
pub mod settings;
pub mod tape;

pub use block::{Block, Trace};
pub use error::{ConfigError, ConfigErrors, Error, Result, require};
pub use local::{Deferred, Local, LocalLoss};
pub use pieces::projection::{CrossEntropy, ProjectedCrossEntropy};
pub use tape::{Labels, Score, Tape};

/// The examples of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The version of Burn that this crate is made for, as run folders and the program name it.
pub const BURN_VERSION: &str = "0.22.1";

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_of_versions_has_this_one() {
        let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
        let row = format!("//! | {major}.{minor} | {} |\n", super::BURN_VERSION);
        assert!(include_str!("lib.rs").contains(&row), "no row {row}");
    }
}
