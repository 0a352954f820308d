//! Incompatible settings are rejected with the position of the mistake.

use burn_forward::activation::RowShape;
use burn_forward::rules::Context;
use serde_json::json;

use super::toy::{Case, all_cases, cases};

#[test]
fn forward_forward_is_refused_with_the_place() {
    let refused: Vec<(String, String)> =
        all_cases().iter().filter_map(|c| Some((c.rule.clone(), c.refusals().first()?.clone()))).collect();
    let expected = ["forward-forward", "drtp", "feedback-alignment", "pepita"];
    assert!(refused.iter().all(|(rule, _)| expected.contains(&rule.as_str())), "{refused:?}");
    let (_, message) = refused.iter().find(|(rule, _)| rule == "forward-forward").unwrap();
    assert!(message.starts_with("$.rule.name: ") && message.contains("graph-forward-forward"), "{message}");
    assert!(cases().len() >= 4 * 9, "{} cases", cases().len());
}

#[test]
fn graph_rules_refuse_images() {
    for rule in ["single-forward", "graph-forward-forward"] {
        let case = Case { rule: rule.into(), settings: json!({}), network: "gcn", widths: vec![8, 8], dropout: 0.0 };
        let network = case.network_spec();
        let input = Some(RowShape::Maps { channels: 1, height: 8, width: 8 });
        let context = Context {
            network_name: "gcn",
            network: network.as_ref(),
            blocks: None,
            input,
            classes: None,
            optimizer: None,
        };
        let errors = case.spec().check(&context);
        assert!(errors[0].to_string().contains("nodes of a graph") && errors[0].path == "$.rule.name");
    }
}
