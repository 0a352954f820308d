//! Exact messages for a hand-written schema.

mod agreement;

use rstest::rstest;
use serde_json::json;

use super::*;
pub(in crate::config) use agreement::{any_json, generated};

/// A config schema with every construct that `check` supports.
pub(in crate::config) fn hand_written() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "$schema": {"type": "string"},
            "network": {"$ref": "#/$defs/Network"},
            "rule": {"$ref": "#/$defs/Rule", "default": {"name": "mono-forward", "width": 3}, "description": "How blocks learn."},
            "training": {
                "type": "object",
                "properties": {
                    "epochs": {"type": "integer", "format": "uint", "minimum": 1, "default": 10, "description": "Passes over\nthe data."},
                    "batch": {"type": "integer", "format": "uint32", "minimum": 0, "default": 64},
                    "seed": {"type": ["integer", "null"], "format": "uint64", "minimum": 0},
                    "clip": {"anyOf": [{"type": "number", "exclusiveMinimum": 0.0}, {"type": "null"}]},
                    "shuffle": {"type": "boolean", "default": true}
                },
                "additionalProperties": false
            },
            "optimizer": {"anyOf": [{"$ref": "#/$defs/Optimizer"}, {"type": "null"}], "default": null},
            "labels": {"type": "object", "additionalProperties": {"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255}},
            "notes": {}
        },
        "required": ["network"],
        "additionalProperties": false,
        "$defs": {
            "Network": {
                "type": "object",
                "properties": {
                    "widths": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "description": "Units per layer."},
                    "name": {"type": "string", "minLength": 1},
                    "activation": {"$ref": "#/$defs/Activation"},
                    "scale": {"anyOf": [{"type": "string", "enum": ["width", "depth"]}, {"type": "number", "minimum": 0, "maximum": 1}]},
                    "range": {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}], "minItems": 2, "maxItems": 2},
                    "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true, "maxItems": 3},
                    "layers": {"type": "array", "items": {"allOf": [{"$ref": "#/$defs/Named"}, {"$ref": "#/$defs/Sized"}]}}
                },
                "required": ["widths"],
                "additionalProperties": false
            },
            "Named": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"], "additionalProperties": false},
            "Sized": {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"], "additionalProperties": false},
            "Activation": {
                "oneOf": [
                    {"description": "max(x, 0)", "type": "string", "const": "relu"},
                    {"description": "tanh x", "type": "string", "const": "tanh"},
                    {"description": "x sigmoid x", "type": "string", "const": "silu"}
                ]
            },
            "Rule": {
                "oneOf": [
                    {
                        "description": "Back-propagation.",
                        "type": "object",
                        "properties": {"name": {"type": "string", "const": "backprop"}},
                        "required": ["name"],
                        "additionalProperties": false
                    },
                    {
                        "description": "A projection per block.",
                        "type": "object",
                        "properties": {
                            "name": {"type": "string", "const": "mono-forward"},
                            "width": {"type": "integer", "minimum": 1, "default": 2},
                            "decay": {"type": "number", "minimum": 0.0, "exclusiveMaximum": 1.0, "default": 0.5}
                        },
                        "required": ["name"],
                        "additionalProperties": false
                    },
                    {
                        "description": "Direct feedback alignment.",
                        "type": "object",
                        "properties": {"name": {"type": "string", "const": "dfa"}, "beta": {"type": "number"}},
                        "required": ["name", "beta"],
                        "additionalProperties": false
                    }
                ]
            },
            "Optimizer": {
                "oneOf": [
                    {
                        "type": "object",
                        "properties": {"name": {"type": "string", "const": "sgd"}, "lr": {"type": "number", "exclusiveMinimum": 0}, "momentum": {"type": "number"}},
                        "required": ["name", "lr"],
                        "additionalProperties": false
                    },
                    {
                        "type": "object",
                        "properties": {"name": {"type": "string", "const": "adam"}, "lr": {"type": "number", "exclusiveMinimum": 0}},
                        "required": ["name", "lr"],
                        "additionalProperties": false
                    }
                ]
            }
        }
    })
}

