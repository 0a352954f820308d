//! Block borders. A partition is computed from the outlines of the layers, never listed by hand.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The place of a layer in its architecture, from which a partition is computed, and the kind of the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerOutline {
    /// Stage, from 0: the layers with the same resolution, if the architecture has stages.
    pub stage: usize,
    /// Whether the layer is a residual (or inverted-residual) block. No border may cut its shortcut.
    pub residual: bool,
    /// Whether the layer has nothing to learn (such as a pool) and is therefore always in the same block as the layer before
    /// it.
    pub with_previous: bool,
    /// Whether the layer is a linear map followed by a function, so that it has an [affine](super::Layer::affine) half.
    pub affine: bool,
}

/// Which consecutive layers form a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Partition {
    /// A named partition.
    Named(PartitionName),
    /// Blocks of `every` layers; the last block may be smaller.
    Every {
        /// Number of layers per block.
        #[cfg_attr(feature = "config", schemars(range(min = 1)))]
        every: usize,
    },
    /// A given number of blocks with nearly equal activation memory; the largest block is as small as possible.
    Blocks {
        /// Number of blocks.
        #[cfg_attr(feature = "config", schemars(range(min = 1)))]
        blocks: usize,
    },
}

/// Named partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PartitionName {
    /// Every layer is a block.
    #[default]
    Layer,
    /// Every residual block is a block, and so is everything before the first one (a stem). Layers between or after them join
    /// the preceding block.
    Residual,
    /// Every stage is a block.
    Stage,
    /// The whole network is one block, as in back-propagation.
    Whole,
}

impl PartitionName {
    fn name(self) -> &'static str {
        match self {
            Self::Layer => "layer",
            Self::Residual => "residual",
            Self::Stage => "stage",
            Self::Whole => "whole",
        }
    }
}

impl Default for Partition {
    fn default() -> Self {
        Self::Named(PartitionName::Layer)
    }
}

impl Partition {
    /// The whole network as one block.
    pub const WHOLE: Self = Self::Named(PartitionName::Whole);
    /// Every layer is a block.
    pub const LAYER: Self = Self::Named(PartitionName::Layer);
    /// Every residual block is a block.
    pub const RESIDUAL: Self = Self::Named(PartitionName::Residual);
    /// Every stage is a block.
    pub const STAGE: Self = Self::Named(PartitionName::Stage);

    /// Number of blocks of a network with these layers, which is known before there are weights or inputs.
    ///
    /// # Errors
    /// The errors of [`sizes`](Self::sizes).
    pub fn count(self, layers: &[LayerOutline]) -> Result<usize> {
        Ok(self.sizes(layers, &vec![1; layers.len()])?.len())
    }

    /// Number of layers in every block of a network with these layers, where `bytes` are the bytes of activations that each
    /// layer keeps.
    ///
    /// # Errors
    /// [`Error::Argument`] for blocks without layers, more blocks than layers, or residual blocks or stages that the network
    /// does not have.
    pub fn sizes(self, layers: &[LayerOutline], bytes: &[usize]) -> Result<Vec<usize>> {
        let place = "Partition::sizes";
        // A unit is a layer together with those joined to it. Borders are between units only.
        let units: Vec<usize> = (0..layers.len()).filter(|&i| i == 0 || !layers[i].with_previous).collect();
        let end = |unit: usize| units.get(unit + 1).copied().unwrap_or(layers.len());
        let borders: Vec<usize> = match self {
            Self::Named(PartitionName::Layer) => units.clone(),
            Self::Named(PartitionName::Whole) => vec![0],
            Self::Named(name @ PartitionName::Residual) => {
                let residual: Vec<usize> = units.iter().copied().filter(|&i| layers[i].residual).collect();
                if residual.is_empty() {
                    return Err(Error::argument(
                        place,
                        "partition",
                        format!("\"{}\" for a network without residual blocks", name.name()),
                        "layer, whole, {\"every\": n} or {\"blocks\": n}",
                    ));
                }
                std::iter::once(0).chain(residual.into_iter().filter(|&i| i > 0)).collect()
            }
            Self::Named(name @ PartitionName::Stage) => {
                let starts: Vec<usize> =
                    units.iter().copied().filter(|&i| i == 0 || layers[i].stage != layers[i - 1].stage).collect();
                if starts.len() == 1 && units.len() > 1 {
                    return Err(Error::argument(
                        place,
                        "partition",
                        format!("\"{}\" for a network without stages", name.name()),
                        "layer, whole, {\"every\": n} or {\"blocks\": n}",
                    ));
                }
                starts
            }
            Self::Every { every: 0 } => return Err(Error::argument(place, "every", 0, ">= 1")),
            Self::Every { every } => units.iter().copied().step_by(every).collect(),
            Self::Blocks { blocks } if blocks == 0 || blocks > units.len() => {
                return Err(Error::argument(
                    place,
                    "blocks",
                    blocks,
                    format!("1 to {}, the number of layers", units.len()),
                ));
            }
            Self::Blocks { blocks } => {
                let of_unit = |u: usize| bytes[units[u]..end(u)].iter().sum::<usize>();
                let weights: Vec<usize> = (0..units.len()).map(of_unit).collect();
                balanced(&weights, blocks).into_iter().map(|unit| units[unit]).collect()
            }
        };
        let ends = borders.iter().skip(1).copied().chain([layers.len()]);
        Ok(borders.iter().zip(ends).map(|(start, end)| end - start).collect())
    }
}

