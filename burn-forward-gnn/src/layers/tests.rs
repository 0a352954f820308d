//! Every layer compared with the same formula on dense matrices, in values and gradients.

use std::sync::Arc;

use burn::module::Param;
use burn::nn::LinearConfig;
use burn::tensor::{Device, Distribution, Int, TensorData, activation};
use burn_forward::activation::{FeatureCache, Labelled, NodeFeatures, Nodes, RequiredRows};
use burn_forward::network::Layer;
use burn_forward::pieces::dropout::Dropout;
use burn_forward_kernels::sparse::Sparse;

use super::*;
use crate::graph::Graph;

mod caches;
mod shapes;

const NODES: usize = 7;

/// A graph with a node without neighbours (6), a node that only receives (5), and edges in one direction only.
fn edges() -> Vec<(u32, u32, f32)> {
    vec![(0, 1, 0.5), (1, 0, 2.0), (1, 2, 1.0), (2, 1, 1.5), (2, 3, 0.25), (3, 0, 1.0), (4, 5, 3.0), (0, 5, 1.0)]
}

fn graph(weighted: bool) -> Graph {
    if weighted {
        return Graph::weighted(NODES, &edges()).unwrap();
    }
    Graph::directed(NODES, &edges().iter().map(|e| (e.0, e.1)).collect::<Vec<_>>()).unwrap()
}

/// `A`, where `A[t][s]` is the weight of the edge from `s` to `t`.
fn dense(weighted: bool) -> [[f32; NODES]; NODES] {
    let mut a = [[0.0; NODES]; NODES];
    for (s, t, w) in edges() {
        a[t as usize][s as usize] = if weighted { w } else { 1.0 };
    }
    a
}

fn devices() -> Vec<Device> {
    ["flex", "ndarray"].into_iter().filter_map(|n| burn_forward::device::parse(n).ok()).map(Device::autodiff).collect()
}

fn nodes(x: &Tensor<2>, graph: Graph, feature_cache: Option<FeatureCache>) -> AnyActivation {
    let labelled_graph = LabelledGraph::new(Arc::new(graph), 2);
    AnyActivation::Nodes(Nodes {
        features: x.clone().into(),
        labelled: Labelled::All,
        graph: Arc::new(labelled_graph),
        feature_cache,
    })
}

fn message_passing(activation: ActivationFn, normalisation: Normalisation) -> MessagePassing {
    MessagePassing { dropout: Dropout::none(), activation, normalisation }
}

fn random(shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

fn numbers<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().iter::<f32>().collect()
}

/// Compares two functions of the same leaves: their values, and the gradients of a random projection of the values.
fn assert_equal(leaves: &[Tensor<2>], what: &str, ours: impl Fn() -> Tensor<2>, theirs: impl Fn() -> Tensor<2>) {
    let (a, b) = (ours(), theirs());
    let direction = random(a.dims(), &a.device());
    let close = |a: Vec<f32>, b: Vec<f32>, part: &str| {
        assert_eq!(a.len(), b.len(), "{what}: {part}");
        for (i, (a, b)) in a.iter().zip(&b).enumerate() {
            assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{what}: {part}[{i}] {a}, dense {b}");
        }
    };
    close(numbers(a.clone()), numbers(b.clone()), "value");
    let (ga, gb) = ((a * direction.clone()).sum().backward(), (b * direction).sum().backward());
    for (i, leaf) in leaves.iter().enumerate() {
        let gradient = |g| numbers(leaf.grad(g).unwrap());
        close(gradient(&ga), gradient(&gb), &format!("gradient of leaf {i}"));
    }
}

fn leaf<const D: usize>(p: &Param<Tensor<D>>) -> Tensor<D> {
    p.val()
}

fn matrix(a: [[f32; NODES]; NODES], device: &Device) -> Tensor<2> {
    Tensor::from_data(a, device)
}

fn run(layer: &impl Layer, input: AnyActivation) -> Tensor<2> {
    layer.trace(input, None).output.features()
}

/// `D^(-1/2) (A + I) D^(-1/2)`, entry by entry.
fn propagation(weighted: bool) -> [[f32; NODES]; NODES] {
    let mut a = dense(weighted);
    (0..NODES).for_each(|i| a[i][i] += 1.0);
    let degree: Vec<f32> = a.iter().map(|row| row.iter().sum()).collect();
    for (t, row) in a.iter_mut().enumerate() {
        for (s, value) in row.iter_mut().enumerate() {
            *value /= (degree[t] * degree[s]).sqrt();
        }
    }
    a
}

#[test]
fn gcn_is_a_hat_x_w() {
    for device in devices() {
        for (weighted, d_in, d_out) in [(false, 3, 5), (true, 3, 5), (false, 5, 3), (true, 5, 3)] {
            let linear = LinearConfig::new(d_in, d_out).init(&device);
            let layer = Gcn { linear, message_passing: message_passing(ActivationFn::Tanh, Normalisation::None) };
            let x = random([NODES, d_in], &device).require_grad();
            let (w, b) = (leaf(&layer.linear.weight), leaf(layer.linear.bias.as_ref().unwrap()));
            let theirs = || {
                let z = matrix(propagation(weighted), &device).matmul(x.clone()).matmul(w.clone());
                activation::tanh(z + b.clone().unsqueeze())
            };
            let ours = || run(&layer, nodes(&x, graph(weighted), None));
            assert_equal(&[x.clone(), w.clone()], &format!("gcn weighted {weighted} {d_in}"), ours, theirs);
        }
    }
}

