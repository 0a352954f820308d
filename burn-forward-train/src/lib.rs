//! Experiments with [`burn_forward`]: from a config file to a trained network, its measurements and a report.
//!
//! A [`RunConfig`](config::RunConfig) is what a JSON file says, checked as a whole: every mistake of the file is found before
//! anything runs. With its data it becomes a [`Run`](training::Run), which [`train`](training::train) trains on
//! burn-train in a [`RunFolder`](run_folder::RunFolder): config, metrics, checkpoints and weights, each file whole or not
//! there, so that a run that was stopped goes on to the same numbers. A [`RunRecord`](report::RunRecord) reads such a folder
//! for a page of HTML. What a config may name is a [`Registry`]; rules, networks and data sets of your own are rows you add.
//!
//! Around that: [`quick_look`] (a run on a part of the data), [`metric_files`] (metrics for other tools), [`images`] (data sets in their public formats), [`schedule`] (all blocks at once, or one after the other), [`measure`] (test,
//! alignment with back-propagation), [`weights`] and [`export`] (PyTorch's and safetensors' files, in and out).
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
//! let model = run.model_from("runs/example")?; // an ordinary module of Burn's, for inference
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
