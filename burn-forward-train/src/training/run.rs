//! A run from config to summary: data, model, burn-train, test, files.

use std::time::Instant;

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Device;
use burn::train::Interrupter;
use burn::train::renderer::MetricsRenderer;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::fit::{best_epoch, fit, greedy_history, is_done};
use super::manifest::check_model;
use super::memory::{machine_memory_bytes, peak_memory_bytes};
use super::plan::plan;
use super::record::{self, Record};
use super::run_folder::{METRICS, RunFolder};
use super::start::{Start, State};
use super::summary::Summary;
use crate::config::{Keep, RunConfig};
use crate::measure::{Evaluation, best_blocks, evaluate};
use crate::schedule::best_of_block;
use crate::weights::{self, Imported};
use burn_forward::activation::RowShape;
use burn_forward::data::ModelSignature;
use burn_forward::data::{DataFolders, DataSplit, GraphView, LoadedData};
use burn_forward::init::shapes_only;
use burn_forward::model::LocalModel;
use burn_forward::network::Network;
use burn_forward::parameters::parameters;
use burn_forward::random::Seed;
use burn_forward::rules::BlockRange;
use burn_forward::{ConfigError, Error, Result};

/// How to run, beside what the config says.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Name of the device.
    pub device_name: String,
    /// Where data sets are looked for.
    pub folders: DataFolders,
    /// Handle that stops the run after the step in progress.
    pub interrupter: InterrupterHandle,
    /// The command line, for `run.json`.
    pub command: String,
    /// Git revision of the program, where it is known.
    pub git_revision: Option<String>,
}

/// What [`train`] did with a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was trained and tested.
    Trained(Summary),
    /// It was finished before: nothing was trained, no file was touched.
    FinishedBefore(Summary),
}

impl Outcome {
    /// What `summary.json` holds.
    pub fn summary(&self) -> &Summary {
        match self {
            Self::Trained(summary) | Self::FinishedBefore(summary) => summary,
        }
    }
}

/// A shared [`Interrupter`]; burn-train's has no `Debug`.
#[derive(Clone, Default)]
pub struct InterrupterHandle(pub Interrupter);

impl std::fmt::Debug for InterrupterHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("InterrupterHandle").field(&self.0.should_stop()).finish()
    }
}

/// A config with its data, ready to be built and trained.
#[derive(Debug)]
pub struct Run {
    /// The config.
    pub config: RunConfig,
    /// The data.
    pub data: Box<dyn LoadedData>,
    /// Device without autodiff.
    pub device: Device,
    pub(super) options: RunOptions,
}

impl Run {
    /// Reads the data and finds the device.
    ///
    /// # Errors
    /// [`Error::Data`], [`Error::Device`], and [`Error::Config`] for what only the data shows.
    pub fn prepare(config: RunConfig, options: RunOptions) -> Result<Self> {
        let device = burn_forward::device::parse(&options.device_name)?;
        let data = config.data.load(&options.folders, Seed::new(config.seed))?;
        let run = Self { config, data, device, options };
        let (input, classes) = run.shapes();
        run.config.refuse(run.config.misfits(input, classes))?;
        Ok(run)
    }

    /// A run that was trained before, with its test data alone.
    ///
    /// # Errors
    /// [`Error::Data`], [`Error::Device`], and [`Error::Config`] for what only the data shows.
    pub fn prepare_test(config: RunConfig, options: RunOptions, trained: &ModelSignature) -> Result<Self> {
        let device = burn_forward::device::parse(&options.device_name)?;
        let data = config.data.load_test(&options.folders, Seed::new(config.seed), trained)?;
        if (data.input(), data.classes()) != (trained.input, trained.classes) {
            let of = |input: RowShape, classes: usize| format!("rows of {input} in {classes} classes");
            let needed = format!("{}, as the run was trained on", of(trained.input, trained.classes));
            return Err(Error::data(&config.data_name, of(data.input(), data.classes()), needed));
        }
        Ok(Self { config, data, device, options })
    }

    /// The config and how to run it, without the data.
    pub fn into_parts(self) -> (RunConfig, RunOptions) {
        (self.config, self.options)
    }

    /// Handle that stops the run after the step in progress.
    pub fn interrupter(&self) -> Interrupter {
        self.options.interrupter.0.clone()
    }

