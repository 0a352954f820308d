//! Rules learn what can be learned from the data.

use burn_forward::data::{Batch, DataSplit, LoadedData};
use burn_forward::model::LocalModel;
use burn_forward::optim::{OptimizerConfig, OptimizerName};
use burn_forward::pieces::pair_loss::cross_entropy;
use burn_forward::random::Seed;
use burn_forward_gnn::data::{GraphData, LinkConfig};
use serde_json::json;

use super::toy::{CLASSES, Case, NETWORKS, batch, cases, device, node_data, seed, toy};
use burn_forward_testing::values::parameters;

/// The model after some steps of Adam.
pub(crate) fn trained(case: &Case, data: &GraphData, seed: Seed, steps: usize, classes: usize) -> LocalModel {
    let config = OptimizerConfig::new(OptimizerName::Adam, 1e-2);
    let mut optimizer = config.optimizer(&case.spec().parameter_groups()).unwrap();
    let mut model = case.model(seed, classes);
    let loader = data.train_loader(8.into(), 1, 0, &device()).unwrap();
    for _ in 0..steps {
        let batch = loader.iter().next().unwrap().unwrap();
        let output = model.learn(&batch);
        model = optimizer.step(1e-2, model, output.grads);
    }
    model
}

fn accuracy(model: &LocalModel, batch: &Batch) -> f64 {
    let scores = model.scores(batch.inputs.clone()).primary();
    let [rows, _] = scores.dims();
    scores.argmax(1).reshape([rows]).equal(batch.targets.clone()).float().mean().into_scalar::<f64>()
}

#[test]
fn nodes_of_the_test_set_are_classified() {
    let data = node_data(None);
    let test = batch(&data, DataSplit::Test);
    let mut failures = Vec::new();
    for mut case in cases() {
        // According to the paper's own tables, Forward-Forward with label features fails from the second block on, and with
        // virtual nodes it fails with graph convolutions.
        case.widths = if case.settings.get("label-injection").is_some() { vec![32] } else { vec![32, 32] };
        if case.rule == "graph-forward-forward" && case.settings == json!({}) && ["gcn", "gin"].contains(&case.network)
        {
            continue;
        }
        let steps = if case.settings.get("label-injection").is_some() { 300 } else { 100 };
        // With a single wrong class per node, nothing is learned about the other wrong classes.
        if case.settings.get("negatives").is_some() {
            continue;
        }
        // One direction per step is not enough for so few steps.
        if case.rule == "zeroth-order" {
            case.settings = json!({"queries": 32});
        }
        let after = accuracy(&trained(&case, &data, seed(), steps, CLASSES), &test);
        println!("{case}: {after:.3}");
        if after < 0.6 {
            failures.push(format!("{case}: {after:.3}"));
        }
    }
    assert!(failures.is_empty(), "chance is {:.2}:\n{}", 1.0 / CLASSES as f64, failures.join("\n"));
}

#[test]
fn every_optimizer_steps_every_network() {
    let data = node_data(None);
    let batch = batch(&data, DataSplit::Train);
    for network in NETWORKS {
        let case = Case { rule: "mono-forward".into(), settings: json!({}), network, widths: vec![8, 8], dropout: 0.0 };
        for name in OptimizerName::ALL {
            let mut optimizer = OptimizerConfig::new(name, 1e-2).optimizer(&case.spec().parameter_groups()).unwrap();
            let mut model = case.model(seed(), CLASSES);
            // Also checks that every number is finite.
            let before = parameters(&model).unwrap();
            for _ in 0..3 {
                let output = model.learn(&batch);
                model = optimizer.step(1e-2, model, output.grads);
            }
            let still: Vec<String> = parameters(&model)
                .unwrap()
                .into_iter()
                .filter(|(path, now)| before[path] == *now)
                .map(|(path, _)| path)
                .collect();
            assert!(still.is_empty(), "{case}: {} leaves {still:?} as they were", name.name());
        }
    }
}

#[test]
fn hidden_edges_are_found() {
    let data = GraphData::links(toy(None), LinkConfig::default(), 1, seed()).unwrap();
    let batch = batch(&data, DataSplit::Train);
    for rule in ["single-forward", "graph-forward-forward", "mono-forward", "backprop"] {
        let case = Case { rule: rule.into(), settings: json!({}), network: "gcn", widths: vec![8, 8], dropout: 0.0 };
        let loss = |m: &LocalModel| {
            let scores = m.scores(batch.inputs.clone());
            cross_entropy(scores.primary(), batch.targets.clone()).into_scalar::<f64>()
        };
        let (before, after) = (loss(&case.model(seed(), 2)), loss(&trained(&case, &data, seed(), 60, 2)));
        println!("{case}: {before:.3} {after:.3}");
        assert!(after < 0.95 * before, "{case}: {before} before, {after} after");
    }
}
