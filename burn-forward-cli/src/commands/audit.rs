//! `audit`: compares local updates with back-propagation.

use anyhow::{Context, Result};
use burn::module::Module;
use burn_forward::random::Seed;
use burn_forward::registry::Registry;
use burn_forward_train::measure::{Alignment, audit};
use burn_forward_train::run_folder::RunFolder;
use burn_forward_train::training::load_model;
use serde_json::json;

use super::prepare;
use crate::args::AuditArgs;
use crate::output::{print, print_line};
use crate::tables::table;

pub(crate) fn run(args: &AuditArgs, registry: &Registry) -> Result<()> {
    let run = prepare(&args.config.config, &args.config.change, registry)?;
    let model = match &args.run {
        Some(path) => load_model(&run, &RunFolder::open(path)?)?.train(),
        None => run.model()?,
    };
    let loader = run.data.train_loader(run.config.training.batching(), 1, 1, &run.training_device())?;
    let batch = loader.iter().next().context("the training set is empty")?.map_err(|e| anyhow::anyhow!("{e}"))?;
    let blocks = audit(&model, &batch, Seed::new(run.config.seed))?;
    // Print the result before writing it, so that it is not lost if the run folder is not writable.
    let reach = run.config.rule.reach().to_string();
    show(&run.config.rule_name, &reach, &blocks, args.json)?;
    if let Some(path) = &args.run {
        RunFolder::open(path)?.write_json("audit.json", &json!({"reach": reach, "blocks": blocks}))?;
    }
    Ok(())
}

/// `reach` is what crosses the block borders.
fn show(rule: &str, reach: &str, blocks: &[Alignment], as_json: bool) -> Result<()> {
    if as_json {
        return print_line(json!({"reach": reach, "blocks": blocks}));
    }
    print_line(format_args!("what crosses the block borders under '{rule}': {reach}"))?;
    print_line(format_args!(
        "angle between the update of '{rule}' and the back-propagation gradient of the same batch"
    ))?;
    let rows: Vec<Vec<String>> = blocks
        .iter()
        .map(|b| {
            let number = |value: Option<f64>, digits: usize| value.map_or("-".into(), |v| format!("{v:.digits$}"));
            vec![b.index.to_string(), number(b.angle_degrees, 2), number(b.norm_ratio, 4)]
        })
        .collect();
    print(table(&["block", "degrees", "length / gradient"], &rows))
}
