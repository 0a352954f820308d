//! Readouts: from what the blocks say to one prediction.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
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
    /// Their mean: the sum's prediction, on a scale that does not depend on the number of blocks.
    Mean,
    /// The mean of the blocks' class probabilities, in which block `l` (from 1) counts `l` times.
    Weighted,
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
        let mean = sum.clone() / heads.len() as f64;
        let votes: usize = (1..=heads.len()).sum();
        let probability =
            |(l, scores): (usize, &Tensor<2>)| softmax(scores.clone(), 1) * ((l + 1) as f64 / votes as f64);
        let weighted = heads.iter().enumerate().skip(1).fold(probability((0, &heads[0])), |a, b| a + probability(b));
        // Scores are logits everywhere: the logarithm of the probability, guarded where it is 0.
        let weighted = (weighted + 1e-12).log();
        Self {
            blocks: heads.into_iter().map(Some).collect(),
            readouts: vec![("last", last), ("sum", sum), ("mean", mean), ("weighted", weighted)],
            primary: match readout {
                HeadReadout::Last => 0,
                HeadReadout::Sum => 1,
                HeadReadout::Mean => 2,
                HeadReadout::Weighted => 3,
            },
        }
    }
}
