//! `compare`: several rules on equal terms.
//!
//! Every arm and seed is a process of its own, so that its peak memory is its own. Data order and initial weights follow
//! from the seed, so they are the same in every arm.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use burn_forward::registry::Registry;
use burn_forward_train::report::{self, RunRecord};
use burn_forward_train::run_folder::RunFolder;
use burn_forward_train::training::Summary;
use serde_json::json;

use super::arms::{Arm, Samples, arms, budget};
use super::{RunFailed, output_folder};
use crate::args::CompareArgs;
use crate::output::{note, print, print_line};
use crate::tables::{bytes, grouped, percent, table};

pub(crate) fn run(args: &CompareArgs, registry: &Registry) -> Result<()> {
    let arms = arms(&args.configs, &args.change, args.checkpointing, registry)?;
    if arms[0].config["schedule"]["name"] == "greedy" {
        note(format_args!(
            "budget: epochs. The greedy arm '{}' trains every block for up to {} epochs; baselines train for {}",
            arms[0].name,
            arms[0].config["training"]["epochs"],
            budget(&args.configs[0], &args.change, registry)?
        ));
    }
    check(&arms, args, registry)?;
    // Begun before: the config of one of its runs is there.
    let begun = |out: &Path| arms.iter().any(|arm| out.join(arm.file_name(arm.seed())).is_file());
    let out = output_folder(args.out.as_deref(), "compare", |out| args.force || begun(out))?;
    for arm in &arms {
        for seed in arm.seed()..=arm.last_seed(args.seeds)? {
            arm.own_folder(&out, seed)?;
        }
    }
    let mut records = Vec::new();
    let results: Vec<Vec<ArmRun>> =
        arms.iter().map(|arm| train(arm, args, &out, &mut records)).collect::<Result<_>>()?;
    let report = (!records.is_empty()).then(|| out.join("report.html"));
    if let Some(report) = &report {
        report::write(&records, report)?;
    }
    if !args.json {
        print(render(&arms, &results))?;
        if let Some(report) = &report {
            print_line(format_args!("\nreport {}", report.display()))?;
        }
    }
    let runs = || results.iter().flatten();
    match runs().filter(|run| run.outcome.is_err()).count() {
        0 => Ok(()),
        failed => Err(RunFailed(format!("{failed} of {} runs failed", runs().count())).into()),
    }
}

