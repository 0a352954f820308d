//! `train --overfit` and `--limit-batches`: runs on part of the data, which are marked as such everywhere.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod program;

use std::fs;

use program::{Place, config, metrics, read_json, weights};
use serde_json::{Value, json};

fn mono() -> Value {
    config(json!({"name": "mono-forward"}), json!({"training": {"epochs": 4}}))
}

fn graph() -> Value {
    json!({
        "data": {"name": "karate"},
        "network": {"name": "gcn", "widths": [16]},
        "rule": {"name": "backprop"},
        "training": {"epochs": 4},
        "optimizer": {"name": "adam", "lr": 0.05},
    })
}

#[test]
fn a_network_learns_a_few_samples_by_heart() {
    let place = Place::new();
    let mut config = mono();
    config["training"]["epochs"] = json!(300);
    place.config("mono.json", &config);
    let said = place.run(&["train", "mono.json", "--overfit", "20"]);
    let words = "trained, validated and tested on the first 20 training samples";
    assert!(said.done().starts_with(&format!("quick look, no result: {words}\n")), "{}", said.out);
    assert!(said.err.contains(&format!("quick look: {words}")), "{}", said.err);
    // Its name differs from that of a run with all data.
    let folder = place.file("runs/mono-quick-look-1");
    let (info, summary) = (read_json(&folder.join("run.json")), read_json(&folder.join("summary.json")));
    for record in [&info, &summary] {
        assert_eq!(record["quick_look"], json!({"overfit": 20}));
    }
    assert_eq!((&summary["test_accuracy"], &summary["correct"]), (&json!(1.0), &json!(20)));
    assert_eq!(summary["validation_accuracy"], 1.0);
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains(&format!("A quick look, no result: {words}.")));
    // A new evaluation uses the same samples.
    let again = place.run(&["eval", "runs/mono-quick-look-1", "--json"]);
    assert_eq!((&again.json()["samples"], &again.json()["test_accuracy"]), (&json!(20), &json!(1.0)));
    assert!(again.err.contains("the run is a quick look"), "{}", again.err);
}

#[test]
fn a_run_on_all_data_says_nothing_of_it() {
    let place = Place::new();
    let run = place.train("whole", &mono());
    assert!(read_json(&run.join("run.json")).get("quick_look").is_none());
    assert!(read_json(&run.join("summary.json")).get("quick_look").is_none());
    assert!(!fs::read_to_string(run.join("report.html")).unwrap().contains("quick look"));
}

/// Images and graphs, both schedules, with and without the cache of finished blocks: a resumed run equals an uninterrupted one.
#[test]
fn a_resumed_quick_look_equals_one_that_was_not() {
    let greedy = |cache: bool| json!({"schedule": {"name": "greedy", "cache": cache}, "training": {"epochs": 2}});
    let cases = [
        ("images", mono(), json!({}), ["--overfit", "50"]),
        ("limited", mono(), json!({}), ["--limit-batches", "3"]),
        ("greedy", mono(), greedy(true), ["--limit-batches", "3"]),
        ("uncached", mono(), greedy(false), ["--limit-batches", "3"]),
        ("graph", graph(), json!({}), ["--overfit", "2"]),
        ("graph-limited", graph(), json!({"data": {"steps-per-epoch": 5}}), ["--limit-batches", "2"]),
    ];
    let place = Place::new();
    for (name, mut config, changes, look) in cases {
        program::merge(&mut config, changes);
        // In a greedy run, only the first block can get more epochs.
        if config["schedule"]["name"] == "greedy" {
            config["network"]["widths"] = json!([48]);
        }
        place.config("config.json", &config);
        let train = |out: &str, epochs: &str| {
            let arguments = ["train", "config.json", "--out", out, "--quiet", "--set", epochs];
            place.run(&[&arguments[..], &look].concat()).done();
            place.file(out)
        };
        let whole = train(name, "training.epochs=4");
        let resumed = train(&format!("{name}-resumed"), "training.epochs=2");
        let mut longer = read_json(&resumed.join("config.json"));
        longer["training"]["epochs"] = json!(4);
        fs::write(resumed.join("config.json"), longer.to_string()).unwrap();
        place.run(&["train", "--resume", &format!("{name}-resumed"), "--quiet"]).done();
        assert_eq!(metrics(&resumed), metrics(&whole), "{name}");
        assert!(weights(&resumed) == weights(&whole), "{name}: the weights differ");
        let look = |run: &std::path::Path| read_json(&run.join("run.json"))["quick_look"].clone();
        assert_eq!(look(&resumed), look(&whole));
        assert!(look(&whole).is_object(), "{name}");
    }
}

