//! Gradients computed by hand in `f64`, from the equations of the papers.

use burn::tensor::Tensor;
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::data::Batch;
use burn_forward::init::InitScheme;
use burn_forward::model::LocalModel;
use burn_forward::network::{MlpConfig, Network, Partition};
use burn_forward::pieces::activation_fn::ActivationFn;
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::rules::{PepitaConfig, PepitaOutput, PepitaUpdate, RuleSpec};
use burn_forward::tape::Tape;
use serde_json::json;

use super::matrix::Matrix;
use super::toy::{CLASSES, batch, devices, model_of, on_all_devices, seed};
use burn_forward_testing::values::{Values, assert_close, edit, features, gradients, numbers, parameters};

/// `(softmax(G) - e_y) / B`.
fn delta(scores: &Matrix, targets: &[usize]) -> Matrix {
    Matrix::of(scores.rows, scores.columns, |i, c| {
        let sum: f64 = (0..scores.columns).map(|k| scores.at(i, k).exp()).sum();
        let own = if targets[i] == c { 1.0 } else { 0.0 };
        (scores.at(i, c).exp() / sum - own) / scores.rows as f64
    })
}

#[test]
fn mono_forward_by_hand() {
    let widths = [10, 9, 8];
    let plain = rectified(&widths);
    for case in on_all_devices("mono-forward", &json!({})) {
        let batch = batch(24, 0, case.device());
        let model = model_of(&case, &plain, Partition::LAYER, seed());
        let got = gradients(&model, &model.learn(&batch).grads).unwrap();
        let p = parameters(&model).unwrap();
        let targets: Vec<usize> = numbers(batch.targets.clone().float()).iter().map(|y| *y as usize).collect();

        let mut expected = Values::new();
        let mut a = Matrix::new(&features(&batch.inputs), 16);
        for (i, width) in widths.into_iter().enumerate() {
            let layer = format!("network.blocks.{i}.layers.0.linear");
            let head = format!("rule.heads.{i}.projection.weight");
            let (w, b) = (Matrix::new(&p[&format!("{layer}.weight")], width), &p[&format!("{layer}.bias")]);
            let m = Matrix::new(&p[&head], CLASSES);
            let product = a.times(&w);
            let z = Matrix::of(product.rows, width, |r, j| product.at(r, j) + b[j] as f64);
            let h = Matrix::of(z.rows, width, |r, j| z.at(r, j).max(0.0));
            let delta = delta(&h.times(&m), &targets);
            let dh = delta.times(&m.transposed());
            let dz = Matrix::of(z.rows, width, |r, j| if z.at(r, j) > 0.0 { dh.at(r, j) } else { 0.0 });
            expected.insert(head, h.transposed().times(&delta).single());
            expected.insert(format!("{layer}.weight"), a.transposed().times(&dz).single());
            expected.insert(format!("{layer}.bias"), dz.column_sums());
            a = h;
        }
        assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{case}");
        for (path, values) in expected {
            assert_close(&got[&path], &values, 1e-5, &format!("{case}: {path}"));
        }
    }
}

#[test]
fn the_softmax_head_learns_its_own_error() {
    for case in on_all_devices("forward-forward", &json!({})) {
        let batch = batch(24, 0, case.device());
        let model = case.model(seed()).unwrap();
        let mut tape = Tape::new(());
        let pass = model.rule.begin(&model.network, &batch, model.context(&batch), &mut tape);
        let targets: Vec<usize> = numbers(batch.targets.clone().float()).iter().map(|y| *y as usize).collect();
        let logits = Matrix::new(&numbers(pass.logits.unwrap()), CLASSES);
        let got = gradients(&model, tape.gradients()).unwrap();
        assert_close(&got["rule.softmax.bias"], &delta(&logits, &targets).column_sums(), 1e-5, &case.to_string());
    }
}

const UPDATES: [PepitaUpdate; 2] = [PepitaUpdate::Difference, PepitaUpdate::Hebbian];
const OUTPUTS: [PepitaOutput; 3] = [PepitaOutput::ModulatedError, PepitaOutput::StandardError, PepitaOutput::Hebbian];

