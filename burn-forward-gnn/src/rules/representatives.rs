//! Representatives of the classes, and the loss that pulls nodes towards that of their class; see
//! [`single_forward`](super::single_forward).

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::block::Trace;
use burn_forward::local::LocalLoss;
use burn_forward::pieces::pair_loss::cross_entropy;
use burn_forward::pieces::prototypes::{class_means, leave_one_out_scores, scores};
use burn_forward::tape::{Labels, Score};
use burn_forward_kernels::prototypes::scores_of_last_rows;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::is_link_prediction;
use super::virtual_nodes::virtual_rows;
use crate::graph::LabelledGraph;

/// What represents a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Representatives {
    /// A virtual node that is connected to the training nodes of the class.
    #[default]
    VirtualNodes,
    /// The mean of the training nodes of the class.
    Prototypes,
}

/// Cross-entropy of scaled dot products with the representatives of the classes; the loss has no parameters.
#[derive(Module, Debug)]
pub struct RepresentativeCrossEntropy {
    #[module(skip)]
    pub(super) representatives: Representatives,
    #[module(skip)]
    pub(super) temperature: f64,
    pub(super) classes: usize,
}

impl RepresentativeCrossEntropy {
    /// Number of virtual nodes that the loss expects after the nodes of a graph.
    pub(super) fn virtual_nodes(&self) -> usize {
        match self.representatives {
            Representatives::VirtualNodes => self.classes,
            Representatives::Prototypes => 0,
        }
    }

    /// The scores of the labelled nodes or pairs in a block's output `[B, C]`.
    ///
    /// If there are `labels`, the labelled nodes are training nodes, and each is left out of its own prototype.
    pub(super) fn scores(&self, output: &AnyActivation, labels: Option<&Tensor<1, Int>>) -> Tensor<2> {
        let temperature = self.temperature;
        if is_link_prediction(output) {
            let score = output.labelled().sum_dim(1) / temperature;
            return Tensor::cat(vec![score.zeros_like(), score], 1);
        }
        match (self.representatives, labels) {
            (Representatives::VirtualNodes, _) => {
                match output.labelled_rows() {
                    // Computing the scores of all nodes costs less than copying most of the rows.
                    Some(rows) if 4 * rows.dims()[0] > output.rows() => {
                        scores_of_last_rows(output.features(), self.classes, temperature).select(0, rows.clone())
                    }
                    _ => scores(output.labelled(), virtual_rows(output.features(), self.classes), temperature),
                }
            }
            (Representatives::Prototypes, Some(labels)) => {
                leave_one_out_scores(output.labelled(), labels, self.classes, temperature)
            }
            (Representatives::Prototypes, None) => scores(output.labelled(), self.prototypes(output), temperature),
        }
    }

    /// The means of the training nodes of every class.
    fn prototypes(&self, output: &AnyActivation) -> Tensor<2> {
        let device = output.device();
        let training = LabelledGraph::of_activation(output)
            .map(|labelled_graph| labelled_graph.training.clone())
            .unwrap_or_default();
        let ints = |values: Vec<i32>| Tensor::<1, Int>::from_data(TensorData::new(values, [training.len()]), &device);
        let nodes = ints(training.iter().map(|t| t.0 as i32).collect());
        let labels = ints(training.iter().map(|t| t.1 as i32).collect());
        class_means(output.features().select(0, nodes), &labels, self.classes)
    }
}

impl LocalLoss<Labels, AnyActivation> for RepresentativeCrossEntropy {
    fn score(&self, trace: &Trace<AnyActivation>, labels: &Labels) -> Score {
        let logits = self.scores(&trace.output, Some(&labels.0));
        Score { logits: Some(logits.clone()), ..Score::from(cross_entropy(logits, labels.0.clone())) }
    }
}
