//! Local learning for the [Burn](https://burn.dev) deep-learning framework: every block of a network has a detached input and
//! learns from its own loss, and no gradient crosses a block border.
//!
//! There are three ways in:
//!
//! 1. **A Burn module of your own.** [`Local`] combines a [`Block`] (any Burn module from activations to activations) with a
//!    [`LocalLoss`]. [`Local::learn`] runs the forward and backward pass within this block and returns its detached output for
//!    the next one. A [`Tape`] collects the results of a step: gradients by parameter, for any of Burn's optimisers, and one
//!    score per block. The example below does this.
//! 2. **A config.** The program of the crate `burn-forward-cli` trains and compares all rules on dense, convolutional and graph
//!    networks from JSON files; `burn-forward-train` does the same from Rust.
//! 3. **A rule of your own.** A [`Rule`](rules::Rule) defines how all blocks of a [`Network`](network::Network) learn from a
//!    batch, and how the network then predicts. [`rules`] contains Forward-Forward, Mono-Forward, direct feedback alignment and
//!    others, each with a [`RuleSpec`](rules::RuleSpec) for its settings; [`pieces`] contains their components. A row in the
//!    registry makes a rule available in configs.
//!
//! The [`prelude`] exports what most programs need.
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
//!     output: Local<Linear, CrossEntropy>,         // its outputs are the class scores
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
//! assert_eq!(tape.gradients().len(), 5); // two weights, two biases and a projection
//! let (gradients, _) = tape.into_parts();
//! let net = SgdConfig::new().init().step(0.1, net, gradients);
//! # drop(net);
//! # Ok::<(), burn_forward::Error>(())
//! ```
//!
//! # Features
//!
//! | feature | default | what it provides |
//! |---|---|---|
//! | `flex` | yes | Burn's CPU backend in pure Rust, with the operations of `burn-forward-kernels` |
//! | `train` | yes | training with burn-train: [`LocalModel`](model::LocalModel), [`Tape::finish`] |
//! | `config` | no | settings in JSON with schemas, and registries of rules, networks and data sets; implies `train` |
//! | `wgpu`, `vulkan`, `metal`, `cuda`, `rocm`, `cpu` | no | Burn's other backends, passed through |
//! | `ndarray`, `tch` | no | two backends that Burn deprecated in 0.22 |
//!
//! As in any Burn program, a feature compiles a backend in and the program chooses the device at run time. At least one
//! backend is needed. Without default features, `features = ["flex"]` gives the smallest library.
//!
//! # Compatibility
//!
//! Burn's minor versions change its API, so each minor version of this crate supports one version of Burn:
//!
//! | burn-forward | Burn |
//! |---|---|
//! | 0.1 | 0.22.1 |
//!
//! The minimum supported Rust version is the `rust-version` in its `Cargo.toml`.
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

/// The supported version of Burn, as shown by the program and in run folders.
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
