//! What can end training before its last epoch, and the messages for it.

use std::sync::Arc;

use burn::train::{Interrupter, Interruption, TrainingError};

use super::logger::WriteProblem;
use crate::metrics::{NonFinite, NonFiniteGuard};
use crate::run_folder::{METRICS, Position, RunFolder};
use crate::{Error, Result};

/// Watches training for losses that are not finite, metrics that cannot be written, and requests to stop.
pub(super) struct Watch {
    pub(super) interrupter: Interrupter,
    pub(super) guard: NonFiniteGuard,
    pub(super) problem: WriteProblem,
}

impl Watch {
    /// A watch that stops training through `interrupter`.
    pub(super) fn new(interrupter: Interrupter) -> Self {
        let guard = NonFiniteGuard::new(interrupter.clone());
        Self { interrupter, guard, problem: WriteProblem::default() }
    }

    /// Converts the `error` or `interruption` with which burn-train ended the training.
    ///
    /// # Errors
    /// [`Error::NonFinite`], [`Error::Write`] and [`Error::Interrupted`] for what was watched for, and Burn's own
    /// errors.
    pub(super) fn judge(
        &self,
        folder: &RunFolder,
        error: Option<Arc<TrainingError>>,
        interruption: Option<Interruption>,
    ) -> Result<()> {
        if let Some(found) = self.guard.found() {
            return Err(non_finite(folder, found));
        }
        if let Some(error) = error {
            return Err(burn_forward::Error::burn("training", error).into());
        }
        if let Some(problem) = self.problem.lock().ok().and_then(|mut problem| problem.take()) {
            return Err(Error::write(folder.file(METRICS), problem));
        }
        match interruption {
            None => Ok(()),
            Some(interruption) => Err(interrupted(folder, interruption)?),
        }
    }
}

/// This message does not suggest resuming: a resumed run would take the same steps and fail again.
fn non_finite(folder: &RunFolder, NonFinite { block, value, epoch, step }: NonFinite) -> Error {
    let saved = folder.newest_checkpoint().map_or("no epoch was finished, so nothing is saved".into(), |at| {
        let file = folder.model_at(at);
        format!("the last good weights are those of {} in {}", at.named(), file.display())
    });
    let checkpoint = format!("{saved}; a lower optimizer.lr or an optimizer.clip may help");
    Error::NonFinite { block, value, epoch, step, checkpoint }
}

/// The error for training that was asked to stop. The rows of completed epochs are kept.
fn interrupted(folder: &RunFolder, interruption: Interruption) -> Result<Error> {
    let saved = match folder.newest_checkpoint() {
        Some(at) => format!(
            "{} saved; resume with `{} train --resume {}`",
            saved_until(at),
            crate::program_name(),
            folder.path().display()
        ),
        None => "no step was finished, so nothing is saved".into(),
    };
    // The interrupted epoch has left rows that would look like those of a complete epoch.
    folder.keep_rows(folder.last_checkpoint().unwrap_or(0))?;
    let by = interruption.reason.map_or(String::new(), |reason| format!(" by {reason}"));
    Ok(Error::Interrupted(format!("stopped{by}; {saved}")))
}

/// `epochs up to 3 and 120 steps of epoch 4 are`.
fn saved_until(at: Position) -> String {
    let steps = format!("{} {} of epoch {}", at.steps, if at.steps == 1 { "step" } else { "steps" }, at.epochs + 1);
    match at {
        Position { epochs, steps: 0 } => format!("epochs up to {epochs} are"),
        Position { epochs: 0, steps: 1 } => format!("{steps} is"),
        Position { epochs: 0, .. } => format!("{steps} are"),
        Position { epochs, .. } => format!("epochs up to {epochs} and {steps} are"),
    }
}
