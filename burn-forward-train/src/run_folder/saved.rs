//! Writing and reading checkpoints: the weights, the states of optimiser and learning-rate schedule, and the steps of
//! an incomplete epoch.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use burn::lr_scheduler::LrSchedulerRecord;
use burn::optim::OptimizerRecord;
use burn::store::{ModuleRecord, RecordError};
use burn_forward::model::StepMetrics;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::folder::RunFolder;
use super::manifest::Manifest;
use super::names::{METRICS, MODEL, OPTIMIZER, SCHEDULER, entries, file_name, manifest_name, position_of, steps_name};
use super::position::Position;
use super::steps::StoredStep;
use crate::files::{hexadecimal, sum_of_file};
use crate::{Error, Result};

/// The contents of a checkpoint besides the weights.
#[derive(Debug)]
pub struct SavedState {
    /// The state of the optimiser.
    pub optimizer: OptimizerRecord,
    /// The state of the learning-rate schedule.
    pub scheduler: LrSchedulerRecord,
    /// Measurements of the steps of an incomplete epoch.
    pub steps: Vec<StepMetrics>,
    /// Seconds that these steps took.
    pub seconds: f64,
}

/// The contents of the file for an incomplete epoch.
#[derive(Debug, Default, Serialize, Deserialize)]
struct StoredEpoch {
    seconds: f64,
    steps: Vec<StoredStep>,
}

/// Writes the checkpoints of a run.
///
/// The manifest is written last, when everything that it names is on disk, so a kill leaves either a complete
/// checkpoint or none.
pub struct CheckpointWriter {
    folder: RunFolder,
    /// Checksum and length in bytes of `metrics.jsonl` up to the last completed epoch.
    rows: (Sha256, u64),
}

impl CheckpointWriter {
    /// A writer for the run in `folder`, whose rows must be those of completed epochs.
    ///
    /// # Errors
    /// Any error from reading `metrics.jsonl`.
    pub fn new(folder: RunFolder) -> Result<Self> {
        let checkpoints = folder.checkpoints();
        fs::create_dir_all(&checkpoints).map_err(|e| Error::write(&checkpoints, e))?;
        let mut writer = Self { folder, rows: (Sha256::new(), 0) };
        if writer.folder.file(METRICS).exists() {
            writer.add_rows()?;
        }
        Ok(writer)
    }

    /// Adds the rows of another completed epoch to those that later checkpoints cover.
    ///
    /// # Errors
    /// Any error from reading `metrics.jsonl`.
    pub fn add_rows(&mut self) -> Result<()> {
        let path = self.folder.file(METRICS);
        let mut fresh = Vec::new();
        let read = |fresh: &mut Vec<u8>| {
            let mut file = File::open(&path)?;
            file.sync_all()?;
            file.seek(SeekFrom::Start(self.rows.1))?;
            file.read_to_end(fresh)
        };
        read(&mut fresh).map_err(|e| burn_forward::Error::io(&path, e))?;
        self.rows.0.update(&fresh);
        self.rows.1 += fresh.len() as u64;
        Ok(())
    }

    /// Saves a checkpoint.
    ///
    /// # Errors
    /// [`Error::Write`] if a file cannot be written.
    pub fn save(&self, at: Position, model: ModuleRecord, state: SavedState) -> Result<()> {
        let SavedState { optimizer, scheduler, steps, seconds } = state;
        let mut files = BTreeMap::new();
        self.write(&mut files, file_name(MODEL, at), |path| model.save(path))?;
        self.write(&mut files, file_name(OPTIMIZER, at), |path| optimizer.save(path))?;
        self.write(&mut files, file_name(SCHEDULER, at), |path| scheduler.save(path))?;
        let folder = self.folder.checkpoints();
        if at.is_within_epoch() {
            let epoch = StoredEpoch { seconds, steps: steps.iter().map(StoredStep::from).collect() };
            let name = steps_name(at);
            crate::files::write(folder.join(&name), json(&epoch)?)?;
            self.add_sum(&mut files, name)?;
        }
        let (rows_sum, rows) = (hexadecimal(self.rows.0.clone()), self.rows.1);
        let manifest = Manifest { epoch: at.epochs, steps: at.steps, rows, rows_sum, files };
        let text = serde_json::to_string_pretty(&manifest).map_err(|e| burn_forward::Error::burn("writing JSON", e))?;
        crate::files::write(folder.join(manifest_name(at)), text + "\n")
    }

    fn write(
        &self,
        files: &mut BTreeMap<String, String>,
        name: String,
        save: impl FnOnce(PathBuf) -> std::result::Result<(), RecordError>,
    ) -> Result<()> {
        let path = self.folder.checkpoints().join(&name);
        save(path.clone()).map_err(|e| Error::write(&path, std::io::Error::other(e.to_string())))?;
        self.add_sum(files, name)
    }

    fn add_sum(&self, files: &mut BTreeMap<String, String>, name: String) -> Result<()> {
        let path = self.folder.checkpoints().join(&name);
        let sum = sum_of_file(&path).map_err(|e| burn_forward::Error::io(&path, e))?;
        files.insert(name, sum);
        Ok(())
    }

    /// Deletes a checkpoint.
    ///
    /// # Errors
    /// [`Error::Write`] if a file cannot be deleted.
    pub fn delete(&self, at: Position) -> Result<()> {
        let folder = self.folder.checkpoints();
        // The manifest first: without it, the remaining files do not count as a checkpoint.
        let manifest = (folder.join(manifest_name(at)), manifest_name(at));
        let others =
            entries(&folder).into_iter().filter(|(_, name)| position_of(name) == Some(at) && *name != manifest.1);
        for (path, _) in std::iter::once(manifest.clone()).chain(others) {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::write(path, e)),
                _ => {}
            }
        }
        Ok(())
    }
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string(value).map_err(|e| burn_forward::Error::burn("writing JSON", e))?)
}

impl RunFolder {
    /// The contents of the checkpoint at a position, besides the weights.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if a file is missing or damaged.
    pub fn saved_state(&self, at: Position) -> Result<SavedState> {
        let problem = |name: &str, what: String| Error::run_folder(self.path(), format!("checkpoint/{name} {what}"));
        let path = |name: &str| self.checkpoints().join(name);
        let unreadable = |kind| move |e: RecordError| problem(&file_name(kind, at), format!("cannot be read: {e}"));
        let optimizer = OptimizerRecord::load(path(&file_name(OPTIMIZER, at))).map_err(unreadable(OPTIMIZER))?;
        let scheduler = LrSchedulerRecord::load(path(&file_name(SCHEDULER, at))).map_err(unreadable(SCHEDULER))?;
        let StoredEpoch { seconds, steps } = if at.is_within_epoch() {
            let name = steps_name(at);
            let bytes = burn_forward::input::read(&path(&name))?;
            serde_json::from_slice(&bytes).map_err(|e| problem(&name, format!("is damaged: {e}")))?
        } else {
            StoredEpoch::default()
        };
        if steps.len() != at.steps {
            return Err(problem(&steps_name(at), format!("has {} steps; needed: {}", steps.len(), at.steps)));
        }
        Ok(SavedState { optimizer, scheduler, steps: steps.into_iter().map(Into::into).collect(), seconds })
    }
}
