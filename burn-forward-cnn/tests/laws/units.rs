//! Signals that apply to the values before the pool: peer normalisation, and the targets of direct random target projection.

use burn::module::Module;
use burn_forward::activation::{Activation, RowShape};
use burn_forward::network::Partition;
use serde_json::{Value, json};

use super::toy::{Case, INPUT, batch, network, on_all_devices, seed};
use burn_forward_testing::values::{assert_close, assert_same, edit, gradients, numbers, parameters};

/// A plain stack with one or two blocks for images of 8 x 8.
fn on_stack(rule: &str, settings: Value, stack: Value, partition: Partition) -> Vec<Case> {
    let mut cases = on_all_devices(rule, &settings);
    cases.truncate(1);
    cases.iter().map(|case| case.with_network(network("conv-stack", &stack, partition))).collect()
}

#[test]
fn peer_normalisation_raises_a_silent_channel() {
    let (strength, positions) = (0.03, 64.0);
    for batch_norm in [false, true] {
        let stack = json!({"channels": [4, 6], "batch-norm": batch_norm, "normalisation": "rms"});
        let settings = json!({"softmax-head": false, "negatives": "wrong"});
        for case in on_stack("forward-forward", settings, stack, Partition::LAYER) {
            let shift = if batch_norm {
                "network.blocks.0.layers.0.unit.norm.beta"
            } else {
                "network.blocks.0.layers.0.unit.conv.bias"
            };
            let model = edit(case.model(seed()).unwrap(), |path, values| {
                if path == shift {
                    values[0] = -100.0;
                }
            });
            let batch = batch(24, 0, case.device());
            let before = model.rule.activities(&model.network, &batch);
            assert_eq!(before[0].by_unit().dims()[1], 4, "{case}");
            let gradient = gradients(&model, &model.learn(&batch).grads).unwrap()[shift][0];
            let means = &parameters(&model).unwrap()["rule.heads.0.loss.peer.mean"];
            assert_eq!(means.len(), 4, "{case}: a unit is a channel");
            assert!((means[0] - 0.45).abs() < 1e-6, "{case}: 0.9 of 0.5, and nothing of a silent channel: {means:?}");
            let push = means[0] - means.iter().sum::<f32>() / 4.0;
            // The goodness has no gradient there; the gradient of peer normalisation is the same at every position of every
            // positive sample.
            let expected = strength * positions * push;
            assert!(
                expected < 0.0 && (gradient - expected).abs() < 1e-4 * expected.abs(),
                "{case}: {gradient}, {expected}"
            );
        }
    }
}

#[test]
fn the_mean_activity_of_a_channel_is_that_in_front_of_the_pool() {
    let network = |pool: usize| json!({"channels": [4], "pool": pool, "global-pool": false, "normalisation": "rms"});
    let settings = json!({"softmax-head": false, "negatives": "wrong", "first-block": 0});
    let means = |pool| {
        let cases = on_stack("forward-forward", settings.clone(), network(pool), Partition::LAYER);
        let case = &cases[0];
        let model = case.model(seed()).unwrap();
        model.learn(&batch(24, 0, case.device()));
        parameters(&model).unwrap()["rule.heads.0.loss.peer.mean"].clone()
    };
    let unpooled = means(1);
    assert!(unpooled.iter().any(|m| (m - 0.45).abs() > 1e-3), "{unpooled:?}");
    assert_close(&means(2), &unpooled, 1e-6, "max pool");
}

/// The targets do not apply to what the block does to its activities afterwards.
#[test]
fn targets_are_projected_to_the_activities_in_front_of_the_pool() {
    let stack = |changes: Value| {
        let mut stack = json!({"channels": [4], "activation": "tanh", "pool": 1, "global-pool": false});
        stack.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        stack
    };
    let of_block = |stack: Value| {
        let cases = on_stack("drtp", json!({}), stack, Partition::WHOLE);
        let case = &cases[0];
        let model = case.model(seed()).unwrap();
        let batch = batch(24, 0, case.device());
        let all = gradients(&model, &model.learn(&batch).grads).unwrap();
        all.into_iter().filter(|(path, _)| path.starts_with("network.")).collect::<Vec<_>>()
    };
    let unpooled = of_block(stack(json!({})));
    assert!(!unpooled.is_empty());
    for pool in [json!({"pool": 2}), json!({"pool": 2, "pool-kind": "average"}), json!({"global-pool": true})] {
        let pooled = of_block(stack(pool.clone()));
        assert_eq!(pooled.len(), unpooled.len());
        for ((path, got), (same, expected)) in pooled.iter().zip(&unpooled) {
            assert_eq!(path, same);
            assert_close(got, expected, 1e-6, &format!("{pool}: {path}"));
        }
    }
}

