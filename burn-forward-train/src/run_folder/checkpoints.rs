//! The checkpoints in a run folder.

use std::fs;
use std::path::PathBuf;

use super::folder::RunFolder;
use super::names::{KINDS, MODEL, entries, file_name, manifest_name, position_of, position_of_manifest};
use super::position::Position;
use crate::files::is_remains;
use crate::{Error, Result};

impl RunFolder {
    /// Deletes what a killed run left behind: files with temporary names, incomplete checkpoints, checkpoints after
    /// `last` (the one to resume from), and earlier ones within an epoch.
    ///
    /// # Errors
    /// [`Error::Write`] if a file cannot be deleted.
    pub fn delete_interrupted(&self, last: Option<Position>) -> Result<()> {
        let mut whole = self.whole_checkpoints();
        whole.retain(|at| Some(*at) == last || (Some(*at) < last && !at.is_within_epoch()));
        let goes = |name: &str| position_of(name).is_some_and(|at| !whole.contains(&at));
        for (path, name) in entries(&self.checkpoints()).into_iter().chain(entries(self.path())) {
            if is_remains(&name) || goes(&name) {
                fs::remove_file(&path).map_err(|e| Error::write(&path, e))?;
            }
        }
        Ok(())
    }

    /// The newest complete checkpoint. Whether its files are unchanged is checked by their
    /// [checksums](super::Manifest).
    pub fn newest_checkpoint(&self) -> Option<Position> {
        self.whole_checkpoints().pop()
    }

    /// The newest epoch that was saved at its end.
    pub fn last_checkpoint(&self) -> Option<usize> {
        self.checkpointed_epochs().pop()
    }

    /// Epochs that were saved at their end, in order.
    pub fn checkpointed_epochs(&self) -> Vec<usize> {
        self.whole_checkpoints().into_iter().filter(|at| !at.is_within_epoch()).map(|at| at.epochs).collect()
    }

    /// Checkpoints whose model, optimiser and scheduler were all saved, in order.
    fn whole_checkpoints(&self) -> Vec<Position> {
        let has_manifests = self.has_manifests();
        let mut positions = self.positions_with_files();
        positions.retain(|at| match has_manifests {
            // The manifest is written last.
            true => self.checkpoints().join(manifest_name(*at)).is_file(),
            false if at.is_within_epoch() => false,
            false => KINDS.iter().all(|kind| self.checkpoints().join(file_name(kind, *at)).is_file()),
        });
        positions
    }

    /// The newest epoch with a row or any checkpoint file, or 0 if there is none. Unreadable rows are ignored.
    pub(crate) fn last_begun(&self) -> usize {
        let rows = self.rows().unwrap_or_default();
        let saved = self.positions_with_files().into_iter().map(|at| at.epochs);
        rows.iter().map(|row| row.epoch).chain(saved).max().unwrap_or(0)
    }

    /// Positions with any checkpoint file, in order.
    pub(crate) fn positions_with_files(&self) -> Vec<Position> {
        let mut positions: Vec<Position> =
            entries(&self.checkpoints()).iter().filter_map(|(_, name)| position_of(name)).collect();
        positions.sort_unstable();
        positions.dedup();
        positions
    }

    /// Whether any checkpoint has a manifest; those of earlier versions have none.
    pub(crate) fn has_manifests(&self) -> bool {
        entries(&self.checkpoints()).iter().any(|(_, name)| position_of_manifest(name).is_some())
    }

    /// Path of the weights after an epoch that was saved.
    pub fn model_of_epoch(&self, epoch: usize) -> PathBuf {
        self.model_at(Position::after_epoch(epoch))
    }

    /// Path of the weights at a position that was saved.
    pub fn model_at(&self, at: Position) -> PathBuf {
        self.checkpoints().join(file_name(MODEL, at))
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
        let remains = ["model-2.bpk", "optim-3.bpk", "scheduler-3.bpk", "model-4.bpk.77-0.tmp", "steps-0+5.json"];
        for name in whole.iter().chain(&remains).chain(&["notes.txt", "best-of-block-0.bpk"]) {
            fs::write(run.checkpoints().join(name), b"x").unwrap();
        }
        run.write("summary.json", b"{}").unwrap();
        fs::write(run.file(".burn-forward-Ab12Cd"), b"{").unwrap();
        run.delete_interrupted(Some(Position::after_epoch(1))).unwrap();
        for name in whole.iter().chain(&["notes.txt", "best-of-block-0.bpk"]) {
            assert!(run.checkpoints().join(name).is_file(), "{name}");
        }
        for name in remains {
            assert!(!run.checkpoints().join(name).exists(), "{name}");
        }
        assert!(run.file("summary.json").is_file() && !run.file(".burn-forward-Ab12Cd").exists());
    }
}
