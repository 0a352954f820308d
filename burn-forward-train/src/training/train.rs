//! Runs a config from start to summary: trains, tests and writes the files.

use std::path::PathBuf;
use std::time::Instant;

use burn::train::renderer::MetricsRenderer;
use serde_json::{Value, json};

use super::fit::fit;
use super::load::{MODEL, READOUT, load_model, load_saved};
use super::memory::peak_memory_bytes;
use super::plan::{BlockPlan, parameter_counts, plan};
use super::progress::is_done;
use super::ready_run::{ReadyRun, State};
use super::record::{self, Record};
use super::renderer::{ProgressRenderer, Verbosity};
use super::run::Run;
use super::summary::Summary;
use crate::metric_files::MetricFiles;
use crate::run_folder::{METRICS, MetricRow, Position, RunFolder};
use crate::{Error, Result};
use burn_forward::data::GraphView;
use burn_forward::model::LocalModel;

/// What [`train`] did with a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The run was trained and tested.
    Trained(Summary),
    /// The run had finished before; nothing was trained and no file was changed.
    FinishedBefore(Summary),
}

impl Outcome {
    /// The contents of `summary.json`.
    pub fn summary(&self) -> &Summary {
        match self {
            Self::Trained(summary) | Self::FinishedBefore(summary) => summary,
        }
    }
}

/// Trains a run in `folder`, from the beginning or from its newest intact checkpoint, then tests it and writes its
/// files. A finished run is left unchanged.
///
/// # Errors
/// The errors of [`ReadyRun::inspect`] and [`ReadyRun::train`].
pub fn train(run: &Run, folder: &RunFolder, renderer: Box<dyn MetricsRenderer>) -> Result<Outcome> {
    ReadyRun::inspect(run, folder)?.train(renderer)
}

impl Run {
    /// Trains this run in `folder` without any display. A folder that is empty or does not exist starts a new run; a
    /// folder that contains this run resumes it from its newest checkpoint. A finished run is left unchanged. To learn
    /// which of these happened, or to use a renderer, call [`train`].
    ///
    /// # Errors
    /// The errors of [`train`], and [`Error::RunFolder`] for a folder with other files.
    pub fn train_in(&self, folder: impl Into<PathBuf>) -> Result<Summary> {
        let path = folder.into();
        let folder = if path.join("config.json").exists() { RunFolder::open(path) } else { RunFolder::create(path) }?;
        match train(self, &folder, Box::new(ProgressRenderer::new(Verbosity::Quiet)))? {
            Outcome::Trained(summary) | Outcome::FinishedBefore(summary) => Ok(summary),
        }
    }
}

impl ReadyRun<'_> {
    /// Trains and tests the run and writes its files; does nothing if the run is finished.
    ///
    /// # Errors
    /// The errors of [`Run::check_training`] for a new run, before anything is written; [`Error::NonFinite`] if a loss
    /// became NaN or infinite; [`Error::Interrupted`] if the run was stopped; and any error from the data, the device
    /// or the files.
    pub fn train(self, renderer: Box<dyn MetricsRenderer>) -> Result<Outcome> {
        let Self { run, folder, state, .. } = self;
        let (resumed, _lock) = match state {
            State::Finished(summary) => return Ok(Outcome::FinishedBefore(*summary)),
            State::From(position, lock) => (position, lock),
        };
        if resumed.is_none() {
            run.check_training()?;
        }
        let begun = Instant::now();
        folder.write_json("config.json", &run.config.resolved_in(folder.path(), &run.options.folders))?;
        folder.write_json(MODEL, &run.data.signature())?;
        let record =
            Record::start(run, folder, record::read(folder)?.as_ref(), resumed.map(|position| position.epochs));
        record.write(folder)?;
        let result = train_and_test(run, folder, renderer, resumed);
        let (status, files): (_, &[&str]) = match &result {
            Ok(_) => ("finished", &OUTPUTS),
            Err(Error::Interrupted(_)) => ("interrupted", &[]),
            Err(_) => ("failed", &[]),
        };
        let noted = record.end(folder, status, files);
        tracing::debug!(seconds = begun.elapsed().as_secs_f64(), status, "run ended");
        // The error that ended the run is more informative than a failure to record the end, as on a full disk.
        let summary = result?;
        noted.map(|()| Outcome::Trained(summary))
    }
}

