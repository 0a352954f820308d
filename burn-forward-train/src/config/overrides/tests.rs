//! Values that can be set, and the exact messages for those that cannot.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::config::schema::check;
use crate::config::schema::tests::{any_json, generated, hand_written};

fn document() -> Value {
    json!({"network": {"widths": [10, 20]}, "rule": {"name": "mono-forward", "width": 5}})
}

#[rstest]
#[case::number("training.epochs=3", "/training/epochs", json!(3))]
#[case::spaces_around("training.epochs= 3 ", "/training/epochs", json!(3))]
#[case::json_path("$.training.epochs=3", "/training/epochs", json!(3))]
#[case::index("network.widths[1]=300", "/network/widths", json!([10, 300]))]
#[case::dotted_index("network.widths.1=300", "/network/widths", json!([10, 300]))]
#[case::array("network.widths=[100,100]", "/network/widths", json!([100, 100]))]
#[case::plain_string("network.name=mlp", "/network/name", json!("mlp"))]
#[case::quoted_string("network.name=\"mlp\"", "/network/name", json!("mlp"))]
#[case::number_as_string("network.name=123", "/network/name", json!("123"))]
#[case::null_as_string("network.name=null", "/network/name", json!("null"))]
#[case::equals_sign_in_string("network.name=a=b", "/network/name", json!("a=b"))]
#[case::null("training.seed=null", "/training/seed", json!(null))]
#[case::variant("network.activation=tanh", "/network/activation", json!("tanh"))]
#[case::untagged_string("network.scale=width", "/network/scale", json!("width"))]
#[case::untagged_number("network.scale=0.5", "/network/scale", json!(0.5))]
#[case::in_the_current_variant("rule.decay=0.25", "/rule", json!({"name": "mono-forward", "width": 5, "decay": 0.25}))]
#[case::tag_keeps_the_rest("rule.name=dfa", "/rule", json!({"name": "dfa", "width": 5}))]
#[case::object_to_be_completed("rule={\"name\":\"dfa\"}", "/rule", json!({"name": "dfa"}))]
#[case::optional_object("optimizer.lr=0.1", "/optimizer", json!({"lr": 0.1}))]
#[case::key_of_one_variant("optimizer.momentum=0.9", "/optimizer", json!({"momentum": 0.9}))]
#[case::free_key("labels.cat=3", "/labels", json!({"cat": 3}))]
#[case::free_form("notes.a.b=[1]", "/notes", json!({"a": {"b": [1]}}))]
fn sets(#[case] assignment: &str, #[case] pointer: &str, #[case] expected: Value) {
    let mut changed = document();
    apply(&mut changed, &hand_written(), assignment).unwrap();
    assert_eq!(changed.pointer(pointer), Some(&expected));
}

#[test]
fn nothing_but_the_place_changes() {
    let mut changed = document();
    apply(&mut changed, &hand_written(), "training.epochs=3").unwrap();
    changed.as_object_mut().unwrap().shift_remove("training");
    assert_eq!(changed, document());
}

#[test]
fn default_of_the_place_is_the_start() {
    let mut changed = json!({});
    apply(&mut changed, &hand_written(), "rule.decay=0.25").unwrap();
    assert_eq!(changed, json!({"rule": {"name": "mono-forward", "width": 3, "decay": 0.25}}));
    let mut other = json!({});
    apply(&mut other, &hand_written(), "rule.name=backprop").unwrap();
    assert_eq!(other, json!({"rule": {"name": "backprop"}}));
}

#[rstest]
#[case::type_mismatch("training.epochs=fast", "$.training.epochs: \"fast\" is a string; needed: an integer >= 1")]
#[case::out_of_range("training.epochs=0", "$.training.epochs: 0 is too small; needed: an integer >= 1")]
#[case::exponent(
    "training.epochs=1e3",
    "$.training.epochs: 1000.0 is a decimal number; needed: an integer >= 1 (write 1000)"
)]
#[case::not_nullable("training.epochs=null", "$.training.epochs: null is not valid; needed: an integer >= 1")]
#[case::item("network.widths=[1,\"a\"]", "$.network.widths[1]: \"a\" is a string; needed: an integer >= 1")]
#[case::unknown_section(
    "trainin.epochs=1",
    "$.trainin: unknown key; did you mean \"training\"? valid: \"$schema\", \"network\", \"rule\", \"training\", \"optimizer\", \"labels\", \"notes\""
)]
#[case::unknown_key(
    "training.epoch=1",
    "$.training.epoch: unknown key; did you mean \"epochs\"? valid: \"epochs\", \"batch\", \"seed\", \"clip\", \"shuffle\""
)]
#[case::other_variant("rule.beta=1", "$.rule.beta: unknown key; valid: \"name\", \"width\", \"decay\"")]
#[case::unknown_variant(
    "rule.name=dfb",
    "$.rule.name: unknown variant \"dfb\"; did you mean \"dfa\"? valid: \"backprop\", \"mono-forward\", \"dfa\""
)]
#[case::no_variant_has_it("optimizer.beta=1", "$.optimizer.beta: unknown key; valid: \"name\", \"lr\", \"momentum\"")]
#[case::beyond_the_end("network.widths[2]=1", "$.network.widths: has no item 2; valid: 0 to 1")]
#[case::empty_array(
    "network.tags[0]=a",
    "$.network.tags: has no item 0; valid: none, since the array is empty; set the whole array instead"
)]
#[case::key_of_an_array(
    "network.widths.first=1",
    "$.network.widths: is an array and has no key \"first\"; valid here: array of integer >= 1"
)]
#[case::key_of_a_number("rule.width.x=1", "$.rule.width: is 5 and has no keys; valid here: integer >= 1")]
#[case::key_of_a_missing_number("training.epochs.x=1", "$.training.epochs: has no keys; valid here: integer >= 1")]
#[case::no_equals_sign("training.epochs", "$: needed: the form key=value, as in optimizer.lr=0.01")]
#[case::empty_part("training..epochs=1", "$: needed: the form key=value, as in optimizer.lr=0.01")]
#[case::bad_index("network.widths[x]=1", "$: needed: the form key=value, as in optimizer.lr=0.01")]
fn refuses(#[case] assignment: &str, #[case] expected: &str) {
    let mut unchanged = document();
    let error = apply(&mut unchanged, &hand_written(), assignment).unwrap_err();
    assert_eq!(error.to_string(), format!("{expected} (from --set {assignment})"));
    assert_eq!(unchanged, document());
}

#[test]
fn generated_schema_works_alike() {
    let mut changed = json!({"network": {"widths": [1]}});
    for assignment in ["rule.name=dfa", "rule.beta=0.5", "network.next.widths=[3]", "network.scale.start=1", "seed=3"] {
        apply(&mut changed, &generated(), assignment).unwrap();
    }
    let expected = json!({
        "network": {"widths": [1], "next": {"widths": [3]}, "scale": {"start": 1}},
        "rule": {"name": "dfa", "beta": 0.5},
        "seed": 3,
    });
    assert_eq!(changed, expected);
    assert_eq!(check(&generated(), &changed), vec![]);
}

proptest! {
    #[test]
    fn no_assignment_panics(text in ".*", key in r"[a-z.\[\]0-2$]{0,12}", value in any_json()) {
        let _ = apply(&mut document(), &hand_written(), &text);
        let _ = apply(&mut document(), &hand_written(), &format!("{key}={value}"));
    }

    #[test]
    fn no_schema_panics(schema in any_json(), mut document in any_json(), value in any_json()) {
        let _ = apply(&mut document, &schema, &format!("network.widths[0].name={value}"));
    }
}
