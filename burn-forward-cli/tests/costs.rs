//! `costs`: a separate process for every arm and value; the results in a table, a file and a page.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod program;

use std::fs;

use program::{Place, config, merge, read_json};
use serde_json::{Value, json};

const ARMS: [&str; 4] = ["mono-forward", "backprop", "deep-supervision", "backprop-checkpointing"];

#[test]
fn costs_measures_every_arm_at_every_value() {
    let place = Place::new();
    place.config("mono.json", &config(json!({"name": "mono-forward"}), json!({})));
    let said = place.run(&["costs", "mono.json", "--vary", "network.widths=[32],[32,32]", "--steps", "2", "--json"]);
    let points: Vec<Value> = said.done().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let arms: Vec<&str> = points.iter().map(|point| point["arm"].as_str().unwrap()).collect();
    assert_eq!(arms, ARMS.map(|arm| [arm; 2]).concat());
    let folder = place.file("runs/costs-1");
    assert_eq!(fs::read_to_string(folder.join("costs.jsonl")).unwrap(), said.out);
    for point in &points {
        let (arm, measured) = (point["arm"].as_str().unwrap(), &point["measured"]);
        let blocks = point["value"].as_array().unwrap().len();
        assert_eq!(point["setting"], "network.widths");
        let local = ["mono-forward", "deep-supervision"].contains(&arm);
        assert_eq!(point["blocks"], if local { blocks } else { 1 }, "{arm}");
        // Dense layers of 64 to 32 and 32 to 32 units with biases; a head of 32 to 10, which has a bias under back-propagation.
        let dense = 64 * 32 + 32 + (blocks - 1) * (32 * 32 + 32);
        let heads = if local { blocks * 32 * 10 } else { 32 * 10 + 10 };
        let bytes = 4 * (dense + heads);
        assert_eq!(measured["weight_bytes"], bytes, "{arm} {blocks}");
        assert_eq!(measured["gradient_bytes"], bytes, "{arm} {blocks}");
        // Adam keeps two moments.
        assert_eq!(measured["optimizer_bytes"], 2 * bytes, "{arm} {blocks}");
        assert_eq!(measured["steps"], 2);
        assert!(measured["seconds_per_step"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(read_json(&folder.join("backprop-checkpointing.json"))["training"]["gradient-checkpointing"], true);
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    for text in ["along network.widths", "[32,32]", "backprop-checkpointing", "Seconds per step"] {
        assert!(page.contains(text), "the page lacks {text}");
    }
}

#[test]
fn optimiser_state_and_numbers_on_a_terminal() {
    let place = Place::new();
    let plain = json!({"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.0}});
    let mut mono = config(json!({"name": "mono-forward"}), json!({}));
    mono["optimizer"] = json!({});
    merge(&mut mono, plain);
    place.config("mono.json", &mono);
    let vary = "training.batch-size=16,32";
    let said = place.run(&["costs", "mono.json", "--vary", vary, "--steps", "1", "--out", "costs"]);
    let lines: Vec<&str> = said.done().lines().collect();
    assert!(lines[0].starts_with("arm ") && lines[0].contains("training.batch-size"), "{}", said.out);
    assert_eq!(lines.len(), 2 + 2 * ARMS.len() + 2, "{}", said.out);
    assert!(said.out.ends_with("\nreport costs/report.html\n"), "{}", said.out);
    let first = fs::read_to_string(place.file("costs/costs.jsonl")).unwrap();
    let first: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert_eq!((&first["value"], &first["measured"]["optimizer_bytes"]), (&json!(16), &json!(0)));
}

#[test]
fn a_value_that_cannot_be_is_said_before_anything_is_measured() {
    let place = Place::new();
    place.config("mono.json", &config(json!({"name": "mono-forward"}), json!({})));
    let said = place.run(&["costs", "mono.json", "--vary", "training.batch-size=16,none"]);
    assert!(said.failed(2).contains("$.training.batch-size"), "{}", said.err);
    assert!(
        place.run(&["costs", "mono.json", "--vary", "training.batch-size"]).failed(2).contains("needed: key=value")
    );
    assert!(!place.file("runs").exists());
}
