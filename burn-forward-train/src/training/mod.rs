//! Training on burn-train: a [`Run`] is prepared from a config, trained in its run folder, and loaded again.

mod assemble;
mod check;
mod find_lr;
mod fit;
mod load;
mod logger;
mod memory;
mod plan;
mod progress;
mod ready_run;
mod record;
mod renderer;
mod run;
mod step_cost;
mod summary;
mod train;
mod watch;

pub use assemble::build_model;
pub use check::{Checked, check};
pub use find_lr::find_lr;
pub use load::{load_model, load_without_data, open_model};
pub use logger::{JsonlLogger, SplitClock, WriteProblem};
pub use memory::{before_peak_memory_is_reset, peak_memory_bytes, reset_peak_memory, resident_memory_bytes};
pub use plan::{BlockPlan, parameter_counts, plan, weight_bytes};
pub use ready_run::ReadyRun;
pub(crate) use record::changed_files;
pub use record::{RecordedPaths, check_config, check_data, read_config, read_quick_look};
pub use renderer::{ProgressRenderer, Verbosity};
pub use run::{InterrupterHandle, Run, RunOptions};
pub use step_cost::{StepCost, step_cost};
pub use summary::Summary;
pub use train::{Outcome, train};