/// The files of a finished run, apart from its report.
const OUTPUTS: [&str; 7] = [METRICS, MODEL, WEIGHTS, "summary.json", "evaluation.json", "graph.json", READOUT];
/// The final weights.
const WEIGHTS: &str = "model.safetensors";

fn train_and_test(
    run: &Run,
    folder: &RunFolder,
    renderer: Box<dyn MetricsRenderer>,
    resumed: Option<Position>,
) -> Result<Summary> {
    folder.delete_interrupted(resumed)?;
    let rows = folder.keep_rows(resumed.unwrap_or_default().epochs)?;
    let metric_files = MetricFiles::new(folder.clone(), run.config.training.log.clone(), record::started(folder)?);
    metric_files.write()?;

    let model = match resumed {
        Some(position) => load_saved(run.model()?, folder, position)?,
        None => run.start_model()?,
    };
    let blocks = plan(&model, &run.config.optimizer, run.data.rows_per_step(run.config.training.batch_size));
    // Chosen again for the final weights of the run.
    folder.delete(READOUT)?;
    if !is_done(&run.config, &rows, model.network.len()) {
        fit(run, folder, model, renderer, resumed, (&rows, metric_files))?;
    }

    let model = load_model(run, folder)?;
    if let Some(blocks) = model.rule.readout_blocks() {
        folder.write_json(READOUT, &blocks)?;
    }
    crate::export::write(&model, &folder.file(WEIGHTS))?;
    let summary = tested(run, folder, &model, blocks)?;
    folder.write_json("summary.json", &summary)?;
    Ok(summary)
}

/// Tests the trained model, writes the data for the report's plots, and summarises the run.
fn tested(run: &Run, folder: &RunFolder, model: &LocalModel, blocks: Vec<BlockPlan>) -> Result<Summary> {
    let validation = run.validate(model)?;
    let test = run.test(model)?;
    folder.write_json("evaluation.json", &test)?;
    if let Some(samples) = run.data.graph_view() {
        folder.write_json("graph.json", &graph_picture(&samples, &test.predictions))?;
    }
    let mut prefixes = Vec::new();
    if run.config.schedule.is_greedy() {
        for blocks in 1..model.network.len() {
            prefixes.push(run.test(&model.prefix(blocks))?.accuracy);
        }
        prefixes.push(test.accuracy);
    }
    let (parameters, head_parameters) = parameter_counts(model);
    let rows = folder.rows()?;
    let (train_seconds, seconds_per_epoch) = seconds(&rows);
    Ok(Summary {
        name: run.config.name.clone(),
        rule: run.config.rule_name.clone(),
        network: run.config.network_name.clone(),
        data: run.config.data_name.clone(),
        schedule: if run.config.schedule.is_greedy() { "greedy" } else { "simultaneous" }.into(),
        seed: run.config.seed,
        device: run.options.device_name.clone(),
        quick_look: run.options.quick_look.some(),
        epochs: rows.iter().map(|r| r.epoch).max().unwrap_or(0),
        test_accuracy: test.accuracy,
        correct: test.correct,
        validation_accuracy: validation.map(|v| v.accuracy),
        roc_auc: test.roc_auc,
        average_precision: test.average_precision,
        readouts: test.readouts,
        readout_blocks: test.readout_blocks,
        prefixes,
        train_seconds,
        seconds_per_epoch,
        peak_memory_bytes: peak_memory_bytes(),
        parameters,
        head_parameters,
        blocks,
    })
}

/// Total seconds of all training epochs, and their median; 0 if there are none.
fn seconds(rows: &[MetricRow]) -> (f64, f64) {
    let of_network = rows.iter().filter(|r| r.split == "train" && r.block.is_none());
    let mut seconds: Vec<f64> = of_network.filter_map(|r| r.seconds).collect();
    let all = seconds.iter().sum();
    seconds.sort_by(f64::total_cmp);
    (all, seconds.get(seconds.len() / 2).copied().unwrap_or(0.0))
}

/// The data for the report's picture of a small graph.
fn graph_picture(samples: &GraphView, predictions: &[usize]) -> Value {
    let node = |(i, class): (usize, &Option<usize>)| {
        let place = samples.test.iter().position(|node| *node == i);
        json!({
            "class": class,
            "known": samples.known.contains(&i),
            "predicted": place.and_then(|place| predictions.get(place)),
        })
    };
    json!({"nodes": samples.classes.iter().enumerate().map(node).collect::<Vec<_>>(), "edges": samples.edges})
}
