//! Local errors: prediction and similarity matching on every block.
//!
//! Nokland and Eidnes 2019, arXiv 1901.06656. For a block with output `h`:
//!
//! - `pred` is the cross-entropy of a linear classifier on `h`, which is averaged to at most 4096 features; the initial weights
//!   are zero;
//! - `sim` is `mean (S(F(h)) - S(Y))^2` over the `B x B` similarities of the batch. `F` is a 3x3 convolution (a square matrix
//!   for features). `S(X)` contains the cosines between the centred rows of `X`; for maps, `X` is the standard deviation of
//!   every channel over positions. `Y` contains the one-hot labels;
//! - `predsim` is `(1 - beta) pred + beta sim`.
//!
//! What we do differently: under `sim`, a classifier learns from the detached output, so that every block has a readout.

use burn_forward::Result;
use burn_forward::network::Network;
use burn_forward::random::Seed;
use burn_forward::rules::{
    AnyHead, AnyRule, ClassifierSettings, ClassifierSpec, HeadReadout, LocalClassifiers, RuleSpec,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::block_heads::heads_of;
use crate::heads::{LocalErrorKind, LocalErrors};

/// Settings of `predsim`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `error` | predsim | pred, sim, predsim | the error that a block learns from |
/// | `beta` | 0.99 | [0, 1] | weight of the similarity in predsim |
/// | `readout` | last | last, sum, mean, weighted, sip | the blocks whose scores make the prediction, see [`HeadReadout`] |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PredsimConfig {
    /// The error that a block learns from.
    pub error: LocalErrorKind,
    /// Weight of the similarity.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub beta: f64,
    /// The blocks whose scores make the prediction.
    pub readout: HeadReadout,
}

impl Default for PredsimConfig {
    fn default() -> Self {
        Self { error: LocalErrorKind::default(), beta: 0.99, readout: HeadReadout::default() }
    }
}

impl RuleSpec for PredsimConfig {
    fn classifiers(&self) -> Option<&dyn ClassifierSpec> {
        Some(self)
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        Ok(AnyRule::new(self.build_classifiers(network, classes, seed)?))
    }
}

impl ClassifierSpec for PredsimConfig {
    fn build_classifiers(&self, network: &Network, classes: usize, seed: Seed) -> Result<LocalClassifiers> {
        let heads = heads_of(network, classes, seed, |_, shape, draw| {
            Ok(Some(AnyHead::new(LocalErrors::new(shape, classes, self.error, self.beta, draw)?)))
        })?;
        let settings = ClassifierSettings { readout: self.readout, ..ClassifierSettings::default() };
        Ok(LocalClassifiers::of(heads, settings))
    }
}
