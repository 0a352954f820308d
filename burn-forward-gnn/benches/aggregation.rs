//! Time of an aggregation, and of a training step of a graph convolution, by number of edges.
//!
//! `cargo bench -p burn-forward-gnn --bench aggregation` prints the times for 10^4 to 10^6 edges; with linear cost, every line
//! is ten times the one before. After each group, it prints the peak memory of the process so far.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use burn::tensor::{Device, Distribution, Tensor};
use burn_forward::activation::{Activation, AnyActivation, Labelled, Nodes, RowShape};
use burn_forward::network::{LayerRequest, NetworkSpec};
use burn_forward::random::Seed;
use burn_forward_gnn::graph::{Graph, LabelledGraph};
use burn_forward_gnn::layers::{GatConfig, GcnConfig};
use burn_forward_train::training::peak_memory_bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::RngExt;
use serde_json::json;

const WIDTH: usize = 128;

/// A random graph with ten edges per node.
fn random_graph(edges: usize) -> Graph {
    let nodes = (edges / 10) as u32;
    let mut rng = Seed::new(0).stream("graph", &[edges as u64]);
    let pairs: Vec<(u32, u32)> = (0..edges).map(|_| (rng.random_range(0..nodes), rng.random_range(0..nodes))).collect();
    Graph::directed(nodes as usize, &pairs).unwrap()
}

fn aggregation(c: &mut Criterion) {
    let device = Device::flex();
    let mut group = c.benchmark_group("aggregation");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for edges in [10_000, 100_000, 1_000_000] {
        let graph = random_graph(edges);
        let on = graph.on(&device);
        let x = Tensor::<2>::random([graph.nodes(), WIDTH], Distribution::Default, &device);
        group.throughput(Throughput::Elements(graph.edges() as u64));
        group.bench_with_input(BenchmarkId::new("propagate", edges), &edges, |b, _| b.iter(|| on.propagate(x.clone())));
        group.bench_with_input(BenchmarkId::new("max", edges), &edges, |b, _| b.iter(|| on.max(x.clone())));
    }
    group.finish();
    say_peak("aggregation");
}

/// Peak resident memory of this process so far.
fn say_peak(what: &str) {
    if let Some(bytes) = peak_memory_bytes() {
        println!("peak memory after {what}: {:.2} GiB\n", bytes as f64 / f64::from(1u32 << 30));
    }
}

fn training_step(c: &mut Criterion) {
    let device = Device::flex().autodiff();
    let gcn: GcnConfig = serde_json::from_value(json!({"widths": [WIDTH]})).unwrap();
    let gat: GatConfig = serde_json::from_value(json!({"widths": [WIDTH]})).unwrap();
    let networks: [(&str, &dyn NetworkSpec); 2] = [("gcn", &gcn), ("gat", &gat)];
    let mut group = c.benchmark_group("training step");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for edges in [10_000, 100_000, 1_000_000] {
        let graph = Arc::new(random_graph(edges));
        let features = Tensor::<2>::random([graph.nodes(), WIDTH], Distribution::Default, &device);
        let labelled_graph = Arc::new(LabelledGraph::new(graph.clone(), 2));
        let input = AnyActivation::Nodes(Nodes {
            features: features.into(),
            labelled: Labelled::All,
            graph: labelled_graph,
            feature_cache: None,
        });
        for (name, network) in networks {
            let request = LayerRequest::plain(2);
            let layers = network.layers_for(RowShape::Nodes(WIDTH), request, Seed::new(0), &device).unwrap();
            group.bench_with_input(BenchmarkId::new(name, edges), &edges, |b, _| {
                b.iter(|| layers[0].trace(input.clone(), None).output.features().square().mean().backward());
            });
        }
    }
    group.finish();
    say_peak("training steps");
}

criterion_group!(benches, aggregation, training_step);
criterion_main!(benches);