    /// Shape of an input row, and number of classes.
    pub fn shapes(&self) -> (RowShape, usize) {
        (self.data.input(), self.data.classes())
    }

    /// The device for training.
    pub fn training_device(&self) -> Device {
        let device = self.device.clone().autodiff();
        if self.config.training.gradient_checkpointing { device.gradient_checkpointing() } else { device }
    }

    /// A model with initial weights on the training device.
    ///
    /// # Errors
    /// [`Error::Argument`] if network, rule and data do not fit.
    pub fn model(&self) -> Result<LocalModel> {
        let (input, classes) = self.shapes();
        let model = build_model(&self.config, input, classes, &self.training_device())?;
        Ok(model.with_signature(ModelSignature::of(self.data.as_ref())))
    }

    /// The model in shape alone: what can be counted and described, without the memory that its weights would take.
    ///
    /// # Errors
    /// As [`model`](Self::model), but for memory.
    pub fn outline(&self) -> Result<LocalModel> {
        let (input, classes) = self.shapes();
        outline(&self.config, input, classes, &self.device)
    }

    /// A model with the weights that the config has a run start from.
    ///
    /// # Errors
    /// As [`model`](Self::model), and [`Error::Data`] for weights that are not there or do not fit.
    pub fn start_model(&self) -> Result<LocalModel> {
        let model = self.model()?;
        let Some(weights) = &self.config.weights else { return Ok(model) };
        let file = weights.resolve(&self.options.folders)?;
        let (model, imported) = weights::import(model, &file, weights.classifier)?;
        let Imported { tensors, parameters, prefix } = imported;
        tracing::info!(file = %file.display(), tensors, parameters, prefix, "weights imported");
        Ok(model)
    }

    /// Evaluates a model on the test set.
    ///
    /// # Errors
    /// As [`evaluate`].
    pub fn test(&self, model: &LocalModel) -> Result<Evaluation> {
        let loader = self.data.eval_loader(DataSplit::Test, self.config.training.eval_batch_size, &self.device)?;
        evaluate(model, loader.as_ref(), "test")
    }

    fn validate(&self, model: &LocalModel) -> Result<Option<Evaluation>> {
        if self.data.samples(DataSplit::Validation) == 0 {
            return Ok(None);
        }
        let loader =
            self.data.eval_loader(DataSplit::Validation, self.config.training.eval_batch_size, &self.device)?;
        evaluate(model, loader.as_ref(), "validation").map(Some)
    }

    /// The model with the readout's blocks chosen, where it has them chosen: those that the run in `folder` ended with, or
    /// else the best on the validation set, or all where there is none.
    fn with_readout_blocks(&self, mut model: LocalModel, folder: &RunFolder) -> Result<LocalModel> {
        if model.rule.readout_blocks().is_none() {
            return Ok(model);
        }
        let blocks = if let Some(blocks) = stored::<BlockRange>(folder, READOUT)? {
            blocks
        } else if self.data.samples(DataSplit::Validation) > 0 {
            let batch_size = self.config.training.eval_batch_size;
            let loader = self.data.eval_loader(DataSplit::Validation, batch_size, &self.device)?;
            best_blocks(&model, loader.as_ref())?
        } else {
            // There is nothing to choose by: all blocks, as while it trained.
            BlockRange::all(model.network.len())
        };
        model.rule.set_readout_blocks(blocks);
        Ok(model)
    }

    /// Parameters that inference needs (network and readout), and those that only teach.
    pub fn parameter_counts(model: &LocalModel) -> (usize, usize) {
        let all = parameters(model);
        let model = model.with_read_blocks_only();
        let export = model.rule.export(&model.network);
        let elements = |d: &burn::tensor::TensorData| d.num_elements();
        let readout: usize = export
            .linears
            .iter()
            .map(|(_, w, b)| elements(w) + b.as_ref().map_or(0, elements))
            .chain(export.matrices.iter().map(|(_, m)| elements(m)))
            .sum();
        let inference = parameters(&model.frozen) + parameters(&model.network) + readout + export.unwritten;
        (inference, all.saturating_sub(inference))
    }
}

