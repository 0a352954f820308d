//! Laws that every learning rule of the core and of this crate obeys on every graph network, on toy data.
//!
//! Rules are found in the registry; those that refuse graphs are left out, and which they are is a test of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::store::ModuleRecord;
use burn::tensor::{Device, Tensor, TensorData};
use burn_forward::activation::{Activation, AnyActivation, Memo, RowShape};
use burn_forward::config::{Context, Registry};
use burn_forward::data::{Batch, DataSplit, TrainingData};
use burn_forward::network::{Network, Partition};
use burn_forward::optimize::{OptimizerConfig, OptimizerName};
use burn_forward::pair_loss::cross_entropy;
use burn_forward::random::Seed;
use burn_forward::rules::RuleSpec;
use burn_forward::tape::Tape;
use burn_forward::training::LocalModel;
use burn_forward_gnn::data::{Features, GraphData, GraphSet, LinkConfig, NodeSplit};
use burn_forward_gnn::graph::Graph;
use rand::RngExt;
use serde_json::{Value, json};

const CLASSES: usize = 3;
const NODES: usize = 45;
const FEATURES: usize = 6;

fn registry() -> Registry {
    let mut registry = Registry::default();
    burn_forward_gnn::register(&mut registry);
    registry
}

fn seed() -> Seed {
    Seed::new(7)
}

fn device() -> Device {
    burn_forward::device::parse("flex").unwrap().autodiff()
}

/// Three communities with features about a prototype each, some of them without label.
fn toy(relabelled: Option<u32>) -> GraphSet {
    let mut rng = seed().stream("toy", &[]);
    let class = |n: usize| (n % CLASSES) as u32;
    let mut edges = Vec::new();
    for a in 0..NODES {
        for b in 0..a {
            let p = if class(a) == class(b) { 0.25 } else { 0.03 };
            if rng.random_range(0.0..1.0) < p {
                edges.push((a as u32, b as u32));
            }
        }
    }
    let features = (0..NODES)
        .map(|n| {
            (0..FEATURES as u32)
                .map(|f| (f, f32::from(u8::from(f as usize % CLASSES == n % CLASSES)) + rng.random_range(0.1..0.8)))
                .collect()
        })
        .collect();
    let mut labels: Vec<Option<u32>> = (0..NODES).map(|n| (n % 5 != 4).then_some(class(n))).collect();
    if let Some(node) = relabelled {
        labels[node as usize] = labels[node as usize].map(|c| (c + 1) % CLASSES as u32);
    }
    let graph = Arc::new(Graph::undirected(NODES, &edges).unwrap());
    GraphSet::new(graph, Features::sparse(features, FEATURES).unwrap(), labels, CLASSES, "toy").unwrap()
}

fn split() -> NodeSplit {
    let labelled: Vec<u32> = (0..NODES as u32).filter(|n| n % 5 != 4).collect();
    let part = |k: usize| labelled.iter().copied().skip(k).step_by(3).collect();
    NodeSplit { train: part(0), validation: part(1), test: part(2) }
}

fn node_data(relabelled: Option<u32>) -> GraphData {
    GraphData::nodes(toy(relabelled), split(), 1, None, seed()).unwrap()
}

fn batch(data: &GraphData, split: DataSplit) -> Batch {
    let loader = match split {
        DataSplit::Train => data.train_loader(8, 1, 0, &device()).unwrap(),
        other => data.eval_loader(other, 8, &device()).unwrap(),
    };
    loader.iter().next().unwrap().unwrap()
}

/// A rule with settings on a network.
struct Case {
    rule: String,
    settings: Value,
    network: &'static str,
    widths: Vec<usize>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {}", self.rule, self.settings, self.network)
    }
}

const NETWORKS: [&str; 4] = ["gcn", "graph-sage", "gat", "gin"];

impl Case {
    fn spec(&self) -> Box<dyn RuleSpec> {
        let row = registry().rules.into_iter().find(|r| r.name == self.rule).unwrap();
        (row.parse)(&self.settings).unwrap().0
    }

    fn network(&self) -> Value {
        json!({"widths": self.widths, "normalisation": "l2", "activation": "tanh"})
    }

    fn refusals(&self) -> Vec<String> {
        let network = self.network();
        let context = Context {
            network: network.as_object().unwrap(),
            blocks: Some(self.widths.len()),
            input: Some(RowShape::Nodes(FEATURES)),
            classes: Some(CLASSES),
        };
        self.spec().check(&context).iter().map(ToString::to_string).collect()
    }