#[test]
fn a_pass_that_shows_its_units_is_the_pass_that_does_not() {
    for case in on_all_devices("mono-forward", &json!({})) {
        let model = case.model(seed()).unwrap();
        let mut x = batch(24, 0, case.device()).inputs;
        for (index, block) in model.network.blocks().iter().enumerate() {
            let trace = block.trace_with_bias(x.clone(), None);
            let plain = block.forward_with_bias(x, None);
            let what = format!("{case}, block {index}");
            assert_close(&numbers(trace.output.features()), &numbers(plain.features()), 1e-6, &what);
            let units = trace.units.unwrap();
            let shape = block.units().unwrap();
            assert_eq!(units.activity.features().dims()[1], shape.len(), "{what}");
            let z = numbers(units.pre_activation.features());
            let tanh: Vec<f32> = z.iter().map(|z| z.tanh()).collect();
            assert_close(&numbers(units.activity.features()), &tanh, 1e-6, &what);
            if let (RowShape::Maps { .. }, 0) = (INPUT, index) {
                assert!(matches!(shape, RowShape::Maps { .. }), "{what}: {shape}");
            }
            x = plain;
        }
    }
}

/// The linear map followed by the rest equals the whole layer, with and without batch normalisation and pool, after maps and
/// after features.
#[test]
fn the_two_halves_of_a_layer_are_its_pass() {
    let stacks = [
        json!({"channels": [4, 6], "normalisation": "rms"}),
        json!({"channels": [4, 6], "batch-norm": false, "pool": 2, "activation": "tanh"}),
        json!({"channels": [4], "pool-kind": "average", "pool": 2, "global-pool": false}),
    ];
    let mut halves = 0;
    for stack in stacks {
        for case in on_stack("mono-forward", json!({}), stack.clone(), Partition::LAYER) {
            let model = case.model(seed()).unwrap();
            let mut x = batch(24, 0, case.device()).inputs;
            for layer in model.network.blocks().iter().flat_map(|block| block.layers()) {
                let whole = layer.trace(x.clone(), None);
                assert_eq!(layer.outline().affine, layer.affine(x.clone()).is_some(), "{}", layer.describe());
                if let Some(z) = layer.affine(x) {
                    let second = layer.activate(z);
                    let what = format!("{stack}, {}", layer.describe());
                    assert_close(&numbers(second.output.features()), &numbers(whole.output.features()), 1e-6, &what);
                    let [ours, theirs] =
                        [second, whole.clone()].map(|trace| numbers(trace.units.unwrap().activity.features()));
                    assert_close(&ours, &theirs, 1e-6, &what);
                    halves += 1;
                }
                x = whole.output;
            }
        }
    }
    assert!(halves >= 5, "{halves} layers have halves");
}

/// The weights are perturbed in a copy, in which batch normalisation is in inference mode.
#[test]
fn zeroth_order_learning_leaves_running_statistics_as_they_were() {
    let stack = json!({"channels": [4, 6], "batch-norm": true});
    for case in on_stack("zeroth-order", json!({"queries": 2}), stack, Partition::LAYER) {
        let model = case.model(seed()).unwrap();
        // Statistics other than the initial ones, where inference uses them.
        model.network.forward_all(batch(24, 1, case.device()).inputs);
        model.valid();
        let before = parameters(&model).unwrap();
        let means = before.iter().filter(|(path, _)| path.ends_with("running_mean"));
        assert!(means.clone().count() == 2 && means.flat_map(|(_, values)| values).all(|mean| *mean != 0.0));
        let learned = gradients(&model, &model.learn(&batch(24, 0, case.device())).grads).unwrap();
        assert_same(&before, &parameters(&model).unwrap(), &case.to_string());
        // All other gradients are estimated.
        let all = before.keys().filter(|path| !path.contains(".running_"));
        assert!(learned.keys().eq(all), "{:?}", learned.keys());
    }
}
