//! Loads the trained model of a run from its run folder.

use std::path::PathBuf;

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Device;

use super::assemble::build_model;
use super::progress::final_epoch;
use super::record::{check_config, check_data, is_finished, read_config};
use super::run::Run;
use crate::config::RunConfig;
use crate::measure::best_blocks;
use crate::run_folder::{Position, RunFolder, check_model};
use crate::weights;
use crate::{Error, Result};
use burn_forward::data::{DataSplit, ModelSignature};
use burn_forward::model::LocalModel;
use burn_forward::registry::Registry;
use burn_forward::rules::BlockRange;

/// The file that describes the model's input and output.
pub(super) const MODEL: &str = "model.json";
/// The file that names the blocks of the readout, if they are chosen when training ends.
pub(super) const READOUT: &str = "readout.json";

/// The model of a run for inference, from its newest checkpoint.
///
/// # Errors
/// [`Error::RunFolder`] if there is no intact checkpoint, or if it does not fit the model.
pub fn load_model(run: &Run, folder: &RunFolder) -> Result<LocalModel> {
    with_readout_blocks(run, load_weights(&run.config, run.model()?, folder)?, folder)
}

impl Run {
    /// The trained model of this run for inference, from the newest checkpoint in `folder`.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if the folder does not contain this run, if the run has no intact checkpoint, or if it was
    /// begun with another config or other data.
    pub fn model_from(&self, folder: impl Into<PathBuf>) -> Result<LocalModel> {
        let folder = RunFolder::open(folder)?;
        check_config(&folder, &self.config)?;
        check_data(&folder, self)?;
        load_model(self, &folder)
    }
}

/// The trained model of the run in `folder` for inference, in a program that has neither its config nor its data.
/// `registry` must have the rows that the run's config names.
///
/// # Errors
/// [`Error::RunFolder`] if there is no run in the folder, if it has no intact checkpoint, or if loading the model
/// requires the data (see [`load_without_data`]); [`burn_forward::Error::Config`] for a name that is not in the
/// registry.
pub fn open_model(folder: impl Into<PathBuf>, registry: &Registry, device: &Device) -> Result<LocalModel> {
    let folder = RunFolder::open(folder)?;
    let config = read_config(&folder, registry)?;
    load_without_data(&config, &folder, device)?.ok_or_else(|| {
        let problem = "its files alone do not describe the model; needed: the run's data and `Run::model_from`";
        Error::run_folder(folder.path(), problem)
    })
}

/// The model of a run for inference, from its run folder alone. `None` if loading requires the data of the run, because
/// the folder is from a version that did not describe models in it, or because the blocks of the readout are not chosen
/// yet.
///
/// # Errors
/// The same as those of [`load_model`].
pub fn load_without_data(config: &RunConfig, folder: &RunFolder, device: &Device) -> Result<Option<LocalModel>> {
    let Some(signature) = folder.stored::<ModelSignature>(MODEL)? else { return Ok(None) };
    let fresh = build_model(config, signature.input, signature.classes, device)?.with_signature(signature);
    let mut model = load_weights(config, fresh, folder)?;
    if model.rule.readout_blocks().is_some() {
        let Some(blocks) = folder.stored::<BlockRange>(READOUT)? else { return Ok(None) };
        model.rule.set_readout_blocks(blocks);
    }
    Ok(Some(model))
}

/// The model with the blocks of its readout set, if its rule chooses them. They are those that the run in `folder`
/// ended with; otherwise the best blocks on the validation set, or all blocks if there is none.
fn with_readout_blocks(run: &Run, mut model: LocalModel, folder: &RunFolder) -> Result<LocalModel> {
    if model.rule.readout_blocks().is_none() {
        return Ok(model);
    }
    let blocks = if let Some(blocks) = folder.stored::<BlockRange>(READOUT)? {
        blocks
    } else if run.data.samples(DataSplit::Validation) > 0 {
        let batch_size = run.config.training.eval_batch_size;
        let loader = run.data.eval_loader(DataSplit::Validation, batch_size, &run.device)?;
        best_blocks(&model, loader.as_ref())?
    } else {
        // There is nothing to choose by; use all blocks, as during training.
        BlockRange::all(model.network.len())
    };
    model.rule.set_readout_blocks(blocks);
    Ok(model)
}

