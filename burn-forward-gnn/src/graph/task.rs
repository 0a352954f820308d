//! What travels with node features: the graph, and what is known of its labels.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use burn_forward::activation::{AnyActivation, Nodes};

use super::Graph;

/// A graph with what a rule may know of its labels.
///
/// Rules that make class information part of the input (label features, virtual nodes) need labels of training nodes for
/// inference too. Labels that an evaluation asks for are never in here.
pub struct GraphTask {
    /// The graph.
    pub graph: Arc<Graph>,
    /// Training nodes and their classes.
    pub training: Arc<[(u32, u32)]>,
    /// Validation nodes and their classes, in a test of the test nodes only.
    pub validation: Arc<[(u32, u32)]>,
    /// Nodes that the batch asks for, in the order of its labels; empty for link prediction.
    pub asked: Arc<[u32]>,
    /// Number of classes.
    pub classes: usize,
    derived: Mutex<Vec<(String, Arc<dyn Any + Send + Sync>)>>,
}

impl fmt::Debug for GraphTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphTask")
            .field("graph", &self.graph)
            .field("training", &self.training.len())
            .field("asked", &self.asked.len())
            .finish_non_exhaustive()
    }
}

impl GraphTask {
    /// A task of which no labels are known.
    pub fn new(graph: Arc<Graph>, classes: usize) -> Self {
        Self {
            graph,
            training: Arc::new([]),
            validation: Arc::new([]),
            asked: Arc::new([]),
            classes,
            derived: Mutex::default(),
        }
    }

    /// The task with what is known and what is asked: training nodes and, in a test, validation nodes with their classes,
    /// and the nodes that labels speak about.
    pub fn knowing(mut self, training: Arc<[(u32, u32)]>, validation: Arc<[(u32, u32)]>, asked: Arc<[u32]>) -> Self {
        (self.training, self.validation, self.asked) = (training, validation, asked);
        self
    }

    /// The same knowledge on another graph.
    pub fn on(&self, graph: Arc<Graph>) -> Self {
        Self {
            graph,
            training: self.training.clone(),
            validation: self.validation.clone(),
            asked: self.asked.clone(),
            classes: self.classes,
            derived: Mutex::default(),
        }
    }

    /// The task behind an activation; `None` if it is not of a graph of this crate.
    pub fn of(nodes: &Nodes) -> Option<&Self> {
        nodes.graph.downcast_ref()
    }

    /// The task behind an activation of any kind.
    pub fn behind(activation: &AnyActivation) -> Option<&Self> {
        activation.nodes().and_then(Self::of)
    }

    /// Something that follows from the task alone (a graph with virtual nodes, say), made once per name.
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
