//! Layers and their sums over neighbours reject every wrong shape.

use burn_forward_kernels::testing::{assert_refused, panic_of, wrong_shapes};

use super::*;
use crate::graph::MAX_MESSAGE_FLOATS;

const EDGES: usize = 8;

/// Every kind of layer, from some features to 6.
fn layers(features: usize, device: &Device) -> Vec<Box<dyn Layer>> {
    let linear = |bias: bool| LinearConfig::new(features, 6).with_bias(bias).init(device);
    let message_passing = || message_passing(ActivationFn::Tanh, Normalisation::None);
    let vectors = || Param::from_tensor(random([2, 3], device));
    let sage = |aggregator| Sage {
        own: linear(false),
        neighbours: linear(true),
        message_passing: message_passing(),
        aggregator,
    };
    let second = LinearConfig::new(6, 6).init(device);
    let bias = Param::from_tensor(Tensor::zeros([6], device));
    vec![
        Box::new(Gcn { linear: linear(true), message_passing: message_passing() }),
        Box::new(sage(Aggregator::Mean)),
        Box::new(sage(Aggregator::Max)),
        Box::new(Gat {
            linear: linear(false),
            source: vectors(),
            target: vectors(),
            bias,
            message_passing: message_passing(),
            average: false,
        }),
        Box::new(Gin { first: linear(true), second, epsilon: None, message_passing: message_passing() }),
    ]
}

#[test]
fn every_layer_refuses_other_nodes_and_features_than_its_own() {
    for device in devices() {
        for layer in layers(4, &device) {
            let run = |shape| drop(layer.trace(nodes(&random(shape, &device), graph(true), None), None));
            assert_eq!(panic_of(|| run([NODES, 4])), None, "{}", layer.describe());
            for shape in wrong_shapes([NODES, 4], &[]) {
                assert_refused(&format!("{} of {shape:?}", layer.describe()), || run(shape));
            }
        }
        // Features that stay sparse, if the device supports this.
        for layer in layers(64, &device) {
            let run = |rows: usize, columns: u32| {
                let features = (0..rows as u32).map(|_| columns - 1).collect();
                let sparse = Sparse::new(columns as usize, (0..=rows).collect(), features, vec![1.0; rows]).unwrap();
                let features = NodeFeatures::of(&Arc::new(sparse), &device);
                let AnyActivation::Nodes(dense) = nodes(&random([rows, 1], &device), graph(true), None) else { return };
                drop(layer.trace(AnyActivation::Nodes(Nodes { features, ..dense }), None));
            };
            assert_eq!(panic_of(|| run(NODES, 64)), None, "{}", layer.describe());
            for [rows, columns] in wrong_shapes([NODES, 64], &[]) {
                assert_refused(&format!("{}, sparse {rows} x {columns}", layer.describe()), || {
                    run(rows, columns as u32)
                });
            }
        }
    }
}

#[test]
fn every_sum_over_neighbours_refuses_every_wrong_shape() {
    const { assert!(MAX_MESSAGE_FLOATS > EDGES * 64, "the sums are computed in a single part") }
    type Operation = (&'static str, Vec<[usize; 2]>, Vec<&'static [usize]>, fn(&Edges, &[Tensor<2>]));
    let all: Vec<Operation> = vec![
        ("sum", vec![[NODES, 4]], vec![&[1]], |e, t| drop(e.aggregate(Aggregation::Sum, t[0].clone()))),
        ("mean", vec![[NODES, 4]], vec![&[1]], |e, t| drop(e.aggregate(Aggregation::Mean, t[0].clone()))),
        ("max", vec![[NODES, 4]], vec![&[1]], |e, t| drop(e.aggregate(Aggregation::Max, t[0].clone()))),
        ("propagation", vec![[NODES, 4]], vec![&[1]], |e, t| drop(e.aggregate(Aggregation::Propagation, t[0].clone()))),
        ("sum_into", vec![[NODES, 4]; 2], vec![&[], &[]], |e, t| drop(e.sum_into(t[0].clone(), t[1].clone()))),
        ("highest", vec![[EDGES, 4], [NODES, 4]], vec![&[], &[]], |e, t| {
            drop(e.scatter_max(t[0].clone(), t[1].clone()))
        }),
        ("scatter_add", vec![[EDGES, 4], [NODES, 4]], vec![&[], &[]], |e, t| {
            drop(e.scatter_add(t[0].clone(), t[1].clone()));
        }),
        ("weighted_sum_into", vec![[EDGES, 3], [NODES, 6], [NODES, 6]], vec![&[1], &[], &[]], |e, t| {
            drop(e.weighted_sum_into(t[0].clone(), t[1].clone(), t[2].clone()));
        }),
    ];
    for device in devices() {
        for weighted in [false, true] {
            let edges = graph(weighted).on(&device);
            assert_eq!(edges.len(), EDGES);
            for (name, shapes, free, run) in &all {
                let tensors = |shapes: &[[usize; 2]]| shapes.iter().map(|s| random(*s, &device)).collect::<Vec<_>>();
                assert_eq!(panic_of(|| run(&edges, &tensors(shapes))), None, "{name}");
                for (i, (shape, free)) in shapes.iter().zip(free).enumerate() {
                    for wrong in wrong_shapes(*shape, free) {
                        let mut shapes = shapes.clone();
                        shapes[i] = wrong;
                        let tensors = tensors(&shapes);
                        assert_refused(&format!("{name} of {shapes:?}"), || run(&edges, &tensors));
                    }
                }
            }
            // A number of heads that does not divide the number of features.
            let [weights, x] = [[EDGES, 4], [NODES, 6]].map(|shape| random(shape, &device));
            assert_refused("four heads", || drop(edges.weighted_sum_into(weights, x.clone(), x)));
        }
    }
}