    fn model(&self, seed: Seed, classes: usize) -> LocalModel {
        let spec = self.spec();
        let row = registry().networks.into_iter().find(|n| n.name == self.network).unwrap();
        let network = (row.parse)(&self.network()).unwrap().0;
        let input = RowShape::Nodes(FEATURES);
        let layers = network.layers_for(input, spec.layer_request(classes), seed, &device()).unwrap();
        let network = Network::new(layers, spec.partition().unwrap_or(Partition::LAYER)).unwrap();
        let rule = spec.build(&network, classes, seed).unwrap_or_else(|e| panic!("{self}: {e}"));
        LocalModel::new(network, rule, seed)
    }
}

/// Every rule of the registry with its defaults, and this crate's with every choice that has a name, on every network.
fn all_cases() -> Vec<Case> {
    let mut settings: Vec<(String, Value)> = registry().rules.iter().map(|r| (r.name.to_string(), json!({}))).collect();
    settings.extend([
        ("backprop".into(), json!({"output": "network"})),
        ("single-forward".into(), json!({"representatives": "prototypes"})),
        ("single-forward".into(), json!({"temperature": 0.5})),
        ("single-forward".into(), json!({"top-down": "to-input"})),
        ("single-forward".into(), json!({"top-down": "to-loss"})),
        ("graph-forward-forward".into(), json!({"label": "append"})),
        ("graph-forward-forward".into(), json!({"label": "append", "negatives": 1})),
    ]);
    let on = |(rule, settings): &(String, Value), network| Case {
        rule: rule.clone(),
        settings: settings.clone(),
        network,
        widths: vec![8, 8, 8],
    };
    NETWORKS.into_iter().flat_map(|n| settings.iter().map(move |s| on(s, n))).collect()
}

fn cases() -> Vec<Case> {
    all_cases().into_iter().filter(|c| c.refusals().is_empty()).collect()
}

/// Values by parameter path.
type Values = BTreeMap<String, Vec<f32>>;

#[derive(Default)]
struct Collect<'a> {
    path: Vec<String>,
    gradients: Option<&'a GradientsParams>,
    found: Values,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = match self.gradients {
            Some(gradients) => gradients.get::<D>(param.id),
            None => Some(param.val()),
        };
        if let Some(value) = value {
            self.found.insert(self.path.join("."), value.into_data().iter::<f32>().collect());
        }
    }
}

fn parameters(model: &LocalModel) -> Values {
    let mut collect = Collect::default();
    model.visit(&mut collect);
    collect.found
}

fn gradients(model: &LocalModel, gradients: &GradientsParams) -> Values {
    let mut collect = Collect { gradients: Some(gradients), ..Collect::default() };
    model.visit(&mut collect);
    collect.found
}

/// The model with the values of some parameters changed.
fn edit(model: LocalModel, change: impl FnMut(&str, &mut [f32])) -> LocalModel {
    struct Edit<F> {
        path: Vec<String>,
        change: F,
    }
    impl<F: FnMut(&str, &mut [f32])> ModuleMapper for Edit<F> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let path = self.path.join(".");
            param.map(|t| {
                let (shape, device, trained) = (t.shape(), t.device(), t.is_require_grad());
                let mut values: Vec<f32> = t.into_data().iter::<f32>().collect();
                (self.change)(&path, &mut values);
                Tensor::from_data(TensorData::new(values, shape), &device).set_require_grad(trained)
            })
        }
    }
    model.map(&mut Edit { path: Vec::new(), change })
}

fn of_block(values: &Values, block: usize) -> Values {
    let parts = [format!("network.blocks.{block}."), format!("rule.heads.{block}.")];
    let mine = |path: &String| parts.iter().any(|p| path.starts_with(p));
    values.iter().filter(|(p, _)| mine(p)).map(|(p, v)| (p.clone(), v.clone())).collect()
}

fn learned(model: &LocalModel, batch: &Batch) -> Values {
    gradients(model, &model.learn(batch).grads)
}

#[test]
fn forward_forward_is_refused_with_the_place() {
    let refused: Vec<(String, String)> =
        all_cases().iter().filter_map(|c| Some((c.rule.clone(), c.refusals().first()?.clone()))).collect();
    assert!(refused.iter().all(|(rule, _)| rule == "forward-forward" || rule == "drtp"), "{refused:?}");
    let (_, message) = refused.iter().find(|(rule, _)| rule == "forward-forward").unwrap();
    assert!(message.starts_with("$.rule.name: ") && message.contains("graph-forward-forward"), "{message}");
    assert!(cases().len() >= 4 * 9, "{} cases", cases().len());
}

