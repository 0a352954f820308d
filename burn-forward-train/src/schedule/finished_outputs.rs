//! Cached outputs of the finished blocks for validation graphs.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use burn_forward::activation::{AnyActivation, FeatureCache, Nodes};
use burn_forward::data::Batch;
use burn_forward::model::{EvalOutput, LocalModel};
use burn_forward::network::Network;

/// The outputs of a network's first blocks for the graphs of a data set, which are requested in the same order every
/// time.
///
/// While a greedy schedule trains block `k`, the blocks below it produce the same output for the same validation graph
/// in every epoch. They are computed only once, together with what block `k` aggregates from its input.
#[derive(Debug, Clone)]
pub(super) struct FinishedOutputs {
    blocks: usize,
    kept: Arc<Mutex<Vec<Kept>>>,
    next: Arc<AtomicUsize>,
}

/// The input and the outputs of one call.
#[derive(Clone)]
struct Kept {
    /// Kept alive, so that no other graph can be allocated at its address.
    graph: Arc<dyn Any + Send + Sync>,
    nodes: usize,
    outputs: Vec<AnyActivation>,
}

impl Kept {
    fn is_for(&self, input: &Nodes) -> bool {
        Arc::ptr_eq(&self.graph, &input.graph) && self.nodes == input.features.rows()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("nodes", &self.nodes).field("outputs", &self.outputs).finish_non_exhaustive()
    }
}

impl FinishedOutputs {
    /// An empty cache for the first `blocks` blocks of a network.
    pub(super) fn new(blocks: usize) -> Self {
        Self { blocks, kept: Arc::default(), next: Arc::default() }
    }

    /// The same cache, to be queried again from the first graph on.
    pub(super) fn rewound(&self) -> Self {
        Self { next: Arc::default(), ..self.clone() }
    }

    /// The validation step of `model`, using the cached outputs of the finished blocks.
    pub(super) fn validate(&self, model: &LocalModel, batch: Batch) -> EvalOutput {
        let forward_all = |input| self.forward_all(&model.network, input);
        let scores = model.rule.scores_with(&model.network, model.forward_frozen(batch.inputs), &forward_all);
        EvalOutput::new(scores, batch.targets)
    }

    /// Like [`Network::forward_all`], using the cached outputs of the finished blocks.
    fn forward_all(&self, network: &Network, input: AnyActivation) -> Vec<AnyActivation> {
        let finished = self.blocks.min(network.len());
        let mut outputs = self.outputs(&input, || network.forward_range(0..finished, input.clone()));
        let last = outputs.last().cloned().unwrap_or(input);
        outputs.extend(network.forward_range(finished..network.len(), last));
        outputs
    }

    /// The outputs of the finished blocks for `input`. They are those of the call with the same number in the previous
    /// round if that had the same graph with the same number of nodes; otherwise `make` computes them. An input that is
    /// not a graph is never cached.
    fn outputs(&self, input: &AnyActivation, make: impl FnOnce() -> Vec<AnyActivation>) -> Vec<AnyActivation> {
        let (false, Some(nodes)) = (self.blocks == 0, input.nodes()) else {
            return make();
        };
        let call = self.next.fetch_add(1, Ordering::Relaxed);
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = lock().get(call).filter(|kept| kept.is_for(nodes)) {
            return kept.outputs.clone();
        }
        let mut outputs = make();
        if let Some(AnyActivation::Nodes(last)) = outputs.last_mut() {
            last.feature_cache = Some(FeatureCache::default());
        }
        let entry = Kept { graph: nodes.graph.clone(), nodes: nodes.features.rows(), outputs: outputs.clone() };
        let mut kept = lock();
        kept.truncate(call);
        // Calls from several threads may arrive out of order; then this one cannot be appended.
        if kept.len() == call {
            kept.push(entry);
        }
        outputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor};
    use burn_forward::activation::{Activation, Labelled};

    fn input(graph: &Arc<dyn Any + Send + Sync>) -> AnyActivation {
        AnyActivation::Nodes(Nodes {
            features: Tensor::<2>::ones([3, 2], &Device::flex()).into(),
            labelled: Labelled::All,
            graph: graph.clone(),
            feature_cache: None,
        })
    }

    #[test]
    fn outputs_are_made_once_for_every_call_on_the_same_graph() {
        let [one, other]: [Arc<dyn Any + Send + Sync>; 2] = [Arc::new(1), Arc::new(2)];
        let finished = FinishedOutputs::new(1);
        let made = AtomicUsize::new(0);
        let ask = |finished: &FinishedOutputs, graph| {
            let input = input(graph);
            let make = || {
                let value = made.fetch_add(1, Ordering::Relaxed) as f32;
                vec![input.with_features(input.features() * value)]
            };
            finished.outputs(&input, make)[0].features().into_data().iter::<f32>().next().unwrap()
        };
        assert_eq!([ask(&finished, &one), ask(&finished, &one)], [0.0, 1.0]);
        let again = finished.rewound();
        assert_eq!([ask(&again, &one), ask(&again, &one)], [0.0, 1.0]);
        // A different graph invalidates its entry and everything after it.
        let again = finished.rewound();
        assert_eq!([ask(&again, &other), ask(&again, &one)], [2.0, 3.0]);
        let again = finished.rewound();
        assert_eq!([ask(&again, &other), ask(&again, &one)], [2.0, 3.0]);
    }

    #[test]
    fn rows_without_a_graph_are_made_anew() {
        let finished = FinishedOutputs::new(1);
        let rows = AnyActivation::Features(Tensor::<2>::ones([3, 2], &Device::flex()));
        for _ in 0..2 {
            let mut made = false;
            finished.rewound().outputs(&rows, || {
                made = true;
                vec![rows.clone()]
            });
            assert!(made);
        }
    }
}
