//! Where a run starts: at the beginning, or after its newest intact checkpoint. Everything in the run folder is checked
//! before anything in it is changed.

use super::progress::{final_epoch, is_done};
use super::record;
use super::run::Run;
use super::summary::Summary;
use crate::run_folder::{METRICS, Position, RunFolder, RunLock, check_checkpoint, check_model};
use crate::{Error, Result};

/// A run that may be trained in its run folder.
#[derive(Debug)]
pub struct ReadyRun<'a> {
    pub(super) run: &'a Run,
    pub(super) folder: &'a RunFolder,
    pub(super) state: State,
    notes: Vec<String>,
}

/// What remains to be done.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing: the run is trained and tested.
    Finished(Box<Summary>),
    /// Training from a checkpoint, or from the beginning.
    From(Option<Position>, RunLock),
}

impl<'a> ReadyRun<'a> {
    /// Checks a run folder: its config and data must be those the run was begun with. Finds the newest intact
    /// checkpoint.
    ///
    /// # Errors
    /// [`burn_forward::Error::Config`] for another config. [`Error::RunFolder`] for other data, if another process is
    /// training in the folder, or if a file is missing or damaged and nothing intact is left to resume from.
    pub fn inspect(run: &'a Run, folder: &'a RunFolder) -> Result<Self> {
        record::check_config(folder, &run.config)?;
        record::check_data(folder, run)?;
        let record = record::read(folder)?;
        let mut notes = Vec::new();
        if let Some(record) = record.as_ref().filter(|record| record["status"] == "finished") {
            let summary = folder.read_json("summary.json").and_then(|summary| {
                let damaged = |e| Error::run_folder(folder.path(), format!("summary.json is damaged: {e}"));
                serde_json::from_value::<Summary>(summary).map_err(damaged)
            });
            let rows = folder.rows()?;
            let is_trained = summary.as_ref().is_ok_and(|s| is_done(&run.config, &rows, s.blocks.len()));
            let changed = record::changed_files(folder, record);
            match summary {
                Ok(summary) if is_trained && changed.is_empty() && folder.file("model.safetensors").is_file() => {
                    let last = folder.last_begun();
                    let fault = match check_checkpoint(folder, Position::after_epoch(last)) {
                        Ok(()) => check_model(folder, final_epoch(&run.config, folder, last)?).err(),
                        Err(fault) => Some(fault),
                    };
                    // The run itself is complete.
                    notes.extend(fault.map(|fault| format!("{fault}; the trained weights are in model.safetensors")));
                    return Ok(Self { run, folder, state: State::Finished(Box::new(summary)), notes });
                }
                Ok(_) if changed.is_empty() => {}
                Ok(_) => notes.push(format!("changed since the run ended: {}; writing it again", changed.join(", "))),
                Err(error) => notes.push(format!("{error}; writing it again")),
            }
        }
        let lock = folder.lock()?;
        let from = newest_whole(folder, record.is_some(), &mut notes)?;
        let start = Self { run, folder, state: State::From(from, lock), notes };
        start.check_best()?;
        Ok(start)
    }

    /// Notes for the user: files that were found damaged, and where the run resumes instead.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// If the run ends with its best weights so far, they have to be intact as well.
    fn check_best(&self) -> Result<()> {
        let State::From(Some(Position { epochs: epoch @ 1.., .. }), _) = self.state else { return Ok(()) };
        let best = final_epoch(&self.run.config, self.folder, epoch)?;
        if best == epoch {
            return Ok(());
        }
        check_model(self.folder, best).map_err(|fault| {
            let needed =
                format!("the weights of epoch {best}, the best so far, which \"final-weights\": \"best\" needs");
            Error::run_folder(self.folder.path(), format!("{fault}; needed: {needed}, or a new run"))
        })
    }
}

/// Position of the newest intact checkpoint; `None` for a run that has none yet.
fn newest_whole(folder: &RunFolder, was_begun: bool, notes: &mut Vec<String>) -> Result<Option<Position>> {
    let rows = folder.rows()?; // The error for a damaged row gives its line.
    let mut faults = Vec::new();
    for at in folder.positions_with_files().into_iter().rev() {
        match check_checkpoint(folder, at) {
            Err(fault) => faults.push(fault),
            Ok(()) if !was_begun => {
                let problem = format!("{} is missing, though there are checkpoints", record::RECORD);
                return Err(Error::run_folder(folder.path(), format!("{problem}; needed: the file, or a new run")));
            }
            Ok(()) => {
                if !faults.is_empty() {
                    notes.push(format!("{}; going back to {}", faults.join("; "), at.named()));
                }
                return Ok(Some(at));
            }
        }
    }
    let seen = rows.iter().map(|row| row.epoch).max().unwrap_or(0);
    // Rows are written before the checkpoint, so the first epoch may have rows and no checkpoint.
    if folder.has_manifests() || seen > 1 {
        if faults.is_empty() {
            faults.push(format!("checkpoint/ has no checkpoint, though {METRICS} has rows of {seen} epochs"));
        }
        let problem = format!("nothing intact is left to resume from: {}", faults.join("; "));
        return Err(Error::run_folder(folder.path(), format!("{problem}; needed: the original files, or a new run")));
    }
    if was_begun {
        faults.push("no epoch was saved".into());
        notes.push(format!("{}; starting at epoch 1", faults.join("; ")));
    }
    Ok(None)
}