/// A model from a config, with initial weights.
///
/// # Errors
/// [`Error::Config`], with its place, if network, rule and data do not fit each other, or the weights do not fit this
/// machine's memory.
pub fn build_model(config: &RunConfig, input: RowShape, classes: usize, device: &Device) -> Result<LocalModel> {
    check_fit(config, input, classes, device)?;
    assemble(config, input, classes, device)
}

/// Whether network, rule and data fit each other and this machine, without the memory that the weights would take.
pub(super) fn check_fit(config: &RunConfig, input: RowShape, classes: usize, device: &Device) -> Result<()> {
    let weights = weight_bytes(&outline(config, input, classes, device)?);
    // What the system would grant on trust it takes back by ending the program.
    match machine_memory_bytes() {
        Some(machine) if weights > machine => {
            let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
            let message = format!(
                "its weights alone take {}; needed: at most {}, the memory of this machine",
                gib(weights),
                gib(machine)
            );
            Err(config.refusal(vec![ConfigError::new("$.network", message)]))
        }
        _ => Ok(()),
    }
}

/// A model in shape alone.
fn outline(config: &RunConfig, input: RowShape, classes: usize, device: &Device) -> Result<LocalModel> {
    // There a tensor can be seen through strides of 0; elsewhere it might be copied.
    #[cfg(feature = "flex")]
    let device = {
        let _ = device;
        &Device::flex()
    };
    shapes_only(|| assemble(config, input, classes, device))
}

/// Bytes of a model's weights.
pub fn weight_bytes(model: &LocalModel) -> u64 {
    (model.num_params() * size_of::<f32>()) as u64
}

fn assemble(config: &RunConfig, input: RowShape, classes: usize, device: &Device) -> Result<LocalModel> {
    let at = |path: &'static str| move |error| config.located(path, error);
    let seed = Seed::new(config.seed);
    let request = config.rule.layer_request(classes);
    let entering = config.rule.input(input);
    let mut layers = config.network.layers_for(entering, request, seed, device).map_err(at("$.network"))?;
    let freeze = config.weights.as_ref().map_or(0, |w| w.freeze).min(layers.len());
    let learning = layers.split_off(freeze);
    let entering = layers.last().map_or(input, |layer| layer.output());
    let network = Network::new(learning, config.partition).map_err(at("$.network.partition"))?;
    let network = network.with_input(entering).built_on(device);
    let mut rule = config.rule.build(&network, classes, seed).map_err(at("$.rule"))?;
    let smoothing = config.training.label_smoothing;
    if smoothing > 0.0 && !rule.set_label_smoothing(smoothing) {
        return Err(config.refusal(vec![ConfigError::new(
            "$.training.label-smoothing",
            format!(
                "{smoothing} under the rule \"{}\"; needed: 0, or a rule whose blocks have classifiers",
                config.rule_name
            ),
        )]));
    }
    Ok(LocalModel::new(network, rule, seed).with_frozen(layers))
}

/// How far [`check`] could look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// The data was read, and the model laid out for it; with what a user should know of the data.
    WithData(Vec<ConfigError>),
    /// The data is not on this machine; the model was laid out for the shape that the data set's name says.
    WithShape,
    /// Neither is known.
    Alone,
}

/// Everything about a config that can be wrong before the first step: what `train` would refuse, this refuses.
///
/// # Errors
/// [`Error::Config`] with all mistakes, and what reading the data gives.
pub fn check(config: RunConfig, options: RunOptions) -> Result<Checked> {
    let device = Device::default();
    if !config.data.is_there(&options.folders) {
        let Some((input, classes)) = config.data.shape() else { return Ok(Checked::Alone) };
        config.refuse(config.misfits(input, classes))?;
        check_fit(&config, input, classes, &device)?;
        return Ok(Checked::WithShape);
    }
    let run = Run::prepare(config, options)?;
    run.check_training()?;
    Ok(Checked::WithData(run.data.warnings()))
}

/// The model of a run, from its newest checkpoint, for inference.
///
/// # Errors
/// [`Error::RunFolder`] if there is no whole checkpoint or it does not fit.
pub fn load_model(run: &Run, folder: &RunFolder) -> Result<LocalModel> {
    run.with_readout_blocks(load_weights(&run.config, run.model()?, folder)?, folder)
}

