//! Scalable Forward-Forward: class goodness from an auxiliary convolution on every block.
//!
//! Krutsylo 2025, arXiv 2501.03176. For a block with output `u` `[B, C_in, H, W]`:
//!
//! - `A = conv_kxk(u)` `[B, C M, H, W]`, `G_c = mean_{m,hw} A_cm^2` with `M = 1`,
//! - loss `-G_y + log sum_j e^(G_j)`, where the sum is over all classes or over the wrong ones only,
//! - the detached `u` enters the next block, optionally after layer normalisation.
//!
//! The rule needs one forward pass and no negatives. A block may be a layer (the paper's layer-wise mode) or a residual block
//! (hybrid mode), depending on the partition. If the output of the last block consists of features, it has the output layer of
//! the network.
//!
//! What we do differently: `between` is `none` by default instead of the paper's normalisation, so that the trained network is
//! an ordinary one. A `temperature` divides `G`, which has no upper bound. `M` may be more than 1, so that a class can have
//! several patterns. The `head` may be that of a public reimplementation, which has a hidden layer. The head may be placed
//! after copies of later layers, as in AugLocal ([`copies`](super::copies)).

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
/// | `loss` | log-sum-exp | log-sum-exp, margin | over all classes, or the true class against the others |
/// | `head` | class-maps | class-maps, pooled-maps | mean of squares of each class's maps, or a classifier of rectified maps |
/// | `maps` | 1 | 1 to 64 | number of maps of the auxiliary convolution per class |
/// | `kernel` | 1 | odd, 1 to 7 | side of the auxiliary convolution |
/// | `depth` | 0 | 0 to 100 | number of later layers copied between the first block and its head |
/// | `pyramid` | 0.5 | [0, 1] | how much `depth` decreases along the network |
/// | `temperature` | 1 | > 0 | number by which the goodness is divided |
/// | `between` | none | none, rms, l2, layer-norm | normalisation of a block's detached output |
/// | `readout` | last | last, sum, mean, weighted, sip | the blocks whose scores make the prediction, see [`HeadReadout`] |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ScalableForwardForwardConfig {
    /// Loss of the goodness.
    pub loss: ClassLoss,
    /// How scores are computed from the auxiliary maps.
    pub head: MapHead,
    /// Number of maps of the auxiliary convolution per class.
    #[schemars(range(min = 1, max = 64))]
    pub maps: usize,
    /// Side of the auxiliary convolution.
    #[schemars(range(min = 1, max = 7))]
    pub kernel: usize,
    /// Number of later layers copied between the first block and its head.
    #[schemars(range(max = 100))]
    pub depth: usize,
    /// How much `depth` decreases along the network.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pyramid: f64,
    /// Number by which the goodness is divided.
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub temperature: f64,
    /// Normalisation of a block's detached output.
    pub between: Normalisation,
    /// The blocks whose scores make the prediction.
    pub readout: HeadReadout,
}

/// How Scalable Forward-Forward computes scores from the maps of its auxiliary convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MapHead {
    /// The mean of the squares of each class's own maps (as in the paper).
    #[default]
    ClassMaps,
    /// Layer normalisation, ReLU, means of all maps, linear classifier.
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
