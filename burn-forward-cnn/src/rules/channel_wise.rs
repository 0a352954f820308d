//! Channel-wise competition: the channels of a block's output act as its classifier.
//!
//! Papachristodoulou, Kyrkou, Timotheou and Theocharides 2024, arXiv 2312.12668 (CwComp), and Sun et al., DeeperForward,
//! ICLR 2025. The output channels form `C` contiguous groups. `G_c` is the mean of `h^2` (CwComp) or of `h` (DeeperForward)
//! over group `c` and all positions, and the loss is the cross-entropy of `G` (for others, see [`GroupLoss`]). The rule needs
//! no parameters, no negatives and one pass. Blocks are single convolutions: the partition `layer` of a plain stack.
//!
//! DeeperForward normalises every group of the detached output without scale or shift (`between`: `group-norm`), which removes
//! the goodness of the group from it. It then adds the input of the block, converted to the same shape without parameters
//! (`shortcut`).
//!
//! What we do differently: if the number of channels is not a multiple of the number of classes, the last channels are in no
//! group, and `group-norm` normalises all channels together. The shortcut averages maps and pads channels with zeros if the
//! shapes differ.

use burn_forward::Result;
use burn_forward::network::Network;
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::random::Seed;
use burn_forward::rules::{
    AnyHead, AnyRule, ClassifierSettings, ClassifierSpec, HeadReadout, InterBlockNorm, LocalClassifiers, RuleSpec,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::block_heads::heads_of;
use crate::heads::{ClassGroups, GroupGoodness, GroupLoss};

/// What is done to the output of a block before the next block uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupBetween {
    /// Nothing: batch normalisation inside the block is enough for CwComp.
    #[default]
    None,
    /// Every class group is normalised separately.
    GroupNorm,
}

/// Settings of `channel-wise`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `goodness` | squared | squared, mean | goodness of a group: CwComp's or DeeperForward's |
/// | `loss` | cross-entropy | cross-entropy, positive-negative, weighted | loss of the goodness, see [`GroupLoss`] |
/// | `between` | none | none, group-norm | what is done to a block's output before the next block |
/// | `shortcut` | false | | add the input of a block to its output, without parameters |
/// | `readout` | last | last, sum, mean, weighted, sip | the blocks whose scores make the prediction, see [`HeadReadout`] |
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ChannelWiseConfig {
    /// Goodness of a group.
    #[serde(default)]
    pub goodness: GroupGoodness,
    /// Loss of the goodness.
    #[serde(default)]
    pub loss: GroupLoss,
    /// What is done to a block's output before the next block.
    #[serde(default)]
    pub between: GroupBetween,
    /// Whether the input of a block is added to its output.
    #[serde(default)]
    pub shortcut: bool,
    /// The blocks whose scores make the prediction.
    #[serde(default)]
    pub readout: HeadReadout,
}

impl RuleSpec for ChannelWiseConfig {
    fn classifiers(&self) -> Option<&dyn ClassifierSpec> {
        Some(self)
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        Ok(AnyRule::new(self.build_classifiers(network, classes, seed)?))
    }
}

impl ClassifierSpec for ChannelWiseConfig {
    fn build_classifiers(&self, network: &Network, classes: usize, seed: Seed) -> Result<LocalClassifiers> {
        let heads = heads_of(network, classes, seed, |_, shape, _| {
            Ok(Some(AnyHead::new(ClassGroups::new(shape, classes, self.goodness, self.loss)?)))
        })?;
        let between = match self.between {
            GroupBetween::None => InterBlockNorm::default(),
            GroupBetween::GroupNorm => InterBlockNorm { normaliser: Normalisation::LayerNorm, groups: classes },
        };
        let settings = ClassifierSettings {
            readout: self.readout,
            between,
            shortcut: self.shortcut,
            ..ClassifierSettings::default()
        };
        Ok(LocalClassifiers::of(heads, settings))
    }
}
