//! InfoPro: every block retains the information in the image while it learns to classify.
//!
//! Wang, Ni, Song, Yang and Huang 2021, arXiv 2101.10832. Block `l` of `K` minimises
//! `a_l BCE(decoder(h), x) + b_l CE(aux(h), y)`, where `a` and `b` change linearly from the first block to the last. The last
//! block has the output layer of the network, and only its cross-entropy as the loss.
//!
//! What we do differently: the image goes through the logistic function before it is compared, since inputs may be
//! standardised; the decoder reduces the output to 12 channels before it upsamples.

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
use crate::heads::{AuxiliaryKind, AuxiliaryNetwork, Reconstruction};

/// Settings of `info-pro`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `reconstruction` | [5, 0.5] | >= 0 | `a` of the first and of the last block |
/// | `classification` | [0.05, 1] | >= 0 | `b` of the first and of the last block |
/// | `auxiliary` | cnn | mlp, mlp-sr, cnn | kind of the classifiers, see [`AuxiliaryKind`] |
/// | `readout` | last | last, sum, mean, weighted, sip | the blocks whose scores make the prediction, see [`HeadReadout`] |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct InfoProConfig {
    /// Weight of the reconstruction loss in the first and in the last block.
    #[schemars(inner(range(min = 0.0, max = 1e6)))]
    pub reconstruction: [f64; 2],
    /// Weight of the classification loss in the first and in the last block.
    #[schemars(inner(range(min = 0.0, max = 1e6)))]
    pub classification: [f64; 2],
    /// Kind of the classifiers.
    pub auxiliary: AuxiliaryKind,
    /// The blocks whose scores make the prediction.
    pub readout: HeadReadout,
}

impl Default for InfoProConfig {
    fn default() -> Self {
        Self {
            reconstruction: [5.0, 0.5],
            // With a weight of 0, which the paper uses for many blocks, the classifier of the first block would not learn.
            classification: [0.05, 1.0],
            auxiliary: AuxiliaryKind::Cnn,
            readout: HeadReadout::default(),
        }
    }
}

impl RuleSpec for InfoProConfig {
    fn classifiers(&self) -> Option<&dyn ClassifierSpec> {
        Some(self)
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        Ok(AnyRule::new(self.build_classifiers(network, classes, seed)?))
    }
}

impl ClassifierSpec for InfoProConfig {
    fn build_classifiers(&self, network: &Network, classes: usize, seed: Seed) -> Result<LocalClassifiers> {
        let image = network.input().ok_or_else(|| {
            burn_forward::Error::argument("info-pro", "shape of the images", "unknown", "a network built for images")
        })?;
        let last = (network.len() - 1).max(1) as f64;
        let heads = heads_of(network, classes, seed, |index, shape, draw| {
            let along = index as f64 / last;
            if !matches!(shape, RowShape::Maps { .. }) {
                return Ok(None);
            }
            let between = |[first, last]: [f64; 2]| first + (last - first) * along;
            let classifier = AnyHead::new(AuxiliaryNetwork::new(self.auxiliary, shape, classes, draw)?);
            let weights = [between(self.reconstruction), between(self.classification)];
            Ok(Some(AnyHead::new(Reconstruction::new(classifier, shape, image, weights, draw)?)))
        })?;
        let settings = ClassifierSettings { readout: self.readout, image: true, ..ClassifierSettings::default() };
        Ok(LocalClassifiers::of(heads, settings))
    }
}
