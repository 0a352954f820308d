//! Predictive coding: the equilibrium of the states, and equivalences.

use burn::tensor::Tensor;
use burn_forward::init::InitScheme;
use burn_forward::model::LocalModel;
use burn_forward::network::{MlpConfig, Partition};
use burn_forward::pieces::activation_fn::ActivationFn;
use burn_forward::pieces::label::one_hot;
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::rules::Pass;
use burn_forward::tape::Tape;
use burn_forward_testing::step_trace::first_step;
use burn_forward_testing::values::{Values, assert_close, assert_same, features, gradients, numbers, parameters};
use serde_json::{Value, json};

use super::matrix::Matrix;
use super::toy::{CLASSES, Case, batch, mlp, model_of, on_all_devices, seed};

const ROWS: usize = 6;

fn cases(settings: &Value) -> Vec<Case> {
    on_all_devices("predictive-coding", settings)
}

fn linear(widths: &[usize]) -> MlpConfig {
    MlpConfig {
        widths: widths.to_vec(),
        activation: ActivationFn::None,
        dropout: 0.0,
        normalisation: Normalisation::None,
        init: InitScheme::Default,
    }
}

fn begun(model: &LocalModel, case: &Case) -> Pass {
    let batch = batch(ROWS, 0, case.device());
    model.rule.begin(&model.network, &batch, model.context(&batch), &mut Tape::new(()))
}

fn state(pass: &Pass, block: usize) -> Vec<f32> {
    features(&pass.signals.block("states", block).unwrap().output)
}

fn model(case: &Case, widths: &[usize]) -> LocalModel {
    model_of(case, &mlp(widths), Partition::LAYER, seed())
}

fn step(case: &Case, widths: &[usize]) -> Values {
    let model = model(case, widths);
    gradients(&model, &first_step(&model, &batch(ROWS, 0, case.device())).grads).unwrap()
}

/// Let `M_l = W_{l+1} ... W_L W_O`, and let `r = y - O(u_L)` be the error of a forward pass. The energy `F` of a linear
/// network is minimal if the error of the output is `r S^-1`, `S = I + sum_l M_l^T M_l`, and that of block `l` is
/// `r S^-1 M_l^T`; then `F = r S^-1 r^T / 2` (Innocenti et al. 2024, arXiv 2408.11979, with `M_l` transposed). All in `f64`.
#[test]
fn a_linear_network_comes_to_rest_at_the_closed_form() {
    let widths = [7, 5, 6];
    let blocks = widths.len();
    let settings = json!({"steps": 1000, "state-lr": 0.2, "state-momentum": 0.5});
    for case in cases(&settings) {
        let model = model_of(&case, &linear(&widths), Partition::LAYER, seed());
        let pass = begun(&model, &case);
        let known = parameters(&model).unwrap();
        let layer = |index: usize| {
            let of = |part: &str| match index {
                index if index < blocks => known[&format!("network.blocks.{index}.layers.0.linear.{part}")].clone(),
                _ => known[&format!("rule.output.projection.{part}")].clone(),
            };
            (Matrix::new(&of("weight"), *widths.get(index).unwrap_or(&CLASSES)), of("bias"))
        };
        let through = |x: &Matrix, index: usize| {
            let (weight, bias) = layer(index);
            let z = x.times(&weight);
            Matrix::of(z.rows, z.columns, |i, j| z.at(i, j) + bias[j] as f64)
        };
        let rows = batch(ROWS, 0, case.device());
        let inputs = features(&rows.inputs);
        let inputs = Matrix::new(&inputs, inputs.len() / ROWS);
        let targets = Matrix::new(&numbers(one_hot(&rows.targets, CLASSES)), CLASSES);

        let mut forward = Matrix::of(inputs.rows, inputs.columns, |i, j| inputs.at(i, j));
        (0..=blocks).for_each(|index| forward = through(&forward, index));
        let r = targets.minus(&forward);
        let to_output: Vec<Matrix> =
            (0..blocks).map(|l| (l + 2..=blocks).fold(layer(l + 1).0, |m, above| m.times(&layer(above).0))).collect();
        let s = Matrix::of(CLASSES, CLASSES, |i, j| {
            let of = |m: &Matrix| (0..m.rows).map(|k| m.at(k, i) * m.at(k, j)).sum::<f64>();
            f64::from(u8::from(i == j)) + to_output.iter().map(of).sum::<f64>()
        });
        // S is symmetric, so the rows of r S^-1 are the columns of S^-1 r^T.
        let output_error = s.solve(&r.transposed()).transposed();

        let (mut below, mut energy) = (inputs, 0.0);
        for (block, to_output) in to_output.iter().enumerate() {
            let error = output_error.times(&to_output.transposed());
            let predicted = through(&below, block);
            below = Matrix::of(error.rows, error.columns, |i, j| predicted.at(i, j) + error.at(i, j));
            let largest = error.values.iter().fold(0f64, |m, e| m.max(e.abs()));
            assert!(largest > 1e-2, "{case}: block {block} has next to no error, {largest}");
            assert_close(&state(&pass, block), &below.single(), 1e-5, &format!("{case}: state {block}"));
            energy += error.values.iter().map(|e| e * e).sum::<f64>() / 2.0;
        }
        energy += output_error.values.iter().map(|e| e * e).sum::<f64>() / 2.0;
        let closed = output_error.values.iter().zip(&r.values).map(|(a, b)| a * b).sum::<f64>() / 2.0;
        assert!((energy - closed).abs() < 1e-9, "{case}: energy {energy}, expected {closed}");
    }
}

