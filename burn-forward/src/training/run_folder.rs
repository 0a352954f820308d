//! The folder of a run: what is in it, and how it survives a kill at any moment.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, Result};

/// A run's folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
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
    /// A new folder at `path`.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if there is a run in it already, [`Error::Io`] if it cannot be made.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        if path.join("config.json").exists() {
            return Err(Error::run_folder(
                &path,
                "there is a run in it already; give another `--out`, or go on with `--resume`",
            ));
        }
        fs::create_dir_all(&path).map_err(|e| Error::io(&path, e))?;
        Ok(Self { path })
    }

    /// The first of `runs/<name>-1`, `runs/<name>-2` ... that is not there yet.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be made.
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

    /// Writes a JSON file under a temporary name and renames it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(|e| Error::burn("writing JSON", e))?;
        self.write(name, text.as_bytes())
    }

    /// Writes a file under a temporary name and renames it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let (path, temporary) = (self.file(name), self.file(&format!(".{name}.partial")));
        let write = || -> std::io::Result<()> {
            let mut file = fs::File::create(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|e| Error::io(&path, e))
    }

    /// Reads a JSON file.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if it is missing or no JSON.
    pub fn read_json(&self, name: &str) -> Result<Value> {
        let text = fs::read_to_string(self.file(name))
            .map_err(|e| Error::run_folder(&self.path, format!("{name} cannot be read: {e}")))?;
        serde_json::from_str(&text).map_err(|e| Error::run_folder(&self.path, format!("{name} is damaged: {e}")))
    }

    /// The rows of `metrics.jsonl`; none if there is no such file. A torn last line, left by a kill, is dropped.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::RunFolder`] for a damaged line before the last.
    pub fn rows(&self) -> Result<Vec<MetricRow>> {
        let path = self.file("metrics.jsonl");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let file = fs::File::open(&path).map_err(|e| Error::io(&path, e))?;
        let lines: Vec<String> =
            BufReader::new(file).lines().collect::<std::io::Result<_>>().map_err(|e| Error::io(&path, e))?;
        let mut rows = Vec::with_capacity(lines.len());
        for (i, line) in lines.iter().enumerate() {
            match serde_json::from_str(line) {
                Ok(row) => rows.push(row),
                Err(_) if i + 1 == lines.len() => {}
                Err(e) => {
                    let problem = format!("metrics.jsonl line {} is damaged: {e}", i + 1);
                    return Err(Error::run_folder(&self.path, problem));
                }
            }
        }
        Ok(rows)
    }

    /// Replaces `metrics.jsonl`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_rows(&self, rows: &[MetricRow]) -> Result<()> {
        let mut text = String::new();
        for row in rows {
            text.push_str(&serde_json::to_string(row).map_err(|e| Error::burn("writing JSON", e))?);
            text.push('\n');
        }
        self.write("metrics.jsonl", text.as_bytes())
    }

    /// The newest epoch whose model, optimiser and scheduler were all saved.
    pub fn last_checkpoint(&self) -> Option<usize> {
        self.checkpointed_epochs().into_iter().max()
    }

    /// Epochs whose model, optimiser and scheduler were all saved.
    pub fn checkpointed_epochs(&self) -> Vec<usize> {
        let folder = self.checkpoints();
        let Ok(entries) = fs::read_dir(&folder) else {
            return Vec::new();
        };
        let mut epochs: Vec<usize> = entries
            .filter_map(|e| e.ok()?.file_name().to_str()?.strip_prefix("model-")?.strip_suffix(".bpk")?.parse().ok())
            .filter(|n| ["optim", "scheduler"].iter().all(|kind| folder.join(format!("{kind}-{n}.bpk")).is_file()))
            .collect();
        epochs.sort_unstable();
        epochs
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
    fn a_run_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::create(dir.path().join("r")).unwrap();
        run.write_json("config.json", &serde_json::json!({})).unwrap();
        assert!(RunFolder::create(dir.path().join("r")).is_err());
        assert!(RunFolder::open(dir.path()).is_err());
    }
}
