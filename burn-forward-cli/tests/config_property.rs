//! Whatever a config says, `check` either refuses it with the place of the mistake, or it trains: never a panic.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::Cell;

use burn::train::{ItemLazy, Learner};
use burn_forward::Error;
use burn_forward::data::DataFolders;
use burn_forward::model::LocalModel;
use burn_forward::registry::Registry;
use burn_forward_train::config::RunConfig;
use burn_forward_train::training::{self, Checked, Run, RunOptions, parameter_counts, plan};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// Every rule, network and data set of the program.
fn registry() -> Registry {
    let mut registry = burn_forward_train::registry();
    burn_forward_cnn::register(&mut registry);
    burn_forward_gnn::register(&mut registry);
    registry
}

/// Valid configs of every rule, with most settings spelt out so that there is something to break.
fn valid() -> Vec<Value> {
    let mut all = dense();
    all.extend(convolutional());
    all.extend(graphs());
    all
}

fn convolutional() -> Vec<Value> {
    let rules = [
        json!({"name": "mono-forward", "readout": "sum", "bias": true}),
        json!({"name": "deep-supervision"}),
        json!({"name": "scalable-forward-forward", "kernel": 3}),
        json!({"name": "channel-wise", "loss": "cross-entropy"}),
        json!({"name": "decoupled-greedy"}),
        json!({"name": "aug-local"}),
        json!({"name": "info-pro"}),
        json!({"name": "predsim"}),
        json!({"name": "trifecta"}),
    ];
    let config = |rule: &Value| {
        json!({
            "name": "property", "seed": 3, "rule": rule,
            "network": {
                "name": "conv-stack", "channels": [10, 10], "pool": 2, "pool-kind": "average", "batch-norm": true,
                "partition": "layer",
            },
            "optimizer": {"name": "adam", "lr": 0.001, "betas": [0.9, 0.999], "epsilon": 1e-8, "weight-decay": 0.1},
            "schedule": {"name": "simultaneous"},
            "data": {"name": "digits", "validation": 0.1, "samples-per-class": 4, "pixel-normalisation": "unit", "augment": []},
            "training": {"epochs": 2, "batch-size": 16, "eval-batch-size": 20, "workers": 0, "label-smoothing": 0.0},
        })
    };
    rules.iter().map(config).collect()
}

fn graphs() -> Vec<Value> {
    let config = |rule: Value, network: Value| {
        json!({
            "name": "property", "seed": 3, "rule": rule, "network": network,
            "optimizer": {"name": "adam", "lr": 0.01, "betas": [0.9, 0.999]},
            "schedule": {"name": "simultaneous"}, "data": {"name": "karate", "binarise": false, "feature-scaling": "none"},
            "training": {"epochs": 2, "batch-size": 16},
        })
    };
    vec![
        config(json!({"name": "single-forward"}), json!({"name": "gcn", "widths": [8, 8], "normalisation": "l2"})),
        config(
            json!({"name": "graph-forward-forward"}),
            json!({"name": "gin", "widths": [8, 8], "normalisation": "l2"}),
        ),
        config(json!({"name": "backprop"}), json!({"name": "gat", "widths": [8, 8], "heads": 2})),
        config(json!({"name": "mono-forward"}), json!({"name": "graph-sage", "widths": [8, 8], "normalisation": "l2"})),
    ]
}

