//! A graph in memory: features, labels, and what is to be learned of them.

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::tensor::{Device, Tensor};
use burn_forward::activation::{NodeFeatures, RowShape};
use burn_forward::data::{Batch, Batching, DataSplit, Fingerprint, JoinedSamples, TrainingData, empty_classes};
use burn_forward::random::Seed;
use burn_forward::sparse::{Sparse, sum_repeated};
use burn_forward::{ConfigError, Error, Result};

use super::config::{LinkConfig, RowScale, SamplingConfig};
use super::links::{self, LinkSplit};
use super::loader::{GraphLoader, Portions};
use super::split::NodeSplit;
use crate::graph::{Graph, GraphTask, Sampler};

/// Features of nodes, in sparse rows on the host; on a device they are dense.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    offsets: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f32>,
    width: usize,
}

/// Most features of a node: 2^20. A file that names a larger index is taken for damaged, since weights of that many rows would
/// be made for it.
pub const MOST_FEATURES: usize = 1 << 20;

impl Features {
    /// From rows of `(index, value)`. Values of one index of a row are summed.
    ///
    /// # Errors
    /// [`Error::Argument`] for an index that is not below `width`, a value or sum that is not finite, no features at all, or
    /// more than [`MOST_FEATURES`].
    pub fn sparse(rows: Vec<Vec<(u32, f32)>>, width: usize) -> Result<Self> {
        let (mut offsets, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in rows {
            columns.extend(row.iter().map(|(column, _)| *column));
            values.extend(row.iter().map(|(_, value)| *value));
            offsets.push(columns.len());
        }
        Self::compressed(width, offsets, columns, values)
    }

    /// From compressed rows: those of node `i` are `offsets[i]..offsets[i + 1]`.
    pub(super) fn compressed(
        width: usize,
        mut offsets: Vec<usize>,
        mut columns: Vec<u32>,
        mut values: Vec<f32>,
    ) -> Result<Self> {
        if !(1..=MOST_FEATURES).contains(&width) {
            let needed = format!("from 1 to {MOST_FEATURES}");
            return Err(Error::argument("Features", "number of features", width, needed));
        }
        if let Some(column) = columns.iter().find(|c| **c as usize >= width) {
            return Err(Error::argument("Features", "a feature's index", column, format!("below {width}")));
        }
        sum_repeated(width, &mut offsets, &mut columns, &mut values);
        if let Some(k) = values.iter().position(|v| !v.is_finite()) {
            let node = offsets.partition_point(|end| *end <= k) - 1;
            let what = format!("feature {} of node {node}", columns[k]);
            return Err(Error::argument("Features", what, values[k], "finite"));
        }
        Ok(Self { offsets, columns, values, width })
    }

    /// One feature of its own for every node.
    pub fn identity(nodes: usize) -> Self {
        let (offsets, columns) = ((0..=nodes).collect(), (0..nodes as u32).collect());
        Self { offsets, columns, values: vec![1.0; nodes], width: nodes }
    }

    /// Number of features `d`.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of nodes.
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Values that are not 0.
    pub fn nonzeros(&self) -> usize {
        self.values.iter().filter(|v| **v != 0.0).count()
    }

    /// Row-major values `[N, d]`.
    pub fn dense(&self) -> Vec<f32> {
        let mut dense = vec![0.0; self.rows() * self.width];
        for (row, ends) in self.offsets.windows(2).enumerate() {
            for k in ends[0]..ends[1] {
                dense[row * self.width + self.columns[k] as usize] += self.values[k];
            }
        }
        dense
    }

    /// Makes every feature above 0 a 1 and every other a 0.
    pub fn binarise(&mut self) {
        self.values.iter_mut().for_each(|v| *v = f32::from(u8::from(*v > 0.0)));
    }

    /// Scales every row; one of zeros stays as it is.
    pub fn scale(&mut self, how: RowScale) {
        for row in self.offsets.windows(2) {
            let values = &mut self.values[row[0]..row[1]];
            let divisor = match how {
                RowScale::None => 1.0,
                RowScale::Sum => values.iter().map(|v| v.abs()).sum(),
                RowScale::L2 => values.iter().map(|v| v * v).sum::<f32>().sqrt(),
            };
            if divisor != 0.0 {
                values.iter_mut().for_each(|v| *v /= divisor);
            }
        }
    }
}

/// A graph with features and labels.
#[derive(Debug, Clone)]
pub struct GraphSet {
    /// The graph.
    pub graph: Arc<Graph>,
    /// Features of every node.
    pub features: Features,
    /// Class of every node that has one.
    pub labels: Vec<Option<u32>>,
    /// Number of classes.
    pub classes: usize,
    /// What it is called.
    pub name: String,
}

impl GraphSet {
    /// Puts the parts together.
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
                    "GraphSet",
                    format!("number of {what}"),
                    rows,
                    format!("{nodes}, the nodes"),
                ));
            }
        }
        if let Some(label) = labels.iter().flatten().find(|l| **l as usize >= classes) {
            return Err(Error::argument("GraphSet", "a label", label, format!("less than {classes}, the classes")));
        }
        Ok(Self { graph, features, labels, classes, name: name.into() })
    }
}

