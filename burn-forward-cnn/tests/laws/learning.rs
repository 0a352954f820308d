//! Training on toy images works under every rule.

use burn_forward::network::Partition;
use burn_forward::optim::{OptimizerConfig, OptimizerName};
use serde_json::json;

use super::toy::{CLASSES, Case, batch, recipes, seed};
use super::values::numbers;

const STEPS: u64 = 80;

/// With batch normalisation, and rectifiers where the rule takes them.
fn on_a_trainable_network(mut case: Case) -> Case {
    let stack = |activation: &str| {
        let settings = json!({"channels": [16, 16], "activation": activation, "normalisation": "rms"});
        ("conv-stack", settings, Partition::LAYER)
    };
    if case.network.0 == "conv-stack" {
        case.network = stack("relu");
        if !case.accepted() {
            case.network = stack("tanh");
        }
    }
    case
}

#[test]
fn the_accuracy_rises() {
    let mut failures = Vec::new();
    for case in recipes().into_iter().map(on_a_trainable_network) {
        let groups = case.spec().parameter_groups();
        let mut optimizer = OptimizerConfig::new(OptimizerName::Adam, 1e-2).optimizer(&groups).unwrap();
        let mut model = case.model(seed());
        for step in 0..STEPS {
            let output = model.learn(&batch(32, step, &case.device));
            model = optimizer.step(1e-2, model, output.grads);
        }
        let unseen = batch(200, 1_000_000, &case.device.clone().inner());
        let logits = burn::module::Module::valid(&model).scores(unseen.inputs.clone()).primary();
        let [rows, _] = logits.dims();
        let right = logits.argmax(1).reshape([rows]).equal(unseen.targets.clone()).float().mean();
        let accuracy = numbers(right)[0];
        let line = format!("{case}: accuracy {accuracy:.3}");
        println!("{line}");
        if accuracy < 0.6 {
            failures.push(line);
        }
    }
    assert!(failures.is_empty(), "chance is {}:\n{}", 1.0 / CLASSES as f64, failures.join("\n"));
}
