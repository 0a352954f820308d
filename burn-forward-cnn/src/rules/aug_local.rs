//! AugLocal: auxiliary networks made of fresh copies of the layers that follow.
//!
//! Ma, Wu, Si and Tan 2024, arXiv 2402.17318. The auxiliary network of block `l` (its last layer has index `l` of `N`) is a
//! copy, with weights of its own, of `D_l` of the following layers, chosen evenly: `round(l + (N - l - 1)/D_l i)` for
//! `i = 1..D_l`, or all that are left; then global average pooling and a classifier. Depths fall along the network,
//! `D_l = max(1, round(D (1 - rho l/(K - 2)) + rho l/(K - 2)))` for block `l` of `K`. Loss: cross-entropy.
//!
//! What we do differently: layers are those of the partition (a residual block is one); where the layers that were left
//! out made maps smaller, the copy's input is averaged to the size that its original reads, where the paper inserts
//! strides.

use burn::tensor::Device;
use burn_forward::Result;
use burn_forward::activation::RowShape;
use burn_forward::network::{AnyLayer, Network};
use burn_forward::random::Seed;
use burn_forward::rules::{AnyHead, AnyRule, ClassifierSettings, HeadReadout, LocalClassifiers, RuleSpec, device_of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::heads_of;
use crate::draw::Draw;
use crate::heads::AuxiliaryNetwork;
use crate::layers::GridPool;

/// Settings of `aug-local`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `depth` | 2 | 1 to 100 | layers `D` of the first auxiliary network |
/// | `pyramid` | 0.5 | [0, 1] | `rho`: how much depths fall along the network |
/// | `readout` | last | last, sum, mean, weighted, sip | which blocks' scores make the prediction |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AugLocalConfig {
    /// Layers of the first auxiliary network.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 100))]
    pub depth: usize,
    /// How much depths fall along the network.
    #[serde(default = "half")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pyramid: f64,
    /// Which blocks' scores make the prediction.
    #[serde(default)]
    pub readout: HeadReadout,
}

fn two() -> usize {
    2
}

fn half() -> f64 {
    0.5
}

/// Depth of the auxiliary network of block `l` of `blocks`.
fn depth_of(l: usize, blocks: usize, depth: usize, pyramid: f64) -> usize {
    let along = if blocks > 2 { pyramid * l as f64 / (blocks - 2) as f64 } else { 0.0 };
    (((depth as f64) * (1.0 - along) + along).round() as usize).max(1)
}

/// Layers that the auxiliary network behind layer `l` of `n` copies.
fn chosen(l: usize, n: usize, depth: usize) -> Vec<usize> {
    let left = n - 1 - l;
    if depth >= left {
        return (l + 1..n).collect();
    }
    (1..=depth).map(|i| (l as f64 + left as f64 / depth as f64 * i as f64).round() as usize).collect()
}

/// What auxiliary networks are copied from.
struct Following<'a> {
    layers: Vec<&'a AnyLayer>,
    classes: usize,
    seed: Seed,
    device: Device,
}

impl Following<'_> {
    /// The auxiliary network behind layer `at`, whose output has `shape`.
    fn network(&self, at: usize, depth: usize, shape: RowShape, draw: &mut Draw<'_>) -> Result<AuxiliaryNetwork> {
        let mut current = shape;
        let mut copies = Vec::new();
        for j in chosen(at, self.layers.len(), depth) {
            if let (RowShape::Maps { channels, height, width }, RowShape::Maps { height: h, width: w, .. }) =
                (current, self.layers[j - 1].output())
                && (h < height || w < width)
            {
                current = RowShape::Maps { channels, height: h, width: w };
                copies.push(AnyLayer::new(GridPool::new([channels, h, w])));
            }
            let copy = self.layers[j].fresh(current, (at * self.layers.len() + j) as u64, self.seed, &self.device)?;
            current = copy.output();
            copies.push(copy);
        }
        if let RowShape::Maps { channels, .. } = current {
            copies.push(AnyLayer::new(crate::layers::GlobalPool::new(crate::heads::shape_of(current), 0, None)));
            current = RowShape::Features(channels);
        }
        AuxiliaryNetwork::of_layers(copies, current, self.classes, draw)
    }
}

impl RuleSpec for AugLocalConfig {
    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        let device = device_of(network);
        // Layers that have something to learn: the joined ones are pools.
        let layers = network.blocks().iter().flat_map(|b| b.layers()).filter(|l| !l.outline().joined).collect();
        let following = Following { layers, classes, seed, device };
        let ends: Vec<usize> = network
            .blocks()
            .iter()
            .scan(0, |seen, block| {
                *seen += block.layers().iter().filter(|l| !l.outline().joined).count();
                Some((*seen).saturating_sub(1))
            })
            .collect();
        let mut index = 0;
        let heads = heads_of(network, classes, seed, |shape, draw| {
            let l = index;
            index += 1;
            if l + 1 == ends.len() {
                return Ok(None);
            }
            let depth = depth_of(l, ends.len(), self.depth, self.pyramid);
            let network = following.network(ends[l], depth, shape, draw)?;
            Ok(Some(AnyHead::new(network)))
        })?;
        let settings = ClassifierSettings { readout: self.readout, ..ClassifierSettings::default() };
        Ok(AnyRule::new(LocalClassifiers::of(heads, settings)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_chosen_evenly_and_the_last_is_always_among_them() {
        // N = 16, D = 2, l = 0: 7.5 and 15, rounded half away from zero.
        assert_eq!(chosen(0, 16, 2), [8, 15]);
        for (l, depth) in [(0, 1), (3, 2), (7, 3), (14, 4), (10, 20)] {
            let layers = chosen(l, 16, depth);
            assert_eq!(layers.last(), Some(&15));
            assert!(layers.iter().all(|j| *j > l) && layers.windows(2).all(|w| w[0] < w[1]), "{l} {depth}: {layers:?}");
        }
        assert_eq!(chosen(12, 16, 5), [13, 14, 15]);
    }

    #[test]
    fn depths_fall() {
        let depths: Vec<usize> = (0..15).map(|l| depth_of(l, 16, 3, 0.5)).collect();
        assert_eq!((depths[0], depths[14]), (3, 2)); // 3, and 3/2 + 1/2
        assert!(depths.windows(2).all(|w| w[0] >= w[1]));
        assert_eq!(depth_of(0, 1, 4, 0.5), 4);
    }
}
