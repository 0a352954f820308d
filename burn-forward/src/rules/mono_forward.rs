//! Mono-Forward: every block learns from its own error.
//!
//! Gong, Li and Abdulla 2025, arXiv 2501.09238 (v2: "Revisiting Forward-Forward through Objective-Locality
//! Decomposition"). For block `i` with input `a_{i-1}` `[B, d_{i-1}]`:
//!
//! - `a_i = f(sg(a_{i-1}) W_i + b_i)` `[B, d_i]`,
//! - `G_i = a_i M_i` `[B, C]`, `M_i` `[d_i, C]` learned,
//! - loss `CE(G_i, y)`; no gradient reaches `a_{i-1}`.
//!
//! The prediction is `argmax G_L` (`last`, as in back-propagation) or `argmax sum_i G_i` (`sum`). With a single hidden layer,
//! the rule equals back-propagation on the same network.
//!
//! What we do differently: nothing for dense layers. Feature maps are averaged over a grid of `pool` x `pool` cells before
//! the projection. The paper flattens them (`full`), which makes `M` larger than the layers it trains. `M` is stored as
//! `[d, C]`, Burn's layout, where the paper writes `[C, d]`.

use serde::{Deserialize, Serialize};

use super::{AnyRule, ClassifierSpec, HeadReadout, LocalClassifiers, RuleSpec};
use crate::Result;
use crate::network::Network;
use crate::pieces::projection::HeadPool;
use crate::random::Seed;

/// Settings of `mono-forward`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `readout` | last | last, sum, mean, weighted, sip | the blocks whose scores make the prediction, see [`HeadReadout`] |
/// | `bias` | false | | whether projections have a bias; those of the paper have none |
/// | `pool` | 4 | full, 1 to 64 | side of the grid over which maps are averaged before a projection |
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MonoForwardConfig {
    /// The blocks whose scores make the prediction.
    #[serde(default)]
    pub readout: HeadReadout,
    /// Whether projections have a bias.
    #[serde(default)]
    pub bias: bool,
    /// Side of the grid over which maps are averaged before a projection.
    #[serde(default)]
    pub pool: HeadPool,
}

impl RuleSpec for MonoForwardConfig {
    fn classifiers(&self) -> Option<&dyn ClassifierSpec> {
        Some(self)
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        Ok(AnyRule::new(self.build_classifiers(network, classes, seed)?))
    }
}

impl ClassifierSpec for MonoForwardConfig {
    fn build_classifiers(&self, network: &Network, classes: usize, seed: Seed) -> Result<LocalClassifiers> {
        LocalClassifiers::new(network, classes, self.bias, self.pool, self.readout, seed)
    }
}