/// The messages about `{"network": {"widths": [1]}}` with `pointer` set to `value`.
fn messages(key: &str, value: Value) -> Vec<String> {
    let mut document = json!({"network": {"widths": [1]}});
    match key.split_once('/') {
        Some((section, key)) => document[section][key] = value,
        None => document[key] = value,
    }
    check(&hand_written(), &document).iter().map(ToString::to_string).collect()
}

#[rstest]
#[case::too_small("training/epochs", json!(0), "$.training.epochs: 0 is too small; needed: an integer >= 1")]
#[case::negative("training/epochs", json!(-3), "$.training.epochs: -3 is too small; needed: an integer >= 1")]
#[case::fraction("training/epochs", json!(1.5), "$.training.epochs: 1.5 is not an integer; needed: an integer >= 1")]
#[case::float("training/epochs", json!(1e3), "$.training.epochs: 1000.0 is a decimal number; needed: an integer >= 1 (write 1000)")]
#[case::float_out_of_range("training/epochs", json!(-0.0), "$.training.epochs: -0.0 is too small; needed: an integer >= 1")]
#[case::quoted_number("training/epochs", json!("20"), "$.training.epochs: \"20\" is a string; needed: an integer >= 1 (write 20 without quotes)")]
#[case::beyond_the_rust_type("training/batch", json!(5_000_000_000_u64), "$.training.batch: 5000000000 is too large; needed: an integer >= 0 and <= 4294967295")]
#[case::wrong_with_null("training/seed", json!("now"), "$.training.seed: \"now\" is a string; needed: an integer >= 0 or null")]
#[case::exclusive("training/clip", json!(0), "$.training.clip: 0 is too small; needed: a number > 0")]
#[case::wrong_in_any_of("training/clip", json!([1]), "$.training.clip: [1] is an array; needed: a number > 0 or null")]
#[case::boolean("training/shuffle", json!(1), "$.training.shuffle: 1 is a number; needed: true or false")]
#[case::quoted_boolean("training/shuffle", json!("true"), "$.training.shuffle: \"true\" is a string; needed: true or false (write true without quotes)")]
#[case::null("training/shuffle", json!(null), "$.training.shuffle: null is not valid; needed: true or false")]
#[case::misspelt_section("trainin", json!({}), "$.trainin: unknown key; did you mean \"training\"? valid: \"$schema\", \"network\", \"rule\", \"training\", \"optimizer\", \"labels\", \"notes\"")]
#[case::odd_key("odd key", json!(1), "$[\"odd key\"]: unknown key; valid: \"$schema\", \"network\", \"rule\", \"training\", \"optimizer\", \"labels\", \"notes\"")]
#[case::missing_key("network", json!({"name": "a"}), "$.network: missing key \"widths\" (array of integer >= 1)")]
#[case::wrong_object("network", json!(3), "$.network: 3 is a number; needed: an object")]
#[case::item("network/widths", json!([3, 0]), "$.network.widths[1]: 0 is too small; needed: an integer >= 1")]
#[case::no_items("network/widths", json!([]), "$.network.widths: has 0 items; needed: at least 1")]
#[case::scalar_for_array("network/widths", json!(100), "$.network.widths: 100 is a number; needed: an array of integer >= 1")]
#[case::empty_string("network/name", json!(""), "$.network.name: \"\" has 0 characters; needed: at least 1")]
#[case::unit_variant("network/activation", json!("rellu"), "$.network.activation: unknown variant \"rellu\"; did you mean \"relu\"? valid: \"relu\", \"tanh\", \"silu\"")]
#[case::unit_variant_unlike_any("network/activation", json!("banana"), "$.network.activation: unknown variant \"banana\"; valid: \"relu\", \"tanh\", \"silu\"")]
#[case::number_for_variant("network/activation", json!(3), "$.network.activation: 3 is a number; needed: one of \"relu\", \"tanh\", \"silu\"")]
#[case::untagged_string("network/scale", json!("widht"), "$.network.scale: unknown variant \"widht\"; did you mean \"width\"? valid: \"width\", \"depth\" or a number >= 0 and <= 1")]
#[case::untagged_number("network/scale", json!(2), "$.network.scale: 2 is too large; needed: a number >= 0 and <= 1")]
#[case::untagged_other("network/scale", json!(true), "$.network.scale: true is a boolean; needed: one of \"width\", \"depth\" or a number >= 0 and <= 1")]
#[case::tuple_length("network/range", json!([1, 2, 3]), "$.network.range: has 3 items; needed: 2")]
#[case::tuple_item("network/range", json!([1, "x"]), "$.network.range[1]: \"x\" is a string; needed: a number")]
#[case::repeated("network/tags", json!(["a", "b", "a"]), "$.network.tags[2]: \"a\" is item 0 already; needed: no repeats")]
#[case::too_many("network/tags", json!(["a", "b", "c", "d"]), "$.network.tags: has 4 items; needed: at most 3")]
#[case::missing_in_all_of("network/layers", json!([{"id": "a"}]), "$.network.layers[0]: missing key \"size\" (integer)")]
#[case::unknown_in_all_of("network/layers", json!([{"id": "a", "size": 1, "idd": 1}]), "$.network.layers[0].idd: unknown key; did you mean \"id\"? valid: \"id\", \"size\"")]
#[case::tag("rule", json!({"name": "mono-foward"}), "$.rule.name: unknown variant \"mono-foward\"; did you mean \"mono-forward\"? valid: \"backprop\", \"mono-forward\", \"dfa\"")]
#[case::no_tag("rule", json!({"width": 3}), "$.rule: missing key \"name\" (one of \"backprop\", \"mono-forward\", \"dfa\")")]
#[case::tag_of_other_type("rule", json!({"name": 1}), "$.rule.name: 1 is a number; needed: one of \"backprop\", \"mono-forward\", \"dfa\"")]
#[case::tagged_not_object("rule", json!("dfa"), "$.rule: \"dfa\" is a string; needed: an object with \"name\": one of \"backprop\", \"mono-forward\", \"dfa\" (write {\"name\": \"dfa\"})")]
#[case::key_of_another_branch("rule", json!({"name": "backprop", "width": 3}), "$.rule.width: unknown key; valid: \"name\"")]
#[case::missing_in_branch("rule", json!({"name": "dfa"}), "$.rule: missing key \"beta\" (number)")]
#[case::half_open("rule", json!({"name": "mono-forward", "decay": 1}), "$.rule.decay: 1 is too large; needed: a number >= 0 and < 1")]
#[case::optional_union("optimizer", json!({"name": "adamw", "lr": 1}), "$.optimizer.name: unknown variant \"adamw\"; did you mean \"adam\"? valid: \"sgd\", \"adam\"")]
#[case::lr("optimizer", json!({"name": "sgd", "lr": "fast"}), "$.optimizer.lr: \"fast\" is a string; needed: a number > 0")]
#[case::optional_union_type("optimizer", json!(1), "$.optimizer: 1 is a number; needed: an object with \"name\": one of \"sgd\", \"adam\" or null")]
#[case::map_value("labels", json!({"a": 1, "b": 256}), "$.labels.b: 256 is too large; needed: an integer >= 0 and <= 255")]
#[case::long_value("training/epochs", json!("x".repeat(99)), &format!("$.training.epochs: \"{}... is a string; needed: an integer >= 1", "x".repeat(59)))]
fn one_mistake_one_message(#[case] place: &str, #[case] value: Value, #[case] expected: &str) {
    assert_eq!(messages(place, value), [expected]);
}

