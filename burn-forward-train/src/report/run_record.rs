//! A run folder, read into memory.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::run_files::{Audit, RecordedEvaluation, RecordedGraph, RecordedRow, RunInfo, Split, Summary};
use crate::quick_look::QuickLook;
use crate::run_folder::RunFolder;
use crate::training::changed_files;
use crate::{Error, Result};

/// Everything the report knows about one run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    /// The run folder.
    pub folder: PathBuf,
    /// `config.json`, resolved.
    pub config: Value,
    /// `metrics.jsonl`, by epoch, split and block. If a row was written twice, as by a resumed run, the later one.
    pub metrics: Vec<RecordedRow>,
    /// `run.json`.
    pub info: Option<RunInfo>,
    /// `summary.json`.
    pub summary: Option<Summary>,
    /// `evaluation.json`.
    pub evaluation: Option<RecordedEvaluation>,
    /// `audit.json`.
    pub audit: Option<Audit>,
    /// `graph.json`.
    pub graph: Option<RecordedGraph>,
    /// Notes for the reader: rows that were cut off or repeated.
    pub notes: Vec<String>,
}

impl RunRecord {
    /// Reads a run folder. `config.json` and `metrics.jsonl` are required. Any other file may be missing, as in a run
    /// that is still training. A last row of `metrics.jsonl` that was cut off is left out, with a note.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if a required file is missing, or if a file is damaged (with the line);
    /// [`burn_forward::Error::Io`] if a file cannot be read.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        if !folder.is_dir() {
            return Err(Error::run_folder(folder, "there is no such folder"));
        }
        let missing = |file: &str| Error::run_folder(folder, format!("{file} is missing: is this a run folder?"));
        let config = json(folder, "config.json")?.ok_or_else(|| missing("config.json"))?;
        let rows = read(folder, "metrics.jsonl")?.ok_or_else(|| missing("metrics.jsonl"))?;
        let mut notes = Vec::new();
        let metrics = metric_rows(folder, &rows, &mut notes)?;
        let info = match json::<RunInfo>(folder, "run.json")? {
            Some(info) => {
                let mut raw: Value = json(folder, "run.json")?.unwrap_or_default();
                let changed = changed_files(&RunFolder::open(folder)?, &raw);
                if info.status.as_deref() == Some("finished") && !changed.is_empty() {
                    notes.push(format!("changed or removed since the run ended: {}", changed.join(", ")));
                }
                // These are for programs that compare a resumed run. The config has its own section.
                for key in ["config", "sums"] {
                    raw.as_object_mut().and_then(|fields| fields.shift_remove(key));
                }
                Some(RunInfo { raw, ..info })
            }
            None => None,
        };
        Ok(Self {
            folder: folder.to_path_buf(),
            config,
            metrics,
            info,
            summary: json(folder, "summary.json")?,
            evaluation: json(folder, "evaluation.json")?,
            audit: json(folder, "audit.json")?,
            graph: json(folder, "graph.json")?,
            notes,
        })
    }

    /// Name of the run: the recorded one, or else that of the folder.
    pub fn name(&self) -> String {
        let recorded = self.info.as_ref().and_then(|info| info.name.clone());
        recorded
            .or_else(|| self.summary.as_ref()?.name.clone())
            .or_else(|| self.config.get("name")?.as_str().map(str::to_owned))
            .or_else(|| Some(self.folder.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_else(|| self.folder.display().to_string())
    }

    /// How the run ended: `finished`, `interrupted`, `failed` or `running`; `None` if `run.json` does not tell.
    pub fn status(&self) -> Option<&str> {
        self.info.as_ref()?.status.as_deref()
    }

    /// The part of the data that the run used, if not all of it; its figures are then not results.
    pub fn quick_look(&self) -> Option<QuickLook> {
        let recorded = self.info.as_ref().and_then(|info| info.quick_look);
        recorded.or_else(|| self.summary.as_ref()?.quick_look)
    }

    /// Seed of the run.
    pub fn seed(&self) -> Option<u64> {
        self.summary
            .as_ref()
            .and_then(|summary| summary.seed)
            .or_else(|| self.info.as_ref()?.seed)
            .or_else(|| self.config.get("seed")?.as_u64())
    }

    /// Device of the run.
    pub fn device(&self) -> Option<String> {
        self.trait_of("device", |summary| &summary.device).or_else(|| self.info.as_ref()?.device.clone())
    }

    /// Learning rule.
    pub fn rule(&self) -> Option<String> {
        self.trait_of("rule", |summary| &summary.rule)
    }

    /// Network.
    pub fn network(&self) -> Option<String> {
        self.trait_of("network", |summary| &summary.network)
    }

    /// Data set.
    pub fn data(&self) -> Option<String> {
        self.trait_of("data", |summary| &summary.data)
    }

    /// Schedule.
    pub fn schedule(&self) -> Option<String> {
        self.trait_of("schedule", |summary| &summary.schedule)
    }

    /// Accuracy of the final test, a fraction.
    pub fn test_accuracy(&self) -> Option<f64> {
        let tested = self.evaluation.as_ref().filter(|evaluation| evaluation.split.as_deref() != Some("validation"));
        self.summary.as_ref().and_then(|summary| summary.test_accuracy).or_else(|| tested?.accuracy)
    }

    /// Validation accuracy, a fraction. If it comes from the last epoch because the run has no summary, also that
    /// epoch.
    pub fn validation_accuracy(&self) -> Option<(f64, Option<usize>)> {
        let summed_up = self.summary.as_ref().and_then(|summary| summary.validation_accuracy);
        summed_up.map(|accuracy| (accuracy, None)).or_else(|| {
            let of_network = |row: &&RecordedRow| row.split == Split::Validation && row.block.is_none();
            self.metrics.iter().rev().filter(of_network).find_map(|row| Some((row.accuracy?, Some(row.epoch))))
        })
    }

    /// Number of epochs trained.
    pub fn epochs(&self) -> Option<u64> {
        let seen = self.metrics.iter().map(|row| row.epoch as u64).max();
        self.summary.as_ref().and_then(|summary| summary.epochs).or(seen)
    }

    /// Median seconds of an epoch: from the summary, or else from the network's training rows.
    pub fn seconds_per_epoch(&self) -> Option<f64> {
        self.summary.as_ref().and_then(|summary| summary.seconds_per_epoch).or_else(|| {
            let of_network = self.metrics.iter().filter(|row| row.split == Split::Train && row.block.is_none());
            let mut seconds: Vec<f64> = of_network.filter_map(|row| row.seconds).collect();
            seconds.sort_by(f64::total_cmp);
            seconds.get(seconds.len() / 2).copied()
        })
    }

    /// Number of blocks mentioned in any file of the folder.
    pub fn blocks(&self) -> usize {
        let measured = self.metrics.iter().filter_map(|row| row.block).map(|block| block + 1).max().unwrap_or(0);
        let summed_up = self.summary.as_ref().map_or(0, |summary| summary.blocks.len());
        let tested = self.evaluation.as_ref().map_or(0, |evaluation| evaluation.blocks.len());
        measured.max(summed_up).max(tested)
    }

    /// `quantity` over the epochs for one split and one block (`None` for the network): one entry per row, by epoch.
    pub fn curve(
        &self,
        split: Split,
        block: Option<usize>,
        quantity: impl Fn(&RecordedRow) -> Option<f64>,
    ) -> Vec<(f64, Option<f64>)> {
        let rows = self.metrics.iter().filter(|row| row.split == split && row.block == block);
        rows.map(|row| (row.epoch as f64, quantity(row).filter(|value| value.is_finite()))).collect()
    }

    /// A property of the run from its summary, or else from its config: a string, or an object with a `name`, `kind` or
    /// `type`.
    fn trait_of(&self, key: &str, summed_up: impl Fn(&Summary) -> &Option<String>) -> Option<String> {
        self.summary.as_ref().and_then(|summary| summed_up(summary).clone()).or_else(|| {
            let value = self.config.get(key)?;
            let named =
                value.as_str().or_else(|| ["name", "kind", "type"].iter().find_map(|key| value.get(key)?.as_str()));
            named.map(str::to_owned)
        })
    }
}

/// The bytes of a file in the folder; `None` if it is missing.
fn read(folder: &Path, file: &str) -> Result<Option<Vec<u8>>> {
    let path = folder.join(file);
    match burn_forward::input::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(burn_forward::Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn json<T: DeserializeOwned>(folder: &Path, file: &str) -> Result<Option<T>> {
    let Some(bytes) = read(folder, file)? else { return Ok(None) };
    let damaged = |error: serde_json::Error| Error::run_folder(folder, format!("{file}: {error}"));
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

fn metric_rows(folder: &Path, bytes: &[u8], notes: &mut Vec<String>) -> Result<Vec<RecordedRow>> {
    let mut rows = BTreeMap::new();
    let mut repeated = 0;
    let lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    for (i, line) in lines.iter().enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice::<RecordedRow>(line) {
            Ok(row) => repeated += usize::from(rows.insert((row.epoch, row.split, row.block), row).is_some()),
            // Every row ends with a line break, so a last line without one was being written when the run was killed.
            Err(_) if i + 1 == lines.len() => {
                notes.push(format!("metrics.jsonl: the last row (line {}) was cut off and is left out", i + 1));
            }
            Err(error) => {
                // Keep the position within the row; serde's "line 1" would be confusing beside the line of the file.
                let text = error.to_string();
                let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
                let place = format!("metrics.jsonl, line {}, column {}", i + 1, error.column());
                return Err(Error::run_folder(folder, format!("{place}: {reason}")));
            }
        }
    }
    if repeated > 0 {
        let rows = if repeated == 1 { "1 row was".to_owned() } else { format!("{repeated} rows were") };
        notes.push(format!("metrics.jsonl: {rows} written again, as a resumed run does; the later ones are shown"));
    }
    Ok(rows.into_values().collect())
}
