//! The loader of graphs, as Burn's [`DataLoader`].

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

use super::graph_set::GraphSet;
use super::links::{Pairs, no_edges};
use crate::graph::{GraphTask, Sampler};

/// What loaders of one graph share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) set: GraphSet,
    pub(super) seed: Seed,
    pub(super) classes: usize,
    matrix: Arc<Sparse>,
}

impl Shared {
    pub(super) fn new(set: GraphSet, seed: Seed, classes: usize) -> burn_forward::Result<Self> {
        let matrix = Arc::new(set.features.matrix()?);
        Ok(Self { set, seed, classes, matrix })
    }

    /// The features as they are used on a device `[N, d]`.
    fn features(&self, device: &Device) -> NodeFeatures {
        NodeFeatures::of(&self.matrix, device)
    }

    /// The features on a device as one tensor `[N, d]`.
    fn dense(&self, device: &Device) -> Tensor<2> {
        self.matrix.dense(device)
    }
}

/// What an epoch consists of.
#[derive(Debug, Clone)]
pub(super) enum Portions {
    /// So many times the whole graph, with the labels of these nodes.
    Nodes { asked: Arc<[u32]>, steps: usize },
    /// The neighbourhoods of so many of these nodes at a time.
    Sampled { asked: Arc<[u32]>, sampler: Sampler, batching: Batching },
    /// So many times the whole graph, with pairs that are edges and pairs that are none.
    Links { pairs: Pairs, steps: usize },
}

impl Portions {
    fn batches(&self) -> usize {
        match self {
            Self::Nodes { asked, .. } if asked.is_empty() => 0,
            Self::Links { pairs, .. } if pairs.edges.is_empty() => 0,
            Self::Nodes { steps, .. } | Self::Links { steps, .. } => *steps,
            Self::Sampled { asked, batching, .. } => batching.count(asked.len()),
        }
    }

    fn items(&self) -> usize {
        match self {
            Self::Nodes { asked, steps } => asked.len() * steps,
            Self::Sampled { asked, batching, .. } => batching.used(asked.len()),
            Self::Links { pairs, steps } => 2 * pairs.edges.len() * steps,
        }
    }
}

/// Batches of a graph on a device.
///
/// Like the loader of images it has no random state: what is drawn for a batch (its nodes, their neighbours, pairs without
/// an edge) is a function of the seed, the epoch and the batch. All it keeps is the number of the next epoch.
pub struct GraphLoader {
    shared: Arc<Shared>,
    task: Arc<GraphTask>,
    portions: Portions,
    device: Device,
    /// The next epoch; `None` for evaluation.
    epoch: Option<AtomicU64>,
    /// The batch that is the same in every step, made once.
    constant: OnceLock<Batch>,
}

impl GraphLoader {
    pub(super) fn new(
        shared: Arc<Shared>,
        task: Arc<GraphTask>,
        portions: Portions,
        device: &Device,
        first_epoch: Option<u64>,
    ) -> Self {
        let epoch = first_epoch.map(AtomicU64::new);
        Self { shared, task, portions, device: device.clone(), epoch, constant: OnceLock::new() }
    }

    fn with(&self, portions: Portions, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        let epoch = self.epoch.as_ref().map(|e| e.load(Ordering::SeqCst));
        Arc::new(Self::new(self.shared.clone(), self.task.clone(), portions, device, epoch))
    }

    fn ints(&self, values: impl IntoIterator<Item = u32>) -> Tensor<1, Int> {
        let values: Vec<i32> = values.into_iter().map(|v| v as i32).collect();
        let rows = values.len();
        Tensor::from_data(TensorData::new(values, [rows]), &self.device)
    }

    fn classes_of(&self, nodes: &[u32]) -> Tensor<1, Int> {
        // Every node of a part has a label: its constructor has seen to that.
        self.ints(nodes.iter().map(|n| self.shared.set.labels[*n as usize].unwrap_or_default()))
    }

    fn batch(
        &self,
        features: NodeFeatures,
        labelled: Labelled,
        task: Arc<GraphTask>,
        targets: Tensor<1, Int>,
    ) -> Batch {
        let rows = targets.dims()[0] as u32;
        Batch {
            inputs: AnyActivation::Nodes(Nodes { features, labelled, graph: task, feature_cache: None }),
            targets,
            classes: self.shared.classes,
            key: BatchKey { epoch: 0, index: 0, step: 0 },
            samples: (0..rows).collect(),
        }
    }

    /// The whole graph with the labels of `nodes`.
    fn whole(&self, nodes: &[u32]) -> Batch {
        let features = self.shared.features(&self.device);
        let labelled = Labelled::Rows(self.ints(nodes.iter().copied()));
        self.batch(features, labelled, self.task.clone(), self.classes_of(nodes))
    }

