//! A small graph with three communities, and every rule on every network for it.

use std::fmt;
use std::sync::Arc;

use burn::tensor::Device;
use burn_forward::activation::RowShape;
use burn_forward::data::{Batch, DataSplit, LoadedData};
use burn_forward::model::LocalModel;
use burn_forward::network::{Network, NetworkSpec, Partition};
use burn_forward::random::Seed;
use burn_forward::registry::Registry;
use burn_forward::rules::Context;
use burn_forward::rules::RuleSpec;
use burn_forward_gnn::data::{Features, GraphData, GraphDataset, NodeSplit};
use burn_forward_gnn::graph::Graph;
use burn_forward_testing::{Extreme, Laws, TestData, TestNetwork};
use rand::RngExt;
use serde_json::{Value, json};

pub(crate) const CLASSES: usize = 3;
pub(crate) const NODES: usize = 45;
pub(crate) const FEATURES: usize = 6;

pub(crate) fn registry() -> Registry {
    let mut registry = burn_forward_train::registry();
    burn_forward_gnn::register(&mut registry);
    registry
}

pub(crate) fn seed() -> Seed {
    Seed::new(7)
}

pub(crate) fn device() -> Device {
    burn_forward::device::parse("flex").unwrap().autodiff()
}

/// Three communities, whose nodes have features around one prototype per community; some nodes have no label.
pub(crate) fn toy(relabelled: Option<u32>) -> GraphDataset {
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
    GraphDataset::new(graph, Features::sparse(features, FEATURES).unwrap(), labels, CLASSES, "toy").unwrap()
}

pub(crate) fn split() -> NodeSplit {
    let labelled: Vec<u32> = (0..NODES as u32).filter(|n| n % 5 != 4).collect();
    let part = |k: usize| labelled.iter().copied().skip(k).step_by(3).collect();
    NodeSplit { train: part(0), validation: part(1), test: part(2) }
}

pub(crate) fn node_data(relabelled: Option<u32>) -> GraphData {
    GraphData::nodes(toy(relabelled), split(), 1, None, seed()).unwrap()
}

pub(crate) fn batch(data: &GraphData, split: DataSplit) -> Batch {
    batch_on(data, split, &device())
}

fn batch_on(data: &GraphData, split: DataSplit, device: &Device) -> Batch {
    let loader = match split {
        DataSplit::Train => data.train_loader(8.into(), 1, 0, device).unwrap(),
        other => data.eval_loader(other, 8, device).unwrap(),
    };
    loader.iter().next().unwrap().unwrap()
}

/// A rule with its settings on a network.
pub(crate) struct Case {
    pub(crate) rule: String,
    pub(crate) settings: Value,
    pub(crate) network: &'static str,
    pub(crate) widths: Vec<usize>,
    pub(crate) dropout: f64,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {}", self.rule, self.settings, self.network)
    }
}

pub(crate) const NETWORKS: [&str; 4] = ["gcn", "graph-sage", "gat", "gin"];

impl Case {
    pub(crate) fn spec(&self) -> Box<dyn RuleSpec> {
        let row = registry().rules.into_iter().find(|r| r.name == self.rule).unwrap();
        (row.parse)(&self.settings, &registry().rules).unwrap().0
    }

    pub(crate) fn network(&self) -> Value {
        json!({"widths": self.widths, "normalisation": "l2", "activation": "tanh", "dropout": self.dropout})
    }

    pub(crate) fn network_spec(&self) -> Box<dyn NetworkSpec> {
        let row = registry().networks.into_iter().find(|n| n.name == self.network).unwrap();
        (row.parse)(&self.network()).unwrap().0
    }

    pub(crate) fn refusals(&self) -> Vec<String> {
        let network = self.network_spec();
        let context = Context {
            network_name: self.network,
            network: network.as_ref(),
            blocks: Some(self.widths.len()),
            input: Some(RowShape::Nodes(FEATURES)),
            classes: Some(CLASSES),
            optimizer: None,
        };
        self.spec().check(&context).iter().map(ToString::to_string).collect()
    }

    pub(crate) fn model(&self, seed: Seed, classes: usize) -> LocalModel {
        self.try_model(seed, classes).unwrap_or_else(|e| panic!("{self}: {e}"))
    }

    pub(crate) fn try_model(&self, seed: Seed, classes: usize) -> burn_forward::Result<LocalModel> {
        let spec = self.spec();
        let input = RowShape::Nodes(FEATURES);
        let layers = self.network_spec().layers_for(input, spec.layer_request(classes), seed, &device()).unwrap();
        let network = Network::new(layers, spec.partition().unwrap_or(Partition::LAYER)).unwrap();
        let rule = spec.build(&network, classes, seed)?;
        Ok(LocalModel::new(network, rule, seed))
    }
}