/// What loaders of one graph share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) set: GraphSet,
    pub(super) seed: Seed,
    pub(super) classes: usize,
    matrix: Arc<Sparse>,
}

impl Shared {
    fn new(set: GraphSet, seed: Seed, classes: usize) -> Result<Self> {
        let Features { offsets, columns, values, width } = &set.features;
        let matrix = Sparse::new(*width, offsets.clone(), columns.clone(), values.clone())?;
        Ok(Self { set, seed, classes, matrix: Arc::new(matrix) })
    }

    /// The features as they are used on a device `[N, d]`.
    pub(super) fn features(&self, device: &Device) -> NodeFeatures {
        NodeFeatures::of(&self.matrix, device)
    }

    /// The features on a device as one tensor `[N, d]`.
    pub(super) fn dense(&self, device: &Device) -> Tensor<2> {
        self.matrix.dense(device)
    }
}

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
    /// [`Error::Argument`] for a node without a label in a part, or invalid fan-outs.
    pub fn nodes(
        set: GraphSet,
        split: NodeSplit,
        steps: usize,
        sampling: Option<SamplingConfig>,
        seed: Seed,
    ) -> Result<Self> {
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
        let sampler = sampling.map(|s| Sampler::new(s.fan_outs)).transpose()?;
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

impl TrainingData for GraphData {
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
        print.numbers(features.offsets.iter().map(|n| *n as u64));
        print.numbers(features.columns.iter().map(|n| u64::from(*n)));
        print.numbers(features.values.iter().map(|v| u64::from(v.to_bits())));
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

    fn joined(&self) -> Option<JoinedSamples> {
        let set = &self.shared.set;
        let Parts::Nodes(split) = &self.parts else { return None };
        let all = |nodes: &[u32]| nodes.iter().map(|n| *n as usize).collect();
        (set.graph.nodes() <= LARGEST_PICTURE).then(|| JoinedSamples {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_scaled() {
        let mut f = Features::sparse(vec![vec![(0, 3.0), (2, 4.0)], vec![], vec![(1, -2.0)]], 3).unwrap();
        let mut l2 = f.clone();
        l2.scale(RowScale::L2);
        assert_eq!(l2.dense(), [0.6, 0.0, 0.8, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0]);
        f.binarise();
        f.scale(RowScale::Sum);
        assert_eq!(f.dense(), [0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn mistakes_are_named() {
        let error =
            |row: &[(u32, f32)], width| Features::sparse(vec![vec![], row.to_vec()], width).unwrap_err().to_string();
        assert_eq!(error(&[(3, 1.0)], 3), "Features: a feature's index is 3, but needs to be below 3");
        assert_eq!(error(&[(0, f32::INFINITY)], 3), "Features: feature 0 of node 1 is inf, but needs to be finite");
        assert_eq!(
            error(&[(2, f32::MAX), (2, f32::MAX)], 3),
            "Features: feature 2 of node 1 is inf, but needs to be finite"
        );
        assert!(error(&[], 0).contains("number of features is 0, but needs to be from 1 to 1048576"));
        assert!(error(&[], 1 << 21).contains("number of features is 2097152"));
    }

    /// Whatever is done to rows, values of one feature are summed first, on the host and on a device.
    #[rstest::rstest]
    #[case(false, RowScale::None, [5.0, -2.0, 1.0])]
    #[case(false, RowScale::Sum, [0.625, -0.25, 0.125])]
    #[case(false, RowScale::L2, [5.0 / 30f32.sqrt(), -2.0 / 30f32.sqrt(), 1.0 / 30f32.sqrt()])]
    #[case(true, RowScale::None, [1.0, 0.0, 1.0])]
    #[case(true, RowScale::Sum, [0.5, 0.0, 0.5])]
    #[case(true, RowScale::L2, [0.5f32.sqrt(), 0.0, 0.5f32.sqrt()])]
    fn repeated_features_are_summed(#[case] binarise: bool, #[case] how: RowScale, #[case] expected: [f32; 3]) {
        // 1 + 4, 1 - 3, -1 + 2.
        let row = vec![(0, 1.0), (1, 1.0), (2, -1.0), (0, 4.0), (1, -3.0), (2, 2.0)];
        let mut features = Features::sparse(vec![row], 3).unwrap();
        if binarise {
            features.binarise();
        }
        features.scale(how);
        let graph = Arc::new(Graph::directed(1, &[]).unwrap());
        let dense = features.dense();
        let set = GraphSet::new(graph, features, vec![Some(0)], 1, "t").unwrap();
        let shared = Shared::new(set, Seed::new(0), 1).unwrap();
        let device = Device::flex();
        let on_device: Vec<f32> = shared.dense(&device).into_data().iter::<f32>().collect();
        for values in [dense, on_device] {
            assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{values:?}, {expected:?}");
        }
    }
}
