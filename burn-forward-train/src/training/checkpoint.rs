//! Checkpoints that are either whole or not there, and the decisions around them.

use std::fs;
use std::path::PathBuf;

use burn::train::EarlyStoppingStrategy;
use burn::train::checkpoint::{
    Checkpoint, Checkpointer, CheckpointerError, CheckpointingAction, CheckpointingStrategy,
};
use burn::train::metric::store::{Aggregate, Direction, EventStoreClient, Split};

use crate::metrics::{Quantity, metric_name};
use crate::run_folder::{Manifests, file_name, manifest_name};
use crate::schedule::{SharedHistory, best_of_block};

/// Saves records as Burn does: under a temporary name first, so that a kill leaves the old state or the new one.
pub struct AtomicCheckpointer {
    folder: PathBuf,
    kind: &'static str,
    manifests: Manifests,
}

impl AtomicCheckpointer {
    /// Saves to `<kind>-<epoch>.bpk` in `folder`, that of the checkpoints, and tells `manifests`.
    pub fn new(folder: PathBuf, kind: &'static str, manifests: Manifests) -> Self {
        Self { folder, kind, manifests }
    }

    fn path(&self, epoch: usize) -> PathBuf {
        self.folder.join(file_name(self.kind, epoch))
    }
}

fn delete(path: PathBuf) -> Result<(), CheckpointerError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(CheckpointerError::IOError(e)),
        _ => Ok(()),
    }
}

impl<R: Checkpoint> Checkpointer<R> for AtomicCheckpointer {
    fn save(&self, epoch: usize, record: R) -> Result<(), CheckpointerError> {
        fs::create_dir_all(&self.folder).map_err(CheckpointerError::IOError)?;
        record.save(self.path(epoch))?;
        self.manifests.saved(self.kind, epoch).map_err(|e| CheckpointerError::Unknown(e.to_string()))
    }

    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        // First of all: what is left of the checkpoint is none without it.
        delete(self.folder.join(manifest_name(epoch)))?;
        delete(self.path(epoch))
    }

    fn restore(&self, epoch: usize) -> Result<R, CheckpointerError> {
        R::load(self.path(epoch))
    }
}

/// Keeps the last two checkpoints and, where asked for, the best ones. Its only state is what is on disk and in the metrics,
/// so a resumed run decides as an uninterrupted one.
pub struct KeepCheckpoints {
    /// Which epoch is the best, where it is kept too.
    pub best: Best,
    /// Epochs that are on disk.
    pub kept: Vec<usize>,
    /// What makes checkpoints whole.
    pub manifests: Manifests,
}

/// Which epochs have the best weights so far.
#[derive(Debug, Clone)]
pub enum Best {
    /// None is asked for.
    None,
    /// That of the network's best validation accuracy.
    OfNetwork,
    /// That of every block, under a greedy schedule.
    OfBlocks(SharedHistory),
}

impl Best {
    /// The epochs that a run at `epoch` may still go back to.
    fn epochs(&self, epoch: usize, store: &EventStoreClient) -> Vec<usize> {
        match self {
            Self::None => Vec::new(),
            Self::OfNetwork => best_epoch(store).into_iter().collect(),
            Self::OfBlocks(history) => {
                let history = history.get();
                // The checkpoint before this one may be that of the block before.
                let blocks = history.iter().take(epoch).rev().take(2).map(|(block, _)| *block);
                blocks.filter_map(|block| best_of_block(&history, block)).collect()
            }
        }
    }
}

impl CheckpointingStrategy for KeepCheckpoints {
    fn checkpointing(&mut self, epoch: usize, store: &EventStoreClient) -> Vec<CheckpointingAction> {
        // An answer says that all rows of the epoch are written. Where they cannot be read, saving says so.
        let best = self.best.epochs(epoch, store);
        let _ = store.find_metric(&metric_name(None, Quantity::Loss), epoch, Aggregate::Mean, &Split::Train);
        if let Err(e) = self.manifests.begin(epoch) {
            tracing::error!("metrics.jsonl cannot be read: {e}");
        }
        self.kept.push(epoch);
        let mut actions = vec![CheckpointingAction::Save];
        self.kept.retain(|&kept| {
            let keep = kept + 1 >= epoch || best.contains(&kept);
            if !keep {
                actions.push(CheckpointingAction::Delete(kept));
            }
            keep
        });
        actions
    }
}

/// Epoch with the best validation accuracy so far, the first of equals.
pub(crate) fn best_epoch(store: &EventStoreClient) -> Option<usize> {
    store.find_epoch(&metric_name(None, Quantity::Accuracy), Aggregate::Mean, Direction::Highest, &Split::Valid)
}

/// Stops after `patience` epochs without a better validation accuracy. Burn's own strategy keeps its best value in
/// memory and forgets it in a resumed run; this one reads it from the metrics.
#[derive(Clone)]
pub struct Patience {
    /// Epochs to wait.
    pub patience: usize,
}

impl EarlyStoppingStrategy for Patience {
    fn should_stop(&mut self, epoch: usize, store: &EventStoreClient) -> bool {
        best_epoch(store).is_some_and(|best| epoch >= best + self.patience)
    }
}
