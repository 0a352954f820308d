//! The loader for graphs, as Burn's [`DataLoader`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_forward::activation::{AnyActivation, Labelled, NodeFeatures, Nodes};
use burn_forward::data::{Batch, BatchKey, Batching};
use burn_forward::random::Seed;
use burn_forward_kernels::sparse::Sparse;
use rand::seq::SliceRandom;

use super::graph_dataset::GraphDataset;
use super::links::{Pairs, negative_edges};
use crate::graph::{LabelledGraph, Sampler};

/// The data shared by all loaders of one graph.
#[derive(Debug)]
pub(super) struct LoaderContext {
    pub(super) set: GraphDataset,
    pub(super) seed: Seed,
    pub(super) classes: usize,
    matrix: Arc<Sparse>,
}

impl LoaderContext {
    pub(super) fn new(set: GraphDataset, seed: Seed, classes: usize) -> burn_forward::Result<Self> {
        let matrix = Arc::new(set.features.matrix()?);
        Ok(Self { set, seed, classes, matrix })
    }

    /// The features in the form used on a device `[N, d]`.
    fn features(&self, device: &Device) -> NodeFeatures {
        NodeFeatures::of(&self.matrix, device)
    }

    /// The features on a device as one tensor `[N, d]`.
    fn dense(&self, device: &Device) -> Tensor<2> {
        self.matrix.dense(device)
    }
}

/// The batches of an epoch.
#[derive(Debug, Clone)]
pub(super) enum EpochPlan {
    /// Full batches: `steps` batches of the whole graph, with the labels of these nodes.
    Nodes { queried: Arc<[u32]>, steps: usize },
    /// Mini-batches: the sampled neighbourhoods of some of these nodes.
    Sampled { queried: Arc<[u32]>, sampler: Sampler, batching: Batching },
    /// Full batches: `steps` batches of the whole graph, with pairs that are edges and negative edges.
    Links { pairs: Pairs, steps: usize },
}

impl EpochPlan {
    fn batches(&self) -> usize {
        match self {
            Self::Nodes { queried, .. } if queried.is_empty() => 0,
            Self::Links { pairs, .. } if pairs.edges.is_empty() => 0,
            Self::Nodes { steps, .. } | Self::Links { steps, .. } => *steps,
            Self::Sampled { queried, batching, .. } => batching.count(queried.len()),
        }
    }

    fn items(&self) -> usize {
        match self {
            Self::Nodes { queried, steps } => queried.len() * steps,
            Self::Sampled { queried, batching, .. } => batching.used(queried.len()),
            Self::Links { pairs, steps } => 2 * pairs.edges.len() * steps,
        }
    }
}

/// Batches of a graph on a device.
///
/// Like the loader for images, it has no random state: everything drawn for a batch (its nodes, their neighbours, negative
/// edges) depends only on the seed, the epoch and the batch. Its only state is the number of the next epoch.
pub struct GraphLoader {
    context: Arc<LoaderContext>,
    labelled_graph: Arc<LabelledGraph>,
    plan: EpochPlan,
    device: Device,
    /// The next epoch; `None` for evaluation.
    epoch: Option<AtomicU64>,
    /// The batch if it is the same in every step, created once.
    constant: OnceLock<Batch>,
}

impl GraphLoader {
    pub(super) fn new(
        context: Arc<LoaderContext>,
        labelled_graph: Arc<LabelledGraph>,
        plan: EpochPlan,
        device: &Device,
        first_epoch: Option<u64>,
    ) -> Self {
        let epoch = first_epoch.map(AtomicU64::new);
        Self { context, labelled_graph, plan, device: device.clone(), epoch, constant: OnceLock::new() }
    }

    fn with(&self, plan: EpochPlan, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        let epoch = self.epoch.as_ref().map(|e| e.load(Ordering::SeqCst));
        Arc::new(Self::new(self.context.clone(), self.labelled_graph.clone(), plan, device, epoch))
    }

    fn ints(&self, values: impl IntoIterator<Item = u32>) -> Tensor<1, Int> {
        let values: Vec<i32> = values.into_iter().map(|v| v as i32).collect();
        let rows = values.len();
        Tensor::from_data(TensorData::new(values, [rows]), &self.device)
    }

    fn classes_of(&self, nodes: &[u32]) -> Tensor<1, Int> {
        // Every node of a split has a label, as `GraphData::nodes` has checked.
        self.ints(nodes.iter().map(|n| self.context.set.labels[*n as usize].unwrap_or_default()))
    }

    fn batch(
        &self,
        features: NodeFeatures,
        labelled: Labelled,
        labelled_graph: Arc<LabelledGraph>,
        targets: Tensor<1, Int>,
    ) -> Batch {
        let rows = targets.dims()[0] as u32;
        Batch {
            inputs: AnyActivation::Nodes(Nodes { features, labelled, graph: labelled_graph, feature_cache: None }),
            targets,
            classes: self.context.classes,
            key: BatchKey { epoch: 0, index: 0, step: 0 },
            samples: (0..rows).collect(),
        }
    }

    /// The whole graph with the labels of `nodes`.
    fn full_batch(&self, nodes: &[u32]) -> Batch {
        let features = self.context.features(&self.device);
        let labelled = Labelled::Rows(self.ints(nodes.iter().copied()));
        self.batch(features, labelled, self.labelled_graph.clone(), self.classes_of(nodes))
    }

