//! What learning on graphs has to be compared with.

use serde_json::{Value, json};

/// Both baselines of back-propagation through the same layers, the last of which gives the class scores as in the published
/// tables: with the features scaled as there (rows sum to 1, nothing normalised between layers), and with the row
/// normalisation (L2, before every layer) that forward learning gets. The first is under-trained at shallow depth, and a
/// comparison with it alone flatters forward learning.
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
