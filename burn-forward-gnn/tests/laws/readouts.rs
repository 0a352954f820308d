//! The name of a readout has the same meaning under every rule, for nodes and for pairs of nodes.

use burn_forward::data::DataSplit;
use burn_forward_gnn::data::{GraphData, LinkConfig};

use super::toy::{CLASSES, batch, cases, node_data, seed, toy};
use burn_forward_testing::laws::readouts::wrong_readouts;

#[test]
fn readouts_of_one_name_are_made_of_blocks_in_one_way() {
    let nodes = node_data(None);
    let pairs = GraphData::links(toy(None), LinkConfig::default(), 1, seed()).unwrap();
    let mut wrong = Vec::new();
    for case in cases() {
        for (data, classes) in [(&nodes, CLASSES), (&pairs, 2)] {
            let scores = case.model(seed(), classes).scores(batch(data, DataSplit::Train).inputs);
            wrong.extend(wrong_readouts(&scores).iter().map(|wrong| format!("{case}, {classes} classes: {wrong}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
