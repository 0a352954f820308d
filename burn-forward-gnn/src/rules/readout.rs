//! Predictions from the scores of all blocks or of the last block.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use burn_forward::rules::Scores;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The blocks whose scores make the prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NodeReadout {
    /// All blocks: the mean of their class probabilities.
    #[default]
    MeanProbability,
    /// The last block only.
    Last,
}

impl NodeReadout {
    /// The name among the readouts of an evaluation.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MeanProbability => MEAN_PROBABILITY,
            Self::Last => "last",
        }
    }
}

/// Name of the readout that averages the blocks' class probabilities.
pub(super) const MEAN_PROBABILITY: &str = "mean-probability";

/// The scores of every block, with the readouts `mean-probability`, which is the logarithm of the mean of the blocks' class
/// probabilities, and `last`.
pub(super) fn mean_of_probabilities(blocks: Vec<Tensor<2>>) -> Scores {
    let last = blocks[blocks.len() - 1].clone();
    let sum = blocks[1..].iter().fold(softmax(blocks[0].clone(), 1), |sum, b| sum + softmax(b.clone(), 1));
    let mean = (sum / blocks.len() as f64).clamp_min(1e-30).log();
    let readouts = vec![(MEAN_PROBABILITY, mean), ("last", last)];
    Scores { blocks: blocks.into_iter().map(Some).collect(), readouts, primary: 0 }
}