fn dense() -> Vec<Value> {
    let network = |more: Value| {
        let mut network = json!({
            "name": "mlp", "widths": [12, 9, 10], "activation": "relu", "dropout": 0.1, "normalisation": "rms",
            "init": "default", "partition": "layer",
        });
        network.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        network
    };
    let with = |rule: Value, network: Value, optimizer: Value, schedule: Value| {
        json!({
            "name": "property", "seed": 3, "rule": rule, "network": network, "optimizer": optimizer, "schedule": schedule,
            "data": {"name": "digits", "validation": 0.1, "samples-per-class": 4, "pixel-normalisation": "unit", "augment": []},
            "training": {"epochs": 2, "batch-size": 16, "eval-batch-size": 20, "workers": 0, "final-weights": "last"},
        })
    };
    let adam = json!({"name": "adam", "lr": 0.001, "betas": [0.9, 0.999], "epsilon": 1e-8, "weight-decay": 0.1});
    let sgd = json!({
        "name": "sgd", "lr": 0.1, "momentum": 0.9, "dampening": 0.1, "nesterov": false, "clip": {"norm": 1.0},
        "lr-schedule": {"name": "step", "fraction": 0.3, "gamma": 0.5}, "block-lr": [0.1, 0.2, 0.3], "decay-bias": false,
    });
    let simultaneous = json!({"name": "simultaneous"});
    let hinton = json!({
        "name": "forward-forward", "preset": "hinton", "goodness": "sum-squares", "loss-weight": 0.5, "first-block": 1,
        "loss": {"name": "logistic", "threshold": "width", "scale": 1.0}, "label": {"name": "overlay", "strength": 1.0},
        "negatives": "hard", "peer": {"strength": 0.03, "momentum": 0.9}, "softmax-head": true, "readout": "energy",
    });
    vec![
        with(
            json!({"name": "mono-forward", "readout": "sum", "bias": true}),
            network(json!({"partition": {"every": 2}})),
            adam.clone(),
            json!({"name": "greedy", "patience": 2, "cache": true}),
        ),
        with(hinton, network(json!({"init": "unit-normal"})), sgd, simultaneous.clone()),
        with(
            json!({"name": "forward-forward", "preset": "ff-plus", "loss": {"name": "symba", "alpha": 2.0}}),
            network(json!({"normalisation": "layer-norm"})),
            json!({"name": "muon", "lr": 0.01, "lr-schedule": {"name": "cosine", "min": 0.1}}),
            simultaneous.clone(),
        ),
        with(
            json!({"name": "dfa", "bias": true, "sign": false}),
            network(json!({"activation": "tanh", "normalisation": "none"})),
            json!({"name": "rmsprop", "lr": 0.001, "lr-schedule": {"name": "linear", "end": 0.1}}),
            simultaneous.clone(),
        ),
        with(json!({"name": "drtp"}), network(json!({"activation": "tanh"})), adam, simultaneous.clone()),
        with(
            json!({"name": "backprop", "bias": true}),
            network(json!({})),
            json!({"name": "adafactor", "lr": 0.01}),
            simultaneous,
        ),
    ]
}

/// Names that stand somewhere in a config, and some that stand nowhere.
const NAMES: [&str; 59] = [
    "trifecta",
    "predsim",
    "channel-wise",
    "scalable-forward-forward",
    "single-forward",
    "graph-forward-forward",
    "conv-stack",
    "gcn",
    "gat",
    "karate",
    "average",
    "max",
    "cross-entropy",
    "mono-forward",
    "forward-forward",
    "dfa",
    "drtp",
    "backprop",
    "deep-supervision",
    "mlp",
    "digits",
    "mnist",
    "idx",
    "hinton",
    "pezeshki",
    "ff-plus",
    "sum-squares",
    "mean-squares",
    "negative-sum-squares",
    "length",
    "mean",
    "top-k",
    "entmax",
    "burst",
    "overlay",
    "per-layer",
    "hard",
    "wrong",
    "permuted",
    "energy",
    "softmax",
    "last",
    "sum",
    "best",
    "greedy",
    "simultaneous",
    "sgd",
    "adam",
    "adamw",
    "muon",
    "constant",
    "relu",
    "gelu",
    "l2",
    "none",
    "whole",
    "zeros",
    "",
    "\u{1f980} $.a[0]",
];

/// Keys that are valid in some object, and some that are valid in none.
const KEYS: [&str; 14] = [
    "name",
    "patience",
    "final-weights",
    "momentum",
    "clip",
    "block-lr",
    "bias",
    "readout",
    "strength",
    "path",
    "augment",
    "every",
    "lerning-rate",
    "",
];

