//! The errors of deep supervision for heads that it cannot use.

use serde_json::{Value, json};

use super::toy::on_all_devices;

#[test]
fn a_rule_without_classifiers_has_no_heads_to_give() {
    let refused = |heads: Value| {
        let cases = on_all_devices("deep-supervision", &json!({"heads": heads}));
        cases[0].spec().err().unwrap().to_string()
    };
    let said = refused(json!({"name": "dfa"}));
    let expected = "$.rule.heads.name: \"dfa\" has no local classifiers; needed: one of";
    assert!(said.contains(expected) && said.contains("\"mono-forward\""), "{said}");
    assert!(!said.contains("\"deep-supervision\"") && !said.contains("\"backprop\""), "{said}");
    let said = refused(json!({"name": "mono-forward", "bais": true}));
    assert!(said.contains("$.rule.heads.bais") || said.contains("$.rule.heads"), "{said}");
    let cases = on_all_devices("deep-supervision", &json!({"heads": {"name": "mono-forward"}, "bias": true}));
    let said = cases[0].spec().err().unwrap().to_string();
    assert!(said.contains("$.rule.heads: has its own settings"), "{said}");
}