#[test]
fn graph_rules_refuse_images() {
    for rule in ["single-forward", "graph-forward-forward"] {
        let case = Case { rule: rule.into(), settings: json!({}), network: "gcn", widths: vec![8, 8] };
        let network = case.network();
        let input = Some(RowShape::Maps { channels: 1, height: 8, width: 8 });
        let context = Context { network: network.as_object().unwrap(), blocks: None, input, classes: None };
        let errors = case.spec().check(&context);
        assert!(errors[0].to_string().contains("nodes of a graph") && errors[0].path == "$.rule.name");
    }
}

#[test]
fn blocks_above_have_no_say() {
    let data = node_data(None);
    let batch = batch(&data, DataSplit::Train);
    // Direct feedback sends the error of the whole network, and top-down signals the states of the blocks above.
    let has_say = |c: &Case| c.rule == "dfa" || c.settings.get("top-down").is_some();
    for case in cases().into_iter().filter(|c| c.spec().is_local() && !has_say(c)) {
        let base = learned(&case.model(seed(), CLASSES), &batch);
        let blocks = case.model(seed(), CLASSES).network.len();
        for k in 0..blocks {
            let moved = edit(case.model(seed(), CLASSES), |path, values| {
                let above = (k + 1..blocks).any(|j| path.starts_with(&format!("network.blocks.{j}.")));
                let head = (0..blocks).any(|j| j != k && path.starts_with(&format!("rule.heads.{j}.")));
                if above || head {
                    values.iter_mut().for_each(|v| *v = 0.7 * *v + 0.1);
                }
            });
            let mine = of_block(&learned(&moved, &batch), k);
            assert!(!mine.is_empty(), "{case}: block {k} learns nothing");
            assert_eq!(of_block(&base, k), mine, "{case}: block {k}");
        }
    }
}

#[test]
fn a_block_that_makes_only_the_rows_that_are_read_learns_the_same() {
    let data = node_data(None);
    let batch = batch(&data, DataSplit::Train);
    let mut tried = Vec::new();
    for case in cases().into_iter().filter(|c| c.spec().greedy().is_ok()) {
        let model = case.model(seed(), CLASSES);
        for index in 0..model.network.len() {
            let mut pass = model.rule.begin(&model.network, &batch, model.context(&batch), &mut Tape::new(()));
            for (i, below) in model.network.blocks()[..index].iter().enumerate() {
                model.rule.advance(i, below, &mut pass);
            }
            let learned = |pass| of_block(&gradients(&model, &model.learn_block(index, pass, batch.key).grads), index);
            let mut reading = pass.clone();
            for stream in &mut reading.streams {
                let read = model.rule.read_rows(stream);
                if let (Some(read), AnyActivation::Nodes(nodes)) = (read, stream) {
                    assert!(read.rows().len() < nodes.features.rows(), "{case}");
                    nodes.memo = Some(Memo::reading(read));
                    tried.push(case.rule.clone());
                }
            }
            let (all, ours) = (learned(pass), learned(reading));
            assert!(!all.is_empty() && all.keys().eq(ours.keys()), "{case}: block {index}");
            for (path, a) in &all {
                for (a, b) in a.iter().zip(&ours[path]) {
                    assert!((a - b).abs() < 1e-5 * a.abs().max(1.0), "{case}: {path}: {b}, not {a}");
                }
            }
        }
    }
    tried.dedup();
    for rule in ["single-forward", "graph-forward-forward"] {
        assert!(tried.iter().any(|t| t == rule), "{rule} makes all rows");
    }
}

