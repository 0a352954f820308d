//! The context of a rule's check.

use crate::activation::RowShape;
use crate::network::NetworkSpec;
use crate::optim::OptimizerConfig;

/// The rest of the config, as far as a check may need it. `None` means not known yet.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// Name of the architecture.
    pub network_name: &'a str,
    /// Settings of the architecture.
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
