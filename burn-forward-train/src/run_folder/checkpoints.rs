//! The checkpoints in a run's folder.

use std::fs;
use std::path::PathBuf;

use super::folder::RunFolder;
use super::names::{CHECKPOINT_FILES, entries, epoch_of, epoch_of_manifest, file_name, manifest_name};
use crate::files::is_remains;
use crate::{Error, Result};

impl RunFolder {
    /// Deletes what a kill left behind: files under temporary names, checkpoints that are not whole, and those after epoch
    /// `last`, from which a run goes on.
    ///
    /// # Errors
    /// [`Error::Write`] if a file cannot be deleted.
    pub fn delete_interrupted(&self, last: Option<usize>) -> Result<()> {
        let mut whole = self.checkpointed_epochs();
        whole.retain(|epoch| Some(*epoch) <= last);
        let torn = |name: &str| epoch_of(name).is_some_and(|epoch| !whole.contains(&epoch));
        for (path, name) in entries(&self.checkpoints()).into_iter().chain(entries(self.path())) {
            if is_remains(&name) || torn(&name) {
                fs::remove_file(&path).map_err(|e| Error::write(&path, e))?;
            }
        }
        Ok(())
    }

    /// The newest epoch that was saved, see [`checkpointed_epochs`](Self::checkpointed_epochs).
    pub fn last_checkpoint(&self) -> Option<usize> {
        self.checkpointed_epochs().into_iter().max()
    }

    /// Epochs whose model, optimiser and scheduler were all saved, in order. Whether the files are still as they were saved
    /// is known by their [sums](super::Manifest).
    pub fn checkpointed_epochs(&self) -> Vec<usize> {
        let folder = self.checkpoints();
        let has_manifests = self.has_manifests();
        let is_there = |name: String| folder.join(name).is_file();
        let mut epochs = self.epochs_with_files();
        epochs.retain(|epoch| {
            let files = CHECKPOINT_FILES.iter().all(|kind| is_there(file_name(kind, *epoch)));
            files && (!has_manifests || is_there(manifest_name(*epoch)))
        });
        epochs
    }

    /// The newest epoch of which there is a row or any file of a checkpoint, 0 for none. Rows that cannot be read count for
    /// nothing.
    pub(crate) fn last_begun(&self) -> usize {
        let rows = self.rows().unwrap_or_default();
        rows.iter().map(|row| row.epoch).chain(self.epochs_with_files()).max().unwrap_or(0)
    }

    /// Epochs of which there is any file of a checkpoint, in order.
    pub(crate) fn epochs_with_files(&self) -> Vec<usize> {
        let mut epochs: Vec<usize> =
            entries(&self.checkpoints()).iter().filter_map(|(_, name)| epoch_of(name)).collect();
        epochs.sort_unstable();
        epochs.dedup();
        epochs
    }

    /// Whether any checkpoint has a manifest; those of earlier versions have none.
    pub(crate) fn has_manifests(&self) -> bool {
        entries(&self.checkpoints()).iter().any(|(_, name)| epoch_of_manifest(name).is_some())
    }

    /// The weights after an epoch that was saved.
    pub fn model_of_epoch(&self, epoch: usize) -> PathBuf {
        self.checkpoints().join(file_name("model", epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_counts_only_when_whole() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::create(dir.path().join("r")).unwrap();
        fs::create_dir_all(run.checkpoints()).unwrap();
        for f in ["model-1.bpk", "optim-1.bpk", "scheduler-1.bpk", "model-2.bpk", "optim-2.bpk", "model-3.bpk.partial"]
        {
            fs::write(run.checkpoints().join(f), b"x").unwrap();
        }
        assert_eq!(run.last_checkpoint(), Some(1));
    }

    #[test]
    fn remains_of_a_kill_are_deleted_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::create(dir.path().join("r")).unwrap();
        fs::create_dir_all(run.checkpoints()).unwrap();
        let whole = ["model-1.bpk", "optim-1.bpk", "scheduler-1.bpk"];
        let remains = ["model-2.bpk", "optim-3.bpk", "scheduler-3.bpk", "model-4.bpk.77-0.tmp"];
        for name in whole.iter().chain(&remains).chain(&["notes.txt", "best-of-block-0.bpk"]) {
            fs::write(run.checkpoints().join(name), b"x").unwrap();
        }
        run.write("summary.json", b"{}").unwrap();
        fs::write(run.file(".burn-forward-Ab12Cd"), b"{").unwrap();
        run.delete_interrupted(Some(1)).unwrap();
        for name in whole.iter().chain(&["notes.txt", "best-of-block-0.bpk"]) {
            assert!(run.checkpoints().join(name).is_file(), "{name}");
        }
        for name in remains {
            assert!(!run.checkpoints().join(name).exists(), "{name}");
        }
        assert!(run.file("summary.json").is_file() && !run.file(".burn-forward-Ab12Cd").exists());
    }
}
