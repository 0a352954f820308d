//! Scalable Forward-Forward: class goodness of an auxiliary convolution on every block.
//!
//! Krutsylo 2025, arXiv 2501.03176. For a block with output `u` `[B, C_in, H, W]`:
//!
//! - `A = conv_kxk(u)` `[B, C M, H, W]`, `G_c = mean_{m,hw} A_cm^2` with `M = 1`,
//! - loss `-G_y + log sum_j e^(G_j)`, over all classes or over the wrong ones only,
//! - the detached `u`, layer-normalised where asked for, enters the next block.
//!
//! One forward pass, no negatives. The block may be a layer (the paper's layer-wise mode) or a residual block (hybrid): that
//! is the partition's business. The last block, whose output is features, has the network's output layer.
//!
//! What we do differently: `between` is `none` by default and not the paper's normalisation, so that the trained network
//! is the ordinary one; a `temperature` divides `G`, which has no bound; `M` may be more than 1 (a class may then be known by
//! any of several patterns), the `head` may be a public reimplementation's, which has a hidden layer, and it may stand after
//! copies of layers that follow, as AugLocal's does ([`copies`](super::copies)).

use burn_forward::Result;
use burn_forward::activation::RowShape;
use burn_forward::network::Network;
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::random::Seed;
use burn_forward::rules::{
    AnyHead, AnyRule, ClassifierSettings, ClassifierSpec, HeadReadout, InterBlockNorm, LocalClassifiers, RuleSpec,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::block_heads::heads_of;
use super::copies::{Copying, Following};
use crate::heads::{ClassLoss, ClassMaps, PooledMaps, stacked_head};

/// Settings of `scalable-forward-forward`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `loss` | log-sum-exp | log-sum-exp, margin | over all classes, or the true one against the others |
/// | `head` | class-maps | class-maps, pooled-maps | mean of squares of a class's maps, or a classifier of rectified maps |
/// | `maps` | 1 | 1 to 64 | maps of the auxiliary convolution for every class |
/// | `kernel` | 1 | odd, 1 to 7 | side of the auxiliary convolution |
/// | `depth` | 0 | 0 to 100 | layers that follow, copied between the first block and its head |
/// | `pyramid` | 0.5 | [0, 1] | how much `depth` falls along the network |
/// | `temperature` | 1 | > 0 | divides the goodness |
/// | `between` | none | none, rms, l2, layer-norm | normaliser of a block's detached output |
/// | `readout` | last | last, sum, mean, weighted, sip | which blocks' scores make the prediction |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ScalableForwardForwardConfig {
    /// Loss of the goodness.
    pub loss: ClassLoss,
    /// What is made of the auxiliary maps.
    pub head: MapHead,
    /// Maps of the auxiliary convolution for every class.
    #[schemars(range(min = 1, max = 64))]
    pub maps: usize,
    /// Side of the auxiliary convolution.
    #[schemars(range(min = 1, max = 7))]
    pub kernel: usize,
    /// Layers that follow, copied between the first block and its head.
    #[schemars(range(max = 100))]
    pub depth: usize,
    /// How much `depth` falls along the network.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pyramid: f64,
    /// Divides the goodness.
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub temperature: f64,
    /// Normalisation of a block's detached output.
    pub between: Normalisation,
    /// Which blocks' scores make the prediction.
    pub readout: HeadReadout,
}

/// What scalable Forward-Forward makes of the maps of its auxiliary convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MapHead {
    /// The mean of the squares of each class's own maps (the paper's).
    #[default]
    ClassMaps,
    /// Layer normalisation, rectifier, means of all maps, linear classifier.
    PooledMaps,
}

impl Default for ScalableForwardForwardConfig {
    fn default() -> Self {
        Self {
            loss: ClassLoss::default(),
            head: MapHead::default(),
            maps: 1,
            kernel: 1,
            depth: 0,
            pyramid: 0.5,
            temperature: 1.0,
            between: Normalisation::default(),
            readout: HeadReadout::default(),
        }
    }
}

impl RuleSpec for ScalableForwardForwardConfig {
    fn classifiers(&self) -> Option<&dyn ClassifierSpec> {
        Some(self)
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        Ok(AnyRule::new(self.build_classifiers(network, classes, seed)?))
    }
}

impl ClassifierSpec for ScalableForwardForwardConfig {
    fn build_classifiers(&self, network: &Network, classes: usize, seed: Seed) -> Result<LocalClassifiers> {
        let following = Following::new(network, Copying { depth: self.depth, pyramid: self.pyramid }, seed);
        let heads = heads_of(network, classes, seed, |index, shape, draw| {
            if !matches!(shape, RowShape::Maps { .. }) {
                return Ok(None);
            }
            let (copies, shape) = following.copies_behind(index, shape)?;
            let (loss, kernel, temperature) = (self.loss, self.kernel, self.temperature);
            let head = match self.head {
                MapHead::ClassMaps => {
                    AnyHead::new(ClassMaps::new(shape, classes, self.maps, kernel, loss, temperature, draw)?)
                }
                MapHead::PooledMaps => {
                    let channels = classes * self.maps;
                    AnyHead::new(PooledMaps::new(shape, classes, channels, kernel, loss, temperature, draw)?)
                }
            };
            Ok(Some(stacked_head(copies, head)))
        })?;
        let between = InterBlockNorm { normaliser: self.between, groups: 1 };
        let settings = ClassifierSettings { readout: self.readout, between, ..ClassifierSettings::default() };
        Ok(LocalClassifiers::of(heads, settings))
    }
}
