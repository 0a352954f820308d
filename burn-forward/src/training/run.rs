//! A run from config to summary: data, model, burn-train, test, files.

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Device;
use burn::train::Interrupter;
use burn::train::renderer::MetricsRenderer;
use serde_json::{Value, json};

use super::fit::{best_epoch, fit, is_done};
use super::memory::peak_memory_bytes;
use super::model::LocalModel;
use super::plan::plan;
use super::run_folder::RunFolder;
use super::summary::Summary;
use crate::activation::RowShape;
use crate::config::{Keep, RunConfig};
use crate::data::{DataFolders, DataSplit, JoinedSamples, TrainingData};
use crate::measure::{Evaluation, best_blocks, evaluate};
use crate::network::Network;
use crate::random::Seed;
use crate::schedule::{ScheduleConfig, best_of_block};
use crate::{ConfigErrors, Error, Result};

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
    pub data: Box<dyn TrainingData>,
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
        let device = crate::device::parse(&options.device_name)?;
        let data = config.data.load(&options.folders, Seed::new(config.seed))?;
        let mut config = config;
        config.resolve_data_path(&options.folders);
        let run = Self { config, data, device, options };
        let mut errors = run.config.rule.check(&run.config.context(None, Some(run.shapes())));
        if let ScheduleConfig::Greedy { cache: true, .. } = run.config.schedule
            && run.data.is_augmented()
        {
            errors.push(crate::ConfigError::new(
                "$.schedule.cache",
                "true, but the training batches (augmented images, sampled graphs) differ in every epoch; needed: \"cache\": \
                 false, or no augmentation and no sampling",
            ));
        }
        if !errors.is_empty() {
            return Err(Error::Config(ConfigErrors { origin: run.config.name.clone(), errors }));
        }
        Ok(run)
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
        build_model(&self.config, input, classes, &self.training_device())
    }

    /// A model with the weights that the config has a run start from.
    ///
    /// # Errors
    /// As [`model`](Self::model), and [`Error::Data`] for weights that are not there or do not fit.
    pub fn start_model(&self) -> Result<LocalModel> {
        let model = self.model()?;
        let Some(weights) = &self.config.weights else { return Ok(model) };
        let file = weights.resolve(&self.options.folders)?;
        let (model, imported) = crate::weights::import(model, &file, weights.classifier)?;
        tracing::info!(file = %file.display(), imported.tensors, imported.parameters, "weights imported");
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
    /// else the best on the validation set.
    fn with_readout_blocks(&self, mut model: LocalModel, folder: &RunFolder) -> Result<LocalModel> {
        if model.rule.readout_blocks().is_none() {
            return Ok(model);
        }
        let blocks = match folder.file(READOUT).is_file() {
            true => serde_json::from_value(folder.read_json(READOUT)?)
                .map_err(|e| Error::run_folder(folder.path(), format!("{READOUT} is damaged: {e}")))?,
            false => {
                let batch_size = self.config.training.eval_batch_size;
                let loader = self.data.eval_loader(DataSplit::Validation, batch_size, &self.device)?;
                best_blocks(&model, loader.as_ref())?
            }
        };
        model.rule.set_readout_blocks(blocks);
        Ok(model)
    }

    /// Parameters that inference needs (network and readout), and those that only teach.
    pub fn parameter_counts(model: &LocalModel) -> (usize, usize) {
        let all = model.num_params();
        let model = model.without_unread_blocks();
        let export = model.rule.export(&model.network);
        let elements = |d: &burn::tensor::TensorData| d.num_elements();
        let readout: usize = export
            .linears
            .iter()
            .map(|(_, w, b)| elements(w) + b.as_ref().map_or(0, elements))
            .chain(export.matrices.iter().map(|(_, m)| elements(m)))
            .sum();
        let inference = model.frozen.num_params() + model.network.num_params() + readout + export.unwritten;
        (inference, all.saturating_sub(inference))
    }
}

