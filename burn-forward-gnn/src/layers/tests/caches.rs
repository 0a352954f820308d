//! What a layer keeps between steps, and the rows that a loss needs.

use super::*;

#[test]
fn what_is_kept_of_an_input_is_of_that_input_and_that_graph() {
    let device = devices().remove(0);
    let layer = Gcn {
        linear: LinearConfig::new(5, 3).init(&device),
        message_passing: message_passing(ActivationFn::Relu, Normalisation::L2),
    };
    let (x, y) = (random([NODES, 5], &device), random([NODES, 5], &device));
    let close = |a: Tensor<2>, b: Tensor<2>| {
        let (a, b) = (numbers(a), numbers(b));
        a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5)
    };
    let feature_cache = FeatureCache::default();
    let first = nodes(&x, graph(false), Some(feature_cache.clone()));
    let plain = |x: &Tensor<2>, weighted| run(&layer, nodes(x, graph(weighted), None));
    for _ in 0..2 {
        assert!(close(run(&layer, first.clone()), plain(&x, false)));
    }
    // It would be wrong to use another input with the same feature cache; replacing the features drops the cache.
    assert!(close(run(&layer, first.with_features(y.clone())), plain(&y, false)));
    assert!(!close(plain(&x, true), plain(&x, false)));
    assert!(first.with_features(y).nodes().is_some_and(|n| n.feature_cache.is_none()));
    // An update by the optimiser affects everything after the feature cache.
    let mut moved = layer.clone();
    moved.linear.weight = moved.linear.weight.map(|w| w * 2.0);
    assert!(close(run(&moved, first.clone()), run(&moved, nodes(&x, graph(false), None))));
}

#[test]
fn rows_that_are_read_are_those_of_the_whole_output() {
    // The labelled nodes are not in order, and the other nodes that are needed come after them.
    let (labelled, negatives, read) = ([4i32, 0, 5], [6u32], [4i64, 0, 5, 6]);
    for device in devices() {
        let entries: Vec<u32> = (0..NODES as u32).map(|node| node * 8 % 60).collect();
        let sparse = Sparse::new(60, (0..=NODES).collect(), entries, vec![1.5; NODES]).unwrap();
        let sparse = NodeFeatures::of(&Arc::new(sparse), &device);
        for features in [random([NODES, 3], &device).into(), random([NODES, 9], &device).into(), sparse] {
            let (d_in, d_out) = (features.width(), 4);
            let message_passing = || message_passing(ActivationFn::Tanh, Normalisation::L2);
            let linear = || LinearConfig::new(d_in, d_out).init(&device);
            let gcn = Gcn { linear: linear(), message_passing: message_passing() };
            let mean = Sage {
                own: linear(),
                neighbours: linear(),
                message_passing: message_passing(),
                aggregator: Aggregator::Mean,
            };
            let max = Sage { aggregator: Aggregator::Max, ..mean.clone() };
            let second = LinearConfig::new(d_out, d_out).init(&device);
            let gin = Gin { first: linear(), second, epsilon: None, message_passing: message_passing() };
            let gat = Gat {
                linear: linear(),
                source: Param::from_tensor(random([2, 2], &device)),
                target: Param::from_tensor(random([2, 2], &device)),
                bias: Param::from_tensor(Tensor::zeros([4], &device)),
                message_passing: message_passing(),
                average: false,
            };
            let (own, neighbours) = (leaf(&mean.own.weight), leaf(&mean.neighbours.weight));
            let layers: [(&str, &dyn Layer, Vec<Tensor<2>>); 5] = [
                ("gcn", &gcn, vec![leaf(&gcn.linear.weight)]),
                ("mean", &mean, vec![own.clone(), neighbours.clone()]),
                ("max", &max, vec![own, neighbours]),
                ("gin", &gin, vec![leaf(&gin.first.weight)]),
                ("gat", &gat, vec![leaf(&gat.linear.weight)]),
            ];
            let input = |feature_cache: Option<FeatureCache>| {
                let AnyActivation::Nodes(nodes) = nodes(&random([1, 1], &device), graph(true), feature_cache) else {
                    unreachable!()
                };
                AnyActivation::Nodes(Nodes { features: features.clone(), ..nodes })
            };
            for (name, layer, leaves) in layers {
                let labelled = Tensor::<1, Int>::from_data(labelled, &device);
                let feature_cache = FeatureCache::for_rows(RequiredRows::new(&labelled, negatives));
                let index = Tensor::<1, Int>::from_data(read, &device);
                let theirs = || layer.trace(input(None), None).output.features().select(0, index.clone());
                // A second step uses what the first one kept.
                for step in ["first", "second"] {
                    let ours = || layer.trace(input(Some(feature_cache.clone())), None).output.features();
                    assert_equal(&leaves, &format!("{name} of {d_in} features, {step} step"), ours, theirs);
                }
                let output = layer.trace(input(Some(feature_cache)), None).output;
                let (labelled, whole) = (numbers(output.labelled()), numbers(output.features()));
                assert_eq!(labelled, whole[..3 * d_out], "{name}: labelled rows come first");
            }
        }
    }
}
