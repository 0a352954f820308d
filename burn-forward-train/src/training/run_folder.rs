//! The folder of a run: what is in it, and how it survives a kill at any moment.

use std::fs::{self, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::manifest::{file_name, manifest_name};
use super::record;
use super::run::Run;
use crate::config::RunConfig;
use crate::files::is_remains;
use burn_forward::{Error, Result};

/// A run's folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

/// Keeps a run's folder for one process, see [`RunFolder::lock`].
#[derive(Debug)]
pub struct RunLock {
    _file: fs::File,
}

/// One row of `metrics.jsonl`: an epoch, a split, and a block or the whole network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricRow {
    /// Epoch, from 1; under a greedy schedule it counts on from block to block.
    pub epoch: usize,
    /// `train` or `validation`.
    pub split: String,
    /// Block, from 0; `None` is the whole network.
    pub block: Option<usize>,
    /// Mean loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Accuracy of the block's own readout, or of the network's; a fraction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Mean goodness of positives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goodness_positive: Option<f64>,
    /// Mean goodness of negatives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goodness_negative: Option<f64>,
    /// Their difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separation: Option<f64>,
    /// Seconds the split took (rows of the whole network only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Block that learned in this epoch, under a greedy schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<usize>,
}

impl RunFolder {
    /// A folder for a new run at `path`: one that is not there yet, or an empty one.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if there is a run in it already or anything else, [`Error::Write`] if it cannot be made.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let run = Self::without_run(path.into())?;
        // A run that was killed before its first file may have left its lock.
        let mut names = entries(&run.path).into_iter().map(|(_, name)| name);
        if let Some(name) = names.find(|name| name != LOCK && !is_remains(name)) {
            let found = format!("is no run and not empty: \"{name}\" is in it");
            let needed = "another `--out`, or `--force` to put the run beside it and replace files of the same names";
            return Err(Error::run_folder(&run.path, format!("{found}; needed: {needed}")));
        }
        fs::create_dir_all(&run.path).map_err(|e| Error::write(&run.path, e))?;
        Ok(run)
    }

    /// As [`create`](Self::create), in a folder with other files, too. Those with names of a run's files are deleted, so that
    /// the run starts at its beginning; all others stay.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if there is a run in it already, [`Error::Write`] if it cannot be made or a file not be deleted.
    pub fn create_among_others(path: impl Into<PathBuf>) -> Result<Self> {
        let run = Self::without_run(path.into())?;
        fs::create_dir_all(&run.path).map_err(|e| Error::write(&run.path, e))?;
        for name in RUN_FILES {
            run.delete(name)?;
        }
        for (path, name) in entries(&run.checkpoints()) {
            if epoch_of(&name).is_some() {
                fs::remove_file(&path).map_err(|e| Error::write(&path, e))?;
            }
        }
        Ok(run)
    }

    fn without_run(path: PathBuf) -> Result<Self> {
        if path.exists() && !path.is_dir() {
            return Err(Error::run_folder(&path, "is a file; needed: a folder, or a name that is not there yet"));
        }
        if path.join("config.json").exists() {
            return Err(Error::run_folder(
                &path,
                "there is a run in it already; give another `--out`, or go on with `--resume`",
            ));
        }
        Ok(Self { path })
    }

    /// The first of `runs/<name>-1`, `runs/<name>-2` ... that is not there yet.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot be made.
    pub fn create_next(parent: &Path, name: &str) -> Result<Self> {
        let mut n = 1;
        while parent.join(format!("{name}-{n}")).exists() {
            n += 1;
        }
        Self::create(parent.join(format!("{name}-{n}")))
    }

    /// An existing run.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if there is no run in it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        if !path.join("config.json").is_file() {
            return Err(Error::run_folder(&path, "found no config.json; needed: a folder that `train` made"));
        }
        Ok(Self { path })
    }

    /// Takes the folder for this process: two that train in one folder would spoil each other's checkpoints and metrics.
    ///
    /// The lock ends with the value or, however it ends, with the process. Its file `.lock` stays and says nothing.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if another process has it, [`Error::Write`] if the file cannot be made.
    pub fn lock(&self) -> Result<RunLock> {
        let path = self.file(LOCK);
        let file = fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| Error::write(&path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let problem = "another process is training in it; needed: that it ends, or another folder";
                return Err(Error::run_folder(&self.path, problem));
            }
            // A file system without locks: training there is better than not.
            Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => {
                tracing::warn!(path = %path.display(), "no lock: {e}");
            }
            Err(TryLockError::Error(e)) => return Err(Error::io(&path, e)),
        }
        Ok(RunLock { _file: file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Folder of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoint")
    }

    /// Writes a JSON file, [whole](crate::files::write).
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string_pretty(value).map_err(|e| Error::burn("writing JSON", e))?;
        text.push('\n');
        self.write(name, text.as_bytes())
    }

    /// Writes a file, [whole](crate::files::write).
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        crate::files::write(self.file(name), bytes)
    }

    /// Deletes a file, if it is there.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn delete(&self, name: &str) -> Result<()> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::write(path, e)),
            _ => Ok(()),
        }
    }

    /// Reads a JSON file.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if it is missing or no JSON.
    pub fn read_json(&self, name: &str) -> Result<Value> {
        let bytes = burn_forward::input::read(&self.file(name)).map_err(|e| {
            let problem = match e {
                Error::Io { source, .. } => format!("{name} cannot be read: {source}"),
                other => other.to_string(),
            };
            Error::run_folder(&self.path, problem)
        })?;
        serde_json::from_slice(&bytes).map_err(|e| Error::run_folder(&self.path, format!("{name} is damaged: {e}")))
    }

    /// Refuses a config that is not the one the run was begun with; more epochs are welcome.
    ///
    /// # Errors
    /// [`Error::Config`] with every setting that differs, and [`Error::RunFolder`] for damaged files.
    pub fn check_config(&self, config: &RunConfig) -> Result<()> {
        record::check_config(self, config)
    }

    /// Refuses data other than what the run was begun with.
    ///
    /// # Errors
    /// [`Error::RunFolder`] with what the data was and is.
    pub fn check_data(&self, run: &Run) -> Result<()> {
        record::check_data(self, run)
    }

    /// The rows of `metrics.jsonl`; none if there is no such file. A torn last line, left by a kill, is dropped.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::RunFolder`] for a damaged line before the last.
    pub fn rows(&self) -> Result<Vec<MetricRow>> {
        Ok(self.lines()?.into_iter().map(|(_, row)| row).collect())
    }

    /// Drops the rows of epochs after `last_epoch` and a torn last line from `metrics.jsonl`, and returns the others.
    ///
    /// What stays, stays byte for byte: numbers that were read and written again could end in another digit, and a
    /// resumed run's file would differ from an uninterrupted one's.
    ///
    /// # Errors
    /// As [`rows`](Self::rows), and [`Error::Write`] if the file cannot be written.
    pub fn keep_rows(&self, last_epoch: usize) -> Result<Vec<MetricRow>> {
        let mut text = String::new();
        let mut rows = Vec::new();
        for (line, row) in self.lines()? {
            if row.epoch <= last_epoch {
                text.push_str(&line);
                text.push('\n');
                rows.push(row);
            }
        }
        self.write("metrics.jsonl", text.as_bytes())?;
        Ok(rows)
    }

    /// The lines of `metrics.jsonl` with the rows in them.
    fn lines(&self) -> Result<Vec<(String, MetricRow)>> {
        let path = self.file("metrics.jsonl");
        if !path.exists() {
            return Ok(Vec::new());
        }
        // Not as text at once: a kill may tear a line anywhere, and a damaged disk may leave no UTF-8.
        let bytes = burn_forward::input::read(&path)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let mut rows = Vec::with_capacity(lines.len());
        for (i, line) in lines.iter().enumerate() {
            match serde_json::from_str(line) {
                Ok(row) => rows.push(((*line).to_string(), row)),
                Err(_) if i + 1 == lines.len() => {}
                Err(e) => {
                    let problem = format!("metrics.jsonl line {} is damaged: {e}", i + 1);
                    return Err(Error::run_folder(&self.path, problem));
                }
            }
        }
        Ok(rows)
    }

    /// Deletes what a kill left behind: files under temporary names, checkpoints that are not whole, and those after epoch
    /// `last`, from which a run goes on.
    ///
    /// # Errors
    /// [`Error::Write`] if a file cannot be deleted.
    pub fn delete_remains(&self, last: Option<usize>) -> Result<()> {
        let mut whole = self.checkpointed_epochs();
        whole.retain(|epoch| Some(*epoch) <= last);
        let torn = |name: &str| epoch_of(name).is_some_and(|epoch| !whole.contains(&epoch));
        for (path, name) in entries(&self.checkpoints()).into_iter().chain(entries(&self.path)) {
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
    pub(super) fn last_begun(&self) -> usize {
        let rows = self.rows().unwrap_or_default();
        rows.iter().map(|row| row.epoch).chain(self.epochs_with_files()).max().unwrap_or(0)
    }

    /// Epochs of which there is any file of a checkpoint, in order.
    pub(super) fn epochs_with_files(&self) -> Vec<usize> {
        let mut epochs: Vec<usize> =
            entries(&self.checkpoints()).iter().filter_map(|(_, name)| epoch_of(name)).collect();
        epochs.sort_unstable();
        epochs.dedup();
        epochs
    }

    /// Whether any checkpoint has a manifest; those of earlier versions have none.
    pub(super) fn has_manifests(&self) -> bool {
        entries(&self.checkpoints()).iter().any(|(_, name)| name.starts_with("epoch-") && epoch_of(name).is_some())
    }

    /// The weights after an epoch that was saved.
    pub fn model_of_epoch(&self, epoch: usize) -> PathBuf {
        self.checkpoints().join(file_name("model", epoch))
    }
}

/// The file that is locked while a run trains.
const LOCK: &str = ".lock";

/// What the files of one checkpoint begin with.
pub(super) const CHECKPOINT_FILES: [&str; 3] = ["model", "optim", "scheduler"];

/// The rows of all epochs.
pub(super) const METRICS: &str = "metrics.jsonl";

/// The files of a run beside its config and its checkpoints.
const RUN_FILES: [&str; 9] = [
    "run.json",
    "metrics.jsonl",
    "summary.json",
    "evaluation.json",
    "model.safetensors",
    "readout.json",
    "graph.json",
    "audit.json",
    "report.html",
];

/// The epoch of a checkpoint's file.
fn epoch_of(name: &str) -> Option<usize> {
    let number = |kind: &&str| name.strip_prefix(*kind)?.strip_prefix('-')?.strip_suffix(".bpk")?.parse().ok();
    let of_manifest = || name.strip_prefix("epoch-")?.strip_suffix(".json")?.parse().ok();
    CHECKPOINT_FILES.iter().find_map(number).or_else(of_manifest)
}

/// Path and name of the files of a folder; none if there is no such folder.
fn entries(folder: &Path) -> Vec<(PathBuf, String)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries.filter_map(|e| e.ok().map(|e| (e.path(), e.file_name().to_string_lossy().into_owned()))).collect()
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
    fn a_torn_last_line_is_dropped_and_an_earlier_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::create(dir.path().join("r")).unwrap();
        let good = r#"{"epoch":1,"split":"train","block":null,"loss":0.5}"#;
        run.write("metrics.jsonl", format!("{good}\n{{\"epo").as_bytes()).unwrap();
        assert_eq!(run.rows().unwrap().len(), 1);
        run.write("metrics.jsonl", format!("nonsense\n{good}\n").as_bytes()).unwrap();
        assert!(run.rows().unwrap_err().to_string().contains("line 1"));
    }

    #[test]
    fn kept_rows_are_kept_byte_for_byte() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::create(dir.path().join("r")).unwrap();
        // Odd but valid spellings that reading and writing would change.
        let first = r#"{"split":"train","epoch":1, "block":null,"loss":0.10000000000000000555}"#;
        let second = r#"{"epoch":2,"split":"train","block":0,"loss":1e-1}"#;
        let third = r#"{"epoch":3,"split":"train","block":null,"loss":0.5}"#;
        run.write("metrics.jsonl", format!("{first}\n{second}\n{third}\n{{\"epoch\":3,\"spl").as_bytes()).unwrap();
        assert_eq!(run.keep_rows(2).unwrap().iter().map(|r| r.epoch).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(fs::read_to_string(run.file("metrics.jsonl")).unwrap(), format!("{first}\n{second}\n"));
        // Only the line end was torn off.
        run.write("metrics.jsonl", first.as_bytes()).unwrap();
        run.keep_rows(1).unwrap();
        assert_eq!(fs::read_to_string(run.file("metrics.jsonl")).unwrap(), format!("{first}\n"));
        run.keep_rows(0).unwrap();
        assert_eq!(fs::read(run.file("metrics.jsonl")).unwrap(), b"");
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
        run.delete_remains(Some(1)).unwrap();
        for name in whole.iter().chain(&["notes.txt", "best-of-block-0.bpk"]) {
            assert!(run.checkpoints().join(name).is_file(), "{name}");
        }
        for name in remains {
            assert!(!run.checkpoints().join(name).exists(), "{name}");
        }
        assert!(run.file("summary.json").is_file() && !run.file(".burn-forward-Ab12Cd").exists());
    }

    #[test]
    fn a_folder_is_trained_in_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::create(dir.path().join("r")).unwrap();
        let lock = run.lock().unwrap();
        let refused = run.lock().unwrap_err().to_string();
        assert!(refused.contains("another process is training in it"), "{refused}");
        drop(lock);
        run.lock().unwrap();
    }

    #[test]
    fn a_run_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::create(dir.path().join("r")).unwrap();
        run.write_json("config.json", &serde_json::json!({})).unwrap();
        assert!(RunFolder::create(dir.path().join("r")).is_err());
        assert!(RunFolder::create_among_others(dir.path().join("r")).is_err());
        assert!(RunFolder::open(dir.path()).is_err());
    }

    #[test]
    fn a_folder_with_other_files_is_asked_for_twice() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("checkpoint")).unwrap();
        let (stay, go) = (["notes.txt", "checkpoint/mine.bpk"], ["metrics.jsonl", "checkpoint/model-3.bpk"]);
        for name in stay.iter().chain(&go) {
            fs::write(dir.path().join(name), "mine").unwrap();
        }
        let refused = RunFolder::create(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("is no run and not empty") && refused.contains("--force"), "{refused}");
        assert!(go.iter().all(|name| dir.path().join(name).is_file()));
        RunFolder::create_among_others(dir.path()).unwrap();
        assert!(stay.iter().all(|name| dir.path().join(name).is_file()));
        assert!(!go.iter().any(|name| dir.path().join(name).exists()));
    }
}
