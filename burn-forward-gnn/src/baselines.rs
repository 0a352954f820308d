//! The baselines that learning on graphs has to be compared with.

use serde_json::{Value, json};

/// The two baselines of back-propagation through the same layers. The last layer gives the class scores, as in the published
/// tables. The first baseline scales features as in these tables (rows sum to 1, nothing is normalised between layers). The
/// second uses the row normalisation of forward learning (L2, before every layer). The first is under-trained with few layers,
/// so a comparison with it alone favours forward learning.
pub(crate) fn baselines(config: &Value) -> Vec<(&'static str, Value)> {
    let with = |scaling: &str, normalisation: &str| {
        let mut config = config.clone();
        config["rule"] = json!({"name": "backprop", "output": "network"});
        config["data"]["feature-scaling"] = json!(scaling);
        config["network"]["normalisation"] = json!(normalisation);
        config
    };
    vec![("backprop-sum", with("sum", "none")), ("backprop-l2", with("sum", "l2"))]
}
