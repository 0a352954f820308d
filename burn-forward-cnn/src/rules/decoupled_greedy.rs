//! Decoupled greedy learning: a small auxiliary network on every block.
//!
//! Belilovsky, Eickenberg and Oyallon 2020, arXiv 1901.08164 (and 2019, arXiv 1812.11446, where blocks train one after another:
//! the greedy schedule). Block `k` and its auxiliary network minimise the cross-entropy of its class scores; nothing is passed
//! back to block `k - 1`. The last block has the output layer of the network.
//!
//! What we do differently: pooling is adaptive, to a grid with side `ceil(H/4)`, and then 2.

use burn_forward::Result;
use burn_forward::activation::RowShape;
use burn_forward::network::Network;
use burn_forward::random::Seed;
use burn_forward::rules::{
    AnyHead, AnyRule, ClassifierSettings, ClassifierSpec, HeadReadout, LocalClassifiers, RuleSpec,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::block_heads::heads_of;
use crate::heads::{AuxiliaryKind, AuxiliaryNetwork};

/// Settings of `decoupled-greedy`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `auxiliary` | mlp-sr | mlp, mlp-sr, cnn | kind of the auxiliary networks, see [`AuxiliaryKind`] |
/// | `readout` | last | last, sum, mean, weighted, sip | the blocks whose scores make the prediction, see [`HeadReadout`] |
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DecoupledGreedyConfig {
    /// Kind of the auxiliary networks.
    #[serde(default)]
    pub auxiliary: AuxiliaryKind,
    /// The blocks whose scores make the prediction.
    #[serde(default)]
    pub readout: HeadReadout,
}

impl RuleSpec for DecoupledGreedyConfig {
    fn classifiers(&self) -> Option<&dyn ClassifierSpec> {
        Some(self)
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        Ok(AnyRule::new(self.build_classifiers(network, classes, seed)?))
    }
}

impl ClassifierSpec for DecoupledGreedyConfig {
    fn build_classifiers(&self, network: &Network, classes: usize, seed: Seed) -> Result<LocalClassifiers> {
        let last = network.len() - 1;
        let heads = heads_of(network, classes, seed, |index, shape, draw| {
            if index == last && !matches!(shape, RowShape::Maps { .. }) {
                return Ok(None);
            }
            Ok(Some(AnyHead::new(AuxiliaryNetwork::new(self.auxiliary, shape, classes, draw)?)))
        })?;
        let settings = ClassifierSettings { readout: self.readout, ..ClassifierSettings::default() };
        Ok(LocalClassifiers::of(heads, settings))
    }
}