/// A model from a config, with initial weights.
///
/// # Errors
/// [`Error::Argument`] if network, rule and data do not fit.
pub fn build_model(config: &RunConfig, input: RowShape, classes: usize, device: &Device) -> Result<LocalModel> {
    let seed = Seed::new(config.seed);
    let mut layers =
        config.network.layers_for(config.rule.input(input), config.rule.layer_request(classes), seed, device)?;
    let freeze = config.weights.as_ref().map_or(0, |w| w.freeze).min(layers.len());
    let learning = layers.split_off(freeze);
    let entering = layers.last().map_or(input, |layer| layer.output());
    let network = Network::new(learning, config.partition)?.with_input(entering).built_on(device);
    let mut rule = config.rule.build(&network, classes, seed)?;
    let smoothing = config.training.label_smoothing;
    if smoothing > 0.0 && !rule.set_label_smoothing(smoothing) {
        return Err(Error::argument(
            "training",
            "label-smoothing",
            format!("{smoothing} under the rule '{}'", config.rule_name),
            "0, or a rule whose blocks have classifiers",
        ));
    }
    Ok(LocalModel::new(network, rule, seed).with_frozen(layers))
}

/// The model of a run, from its newest checkpoint, for inference.
///
/// # Errors
/// [`Error::RunFolder`] if there is no whole checkpoint or it does not fit.
pub fn load_model(run: &Run, folder: &RunFolder) -> Result<LocalModel> {
    run.with_readout_blocks(load_weights(run, folder)?, folder)
}

fn load_weights(run: &Run, folder: &RunFolder) -> Result<LocalModel> {
    let model = run.model()?;
    if run.config.schedule.is_greedy() && run.config.training.keep == Keep::Best {
        let path = best_of_block(&folder.checkpoints(), model.network.len() - 1);
        if path.is_file() {
            return Ok(load_record(model, folder, &path)?.valid());
        }
    }
    let epoch = final_epoch(run, folder)?;
    Ok(load_epoch(model, folder, epoch)?.valid())
}

/// The epoch whose weights a run ends with.
fn final_epoch(run: &Run, folder: &RunFolder) -> Result<usize> {
    let last = folder.last_checkpoint().ok_or_else(|| {
        Error::run_folder(folder.path(), "has no whole checkpoint yet; needed: at least one finished epoch")
    })?;
    if run.config.training.keep == Keep::Last {
        return Ok(last);
    }
    let mut rows = folder.rows()?;
    rows.retain(|r| r.epoch <= last);
    Ok(best_epoch(&rows).map_or(last, |(epoch, _)| epoch))
}

fn load_epoch(model: LocalModel, folder: &RunFolder, epoch: usize) -> Result<LocalModel> {
    load_record(model, folder, &folder.checkpoints().join(format!("model-{epoch}.bpk")))
}

