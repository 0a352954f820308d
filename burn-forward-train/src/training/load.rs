//! The trained model of a run, from the files of its folder.

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Device;

use super::assemble::build_model;
use super::progress::final_epoch;
use super::record::is_finished;
use super::run::Run;
use crate::config::RunConfig;
use crate::measure::best_blocks;
use crate::run_folder::{Position, RunFolder, check_model};
use crate::weights;
use crate::{Error, Result};
use burn_forward::data::{DataSplit, ModelSignature};
use burn_forward::model::LocalModel;
use burn_forward::rules::BlockRange;

/// The file that says what the model takes and gives.
pub(super) const MODEL: &str = "model.json";
/// The file with the blocks that the readout reads, where they are chosen when training ends.
pub(super) const READOUT: &str = "readout.json";

/// The model of a run, from its newest checkpoint, for inference.
///
/// # Errors
/// [`Error::RunFolder`] if there is no whole checkpoint or it does not fit.
pub fn load_model(run: &Run, folder: &RunFolder) -> Result<LocalModel> {
    with_readout_blocks(run, load_weights(&run.config, run.model()?, folder)?, folder)
}

/// The model of a run for inference, from the files of its folder alone. `None` if that takes the run's data: the folder is
/// from before models were described in it, or the blocks that the readout reads are not chosen yet.
///
/// # Errors
/// As [`load_model`].
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

/// The model with the readout's blocks chosen, where it has them chosen: those that the run in `folder` ended with, or
/// else the best on the validation set, or all where there is none.
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
        // There is nothing to choose by: all blocks, as while it trained.
        BlockRange::all(model.network.len())
    };
    model.rule.set_readout_blocks(blocks);
    Ok(model)
}

fn load_weights(config: &RunConfig, model: LocalModel, folder: &RunFolder) -> Result<LocalModel> {
    let last = folder.last_checkpoint().ok_or_else(|| {
        let saved = match folder.newest_checkpoint() {
            Some(at) => format!("was saved at {}, before the end of an epoch", at.named()),
            None => "has no whole checkpoint yet".into(),
        };
        Error::run_folder(folder.path(), format!("{saved}; needed: at least one finished epoch"))
    })?;
    // A finished run's weights are those of its last epoch, and no earlier ones stand in for them.
    let last = if is_finished(folder)? { folder.last_begun().max(last) } else { last };
    let epoch = final_epoch(config, folder, last)?;
    check_model(folder, epoch).map_err(|fault| Error::run_folder(folder.path(), fault))?;
    Ok(load_saved(model, folder, Position::after_epoch(epoch))?.valid())
}

/// A model with the weights that were saved at a position.
pub(super) fn load_saved(model: LocalModel, folder: &RunFolder, at: Position) -> Result<LocalModel> {
    let problem = |what: String| Error::run_folder(folder.path(), format!("checkpoint/model-{at}.bpk {what}"));
    let record = ModuleRecord::load(folder.model_at(at)).map_err(|e| problem(format!("cannot be read: {e}")))?;
    let model = model.try_load_record(record).map_err(|e| problem(format!("does not fit: {e}")))?;
    match weights::first_not_finite(&model) {
        None => Ok(model),
        Some((tensor, value)) => Err(problem(format!("cannot be used: {tensor} holds {value}"))),
    }
}
