//! Extreme cases of classification on graphs: one class, two classes, a class without nodes, one labelled node, identical
//! nodes. Every rule trains with finite numbers, or reports before training why it cannot.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn_forward::data::{DataSplit, LoadedData};
use burn_forward::optim::{OptimizerConfig, OptimizerName};
use burn_forward_gnn::data::{Features, GraphData, GraphDataset, NodeSplit};

use super::toy::{CLASSES, Case, FEATURES, NODES, batch, cases, device, seed, split, toy};
use burn_forward_testing::values::{gradients, numbers, parameters};

/// Rules that distinguish a class from the others, and report that they need two.
const NEED_TWO_CLASSES: [&str; 2] = ["graph-forward-forward", "single-forward"];

fn relabelled(modulus: u32, classes: usize) -> GraphDataset {
    let set = toy(None);
    GraphDataset { labels: set.labels.iter().map(|l| l.map(|c| c % modulus)).collect(), classes, ..set }
}

fn with_features(value: f32) -> GraphDataset {
    let row: Vec<(u32, f32)> =
        if value == 0.0 { Vec::new() } else { (0..FEATURES as u32).map(|f| (f, value)).collect() };
    GraphDataset { features: Features::sparse(vec![row; NODES], FEATURES).unwrap(), ..toy(None) }
}

fn extremes() -> Vec<(&'static str, GraphDataset, NodeSplit)> {
    let one = NodeSplit { train: split().train[..1].to_vec(), ..split() };
    vec![
        ("one class", relabelled(1, 1), split()),
        ("two classes", relabelled(2, 2), split()),
        ("a class without nodes", relabelled(CLASSES as u32, CLASSES + 1), split()),
        ("one labelled node", toy(None), one),
        ("nodes that are all the same", with_features(1.0), split()),
        ("nodes without features", with_features(0.0), split()),
    ]
}

fn after_training(case: &Case, data: &GraphData) -> Result<(), String> {
    let classes = data.classes();
    let mut optimizer =
        OptimizerConfig::new(OptimizerName::Adam, 1e-2).optimizer(&case.spec().parameter_groups()).unwrap();
    let mut model = case.try_model(seed(), classes).map_err(|e| e.to_string())?;
    let loader = data.train_loader(8.into(), 1, 0, &device()).unwrap();
    for _ in 0..3 {
        let output = model.learn(&loader.iter().next().unwrap().unwrap());
        // Both panic if a number is not finite.
        gradients(&model, &output.grads).unwrap();
        model = optimizer.step(1e-2, model, output.grads);
        parameters(&model).unwrap();
    }
    let test = batch(data, DataSplit::Test);
    let scores = numbers(model.scores(test.inputs).primary());
    assert_eq!(scores.len(), split().test.len() * classes, "{case}");
    assert!(scores.iter().all(|s| s.is_finite()), "{case}: {scores:?}");
    Ok(())
}

#[test]
fn every_rule_trains_on_extreme_graphs_or_refuses_them() {
    let mut failures = Vec::new();
    for (name, set, split) in extremes() {
        let data = GraphData::nodes(set, split, 1, None, seed()).unwrap();
        for case in cases() {
            let what = format!("{case} with {name}");
            let refused = NEED_TWO_CLASSES.contains(&case.rule.as_str()) && data.classes() == 1;
            match catch_unwind(AssertUnwindSafe(|| after_training(&case, &data))) {
                Err(_) => failures.push(format!("{what}: a panic")),
                Ok(Ok(())) if refused => failures.push(format!("{what}: accepted")),
                Ok(Err(message)) if !refused || !message.contains(">= 2") => {
                    failures.push(format!("{what}: {message}"))
                }
                Ok(_) => {}
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
