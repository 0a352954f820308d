//! Checkpoints that are either whole or not there, and the decisions around them.

use std::fs;
use std::path::PathBuf;

use burn::train::EarlyStoppingStrategy;
use burn::train::checkpoint::{
    Checkpoint, Checkpointer, CheckpointerError, CheckpointingAction, CheckpointingStrategy,
};
use burn::train::metric::store::{Aggregate, Direction, EventStoreClient, Split};

use super::metrics::{Quantity, metric_name};

/// Saves records under a temporary name and renames them, so that a kill leaves the old state or the new one.
pub struct AtomicCheckpointer {
    folder: PathBuf,
    name: &'static str,
}

impl AtomicCheckpointer {
    /// Saves to `folder/<name>-<epoch>.bpk`.
    pub fn new(folder: PathBuf, name: &'static str) -> Self {
        Self { folder, name }
    }

    fn path(&self, epoch: usize) -> PathBuf {
        self.folder.join(format!("{}-{epoch}.bpk", self.name))
    }
}

impl<R: Checkpoint> Checkpointer<R> for AtomicCheckpointer {
    fn save(&self, epoch: usize, record: R) -> Result<(), CheckpointerError> {
        fs::create_dir_all(&self.folder).map_err(CheckpointerError::IOError)?;
        let temporary = self.folder.join(format!("partial-{}-{epoch}.bpk", self.name));
        record.save(temporary.clone())?;
        fs::rename(temporary, self.path(epoch)).map_err(CheckpointerError::IOError)
    }

    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        match fs::remove_file(self.path(epoch)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(CheckpointerError::IOError(e)),
            _ => Ok(()),
        }
    }

    fn restore(&self, epoch: usize) -> Result<R, CheckpointerError> {
        R::load(self.path(epoch))
    }
}

/// Keeps the last two checkpoints and, where asked for, the one with the best validation accuracy. Its only state is what
/// is on disk and in the metrics, so a resumed run decides as an uninterrupted one.
pub struct KeepCheckpoints {
    /// Whether the best epoch is kept too.
    pub best: bool,
    /// Epochs that are on disk.
    pub kept: Vec<usize>,
}

impl CheckpointingStrategy for KeepCheckpoints {
    fn checkpointing(&mut self, epoch: usize, store: &EventStoreClient) -> Vec<CheckpointingAction> {
        let best = if self.best { best_epoch(store) } else { None };
        self.kept.push(epoch);
        let mut actions = vec![CheckpointingAction::Save];
        self.kept.retain(|&kept| {
            let keep = kept + 1 >= epoch || Some(kept) == best;
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