#[test]
fn sage_is_own_and_mean_or_maximum() {
    for device in devices() {
        for (aggregator, weighted, d_in, d_out) in [
            (Aggregator::Mean, false, 3, 5),
            (Aggregator::Mean, true, 5, 3),
            (Aggregator::Mean, false, 5, 3),
            (Aggregator::Max, false, 3, 5),
        ] {
            let layer = Sage {
                own: LinearConfig::new(d_in, d_out).with_bias(false).init(&device),
                neighbours: LinearConfig::new(d_in, d_out).init(&device),
                message_passing: message_passing(ActivationFn::Tanh, Normalisation::None),
                aggregator,
            };
            let x = random([NODES, d_in], &device).require_grad();
            let (w, v) = (leaf(&layer.own.weight), leaf(&layer.neighbours.weight));
            let b = leaf(layer.neighbours.bias.as_ref().unwrap());
            let theirs = || {
                let a = dense(weighted);
                let rows: Vec<Tensor<2>> = a
                    .iter()
                    .map(|row| match aggregator {
                        Aggregator::Mean => {
                            let sum: f32 = row.iter().sum();
                            let row = row.map(|w| if sum > 0.0 { w / sum } else { 0.0 });
                            Tensor::<2>::from_data([row], &device).matmul(x.clone())
                        }
                        Aggregator::Max => (0..NODES)
                            .filter(|s| row[*s] != 0.0)
                            .map(|s| x.clone().slice([s..s + 1, 0..d_in]))
                            .reduce(Tensor::max_pair)
                            .unwrap_or_else(|| Tensor::zeros([1, d_in], &device)),
                    })
                    .collect();
                let z = x.clone().matmul(w.clone()) + Tensor::cat(rows, 0).matmul(v.clone());
                activation::tanh(z + b.clone().unsqueeze())
            };
            let ours = || run(&layer, nodes(&x, graph(weighted), None));
            let what = format!("sage {aggregator:?} weighted {weighted} {d_in}");
            assert_equal(&[x.clone(), w.clone(), v.clone()], &what, ours, theirs);
        }
    }
}

#[test]
fn gin_is_a_perceptron_of_a_sum() {
    for device in devices() {
        for weighted in [false, true] {
            let layer = Gin {
                first: LinearConfig::new(3, 4).init(&device),
                second: LinearConfig::new(4, 4).init(&device),
                epsilon: Some(Param::from_tensor(Tensor::from_data([0.3], &device))),
                message_passing: message_passing(ActivationFn::Tanh, Normalisation::None),
            };
            let x = random([NODES, 3], &device).require_grad();
            let (w, v) = (leaf(&layer.first.weight), leaf(&layer.second.weight));
            let theirs = || {
                let mut a = dense(weighted);
                (0..NODES).for_each(|i| a[i][i] += 1.3);
                let bias = |l: &burn::nn::Linear| leaf(l.bias.as_ref().unwrap()).unsqueeze::<2>();
                let h = matrix(a, &device).matmul(x.clone()).matmul(w.clone()) + bias(&layer.first);
                activation::tanh(activation::relu(h).matmul(v.clone()) + bias(&layer.second))
            };
            let ours = || run(&layer, nodes(&x, graph(weighted), None));
            assert_equal(&[x.clone(), w.clone(), v.clone()], &format!("gin weighted {weighted}"), ours, theirs);
        }
    }
}

#[test]
fn gat_is_a_softmax_over_the_neighbourhood() {
    for device in devices() {
        for average in [false, true] {
            let (heads, width) = (2, 3);
            let layer = Gat {
                linear: LinearConfig::new(4, heads * width).with_bias(false).init(&device),
                source: Param::from_tensor(random([heads, width], &device) * 3.0),
                target: Param::from_tensor(random([heads, width], &device) * 3.0),
                bias: Param::from_tensor(Tensor::zeros([if average { width } else { heads * width }], &device)),
                message_passing: message_passing(ActivationFn::Tanh, Normalisation::None),
                average,
            };
            let x = random([NODES, 4], &device).require_grad();
            let (w, a, b) = (leaf(&layer.linear.weight), leaf(&layer.source), leaf(&layer.target));
            let theirs = || {
                // A full matrix of scores for every head, in which all pairs without an edge are masked out.
                let mut mask = dense(false);
                (0..NODES).for_each(|i| mask[i][i] = 1.0);
                let mask = (matrix(mask, &device) - 1.0) * 1e9;
                let g = x.clone().matmul(w.clone());
                let head = |k: usize| {
                    let own = g.clone().slice([0..NODES, k * width..(k + 1) * width]);
                    let score = |v: &Tensor<2>| own.clone().matmul(v.clone().slice([k..k + 1, 0..width]).transpose());
                    let scores = activation::leaky_relu(score(&b) + score(&a).transpose(), 0.2);
                    activation::softmax(scores + mask.clone(), 1).matmul(own)
                };
                let heads: Vec<Tensor<2>> = (0..heads).map(head).collect();
                let h = if average { (heads[0].clone() + heads[1].clone()) / 2.0 } else { Tensor::cat(heads, 1) };
                activation::tanh(h)
            };
            let ours = || run(&layer, nodes(&x, graph(false), None));
            assert_equal(
                &[x.clone(), w.clone(), a.clone(), b.clone()],
                &format!("gat average {average}"),
                ours,
                theirs,
            );
        }
    }
}

