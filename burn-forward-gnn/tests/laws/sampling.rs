//! Mini-batches of sampled neighbourhoods.

use burn::tensor::Tensor;
use burn_forward::activation::{Activation, RowShape};
use burn_forward::data::{Batching, DataSplit, LastBatch, LoadedData};
use burn_forward::network::{Network, Partition};
use burn_forward_gnn::data::GraphData;
use burn_forward_gnn::graph::Sampler;
use serde_json::json;

use super::toy::{FEATURES, batch, device, node_data, registry, seed, split, toy};
use burn_forward_testing::values::numbers;

#[test]
fn sampling_whole_neighbourhoods_gives_the_full_batchs_scores() {
    // With two hops and all neighbours, a two-layer network gives the query nodes the same outputs as on the whole graph.
    let sampler = Sampler::new(vec![1000, 1000]).unwrap();
    let sampled = GraphData::nodes(toy(None), split(), 1, Some(sampler), seed()).unwrap();
    let whole = node_data(None);
    let row = registry().networks.into_iter().find(|n| n.name == "graph-sage").unwrap();
    let network = (row.parse)(&json!({"widths": [8, 8]})).unwrap().0;
    let layers = network.layers(RowShape::Nodes(FEATURES), seed(), &device()).unwrap();
    let network = Network::new(layers, Partition::LAYER).unwrap();
    let on_whole = network.forward(batch(&whole, DataSplit::Train).inputs).features();
    let classes_whole: Vec<Option<u32>> = whole.set().labels.clone();
    let loader = sampled.train_loader(4.into(), 1, 0, &device()).unwrap();
    assert_eq!(loader.iter().count(), split().train.len().div_ceil(4));
    let keys: Vec<_> = loader.iter().map(|b| b.unwrap().key.epoch).collect();
    assert!(keys.iter().all(|e| *e == 2), "{keys:?}");
    let mut seen = 0;
    for part in loader.iter() {
        let part = part.unwrap();
        let rows: Vec<Vec<f32>> = rows_of(network.forward(part.inputs.clone()).labelled());
        let classes: Vec<i64> = part.targets.to_data().iter::<i64>().collect();
        // The nodes are shuffled; each is found by its values among the training nodes of its class.
        let all = rows_of(on_whole.clone());
        for (row, class) in rows.iter().zip(classes) {
            let found = split().train.iter().any(|n| {
                classes_whole[*n as usize] == Some(class as u32)
                    && all[*n as usize].iter().zip(row).all(|(a, b)| (a - b).abs() < 1e-5)
            });
            assert!(found, "a sampled node's output is that of no training node");
            seen += 1;
        }
    }
    assert_eq!(seen, split().train.len());
}

/// The number of steps in the learning-rate schedule and in the plan equals the number of batches from the loader.
#[test]
fn steps_are_batches() {
    let nodes = split().train.len();
    for size in 1..=nodes + 1 {
        for last in [LastBatch::Keep, LastBatch::Drop] {
            let batching = Batching { size, last };
            for sampler in [None, Some(Sampler::new(vec![2, 2]).unwrap())] {
                let data = GraphData::nodes(toy(None), split(), 3, sampler.clone(), seed()).unwrap();
                let loader = data.train_loader(batching, 1, 0, &device()).unwrap();
                let batches: Vec<_> = loader.iter().map(|b| b.unwrap().targets.dims()[0]).collect();
                assert_eq!(batches.len(), data.steps_per_epoch(batching), "{batching:?} {sampler:?}");
                assert_eq!(batches.iter().sum::<usize>(), loader.num_items(), "{batching:?} {sampler:?}");
                let whole = sampler.is_none() || last == LastBatch::Keep;
                assert!(loader.num_items() % nodes == 0 || !whole, "{batching:?} {sampler:?}");
            }
        }
    }
}

fn rows_of(t: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, width] = t.dims();
    numbers(t).chunks(width).map(<[f32]>::to_vec).collect()
}