#[test]
fn a_local_gradient_is_the_slope_of_the_blocks_own_loss() {
    const STEP: f32 = 5e-3;
    let data = node_data(None);
    let batch = batch(&data, DataSplit::Train);
    let (mut wrong, mut compared, mut bent) = (Vec::new(), 0, 0);
    for case in cases().into_iter().filter(|c| c.spec().is_local() && !["dfa", "drtp"].contains(&c.rule.as_str())) {
        let model = case.model(seed(), CLASSES);
        for index in 0..model.network.len() {
            let learn = |model: &LocalModel| {
                let start = case.model(seed(), CLASSES);
                let mut pass = start.rule.begin(&start.network, &batch, start.context(&batch), &mut Tape::new(()));
                for (i, below) in start.network.blocks()[..index].iter().enumerate() {
                    start.rule.advance(i, below, &mut pass);
                }
                let mut tape = Tape::new(());
                model.rule.learn_block(index, &model.network.blocks()[index], &mut pass, &mut tape);
                tape
            };
            let total = |m: &LocalModel| {
                learn(m).records().iter().map(|r| r.score.loss.clone().into_scalar::<f64>()).sum::<f64>()
            };
            let found = gradients(&model, learn(&model).gradients());
            for (path, gradient) in of_block(&found, index) {
                let mut entries: Vec<usize> = (0..gradient.len()).collect();
                entries.sort_by(|a, b| gradient[*b].abs().total_cmp(&gradient[*a].abs()));
                for entry in entries.into_iter().take(5) {
                    let at = |step: f32| {
                        total(&edit(model.clone(), |p, v| {
                            if p == path {
                                v[entry] += step;
                            }
                        }))
                    };
                    let (below, here, above) = (at(-STEP), at(0.0), at(STEP));
                    let (left, right) = ((here - below) / STEP as f64, (above - here) / STEP as f64);
                    let slope = (left + right) / 2.0;
                    // A rectifier inside (of attention, of GIN) bends within the step: there is no slope to compare with.
                    if (left - right).abs() > 0.02 * slope.abs().max(5e-3) {
                        bent += 1;
                        continue;
                    }
                    compared += 1;
                    let got = gradient[entry] as f64;
                    if (got - slope).abs() > 2e-2 * slope.abs().max(5e-3) {
                        wrong.push(format!("{case}: {path}[{entry}] {got}, slope {slope}"));
                    }
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{compared} slopes compared, {bent} with a bend");
    assert!(compared > 200 && bent < compared / 2, "{compared} slopes compared, {bent} with a bend");
}

fn trained(case: &Case, data: &GraphData, seed: Seed, steps: usize, classes: usize) -> LocalModel {
    let config = OptimizerConfig::new(OptimizerName::Adam, 1e-2);
    let mut optimizer = config.optimizer(&case.spec().parameter_groups()).unwrap();
    let mut model = case.model(seed, classes);
    let loader = data.train_loader(8, 1, 0, &device()).unwrap();
    for _ in 0..steps {
        let batch = loader.iter().next().unwrap().unwrap();
        let output = model.learn(&batch);
        model = optimizer.step(1e-2, model, output.grads);
    }
    model
}

fn accuracy(model: &LocalModel, batch: &Batch) -> f64 {
    let scores = model.scores(batch.inputs.clone()).primary();
    let [rows, _] = scores.dims();
    scores.argmax(1).reshape([rows]).equal(batch.targets.clone()).float().mean().into_scalar::<f64>()
}

#[test]
fn nodes_of_the_test_set_are_classified() {
    let data = node_data(None);
    let test = batch(&data, DataSplit::Test);
    let mut failures = Vec::new();
    for mut case in cases() {
        // The paper's own tables say that label features of Forward-Forward fail from the second block on, and its virtual
        // nodes with graph convolutions.
        case.widths = if case.settings.get("label").is_some() { vec![32] } else { vec![32, 32] };
        if case.rule == "graph-forward-forward" && case.settings == json!({}) && ["gcn", "gin"].contains(&case.network)
        {
            continue;
        }
        let steps = if case.settings.get("label").is_some() { 300 } else { 100 };
        // One wrong class per node says nothing about the other wrong ones.
        if case.settings.get("negatives").is_some() {
            continue;
        }
        let after = accuracy(&trained(&case, &data, seed(), steps, CLASSES), &test);
        println!("{case}: {after:.3}");
        if after < 0.6 {
            failures.push(format!("{case}: {after:.3}"));
        }
    }
    assert!(failures.is_empty(), "chance is {:.2}:\n{}", 1.0 / CLASSES as f64, failures.join("\n"));
}

#[test]
fn hidden_edges_are_found() {
    let data = GraphData::links(toy(None), LinkConfig::default(), 1, seed()).unwrap();
    let batch = batch(&data, DataSplit::Train);
    for rule in ["single-forward", "graph-forward-forward", "mono-forward", "backprop"] {
        let case = Case { rule: rule.into(), settings: json!({}), network: "gcn", widths: vec![8, 8] };
        let loss = |m: &LocalModel| {
            let scores = m.scores(batch.inputs.clone());
            cross_entropy(scores.primary(), batch.targets.clone()).into_scalar::<f64>()
        };
        let (before, after) = (loss(&case.model(seed(), 2)), loss(&trained(&case, &data, seed(), 60, 2)));
        println!("{case}: {before:.3} {after:.3}");
        assert!(after < 0.95 * before, "{case}: {before} before, {after} after");
    }
}

#[test]
fn a_record_holds_all_that_a_model_knows() {
    let data = node_data(None);
    let batch = batch(&data, DataSplit::Test);
    for case in cases() {
        let model = trained(&case, &data, seed(), 2, CLASSES);
        let bytes = model.clone().into_record().into_bytes().unwrap();
        // The seed is the run's: virtual nodes and negatives follow from it.
        let fresh = edit(case.model(seed(), CLASSES), |_, v| v.iter_mut().for_each(|v| *v += 1.0));
        let loaded = fresh.load_record(ModuleRecord::from_bytes(bytes).unwrap());
        assert_eq!(parameters(&model), parameters(&loaded), "{case}");
        let scores =
            |m: &LocalModel| m.scores(batch.inputs.clone()).primary().into_data().iter::<f32>().collect::<Vec<_>>();
        assert_eq!(scores(&model), scores(&loaded), "{case}");
    }
}

#[test]
fn the_seed_decides_everything() {
    let data = node_data(None);
    for case in cases() {
        let a = parameters(&trained(&case, &data, seed(), 3, CLASSES));
        assert_eq!(a, parameters(&trained(&case, &data, seed(), 3, CLASSES)), "{case}");
        assert_ne!(a, parameters(&trained(&case, &data, Seed::new(8), 3, CLASSES)), "{case}");
    }
}

#[test]
fn labels_of_test_nodes_change_nothing_in_training() {
    let node = split().test[3];
    let (data, other) = (node_data(None), node_data(Some(node)));
    for case in cases() {
        let model = |data: &GraphData| parameters(&trained(&case, data, seed(), 3, CLASSES));
        assert_eq!(model(&data), model(&other), "{case}");
        // Nor do they change what is predicted of any node.
        let scores = |data: &GraphData| {
            let inputs = batch(data, DataSplit::Test).inputs;
            let scores = trained(&case, data, seed(), 2, CLASSES).scores(inputs).primary();
            scores.into_data().iter::<f32>().collect::<Vec<_>>()
        };
        assert_eq!(scores(&data), scores(&other), "{case}");
    }
}

#[test]
fn sampling_whole_neighbourhoods_gives_the_full_batchs_scores() {
    // Two hops and all neighbours: what a two-layer network says of the asked nodes is what it says on the whole graph.
    let sampling = burn_forward_gnn::data::SamplingConfig { fan_outs: vec![1000, 1000] };
    let sampled = GraphData::nodes(toy(None), split(), 1, Some(sampling), seed()).unwrap();
    let whole = node_data(None);
    let row = registry().networks.into_iter().find(|n| n.name == "graph-sage").unwrap();
    let network = (row.parse)(&json!({"widths": [8, 8]})).unwrap().0;
    let layers = network.layers(RowShape::Nodes(FEATURES), seed(), &device()).unwrap();
    let network = Network::new(layers, Partition::LAYER).unwrap();
    let on_whole = network.forward(batch(&whole, DataSplit::Train).inputs).features();
    let classes_whole: Vec<Option<u32>> = whole.set().labels.clone();
    let loader = sampled.train_loader(4, 1, 0, &device()).unwrap();
    assert_eq!(loader.iter().count(), split().train.len().div_ceil(4));
    let keys: Vec<_> = loader.iter().map(|b| b.unwrap().key.epoch).collect();
    assert!(keys.iter().all(|e| *e == 2), "{keys:?}");
    let mut seen = 0;
    for part in loader.iter() {
        let part = part.unwrap();
        let rows: Vec<Vec<f32>> = rows_of(network.forward(part.inputs.clone()).labelled());
        let classes: Vec<i64> = part.targets.to_data().iter::<i64>().collect();
        // Nodes are shuffled; find each by its values among the training nodes of its class.
        let all = rows_of(on_whole.clone());
        for (row, class) in rows.iter().zip(classes) {
            let found = split().train.iter().any(|n| {
                classes_whole[*n as usize] == Some(class as u32)
                    && all[*n as usize].iter().zip(row).all(|(a, b)| (a - b).abs() < 1e-5)
            });
            assert!(found, "a sampled node's output is that of no training node");
            seen += 1;
        }
    }
    assert_eq!(seen, split().train.len());
}

fn rows_of(t: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, width] = t.dims();
    t.into_data().iter::<f32>().collect::<Vec<_>>().chunks(width).map(<[f32]>::to_vec).collect()
}
