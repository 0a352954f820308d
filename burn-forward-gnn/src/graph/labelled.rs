//! A graph with the labels that a rule may use, which accompanies node features.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use burn_forward::activation::{AnyActivation, Nodes};

use super::Graph;

/// A graph with the labels that a rule may use.
///
/// Rules that make class information part of the input (label features, virtual nodes) also need the labels of training nodes
/// for inference. The labels of the nodes to predict in an evaluation are never included.
pub struct LabelledGraph {
    /// The graph.
    pub graph: Arc<Graph>,
    /// Training nodes and their classes.
    pub training: Arc<[(u32, u32)]>,
    /// Validation nodes and their classes, only in a test of the test nodes.
    pub validation: Arc<[(u32, u32)]>,
    /// Query nodes: the nodes whose classes are to be predicted, in the order of the labels of the batch; empty for link
    /// prediction.
    pub queried: Arc<[u32]>,
    /// Number of classes.
    pub classes: usize,
    derived: Mutex<Vec<(String, Arc<dyn Any + Send + Sync>)>>,
}

impl fmt::Debug for LabelledGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LabelledGraph")
            .field("graph", &self.graph)
            .field("training", &self.training.len())
            .field("queried", &self.queried.len())
            .finish_non_exhaustive()
    }
}

impl LabelledGraph {
    /// A graph without labels.
    pub fn new(graph: Arc<Graph>, classes: usize) -> Self {
        Self {
            graph,
            training: Arc::new([]),
            validation: Arc::new([]),
            queried: Arc::new([]),
            classes,
            derived: Mutex::default(),
        }
    }

    /// Adds training nodes and, in a test, validation nodes, both with their classes, and query nodes.
    pub fn with_labels(
        mut self,
        training: Arc<[(u32, u32)]>,
        validation: Arc<[(u32, u32)]>,
        queried: Arc<[u32]>,
    ) -> Self {
        (self.training, self.validation, self.queried) = (training, validation, queried);
        self
    }

    /// Another graph with the same labels.
    pub fn on_graph(&self, graph: Arc<Graph>) -> Self {
        Self {
            graph,
            training: self.training.clone(),
            validation: self.validation.clone(),
            queried: self.queried.clone(),
            classes: self.classes,
            derived: Mutex::default(),
        }
    }

    /// The graph of an activation's nodes; `None` if it does not come from this crate.
    pub fn of(nodes: &Nodes) -> Option<&Self> {
        nodes.graph.downcast_ref()
    }

    /// The graph of an activation of any kind; `None` if it has no graph.
    pub fn of_activation(activation: &AnyActivation) -> Option<&Self> {
        activation.nodes().and_then(Self::of)
    }

    /// A value that depends only on the labelled graph (such as a graph with virtual nodes), created once per name.
    pub fn derived<T: Any + Send + Sync>(&self, name: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut made = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        let found = made.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        if let Some(value) = found.and_then(|v| v.downcast::<T>().ok()) {
            return value;
        }
        let value = Arc::new(make());
        made.push((name.to_string(), value.clone()));
        value
    }
}
