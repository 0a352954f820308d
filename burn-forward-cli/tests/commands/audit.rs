//! `audit`.

use std::fs;

use super::mono;
use crate::program::{Place, config, idx, images, read_json};
use serde_json::{Value, json};

#[test]
fn audit() {
    let place = Place::new();
    place.config("bp.json", &config(json!({"name": "backprop"}), json!({})));
    let blocks = place.run(&["audit", "bp.json", "--json"]).json();
    assert_eq!(blocks["blocks"].as_array().unwrap().len(), 1);
    let number = |key: &str| blocks["blocks"][0][key].as_f64().unwrap();
    // The update of back-propagation is the gradient.
    assert!(number("angle_degrees") < 0.1 && (number("norm_ratio") - 1.0).abs() < 1e-4, "{blocks}");

    let run = place.train("run", &mono(json!({})));
    let initial = place.run(&["audit", "run.json", "--json"]).json();
    let trained = place.run(&["audit", "run.json", "--run", "run", "--json"]).json();
    assert_ne!(initial, trained);
    assert_eq!(read_json(&run.join("audit.json")), trained);
    for block in trained["blocks"].as_array().unwrap() {
        assert!((0.0..=180.0).contains(&block["angle_degrees"].as_f64().unwrap()), "{trained}");
    }
    let text = place.run(&["audit", "run.json"]);
    let said = text.done();
    assert!(said.starts_with("what crosses the block borders under 'mono-forward': nothing\n"), "{said}");
    assert!(said.contains("\nangle between the update of 'mono-forward' and the back-propagation gradient"), "{said}");
    assert_eq!(trained["reach"], "nothing");

    for (conserve, reach) in [(false, "two losses"), (true, "two losses per direction and three per step")] {
        let rule = json!({"name": "zeroth-order", "conserve": conserve});
        let sgd = json!({"optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.0}});
        place.config("losses.json", &config(rule, sgd));
        let text = place.run(&["audit", "losses.json"]);
        let said = text.done();
        let reach = format!("block borders under 'zeroth-order': {reach}, from a pass of the whole network\n");
        assert!(said.contains(&reach), "{said}");
    }
}

/// The update of back-propagation equals its gradient on every network, with any randomness in it. The same holds for the last
/// block under a rule whose blocks have classifiers.
#[test]
fn audit_sees_the_dropout_masks_of_the_step() {
    let place = Place::new();
    // Images of 16 x 16: the digits are too small for the pools of a VGG.
    fs::create_dir(place.file("large")).unwrap();
    for (part, n) in [("train", 40), ("t10k", 10)] {
        let labels: Vec<u8> = (0..n as u8).map(|i| i % 2).collect();
        let pixels = images(4 * n);
        fs::write(place.file(&format!("large/{part}-images-idx3-ubyte")), idx(&[n, 16, 16], &pixels)).unwrap();
        fs::write(place.file(&format!("large/{part}-labels-idx1-ubyte")), idx(&[n], &labels)).unwrap();
    }
    let image = |network: Value| json!({"data": {"name": "digits"}, "network": network});
    let graph = |network: &str| {
        let network = json!({"name": network, "widths": [8, 8], "normalisation": "l2", "dropout": 0.5});
        json!({"data": {"name": "karate"}, "network": network})
    };
    let networks = [
        image(json!({"name": "mlp", "widths": [32, 32], "dropout": 0.5})),
        image(json!({"name": "conv-stack", "channels": [8, 8], "dropout": 0.5})),
        json!({
            "data": {"name": "idx", "path": "large"},
            "network": {"name": "vgg", "variant": "8b", "width": 0.02, "dropout": 0.5},
        }),
        image(json!({"name": "cifar-resnet", "depth": 8, "width": 0.25})),
        image(json!({"name": "resnet", "depth": 18, "stem": "cifar", "width": 0.05})),
        image(json!({"name": "mobilenet-v2", "strides": "cifar", "width": 0.1, "dropout": 0.5})),
        image(json!({"name": "mobilenet-v3", "size": "small", "strides": "cifar", "width": 0.1, "dropout": 0.5})),
        graph("gcn"),
        graph("graph-sage"),
        graph("gat"),
        graph("gin"),
    ];
    let rules = [
        json!({"name": "backprop"}),
        json!({"name": "backprop", "output": "network"}),
        json!({"name": "mono-forward"}),
        json!({"name": "deep-supervision"}),
    ];
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (network, rule) in networks.iter().flat_map(|n| rules.iter().map(move |r| (n, r))) {
        let mut value = config(rule.clone(), json!({}));
        let parts = value.as_object_mut().unwrap();
        parts.extend(network.as_object().unwrap().clone());
        place.config("c.json", &value);
        let said = place.run(&["audit", "c.json", "--json"]);
        if rule["output"] == "network" && said.code == Some(2) {
            continue; // The architecture cannot give the scores itself.
        }
        let blocks = said.json();
        let last = blocks["blocks"].as_array().unwrap().last().unwrap();
        let number = |key: &str| last[key].as_f64().unwrap_or(f64::NAN);
        if !(number("angle_degrees") < 0.2 && (number("norm_ratio") - 1.0).abs() < 1e-3) {
            wrong.push(format!("{rule} on {network}: {last}"));
        }
        tried += 1;
    }
    assert!(tried >= 3 * networks.len() && wrong.is_empty(), "{tried} tried; {}", wrong.join("\n"));
}