    fn link_batch(&self, edges: &[(u32, u32)], negatives: &[(u32, u32)]) -> Batch {
        let all = || edges.iter().chain(negatives);
        let labelled = Labelled::Pairs(self.ints(all().map(|p| p.0)), self.ints(all().map(|p| p.1)));
        let classes = self.ints(std::iter::repeat_n(1, edges.len()).chain(std::iter::repeat_n(0, negatives.len())));
        self.batch(self.context.features(&self.device), labelled, self.labelled_graph.clone(), classes)
    }

    /// The neighbourhoods of `nodes`.
    fn neighbourhood_batch(&self, nodes: &[u32], sampler: &Sampler, key: BatchKey) -> burn_forward::Result<Batch> {
        let mut rng = self.context.seed.stream("neighbours", &[key.epoch, key.index]);
        let (reached, subgraph) = sampler.sample(&self.labelled_graph.graph, nodes, &mut rng)?;
        let features = self.context.dense(&self.device).select(0, self.ints(reached.iter().copied()));
        let count = nodes.len() as u32;
        // Within the subgraph, the query nodes come first.
        let known = nodes.iter().zip(0..).filter_map(|(n, i)| Some((i, self.context.set.labels[*n as usize]?)));
        let labelled_graph = LabelledGraph::new(Arc::new(subgraph), self.context.classes).with_labels(
            known.collect(),
            Arc::new([]),
            (0..count).collect(),
        );
        let labelled = Labelled::Rows(self.ints(0..count));
        Ok(self.batch(features.into(), labelled, Arc::new(labelled_graph), self.classes_of(nodes)))
    }

    fn make_batch(&self, epoch: u64, order: &[u32], i: usize) -> Result<Batch, DatasetError> {
        let key = BatchKey::new(epoch, i as u64, self.plan.batches());
        let batch = match &self.plan {
            EpochPlan::Nodes { queried, .. } => self.constant.get_or_init(|| self.full_batch(queried)).clone(),
            EpochPlan::Links { pairs: Pairs { edges, negatives: Some(negatives), .. }, .. } => {
                self.constant.get_or_init(|| self.link_batch(edges, negatives)).clone()
            }
            EpochPlan::Links { pairs: Pairs { edges, graph, .. }, .. } => {
                let mut rng = self.context.seed.stream("negatives", &[key.epoch, key.index]);
                self.link_batch(edges, &negative_edges(graph, edges.len(), &mut rng))
            }
            EpochPlan::Sampled { sampler, batching, .. } => {
                let nodes = &order[batching.range(i, order.len())];
                self.neighbourhood_batch(nodes, sampler, key)
                    .map_err(|e| DatasetError::new(std::io::Error::other(e.to_string())))?
            }
        };
        Ok(Batch { key, ..batch })
    }
}

impl DataLoader<Batch> for GraphLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        let epoch = self.epoch.as_ref().map_or(0, |e| e.fetch_add(1, Ordering::SeqCst));
        let order = match &self.plan {
            EpochPlan::Sampled { queried, .. } => {
                let mut order = queried.to_vec();
                order.shuffle(&mut self.context.seed.stream("order", &[epoch]));
                order
            }
            EpochPlan::Nodes { .. } | EpochPlan::Links { .. } => Vec::new(),
        };
        Box::new(EpochIterator { loader: self, epoch, order, next: 0, seen: 0 })
    }

    fn num_items(&self) -> usize {
        self.plan.items()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        self.with(self.plan.clone(), device)
    }

    /// A part of the labelled nodes or edges; the graph stays complete.
    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<Batch>> {
        let cut = |n: usize, steps: usize| (start / steps).min(n)..(end / steps).min(n).max((start / steps).min(n));
        let plan = match self.plan.clone() {
            EpochPlan::Nodes { queried, steps } => {
                EpochPlan::Nodes { queried: queried[cut(queried.len(), steps)].into(), steps }
            }
            EpochPlan::Sampled { queried, sampler, batching } => {
                // The last slice also contains the nodes that do not fill a batch of the whole.
                let end = if end >= batching.used(queried.len()) { queried.len() } else { end };
                EpochPlan::Sampled { queried: queried[start.min(end)..end].into(), sampler, batching }
            }
            EpochPlan::Links { pairs, steps } => {
                let range = cut(pairs.edges.len(), 2 * steps);
                let negatives = pairs.negatives.map(|o| o[range.clone()].into());
                EpochPlan::Links { pairs: Pairs { edges: pairs.edges[range].into(), negatives, ..pairs }, steps }
            }
        };
        self.with(plan, &self.device)
    }
}

/// The batches of one epoch.
struct EpochIterator<'a> {
    loader: &'a GraphLoader,
    epoch: u64,
    order: Vec<u32>,
    next: usize,
    seen: usize,
}

impl Iterator for EpochIterator<'_> {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.loader.plan.batches() {
            return None;
        }
        let batch = self.loader.make_batch(self.epoch, &self.order, self.next);
        self.next += 1;
        self.seen += batch.as_ref().map_or(0, |b| b.samples.len());
        Some(batch)
    }
}

impl DataLoaderIterator<Batch> for EpochIterator<'_> {
    fn progress(&self) -> Progress {
        Progress::new(self.seen, self.loader.plan.items(), Some("items".to_string()))
    }
}
