//! Measurements: how well a trained network performs on a data set, and how local its updates are.

mod audit;
mod best_blocks;
mod evaluation;
mod ranking;
mod rate_range;
mod sparsity;

pub use audit::{Alignment, audit};
pub use best_blocks::best_blocks;
pub use evaluation::{BlockEvaluation, Evaluation, GoodnessHistogram, evaluate};
pub use ranking::{average_precision, roc_auc};
pub use rate_range::{RateCurve, RatePoint, RateRange};
pub use sparsity::hoyer;
