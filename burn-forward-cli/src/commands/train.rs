//! `train`: trains a config and writes a run folder.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Result;
use burn::train::renderer::MetricsRenderer;
use burn::train::{Interrupter, ItemLazy};
use burn_forward::registry::Registry;
use burn_forward_train::program_name;
use burn_forward_train::report::{self, RunRecord};
use burn_forward_train::run_folder::RunFolder;
use burn_forward_train::training::{Outcome, ProgressRenderer, ReadyRun, Run, Summary, Verbosity};

use super::{RunFailed, SavedRun, prepare_part};
use crate::args::TrainArgs;
use crate::output::{note, print, print_line};
use crate::signals;
use crate::tables::{bytes, grouped, percent};

pub(crate) fn run(args: &TrainArgs, registry: &Registry) -> Result<()> {
    let training: Arc<OnceLock<Interrupter>> = Arc::default();
    let started = training.clone();
    signals::on_request_to_end(move |signal| match started.get() {
        Some(interrupter) if !interrupter.should_stop() => {
            note(format_args!("\n{signal}: finishing the step ... (repeat to stop at once)"));
            interrupter.stop(Some(signal));
        }
        // No training is in progress, or the user does not want to wait for the step. Checkpoints are moved into place by
        // renaming, so no saved data are lost.
        _ => std::process::exit(130),
    })?;
    let (run, folder) = match (&args.resume, &args.config) {
        (Some(resume), _) => {
            let saved = SavedRun::open(resume, args.change.device.as_deref(), args.change.data.as_deref(), registry)?;
            let (run, folder) = saved.prepare()?;
            (run, Some(folder))
        }
        (None, Some(config)) => (prepare_part(config, &args.change, args.look.quick_look(), registry)?, None),
        (None, None) => anyhow::bail!("needs a config or --resume"),
    };
    if args.dry_run {
        return dry_run(&run);
    }
    if folder.is_none() {
        // Check before creating a folder.
        run.check_training()?;
    }
    let folder = match (folder, &args.out) {
        (Some(folder), _) => folder,
        (None, Some(out)) if args.force => RunFolder::create_among_others(out)?,
        (None, Some(out)) => RunFolder::create(out)?,
        (None, None) => RunFolder::create_next(Path::new("runs"), &folder_name(&run.config.name, args))?,
    };
    if !args.quiet {
        note(format_args!(
            "{}: {} on {}, {}",
            folder.path().display(),
            run.config.rule_name,
            run.config.network_name,
            run.data.describe()
        ));
    }
    training.get_or_init(|| run.interrupter());
    let start = ReadyRun::inspect(&run, &folder)?;
    for said in start.notes() {
        note(format_args!("warning: {}: {said}", folder.path().display()));
    }
    let outcome = start.train(renderer(args))?;
    let finished_before = matches!(outcome, Outcome::FinishedBefore(_));
    write_report(&folder, finished_before)?;
    if finished_before && !args.quiet {
        note("the run is already finished; there is nothing left to train");
    }
    if !args.quiet {
        print(summary_text(outcome.summary(), &folder))?;
    }
    Ok(())
}

/// The name of a run's folder, without its number. A quick look is not a result, which its name shows.
fn folder_name(config: &str, args: &TrainArgs) -> String {
    let suffix = if args.look.quick_look().is_none() { "" } else { "-quick-look" };
    format!("{config}{suffix}")
}

/// Writes the report of a run. If the run was `finished_before`, an existing report is kept if it is complete, because it may
/// cover several runs.
fn write_report(folder: &RunFolder, finished_before: bool) -> Result<()> {
    let out = folder.file("report.html");
    let page = report::render(&[RunRecord::load(folder.path())?])?;
    if finished_before {
        let there = std::fs::read_to_string(&out).unwrap_or_default();
        if is_same_report(&there, &page) {
            return Ok(());
        }
        let whole = there.trim_end().ends_with("</html>");
        let done = match whole {
            true => format!("`{} report` writes it again", program_name()),
            false => "written again".into(),
        };
        note(format_args!("warning: {} is not the current report of this run; {done}", out.display()));
        if whole {
            return Ok(());
        }
    }
    Ok(burn_forward_train::files::write(out, page)?)
}

/// Whether two pages say the same about a run. The run may have been moved, or be called by another path, since the first one
/// was written.
fn is_same_report(there: &str, page: &str) -> bool {
    let names_folder = |line: &str| line.starts_with("<tr><th scope=\"row\">Folder</th>");
    let lines = |text: &str| text.split('\n').filter(|line| !names_folder(line)).map(str::to_owned).collect::<Vec<_>>();
    lines(there) == lines(page)
}

fn renderer(args: &TrainArgs) -> Box<dyn MetricsRenderer> {
    #[cfg(feature = "tui")]
    if args.tui {
        return burn::train::renderer::default_renderer(Default::default(), None);
    }
    Box::new(ProgressRenderer::new(if args.quiet { Verbosity::Quiet } else { Verbosity::Auto }))
}

fn summary_text(s: &Summary, folder: &RunFolder) -> String {
    let mut lines: Vec<String> = s.quick_look.iter().map(|look| format!("quick look, no result: {look}")).collect();
    lines.push(format!("test accuracy        {}", percent(s.test_accuracy)));
    for (name, accuracy) in &s.readouts {
        lines.push(format!("  readout {name:<11} {}", percent(*accuracy)));
    }
    if let Some(blocks) = s.readout_blocks {
        lines.push(format!("readout from         {blocks} of 0 to {}", s.blocks.len() - 1));
    }
    if let Some(v) = s.validation_accuracy {
        lines.push(format!("validation accuracy  {}", percent(v)));
    }
    lines.push(format!(
        "epochs               {} ({:.1} s, {:.2} s each)",
        s.epochs, s.train_seconds, s.seconds_per_epoch
    ));
    if let Some(memory) = s.peak_memory_bytes {
        lines.push(format!("peak memory          {}", bytes(memory)));
    }
    let (inference, heads) = (grouped(s.parameters), grouped(s.head_parameters));
    lines.push(format!("parameters           {inference} (+ {heads} for training only)"));
    lines.push(format!("report               {}", folder.file("report.html").display()));
    lines.join("\n") + "\n"
}

/// Builds the model, prints the block table, runs two batches and stops.
fn dry_run(run: &Run) -> Result<()> {
    run.check_training()?;
    let model = run.start_model()?;
    print(super::plan::block_table(run, &model))?;
    let loader = run.data.train_loader(run.config.training.batching(), 1, 1, &run.training_device())?;
    // A graph has one batch per epoch.
    for (i, batch) in (0..2).flat_map(|_| loader.iter()).take(2).enumerate() {
        let batch = batch.map_err(|e| RunFailed(format!("batch {}: {e}", i + 1)))?;
        let output = model.learn_round(&mut model.begin(&batch));
        let output = output.item.sync().map_err(|e| RunFailed(format!("batch {}: {e:?}", i + 1)))?;
        let losses: Vec<String> = output
            .metrics()
            .blocks
            .iter()
            .filter_map(|(block, n)| Some(format!("block {} {:.7}", block.as_ref()?, n.loss?)))
            .collect();
        print_line(format_args!("batch {}: loss {}", i + 1, losses.join(", ")))?;
    }
    Ok(())
}
