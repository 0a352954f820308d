//! Readouts: one prediction from the scores of several blocks.

use std::fmt;

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};

use crate::{Error, require};

/// How the class scores of several blocks are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HeadReadout {
    /// The last block's scores. All other heads can be dropped after training.
    #[default]
    Last,
    /// The sum of all blocks' scores.
    Sum,
    /// The mean of all blocks' scores: the same prediction as `sum`, on a scale that does not depend on the number of blocks.
    Mean,
    /// The mean of the blocks' class probabilities, in which block `l` (from 1) has weight `l`.
    Weighted,
    /// The mean over the contiguous range of blocks that is best on the validation set when training ends; over all blocks
    /// until then, and if there are no validation samples. Inference drops the blocks above the range (SIP of DeeperForward:
    /// Sun et al., ICLR 2025).
    Sip,
}

/// A contiguous range of blocks, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRange {
    /// The first block.
    pub first: usize,
    /// The last block, which belongs to the range.
    pub last: usize,
}

impl BlockRange {
    /// The range of all `blocks` blocks.
    pub fn all(blocks: usize) -> Self {
        Self { first: 0, last: blocks.saturating_sub(1) }
    }

    /// The part of the range that a network with `blocks` blocks has; its last block if there is none.
    #[must_use]
    pub fn clamped_to(self, blocks: usize) -> Self {
        let last = self.last.min(blocks.saturating_sub(1));
        Self { first: self.first.min(last), last }
    }
}

impl fmt::Display for BlockRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "block {}", self.first),
            false => write!(f, "blocks {} to {}", self.first, self.last),
        }
    }
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
    ///
    /// # Panics
    /// If the index `primary` is not that of a readout.
    pub fn primary(&self) -> Tensor<2> {
        let readouts = self.readouts.len();
        require(self.primary < readouts, || {
            let needed = format!("below {readouts}, the number of readouts");
            Error::argument("Scores::primary", "index of the readout in force", self.primary, needed)
        });
        self.readouts[self.primary].1.clone()
    }

    /// The scores of classifying heads, one per block, with every readout of them. The readout of `chosen` blocks is only
    /// included if it is the one in force.
    ///
    /// # Panics
    /// If there are no heads, or their scores differ in shape.
    pub fn of_heads(heads: Vec<Tensor<2>>, readout: HeadReadout, chosen: BlockRange) -> Self {
        require(!heads.is_empty(), || Error::argument("Scores::of_heads", "number of heads", 0, ">= 1"));
        let shape = heads[0].dims();
        if let Some((index, head)) = heads.iter().enumerate().find(|(_, head)| head.dims() != shape) {
            require(false, || {
                let needed = format!("{shape:?}, that of head 0");
                let what = format!("shape of the scores of head {index}");
                Error::argument("Scores::of_heads", what, format!("{:?}", head.dims()), needed)
            });
        }
        let last = heads[heads.len() - 1].clone();
        let sum = sum(&heads);
        let mean = sum.clone() / heads.len() as f64;
        let votes: usize = (1..=heads.len()).sum();
        let probability =
            |(l, scores): (usize, &Tensor<2>)| softmax(scores.clone(), 1) * ((l + 1) as f64 / votes as f64);
        let weighted = heads.iter().enumerate().skip(1).fold(probability((0, &heads[0])), |a, b| a + probability(b));
        // Scores are always logits: the logarithm of the probability, with a guard against 0.
        let weighted = (weighted + 1e-12).log();
        let mut readouts = vec![("last", last), ("sum", sum), ("mean", mean), ("weighted", weighted)];
        if readout == HeadReadout::Sip {
            let BlockRange { first, last } = chosen.clamped_to(heads.len());
            readouts.push(("sip", self::sum(&heads[first..=last]) / (last - first + 1) as f64));
        }
        Self {
            blocks: heads.into_iter().map(Some).collect(),
            readouts,
            primary: match readout {
                HeadReadout::Last => 0,
                HeadReadout::Sum => 1,
                HeadReadout::Mean => 2,
                HeadReadout::Weighted => 3,
                HeadReadout::Sip => 4,
            },
        }
    }
}

fn sum(heads: &[Tensor<2>]) -> Tensor<2> {
    heads.iter().skip(1).fold(heads[0].clone(), |a, b| a + b.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn a_chosen_range_is_read_and_changes_no_other_readout() {
        let head = |v: f32| Tensor::<2>::from_floats([[v, 2.0 * v]], &Device::flex());
        let heads = || vec![head(1.0), head(2.0), head(6.0)];
        let values = |t: Tensor<2>| t.into_data().iter::<f32>().collect::<Vec<_>>();
        let all = BlockRange::all(3);
        let chosen = Scores::of_heads(heads(), HeadReadout::Sip, BlockRange { first: 1, last: 2 });
        assert_eq!(values(chosen.primary()), [4.0, 8.0]);
        let plain = Scores::of_heads(heads(), HeadReadout::Mean, all);
        assert_eq!(plain.readouts.len(), 4);
        for ((name, a), (same, b)) in plain.readouts.iter().zip(&chosen.readouts) {
            assert_eq!((name, values(a.clone())), (same, values(b.clone())));
        }
        assert_eq!(values(Scores::of_heads(heads(), HeadReadout::Sip, all).primary()), [3.0, 6.0]);
    }

    #[test]
    fn a_range_fits_a_shorter_network() {
        let range = BlockRange { first: 1, last: 3 };
        assert_eq!(range.clamped_to(3), BlockRange { first: 1, last: 2 });
        assert_eq!(range.clamped_to(1), BlockRange { first: 0, last: 0 });
        assert_eq!((range.to_string(), range.clamped_to(1).to_string()), ("blocks 1 to 3".into(), "block 0".into()));
    }
}
