//! The cases on which the laws are tested.

use super::toy::{cases, recipes, seed};

#[test]
fn rules_of_both_crates_are_tried() {
    let found: Vec<String> = cases().iter().map(ToString::to_string).collect();
    for expected in [
        r#"backprop {} on conv-stack on flex"#,
        r#"dfa {} on cifar-resnet on flex"#,
        r#"predsim {"error":"sim"} on conv-stack on flex"#,
        r#"decoupled-greedy {"auxiliary":"mlp"} on cifar-resnet on flex"#,
        r#"scalable-forward-forward {"loss":"margin"} on cifar-resnet on flex"#,
        r#"scalable-forward-forward {"depth":2} on cifar-resnet on flex"#,
        r#"channel-wise {"between":"group-norm"} on conv-stack on flex"#,
    ] {
        assert!(found.iter().any(|f| f == expected), "no {expected} among {found:#?}");
    }
}

/// Rules that need a wrong class reject data with one class; every other rule trains on them.
#[test]
fn one_class_is_refused_where_a_wrong_one_is_needed() {
    for case in recipes() {
        let refused = case.model_for(1, seed()).is_err();
        assert_eq!(refused, ["forward-forward", "trifecta"].contains(&case.rule()), "{case}");
    }
}