/// The cache of finished blocks uses the batches that the loader would give.
#[test]
fn a_limited_greedy_run_learns_the_same_with_and_without_its_cache() {
    let place = Place::new();
    let run = |cache: bool| {
        let mut config = mono();
        program::merge(&mut config, json!({"schedule": {"name": "greedy", "cache": cache}}));
        let name = format!("cache-{cache}");
        place.config("config.json", &config);
        place.run(&["train", "config.json", "--limit-batches", "2", "--out", &name, "--quiet"]).done();
        metrics(&place.file(&name))
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_run_keeps_its_part_of_the_data() {
    let place = Place::new();
    place.config("mono.json", &mono());
    place.run(&["train", "mono.json", "--limit-batches", "1", "--out", "part", "--quiet"]).done();
    let refused = place.run(&["train", "--resume", "part", "--overfit", "3"]);
    assert!(refused.failed(2).contains("cannot be used with"), "{}", refused.err);
    // Without its mark, it would be taken for a run with all data.
    let mut info = read_json(&place.file("part/run.json"));
    info.as_object_mut().unwrap().shift_remove("quick_look");
    info["status"] = json!("interrupted");
    fs::write(place.file("part/run.json"), info.to_string()).unwrap();
    let refused = place.run(&["train", "--resume", "part"]);
    let words = "quick look: 1 batch of every epoch and of every evaluation; found";
    assert!(refused.failed(2).contains(words), "{}", refused.err);
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    let place = Place::new();
    place.config("mono.json", &mono());
    for (option, value) in [("--overfit", "0"), ("--limit-batches", "0"), ("--overfit", "few")] {
        let said = place.run(&["train", "mono.json", option, value]);
        assert!(said.failed(2).contains("at least 1"), "{}", said.err);
    }
    let drop = ["--overfit", "10", "--set", "training.last-batch=drop"];
    let said = place.run(&[&["train", "mono.json"][..], &drop].concat());
    assert!(said.failed(2).contains("\"drop\" leaves no batch of 10 training samples"), "{}", said.err);
    assert!(!place.file("runs").exists());
}

#[test]
fn a_comparison_takes_no_quick_look_for_a_result() {
    let place = Place::new();
    let mut config = mono();
    config["training"]["epochs"] = json!(1);
    place.config("mono.json", &config);
    place.run(&["compare", "mono.json", "--seeds", "1", "--out", "c"]).done();
    fs::remove_dir_all(place.file("c/mono-forward-seed0")).unwrap();
    let arm = ["train", "c/mono-forward-seed0.json", "--overfit", "9", "--out", "c/mono-forward-seed0", "--quiet"];
    place.run(&arm).done();
    let said = place.run(&["compare", "mono.json", "--seeds", "1", "--out", "c"]);
    assert!(said.failed(2).contains("contains a quick look, no result: trained, validated"), "{}", said.err);
    // In a common report, they are not averaged with other runs.
    place.run(&["report", "c/mono-forward-seed0", "c/backprop-seed0", "--out", "page.html"]).done();
    let page = fs::read_to_string(place.file("page.html")).unwrap();
    assert!(page.contains("Quick looks at part of the data, no results: mono-forward."));
}
