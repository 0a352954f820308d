//! Feedback alignment through convolutions.

use burn_forward::network::Partition;
use burn_forward::rules::Context;
use burn_forward_testing::values::{Values, assert_close, edit, gradients, parameters};
use serde_json::{Value, json};

use super::toy::{Case, batch, network, on_all_devices, seed};

fn on_stack(rule: &str, settings: &Value, stack: &Value) -> Case {
    on_all_devices(rule, settings)[0].with_network(network("conv-stack", stack, Partition::LAYER))
}

fn stacks() -> [Value; 3] {
    [
        json!({"channels": [4, 6, 5], "batch-norm": false, "normalisation": "rms", "activation": "tanh"}),
        json!({"channels": [4, 6, 5]}),
        json!({"channels": [3, 4], "pool-kind": "average", "global-pool": false, "normalisation": "layer-norm"}),
    ]
}

fn step(case: &Case, prepare: impl Fn(&str, &mut Vec<f32>, &Values)) -> Values {
    let before = parameters(&case.model(seed()).unwrap()).unwrap();
    let model = edit(case.model(seed()).unwrap(), |path, values| prepare(path, values, &before));
    gradients(&model, &model.learn(&batch(24, 0, case.device())).grads).unwrap()
}

/// The path of a layer in a network with one block.
fn in_one_block(path: &str, layers: &[Vec<usize>]) -> String {
    let Some(rest) = path.strip_prefix("network.blocks.") else { return path.replace("rule.output.", "rule.heads.0.") };
    let mut parts = rest.splitn(4, '.');
    let (block, layer) = (parts.next().unwrap().parse::<usize>().unwrap(), parts.nth(1).unwrap());
    let layer = layers[block][layer.parse::<usize>().unwrap()];
    format!("network.blocks.0.layers.{layer}.{}", parts.next().unwrap())
}

#[test]
fn with_the_weights_for_feedback_it_is_back_propagation() {
    for stack in stacks() {
        let ours = on_stack("feedback-alignment", &json!({}), &stack);
        let mut next = 0..;
        let layers: Vec<Vec<usize>> = ours
            .model(seed())
            .unwrap()
            .network
            .blocks()
            .iter()
            .map(|block| next.by_ref().take(block.layers().len()).collect())
            .collect();
        let a = step(&ours, |path, values, before| {
            if path == "rule.output_feedback" {
                values.clone_from(&before["rule.output.projection.weight"]);
            } else if let Some(block) = path.strip_prefix("rule.feedback.").and_then(|rest| rest.strip_suffix(".0")) {
                values.clone_from(&before[&format!("network.blocks.{block}.layers.0.unit.conv.weight")]);
            }
        });
        let b = step(&on_stack("backprop", &json!({}), &stack), |_, _, _| ());
        assert_eq!(a.len(), b.len(), "{stack}");
        for (path, gradient) in a {
            assert_close(&gradient, &b[&in_one_block(&path, &layers)], 1e-5, &format!("{stack}: {path}"));
        }
    }
}

#[test]
fn without_feedback_no_layer_of_the_network_learns() {
    for stack in stacks() {
        let case = on_stack("feedback-alignment", &json!({}), &stack);
        let zero = |path: &str, values: &mut Vec<f32>, _: &Values| {
            if path.starts_with("rule.feedback.") || path == "rule.output_feedback" {
                values.fill(0.0);
            }
        };
        for (path, gradient) in step(&case, zero) {
            let still = gradient.iter().all(|g| *g == 0.0);
            assert_eq!(still, path.starts_with("network."), "{stack}: the gradient of {path}");
        }
    }
}

#[test]
fn layers_without_two_halves_are_refused_with_the_place() {
    let case = &on_all_devices("feedback-alignment", &json!({}))[0];
    let row = burn_forward_cnn_networks().into_iter().find(|row| row.name == "cifar-resnet").unwrap();
    let spec = (row.parse)(&json!({"depth": 8})).unwrap().0;
    let context = Context {
        network_name: "cifar-resnet",
        network: spec.as_ref(),
        blocks: None,
        input: None,
        classes: None,
        optimizer: None,
    };
    let errors: Vec<String> = case.spec().unwrap().check(&context).iter().map(ToString::to_string).collect();
    let expected = "$.network: 'cifar-resnet' has an unsuitable layer at position 2; needed for 'feedback-alignment': \
                    layers that are a linear map followed by a function (mlp, conv-stack, vgg), each of them a block";
    assert_eq!(errors, [expected]);
    let resnet = network("cifar-resnet", &json!({"depth": 8}), Partition::LAYER);
    let error = case.with_network(resnet).model(seed()).unwrap_err().to_string();
    assert!(error.contains("block 1") && error.contains("a linear map followed by a function"), "{error}");
}

fn burn_forward_cnn_networks() -> Vec<burn_forward::network::NetworkEntry> {
    let mut registry = burn_forward::registry::Registry::default();
    burn_forward_cnn::register(&mut registry);
    registry.networks
}
