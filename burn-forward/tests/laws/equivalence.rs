//! Different programs with the same meaning give the same result.

use burn::tensor::Tensor;
use burn_forward::ProjectedCrossEntropy;
use burn_forward::activation::Activation;
use burn_forward::block::Block;
use burn_forward::local::{LocalLoss, learn};
use burn_forward::model::LocalModel;
use burn_forward::network::{MlpConfig, Network, Partition};
use burn_forward::pieces::activation_fn::ActivationFn;
use burn_forward::tape::{Labels, Tape};
use serde_json::json;

use super::toy::{CLASSES, INPUT, batch, devices, mlp, model_of, on_all_devices, seed};
use burn_forward_testing::values::{assert_close, assert_same, edit, features, gradients, parameters, same_bits};

const ACTIVATIONS: [ActivationFn; 4] =
    [ActivationFn::Relu, ActivationFn::LeakyRelu, ActivationFn::Gelu, ActivationFn::Tanh];

#[test]
fn mono_forward_with_one_hidden_layer_is_back_propagation() {
    let mono = on_all_devices("mono-forward", &json!({}));
    for (mono, backprop) in mono.iter().zip(on_all_devices("backprop", &json!({"bias": false}))) {
        for activation in ACTIVATIONS {
            let net = MlpConfig { activation, ..mlp(&[10]) };
            let batch = batch(24, 0, mono.device());
            let step = |model: LocalModel| gradients(&model, &model.learn(&batch).grads).unwrap();
            let a = step(model_of(mono, &net, Partition::LAYER, seed()));
            let b = step(model_of(&backprop, &net, Partition::LAYER, seed()));
            assert_same(&a, &b, &format!("{mono} {activation:?}"));
        }
    }
}

/// With one block, feedback through the transposed output layer is the exact gradient, whatever is inside the block.
#[test]
fn direct_feedback_through_the_transposed_output_layer_is_back_propagation() {
    let dfa = on_all_devices("dfa", &json!({}));
    for (dfa, backprop) in dfa.iter().zip(on_all_devices("backprop", &json!({}))) {
        for (activation, widths) in ACTIVATIONS.into_iter().flat_map(|a| [(a, vec![10]), (a, vec![10, 9, 8])]) {
            let net = MlpConfig { activation, ..mlp(&widths) };
            let batch = batch(24, 0, dfa.device());
            let model = model_of(dfa, &net, Partition::WHOLE, seed());
            let output = parameters(&model).unwrap()["rule.output.projection.weight"].clone();
            let width = output.len() / CLASSES;
            let model = edit(model, |path, values| {
                if path == "rule.feedback.0.feedback" {
                    values.iter_mut().enumerate().for_each(|(i, b)| *b = output[i % width * CLASSES + i / width]);
                }
            });
            let a = gradients(&model, &model.learn(&batch).grads).unwrap();
            let model = model_of(&backprop, &net, Partition::WHOLE, seed());
            let b = gradients(&model, &model.learn(&batch).grads).unwrap();
            assert_eq!(a.len(), b.len(), "{dfa}");
            for (path, gradient) in a {
                let there = path.replace("rule.output.", "rule.heads.0.");
                assert_close(&gradient, &b[&there], 1e-6, &format!("{dfa} {activation:?} {widths:?}: {path}"));
            }
        }
    }
}

#[test]
fn one_backward_on_the_sum_of_detached_losses_is_one_backward_per_block() {
    for (name, device) in devices() {
        let batch = batch(24, 0, &device);
        let network = Network::new(mlp(&[10, 9, 8]).layers(INPUT, seed(), &device).unwrap(), Partition::LAYER).unwrap();
        let head = |(k, width)| {
            ProjectedCrossEntropy::new(width, CLASSES, true, &mut seed().stream("head", &[k]), &device).unwrap()
        };
        let heads: Vec<_> = [(0, 10), (1, 9), (2, 8)].into_iter().map(head).collect();
        let labels = Labels(batch.targets.clone());

        let (mut sequential, mut x) = (Tape::new(()), batch.inputs.clone());
        for (k, block) in network.blocks().iter().enumerate() {
            x = learn(block, &heads[k], k, x, &labels, &mut sequential);
        }
        let (mut together, mut x, mut sum) = (Tape::new(()), batch.inputs.clone(), None::<Tensor<1>>);
        for (block, head) in network.blocks().iter().zip(&heads) {
            let trace = block.trace(x.detach());
            let loss = head.score(&trace, &labels).loss;
            sum = Some(sum.map_or(loss.clone(), |sum| sum + loss));
            x = trace.output;
        }
        together.backward_pair(&sum.unwrap(), &network, &heads);

        // The rule is only used to read the network's gradients by path.
        let rule = on_all_devices("backprop", &json!({}))[0].model(seed()).unwrap().rule;
        let model = LocalModel::new(network, rule, seed());
        for (k, head) in heads.iter().enumerate() {
            let id = head.projection.weight.id;
            let a = sequential.gradients().get::<2>(id).unwrap().into_data();
            assert_eq!(a, together.gradients().get::<2>(id).unwrap().into_data(), "{name}: head {k}");
        }
        let read = |tape: &Tape| burn_forward_testing::values::gradients_among(&model, tape.gradients()).unwrap();
        assert_same(&read(&sequential), &read(&together), &name);
    }
}

#[test]
fn block_borders_do_not_change_what_a_network_computes() {
    for (name, device) in devices() {
        let batch = batch(24, 0, &device);
        let output = |partition| {
            let layers = mlp(&[10, 9, 8, 7, 6]).layers(INPUT, seed(), &device).unwrap();
            let network = Network::new(layers, partition).unwrap();
            let (all, last) = (network.forward_all(batch.inputs.clone()), network.forward(batch.inputs.clone()));
            assert!(same_bits(&features(all.last().unwrap()), &features(&last)), "{name} {partition}");
            features(&last)
        };
        let whole = output(Partition::WHOLE);
        for partition in [Partition::LAYER, Partition::Every { every: 2 }, Partition::Every { every: 7 }] {
            assert!(same_bits(&whole, &output(partition)), "{name} {partition}");
        }
    }
}
