//! # burn-forward
//!
//! Local learning for the [Burn](https://burn.dev) deep-learning framework: networks whose blocks each have a
//! detached input and a loss of their own, so that no gradient ever crosses a block border.
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
pub use pieces::projection::{CrossEntropy, ProjectedCrossEntropy};
pub use tape::{Labels, Score, Tape};

/// The version of Burn that this crate is made for, as run folders and the program name it.
pub const BURN_VERSION: &str = "0.22.1";