#[rstest]
#[case("training", json!({"epochs": 1, "batch": 0, "seed": null, "clip": null, "shuffle": false}))]
#[case("training", json!({"seed": u64::MAX, "clip": 1e-300}))]
#[case("network", json!({"widths": [1, 2], "name": "é", "activation": "silu", "scale": "depth", "range": [0, 1.5]}))]
#[case("network", json!({"widths": [1], "scale": 0.5, "tags": ["a", "b"], "layers": [{"id": "a", "size": -1}]}))]
#[case("rule", json!({"decay": 0, "name": "mono-forward"}))]
#[case("optimizer", json!(null))]
#[case("optimizer", json!({"name": "adam", "lr": 1}))]
#[case("labels", json!({"anything goes": 255}))]
#[case("notes", json!([1, {"free": "form"}]))]
#[case("$schema", json!("./schema.json"))]
fn valid_documents_pass(#[case] place: &str, #[case] value: Value) {
    assert_eq!(messages(place, value), Vec::<String>::new());
}

#[test]
fn all_mistakes_at_once_in_document_order() {
    let document = json!({
        "optimizer": {"lr": 0, "nesterov": true, "name": "sgd"},
        "trainin": {},
        "network": {"layers": [{"size": 0.5}], "widths": [1, "2", 0]},
        "rule": {"name": "dfa", "beta": "b", "decay": 1},
    });
    let found: Vec<_> = check(&hand_written(), &document).iter().map(ToString::to_string).collect();
    let expected = [
        "$.optimizer.lr: 0 is too small; needed: a number > 0",
        "$.optimizer.nesterov: unknown key; valid: \"name\", \"lr\", \"momentum\"",
        "$.trainin: unknown key; did you mean \"training\"? valid: \"$schema\", \"network\", \"rule\", \"training\", \
         \"optimizer\", \"labels\", \"notes\"",
        "$.network.layers[0]: missing key \"id\" (string)",
        "$.network.layers[0].size: 0.5 is not an integer; needed: an integer",
        "$.network.widths[1]: \"2\" is a string; needed: an integer >= 1 (write 2 without quotes)",
        "$.network.widths[2]: 0 is too small; needed: an integer >= 1",
        "$.rule.beta: \"b\" is a string; needed: a number",
        "$.rule.decay: unknown key; valid: \"name\", \"beta\"",
    ];
    assert_eq!(found, expected);
}