/// The model of a run for inference, from the files of its folder alone. `None` if that takes the run's data: the folder is
/// from before models were described in it, or the blocks that the readout reads are not chosen yet.
///
/// # Errors
/// As [`load_model`].
pub fn load_without_data(config: &RunConfig, folder: &RunFolder, device: &Device) -> Result<Option<LocalModel>> {
    let Some(signature) = stored::<ModelSignature>(folder, MODEL)? else { return Ok(None) };
    let fresh = build_model(config, signature.input, signature.classes, device)?.with_signature(signature);
    let mut model = load_weights(config, fresh, folder)?;
    if model.rule.readout_blocks().is_some() {
        let Some(blocks) = stored::<BlockRange>(folder, READOUT)? else { return Ok(None) };
        model.rule.set_readout_blocks(blocks);
    }
    Ok(Some(model))
}

/// What a JSON file of a run says, if there is such a file.
fn stored<T: DeserializeOwned>(folder: &RunFolder, name: &str) -> Result<Option<T>> {
    if !folder.file(name).is_file() {
        return Ok(None);
    }
    serde_json::from_value(folder.read_json(name)?)
        .map_err(|e| Error::run_folder(folder.path(), format!("{name} is damaged: {e}")))
}

fn load_weights(config: &RunConfig, model: LocalModel, folder: &RunFolder) -> Result<LocalModel> {
    let last = folder.last_checkpoint().ok_or_else(|| {
        Error::run_folder(folder.path(), "has no whole checkpoint yet; needed: at least one finished epoch")
    })?;
    // A finished run's weights are those of its last epoch, and no earlier ones stand in for them.
    let is_finished = record::read(folder)?.is_some_and(|record| record["status"] == "finished");
    let last = if is_finished { folder.last_begun().max(last) } else { last };
    let epoch = final_epoch(config, folder, last)?;
    check_model(folder, epoch).map_err(|fault| Error::run_folder(folder.path(), fault))?;
    Ok(load_epoch(model, folder, epoch)?.valid())
}

/// A model with the weights of an epoch.
fn load_epoch(model: LocalModel, folder: &RunFolder, epoch: usize) -> Result<LocalModel> {
    let problem = |what: String| Error::run_folder(folder.path(), format!("checkpoint/model-{epoch}.bpk {what}"));
    let record =
        ModuleRecord::load(folder.model_of_epoch(epoch)).map_err(|e| problem(format!("cannot be read: {e}")))?;
    let model = model.try_load_record(record).map_err(|e| problem(format!("does not fit: {e}")))?;
    match weights::first_not_finite(&model) {
        None => Ok(model),
        Some((tensor, value)) => Err(problem(format!("cannot be used: {tensor} holds {value}"))),
    }
}

/// The epoch whose weights a run ends with that ends with epoch `last`.
pub(super) fn final_epoch(config: &RunConfig, folder: &RunFolder, last: usize) -> Result<usize> {
    if config.training.keep == Keep::Last {
        return Ok(last);
    }
    let mut rows = folder.rows()?;
    rows.retain(|r| r.epoch <= last);
    let best = match config.schedule.is_greedy() {
        true => {
            let history = greedy_history(&rows);
            history.last().and_then(|(block, _)| best_of_block(&history, *block))
        }
        false => best_epoch(&rows).map(|(epoch, _)| epoch),
    };
    Ok(best.unwrap_or(last))
}

/// Trains a run in `folder`, from its start or, if it has checkpoints, from the newest whole one; tests it and writes its
/// files. A run that is finished is left as it is.
///
/// # Errors
/// As [`Start::find`] and [`Start::train`].
pub fn train(run: &Run, folder: &RunFolder, renderer: Box<dyn MetricsRenderer>) -> Result<Outcome> {
    Start::find(run, folder)?.train(renderer)
}

