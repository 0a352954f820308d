//! Progress of a run according to the rows of its metrics: whether it is finished, and which epoch is its best.

use crate::Result;
use crate::config::{FinalWeights, RunConfig};
use crate::run_folder::{MetricRow, RunFolder};
use crate::schedule::{best_of_block, next_phase};

/// Block and its validation accuracy for every epoch of a greedy run.
pub(super) fn greedy_history(rows: &[MetricRow]) -> Vec<(usize, Option<f64>)> {
    let mut phases: Vec<(usize, usize)> =
        rows.iter().filter(|r| r.split == "train").filter_map(|r| Some((r.epoch, r.phase?))).collect();
    phases.sort_unstable();
    phases.dedup();
    phases
        .into_iter()
        .map(|(epoch, block)| {
            let row = rows.iter().find(|r| r.epoch == epoch && r.split == "validation" && r.block == Some(block));
            (block, row.and_then(|r| r.accuracy))
        })
        .collect()
}

/// Whether nothing is left to train in a resumed run.
pub(super) fn is_done(config: &RunConfig, rows: &[MetricRow], blocks: usize) -> bool {
    let epochs = config.training.epochs;
    if config.schedule.is_greedy() {
        let (history, patience) = (greedy_history(rows), config.schedule.patience());
        return !history.is_empty() && next_phase(&history, blocks, epochs, patience).is_none();
    }
    let last = rows.iter().map(|r| r.epoch).max().unwrap_or(0);
    let stopped_early = config
        .training
        .patience
        .is_some_and(|patience| best_epoch(rows).is_some_and(|(best, _)| last >= best + patience));
    last >= epochs || stopped_early
}

/// Epoch with the best validation accuracy of the network, the first one in case of a tie, and that accuracy.
pub(super) fn best_epoch(rows: &[MetricRow]) -> Option<(usize, f64)> {
    rows.iter()
        .filter(|r| r.split == "validation" && r.block.is_none())
        .filter_map(|r| Some((r.epoch, r.accuracy?)))
        .fold(None, |best, (epoch, accuracy)| match best {
            Some((_, highest)) if highest >= accuracy => best,
            _ => Some((epoch, accuracy)),
        })
}

/// The epoch whose weights the run ends with, if its last epoch is `last`.
pub(super) fn final_epoch(config: &RunConfig, folder: &RunFolder, last: usize) -> Result<usize> {
    if config.training.final_weights == FinalWeights::Last {
        return Ok(last);
    }
    let mut rows = folder.rows()?;
    rows.retain(|r| r.epoch <= last);
    let best = match config.schedule.is_greedy() {
        true => {
            let history = greedy_history(&rows);
            history.last().and_then(|(block, _)| best_of_block(&history, *block))
        }
        false => best_epoch(&rows).map(|(epoch, _)| epoch),
    };
    Ok(best.unwrap_or(last))
}
