//! Messages for a schema that schemars generates, and agreement with serde on what is valid.

use proptest::prelude::*;
use rstest::rstest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::*;
use super::hand_written;
use crate::config::document::parse;

/// A typed config whose schema schemars generates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Typed {
    network: TypedNetwork,
    #[serde(default)]
    rule: TypedRule,
    #[serde(default)]
    optimizer: Option<TypedOptimizer>,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, i8>,
    seed: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TypedNetwork {
    /// Units per layer.
    #[schemars(length(min = 1), inner(range(min = 1)))]
    widths: Vec<usize>,
    #[serde(default)]
    activation: TypedActivation,
    #[serde(default)]
    scale: Option<Scale>,
    #[serde(default)]
    range: (f32, f64),
    #[serde(default)]
    next: Option<Box<TypedNetwork>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum TypedActivation {
    /// max(x, 0)
    #[default]
    Relu,
    LeakyRelu,
    Tanh,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Scale {
    Named(ScaleName),
    Factor(#[schemars(range(min = 0.0, max = 1.0))] f64),
    Curve {
        start: f64,
        #[serde(default)]
        steps: u16,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum ScaleName {
    Width,
    Depth,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
enum TypedRule {
    /// Back-propagation.
    #[default]
    Backprop,
    /// A projection per block.
    MonoForward {
        #[serde(default)]
        #[schemars(range(min = 0.0, max = 1.0))]
        decay: f64,
        bias: Option<bool>,
    },
    Dfa(Dfa),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Dfa {
    beta: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "name")]
enum TypedOptimizer {
    Sgd(Sgd),
    Adam {
        #[schemars(extend("exclusiveMinimum" = 0))]
        lr: f64,
        betas: [f64; 2],
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Sgd {
    #[schemars(extend("exclusiveMinimum" = 0))]
    lr: f64,
    #[serde(default)]
    momentum: Option<f32>,
}

pub(in crate::config) fn generated() -> Value {
    schemars::schema_for!(Typed).to_value()
}

#[rstest]
#[case("/network/widths/0", json!(0), "$.network.widths[0]: 0 is too small; needed: an integer >= 1")]
#[case("/network/widths/0", json!(8.0), "$.network.widths[0]: 8.0 is a decimal number; needed: an integer >= 1 (write 8)")]
#[case("/network/widths", json!([]), "$.network.widths: has 0 items; needed: at least 1")]
#[case("/network/activation", json!("leaky_relu"), "$.network.activation: unknown variant \"leaky_relu\"; did you mean \"leaky-relu\"? valid: \"leaky-relu\", \"tanh\", \"relu\"")]
#[case("/network/scale", json!("dept"), "$.network.scale: unknown variant \"dept\"; did you mean \"depth\"? valid: \"width\", \"depth\" or a number >= 0 and <= 1 or an object or null")]
#[case("/network/scale", json!(1.5), "$.network.scale: 1.5 is too large; needed: a number >= 0 and <= 1")]
#[case("/network/scale", json!({"steps": 1}), "$.network.scale: missing key \"start\" (number)")]
#[case("/network/scale", json!({"start": 1, "steps": 70000}), "$.network.scale.steps: 70000 is too large; needed: an integer >= 0 and <= 65535")]
#[case("/network/range", json!([1e39, 0]), "$.network.range[0]: 1e+39 is too large; needed: a number >= -3.4028234663852886e+38 and <= 3.4028234663852886e+38")]
#[case("/rule", json!({"name": "monoforward", "decay": 2}), "$.rule.name: unknown variant \"monoforward\"; did you mean \"mono-forward\"? valid: \"backprop\", \"mono-forward\", \"dfa\"")]
#[case("/rule", json!({"name": "mono-forward", "decay": 2}), "$.rule.decay: 2 is too large; needed: a number >= 0 and <= 1")]
#[case("/rule", json!({"name": "backprop", "decay": 2}), "$.rule.decay: unknown key; valid: \"name\"")]
#[case("/rule", json!({"name": "dfa", "beta": 1, "bet": 1}), "$.rule.bet: unknown key; did you mean \"beta\"? valid: \"name\", \"beta\"")]
#[case("/optimizer", json!({"name": "sgd", "lr": 0}), "$.optimizer.lr: 0 is too small; needed: a number > 0")]
#[case("/optimizer", json!({"name": "adam", "lr": 1, "betas": [0.9]}), "$.optimizer.betas: has 1 item; needed: 2")]
#[case("/labels", json!({"cat": -129}), "$.labels.cat: -129 is too small; needed: an integer >= -128 and <= 127")]
#[case("/seed", json!(1e20), "$.seed: 1e+20 is too large; needed: an integer >= 0 and <= 18446744073709551615 or null")]
fn messages_over_a_generated_schema(#[case] pointer: &str, #[case] value: Value, #[case] expected: &str) {
    let mut document = valid_documents().remove(0);
    assert!(check(&generated(), &document).is_empty());
    *document.pointer_mut(pointer).unwrap() = value;
    let found: Vec<_> = check(&generated(), &document).iter().map(ToString::to_string).collect();
    assert_eq!(found, [expected]);
}

fn valid_documents() -> Vec<Value> {
    vec![
        json!({
            "network": {"widths": [8, 4], "activation": "relu", "scale": null, "range": [0, 1], "next": {"widths": [1]}},
            "rule": {"name": "mono-forward", "decay": 0.5, "bias": true},
            "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
            "labels": {"cat": 1},
            "seed": 7,
        }),
        json!({
            "network": {"widths": [1], "scale": {"start": 0.5, "steps": 3}},
            "rule": {"name": "dfa", "beta": 1},
            "optimizer": {"name": "adam", "lr": 1, "betas": [0.9, 0.99]},
        }),
        json!({"network": {"widths": [1, 2, 3], "scale": "width"}, "rule": {"name": "backprop"}, "seed": null}),
    ]
}

/// Any small JSON value.
pub(in crate::config) fn any_json() -> impl Strategy<Value = Value> {
    let keywords = prop::sample::select(vec![
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "const",
        "enum",
        "minimum",
        "format",
        "default",
        "prefixItems",
        "uniqueItems",
        "minItems",
        "name",
        "network",
        "widths",
    ]);
    let words =
        prop::sample::select(vec!["object", "array", "integer", "string", "null", "#", "#/properties", "uint", "x"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.prop_map(Value::from),
        ".{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keywords.clone(), inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

/// One change to a document: the place (counted over all values) and what to do there.
#[derive(Debug, Clone)]
enum Change {
    Replace(Value),
    Remove,
    Rename(&'static str),
    Insert(&'static str, Value),
}

fn any_change() -> impl Strategy<Value = Change> {
    let value = || {
        prop_oneof![
            3 => prop::sample::select(vec![
                json!(null), json!(true), json!(0), json!(1), json!(3), json!(-1), json!(0.5), json!(2.0), json!(1e300),
                json!(300), json!(70000), json!(u64::MAX), json!("relu"), json!("width"), json!("dfa"), json!("sgd"), json!("adam"), json!([1, 2]),
                json!([0.5, 0.25]), json!({"widths": [3]}), json!({"start": 1}), json!({"name": "dfa", "beta": 0.5}), json!({}),
            ]),
            1 => any_json(),
        ]
    };
    let key = || {
        prop::sample::select(vec![
            "name", "beta", "decay", "bias", "lr", "momentum", "betas", "scale", "start", "steps", "next", "seed", "x",
        ])
    };
    prop_oneof![
        value().prop_map(Change::Replace),
        Just(Change::Remove),
        key().prop_map(Change::Rename),
        (key(), value()).prop_map(|(key, value)| Change::Insert(key, value)),
    ]
}

fn mutated() -> impl Strategy<Value = Value> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any_change()), 1..4);
    (prop::sample::select(valid_documents()), changes).prop_map(|(mut document, changes)| {
        for (index, change) in changes {
            let mut pointers = Vec::new();
            pointers_of(&document, String::new(), &mut pointers);
            let pointer = index.get(&pointers).clone();
            mutate(&mut document, &pointer, change);
        }
        document
    })
}

fn pointers_of(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, inner)| pointers_of(inner, format!("{at}/{key}"), pointers));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, inner)| pointers_of(inner, format!("{at}/{i}"), pointers));
        }
        _ => {}
    }
    pointers.push(at);
}

fn mutate(document: &mut Value, pointer: &str, change: Change) {
    let (parent, key) = pointer.rsplit_once('/').unwrap_or(("", ""));
    match (change, document.pointer_mut(parent)) {
        (Change::Remove, Some(Value::Object(map))) => drop(map.shift_remove(key)),
        (Change::Rename(name), Some(Value::Object(map))) => {
            if let Some(value) = map.shift_remove(key) {
                map.insert(name.to_owned(), value);
            }
        }
        (Change::Insert(name, value), Some(Value::Object(map))) => drop(map.insert(name.to_owned(), value)),
        (Change::Replace(value), _) => {
            if let Some(place) = document.pointer_mut(pointer) {
                *place = value;
            }
        }
        _ => {}
    }
}

/// Whether a message is about a constraint that serde does not know or does not enforce.
fn serde_may_accept(error: &ConfigError) -> bool {
    // serde ignores the keys beside the tag of a unit variant, even where unknown fields are denied.
    error.message.ends_with("valid: \"name\"")
        || ["too small", "too large", "needed: at least", "is an array"]
            .iter()
            .any(|words| error.message.contains(words))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn check_and_serde_agree(document in mutated()) {
        let errors = check(&generated(), &document);
        let parsed = parse::<Typed>("test", &document);
        if errors.is_empty() {
            prop_assert!(parsed.is_ok(), "serde refuses what check accepts: {} in {document}", parsed.unwrap_err());
        } else if !errors.iter().any(serde_may_accept) {
            prop_assert!(parsed.is_err(), "serde accepts what check refuses: {errors:?} in {document}");
        }
    }

    #[test]
    fn what_serde_writes_passes(index in 0..3_usize) {
        let typed: Typed = parse("test", &valid_documents()[index]).unwrap();
        prop_assert_eq!(check(&generated(), &serde_json::to_value(typed).unwrap()), vec![]);
    }

    #[test]
    fn no_value_panics(value in any_json()) {
        check(&hand_written(), &value);
        check(&generated(), &value);
    }

    #[test]
    fn no_schema_panics(schema in any_json(), value in any_json()) {
        check(&schema, &value);
        schema_type_name(&schema, &schema);
        describe_fields(&schema, &schema);
    }
}

#[test]
fn mutation_gives_both_valid_and_invalid_documents() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let valid = (0..1000)
        .filter(|_| check(&generated(), &mutated().new_tree(&mut runner).unwrap().current()).is_empty())
        .count();
    assert!((100..900).contains(&valid), "{valid} of 1000 are valid");
}
