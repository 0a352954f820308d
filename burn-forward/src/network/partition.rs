//! Where the block borders are.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Which consecutive layers form a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Partition {
    /// A partition with a name.
    Named(PartitionName),
    /// Blocks of `every` layers; the last may be smaller.
    Every {
        /// Layers per block.
        #[schemars(range(min = 1))]
        every: usize,
    },
}

/// The partitions with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionName {
    /// Every layer is a block.
    #[default]
    Layer,
    /// The whole network is one block: back-propagation.
    Whole,
}

impl Default for Partition {
    fn default() -> Self {
        Self::Named(PartitionName::Layer)
    }
}

impl Partition {
    /// The whole network as one block.
    pub const WHOLE: Self = Self::Named(PartitionName::Whole);
    /// Every layer a block.
    pub const LAYER: Self = Self::Named(PartitionName::Layer);

    /// Number of layers of every block of a network of `layers`.
    ///
    /// # Errors
    /// [`Error::Argument`] for blocks of no layers.
    pub fn sizes(self, layers: usize) -> Result<Vec<usize>> {
        let every = match self {
            Self::Named(PartitionName::Layer) => 1,
            Self::Named(PartitionName::Whole) => layers.max(1),
            Self::Every { every: 0 } => return Err(Error::argument("Partition::sizes", "every", 0, ">= 1")),
            Self::Every { every } => every,
        };
        Ok((0..layers).step_by(every).map(|start| every.min(layers - start)).collect())
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(PartitionName::Layer) => write!(f, "layer"),
            Self::Named(PartitionName::Whole) => write!(f, "whole"),
            Self::Every { every } => write!(f, "every {every} layers"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_add_up() {
        assert_eq!(Partition::LAYER.sizes(3).unwrap(), [1, 1, 1]);
        assert_eq!(Partition::WHOLE.sizes(3).unwrap(), [3]);
        assert_eq!(Partition::Every { every: 2 }.sizes(5).unwrap(), [2, 2, 1]);
        assert!(Partition::Every { every: 0 }.sizes(5).is_err());
    }
}
