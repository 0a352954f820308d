//! Virtual nodes: one per class, joined to the nodes of that class.

use std::sync::Arc;

use burn::tensor::Tensor;
use burn_forward::activation::{Activation, AnyActivation, Nodes};
use burn_forward::init::Init;
use burn_forward::random::Seed;

use crate::graph::{Graph, GraphTask};

/// The nodes with one virtual node per class behind them, joined in both directions to the nodes that `links` names.
///
/// The features of virtual nodes are `N(0, 1)`, fixed by the stream `virtual` of `seed`. The graph is made once per `name`
/// and task; `links` is only asked then.
///
/// # Shapes
/// - `inputs`: `[N, d]`; returns `[N + C, d]`.
pub(super) fn with_virtual_nodes(
    inputs: &AnyActivation,
    seed: Seed,
    name: &str,
    links: impl FnOnce(&GraphTask) -> Vec<(u32, u32)>,
) -> AnyActivation {
    let (Some(nodes), Some(task)) = (inputs.nodes(), GraphTask::behind(inputs)) else {
        return inputs.clone();
    };
    let width = nodes.features.width();
    let device = inputs.device();
    let mut rng = seed.stream("virtual", &[]);
    let Ok(own) = Init::Normal(1.0).draw::<2>([task.classes, width], &mut rng, &device) else {
        // A standard deviation of 1 is one that can be drawn with.
        return inputs.clone();
    };
    AnyActivation::Nodes(Nodes {
        features: nodes.features.with_rows(own),
        graph: linked(task, name, links),
        feature_cache: None,
        ..nodes.clone()
    })
}

/// The task on its graph with virtual nodes.
pub(super) fn linked(
    task: &GraphTask,
    name: &str,
    links: impl FnOnce(&GraphTask) -> Vec<(u32, u32)>,
) -> Arc<GraphTask> {
    task.derived(name, || {
        let graph = task.graph.with_virtual_nodes(task.classes, &links(task));
        // Links of nodes and classes of the task's own cannot be out of range.
        let graph = graph.map_or_else(|_| task.graph.clone(), Arc::<Graph>::new);
        task.on(graph)
    })
}

/// The last `classes` rows: the virtual nodes' own `[C, d]`.
pub(super) fn virtual_rows(features: Tensor<2>, classes: usize) -> Tensor<2> {
    let [rows, _] = features.dims();
    features.narrow(0, rows.saturating_sub(classes), classes.min(rows))
}
