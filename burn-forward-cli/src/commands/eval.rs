//! `eval`: evaluates a trained run, or a config with given weights, on the test set.

use anyhow::Result;
use burn::module::Module;
use burn_forward::model::LocalModel;
use burn_forward::registry::Registry;
use burn_forward_train::training::{Run, peak_memory_bytes};
use serde_json::json;

use super::{SavedRun, prepare};
use crate::args::{ChangeArgs, EvalArgs};
use crate::output::{note, print, print_line};
use crate::tables::{percent, table};

/// The run, its model in inference mode, and the content of its `summary.json`.
fn open(args: &EvalArgs, registry: &Registry) -> Result<(Run, LocalModel, serde_json::Value)> {
    if let Some(weights) = &args.weights {
        let change = ChangeArgs {
            sets: args.sets.clone(),
            seed: None,
            device: Some(args.device.clone()),
            data: args.data.clone(),
        };
        let run = prepare(&args.run, &change, registry)?;
        let (model, imported) = burn_forward_train::weights::import(run.model()?, weights, true)?;
        let known = json!({"tensors": imported.tensors, "parameters": imported.parameters});
        return Ok((run, model.valid(), known));
    }
    let (saved, model) = SavedRun::open(&args.run, Some(&args.device), args.data.as_deref(), registry)?.model()?;
    let known = saved.folder.read_json("summary.json").unwrap_or_else(|_| json!({}));
    saved.warn_unless_result();
    if saved.quick_look().some().is_some() {
        note("it is evaluated on the data that it was tested on");
    }
    Ok((saved.prepare_test(&model, registry)?, model, known))
}

pub(crate) fn run(args: &EvalArgs, registry: &Registry) -> Result<()> {
    let (run, model, known) = open(args, registry)?;
    let evaluation = run.test(&model)?;
    if args.json {
        // The keys of `summary.json`, measured again if possible.
        let mut summary = known;
        summary["test_accuracy"] = json!(evaluation.accuracy);
        summary["correct"] = json!(evaluation.correct);
        summary["samples"] = json!(evaluation.samples);
        summary["loss"] = json!(evaluation.loss);
        summary["readouts"] = json!(evaluation.readouts);
        if let Some(blocks) = evaluation.readout_blocks {
            summary["readout_blocks"] = json!(blocks);
        }
        summary["rule"] = json!(run.config.rule_name);
        summary["network"] = json!(run.config.network_name);
        summary["seed"] = json!(run.config.seed);
        summary["device"] = json!(args.device);
        summary["peak_memory_bytes"] = json!(peak_memory_bytes());
        return print_line(summary);
    }
    let accuracy = percent(evaluation.accuracy);
    print_line(format_args!("test accuracy {accuracy} ({} of {})", evaluation.correct, evaluation.samples))?;
    for (name, accuracy) in &evaluation.readouts {
        print_line(format_args!("  readout {name:<11} {}", percent(*accuracy)))?;
    }
    if let Some(blocks) = evaluation.readout_blocks {
        print_line(format_args!("readout from  {blocks} of 0 to {}", evaluation.blocks.len() - 1))?;
    }
    let or_dash = |v: Option<String>| v.unwrap_or_else(|| "-".into());
    let rows: Vec<Vec<String>> = evaluation
        .blocks
        .iter()
        .map(|b| {
            vec![
                b.index.to_string(),
                or_dash(b.accuracy.map(percent)),
                percent(b.dead_units),
                or_dash(b.hoyer.map(|h| format!("{h:.3}"))),
                or_dash(b.goodness.as_ref().map(|g| format!("{:.3}", g.mean_positive))),
                or_dash(b.goodness.as_ref().map(|g| format!("{:.3}", g.mean_negative))),
                or_dash(b.goodness.as_ref().map(|g| format!("{:.2}", g.d_prime))),
            ]
        })
        .collect();
    print_line("")?;
    print(table(&["block", "accuracy", "dead units", "Hoyer", "goodness +", "goodness -", "d'"], &rows))
}
