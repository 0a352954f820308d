//! A graph in the form that a run needs: with its split and its loaders.

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::tensor::Device;
use burn_forward::activation::RowShape;
use burn_forward::data::{Batch, Batching, DataSplit, Fingerprint, GraphView, LoadedData, empty_classes};
use burn_forward::random::Seed;
use burn_forward::{ConfigError, Error, Result};

use super::graph_dataset::GraphDataset;
use super::links::{self, LinkConfig, LinkSplit};
use super::loader::{EpochPlan, GraphLoader, LoaderContext};
use super::node_split::NodeSplit;
use crate::graph::{LabelledGraph, Sampler};

/// A graph with the split of its nodes or edges, and loaders.
#[derive(Debug)]
pub struct GraphData {
    context: Arc<LoaderContext>,
    /// The graphs for training, validation and test. Each has the edges along which messages are sent, and the labels that a
    /// rule may use.
    graphs: [Arc<LabelledGraph>; 3],
    split: TaskSplit,
    steps: usize,
    sampler: Option<Sampler>,
}

/// The split of the nodes or pairs to predict.
#[derive(Debug)]
enum TaskSplit {
    Nodes(NodeSplit),
    Links(LinkSplit),
}

fn split_index(split: DataSplit) -> usize {
    match split {
        DataSplit::Train => 0,
        DataSplit::Validation => 1,
        DataSplit::Test => 2,
    }
}

impl GraphData {
    /// Data for node classification, with `steps` full batches per epoch, or with mini-batches of sampled neighbourhoods.
    ///
    /// # Errors
    /// [`Error::Argument`] if a node of the split has no label.
    pub fn nodes(
        set: GraphDataset,
        split: NodeSplit,
        steps: usize,
        sampler: Option<Sampler>,
        seed: Seed,
    ) -> Result<Self> {
        let labelled = |nodes: &[u32]| -> Result<Vec<(u32, u32)>> {
            let class = |n: &u32| set.labels.get(*n as usize).copied().flatten().map(|c| (*n, c));
            let missing = |n: &u32| Error::argument("GraphData", "a node of a split", n, "one with a label");
            nodes.iter().map(|n| class(n).ok_or_else(|| missing(n))).collect()
        };
        let training: Arc<[_]> = labelled(&split.train)?.into();
        let validation: Arc<[_]> = labelled(&split.validation)?.into();
        labelled(&split.test)?;
        let labelled_graph = |queried: &[u32], validation: Arc<[(u32, u32)]>| {
            let labelled_graph = LabelledGraph::new(set.graph.clone(), set.classes);
            Arc::new(labelled_graph.with_labels(training.clone(), validation, queried.into()))
        };
        let nothing: Arc<[(u32, u32)]> = Arc::new([]);
        let graphs = [
            labelled_graph(&split.train, nothing.clone()),
            labelled_graph(&split.validation, nothing),
            labelled_graph(&split.test, validation.clone()),
        ];
        let classes = set.classes;
        let context = Arc::new(LoaderContext::new(set, seed, classes)?);
        Ok(Self { context, graphs, split: TaskSplit::Nodes(split), steps: steps.max(1), sampler })
    }

    /// Data for link prediction.
    ///
    /// # Errors
    /// [`Error::Argument`] if the graph has too few edges, or too few pairs without an edge.
    pub fn links(set: GraphDataset, config: LinkConfig, steps: usize, seed: Seed) -> Result<Self> {
        let split = links::split(&set.graph, config, seed)?;
        let seen = Arc::new(LabelledGraph::new(split.training_graph.clone(), 2));
        let test = Arc::new(LabelledGraph::new(split.test_graph.clone(), 2));
        let context = Arc::new(LoaderContext::new(set, seed, 2)?);
        let graphs = [seen.clone(), seen, test];
        Ok(Self { context, graphs, split: TaskSplit::Links(split), steps: steps.max(1), sampler: None })
    }

    /// The graph with its features and labels.
    pub fn set(&self) -> &GraphDataset {
        &self.context.set
    }

    /// The split of the nodes; `None` for link prediction.
    pub fn split(&self) -> Option<&NodeSplit> {
        match &self.split {
            TaskSplit::Nodes(split) => Some(split),
            TaskSplit::Links(_) => None,
        }
    }

    fn plan(&self, split: DataSplit, batching: Batching, training: bool) -> Result<EpochPlan> {
        let batching = batching.checked("GraphLoader")?;
        let steps = if training { self.steps } else { 1 };
        Ok(match &self.split {
            TaskSplit::Nodes(nodes) => {
                let queried: Arc<[u32]> = match split {
                    DataSplit::Train => nodes.train.as_slice(),
                    DataSplit::Validation => nodes.validation.as_slice(),
                    DataSplit::Test => nodes.test.as_slice(),
                }
                .into();
                match &self.sampler {
                    Some(sampler) if training => EpochPlan::Sampled { queried, sampler: sampler.clone(), batching },
                    _ => EpochPlan::Nodes { queried, steps },
                }
            }
            TaskSplit::Links(links) => EpochPlan::Links { pairs: links.pairs(split), steps },
        })
    }
}

impl LoadedData for GraphData {
    fn input(&self) -> RowShape {
        RowShape::Nodes(self.context.set.features.width())
    }

