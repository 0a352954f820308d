//! `plan`: the block table of a config.

use anyhow::Result;
use burn_forward::training::{LocalModel, Run, plan};

use super::prepare;
use crate::args::PlanArgs;
use crate::output::{print, print_line};
use crate::tables::{bytes, grouped, table};

pub(crate) fn run(args: &PlanArgs) -> Result<()> {
    let run = prepare(&args.config.config, &args.config.change)?;
    let model = run.model()?;
    if args.json {
        let rows = run.data.rows_per_step(run.config.training.batch_size);
        print_line(serde_json::to_string_pretty(&plan(&model, rows))?)
    } else {
        print(block_table(&run, &model))
    }
}

/// Shape, parameters, head parameters and activation bytes of every block.
pub(crate) fn block_table(run: &Run, model: &LocalModel) -> String {
    let batch = run.data.rows_per_step(run.config.training.batch_size);
    let blocks = plan(model, batch);
    let rows: Vec<Vec<String>> = blocks
        .iter()
        .map(|b| {
            vec![
                format!("{}  {}", b.index, b.name),
                b.output.clone(),
                grouped(b.parameters),
                grouped(b.head_parameters),
                grouped(b.macs),
                bytes(b.activation_bytes as u64),
            ]
        })
        .collect();
    let (parameters, heads) = Run::parameter_counts(model);
    let (largest, all) = (
        blocks.iter().map(|b| b.activation_bytes).max().unwrap_or(0),
        blocks.iter().map(|b| b.activation_bytes).sum::<usize>(),
    );
    table(&["block", "output", "parameters", "head parameters", "MACs", "activations"], &rows)
        + &format!(
            "\npartition {}; {} parameters for inference, {} that only teach\nactivations of a batch of {batch}: {} in the \
             largest block, {} in all\n",
            run.config.partition,
            grouped(parameters),
            grouped(heads),
            bytes(largest as u64),
            bytes(all as u64),
        )
}
