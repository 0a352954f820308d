//! What the laws are tried on.

use super::toy::cases;

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
