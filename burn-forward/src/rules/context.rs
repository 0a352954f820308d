//! What a rule's check is told of the rest of a run.

use crate::activation::RowShape;
use crate::network::NetworkSpec;
use crate::optim::OptimizerConfig;

/// What a check may want to know of the rest of the config. What is `None` is not known yet.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// Name of the architecture.
    pub network_name: &'a str,
    /// Its settings.
    pub network: &'a dyn NetworkSpec,
    /// Number of blocks.
    pub blocks: Option<usize>,
    /// Shape of an input row.
    pub input: Option<RowShape>,
    /// Number of classes.
    pub classes: Option<usize>,
    /// The optimiser.
    pub optimizer: Option<&'a OptimizerConfig>,
}
