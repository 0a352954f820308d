//! Feedback alignment: equivalences, and the values of its feedback weights.

use burn_forward::model::LocalModel;
use burn_forward::network::{MlpConfig, Partition};
use burn_forward::optim::{OptimizerConfig, OptimizerName};
use burn_forward::pieces::activation_fn::ActivationFn;
use burn_forward_testing::values::{Values, assert_close, edit, gradients, numbers, parameters};
use serde_json::json;

use super::toy::{CLASSES, Case, batch, mlp, model_of, on_all_devices, seed};

fn cases(kind: &str) -> Vec<Case> {
    on_all_devices("feedback-alignment", &json!({"feedback": kind}))
}

fn model(case: &Case, widths: &[usize]) -> LocalModel {
    model_of(case, &mlp(widths), Partition::LAYER, seed())
}

fn step(model: &LocalModel, case: &Case, index: u64) -> Values {
    gradients(model, &model.learn(&batch(24, index, case.device())).grads).unwrap()
}

/// The weight that a feedback weight corresponds to.
fn original(feedback: &str) -> Option<String> {
    if feedback == "rule.output_feedback" {
        return Some("rule.output.projection.weight".into());
    }
    let block = feedback.strip_prefix("rule.feedback.")?.strip_suffix(".0")?;
    Some(format!("network.blocks.{block}.layers.0.linear.weight"))
}

/// The model with the weights themselves as feedback.
fn aligned(model: LocalModel) -> LocalModel {
    let weights = parameters(&model).unwrap();
    edit(model, |path, values| {
        if let Some(original) = original(path) {
            values.clone_from(&weights[&original]);
        }
    })
}

fn without_feedback(model: LocalModel) -> LocalModel {
    edit(model, |path, values| {
        if original(path).is_some() {
            values.fill(0.0);
        }
    })
}

#[test]
fn with_the_weights_for_feedback_it_is_back_propagation() {
    let backprop = on_all_devices("backprop", &json!({}));
    for (case, backprop) in cases("random").iter().zip(&backprop) {
        for activation in [ActivationFn::Relu, ActivationFn::LeakyRelu, ActivationFn::Gelu, ActivationFn::Tanh] {
            let net = MlpConfig { activation, ..mlp(&[10, 9, 8]) };
            let a = step(&aligned(model_of(case, &net, Partition::LAYER, seed())), case, 0);
            let b = step(&model_of(backprop, &net, Partition::WHOLE, seed()), case, 0);
            assert_eq!(a.len(), b.len(), "{case}");
            for (path, gradient) in a {
                // Blocks of one layer each, and one block of all layers.
                let there = match path.strip_prefix("network.blocks.") {
                    Some(rest) => format!("network.blocks.0.layers.{}", rest.replacen(".layers.0", "", 1)),
                    None => path.replace("rule.output.", "rule.heads.0."),
                };
                let (theirs, what) = (&b[&there], format!("{case} {activation:?}: {path}"));
                let largest = theirs.iter().fold(0f32, |m, v| m.max(v.abs()));
                assert!(largest > 1e-4, "{what}: {largest}");
                assert_close(&gradient, theirs, 1e-5_f32.min(largest * 1e-3), &what);
            }
        }
    }
}

/// With one hidden layer and one matrix, compared at each step and after 100 steps.
#[test]
fn with_one_hidden_layer_it_is_direct_feedback_alignment() {
    const WIDTH: usize = 12;
    let dfa = on_all_devices("dfa", &json!({}));
    for (case, dfa) in cases("random").iter().zip(&dfa) {
        let ours = model(case, &[WIDTH]);
        let feedback = parameters(&ours).unwrap()["rule.output_feedback"].clone();
        let theirs = edit(model(dfa, &[WIDTH]), |path, values| {
            if path == "rule.feedback.0.feedback" {
                let transposed = |i: usize| feedback[i % WIDTH * CLASSES + i / WIDTH];
                values.iter_mut().enumerate().for_each(|(i, b)| *b = transposed(i));
            }
        });
        let (a, b) = (step(&ours, case, 0), step(&theirs, dfa, 0));
        assert!(a.keys().eq(b.keys()), "{case}");
        a.iter().for_each(|(path, a)| assert_close(a, &b[path], 1e-6, &format!("{case}: {path}")));

        let scores = |case: &Case, model: LocalModel| {
            let batches = (0..100).map(|index| case.batch_of(32, index));
            let trained = case.train(model, batches, |_| Ok(())).unwrap();
            numbers(trained.scores(case.data().unseen(200, case.device()).inputs).primary())
        };
        let (a, b) = (scores(case, ours), scores(dfa, theirs));
        let classes = |scores: &[f32]| -> Vec<usize> {
            let best = |row: &[f32]| (0..CLASSES).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
            scores.chunks(CLASSES).map(best).collect()
        };
        assert_eq!(classes(&a), classes(&b), "{case}: other predictions after 100 steps");
    }
}

#[test]
fn without_feedback_only_the_output_layer_learns() {
    for case in ["random", "frsf", "kolen-pollack"].into_iter().flat_map(cases) {
        let model = without_feedback(case.model(seed()).unwrap());
        for (path, gradient) in step(&model, &case, 0) {
            let zero = gradient.iter().all(|g| *g == 0.0);
            let of_output = path.starts_with("rule.output");
            assert_eq!(zero, !of_output, "{case}: the gradient of {path} is {gradient:?}");
        }
    }
}

/// If both receive the same update and the same decay, `B - W` shrinks by `1 - lr decay` per step.
#[test]
fn feedback_of_kolen_and_pollack_approaches_the_weights() {
    const STEPS: u64 = 50;
    const RATE: f64 = 0.05;
    const DECAY: f64 = 0.1;
    let sgd = OptimizerConfig { momentum: Some(0.0), ..OptimizerConfig::new(OptimizerName::Sgd, RATE) };
    for (case, plain) in cases("kolen-pollack")
        .iter()
        .flat_map(|case| [sgd.clone(), OptimizerConfig::new(OptimizerName::AdamW, RATE)].map(|plain| (case, plain)))
    {
        let config = OptimizerConfig { weight_decay: DECAY, ..plain };
        let mut optimizer = config.optimizer(&[]).unwrap();
        let mut model = case.model(seed()).unwrap();
        let before = parameters(&model).unwrap();
        for index in 0..STEPS {
            let output = model.learn(&batch(24, index, case.device()));
            model = optimizer.step(RATE, model, output.grads);
        }
        let after = parameters(&model).unwrap();
        let left = (1.0 - RATE * DECAY).powi(STEPS as i32) as f32;
        let mut compared = 0;
        for (path, original) in before.keys().filter_map(|path| Some((path, original(path)?))) {
            let difference = |values: &Values| -> Vec<f32> {
                values[path].iter().zip(&values[&original]).map(|(b, w)| b - w).collect()
            };
            let expected: Vec<f32> = difference(&before).iter().map(|d| left * d).collect();
            assert_close(&difference(&after), &expected, 1e-5, &format!("{case} {:?}: {path}", config.name));
            assert_ne!(before[&original], after[&original], "{case}: {original} does not learn");
            compared += 1;
        }
        assert_eq!(compared, 3, "{case}: the second and third layer and the output layer");
    }
}
