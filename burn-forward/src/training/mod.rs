//! Training on burn-train: the model it trains, the metrics, renderer, logger and checkpoints it is given.

mod metrics;
mod model;

pub use metrics::{BlockMetric, NonFiniteGuard, Quantity, metric_name, parse_metric_name};
pub use model::{BlockNumbers, EvalOutput, LocalModel, StepNumbers, StepOutput};
