//! Experiments with burn-forward: config files, image data, schedules, runs, measurements, reports, weights in and out.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod config;
mod error;
pub mod export;
pub mod files;
pub mod images;
pub mod measure;
pub mod metrics;
mod public_names;
pub mod report;
pub mod run_folder;
pub mod schedule;
pub mod training;
pub mod weights;

pub use error::{Error, Result};

use burn_forward::registry::Registry;

/// The rules and networks of `burn-forward`, and the image data sets of this crate.
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.data.extend(images::data_entries());
    registry
}
