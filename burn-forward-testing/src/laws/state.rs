//! The state of a model: its seed and its record. A run resumed from a record equals the uninterrupted run.

use burn::module::Module;
use burn::store::ModuleRecord;
use burn_forward::model::LocalModel;
use burn_forward::random::Seed;

use crate::step_trace::first_step;
use crate::values::{Values, close, gradients, numbers, parameters, same, same_bits};
use crate::verdict::{Outcome, Verdict, Violation, ensure};
use crate::{Case, seed};

const OTHER_SEED: u64 = 8;

/// `fresh` with the state of `model`, transferred as bytes.
///
/// # Errors
/// If the record cannot be written or read.
pub fn reloaded(fresh: LocalModel, model: &LocalModel) -> Result<LocalModel, Violation> {
    let burn = |error: String| Violation(format!("the record: {error}"));
    let bytes = model.clone().into_record().into_bytes().map_err(|e| burn(e.to_string()))?;
    Ok(fresh.load_record(ModuleRecord::from_bytes(bytes).map_err(|e| burn(e.to_string()))?))
}

/// The model after `steps` steps from `seed`, always on the same batches.
fn stepped(case: &Case, seed: Seed, steps: u64) -> Result<LocalModel, Violation> {
    case.train(case.model(seed)?, (0..steps).map(|index| case.batch(index)), |_| Ok(()))
}

/// Burn's gradient checkpointing only recomputes activations that a backward pass needs, and does not change any gradient.
pub fn gradient_checkpointing_changes_no_gradient(case: &Case) -> Verdict {
    let step = |case: &Case| {
        let model = case.model(seed())?;
        gradients(&model, &first_step(&model, &case.batch(0)).grads)
    };
    let plain = step(case)?;
    let checkpointed = step(&case.with_device(case.device().clone().gradient_checkpointing()))?;
    ensure!(plain.keys().eq(checkpointed.keys()), "different gradients: {:?}", checkpointed.keys());
    for (path, values) in &plain {
        close(values, &checkpointed[path], 1e-5).map_err(|e| e.at(path))?;
    }
    Ok(Outcome::Tried)
}

/// A model that is restored from its record has the same parameters and gives the same scores, bit for bit, whatever the seed
/// of the model that the record was loaded into.
pub fn a_record_holds_all_that_a_model_knows(case: &Case) -> Verdict {
    let model = stepped(case, seed(), 3)?;
    let loaded = reloaded(case.model(Seed::new(OTHER_SEED))?, &model)?;
    same(&parameters(&model)?, &parameters(&loaded)?)?;
    let inputs = case.batch(99).inputs;
    let (a, b) = (model.scores(inputs.clone()), loaded.scores(inputs));
    ensure!(a.readouts.len() == b.readouts.len(), "{} readouts, then {}", a.readouts.len(), b.readouts.len());
    for ((name, a), (_, b)) in a.readouts.into_iter().zip(b.readouts) {
        ensure!(same_bits(&numbers(a), &numbers(b)), "readout {name} changes when the record is loaded");
    }
    Ok(Outcome::Tried)
}

fn weights(values: Values) -> Values {
    values.into_iter().filter(|(path, _)| path.ends_with("weight")).collect()
}

/// Two runs from the same seed are identical bit for bit, and another seed gives other weights everywhere.
pub fn the_seed_decides_everything(case: &Case) -> Verdict {
    let a = parameters(&stepped(case, seed(), 5)?)?;
    same(&a, &parameters(&stepped(case, seed(), 5)?)?)?;
    let other = weights(parameters(&stepped(case, Seed::new(OTHER_SEED), 5)?)?);
    for (path, values) in weights(a) {
        ensure!(other.get(&path).is_some_and(|other| values != *other), "{path} does not depend on the seed");
    }
    Ok(Outcome::Tried)
}
