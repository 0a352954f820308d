//! `plan`: prints the block table of a config.

use anyhow::Result;
use burn_forward::model::LocalModel;
use burn_forward::registry::Registry;
use burn_forward_train::training::{BlockPlan, Run, parameter_counts, plan, step_cost, weight_bytes};
use serde_json::json;

use super::prepare;
use crate::args::PlanArgs;
use crate::output::{print, print_line};
use crate::tables::{bytes, grouped, seconds, table};

pub(crate) fn run(args: &PlanArgs, registry: &Registry) -> Result<()> {
    let run = prepare(&args.config.config, &args.config.change, registry)?;
    let model = run.outline()?;
    let blocks = plan(&model, &run.config.optimizer, run.data.rows_per_step(run.config.training.batch_size));
    let table = block_table(&run, &model);
    let cost = args.steps.map(|steps| step_cost(&run, steps)).transpose()?;
    match (args.json, cost) {
        (true, cost) => {
            let mut plan = json!({"blocks": blocks});
            if let Some(cost) = cost {
                plan["measured"] = serde_json::to_value(cost)?;
            }
            print_line(serde_json::to_string_pretty(&plan)?)
        }
        (false, None) => print(table),
        (false, Some(cost)) => {
            let memory = cost.peak_above_base_bytes.map_or("unknown".into(), bytes);
            print(format_args!(
                "{table}measured over {} steps: {} each (fastest {}), peak memory {memory} above the base\n",
                cost.steps,
                seconds(cost.seconds_per_step),
                seconds(cost.fastest_step),
            ))
        }
    }
}

/// `adamw 256, muon 36,864`.
fn by_optimizer(block: &BlockPlan) -> String {
    let parts = block.optimizers.iter().map(|(name, parameters)| format!("{name} {}", grouped(*parameters)));
    parts.collect::<Vec<_>>().join(", ")
}

/// The first and last layer of a block with many layers; `--json` lists all of them.
fn shortened(layers: &str) -> String {
    const MOST: usize = 3;
    let names: Vec<&str> = layers.split(", ").collect();
    match names[..] {
        [first, .., last] if names.len() > MOST => format!("{first}, ... {} more ..., {last}", names.len() - 2),
        _ => layers.to_string(),
    }
}

/// The shape, parameters, head parameters and activation bytes of every block.
pub(crate) fn block_table(run: &Run, model: &LocalModel) -> String {
    let batch = run.data.rows_per_step(run.config.training.batch_size);
    let blocks = plan(model, &run.config.optimizer, batch);
    let several = blocks.iter().any(|b| !b.optimizers.is_empty());
    let rows: Vec<Vec<String>> = blocks
        .iter()
        .map(|b| {
            let mut row = vec![
                format!("{}  {}", b.index, shortened(&b.name)),
                b.output.clone(),
                grouped(b.parameters),
                grouped(b.head_parameters),
                grouped(b.macs),
                bytes(b.activation_bytes as u64),
            ];
            row.extend(several.then(|| by_optimizer(b)));
            row
        })
        .collect();
    let (parameters, heads) = parameter_counts(model);
    let (largest, all) = (
        blocks.iter().map(|b| b.activation_bytes).max().unwrap_or(0),
        blocks.iter().map(|b| b.activation_bytes).sum::<usize>(),
    );
    let mut head = vec!["block", "output", "parameters", "head parameters", "MACs", "activations"];
    head.extend(several.then_some("parameters by optimizer"));
    table(&head, &rows)
        + &format!(
            "\npartition {}; {} parameters for inference, {} for training only\nweights: {} in total\nactivations of a batch of {batch}: {} in the \
             largest block, {} in total\n",
            run.config.partition,
            grouped(parameters),
            grouped(heads),
            bytes(weight_bytes(model)),
            bytes(largest as u64),
            bytes(all as u64),
        )
}
