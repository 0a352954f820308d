//! `compare`: compares several rules under the same conditions.
//!
//! Data order and initial weights depend only on the seed, so they are the same in every arm.

use anyhow::Result;
use burn_forward::registry::Registry;
use burn_forward_train::training::Summary;

use super::arms::{Arm, Samples, arms, budget};
use super::trials::{ArmRun, Trials, end_in_order, failures, finished, seconds_per_epoch, spread};
use crate::args::CompareArgs;
use crate::output::note;
use crate::tables::{bytes, grouped, percent, table};

pub(crate) fn run(args: &CompareArgs, registry: &Registry) -> Result<()> {
    end_in_order()?;
    let arms = arms(&args.configs, &args.change, args.checkpointing, registry)?;
    if arms[0].config["schedule"]["name"] == "greedy" {
        note(format_args!(
            "the budget is measured in epochs: the greedy arm '{}' trains every block for up to {} epochs; baselines train for {}",
            arms[0].name,
            arms[0].config["training"]["epochs"],
            budget(&args.configs[0], &args.change, registry)?
        ));
    }
    check(&arms, args, registry)?;
    let trials = Trials { arms: &arms, change: &args.change, seeds: args.seeds, json: args.json };
    let out = trials.folder(args.out.as_deref(), "compare", args.force)?;
    trials.run(&out, &[], |results| render(&arms, results))
}

/// Checks every arm before the first one is trained, and warns about arms with different data.
fn check(arms: &[Arm], args: &CompareArgs, registry: &Registry) -> Result<()> {
    let mut first: Option<(&str, Samples)> = None;
    for arm in arms {
        arm.last_seed(args.seeds)?;
        let samples = arm.check(&args.change, registry)?;
        match &first {
            None => first = Some((&arm.name, samples)),
            Some((name, those)) if samples != *those => note(format_args!(
                "warning: '{}' and '{name}' cannot be compared: they have different data, {} and {}",
                arm.name, samples.0, those.0
            )),
            Some(_) => {}
        }
    }
    Ok(())
}

/// One row per arm, over the seeds that succeeded, followed by the reasons why the others failed.
fn render(arms: &[Arm], results: &[Vec<ArmRun>]) -> String {
    let row = |(arm, runs): (&Arm, &Vec<ArmRun>)| {
        let (done, seeds) = finished(runs);
        row(&arm.name, &done, seeds)
    };
    let rows: Vec<Vec<String>> = arms.iter().zip(results).map(row).collect();
    let head = ["arm", "test accuracy", "sd", "seeds", "s/epoch", "peak memory", "parameters", "with heads"];
    table(&head, &rows) + &failures(arms, results)
}

fn row(name: &str, runs: &[&Summary], seeds: String) -> Vec<String> {
    let dash = || "-".to_owned();
    let Some(first) = runs.first() else {
        return vec![name.into(), "failed".into(), dash(), seeds, dash(), dash(), dash(), dash()];
    };
    let (mean, sd) = spread(&runs.iter().map(|run| run.test_accuracy).collect::<Vec<_>>());
    let peaks: Vec<f64> = runs.iter().filter_map(|run| Some(run.peak_memory_bytes? as f64)).collect();
    let memory = spread(&peaks).0.map(|mean| mean.round() as u64);
    vec![
        name.into(),
        mean.map_or_else(dash, percent),
        sd.map_or_else(dash, |sd| format!("{:.2}", 100.0 * sd)),
        seeds,
        seconds_per_epoch(runs).map_or_else(dash, |seconds| format!("{seconds:.2}")),
        memory.map_or_else(dash, bytes),
        grouped(first.parameters),
        grouped(first.parameters + first.head_parameters),
    ]
}