/// Blocks of one layer each, and one block of all layers.
fn in_one_block(path: &str) -> String {
    match path.strip_prefix("network.blocks.") {
        Some(rest) => format!("network.blocks.0.layers.{}", rest.replacen(".layers.0", "", 1)),
        None => path.replace("rule.output.", "rule.heads.0."),
    }
}

fn assert_equal(ours: &Values, theirs: &Values, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (path, gradient) in ours {
        let expected = &theirs[path];
        let largest = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
        assert!(largest > 1e-4, "{what}: {path} {largest}");
        assert_close(gradient, expected, 1e-5_f32.min(largest * 1e-3), &format!("{what}: {path}"));
    }
}

#[test]
fn with_fixed_predictions_it_is_back_propagation() {
    let backprop = on_all_devices("backprop", &json!({}));
    let fixed = cases(&json!({"prediction": "fixed", "output": "cross-entropy"}));
    for (case, backprop) in fixed.iter().zip(&backprop) {
        let batch = batch(24, 0, case.device());
        for activation in [ActivationFn::Relu, ActivationFn::LeakyRelu, ActivationFn::Gelu, ActivationFn::Tanh] {
            let net = MlpConfig { activation, ..mlp(&[10, 9, 8]) };
            let step = |model: LocalModel| gradients(&model, &model.learn(&batch).grads).unwrap();
            let ours = step(model_of(case, &net, Partition::LAYER, seed()));
            let theirs = step(model_of(backprop, &net, Partition::WHOLE, seed()));
            let ours = ours.into_iter().map(|(path, gradient)| (in_one_block(&path), gradient)).collect();
            assert_equal(&ours, &theirs, &format!("{case} {activation:?}"));
        }
    }
}

#[test]
fn with_fixed_predictions_it_is_back_propagation_of_the_squared_error() {
    for case in cases(&json!({"prediction": "fixed"})) {
        let batch = batch(24, 0, case.device());
        let model = model(&case, &[10, 9, 8]);
        let ours = gradients(&model, &model.learn(&batch).grads).unwrap();
        let mut tape = Tape::new(());
        let scores = model.rule.classify(&model.network.forward(batch.inputs.clone())).unwrap();
        let error: Tensor<2> = one_hot(&batch.targets, CLASSES) - scores;
        tape.backward(&(error.square().sum() / (2.0 * 24.0)), &model);
        assert_equal(&ours, &gradients(&model, tape.gradients()).unwrap(), &case.to_string());
    }
}