/// Refuses the comparison for what refuses an arm, before any is trained, and says where arms have other data.
fn check(arms: &[Arm], args: &CompareArgs, registry: &Registry) -> Result<()> {
    let mut first: Option<(&str, Samples)> = None;
    for arm in arms {
        arm.last_seed(args.seeds)?;
        let samples = arm.check(&args.change, registry)?;
        match &first {
            None => first = Some((&arm.name, samples)),
            Some((name, those)) if samples != *those => note(format_args!(
                "warning: '{}' and '{name}' cannot be compared: they have other data, {} and {}",
                arm.name, samples.0, those.0
            )),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Trains an arm with all seeds in folders of `out`, and adds what the report draws of them to `records`.
fn train(arm: &Arm, args: &CompareArgs, out: &Path, records: &mut Vec<RunRecord>) -> Result<Vec<ArmRun>> {
    let mut runs = Vec::new();
    for seed in arm.seed()..=arm.last_seed(args.seeds)? {
        let folder = arm.own_folder(out, seed)?;
        note(format_args!("{} seed {seed}", arm.name));
        let outcome = child(args, arm, seed, &folder)?;
        if args.json {
            let mut line = match &outcome {
                Ok(summary) => serde_json::to_value(summary)?,
                Err(reason) => json!({"rule": arm.config["rule"]["name"], "seed": seed, "failed": reason}),
            };
            line["arm"] = json!(arm.name);
            print_line(line)?;
        }
        // A run that failed before its first epoch has left nothing to draw.
        match RunRecord::load(&folder) {
            Ok(record) => records.push(record),
            Err(error) if outcome.is_ok() => return Err(error.into()),
            Err(_) => {}
        }
        runs.push(ArmRun { seed, outcome });
    }
    Ok(runs)
}

/// One seed of an arm.
struct ArmRun {
    seed: u64,
    /// What the run ended with, or why it failed.
    outcome: Result<Summary, String>,
}

/// Trains one arm with one seed in a process of its own. Returns what it ended with, or why it failed.
///
/// # Errors
/// Where the comparison cannot go on: the process cannot be started, or it was stopped.
fn child(args: &CompareArgs, arm: &Arm, seed: u64, folder: &Path) -> Result<Result<Summary, String>> {
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
        command.args(["--quiet", "--device", args.change.device()]);
        if let Some(data) = &args.change.data {
            command.arg("--data").arg(data);
        }
        let output = command.stdout(Stdio::inherit()).stderr(Stdio::piped()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !said.trim().is_empty() {
            note(said.trim_end());
        }
        if !output.status.success() {
            let stopped = || RunFolder::open(folder).ok()?.read_json("run.json").ok();
            if stopped().is_some_and(|info| info["status"] == "interrupted") {
                return Err(RunFailed(format!("arm '{}' with seed {seed} was stopped", arm.name)).into());
            }
            return Ok(Err(reason(&said).unwrap_or_else(|| output.status.to_string())));
        }
    }
    Ok(Ok(serde_json::from_value(RunFolder::open(folder)?.read_json("summary.json")?)?))
}

/// The message of a process that said why it failed, without what it said before.
fn reason(said: &str) -> Option<String> {
    let lines: Vec<&str> = said.lines().skip_while(|line| !line.starts_with("error: ")).collect();
    Some(lines.join("\n").strip_prefix("error: ")?.to_owned())
}

/// One row per arm, over the seeds that ended well; below, why the others did not.
fn render(arms: &[Arm], results: &[Vec<ArmRun>]) -> String {
    let mut failures = String::new();
    let mut rows = Vec::with_capacity(arms.len());
    for (arm, runs) in arms.iter().zip(results) {
        let mut done = Vec::with_capacity(runs.len());
        for ArmRun { seed, outcome } in runs {
            match outcome {
                Ok(summary) => done.push(summary),
                Err(reason) => failures += &format!("\n{} seed {seed} failed: {reason}", arm.name),
            }
        }
        let seeds = match done.len() == runs.len() {
            true => runs.len().to_string(),
            false => format!("{} of {}", done.len(), runs.len()),
        };
        rows.push(row(&arm.name, &done, seeds));
    }
    let head = ["arm", "test accuracy", "sd", "seeds", "s/epoch", "peak memory", "parameters", "with heads"];
    table(&head, &rows) + &failures + if failures.is_empty() { "" } else { "\n" }
}

fn row(name: &str, runs: &[&Summary], seeds: String) -> Vec<String> {
    let Some(first) = runs.first() else {
        let dash = || "-".to_owned();
        return vec![name.into(), "failed".into(), dash(), seeds, dash(), dash(), dash(), dash()];
    };
    let n = runs.len() as f64;
    let mean = runs.iter().map(|r| r.test_accuracy).sum::<f64>() / n;
    let sd = (runs.iter().map(|r| (r.test_accuracy - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let mut seconds: Vec<f64> = runs.iter().map(|r| r.seconds_per_epoch).collect();
    seconds.sort_by(f64::total_cmp);
    let memory = runs.iter().filter_map(|r| r.peak_memory_bytes).max();
    vec![
        name.into(),
        percent(mean),
        if runs.len() > 1 { format!("{:.2}", 100.0 * sd) } else { "-".into() },
        seeds,
        format!("{:.2}", seconds[seconds.len() / 2]),
        memory.map_or("-".into(), bytes),
        grouped(first.parameters),
        grouped(first.parameters + first.head_parameters),
    ]
}
