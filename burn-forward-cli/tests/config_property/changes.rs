//! Random changes of a config.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// Names that are valid somewhere in a config, and some that are valid nowhere.
const NAMES: [&str; 60] = [
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
    "image-folder",
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
const KEYS: [&str; 16] = [
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
    "train",
    "test",
    "augment",
    "every",
    "lerning-rate",
    "",
];

/// A value to replace another one.
fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        select(&NAMES[..]).prop_map(Value::from),
        // Small numbers are sizes that can run; huge numbers must be rejected, or must not be sizes.
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

/// A single change of a config.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Replace(Index, Value),
    Remove(Index),
    Add(Index, &'static str, Value),
    Rename(Index, &'static str),
    Number(Index, u64),
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        5 => (index(), replacement()).prop_map(|(at, value)| Change::Replace(at, value)),
        1 => index().prop_map(Change::Remove),
        1 => (index(), select(&KEYS[..]), scalar()).prop_map(|(at, key, value)| Change::Add(at, key, value)),
        3 => (index(), select(&NAMES[..])).prop_map(|(at, name)| Change::Rename(at, name)),
        5 => (index(), 0u64..12).prop_map(|(at, n)| Change::Number(at, n)),
    ]
}

/// JSON pointers to everything inside `value`.
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

pub(crate) fn apply(config: &mut Value, change: &Change) {
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
        // Another choice at a position that has a choice: most of these configs are still valid.
        Change::Rename(at, name) => {
            let words: Vec<&String> =
                all.iter().filter(|p| config.pointer(p).is_some_and(Value::is_string) && *p != "/name").collect();
            if !words.is_empty() {
                let pointer = (*at.get(&words)).clone();
                *config.pointer_mut(&pointer).unwrap() = json!(name);
            }
        }
        // Another number of the same kind: most of these configs are valid as well.
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
