//! Runs of several configs with several seeds, for `compare` and `sweep`.
//!
//! Every run is a separate process, so that its peak memory is its own. Finished runs are kept, and stopped runs are resumed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use anyhow::Result;
use burn_forward_train::report::{self, RunRecord};
use burn_forward_train::run_folder::RunFolder;
use burn_forward_train::training::Summary;
use serde_json::json;

use super::arms::Arm;
use super::{RunFailed, output_folder};
use crate::args::ChangeArgs;
use crate::output::{note, print, print_line};
use crate::signals;

/// Whether the user has asked the command to end.
static IS_STOPPED: AtomicBool = AtomicBool::new(false);

/// The process that trains at the moment; 0 if there is none.
static TRAINING: AtomicU32 = AtomicU32::new(0);

/// Has Ctrl-C end the command in order: the current run is saved after its step, and no other run is started. Call this
/// function first, as [`signals::on_request_to_end`] needs it.
pub(super) fn end_in_order() -> Result<()> {
    signals::on_request_to_end(|signal| {
        let repeated = IS_STOPPED.swap(true, SeqCst);
        let training = TRAINING.load(SeqCst);
        if training != 0 {
            note(format_args!("\n{signal}: finishing the step ... (repeat to stop at once)"));
            signals::ask_to_end(training);
        }
        if repeated || training == 0 {
            std::process::exit(130);
        }
    })?;
    Ok(())
}

/// Runs a process that trains, and returns its output.
fn run_training(command: &mut Command) -> Result<Output> {
    #[cfg(unix)]
    {
        // The terminal sends Ctrl-C to the whole group, and the process would get it twice.
        use std::os::unix::process::CommandExt as _;
        command.process_group(0);
    }
    let child = command.stdout(Stdio::inherit()).stderr(Stdio::piped()).spawn()?;
    TRAINING.store(child.id(), SeqCst);
    let output = child.wait_with_output();
    TRAINING.store(0, SeqCst);
    Ok(output?)
}

/// Arms, and how to run them.
pub(super) struct Trials<'a> {
    pub(super) arms: &'a [Arm],
    pub(super) change: &'a ChangeArgs,
    /// Number of seeds per arm, counting up from its own seed.
    pub(super) seeds: u64,
    /// Whether every run is printed as a line of JSON.
    pub(super) json: bool,
}

/// One seed of an arm.
pub(super) struct ArmRun {
    pub(super) seed: u64,
    /// The summary of the run, or the reason why it failed.
    pub(super) outcome: Result<Summary, String>,
}

