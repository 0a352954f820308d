//! The folder of a run: what is in it, and how it survives a kill at any moment.

mod checkpoints;
mod folder;
mod manifest;
mod names;
mod rows;

pub use folder::{RunFolder, RunLock};
pub use manifest::{Manifest, Manifests};
pub use rows::MetricRow;

pub(crate) use manifest::{check_checkpoint, check_model};
pub(crate) use names::{METRICS, file_name, manifest_name};