#[test]
fn suggestion_prefers_a_key_that_is_still_free() {
    let schema = json!({"type": "object", "properties": {"beta1": {}, "beta2": {}}, "additionalProperties": false});
    let errors = check(&schema, &json!({"beta1": 1, "beta": 2}));
    assert_eq!(errors[0].message, "unknown key; did you mean \"beta2\"? valid: \"beta1\", \"beta2\"");
}

#[test]
fn fewest_mistakes_decide_between_branches_of_one_type() {
    let schema = json!({"anyOf": [
        {"type": "object", "properties": {"kernel": {"type": "integer"}, "stride": {"type": "integer"}}, "required": ["kernel"], "additionalProperties": false},
        {"type": "object", "properties": {"width": {"type": "integer"}}, "required": ["width"], "additionalProperties": false},
    ]});
    let errors = check(&schema, &json!({"kernel": 3, "stride": "2x"}));
    let found: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["$.stride: \"2x\" is a string; needed: an integer"]);
    assert!(check(&schema, &json!({"width": 3})).is_empty());
}

#[test]
fn keys_beside_a_union_belong_to_its_object() {
    // What schemars generates for `#[serde(flatten)]` of a tagged enum.
    let schema = json!({
        "type": "object", "properties": {"seed": {"type": "integer"}}, "unevaluatedProperties": false,
        "oneOf": [{"type": "object", "properties": {"name": {"const": "a"}, "x": {"type": "number"}}, "required": ["name"]}],
    });
    assert!(check(&schema, &json!({"name": "a", "x": 1, "seed": 2})).is_empty());
    let errors = check(&schema, &json!({"name": "b", "seed": "s", "y": 1}));
    let found: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let expected = ["$.name: unknown variant \"b\"; valid: \"a\"", "$.seed: \"s\" is a string; needed: an integer"];
    assert_eq!(found, expected);
}