impl Start<'_> {
    /// Trains and tests the run and writes its files; nothing of it where it is finished.
    ///
    /// # Errors
    /// As [`Run::check_training`] for a run that begins, before anything is written; [`Error::NonFinite`] if a loss became
    /// NaN or infinite, [`Error::Interrupted`] if the run was stopped, and what data,
    /// device and files give.
    pub fn train(self, renderer: Box<dyn MetricsRenderer>) -> Result<Outcome> {
        let Self { run, folder, state, .. } = self;
        let (resumed, _lock) = match state {
            State::Finished(summary) => return Ok(Outcome::FinishedBefore(*summary)),
            State::From(epoch, lock) => (epoch, lock),
        };
        if resumed.is_none() {
            run.check_training()?;
        }
        let begun = Instant::now();
        folder.write_json("config.json", &run.config.resolved_in(folder.path(), &run.options.folders))?;
        folder.write_json(MODEL, &ModelSignature::of(run.data.as_ref()))?;
        let record = Record::start(run, folder, record::read(folder)?.as_ref(), resumed);
        record.write(folder)?;
        let result = train_and_test(run, folder, renderer, resumed);
        let (status, files): (_, &[&str]) = match &result {
            Ok(_) => ("finished", &OUTPUTS),
            Err(Error::Interrupted(_)) => ("interrupted", &[]),
            Err(_) => ("failed", &[]),
        };
        let noted = record.end(folder, status, files);
        tracing::debug!(seconds = begun.elapsed().as_secs_f64(), status, "run ended");
        // What ended the run says more than that its end could not be noted, as on a full disk.
        let summary = result?;
        noted.map(|()| Outcome::Trained(summary))
    }
}

/// What a finished run leaves beside its report.
const OUTPUTS: [&str; 7] = [METRICS, MODEL, WEIGHTS, "summary.json", "evaluation.json", "graph.json", READOUT];
/// The final weights.
const WEIGHTS: &str = "model.safetensors";
/// What the model takes and gives.
const MODEL: &str = "model.json";
/// The blocks that the readout reads, where they are chosen when training ends.
const READOUT: &str = "readout.json";

fn train_and_test(
    run: &Run,
    folder: &RunFolder,
    renderer: Box<dyn MetricsRenderer>,
    resumed: Option<usize>,
) -> Result<Summary> {
    folder.delete_remains(resumed)?;
    let rows = folder.keep_rows(resumed.unwrap_or(0))?;

    let model = match resumed {
        Some(epoch) => load_epoch(run.model()?, folder, epoch)?,
        None => run.start_model()?,
    };
    let blocks = plan(&model, &run.config.optimizer, run.data.rows_per_step(run.config.training.batch_size));
    // Chosen anew for the weights that the run ends with.
    folder.delete(READOUT)?;
    if !is_done(run, &rows, model.network.len()) {
        fit(run, folder, model, renderer, resumed, &rows)?;
    }

    let model = load_model(run, folder)?;
    let (parameters, head_parameters) = Run::parameter_counts(&model);
    let readout_blocks = model.rule.readout_blocks();
    if let Some(blocks) = &readout_blocks {
        folder.write_json(READOUT, blocks)?;
    }
    crate::export::write(&model, &folder.file(WEIGHTS))?;
    let validation = run.validate(&model)?;
    let test = run.test(&model)?;
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

    let rows = folder.rows()?;
    let mut seconds: Vec<f64> =
        rows.iter().filter(|r| r.split == "train" && r.block.is_none()).filter_map(|r| r.seconds).collect();
    let train_seconds = seconds.iter().sum();
    seconds.sort_by(f64::total_cmp);
    let summary = Summary {
        name: run.config.name.clone(),
        rule: run.config.rule_name.clone(),
        network: run.config.network_name.clone(),
        data: run.config.data_name.clone(),
        schedule: if run.config.schedule.is_greedy() { "greedy" } else { "simultaneous" }.into(),
        seed: run.config.seed,
        device: run.options.device_name.clone(),
        epochs: rows.iter().map(|r| r.epoch).max().unwrap_or(0),
        test_accuracy: test.accuracy,
        correct: test.correct,
        validation_accuracy: validation.map(|v| v.accuracy),
        roc_auc: test.roc_auc,
        average_precision: test.average_precision,
        readouts: test.readouts,
        readout_blocks,
        prefixes,
        train_seconds,
        seconds_per_epoch: seconds.get(seconds.len() / 2).copied().unwrap_or(0.0),
        peak_memory_bytes: peak_memory_bytes(),
        parameters,
        head_parameters,
        blocks,
    };
    folder.write_json("summary.json", &summary)?;
    Ok(summary)
}

/// What the report draws of a small graph.
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