/// ReLU layers without any extras.
fn rectified(widths: &[usize]) -> MlpConfig {
    MlpConfig {
        widths: widths.to_vec(),
        activation: ActivationFn::Relu,
        dropout: 0.0,
        normalisation: Normalisation::None,
        init: InitScheme::Default,
    }
}

/// One row, two layers with one unit each. With `x = (1, 2)`, `W_1 = (1, 1/2)`, `W_2 = 1/2` and `M = (ln 3, 0)`: `h = 2, 1`,
/// `Y = (3/4, 1/4)`; with class 0 and `F = diag(2, -4)`: `x~ = (3/2, 3)`, `h~ = 3, 3/2`.
#[test]
fn pepita_on_paper() {
    let modulated = 1.5 * (1.0 - 3f32.powf(1.5) / (1.0 + 3f32.powf(1.5)));
    for (name, device) in devices() {
        for (update, output) in UPDATES.into_iter().flat_map(|u| OUTPUTS.map(|o| (u, o))) {
            let input = RowShape::Features(2);
            let layers = rectified(&[1, 1]).layers(input, seed(), &device).unwrap();
            let network = Network::new(layers, Partition::LAYER).unwrap().with_input(input);
            let rule = PepitaConfig { update, output, ..PepitaConfig::default() }.build(&network, 2, seed()).unwrap();
            let model = edit(LocalModel::new(network, rule, seed()), |path, values| {
                values.copy_from_slice(match path {
                    "network.blocks.0.layers.0.linear.weight" => &[1.0, 0.5],
                    "network.blocks.1.layers.0.linear.weight" => &[0.5],
                    "rule.feedback" => &[2.0, 0.0, 0.0, -4.0],
                    "rule.output.projection.weight" => &[1.098_612_3, 0.0],
                    _ => &[0.0],
                });
            });
            let batch = Batch {
                inputs: AnyActivation::Features(Tensor::from_data([[1.0, 2.0]], &device)),
                targets: Tensor::from_data([0], &device),
                classes: 2,
                key: Default::default(),
                samples: [0].into(),
            };
            let got = gradients(&model, &model.learn(&batch).grads).unwrap();
            let [first, second] = match update {
                PepitaUpdate::Difference => [[-1.5, -3.0], [-1.5, -0.5]],
                PepitaUpdate::Hebbian => [[-2.5, -5.0], [-2.5, -0.5]],
            };
            let of_output = match output {
                PepitaOutput::ModulatedError => [-modulated, modulated],
                PepitaOutput::StandardError => [-0.375, 0.375],
                PepitaOutput::Hebbian => [-0.75, 0.25],
            };
            for (path, expected) in [
                ("network.blocks.0.layers.0.linear.weight", &first[..]),
                ("network.blocks.0.layers.0.linear.bias", &[-1.0]),
                ("network.blocks.1.layers.0.linear.weight", &second[..1]),
                ("network.blocks.1.layers.0.linear.bias", &second[1..]),
                ("rule.output.projection.weight", &of_output),
            ] {
                assert_close(&got[path], expected, 1e-5, &format!("{name}, {update:?}, {output:?}: {path}"));
            }
            assert_eq!(got.len(), 5, "{name}, {update:?}, {output:?}");
        }
    }
}

/// Inputs of every layer and of the output layer `[B, d]`, and the scores.
fn rectified_pass(x: Matrix, p: &Values, widths: &[usize]) -> (Vec<Matrix>, Matrix) {
    let mut entering = vec![x];
    for (i, width) in widths.iter().enumerate() {
        let layer = format!("network.blocks.{i}.layers.0.linear");
        let (w, b) = (Matrix::new(&p[&format!("{layer}.weight")], *width), &p[&format!("{layer}.bias")]);
        let z = entering[i].times(&w);
        entering.push(Matrix::of(z.rows, *width, |r, j| (z.at(r, j) + b[j] as f64).max(0.0)));
    }
    let scores = entering[widths.len()].times(&Matrix::new(&p["rule.output.projection.weight"], CLASSES));
    (entering, scores)
}