/// The settings of this crate's rules that have named values.
fn own_settings() -> Vec<(&'static str, Value)> {
    vec![
        ("backprop", json!({"output": "network"})),
        ("single-forward", json!({"representatives": "prototypes"})),
        ("single-forward", json!({"temperature": 0.5})),
        ("single-forward", json!({"top-down": "to-input"})),
        ("single-forward", json!({"top-down": "to-loss"})),
        ("graph-forward-forward", json!({"label-injection": "append"})),
        ("graph-forward-forward", json!({"label-injection": "append", "negatives": 1})),
    ]
}

/// Every rule of the registry with its defaults, and the rules of this crate with every named value, on every network.
pub(crate) fn all_cases() -> Vec<Case> {
    let mut settings: Vec<(String, Value)> = registry().rules.iter().map(|r| (r.name.to_string(), json!({}))).collect();
    settings.extend(own_settings().into_iter().map(|(rule, settings)| (rule.to_string(), settings)));
    let on = |(rule, settings): &(String, Value), network| Case {
        rule: rule.clone(),
        settings: settings.clone(),
        network,
        widths: vec![8, 8, 8],
        dropout: 0.0,
    };
    NETWORKS.into_iter().flat_map(|n| settings.iter().map(move |s| on(s, n))).collect()
}

pub(crate) fn cases() -> Vec<Case> {
    all_cases().into_iter().filter(|c| c.refusals().is_empty()).collect()
}

/// The toy graph, which is a single batch.
struct ToyGraph;

impl TestData for ToyGraph {
    fn input(&self) -> RowShape {
        RowShape::Nodes(FEATURES)
    }

    fn classes(&self) -> usize {
        CLASSES
    }

    fn batch(&self, _: usize, _: u64, device: &Device) -> Batch {
        batch_on(&node_data(None), DataSplit::Train, device)
    }

    fn unseen(&self, _: usize, device: &Device) -> Batch {
        batch_on(&node_data(None), DataSplit::Test, device)
    }

    // Extreme cases of graphs are in `extreme_data`.
    fn extremes(&self) -> Vec<Extreme> {
        Vec::new()
    }
}

/// The laws for every rule that accepts a graph, with every named value of this crate's settings, on every network.
pub(crate) fn laws() -> Laws {
    let on = |dropout: f64| -> Vec<TestNetwork> {
        let network = |name: &str| {
            let settings =
                json!({"widths": [8, 8, 8], "normalisation": "l2", "activation": "tanh", "dropout": dropout});
            let row = registry().networks.into_iter().find(|row| row.name == name).unwrap();
            let spec: Arc<dyn NetworkSpec> = Arc::from((row.parse)(&settings).unwrap().0);
            let network = TestNetwork::of(name, spec, Partition::LAYER);
            // Attention and GIN have inner ReLUs.
            if ["gat", "gin"].contains(&name) { network.with_kinks() } else { network }
        };
        NETWORKS.map(network).into()
    };
    let laws = Laws::of(&registry())
        // These rules reject graphs with a message.
        .without(&["forward-forward", "drtp", "feedback-alignment", "pepita"])
        .varied(&[])
        .devices(vec![("flex".into(), device())])
        .data(ToyGraph)
        .networks(on(0.0))
        .noisy_networks(on(0.5))
        .learning_networks(vec![on(0.0)]);
    let laws = own_settings().into_iter().fold(laws, |laws, (rule, settings)| laws.settings(rule, settings));
    with_exceptions(laws)
}

fn with_exceptions(laws: Laws) -> Laws {
    let mut laws = laws
        .except(
            "learning::the_loss_falls_and_the_accuracy_rises",
            "a batch is the whole graph: laws::learning takes other steps and networks",
            |_| true,
        )
        .except("direct_feedback::the_signal_is_taken_as_given", "the error is that of labelled nodes alone", |case| {
            case.rule() == "dfa"
        })
        .except(
            "finite_difference::a_local_gradient_is_the_slope_of_the_blocks_own_loss",
            "an estimate along a random direction is no slope: the laws of burn-forward compare the mean of many",
            |case| case.rule() == "zeroth-order",
        )
        .except(
            "state::a_record_holds_all_that_a_model_knows",
            "virtual nodes are drawn from the run's seed: laws::state loads into a model of the same seed",
            |case| {
                let is = |key| case.settings().get(key).is_some();
                ["single-forward", "graph-forward-forward"].contains(&case.rule())
                    && !is("representatives")
                    && !is("label-injection")
            },
        );
    for law in [
        "locality::a_step_of_a_local_rule_is_its_blocks_one_after_the_other",
        "locality::another_teaching_signal_to_one_block_changes_no_other_blocks_gradients",
        "locality::blocks_above_have_no_say",
    ] {
        laws = laws.except(law, "top-down signals are states of the blocks above", |case| {
            case.settings().get("top-down").is_some()
        });
    }
    for law in [
        "audit::every_rule_is_audited_in_finite_numbers",
        "locality::another_teaching_signal_to_one_block_changes_no_other_blocks_gradients",
    ] {
        laws = laws.except(law, "both rectifiers inside a layer are silent with this seed", |case| {
            case.network().name() == "gin" && case.settings().get("label-injection").is_some()
        });
    }
    laws
}
