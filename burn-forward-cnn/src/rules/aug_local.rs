//! AugLocal: auxiliary networks that consist of new copies of later layers.
//!
//! Ma, Wu, Si and Tan 2024, arXiv 2402.17318. An auxiliary network consists of the copies ([`copies`](super::copies) describes
//! which layers are copied), global average pooling and a classifier. The loss is the cross-entropy.

use burn_forward::Result;
use burn_forward::network::Network;
use burn_forward::random::Seed;
use burn_forward::rules::{
    AnyHead, AnyRule, ClassifierSettings, ClassifierSpec, HeadReadout, LocalClassifiers, RuleSpec,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::block_heads::heads_of;
use super::copies::{Copying, Following};
use crate::heads::stacked_head;

/// Settings of `aug-local`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `depth` | 2 | 1 to 100 | number of layers `D` in the first auxiliary network |
/// | `pyramid` | 0.5 | [0, 1] | `rho`: how much the depth decreases along the network |
/// | `readout` | last | last, sum, mean, weighted, sip | the blocks whose scores make the prediction, see [`HeadReadout`] |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AugLocalConfig {
    /// Number of layers in the first auxiliary network.
    #[schemars(range(min = 1, max = 100))]
    pub depth: usize,
    /// How much the depth decreases along the network.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pyramid: f64,
    /// The blocks whose scores make the prediction.
    pub readout: HeadReadout,
}

impl Default for AugLocalConfig {
    fn default() -> Self {
        Self { depth: 2, pyramid: 0.5, readout: HeadReadout::default() }
    }
}

impl RuleSpec for AugLocalConfig {
    fn classifiers(&self) -> Option<&dyn ClassifierSpec> {
        Some(self)
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        Ok(AnyRule::new(self.build_classifiers(network, classes, seed)?))
    }
}

impl ClassifierSpec for AugLocalConfig {
    fn build_classifiers(&self, network: &Network, classes: usize, seed: Seed) -> Result<LocalClassifiers> {
        let following = Following::new(network, Copying { depth: self.depth, pyramid: self.pyramid }, seed);
        let last = network.len() - 1;
        let heads = heads_of(network, classes, seed, |index, shape, draw| {
            if index == last {
                return Ok(None);
            }
            let (copies, shape) = following.copies_behind(index, shape)?;
            let classifier = AnyHead::new(draw.classifier(shape, classes)?);
            Ok(Some(stacked_head(copies, classifier)))
        })?;
        let settings = ClassifierSettings { readout: self.readout, ..ClassifierSettings::default() };
        Ok(LocalClassifiers::of(heads, settings))
    }
}
