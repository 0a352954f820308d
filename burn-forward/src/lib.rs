//! # burn-forward
//!
//! Local learning for the [Burn](https://burn.dev) deep-learning framework: networks whose blocks each carry their own
//! loss behind a detached input, so that no gradient ever crosses a block border.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod activation;
pub mod block;
pub mod data;
pub mod device;
pub mod erased;
mod error;
pub mod feedback;
pub mod goodness;
pub mod init;
#[cfg(feature = "config")]
pub mod input;
pub mod label;
pub mod local;
#[cfg(feature = "train")]
pub mod model;
pub mod negatives;
pub mod network;
pub mod normalise;
pub mod optim;
pub mod pair_loss;
pub mod parameters;
pub mod peer;
pub mod projection;
pub mod prototypes;
pub mod random;
#[cfg(feature = "config")]
pub mod registry;
pub mod rules;
#[cfg(feature = "config")]
pub mod settings;
pub mod tape;

pub use block::{Block, Trace};
pub use error::{ConfigError, ConfigErrors, Error, Result, require};
pub use local::{Local, LocalLoss};
pub use projection::{CrossEntropy, ProjectedCrossEntropy};
pub use tape::{Labels, Score, Tape};

/// The version of Burn that this crate is made for, as run folders and the program name it.
pub const BURN_VERSION: &str = "0.22.1";
