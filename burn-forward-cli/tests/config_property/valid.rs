//! The configs that are changed.

use serde_json::{Value, json};

/// Valid configs of every rule, with most settings given explicitly, so that there are many settings to change.
pub(crate) fn valid() -> Vec<Value> {
    let mut all = dense();
    all.extend(convolutional());
    all.extend(graphs());
    all
}

fn convolutional() -> Vec<Value> {
    let rules = [
        json!({"name": "mono-forward", "readout": "sum", "bias": true}),
        json!({"name": "deep-supervision"}),
        json!({"name": "scalable-forward-forward", "kernel": 3}),
        json!({"name": "channel-wise", "loss": "cross-entropy"}),
        json!({"name": "decoupled-greedy"}),
        json!({"name": "aug-local"}),
        json!({"name": "info-pro"}),
        json!({"name": "predsim"}),
        json!({"name": "trifecta"}),
    ];
    let config = |rule: &Value| {
        json!({
            "name": "property", "seed": 3, "rule": rule,
            "network": {
                "name": "conv-stack", "channels": [10, 10], "pool": 2, "pool-kind": "average", "batch-norm": true,
                "partition": "layer",
            },
            "optimizer": {"name": "adam", "lr": 0.001, "betas": [0.9, 0.999], "epsilon": 1e-8, "weight-decay": 0.1},
            "schedule": {"name": "simultaneous"},
            "data": {"name": "digits", "validation": 0.1, "samples-per-class": 4, "pixel-normalisation": "unit", "augment": []},
            "training": {"epochs": 2, "batch-size": 16, "eval-batch-size": 20, "workers": 0, "label-smoothing": 0.0},
        })
    };
    rules.iter().map(config).collect()
}

fn graphs() -> Vec<Value> {
    let config = |rule: Value, network: Value| {
        json!({
            "name": "property", "seed": 3, "rule": rule, "network": network,
            "optimizer": {"name": "adam", "lr": 0.01, "betas": [0.9, 0.999]},
            "schedule": {"name": "simultaneous"}, "data": {"name": "karate", "binarise": false, "feature-scaling": "none"},
            "training": {"epochs": 2, "batch-size": 16},
        })
    };
    vec![
        config(json!({"name": "single-forward"}), json!({"name": "gcn", "widths": [8, 8], "normalisation": "l2"})),
        config(
            json!({"name": "graph-forward-forward"}),
            json!({"name": "gin", "widths": [8, 8], "normalisation": "l2"}),
        ),
        config(json!({"name": "backprop"}), json!({"name": "gat", "widths": [8, 8], "heads": 2})),
        config(json!({"name": "mono-forward"}), json!({"name": "graph-sage", "widths": [8, 8], "normalisation": "l2"})),
    ]
}

fn dense() -> Vec<Value> {
    let network = |more: Value| {
        let mut network = json!({
            "name": "mlp", "widths": [12, 9, 10], "activation": "relu", "dropout": 0.1, "normalisation": "rms",
            "init": "default", "partition": "layer",
        });
        network.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        network
    };
    let with = |rule: Value, network: Value, optimizer: Value, schedule: Value| {
        json!({
            "name": "property", "seed": 3, "rule": rule, "network": network, "optimizer": optimizer, "schedule": schedule,
            "data": {"name": "digits", "validation": 0.1, "samples-per-class": 4, "pixel-normalisation": "unit", "augment": []},
            "training": {"epochs": 2, "batch-size": 16, "eval-batch-size": 20, "workers": 0, "final-weights": "last"},
        })
    };
    let adam = json!({"name": "adam", "lr": 0.001, "betas": [0.9, 0.999], "epsilon": 1e-8, "weight-decay": 0.1});
    let sgd = json!({
        "name": "sgd", "lr": 0.1, "momentum": 0.9, "dampening": 0.1, "nesterov": false, "clip": {"norm": 1.0},
        "lr-schedule": {"name": "step", "fraction": 0.3, "gamma": 0.5}, "block-lr": [0.1, 0.2, 0.3], "decay-bias": false,
    });
    let simultaneous = json!({"name": "simultaneous"});
    let hinton = json!({
        "name": "forward-forward", "preset": "hinton", "goodness": "sum-squares", "loss-weight": 0.5, "first-block": 1,
        "loss": {"name": "logistic", "threshold": "width", "scale": 1.0}, "label-injection": {"name": "overlay", "strength": 1.0},
        "negatives": "hard", "peer": {"strength": 0.03, "momentum": 0.9}, "softmax-head": true, "readout": "energy",
    });
    vec![
        with(
            json!({"name": "mono-forward", "readout": "sum", "bias": true}),
            network(json!({"partition": {"every": 2}})),
            adam.clone(),
            json!({"name": "greedy", "patience": 2, "cache": true}),
        ),
        with(hinton, network(json!({"init": "unit-normal"})), sgd, simultaneous.clone()),
        with(
            json!({"name": "forward-forward", "preset": "ff-plus", "loss": {"name": "symba", "alpha": 2.0}}),
            network(json!({"normalisation": "layer-norm"})),
            json!({"name": "muon", "lr": 0.01, "lr-schedule": {"name": "cosine", "min": 0.1}}),
            simultaneous.clone(),
        ),
        with(
            json!({"name": "dfa", "bias": true, "sign": false}),
            network(json!({"activation": "tanh", "normalisation": "none"})),
            json!({"name": "rmsprop", "lr": 0.001, "lr-schedule": {"name": "linear", "end": 0.1}}),
            simultaneous.clone(),
        ),
        with(json!({"name": "drtp"}), network(json!({"activation": "tanh"})), adam, simultaneous.clone()),
        with(
            json!({"name": "backprop", "bias": true}),
            network(json!({})),
            json!({"name": "adafactor", "lr": 0.01}),
            simultaneous,
        ),
    ]
}