    fn links(&self, edges: &[(u32, u32)], others: &[(u32, u32)]) -> Batch {
        let all = || edges.iter().chain(others);
        let labelled = Labelled::Pairs(self.ints(all().map(|p| p.0)), self.ints(all().map(|p| p.1)));
        let classes = self.ints(std::iter::repeat_n(1, edges.len()).chain(std::iter::repeat_n(0, others.len())));
        self.batch(self.shared.features(&self.device), labelled, self.task.clone(), classes)
    }

    /// The neighbourhoods of `nodes`.
    fn around(&self, nodes: &[u32], sampler: &Sampler, key: BatchKey) -> burn_forward::Result<Batch> {
        let mut rng = self.shared.seed.stream("neighbours", &[key.epoch, key.index]);
        let (reached, part) = sampler.sample(&self.task.graph, nodes, &mut rng)?;
        let features = self.shared.dense(&self.device).select(0, self.ints(reached.iter().copied()));
        let count = nodes.len() as u32;
        // Within the part, the nodes that were asked for come first.
        let known = nodes.iter().zip(0..).filter_map(|(n, i)| Some((i, self.shared.set.labels[*n as usize]?)));
        let task = GraphTask::new(Arc::new(part), self.shared.classes).knowing(
            known.collect(),
            Arc::new([]),
            (0..count).collect(),
        );
        let labelled = Labelled::Rows(self.ints(0..count));
        Ok(self.batch(features.into(), labelled, Arc::new(task), self.classes_of(nodes)))
    }

    fn make(&self, epoch: u64, order: &[u32], i: usize) -> Result<Batch, DatasetError> {
        let key = BatchKey::new(epoch, i as u64, self.portions.batches());
        let batch = match &self.portions {
            Portions::Nodes { asked, .. } => self.constant.get_or_init(|| self.whole(asked)).clone(),
            Portions::Links { pairs: Pairs { edges, others: Some(others), .. }, .. } => {
                self.constant.get_or_init(|| self.links(edges, others)).clone()
            }
            Portions::Links { pairs: Pairs { edges, graph, .. }, .. } => {
                let mut rng = self.shared.seed.stream("negatives", &[key.epoch, key.index]);
                self.links(edges, &no_edges(graph, edges.len(), &mut rng))
            }
            Portions::Sampled { sampler, batching, .. } => {
                let nodes = &order[batching.range(i, order.len())];
                self.around(nodes, sampler, key).map_err(|e| DatasetError::new(std::io::Error::other(e.to_string())))?
            }
        };
        Ok(Batch { key, ..batch })
    }
}

impl DataLoader<Batch> for GraphLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        let epoch = self.epoch.as_ref().map_or(0, |e| e.fetch_add(1, Ordering::SeqCst));
        let order = match &self.portions {
            Portions::Sampled { asked, .. } => {
                let mut order = asked.to_vec();
                order.shuffle(&mut self.shared.seed.stream("order", &[epoch]));
                order
            }
            Portions::Nodes { .. } | Portions::Links { .. } => Vec::new(),
        };
        Box::new(Pass { loader: self, epoch, order, next: 0, seen: 0 })
    }

    fn num_items(&self) -> usize {
        self.portions.items()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        self.with(self.portions.clone(), device)
    }

    /// Some of the labelled nodes or edges; the graph stays whole.
    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<Batch>> {
        let cut = |n: usize, steps: usize| (start / steps).min(n)..(end / steps).min(n).max((start / steps).min(n));
        let portions = match self.portions.clone() {
            Portions::Nodes { asked, steps } => Portions::Nodes { asked: asked[cut(asked.len(), steps)].into(), steps },
            Portions::Sampled { asked, sampler, batching } => {
                // The last slice also has the nodes that do not fill a batch of the whole.
                let end = if end >= batching.used(asked.len()) { asked.len() } else { end };
                Portions::Sampled { asked: asked[start.min(end)..end].into(), sampler, batching }
            }
            Portions::Links { pairs, steps } => {
                let range = cut(pairs.edges.len(), 2 * steps);
                let others = pairs.others.map(|o| o[range.clone()].into());
                Portions::Links { pairs: Pairs { edges: pairs.edges[range].into(), others, ..pairs }, steps }
            }
        };
        self.with(portions, &self.device)
    }
}

/// One pass.
struct Pass<'a> {
    loader: &'a GraphLoader,
    epoch: u64,
    order: Vec<u32>,
    next: usize,
    seen: usize,
}

impl Iterator for Pass<'_> {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.loader.portions.batches() {
            return None;
        }
        let batch = self.loader.make(self.epoch, &self.order, self.next);
        self.next += 1;
        self.seen += batch.as_ref().map_or(0, |b| b.samples.len());
        Some(batch)
    }
}

impl DataLoaderIterator<Batch> for Pass<'_> {
    fn progress(&self) -> Progress {
        Progress::new(self.seen, self.loader.portions.items(), Some("items".to_string()))
    }
}
