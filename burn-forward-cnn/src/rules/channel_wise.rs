//! Channel-wise competition: the channels of a block's output are its classifier.
//!
//! Papachristodoulou, Kyrkou, Timotheou and Theocharides 2024, arXiv 2312.12668 (CwComp), and Sun et al., DeeperForward,
//! ICLR 2025. The output's channels are in `C` contiguous groups; `G_c` is the mean over group `c` and all positions of
//! `h^2` (CwComp) or of `h` (DeeperForward); the loss is cross-entropy of `G` (or see [`GroupLoss`]). No parameters, no
//! negatives, one pass. Blocks are single convolutions: the partition `layer` of a plain stack.
//!
//! DeeperForward normalises every group of the detached output, without scale or shift (`between`: `group-norm`), which
//! takes the group's goodness out of it, and adds to it what entered the block, brought to its shape without parameters
//! (`shortcut`).
//!
//! What we do differently: where the classes do not divide the channels, the last few are in no group, and `group-norm`
//! normalises all together; the shortcut averages maps and pads channels with zeros where shapes differ.

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

/// What is done to a block's output before the next reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupBetween {
    /// Nothing: batch normalisation inside the block is enough for CwComp.
    #[default]
    None,
    /// Every class group is normalised by itself.
    GroupNorm,
}

/// Settings of `channel-wise`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `goodness` | squared | squared, mean | of a group: CwComp's or DeeperForward's |
/// | `loss` | cross-entropy | cross-entropy, positive-negative, weighted | see [`GroupLoss`] |
/// | `between` | none | none, group-norm | before the next block |
/// | `shortcut` | false | | add what entered a block to what leaves it, without parameters |
/// | `readout` | last | last, sum, mean, weighted, sip | which blocks' scores make the prediction |
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ChannelWiseConfig {
    /// Goodness of a group.
    #[serde(default)]
    pub goodness: GroupGoodness,
    /// Loss of the goodness.
    #[serde(default)]
    pub loss: GroupLoss,
    /// What is done before the next block.
    #[serde(default)]
    pub between: GroupBetween,
    /// Whether what entered a block is added to what leaves it.
    #[serde(default)]
    pub shortcut: bool,
    /// Which blocks' scores make the prediction.
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
