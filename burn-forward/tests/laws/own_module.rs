//! A user's own module built from the pieces behaves like the rule built from the same pieces.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_forward::ProjectedCrossEntropy;
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::block::{Block, Trace};
use burn_forward::local::{Local, LocalLoss};
use burn_forward::network::{Chain, MlpConfig, Partition};
use burn_forward::pieces::goodness::Goodness;
use burn_forward::pieces::goodness_loss::{GoodnessLoss, Pairs, energy};
use burn_forward::pieces::negatives::Negatives;
use burn_forward::pieces::pair_loss::PairLoss;
use burn_forward::pieces::peer_norm::PeerConfig;
use burn_forward::rules::{AnyHead, Head, HeadTargets};
use burn_forward::tape::{Labels, Tape};
use serde_json::json;

use super::toy::{CLASSES, batch, devices, mlp, model_of, on_all_devices, seed};
use burn_forward_testing::values::{assert_close, assert_same, gradients_among, numbers, same_bits};

/// The losses on a tape, block by block.
fn losses<S>(tape: &Tape<S>) -> Vec<f32> {
    tape.records().iter().flat_map(|record| numbers(record.score.loss.clone())).collect()
}

#[test]
fn forward_forward_in_a_module_is_the_rule() {
    for (name, goodness) in [("sum-squares", Goodness::SumSquares), ("burst", Goodness::Burst)] {
        let settings = json!({"goodness": name, "softmax-head": false, "negatives": "wrong", "first-block": 1});
        for case in on_all_devices("forward-forward", &settings) {
            let model = model_of(&case, &mlp(&[12, 10]), Partition::LAYER, seed());
            let of_block = |block: &Chain| {
                let (width, units) = (block.output().len(), block.output().units());
                let loss = GoodnessLoss::new(width, goodness, PairLoss::default(), case.device()).unwrap();
                // As in Hinton's recipe.
                let loss = loss.with_weight(0.5).with_peer(units, PeerConfig::default(), case.device());
                Local::new(block.clone(), loss)
            };
            let layers: Vec<Local<Chain, GoodnessLoss>> = model.network.blocks().iter().map(of_block).collect();

            let batch = batch(24, 3, case.device());
            let context = model.context(&batch);
            let mut by_rule = Tape::new(());
            model.rule.step(&model.network, &batch, context, &mut by_rule);

            let rng = &mut context.seed.stream("negatives", &[context.key.epoch, context.key.index]);
            let wrong = Negatives::Wrong.draw(&batch.targets, None, CLASSES, rng);
            let pairs = Pairs::overlaid(&batch.inputs, &batch.targets, &wrong, CLASSES);
            let mut own = Tape::new(pairs.polarity());
            layers.iter().fold(pairs.rows(), |x, layer| layer.learn(x, &mut own));

            let read = |gradients: &GradientsParams| gradients_among(&model, gradients).unwrap();
            assert_eq!(read(own.gradients()).len(), 4, "{case}: weights and biases of two layers");
            assert_same(&read(own.gradients()), &read(by_rule.gradients()), &case.to_string());
            assert!(same_bits(&losses(&own), &losses(&by_rule)), "{case}: {own:?} {by_rule:?}");

            // The rule shares work between candidates.
            let inputs = batch.inputs.without_autodiff();
            let readouts = model.valid().scores(inputs.clone()).readouts;
            for (readout, first) in [("energy", 1), ("energy-all", 0)] {
                let by_rule = readouts.iter().find(|(name, _)| *name == readout).unwrap().1.clone();
                let own = energy(&layers.valid(), first, &inputs, CLASSES);
                assert_close(&numbers(own), &numbers(by_rule), 1e-4, &format!("{case}: {readout}"));
            }
        }
    }
}

#[test]
fn any_head_is_a_loss_on_a_block_that_passes_tensors() {
    for (name, device) in devices() {
        let batch = batch(12, 0, &device);
        let width = batch.features().dims()[1];
        let rng = &mut seed().stream("head", &[]);
        let head = ProjectedCrossEntropy::new(width, CLASSES, true, rng, &device).unwrap();
        let any = AnyHead::new(head.clone());
        let x = batch.features().require_grad();
        let labels = Labels(batch.targets.clone());
        let own = LocalLoss::<Labels, Tensor<2>>::score(&any, &Trace::from(x.clone()), &labels).loss;
        let trace = Trace::from(AnyActivation::from(x));
        let of_rules = Head::score(&head, &trace, &HeadTargets::new(labels)).loss;
        assert!(same_bits(&numbers(own), &numbers(of_rules)), "{name}");
    }
}

#[test]
fn a_frozen_pass_is_the_one_at_inference_and_leaves_no_gradient() {
    for case in on_all_devices("mono-forward", &json!({})) {
        let net = MlpConfig { dropout: 0.5, ..mlp(&[10]) };
        let model = model_of(&case, &net, Partition::LAYER, seed());
        let (block, batch) = (&model.network.blocks()[0], batch(12, 0, case.device()));
        let h = block.forward_frozen(batch.inputs.clone());
        assert!(h.device().is_autodiff() && !h.features().is_tracked(), "{case}");
        let at_inference = block.valid().forward(batch.inputs.clone().without_autodiff());
        assert!(same_bits(&numbers(h.features()), &numbers(at_inference.features())), "{case}");
        assert!(
            !same_bits(&numbers(h.features()), &numbers(block.forward(batch.inputs).features())),
            "{case}: no dropout"
        );
    }
}
