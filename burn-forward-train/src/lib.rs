//! Experiments with [`burn_forward`]: from a config file to a trained network, its measurements and a report.
//!
//! A [`RunConfig`](config::RunConfig) is a checked JSON config; checking it reports every mistake in the file before
//! anything runs. Together with its data it becomes a [`Run`](training::Run). [`train`](training::train) trains the run
//! with burn-train and writes a [`RunFolder`](run_folder::RunFolder) with its config, metrics, checkpoints and weights.
//! Every file is written atomically, so an interrupted run can be resumed and reaches the same numbers. A
//! [`RunRecord`](report::RunRecord) reads a run folder back for an HTML report. The [`Registry`] lists the rules,
//! networks and data sets that a config may name; add rows to it for your own.
//!
//! The other modules are [`quick_look`] (a run on part of the data), [`metric_files`] (metrics for other tools),
//! [`images`] (data sets in their public formats), [`schedule`] (training all blocks at once or one after another),
//! [`measure`] (evaluation, and alignment with back-propagation), and [`weights`] and [`export`] (reading and writing
//! PyTorch and safetensors files).
//!
//! ```no_run
//! use burn_forward_train::report::{self, RunRecord};
//! use burn_forward_train::training::{Run, RunOptions};
//!
//! let config = r#"{
//!     "data": {"name": "digits"},
//!     "network": {"name": "mlp", "widths": [64, 64]},
//!     "rule": {"name": "mono-forward"},
//!     "optimizer": {"name": "adam", "lr": 0.003},
//!     "training": {"epochs": 10}
//! }"#;
//! let run = Run::from_json(config, &burn_forward_train::registry(), RunOptions::on("flex"))?;
//! let summary = run.train_in("runs/example")?;
//! println!("test accuracy {}", summary.test_accuracy);
//! let model = run.model_from("runs/example")?; // an ordinary Burn module, for inference
//! report::write(&[RunRecord::load("runs/example")?], "runs/example/report.html")?;
//! # drop(model);
//! # Ok::<(), burn_forward_train::Error>(())
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod config;
mod error;
pub mod export;
pub mod files;
pub mod images;
pub mod measure;
pub mod metric_files;
pub mod metrics;
mod program;
mod public_names;
pub mod quick_look;
pub mod report;
pub mod run_folder;
pub mod schedule;
pub mod training;
pub mod weights;

pub use error::{Error, Result};
pub use program::program_name;

use burn_forward::registry::Registry;

/// The rules and networks of `burn-forward`, and the image data sets of this crate.
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.data.extend(images::data_entries());
    registry
}