impl Trials<'_> {
    /// The folder for the runs: the one that was asked for, or `runs/<command>-<n>`. It is empty or was begun with the same
    /// arms, and contains no run of another config.
    pub(super) fn folder(&self, asked: Option<&Path>, command: &str, force: bool) -> Result<PathBuf> {
        // It was begun before if the config of one of its runs exists.
        let begun = |out: &Path| self.arms.iter().any(|arm| out.join(arm.file_name(arm.seed())).is_file());
        let out = output_folder(asked, command, |out| force || begun(out))?;
        for arm in self.arms {
            for seed in arm.seed()..=arm.last_seed(self.seeds)? {
                arm.own_folder(&out, seed)?;
            }
        }
        Ok(out)
    }

    /// Trains all arms in folders of `out`, writes the page, and prints its path after the table that `render` makes from the
    /// runs. `varied` are the settings of a sweep.
    pub(super) fn run(&self, out: &Path, varied: &[&str], render: impl Fn(&[Vec<ArmRun>]) -> String) -> Result<()> {
        let mut records = Vec::new();
        let results: Vec<Vec<ArmRun>> =
            self.arms.iter().map(|arm| self.train(arm, out, &mut records)).collect::<Result<_>>()?;
        let page = (!records.is_empty()).then(|| out.join("report.html"));
        if let Some(page) = &page {
            report::write_sweep(&records, varied, page)?;
        }
        if !self.json {
            print(render(&results))?;
            if let Some(page) = &page {
                print_line(format_args!("\nreport {}", page.display()))?;
            }
        }
        let runs = || results.iter().flatten();
        match runs().filter(|run| run.outcome.is_err()).count() {
            0 => Ok(()),
            failed => Err(RunFailed(format!("{failed} of {} runs failed", runs().count())).into()),
        }
    }

    /// Trains an arm with all seeds, and adds to `records` what the report needs.
    fn train(&self, arm: &Arm, out: &Path, records: &mut Vec<RunRecord>) -> Result<Vec<ArmRun>> {
        let mut runs = Vec::new();
        for seed in arm.seed()..=arm.last_seed(self.seeds)? {
            let folder = arm.own_folder(out, seed)?;
            note(format_args!("{} seed {seed}", arm.name));
            let outcome = self.child(arm, seed, &folder)?;
            if self.json {
                let mut line = match &outcome {
                    Ok(summary) => serde_json::to_value(summary)?,
                    Err(reason) => json!({"rule": arm.config["rule"]["name"], "seed": seed, "failed": reason}),
                };
                line["arm"] = json!(arm.name);
                if !arm.settings.is_empty() {
                    line["settings"] = json!(arm.settings);
                }
                print_line(line)?;
            }
            // A run that failed before its first epoch has nothing to plot.
            match RunRecord::load(&folder) {
                Ok(record) => records.push(record),
                Err(error) if outcome.is_ok() => return Err(error.into()),
                Err(_) => {}
            }
            runs.push(ArmRun { seed, outcome });
        }
        Ok(runs)
    }

    /// Trains one arm with one seed in a separate process. Returns its summary, or the reason why it failed.
    ///
    /// # Errors
    /// If the other runs cannot continue: the process cannot be started, or it was stopped.
    fn child(&self, arm: &Arm, seed: u64, folder: &Path) -> Result<Result<Summary, String>> {
        let parent = folder.parent().unwrap_or(Path::new("."));
        let text = arm.document(parent, Some(seed))?;
        let file = parent.join(arm.file_name(seed));
        if !folder.join("summary.json").is_file() {
            burn_forward_train::files::write(&file, text)?;
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("train");
            if folder.join("config.json").is_file() {
                command.arg("--resume").arg(folder);
            } else {
                command.arg(&file).arg("--out").arg(folder);
            }
            command.args(["--quiet", "--device", self.change.device()]);
            if let Some(data) = &self.change.data {
                command.arg("--data").arg(data);
            }
            let output = run_training(&mut command)?;
            let said = String::from_utf8_lossy(&output.stderr);
            if !said.trim().is_empty() {
                note(said.trim_end());
            }
            if !output.status.success() {
                let stopped = || RunFolder::open(folder).ok()?.read_json("run.json").ok();
                if IS_STOPPED.load(SeqCst) || stopped().is_some_and(|info| info["status"] == "interrupted") {
                    let out = parent.display();
                    let next = format!("repeat the command with --out {out} to continue");
                    return Err(RunFailed(format!("arm '{}' with seed {seed} was stopped; {next}", arm.name)).into());
                }
                return Ok(Err(reason(&said).unwrap_or_else(|| output.status.to_string())));
            }
        }
        Ok(Ok(serde_json::from_value(RunFolder::open(folder)?.read_json("summary.json")?)?))
    }
}

/// The error message of a process, without its earlier output.
fn reason(said: &str) -> Option<String> {
    let lines: Vec<&str> = said.lines().skip_while(|line| !line.starts_with("error: ")).collect();
    Some(lines.join("\n").strip_prefix("error: ")?.to_owned())
}

/// The successful runs of an arm, and their number: `3`, or `2 of 3`.
pub(super) fn finished(runs: &[ArmRun]) -> (Vec<&Summary>, String) {
    let done: Vec<&Summary> = runs.iter().filter_map(|run| run.outcome.as_ref().ok()).collect();
    let seeds = match done.len() == runs.len() {
        true => runs.len().to_string(),
        false => format!("{} of {}", done.len(), runs.len()),
    };
    (done, seeds)
}

/// The reasons why runs failed, one per line.
pub(super) fn failures(arms: &[Arm], results: &[Vec<ArmRun>]) -> String {
    let mut failures = String::new();
    for (arm, runs) in arms.iter().zip(results) {
        for ArmRun { seed, outcome } in runs {
            if let Err(reason) = outcome {
                failures += &format!("\n{} seed {seed} failed: {reason}", arm.name);
            }
        }
    }
    if !failures.is_empty() {
        failures.push('\n');
    }
    failures
}

/// Mean and sample standard deviation; `None` without values, and for the deviation of a single value.
pub(super) fn spread(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let n = values.len() as f64;
    let mean = (!values.is_empty()).then(|| values.iter().sum::<f64>() / n);
    let squares = |mean: f64| values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean, mean.filter(|_| values.len() > 1).map(|mean| (squares(mean) / (n - 1.0)).sqrt()))
}

/// The seconds of a run's median epoch, in the mean over runs, as on the page.
pub(super) fn seconds_per_epoch(runs: &[&Summary]) -> Option<f64> {
    spread(&runs.iter().map(|run| run.seconds_per_epoch).collect::<Vec<_>>()).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_of_few_values() {
        assert_eq!(spread(&[]), (None, None));
        assert_eq!(spread(&[0.5]), (Some(0.5), None));
        let (mean, deviation) = spread(&[1.0, 3.0]);
        assert_eq!((mean, deviation), (Some(2.0), Some(2f64.sqrt())));
    }

    #[test]
    fn what_a_process_said_last_is_its_reason() {
        assert_eq!(reason("warning: a\nerror: b\nc\n").as_deref(), Some("b\nc"));
        assert_eq!(reason("warning: a\n"), None);
    }
}