    fn classes(&self) -> usize {
        self.context.classes
    }

    fn samples(&self, split: DataSplit) -> usize {
        match &self.split {
            TaskSplit::Nodes(nodes) => [&nodes.train, &nodes.validation, &nodes.test][split_index(split)].len(),
            TaskSplit::Links(links) => 2 * links.pairs(split).edges.len(),
        }
    }

    fn describe(&self) -> String {
        let set = &self.context.set;
        let [train, validation, test] =
            [DataSplit::Train, DataSplit::Validation, DataSplit::Test].map(|s| self.samples(s));
        let what = match &self.split {
            TaskSplit::Nodes(_) => "nodes",
            TaskSplit::Links(_) => "pairs",
        };
        format!(
            "{train} training, {validation} validation, {test} test {what} of {}: {} nodes, {} edges, {} features, {} classes",
            set.name,
            set.graph.nodes(),
            set.graph.edges(),
            set.features.width(),
            self.context.classes,
        )
    }

    fn warnings(&self) -> Vec<ConfigError> {
        let TaskSplit::Nodes(split) = &self.split else { return Vec::new() };
        let set = self.set();
        let mut counts = vec![0; set.classes];
        for class in split.train.iter().filter_map(|node| set.labels[*node as usize]) {
            counts[class as usize] += 1;
        }
        let Some(mut said) = empty_classes(&counts, "node") else { return Vec::new() };
        // The most common cause is labels that start at 1.
        if !set.labels.contains(&Some(0)) {
            said.push_str("; labels are counted from 0, but no node has label 0");
        }
        vec![ConfigError::new("$.data", said)]
    }

    fn fingerprint(&self) -> String {
        let mut print = Fingerprint::default();
        let GraphDataset { graph, features, labels, classes, .. } = &self.context.set;
        let pairs = |print: &mut Fingerprint, pairs: &mut dyn Iterator<Item = (u32, u32)>| {
            print.numbers(pairs.map(|(a, b)| u64::from(a) << 32 | u64::from(b)));
        };
        print.numbers([graph.nodes(), features.width(), *classes].map(|n| n as u64));
        pairs(&mut print, &mut graph.iter());
        print.numbers(graph.weights().unwrap_or_default().iter().map(|w| u64::from(w.to_bits())));
        print.numbers(labels.iter().map(|label| label.map_or(u64::MAX, u64::from)));
        features.fingerprint(&mut print);
        match &self.split {
            TaskSplit::Nodes(NodeSplit { train, validation, test }) => {
                for part in [train, validation, test] {
                    print.numbers(part.iter().map(|node| u64::from(*node)));
                }
            }
            TaskSplit::Links(links) => {
                for part in [DataSplit::Train, DataSplit::Validation, DataSplit::Test].map(|part| links.pairs(part)) {
                    pairs(&mut print, &mut part.edges.iter().copied());
                    pairs(&mut print, &mut part.negatives.iter().flat_map(|negatives| negatives.iter().copied()));
                }
            }
        }
        print.finish()
    }

    fn graph_view(&self) -> Option<GraphView> {
        let set = &self.context.set;
        let TaskSplit::Nodes(split) = &self.split else { return None };
        let all = |nodes: &[u32]| nodes.iter().map(|n| *n as usize).collect();
        (set.graph.nodes() <= MAX_NODES_DRAWN).then(|| GraphView {
            classes: set.labels.iter().map(|l| l.map(|l| l as usize)).collect(),
            edges: set
                .graph
                .iter()
                .filter(|(s, t)| s < t || !set.graph.has_edge(*t, *s))
                .map(|(s, t)| [s as usize, t as usize])
                .collect(),
            known: all(&split.train),
            test: all(&split.test),
        })
    }

    fn rows_per_step(&self, batch_size: usize) -> usize {
        let nodes = self.context.set.graph.nodes();
        if self.sampler.is_some() { batch_size.min(nodes) } else { nodes }
    }

    fn steps_per_epoch(&self, batching: Batching) -> usize {
        match self.sampler {
            Some(_) => batching.count(self.samples(DataSplit::Train)),
            None => self.steps,
        }
    }

    fn train_loader(
        &self,
        batching: Batching,
        first_epoch: u64,
        _workers: usize,
        device: &Device,
    ) -> Result<Arc<dyn DataLoader<Batch>>> {
        if first_epoch == 0 {
            return Err(Error::argument("GraphLoader", "first epoch", 0, "at least 1"));
        }
        let plan = self.plan(DataSplit::Train, batching, true)?;
        Ok(Arc::new(GraphLoader::new(self.context.clone(), self.graphs[0].clone(), plan, device, Some(first_epoch))))
    }

    fn eval_loader(&self, split: DataSplit, batch_size: usize, device: &Device) -> Result<Arc<dyn DataLoader<Batch>>> {
        let plan = self.plan(split, batch_size.into(), false)?;
        let labelled_graph = self.graphs[split_index(split)].clone();
        Ok(Arc::new(GraphLoader::new(self.context.clone(), labelled_graph, plan, device, None)))
    }
}

/// Largest number of nodes of a graph that is drawn; more nodes could not be distinguished.
const MAX_NODES_DRAWN: usize = 300;