#[test]
fn pepita_by_hand() {
    const ROWS: usize = 24;
    let widths = [10, 9, 8];
    for (update, output) in UPDATES.into_iter().flat_map(|u| OUTPUTS.map(|o| (u, o))) {
        for case in on_all_devices("pepita", &json!({"update": update, "output": output, "feedback-scale": 0.7})) {
            let batch = batch(ROWS, 0, case.device());
            let model = model_of(&case, &rectified(&widths), Partition::LAYER, seed());
            let got = gradients(&model, &model.learn(&batch).grads).unwrap();
            let p = parameters(&model).unwrap();
            let targets: Vec<usize> = numbers(batch.targets.clone().float()).iter().map(|y| *y as usize).collect();
            let input = || Matrix::new(&features(&batch.inputs), 16);

            let (first, scores) = rectified_pass(input(), &p, &widths);
            // Already divided by the number of rows.
            let error = delta(&scores, &targets);
            let change = error.times(&Matrix::new(&p["rule.feedback"], 16));
            let changed = Matrix::of(ROWS, 16, |r, j| input().at(r, j) - ROWS as f64 * change.at(r, j));
            let (second, second_scores) = rectified_pass(changed, &p, &widths);

            let mut expected = Values::new();
            let mean = |m: Matrix| m.single().iter().map(|v| v / ROWS as f32).collect::<Vec<_>>();
            for i in 0..widths.len() {
                let layer = format!("network.blocks.{i}.layers.0.linear");
                let difference = first[i + 1].minus(&second[i + 1]);
                let products = |pass: &[Matrix]| pass[i].transposed().times(&pass[i + 1]);
                let weight = match update {
                    PepitaUpdate::Difference => second[i].transposed().times(&difference),
                    PepitaUpdate::Hebbian => products(&first).minus(&products(&second)),
                };
                expected.insert(format!("{layer}.weight"), mean(weight));
                let bias = difference.column_sums().iter().map(|v| v / ROWS as f32).collect();
                expected.insert(format!("{layer}.bias"), bias);
            }
            let top = |pass: &[Matrix]| pass[widths.len()].transposed();
            let target = |r: usize, c: usize| if targets[r] == c { 1.0 / ROWS as f64 } else { 0.0 };
            let target = Matrix::of(ROWS, CLASSES, target);
            let prediction = Matrix::of(ROWS, CLASSES, |r, c| error.at(r, c) + target.at(r, c));
            let weight = match output {
                PepitaOutput::ModulatedError => top(&second).times(&delta(&second_scores, &targets)),
                PepitaOutput::StandardError => top(&second).times(&error),
                PepitaOutput::Hebbian => top(&first).times(&prediction).minus(&top(&second).times(&target)),
            };
            expected.insert("rule.output.projection.weight".into(), weight.single());
            assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{case}");
            for (path, values) in expected {
                assert_close(&got[&path], &values, 1e-5, &format!("{case}: {path}"));
            }
        }
    }
}

/// Both passes have the same dropout masks: without feedback they are identical to the last bit.
#[test]
fn pepita_without_feedback_teaches_hidden_layers_nothing_behind_dropout() {
    for update in UPDATES {
        for case in on_all_devices("pepita", &json!({"update": update, "feedback-scale": 0.0})) {
            let net = MlpConfig { dropout: 0.5, ..rectified(&[10, 9, 8]) };
            let model = model_of(&case, &net, Partition::LAYER, seed());
            for (path, gradient) in gradients(&model, &model.learn(&batch(24, 0, case.device())).grads).unwrap() {
                let zero = gradient.iter().all(|g| *g == 0.0);
                assert_eq!(zero, path.starts_with("network."), "{case}: the gradient of {path} is {gradient:?}");
            }
        }
    }
}
