//! The contiguous range of blocks that predicts best: SIP of DeeperForward (Sun et al., ICLR 2025,
//! openreview.net/forum?id=kOYnXVQCtA).
//!
//! Among all ranges `first..=last` of blocks, it is the one whose summed class scores classify the most validation
//! samples correctly. Ties go to the range that ends first, since inference stops at its last block, and then to the
//! shortest.

use burn::data::dataloader::DataLoader;

use burn_forward::data::Batch;
use burn_forward::model::LocalModel;
use burn_forward::rules::BlockRange;
use burn_forward::{Error, Result};

/// The best range on all batches of `loader`, for a `model` (an [inference copy](burn::module::Module::valid)) whose
/// blocks all have class scores. The samples should be validation samples: choosing a range on the test set would be
/// training on it.
///
/// # Errors
/// [`Error::Burn`] if the loader fails, [`Error::Argument`] if it is empty or a block has no class scores.
pub fn best_blocks(model: &LocalModel, loader: &dyn DataLoader<Batch>) -> Result<BlockRange> {
    let place = "best_blocks";
    let mut hits = RangeHits::new(model.network.len());
    for batch in loader.iter() {
        let batch = batch.map_err(|e| Error::burn("loading a batch", e))?;
        let scores = model.scores(batch.inputs).blocks.into_iter().map(|scores| {
            let scores =
                scores.ok_or_else(|| Error::argument(place, "a block", "one without class scores", "scores"))?;
            Ok(scores.into_data().iter::<f64>().collect())
        });
        let scores: Vec<Vec<f64>> = scores.collect::<Result<_>>()?;
        let targets: Vec<usize> = batch.targets.to_data().iter::<i64>().map(|class| class as usize).collect();
        hits.count(&scores, &targets);
    }
    match hits.samples {
        0 => Err(Error::argument(place, "number of validation samples", 0, ">= 1")),
        _ => Ok(hits.best()),
    }
}

/// Correct predictions of every range.
struct RangeHits {
    blocks: usize,
    samples: usize,
    /// At index `last * blocks + first`.
    hits: Vec<usize>,
}

impl RangeHits {
    fn new(blocks: usize) -> Self {
        Self { blocks, samples: 0, hits: vec![0; blocks * blocks] }
    }

    /// Adds samples: the scores of every block, row by row, and the samples' classes.
    fn count(&mut self, scores: &[Vec<f64>], targets: &[usize]) {
        let classes = scores.first().map_or(0, |s| s.len() / targets.len().max(1));
        self.samples += targets.len();
        for (row, target) in targets.iter().enumerate() {
            for first in 0..self.blocks {
                let mut sum = vec![0.0; classes];
                for (last, of_block) in scores.iter().enumerate().skip(first) {
                    let of_row = &of_block[row * classes..][..classes];
                    sum.iter_mut().zip(of_row).for_each(|(sum, score)| *sum += score);
                    let predicted = (0..classes).fold(0, |best, c| if sum[c] > sum[best] { c } else { best });
                    // Scores that are not finite predict nothing, in particular not the first class.
                    let right = predicted == *target && !sum.iter().any(|score| score.is_nan());
                    self.hits[last * self.blocks + first] += usize::from(right);
                }
            }
        }
    }

    fn best(&self) -> BlockRange {
        let ranges = (0..self.blocks).flat_map(|last| (0..=last).rev().map(move |first| BlockRange { first, last }));
        let hits = |range: &BlockRange| self.hits[range.last * self.blocks + range.first];
        let better = |best: BlockRange, range: BlockRange| if hits(&range) > hits(&best) { range } else { best };
        ranges.reduce(better).unwrap_or(BlockRange::all(self.blocks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(scores: &[&[[f64; 2]]], targets: &[usize]) -> BlockRange {
        let scores: Vec<Vec<f64>> = scores.iter().map(|block| block.concat()).collect();
        let mut hits = RangeHits::new(scores.len());
        // Use two batches, to check that counts add up.
        let (left, right) = targets.split_at(1);
        hits.count(&scores.iter().map(|s| s[..2].to_vec()).collect::<Vec<_>>(), left);
        hits.count(&scores.iter().map(|s| s[2..].to_vec()).collect::<Vec<_>>(), right);
        hits.best()
    }

    #[test]
    fn blocks_that_are_right_together_are_found() {
        // Three samples of class 0. Alone, blocks 0 to 3 get 0, 2, 2 and 0 of them right. Blocks 1 and 2 together get
        // all three right (2 - 1, 1 + 1, -1 + 2). With block 0 or 3, which score the wrong class highly, fewer are
        // right.
        let wrong: &[[f64; 2]] = &[[0.0, 5.0]; 3];
        let (one, two): (&[_], &[_]) = (&[[2.0, 0.0], [1.0, 0.0], [0.0, 1.0]], &[[0.0, 1.0], [1.0, 0.0], [2.0, 0.0]]);
        assert_eq!(best(&[wrong, one, two, wrong], &[0; 3]), BlockRange { first: 1, last: 2 });
    }

    #[test]
    fn scores_that_are_no_numbers_predict_nothing() {
        let broken: &[[f64; 2]] = &[[f64::NAN, 1.0], [1.0, f64::NAN], [f64::NAN; 2]];
        let half: &[[f64; 2]] = &[[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]];
        assert_eq!(best(&[broken, half], &[0; 3]), BlockRange { first: 1, last: 1 });
    }

    #[test]
    fn of_equals_the_first_to_end_and_of_these_the_shortest() {
        let right: &[[f64; 2]] = &[[1.0, 0.0]; 2];
        let half: &[[f64; 2]] = &[[1.0, 0.0], [0.0, 9.0]];
        // [1, 1], [1, 2] and [2, 2] all get both right: block 1 alone needs the fewest blocks.
        assert_eq!(best(&[half, right, right], &[0, 0]), BlockRange { first: 1, last: 1 });
        // No block is better than block 0.
        assert_eq!(best(&[half, half], &[0, 0]), BlockRange { first: 0, last: 0 });
    }
}