/// Something to put in the place of something else.
fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        select(&NAMES[..]).prop_map(Value::from),
        // Small ones are the sizes that are run; huge ones must be refused, or not be sizes.
        (-3i64..40).prop_map(Value::from),
        select(vec![i64::MIN, -1_000_000, 1_000, 1_000_000, 4_294_967_296, i64::MAX]).prop_map(Value::from),
        Just(Value::from(u64::MAX)),
        (-2.0f64..2.0).prop_map(Value::from),
        select(vec![-1e308, -1e-300, 1e-300, 1e-12, 1e-7, 0.5, 0.999_999, 1e3, 1e30, 1e39, 1e308])
            .prop_map(Value::from),
    ]
}

fn replacement() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => scalar(),
        1 => prop::collection::vec(scalar(), 0..4).prop_map(Value::from),
        1 => prop::collection::vec((select(&KEYS[..]), scalar()), 0..3)
            .prop_map(|entries| Value::Object(entries.into_iter().map(|(k, v)| (k.to_string(), v)).collect())),
        1 => select(vec![
            json!([{"name": "shift", "pixels": 1}]),
            json!([{"name": "cutout", "size": 3}, {"name": "flip"}]),
            json!({"name": "per-layer"}),
            json!({"every": 2}),
            json!({"mean": [0.1], "std": [0.3]}),
            json!({"value": 0.1}),
            json!({"name": "cosine"}),
        ]),
    ]
}

/// One change of a config.
#[derive(Debug, Clone)]
enum Change {
    Replace(Index, Value),
    Remove(Index),
    Add(Index, &'static str, Value),
    Rename(Index, &'static str),
    Number(Index, u64),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        5 => (index(), replacement()).prop_map(|(at, value)| Change::Replace(at, value)),
        1 => index().prop_map(Change::Remove),
        1 => (index(), select(&KEYS[..]), scalar()).prop_map(|(at, key, value)| Change::Add(at, key, value)),
        3 => (index(), select(&NAMES[..])).prop_map(|(at, name)| Change::Rename(at, name)),
        5 => (index(), 0u64..12).prop_map(|(at, n)| Change::Number(at, n)),
    ]
}

/// JSON pointers of everything inside `value`.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    let mut inside = |key: &str, child: &Value| {
        let pointer = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        all.push(pointer.clone());
        pointers(child, &pointer, all);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, child)| inside(key, child)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, child)| inside(&i.to_string(), child)),
        _ => {}
    }
}

fn apply(config: &mut Value, change: &Change) {
    let mut all = Vec::new();
    pointers(config, "", &mut all);
    match change {
        _ if all.is_empty() => {}
        Change::Replace(at, value) => *config.pointer_mut(at.get::<String>(&all)).unwrap() = value.clone(),
        Change::Remove(at) => {
            let (parent, key) = at.get::<String>(&all).rsplit_once('/').unwrap();
            match config.pointer_mut(parent).unwrap() {
                Value::Object(map) => drop(map.shift_remove(key)),
                Value::Array(items) => drop(items.remove(key.parse().unwrap())),
                _ => {}
            }
        }
        Change::Add(at, key, value) => {
            if let Some(Value::Object(map)) = config.pointer_mut(at.get::<String>(&all)) {
                map.insert((*key).to_string(), value.clone());
            }
        }
        // Another choice at a place where there is one: most of these are still valid.
        Change::Rename(at, name) => {
            let words: Vec<&String> =
                all.iter().filter(|p| config.pointer(p).is_some_and(Value::is_string) && *p != "/name").collect();
            if !words.is_empty() {
                let pointer = (*at.get(&words)).clone();
                *config.pointer_mut(&pointer).unwrap() = json!(name);
            }
        }
        // Another number of the same kind: most of these are valid, too.
        Change::Number(at, n) => {
            let numbers: Vec<&String> =
                all.iter().filter(|p| config.pointer(p).is_some_and(Value::is_number)).collect();
            if !numbers.is_empty() {
                let place = config.pointer_mut(at.get::<&String>(&numbers)).unwrap();
                *place = if place.is_u64() { json!(n) } else { json!(*n as f64 / 12.0) };
            }
        }
    }
}