fn load_record(model: LocalModel, folder: &RunFolder, path: &Path) -> Result<LocalModel> {
    let problem = |what: String| Error::run_folder(folder.path(), format!("checkpoint {} {what}", path.display()));
    let record = ModuleRecord::load(path).map_err(|e| problem(format!("cannot be read: {e}")))?;
    model.try_load_record(record).map_err(|e| problem(format!("does not fit: {e}")))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Seconds since 1970 as `2026-11-23T22:28:53Z`, by the civil-from-days algorithm.
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = ((seconds / 86_400) as i64, seconds % 86_400);
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Writes `run.json`. What an earlier start of the run left there stays: when it began, and with which command.
fn write_status(folder: &RunFolder, run: &Run, status: &str, resumed: &[Value]) -> Result<()> {
    let before = folder.read_json("run.json").unwrap_or_default();
    let kept = |key: &str, fresh: Value| before.get(key).filter(|v| !v.is_null()).cloned().unwrap_or(fresh);
    let now = rfc3339(now());
    let finished = (status != "running").then(|| now.clone());
    let data_folder = run.options.folders.argument.as_deref().and_then(|f| std::path::absolute(f).ok());
    let mut info = json!({
        "name": run.config.name,
        "status": status,
        "started": kept("started", json!(now)),
        "finished": finished,
        "versions": {"burn-forward": env!("CARGO_PKG_VERSION"), "burn": "0.22.1"},
        "git_revision": run.options.git_revision,
        "seed": run.config.seed,
        "device": run.options.device_name,
        "host": {
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
            "cpus": std::thread::available_parallelism().map_or(1, |n| n.get()),
        },
        "command": kept("command", json!(run.options.command)),
    });
    if !resumed.is_empty() {
        info["resumed"] = json!(resumed);
    }
    // Only a folder that was asked for: the default one is found again, on other machines too.
    if let Some(data_folder) = data_folder {
        info["data_folder"] = json!(data_folder);
    }
    folder.write_json("run.json", &info)
}

/// Trains a run in `folder`, from its start or, if it has checkpoints, from the newest whole one; tests it and writes its
/// files. A run that is finished is left as it is.
///
/// # Errors
/// [`Error::NonFinite`] if a loss became NaN or infinite, [`Error::Interrupted`] if the run was stopped, and what data,
/// device and files give; [`Error::RunFolder`] if another process is training in the folder.
pub fn train(run: &Run, folder: &RunFolder, renderer: Box<dyn MetricsRenderer>) -> Result<Outcome> {
    if let Some(summary) = finished(run, folder)? {
        return Ok(Outcome::FinishedBefore(summary));
    }
    let _lock = folder.lock()?;
    let begun = Instant::now();
    let before = folder.read_json("run.json").ok();
    let mut resumed = before.as_ref().and_then(|b| b["resumed"].as_array().cloned()).unwrap_or_default();
    resumed.extend(before.map(|_| json!(rfc3339(now()))));
    folder.write_json("config.json", run.config.resolved())?;
    write_status(folder, run, "running", &resumed)?;
    let result = train_and_test(run, folder, renderer);
    let status = match &result {
        Ok(_) => "finished",
        Err(Error::Interrupted(_)) => "interrupted",
        Err(_) => "failed",
    };
    write_status(folder, run, status, &resumed)?;
    tracing::debug!(seconds = begun.elapsed().as_secs_f64(), status, "run ended");
    result.map(Outcome::Trained)
}

/// The summary of a run that is trained and tested, and has nothing left to train by its config.
fn finished(run: &Run, folder: &RunFolder) -> Result<Option<Summary>> {
    let Ok(info) = folder.read_json("run.json") else { return Ok(None) };
    if info["status"] != "finished" || folder.last_checkpoint().is_none() || !folder.file(WEIGHTS).is_file() {
        return Ok(None);
    }
    let summary = folder.read_json("summary.json").ok().and_then(|s| serde_json::from_value::<Summary>(s).ok());
    let Some(summary) = summary else { return Ok(None) };
    Ok(is_done(run, &folder.rows()?, summary.blocks.len()).then_some(summary))
}

/// The final weights.
const WEIGHTS: &str = "model.safetensors";
/// The blocks that the readout reads, where they are chosen when training ends.
const READOUT: &str = "readout.json";

fn train_and_test(run: &Run, folder: &RunFolder, renderer: Box<dyn MetricsRenderer>) -> Result<Summary> {
    folder.delete_remains()?;
    let resumed = folder.last_checkpoint();
    let rows = folder.keep_rows(resumed.unwrap_or(0))?;

    let model = if resumed.is_some() { run.model()? } else { run.start_model()? };
    let blocks = plan(&model, run.data.rows_per_step(run.config.training.batch_size));
    if !is_done(run, &rows, model.network.len()) {
        // A choice for weights that are about to change.
        folder.delete(READOUT)?;
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
    if let Some(samples) = run.data.joined() {
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
fn graph_picture(samples: &JoinedSamples, predictions: &[usize]) -> Value {
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

#[cfg(test)]
mod tests {
    #[test]
    fn dates() {
        assert_eq!(super::rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(super::rfc3339(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(super::rfc3339(1_795_472_933), "2026-11-23T22:28:53Z");
    }
}
