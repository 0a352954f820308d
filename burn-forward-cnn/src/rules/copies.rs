//! New copies of the layers that follow a block, to be placed before its head.
//!
//! Ma, Wu, Si and Tan 2024, arXiv 2402.17318. Between block `l` (whose last layer has index `l` of `N`) and its head are copies
//! of `D_l` of the following layers, with their own weights. The layers are chosen evenly: `round(l + (N - l - 1)/D_l i)` for
//! `i = 1..D_l`, or all remaining layers. The depth decreases along the network:
//! `D_l = max(1, round(D (1 - rho l/(K - 2)) + rho l/(K - 2)))` for block `l` of `K`.
//!
//! What we do differently: the layers are those of the partition (a residual block is one layer). If the layers that were left
//! out reduce the size of maps, the input of the copy is averaged to the size of its original's input, while the paper inserts
//! strides.

use burn::tensor::Device;
use burn_forward::Result;
use burn_forward::activation::RowShape;
use burn_forward::network::{AnyLayer, Network};
use burn_forward::random::Seed;

use crate::layers::GridPool;

/// How many layers are copied for each block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copying {
    /// `D`: number of layers for the first block; 0 means no copies for any block.
    pub(super) depth: usize,
    /// `rho`: how much the depth decreases along the network.
    pub(super) pyramid: f64,
}

/// The layers of a network that can be copied: those that have parameters.
pub(super) struct Following<'a> {
    layers: Vec<&'a AnyLayer>,
    /// Index of the last layer of every block.
    ends: Vec<usize>,
    copying: Copying,
    seed: Seed,
    device: Device,
}

impl<'a> Following<'a> {
    pub(super) fn new(network: &'a Network, copying: Copying, seed: Seed) -> Self {
        let mut layers = Vec::new();
        let mut ends = Vec::new();
        for block in network.blocks() {
            // Layers that join the previous block are pools.
            layers.extend(block.layers().iter().filter(|l| !l.outline().with_previous));
            ends.push(layers.len().saturating_sub(1));
        }
        Self { layers, ends, copying, seed, device: network.device() }
    }

    /// The copies for block `block`, whose output has the shape `shape`, and the shape of their output.
    pub(super) fn copies_behind(&self, block: usize, shape: RowShape) -> Result<(Vec<AnyLayer>, RowShape)> {
        let Copying { depth, pyramid } = self.copying;
        let mut current = shape;
        let mut copies = Vec::new();
        if depth == 0 {
            return Ok((copies, current));
        }
        let at = self.ends[block];
        for j in chosen(at, self.layers.len(), depth_of(block, self.ends.len(), depth, pyramid)) {
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
        Ok((copies, current))
    }
}

/// Number of layers that are copied for block `l` of `blocks`.
fn depth_of(l: usize, blocks: usize, depth: usize, pyramid: f64) -> usize {
    let along = if blocks > 2 { pyramid * l as f64 / (blocks - 2) as f64 } else { 0.0 };
    (((depth as f64) * (1.0 - along) + along).round() as usize).max(1)
}

/// Indices of the layers that are copied for layer `l` of `n`.
fn chosen(l: usize, n: usize, depth: usize) -> Vec<usize> {
    let left = n - 1 - l;
    if depth >= left {
        return (l + 1..n).collect();
    }
    (1..=depth).map(|i| (l as f64 + left as f64 / depth as f64 * i as f64).round() as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_chosen_evenly_and_the_last_is_always_among_them() {
        // N = 16, D = 2, l = 0: 7.5 and 15; halves are rounded away from zero.
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