/// Whether network and rule are small enough to be run here.
fn is_small(value: &Value) -> bool {
    match value {
        Value::Number(n) => n.as_f64().is_some_and(|n| n <= 64.0),
        Value::Array(items) => items.len() <= 8 && items.iter().all(is_small),
        Value::Object(fields) => fields.values().all(is_small),
        _ => true,
    }
}

/// Builds, plans and takes one step, as `train` does.
fn step(run: &Run) -> Result<LocalModel, Error> {
    let model = run.model()?;
    plan(&model, &run.config.optimizer, run.config.training.batch_size);
    parameter_counts(&model);
    let groups = run.config.rule.parameter_groups();
    let optimizer = run.config.optimizer.optimizer(&groups)?;
    let scheduler = run.config.optimizer.scheduler(&groups, 2 * run.config.training.epochs)?;
    let mut learner: Learner<LocalModel> = Learner::new(model, optimizer, scheduler);
    learner.fork(&run.training_device());
    let loader = run.data.train_loader(run.config.training.batching(), 1, 1, &run.training_device())?;
    for batch in loader.iter().take(2) {
        let output = learner.train_step(batch.unwrap());
        learner.lr_step();
        learner.optimizer_step(output.grads);
        output.item.sync().unwrap();
    }
    Ok(learner.model())
}

fn options() -> RunOptions {
    RunOptions {
        device_name: "flex".into(),
        folders: DataFolders { argument: Some("there/is/no/such/folder".into()), ..DataFolders::default() },
        interrupter: Default::default(),
        command: String::new(),
        git_revision: None,
    }
}

/// Whether the config trains; if it does not, its error names a place.
fn check(config: &Value) -> Result<bool, TestCaseError> {
    let refused = |error: &Error| match error {
        Error::Config(errors) => {
            prop_assert!(!errors.errors.is_empty());
            for e in &errors.errors {
                prop_assert!(e.path.starts_with('$') && !e.message.is_empty(), "{error}");
            }
            Ok(false)
        }
        // Data that is not on this machine.
        Error::Data { .. } => Ok(false),
        other => Err(TestCaseError::fail(format!("no place is named: {other}"))),
    };
    let registry = registry();
    let config = match RunConfig::from_value("generated", config.clone(), &[], &registry) {
        Err(error) => return refused(&error),
        Ok(config) => config,
    };
    if !is_small(&config.resolved()["network"]) || !is_small(&config.resolved()["rule"]) {
        return Ok(false);
    }
    let again = match RunConfig::from_value("resolved", config.resolved().clone(), &[], &registry) {
        Ok(again) => again,
        Err(error) => return Err(TestCaseError::fail(format!("its own resolved form is refused: {error}"))),
    };
    prop_assert_eq!(again.resolved(), config.resolved(), "resolved twice is resolved once");
    match training::check(config, options()) {
        Err(error) => return refused(&error),
        Ok(Checked::WithData(_)) => {}
        Ok(_) => return Ok(false),
    }
    let trained = Run::prepare(again, options()).and_then(|run| step(&run));
    prop_assert!(trained.is_ok(), "`check` passes what `train` refuses: {}", trained.unwrap_err());
    Ok(true)
}

#[test]
fn the_configs_to_start_from_are_valid_and_train() {
    for config in valid() {
        let config = RunConfig::from_value("valid", config, &[], &registry()).unwrap();
        step(&Run::prepare(config, options()).unwrap()).unwrap();
    }
}

/// So many generated configs, some ten seconds.
const CASES: u32 = 1_500;

#[test]
fn a_config_that_check_passes_trains_and_every_other_is_refused_with_its_place() {
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let trained = Cell::new(0);
    let bases = valid();
    let strategy = (any::<Index>(), prop::collection::vec(change(), 1..4));
    let result = TestRunner::new(config).run(&strategy, |(base, changes)| {
        let mut config = base.get(&bases).clone();
        for change in &changes {
            apply(&mut config, change);
        }
        trained.set(trained.get() + u32::from(check(&config)?));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    // Or the property would say little about training.
    assert!(trained.get() > CASES / 8, "only {} of {CASES} configs were valid", trained.get());
}
