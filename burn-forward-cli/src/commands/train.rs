//! `train`: a config in, a run folder out.

use std::path::Path;

use anyhow::Result;
use burn::train::renderer::MetricsRenderer;
use burn::train::{ItemLazy, TrainStep};
use burn_forward::report::{self, RunRecord};
use burn_forward::training::{ProgressRenderer, Run, RunFolder, Summary, Verbosity, train};

use super::{RunFailed, prepare, reopen};
use crate::args::TrainArgs;
use crate::tables::{bytes, grouped, percent};

pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    let (run, folder) = match (&args.resume, &args.config) {
        (Some(resume), _) => {
            let (run, folder) = reopen(resume, &args.change.device, args.change.data.as_deref())?;
            (run, Some(folder))
        }
        (None, Some(config)) => (prepare(config, &args.change)?, None),
        (None, None) => anyhow::bail!("needs a config or --resume"),
    };
    if args.dry_run {
        return dry_run(&run);
    }
    let folder = match (folder, &args.out) {
        (Some(folder), _) => folder,
        (None, Some(out)) => RunFolder::create(out)?,
        (None, None) => RunFolder::create_next(Path::new("runs"), &run.config.name)?,
    };
    if !args.quiet {
        eprintln!(
            "{}: {} on {}, {}",
            folder.path().display(),
            run.config.rule_name,
            run.config.network_name,
            run.data.describe()
        );
    }
    let interrupter = run.interrupter();
    ctrlc::set_handler(move || {
        if interrupter.should_stop() {
            // A second Ctrl-C: the user does not want to wait for the step. Checkpoints are renamed into place, so
            // nothing saved is lost.
            std::process::exit(130);
        }
        eprintln!("\nfinishing the step ... (Ctrl-C again to stop at once)");
        interrupter.stop(Some("Ctrl-C"));
    })?;
    let summary = train(&run, &folder, renderer(args))?;
    report::write(&[RunRecord::load(folder.path())?], folder.file("report.html"))?;
    if !args.quiet {
        print_summary(&summary, &folder);
    }
    Ok(())
}

fn renderer(args: &TrainArgs) -> Box<dyn MetricsRenderer> {
    #[cfg(feature = "tui")]
    if args.tui {
        return burn::train::renderer::default_renderer(Default::default(), None);
    }
    Box::new(ProgressRenderer::new(if args.quiet { Verbosity::Quiet } else { Verbosity::Auto }))
}

fn print_summary(s: &Summary, folder: &RunFolder) {
    println!("test accuracy        {}", percent(s.test_accuracy));
    for (name, accuracy) in &s.readouts {
        println!("  readout {name:<11} {}", percent(*accuracy));
    }
    if let Some(v) = s.validation_accuracy {
        println!("validation accuracy  {}", percent(v));
    }
    println!("epochs               {} ({:.1} s, {:.2} s each)", s.epochs, s.train_seconds, s.seconds_per_epoch);
    if let Some(memory) = s.peak_memory_bytes {
        println!("peak memory          {}", bytes(memory));
    }
    println!("parameters           {} (+ {} that only teach)", grouped(s.parameters), grouped(s.head_parameters));
    println!("report               {}", folder.file("report.html").display());
}

/// Builds, prints the block table, runs two batches, stops.
fn dry_run(run: &Run) -> Result<()> {
    let model = run.start_model()?;
    print!("{}", super::plan::block_table(run, &model));
    let loader = run.data.train_loader(run.config.training.batch_size, 1, 1, &run.training_device())?;
    for (i, batch) in loader.iter().take(2).enumerate() {
        let batch = batch.map_err(|e| RunFailed(format!("batch {}: {e}", i + 1)))?;
        let output = TrainStep::step(&model, batch);
        let output = output.item.sync().map_err(|e| RunFailed(format!("batch {}: {e:?}", i + 1)))?;
        let losses: Vec<String> = output
            .numbers()
            .blocks
            .iter()
            .filter_map(|(block, n)| Some(format!("block {} {:.7}", block.as_ref()?, n.loss?)))
            .collect();
        println!("batch {}: loss {}", i + 1, losses.join(", "));
    }
    Ok(())
}