#[rstest]
#[case::refers_to_itself(json!({"$ref": "#"}))]
#[case::union_of_itself(json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}))]
#[case::union_beside_itself(json!({"type": ["object", "array"], "anyOf": [{"$ref": "#"}, {"$ref": "#", "title": "b"}]}))]
#[case::dangling(json!({"$ref": "#/$defs/Nowhere"}))]
#[case::all_of_itself(json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}], "items": {"$ref": "#"}}))]
#[case::tree(json!({"anyOf": [{"type": "array", "items": {"$ref": "#"}}, {"type": "array", "items": {"$ref": "#"}}, {"type": "integer"}]}))]
fn schemas_that_contain_themselves_end(#[case] schema: Value) {
    check(&schema, &json!([[[[[[{"a": "b"}]]]]]]));
    schema_type_name(&schema, &schema);
    describe_fields(&schema, &schema);
}

#[rstest]
#[case("/properties/network", "object")]
#[case("/properties/rule", "object with \"name\": one of \"backprop\", \"mono-forward\", \"dfa\"")]
#[case("/properties/optimizer", "object with \"name\": one of \"sgd\", \"adam\" or null")]
#[case("/properties/training/properties/seed", "integer >= 0 or null")]
#[case("/properties/training/properties/clip", "number > 0 or null")]
#[case("/properties/training/properties/shuffle", "true or false")]
#[case("/properties/notes", "any value")]
#[case("/$defs/Network/properties/name", "string that is not empty")]
#[case("/$defs/Network/properties/range", "array [number, number]")]
#[case("/$defs/Network/properties/scale", "one of \"width\", \"depth\" or number >= 0 and <= 1")]
#[case("/$defs/Network/properties/activation", "one of \"relu\", \"tanh\", \"silu\"")]
fn type_names(#[case] pointer: &str, #[case] expected: &str) {
    let schema = hand_written();
    assert_eq!(schema_type_name(schema.pointer(pointer).unwrap(), &schema), expected);
}

#[test]
fn fields_as_a_table() {
    let schema = hand_written();
    let rows = describe_fields(&schema, &schema);
    let table: Vec<String> = rows
        .iter()
        .map(|row| {
            let default = row.default.as_deref().unwrap_or(if row.required { "required" } else { "-" });
            format!("{} | {} | {default} | {} | {}", row.path, row.kind, row.range, row.description)
        })
        .collect();
    let expected = [
        "$schema | string | - |  | ",
        "network.widths | array of integer | required | >= 1 | Units per layer.",
        "network.name | string that is not empty | - |  | ",
        "network.activation | one of \"relu\", \"tanh\", \"silu\" | - |  | ",
        "network.scale | one of \"width\", \"depth\" or number | - | >= 0 and <= 1 | ",
        "network.range | array [number, number] | - |  | ",
        "network.tags | array of string | - |  | ",
        "network.layers | array of object | - |  | ",
        "network.layers[].id | string | required |  | ",
        "network.layers[].size | integer | required |  | ",
        "rule.name | one of \"backprop\", \"mono-forward\", \"dfa\" | \"mono-forward\" |  | How blocks learn.",
        "rule[name=backprop] | variant | - |  | Back-propagation.",
        "rule[name=mono-forward] | variant | - |  | A projection per block.",
        "rule[name=mono-forward].width | integer | 3 | >= 1 | ",
        "rule[name=mono-forward].decay | number | 0.5 | >= 0 and < 1 | ",
        "rule[name=dfa] | variant | - |  | Direct feedback alignment.",
        "rule[name=dfa].beta | number | required |  | ",
        "training.epochs | integer | 10 | >= 1 | Passes over the data.",
        "training.batch | integer | 64 | >= 0 | ",
        "training.seed | integer or null | null | >= 0 | ",
        "training.clip | number or null | null | > 0 | ",
        "training.shuffle | true or false | true |  | ",
        "optimizer | object with \"name\": one of \"sgd\", \"adam\" or null | null |  | ",
        "optimizer.name | one of \"sgd\", \"adam\" | required |  | ",
        "optimizer[name=sgd] | variant | - |  | ",
        "optimizer[name=sgd].lr | number | required | > 0 | ",
        "optimizer[name=sgd].momentum | number | - |  | ",
        "optimizer[name=adam] | variant | - |  | ",
        "optimizer[name=adam].lr | number | required | > 0 | ",
        "labels | object of integer | - |  | ",
        "notes | any value | - |  | ",
    ];
    assert_eq!(table, expected);
}