fn load_weights(config: &RunConfig, model: LocalModel, folder: &RunFolder) -> Result<LocalModel> {
    let last = folder.last_checkpoint().ok_or_else(|| {
        let saved = match folder.newest_checkpoint() {
            Some(at) => format!("was saved at {}, before the end of an epoch", at.named()),
            None => "has no intact checkpoint yet".into(),
        };
        Error::run_folder(folder.path(), format!("{saved}; needed: at least one finished epoch"))
    })?;
    // A finished run ends with the weights of its last epoch; earlier ones must not replace them.
    let last = if is_finished(folder)? { folder.last_begun().max(last) } else { last };
    let epoch = final_epoch(config, folder, last)?;
    check_model(folder, epoch).map_err(|fault| Error::run_folder(folder.path(), fault))?;
    Ok(load_saved(model, folder, Position::after_epoch(epoch))?.valid())
}

/// The model with the weights that were saved at a position.
pub(super) fn load_saved(model: LocalModel, folder: &RunFolder, at: Position) -> Result<LocalModel> {
    let problem = |what: String| Error::run_folder(folder.path(), format!("checkpoint/model-{at}.bpk {what}"));
    let record = ModuleRecord::load(folder.model_at(at)).map_err(|e| problem(format!("cannot be read: {e}")))?;
    let model = model.try_load_record(record).map_err(|e| problem(format!("does not fit: {e}")))?;
    match weights::first_not_finite(&model) {
        None => Ok(model),
        Some((tensor, value)) => Err(problem(format!("cannot be used: {tensor} contains {value}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;
    use crate::training::RunOptions;

    fn run(changes: &str) -> burn_forward::Result<Run> {
        let text = format!(
            r#"{{"data": {{"name": "digits"}}, "network": {{"name": "mlp", "widths": [8]}},
                "rule": {{"name": "mono-forward"}}, "training": {{"epochs": 1}},
                "optimizer": {{"name": "adam", "lr": 0.001}}{changes}}}"#
        );
        Run::from_json(&text, &registry(), RunOptions::on("flex"))
    }

    #[test]
    fn a_run_from_text_is_trained_and_opened_again_in_its_folder() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("run");
        let trained = run("").unwrap();
        let summary = trained.train_in(&folder).unwrap();
        assert_eq!(trained.train_in(&folder).unwrap(), summary, "it was finished");

        let loader = trained.data.eval_loader(DataSplit::Test, 500, &trained.device).unwrap();
        let batch = loader.iter().next().unwrap().unwrap();
        let scores = |model: LocalModel| model.scores(batch.inputs.clone()).primary().into_data();
        let model = scores(trained.model_from(&folder).unwrap());
        assert_eq!(model, scores(open_model(&folder, &registry(), &trained.device).unwrap()));

        let another = run(r#", "seed": 1"#).unwrap();
        let refused = another.model_from(&folder).map(drop).unwrap_err().to_string();
        assert!(refused.contains("$.seed: 1, but the run was begun with 0"), "{refused}");
        let refused = open_model(place.path(), &registry(), &trained.device).map(drop).unwrap_err().to_string();
        assert!(refused.contains("found no config.json"), "{refused}");
    }

    #[test]
    fn a_run_from_text_names_every_mistake() {
        let said = run(r#", "sed": 1, "schedule": {"name": "greed"}"#).map(drop).unwrap_err().to_string();
        assert!(said.contains("config: 2 mistakes") && said.contains("$.sed") && said.contains("$.schedule"), "{said}");
        let said = run(",").map(drop).unwrap_err().to_string();
        assert!(said.contains("line 3, column"), "{said}");
    }
}
