//! The run folder: what it contains, and how it survives a kill at any moment.

mod checkpoints;
mod folder;
mod manifest;
mod names;
mod position;
mod rows;
mod saved;
mod steps;

pub use folder::{RunFolder, RunLock};
pub use manifest::Manifest;
pub use position::Position;
pub use rows::MetricRow;
pub use saved::{CheckpointWriter, SavedState};

pub(crate) use manifest::{check_checkpoint, check_model};
pub(crate) use names::{METRICS, METRICS_CSV, events_of};
