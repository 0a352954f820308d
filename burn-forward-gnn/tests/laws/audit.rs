//! The audit compares updates with gradients under every rule on every network, for nodes and for pairs of nodes.

use burn_forward::data::DataSplit;
use burn_forward_gnn::data::{GraphData, LinkConfig};
use burn_forward_train::measure::audit;

use super::toy::{CLASSES, batch, cases, node_data, seed, toy};

#[test]
fn every_rule_is_audited_in_finite_numbers() {
    let nodes = node_data(None);
    let pairs = GraphData::links(toy(None), LinkConfig::default(), 1, seed()).unwrap();
    let mut wrong = Vec::new();
    for mut case in cases() {
        for (data, classes) in [(&nodes, CLASSES), (&pairs, 2)] {
            // With this seed, both ReLUs within a layer with two outputs are inactive.
            if classes == 2 && case.settings.get("output").is_some() && case.network == "gin" {
                continue;
            }
            case.widths = vec![32, 32, 32];
            let model = case.model(seed(), classes);
            let blocks =
                audit(&model, &batch(data, DataSplit::Train), seed()).unwrap_or_else(|e| panic!("{case}: {e}"));
            let numbers = blocks.iter().map(|b| b.angle_degrees.zip(b.norm_ratio)).collect::<Option<Vec<_>>>();
            let finite = numbers.is_some_and(|all| {
                // The update of back-propagation is the gradient.
                let exact = |(angle, ratio): &(f64, f64)| *angle < 0.1 && (ratio - 1.0).abs() < 1e-4;
                all.iter()
                    .all(|n| (0.0..=180.0).contains(&n.0) && n.1.is_finite() && (case.rule != "backprop" || exact(n)))
            });
            if blocks.len() != model.network.len() || !finite {
                wrong.push(format!("{case}, {classes} classes: {blocks:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
