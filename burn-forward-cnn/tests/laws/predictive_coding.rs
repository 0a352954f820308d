//! Predictive coding with maps, and with batch normalisation.

use burn::module::Module;
use burn_forward::network::Partition;
use burn_forward_testing::values::{Values, assert_close, gradients, parameters};
use serde_json::{Value, json};

use super::toy::{Case, batch, network, on_all_devices, seed};

fn on_stack(rule: &str, settings: &Value, stack: &Value) -> Case {
    on_all_devices(rule, settings)[0].with_network(network("conv-stack", stack, Partition::LAYER))
}

fn stacks() -> [Value; 2] {
    [
        json!({"channels": [4, 6, 5]}),
        json!({"channels": [3, 4], "pool-kind": "average", "global-pool": false, "batch-norm": true}),
    ]
}

/// The gradients of a step with the last part of their paths, in the order of the layers.
fn step(case: &Case) -> Vec<(String, Vec<f32>)> {
    let model = case.model(seed()).unwrap();
    let found = gradients(&model, &model.learn(&batch(24, 0, case.device())).grads).unwrap();
    found.into_iter().map(|(path, gradient)| (path.rsplit('.').next().unwrap().into(), gradient)).collect()
}

#[test]
fn with_fixed_predictions_it_is_back_propagation() {
    let fixed = json!({"prediction": "fixed", "output": "cross-entropy"});
    for stack in stacks() {
        let ours = step(&on_stack("predictive-coding", &fixed, &stack));
        let theirs = step(&on_stack("backprop", &json!({}), &stack));
        assert_eq!(ours.len(), theirs.len(), "{stack}");
        for ((part, ours), (same, theirs)) in ours.iter().zip(&theirs) {
            assert_eq!(part, same, "{stack}");
            assert_close(ours, theirs, 1e-5, &format!("{stack}: {part}"));
        }
    }
}

/// The running statistics after a batch, as used in inference.
fn statistics(case: &Case) -> Values {
    let (model, _) = case.model(seed()).unwrap().learn_with(&batch(24, 0, case.device()), |model, _| model);
    parameters(&model.valid()).unwrap().into_iter().filter(|(path, _)| path.contains(".running_")).collect()
}

/// Of all passes with a batch, only the forward pass changes the running statistics, so they equal those of back-propagation.
#[test]
fn a_batch_counts_once_in_running_statistics() {
    for stack in stacks() {
        let expected: Vec<Vec<f32>> = statistics(&on_stack("backprop", &json!({}), &stack)).into_values().collect();
        assert!(!expected.is_empty(), "{stack}");
        for settings in [json!({}), json!({"incremental": true}), json!({"prediction": "fixed"})] {
            let ours = statistics(&on_stack("predictive-coding", &settings, &stack));
            assert_eq!(ours.len(), expected.len(), "{stack}");
            for ((path, ours), expected) in ours.iter().zip(&expected) {
                assert_close(ours, expected, 1e-9, &format!("{settings} on {stack}: {path}"));
            }
        }
    }
}
