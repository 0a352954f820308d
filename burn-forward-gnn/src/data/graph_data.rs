//! A graph as a run uses it: what is asked of it, and its loaders.

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::tensor::Device;
use burn_forward::activation::RowShape;
use burn_forward::data::{Batch, Batching, DataSplit, Fingerprint, GraphView, LoadedData, empty_classes};
use burn_forward::random::Seed;
use burn_forward::{ConfigError, Error, Result};

use super::graph_set::GraphSet;
use super::links::{self, LinkConfig, LinkSplit};
use super::loader::{GraphLoader, Portions, Shared};
use super::node_split::NodeSplit;
use crate::graph::{GraphTask, Sampler};

/// A graph as a run uses it.
#[derive(Debug)]
pub struct GraphData {
    shared: Arc<Shared>,
    /// The graph messages go through in training and validation, and the one they go through in the test.
    tasks: [Arc<GraphTask>; 3],
    parts: Parts,
    steps: usize,
    sampler: Option<Sampler>,
}

/// What is asked for in training, validation and test.
#[derive(Debug)]
enum Parts {
    Nodes(NodeSplit),
    Links(LinkSplit),
}

fn place(split: DataSplit) -> usize {
    match split {
        DataSplit::Train => 0,
        DataSplit::Validation => 1,
        DataSplit::Test => 2,
    }
}

impl GraphData {
    /// Node classification, with so many full-batch steps per epoch or by sampled neighbourhoods.
    ///
    /// # Errors
    /// [`Error::Argument`] for a node without a label in a part.
    pub fn nodes(set: GraphSet, split: NodeSplit, steps: usize, sampler: Option<Sampler>, seed: Seed) -> Result<Self> {
        let labelled = |nodes: &[u32]| -> Result<Vec<(u32, u32)>> {
            let class = |n: &u32| set.labels.get(*n as usize).copied().flatten().map(|c| (*n, c));
            let missing = |n: &u32| Error::argument("GraphData", "a node of a part", n, "one with a label");
            nodes.iter().map(|n| class(n).ok_or_else(|| missing(n))).collect()
        };
        let training: Arc<[_]> = labelled(&split.train)?.into();
        let validation: Arc<[_]> = labelled(&split.validation)?.into();
        labelled(&split.test)?;
        let task = |asked: &[u32], known: Arc<[(u32, u32)]>| {
            let task = GraphTask::new(set.graph.clone(), set.classes);
            Arc::new(task.knowing(training.clone(), known, asked.into()))
        };
        let nothing: Arc<[(u32, u32)]> = Arc::new([]);
        let tasks = [
            task(&split.train, nothing.clone()),
            task(&split.validation, nothing),
            task(&split.test, validation.clone()),
        ];
        let classes = set.classes;
        let shared = Arc::new(Shared::new(set, seed, classes)?);
        Ok(Self { shared, tasks, parts: Parts::Nodes(split), steps: steps.max(1), sampler })
    }

    /// Link prediction.
    ///
    /// # Errors
    /// [`Error::Argument`] for a graph with too few edges, or too few pairs without an edge.
    pub fn links(set: GraphSet, config: LinkConfig, steps: usize, seed: Seed) -> Result<Self> {
        let split = links::split(&set.graph, config, seed)?;
        let seen = Arc::new(GraphTask::new(split.training_graph.clone(), 2));
        let test = Arc::new(GraphTask::new(split.test_graph.clone(), 2));
        let shared = Arc::new(Shared::new(set, seed, 2)?);
        let tasks = [seen.clone(), seen, test];
        Ok(Self { shared, tasks, parts: Parts::Links(split), steps: steps.max(1), sampler: None })
    }

    /// The graph with its features and labels.
    pub fn set(&self) -> &GraphSet {
        &self.shared.set
    }

    /// The split of the nodes; `None` for link prediction.
    pub fn split(&self) -> Option<&NodeSplit> {
        match &self.parts {
            Parts::Nodes(split) => Some(split),
            Parts::Links(_) => None,
        }
    }

    fn portions(&self, split: DataSplit, batching: Batching, training: bool) -> Result<Portions> {
        let batching = batching.checked("GraphLoader")?;
        let steps = if training { self.steps } else { 1 };
        Ok(match &self.parts {
            Parts::Nodes(nodes) => {
                let asked: Arc<[u32]> = match split {
                    DataSplit::Train => nodes.train.as_slice(),
                    DataSplit::Validation => nodes.validation.as_slice(),
                    DataSplit::Test => nodes.test.as_slice(),
                }
                .into();
                match &self.sampler {
                    Some(sampler) if training => Portions::Sampled { asked, sampler: sampler.clone(), batching },
                    _ => Portions::Nodes { asked, steps },
                }
            }
            Parts::Links(links) => Portions::Links { pairs: links.pairs(split), steps },
        })
    }
}