/// After `k` steps of the states, exactly the last `k` blocks have an error.
#[test]
fn an_error_reaches_one_more_block_with_every_step() {
    let widths = [10, 9, 8, 7];
    for prediction in ["current", "fixed"] {
        for steps in 1..=widths.len() {
            for case in cases(&json!({"prediction": prediction, "steps": steps})) {
                for (path, gradient) in step(&case, &widths) {
                    let Some(block) = burn_forward_testing::values::block_of(&path) else { continue };
                    let still = gradient.iter().all(|g| *g == 0.0);
                    assert_eq!(still, block + steps < widths.len(), "{case}: the gradient of {path}");
                }
            }
        }
    }
}

/// States that move in rounds move like those that relax at once, and each round teaches the same as they do.
#[test]
fn where_no_weight_moves_rounds_are_steps_of_the_states() {
    const ROUNDS: usize = 5;
    let widths = [10, 9, 8];
    let how = |incremental: bool, steps: usize| {
        cases(&json!({"incremental": incremental, "steps": steps, "state-lr": 0.3, "state-momentum": 0.4}))
    };
    for (device, case) in how(true, ROUNDS).iter().enumerate() {
        let model = model(case, &widths);
        let mut begun = model.begin(&batch(ROWS, 0, case.device()));
        for round in 0..ROUNDS {
            let ours = gradients(&model, &model.learn_round(&mut begun).grads).unwrap();
            if round > 0 {
                let theirs = step(&how(false, round)[device], &widths);
                for (path, gradient) in &ours {
                    assert_close(gradient, &theirs[path], 1e-6, &format!("{case}, round {round}: {path}"));
                }
            }
        }
    }
}

#[test]
fn incremental_weights_learn_with_every_step_of_the_states() {
    for case in cases(&json!({"incremental": true, "steps": 3})) {
        let (mut steps, batch) = (0, batch(ROWS, 0, case.device()));
        let _ = model(&case, &[10, 9]).learn_with(&batch, |model, gradients| {
            steps += 1;
            assert_eq!(gradients.len(), 6, "{case}");
            model
        });
        assert_eq!(steps, 3, "{case}");
    }
}

/// Momentum starts from zero on every batch, and what only rounds need exists only for them.
#[test]
fn nothing_is_left_of_a_batch() {
    for (incremental, expected) in [(false, vec!["states"]), (true, vec!["input", "states"])] {
        for case in cases(&json!({"incremental": incremental})) {
            let model = model(&case, &[10, 9]);
            let first = begun(&model, &case);
            let names: Vec<&str> = first.signals.iter().map(|(name, _)| name).collect();
            assert_eq!(names, expected, "{case}");
            first_step(&model, &batch(ROWS, 1, case.device()));
            let again = begun(&model, &case);
            (0..2).for_each(|block| assert_eq!(state(&first, block), state(&again, block), "{case}"));
            assert_same(&step(&case, &[10, 9]), &step(&case, &[10, 9]), &case.to_string());
        }
    }
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let spec = |settings: Value| cases(&settings)[0].clone();
    let both = spec(json!({"incremental": true, "prediction": "fixed"}));
    assert!(!both.accepted().unwrap());
    let error = both.model(seed()).unwrap_err().to_string();
    assert!(error.contains("prediction is fixed, and incremental"), "{error}");
    for (settings, what) in [
        (json!({"steps": 0}), "steps is 0"),
        (json!({"state-lr": 0.0}), "state-lr is 0"),
        (json!({"state-momentum": 1.0}), "state-momentum is 1"),
    ] {
        let error = spec(settings).model(seed()).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}
