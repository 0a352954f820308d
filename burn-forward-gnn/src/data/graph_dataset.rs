//! A graph in memory, with features and labels.

use std::sync::Arc;

use burn_forward::{Error, Result};

use super::features::Features;
use crate::graph::Graph;

/// A graph with features and labels.
#[derive(Debug, Clone)]
pub struct GraphDataset {
    /// The graph.
    pub graph: Arc<Graph>,
    /// Features of every node.
    pub features: Features,
    /// The class of every node, if it has one.
    pub labels: Vec<Option<u32>>,
    /// Number of classes.
    pub classes: usize,
    /// Name of the graph in messages.
    pub name: String,
}

impl GraphDataset {
    /// Creates a data set with features, labels and a name.
    ///
    /// # Errors
    /// [`Error::Argument`] if their numbers of nodes differ, or a label is out of range.
    pub fn new(
        graph: Arc<Graph>,
        features: Features,
        labels: Vec<Option<u32>>,
        classes: usize,
        name: &str,
    ) -> Result<Self> {
        let nodes = graph.nodes();
        for (what, rows) in [("rows of features", features.rows()), ("labels", labels.len())] {
            if rows != nodes {
                return Err(Error::argument(
                    "GraphDataset",
                    format!("number of {what}"),
                    rows,
                    format!("{nodes}, the number of nodes"),
                ));
            }
        }
        if let Some(label) = labels.iter().flatten().find(|l| **l as usize >= classes) {
            return Err(Error::argument(
                "GraphDataset",
                "a label",
                label,
                format!("less than {classes}, the number of classes"),
            ));
        }
        Ok(Self { graph, features, labels, classes, name: name.into() })
    }
}