impl LoadedData for GraphData {
    fn input(&self) -> RowShape {
        RowShape::Nodes(self.shared.set.features.width())
    }

    fn classes(&self) -> usize {
        self.shared.classes
    }

    fn samples(&self, split: DataSplit) -> usize {
        match &self.parts {
            Parts::Nodes(nodes) => [&nodes.train, &nodes.validation, &nodes.test][place(split)].len(),
            Parts::Links(links) => 2 * links.pairs(split).edges.len(),
        }
    }

    fn describe(&self) -> String {
        let set = &self.shared.set;
        let [train, validation, test] =
            [DataSplit::Train, DataSplit::Validation, DataSplit::Test].map(|s| self.samples(s));
        let what = match &self.parts {
            Parts::Nodes(_) => "nodes",
            Parts::Links(_) => "pairs",
        };
        format!(
            "{train} training, {validation} validation, {test} test {what} of {}: {} nodes, {} edges, {} features, {} classes",
            set.name,
            set.graph.nodes(),
            set.graph.edges(),
            set.features.width(),
            self.shared.classes,
        )
    }

    fn warnings(&self) -> Vec<ConfigError> {
        let Parts::Nodes(split) = &self.parts else { return Vec::new() };
        let set = self.set();
        let mut counts = vec![0; set.classes];
        for class in split.train.iter().filter_map(|node| set.labels[*node as usize]) {
            counts[class as usize] += 1;
        }
        let Some(mut said) = empty_classes(&counts, "node") else { return Vec::new() };
        // Labels that start at 1, above all.
        if !set.labels.contains(&Some(0)) {
            said.push_str("; labels count from 0, and no node has that one");
        }
        vec![ConfigError::new("$.data", said)]
    }

    fn fingerprint(&self) -> String {
        let mut print = Fingerprint::default();
        let GraphSet { graph, features, labels, classes, .. } = &self.shared.set;
        let pairs = |print: &mut Fingerprint, pairs: &mut dyn Iterator<Item = (u32, u32)>| {
            print.numbers(pairs.map(|(a, b)| u64::from(a) << 32 | u64::from(b)));
        };
        print.numbers([graph.nodes(), features.width(), *classes].map(|n| n as u64));
        pairs(&mut print, &mut graph.iter());
        print.numbers(graph.weights().unwrap_or_default().iter().map(|w| u64::from(w.to_bits())));
        print.numbers(labels.iter().map(|label| label.map_or(u64::MAX, u64::from)));
        features.fingerprint(&mut print);
        match &self.parts {
            Parts::Nodes(NodeSplit { train, validation, test }) => {
                for part in [train, validation, test] {
                    print.numbers(part.iter().map(|node| u64::from(*node)));
                }
            }
            Parts::Links(links) => {
                for part in [DataSplit::Train, DataSplit::Validation, DataSplit::Test].map(|part| links.pairs(part)) {
                    pairs(&mut print, &mut part.edges.iter().copied());
                    pairs(&mut print, &mut part.others.iter().flat_map(|others| others.iter().copied()));
                }
            }
        }
        print.finish()
    }

    fn graph_view(&self) -> Option<GraphView> {
        let set = &self.shared.set;
        let Parts::Nodes(split) = &self.parts else { return None };
        let all = |nodes: &[u32]| nodes.iter().map(|n| *n as usize).collect();
        (set.graph.nodes() <= LARGEST_PICTURE).then(|| GraphView {
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
        let nodes = self.shared.set.graph.nodes();
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
        let portions = self.portions(DataSplit::Train, batching, true)?;
        Ok(Arc::new(GraphLoader::new(self.shared.clone(), self.tasks[0].clone(), portions, device, Some(first_epoch))))
    }

    fn eval_loader(&self, split: DataSplit, batch_size: usize, device: &Device) -> Result<Arc<dyn DataLoader<Batch>>> {
        let portions = self.portions(split, batch_size.into(), false)?;
        let task = self.tasks[place(split)].clone();
        Ok(Arc::new(GraphLoader::new(self.shared.clone(), task, portions, device, None)))
    }
}

/// Most nodes of a graph that can be told apart in a picture.
const LARGEST_PICTURE: usize = 300;
