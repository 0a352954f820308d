//! # burn-forward
//!
//! Local learning for the [Burn](https://burn.dev) deep-learning framework.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod activation;
pub mod config;
pub mod data;
mod error;
pub mod random;
pub mod report;

pub use error::{ConfigError, ConfigErrors, Error, Result};
