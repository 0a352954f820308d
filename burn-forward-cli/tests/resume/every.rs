//! A run without its last checkpoint resumes to the same result, for every compatible combination of rule, network and
//! schedule.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::program::{Place, idx, metrics};
use super::{copy, rewind, same};

/// The smallest possible networks, with few blocks, and with dropout and batch normalisation if the network supports them.
fn networks(name: &str) -> Value {
    let own = match name {
        "conv-stack" => json!({"channels": [2, 2], "activation": "tanh", "dropout": 0.2}),
        "vgg" => json!({"variant": "8b", "width": 0.02, "dropout": 0.2, "partition": {"blocks": 2}}),
        "resnet" => json!({"depth": 18, "width": 0.05, "partition": {"blocks": 2}}),
        "cifar-resnet" => json!({"depth": 8, "width": 0.15, "partition": {"blocks": 2}}),
        "mobilenet-v2" => json!({"width": 0.05, "strides": "imagenet", "partition": {"blocks": 2}}),
        "mobilenet-v3" => json!({"size": "small", "width": 0.05, "strides": "imagenet", "partition": {"blocks": 2}}),
        _ => json!({"widths": [8, 8], "activation": "tanh", "dropout": 0.2}),
    };
    let mut network = json!({"name": name, "normalisation": "rms"});
    super::program::merge(&mut network, own);
    network
}

/// Settings of a rule: the defaults, and variants that make further schedules possible.
fn settings(rule: &str) -> Vec<Value> {
    match rule {
        "forward-forward" => vec![json!({}), json!({"preset": "pezeshki"})],
        "trifecta" => vec![json!({}), json!({"overlap": false})],
        "single-forward" => vec![json!({}), json!({"top-down": "to-input"})],
        _ => vec![json!({})],
    }
}

/// Images of 16 x 16 in two classes, each with its own pattern.
fn images(place: &Place) {
    fs::create_dir_all(place.file("set")).unwrap();
    for (part, n) in [("train", 50usize), ("t10k", 10)] {
        let labels: Vec<u8> = (0..n).map(|i| (i % 2) as u8).collect();
        let pixel = |image: usize, at: usize| (image % 2 * 120 + (image * 7919 + at * at * 31) % 97) as u8;
        let pixels: Vec<u8> = (0..n * 256).map(|i| pixel(i / 256, i % 256)).collect();
        fs::write(place.file(&format!("set/{part}-images-idx3-ubyte")), idx(&[n, 16, 16], &pixels)).unwrap();
        fs::write(place.file(&format!("set/{part}-labels-idx1-ubyte")), idx(&[n], &labels)).unwrap();
    }
}

/// Tests the law for every rule and schedule on the networks that `which` accepts.
fn law(data: &Value, which: impl Fn(&str) -> bool) {
    let place = Place::new();
    images(&place);
    let rules = place.names("rule");
    let mut resumed = BTreeSet::new();
    for network in place.names("network").into_iter().filter(|name| which(name)) {
        for (rule, settings) in rules.iter().flat_map(|rule| settings(rule).into_iter().map(move |s| (rule, s))) {
            for schedule in
                [json!({"name": "simultaneous"}), json!({"name": "greedy"}), json!({"name": "greedy", "cache": false})]
            {
                let greedy = schedule["name"] == "greedy";
                let mut config = json!({
                    "data": data,
                    "network": networks(&network),
                    "rule": {"name": rule},
                    "schedule": schedule,
                    "training": {"epochs": 2, "batch-size": 16, "workers": 0},
                    "optimizer": {"name": "adam", "lr": 0.01},
                });
                super::program::merge(&mut config["rule"], settings.clone());
                // The rule must also be compatible with blocks in inference mode.
                config["training"]["gradient-checkpointing"] = json!(schedule["cache"] == false);
                let what = format!("{rule} {settings} on {network}, {schedule}");
                place.config("c.json", &config);
                let _ = fs::remove_dir_all(place.file("whole"));
                let _ = fs::remove_dir_all(place.file("again"));
                let said = place.run(&["train", "c.json", "--out", "whole", "--quiet"]);
                if said.code == Some(2) {
                    continue; // They are not compatible.
                }
                said.done();
                let [whole, again] = ["whole", "again"].map(|name| place.file(name));
                copy(&whole, &again);
                rewind(&again);
                place.run(&["train", "--resume", "again", "--quiet"]).done();
                assert_eq!(metrics(&again), metrics(&whole), "{what}");
                same(&again, &whole);
                resumed.insert(format!("network {network}"));
                resumed.insert(format!("greedy {greedy}"));
            }
        }
        assert!(resumed.contains(&format!("network {network}")), "nothing goes together with {network}");
    }
    assert!(resumed.contains("greedy true") && resumed.contains("greedy false"));
}

fn image_data() -> Value {
    json!({"name": "idx", "path": "set", "validation": 0.2})
}

fn graph_data() -> Value {
    json!({"name": "karate", "split": {"folds": 3, "validation": 0.2}})
}

const GRAPHS: [&str; 4] = ["gcn", "graph-sage", "gat", "gin"];

#[test]
fn dense_networks() {
    law(&image_data(), |network| network == "mlp");
}

#[test]
fn convolutional_networks() {
    law(&image_data(), |network| network != "mlp" && !GRAPHS.contains(&network));
}

#[test]
fn graph_networks() {
    law(&graph_data(), |network| GRAPHS.contains(&network));
}
