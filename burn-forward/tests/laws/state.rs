//! What a model is made of: its seed, and its record.

use burn::module::Module;
use burn::store::ModuleRecord;
use burn_forward::model::LocalModel;
use burn_forward::optim::{OptimizerConfig, OptimizerName};
use burn_forward::random::Seed;

use super::toy::{Case, batch, cases, recipes, seed};
use super::values::{Values, assert_close, assert_same, gradients, numbers, parameters, same_bits};

/// `fresh` with what `model` knows, by way of bytes.
pub(crate) fn reloaded(fresh: LocalModel, model: &LocalModel) -> LocalModel {
    let bytes = model.clone().into_record().into_bytes().unwrap();
    fresh.load_record(ModuleRecord::from_bytes(bytes).unwrap())
}

/// The model after `steps` steps from `seed`, always on the same batches.
fn stepped(case: &Case, seed: Seed, steps: u64) -> LocalModel {
    let spec = case.spec();
    let mut optimizer = OptimizerConfig::new(OptimizerName::Adam, 1e-2).optimizer(&spec.parameter_groups()).unwrap();
    let mut model = case.model(seed);
    for index in 0..steps {
        let output = model.learn(&batch(24, index, &case.device));
        model = optimizer.step(1e-2, model, output.grads);
    }
    model
}

/// It only makes activations anew that a backward pass needs.
#[test]
fn gradient_checkpointing_changes_no_gradient() {
    for mut case in recipes() {
        let step = |case: &Case| {
            let model = case.model(seed());
            gradients(&model, &model.learn(&batch(24, 0, &case.device)).grads)
        };
        let plain = step(&case);
        case.device = case.device.gradient_checkpointing();
        let checkpointed = step(&case);
        assert_eq!(plain.keys().collect::<Vec<_>>(), checkpointed.keys().collect::<Vec<_>>(), "{case}");
        for (path, values) in &plain {
            assert_close(values, &checkpointed[path], 1e-5, &format!("{case}: {path}"));
        }
    }
}

fn trained(values: Values) -> Values {
    values.into_iter().filter(|(path, _)| path.ends_with("weight")).collect()
}

#[test]
fn a_record_holds_all_that_a_model_knows() {
    for case in cases() {
        let model = stepped(&case, seed(), 3);
        let loaded = reloaded(case.model(Seed::new(8)), &model);
        assert_same(&parameters(&model), &parameters(&loaded), &case.to_string());
        let inputs = batch(24, 99, &case.device).inputs;
        let (a, b) = (model.scores(inputs.clone()), loaded.scores(inputs));
        assert_eq!(a.readouts.len(), b.readouts.len(), "{case}");
        for ((name, a), (_, b)) in a.readouts.into_iter().zip(b.readouts) {
            assert!(same_bits(&numbers(a), &numbers(b)), "{case}: readout {name}");
        }
    }
}

#[test]
fn the_seed_decides_everything() {
    for case in cases() {
        let a = parameters(&stepped(&case, seed(), 5));
        assert_same(&a, &parameters(&stepped(&case, seed(), 5)), &case.to_string());
        let other = trained(parameters(&stepped(&case, Seed::new(8), 5)));
        for (path, values) in trained(a) {
            assert!(values != other[&path], "{case}: {path} does not depend on the seed");
        }
    }
}
