//! Readouts: from what the blocks say to one prediction.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How class scores of several blocks become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeadReadout {
    /// The last block's scores: one pass, all other heads can be thrown away after training.
    #[default]
    Last,
    /// The sum of all blocks' scores.
    Sum,
}

/// Class scores of one batch.
#[derive(Debug, Clone)]
pub struct Scores {
    /// Every block's own readout `[B, C]`; `None` for a block that has none.
    pub blocks: Vec<Option<Tensor<2>>>,
    /// Every readout of the network by name `[B, C]`.
    pub readouts: Vec<(&'static str, Tensor<2>)>,
    /// Index of the readout in force.
    pub primary: usize,
}

impl Scores {
    /// The scores of the readout in force `[B, C]`.
    pub fn primary(&self) -> Tensor<2> {
        self.readouts[self.primary].1.clone()
    }

    /// Scores of classifying heads, one per block, with both readouts.
    pub fn of_heads(heads: Vec<Tensor<2>>, readout: HeadReadout) -> Self {
        let last = heads[heads.len() - 1].clone();
        let sum = heads.iter().skip(1).fold(heads[0].clone(), |a, b| a + b.clone());
        Self {
            blocks: heads.into_iter().map(Some).collect(),
            readouts: vec![("last", last), ("sum", sum)],
            primary: match readout {
                HeadReadout::Last => 0,
                HeadReadout::Sum => 1,
            },
        }
    }
}