#[test]
fn sparse_features_are_dense_ones() {
    let device = devices().remove(0);
    let (columns, heads, width) = (60, 2, 3);
    let entries: Vec<u32> = (0..NODES as u32).map(|node| node * 8 % columns).collect();
    let front = Sparse::new(columns as usize, (0..=NODES).collect(), entries, vec![1.5; NODES]).unwrap();
    let front = NodeFeatures::of(&Arc::new(front), &device);
    assert!(matches!(front, NodeFeatures::Sparse { .. }));
    let more = random([2, columns as usize], &device);
    for (features, below) in [
        (front.clone(), 0),
        (front.with_columns(random([NODES, 4], &device)), 0),
        (front.with_rows(more.clone()).normalised(Normalisation::L2), 2),
        (front.with_rows(more), 2),
    ] {
        let (d_in, dense) = (features.width(), features.dense());
        assert_eq!(dense.dims(), [NODES + below, d_in]);
        let linear = || LinearConfig::new(d_in, heads * width).init(&device);
        let input = |features: NodeFeatures| {
            let graph = graph(true).with_nodes_and_edges(below, &[]).unwrap();
            let AnyActivation::Nodes(nodes) = nodes(&random([1, 1], &device), graph, Some(FeatureCache::default()))
            else {
                unreachable!()
            };
            AnyActivation::Nodes(Nodes { features, ..nodes })
        };
        for normaliser in [Normalisation::None, Normalisation::Rms, Normalisation::L2, Normalisation::LayerNorm] {
            let message_passing = || message_passing(ActivationFn::Tanh, normaliser);
            let (a, b, c) = (linear(), linear(), linear());
            let gat = Gat {
                linear: c,
                source: Param::from_tensor(random([heads, width], &device)),
                target: Param::from_tensor(random([heads, width], &device)),
                bias: Param::from_tensor(Tensor::zeros([heads * width], &device)),
                message_passing: message_passing(),
                average: false,
            };
            let leaves = [leaf(&a.weight), leaf(&b.weight), leaf(&gat.linear.weight)];
            let gcn = Gcn { linear: a.clone(), message_passing: message_passing() };
            let mean = Sage {
                own: a.clone(),
                neighbours: b.clone(),
                message_passing: message_passing(),
                aggregator: Aggregator::Mean,
            };
            let max = Sage { aggregator: Aggregator::Max, ..mean.clone() };
            let layers: [(&str, &dyn Layer, Vec<usize>); 4] = [
                ("gcn", &gcn, vec![0]),
                ("mean", &mean, vec![0, 1]),
                ("max", &max, vec![0, 1]),
                ("gat", &gat, vec![2]),
            ];
            for (name, layer, of) in layers {
                let run = |features: NodeFeatures| layer.trace(input(features), None).output.features();
                let of: Vec<Tensor<2>> = of.into_iter().map(|i| leaves[i].clone()).collect();
                let what = format!("{name} {normaliser:?} {d_in} features of {} nodes", NODES + below);
                assert_equal(&of, &what, || run(features.clone()), || run(dense.clone().into()));
            }
        }
    }
}

#[test]
fn sums_in_pieces_are_sums() {
    // Only a backend without sparse products adds up messages.
    let Some(device) = devices().into_iter().map(Device::inner).find(|d| !Sparse::works_on(d)) else { return };
    // More messages than one part of 2^24 numbers can contain.
    let (n, width) = (300, 4000);
    let pairs: Vec<(u32, u32)> = (0..n).flat_map(|t| (0..40).map(move |k| ((t * 7 + k * 13) % n, t))).collect();
    let graph = Graph::directed(n as usize, &pairs).unwrap();
    assert!(graph.edges() * width > crate::graph::MAX_MESSAGE_FLOATS);
    let values: Vec<f32> = (0..n as usize * width).map(|i| (i % 11) as f32 - 5.0).collect();
    let x = Tensor::<2>::from_data(TensorData::new(values.clone(), [n as usize, width]), &device);
    let sum = numbers(graph.on(&device).sum(x));
    for target in [0, 150, 299] {
        for feature in [0, 1999, 3999] {
            let expected: f32 = graph.sources_of(target).iter().map(|s| values[*s as usize * width + feature]).sum();
            assert_eq!(sum[target * width + feature], expected);
        }
    }
}
