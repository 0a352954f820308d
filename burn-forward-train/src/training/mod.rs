//! Training on burn-train: the model it trains, the metrics, renderer, logger and checkpoints it is given.

mod checkpoint;
mod fit;
mod logger;
mod manifest;
mod memory;
mod metrics;
mod plan;
mod record;
mod renderer;
mod run;
mod run_folder;
mod samples;
mod start;
mod step_cost;
mod summary;

pub use checkpoint::{AtomicCheckpointer, Best, KeepCheckpoints, Patience};
pub use logger::{JsonlLogger, SplitClock, WriteProblem};
pub use manifest::{Manifest, Manifests};
pub use memory::{peak_memory_bytes, reset_peak_memory, resident_memory_bytes};
pub use metrics::{BlockMetric, NonFinite, NonFiniteGuard, Quantity, metric_name, parse_metric_name};
pub use plan::{BlockPlan, plan};
pub use record::RecordedPlaces;
pub use renderer::{ProgressRenderer, Verbosity};
pub use run::{
    Checked, Outcome, Run, RunOptions, build_model, check, load_model, load_without_data, train, weight_bytes,
};
pub use run_folder::{MetricRow, RunFolder, RunLock};
pub use start::Start;
pub use step_cost::{StepCost, step_cost};
pub use summary::Summary;