/// First items of `parts` contiguous parts, for the partition that minimises the largest sum of `weights`; in case of a tie,
/// the one with the earlier borders.
fn balanced(weights: &[usize], parts: usize) -> Vec<usize> {
    let n = weights.len();
    let mut before = vec![0; n + 1];
    for (i, w) in weights.iter().enumerate() {
        before[i + 1] = before[i] + w;
    }
    // best[p][i]: smallest possible largest sum for items i.. in p parts; first[p][i]: start of the second of these parts.
    let mut best = vec![vec![usize::MAX; n + 1]; parts + 1];
    let mut first = vec![vec![n; n + 1]; parts + 1];
    best[0][n] = 0;
    for p in 1..=parts {
        for i in (0..n).rev() {
            for j in i + 1..=n {
                if best[p - 1][j] == usize::MAX {
                    continue;
                }
                let largest = (before[j] - before[i]).max(best[p - 1][j]);
                if largest < best[p][i] {
                    best[p][i] = largest;
                    first[p][i] = j;
                }
            }
        }
    }
    let mut starts = Vec::with_capacity(parts);
    let mut at = 0;
    for p in (1..=parts).rev() {
        starts.push(at);
        at = first[p][at];
    }
    starts
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name.name()),
            Self::Every { every } => write!(f, "every {every} layers"),
            Self::Blocks { blocks } => write!(f, "{blocks} blocks"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(n: usize) -> Vec<LayerOutline> {
        vec![LayerOutline::default(); n]
    }

    #[test]
    fn sizes_add_up() {
        let sizes = |p: Partition, n| p.sizes(&plain(n), &vec![1; n]);
        assert_eq!(sizes(Partition::LAYER, 3).unwrap(), [1, 1, 1]);
        assert_eq!(sizes(Partition::WHOLE, 3).unwrap(), [3]);
        assert_eq!(sizes(Partition::Every { every: 2 }, 5).unwrap(), [2, 2, 1]);
        assert_eq!(sizes(Partition::Blocks { blocks: 5 }, 5).unwrap(), [1; 5]);
        assert!(sizes(Partition::Every { every: 0 }, 5).is_err());
        assert!(sizes(Partition::Blocks { blocks: 0 }, 5).is_err());
        assert!(sizes(Partition::Blocks { blocks: 6 }, 5).is_err());
        assert!(sizes(Partition::RESIDUAL, 5).unwrap_err().to_string().contains("without residual blocks"));
        assert!(sizes(Partition::STAGE, 5).unwrap_err().to_string().contains("without stages"));
    }

    /// A stem, two stages of two residual blocks, a last convolution and a pool.
    fn residual_network() -> Vec<LayerOutline> {
        let at = |stage, residual| LayerOutline { stage, residual, ..LayerOutline::default() };
        let pool = LayerOutline { stage: 1, with_previous: true, ..LayerOutline::default() };
        vec![at(0, false), at(0, true), at(0, true), at(1, true), at(1, true), at(1, false), pool]
    }

    #[test]
    fn borders_follow_the_architecture() {
        let sizes = |p: Partition| p.sizes(&residual_network(), &[1; 7]).unwrap();
        assert_eq!(sizes(Partition::LAYER), [1, 1, 1, 1, 1, 2]);
        assert_eq!(sizes(Partition::RESIDUAL), [1, 1, 1, 1, 3]);
        assert_eq!(sizes(Partition::STAGE), [3, 4]);
        assert_eq!(sizes(Partition::Every { every: 4 }), [4, 3]);
        assert_eq!(Partition::RESIDUAL.count(&residual_network()).unwrap(), 5);
    }

    #[test]
    fn blocks_have_nearly_equal_memory() {
        let sizes = |bytes: &[usize], blocks| Partition::Blocks { blocks }.sizes(&plain(bytes.len()), bytes).unwrap();
        // By hand: 8 | 4 4 | 2 2 2 2 is the only partition into three whose largest block is 8.
        assert_eq!(sizes(&[8, 4, 4, 2, 2, 2, 2], 3), [1, 2, 4]);
        assert_eq!(sizes(&[1, 1, 1, 9], 2), [3, 1]);
        assert_eq!(sizes(&[5, 5, 5], 1), [3]);
    }
}
