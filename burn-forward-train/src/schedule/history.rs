//! Progress of a greedy run: which block learned in which epoch, and its validation accuracy.

use std::sync::{Arc, Mutex};

/// The current position of a greedy run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// The block that learns.
    pub block: usize,
    /// Number of epochs it has learned for.
    pub epochs: usize,
}

/// The phase after epochs with the given `history` (block and validation accuracy of each), or `None` when every block
/// is finished. A block is finished after `epochs` epochs, or after `patience` epochs without a better accuracy.
/// Without accuracies, patience never runs out.
pub fn next_phase(
    history: &[(usize, Option<f64>)],
    blocks: usize,
    epochs: usize,
    patience: Option<usize>,
) -> Option<Phase> {
    let Some(&(block, _)) = history.last() else {
        return Some(Phase { block: 0, epochs: 0 });
    };
    let done = history.iter().filter(|(b, _)| *b == block).count();
    // Without accuracies the last epoch counts as the best, so no epochs count as waiting.
    let waited = history.len() - best_of_block(history, block).unwrap_or(history.len());
    if done >= epochs || patience.is_some_and(|patience| waited >= patience) {
        return (block + 1 < blocks).then_some(Phase { block: block + 1, epochs: 0 });
    }
    Some(Phase { block, epochs: done })
}

/// Block and validation accuracy of every epoch so far, shared by the strategy and the choice of checkpoints to keep.
#[derive(Debug, Clone, Default)]
pub struct SharedHistory(Arc<Mutex<History>>);

/// Block and validation accuracy of every epoch, starting with epoch 1.
pub type History = Vec<(usize, Option<f64>)>;

impl SharedHistory {
    /// The history that a resumed run starts with.
    pub fn new(history: History) -> Self {
        Self(Arc::new(Mutex::new(history)))
    }

    /// The current history.
    pub fn get(&self) -> History {
        self.0.lock().map(|history| history.clone()).unwrap_or_default()
    }

    pub(super) fn push(&self, block: usize, accuracy: Option<f64>) {
        if let Ok(mut history) = self.0.lock() {
            history.push((block, accuracy));
        }
    }
}

/// The epoch (from 1) with the best validation accuracy of `block`, the first one in case of a tie. Without accuracies
/// it is the block's last epoch; if the block was not trained, it is `None`.
pub fn best_of_block(history: &[(usize, Option<f64>)], block: usize) -> Option<usize> {
    let of_block = || history.iter().zip(1..).filter(|((b, _), _)| *b == block);
    let accuracies = of_block().filter_map(|((_, accuracy), epoch)| Some((epoch, (*accuracy)?)));
    let best = accuracies.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(epoch, _)| epoch).or_else(|| of_block().last().map(|(_, epoch)| epoch))
}
