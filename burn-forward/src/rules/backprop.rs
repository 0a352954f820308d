//! Back-propagation: the whole network is one block.
//!
//! Rumelhart, Hinton and Williams 1986. It is not a second engine but the setting of the partition that leaves no border
//! for a gradient to stop at: one block, one classifier on its output, cross-entropy. Whatever partition the config gives,
//! this rule trains the network as a whole.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AnyRule, HeadReadout, LocalClassifiers, RuleSpec};
use crate::Result;
use crate::network::{Network, Partition};
use crate::projection::HeadPool;
use crate::random::Seed;

/// Settings of `backprop`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `bias` | true | | whether the output layer has a bias |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BackpropConfig {
    /// Whether the output layer has a bias.
    #[serde(default = "yes")]
    pub bias: bool,
}

pub(super) fn yes() -> bool {
    true
}

impl Default for BackpropConfig {
    fn default() -> Self {
        Self { bias: true }
    }
}

impl RuleSpec for BackpropConfig {
    fn partition(&self) -> Option<Partition> {
        Some(Partition::WHOLE)
    }

    fn greedy(&self) -> Result<(), String> {
        Err("back-propagation has one block, so there is no order of blocks to train greedily".into())
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        Ok(AnyRule::new(LocalClassifiers::new(network, classes, self.bias, HeadPool::FULL, HeadReadout::Last, seed)?))
    }
}
