//! Virtual nodes: one per class, connected to the nodes of that class.

use std::sync::Arc;

use burn::tensor::Tensor;
use burn_forward::activation::{Activation, AnyActivation, Nodes};
use burn_forward::init::Init;
use burn_forward::random::Seed;

use crate::graph::{Graph, LabelledGraph};

/// The nodes, followed by one virtual node per class, which is connected in both directions to the nodes that `links` lists.
///
/// The features of virtual nodes are `N(0, 1)`, fixed by the stream `virtual` of `seed`. The graph is created once per `name`
/// and labelled graph; only then is `links` called.
///
/// # Shapes
/// - `inputs`: `[N, d]`; returns `[N + C, d]`.
pub(super) fn with_virtual_nodes(
    inputs: &AnyActivation,
    seed: Seed,
    name: &str,
    links: impl FnOnce(&LabelledGraph) -> Vec<(u32, u32)>,
) -> AnyActivation {
    let (Some(nodes), Some(labelled_graph)) = (inputs.nodes(), LabelledGraph::of_activation(inputs)) else {
        return inputs.clone();
    };
    let width = nodes.features.width();
    let device = inputs.device();
    let mut rng = seed.stream("virtual", &[]);
    let Ok(own) = Init::Normal(1.0).draw::<2>([labelled_graph.classes, width], &mut rng, &device) else {
        // A standard deviation of 1 is valid, so this does not happen.
        return inputs.clone();
    };
    AnyActivation::Nodes(Nodes {
        features: nodes.features.with_rows(own),
        graph: link_virtual_nodes(labelled_graph, name, links),
        feature_cache: None,
        ..nodes.clone()
    })
}

/// The labelled graph with virtual nodes.
pub(super) fn link_virtual_nodes(
    labelled_graph: &LabelledGraph,
    name: &str,
    links: impl FnOnce(&LabelledGraph) -> Vec<(u32, u32)>,
) -> Arc<LabelledGraph> {
    labelled_graph.derived(name, || {
        let graph = labelled_graph.graph.with_virtual_nodes(labelled_graph.classes, &links(labelled_graph));
        // Links between existing nodes and classes cannot be out of range.
        let graph = graph.map_or_else(|_| labelled_graph.graph.clone(), Arc::<Graph>::new);
        labelled_graph.on_graph(graph)
    })
}

/// The last `classes` rows, which belong to the virtual nodes `[C, d]`.
pub(super) fn virtual_rows(features: Tensor<2>, classes: usize) -> Tensor<2> {
    let [rows, _] = features.dims();
    features.narrow(0, rows.saturating_sub(classes), classes.min(rows))
}
