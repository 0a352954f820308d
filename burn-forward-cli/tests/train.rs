//! `train`: a config in, a run folder out.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod program;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use program::{Place, config, metrics, normalised, read_json, saved_models, shipped, weights};
use serde_json::{Value, json};

fn mono(changes: Value) -> Value {
    config(json!({"name": "mono-forward"}), changes)
}

#[test]
fn a_run_leaves_its_folder() {
    let place = Place::new();
    place.config("my.json", &mono(json!({"training": {"epochs": 3}})));
    let said = place.run(&["train", "my.json", "--seed", "5", "--set", "optimizer.lr=0.003"]);
    let out = said.done();
    assert!(out.starts_with("test accuracy        "), "{out}");
    assert!(out.ends_with("report               runs/my-1/report.html\n"), "{out}");
    // Without a terminal: one line per epoch, no escape codes.
    assert_eq!(said.err.lines().filter(|l| l.starts_with("epoch ")).count(), 3, "{}", said.err);
    assert!(!said.err.contains('\u{1b}'), "{}", said.err);
    assert!(said.err.starts_with("runs/my-1: mono-forward on mlp, 1293 training, 145 validation, 359 test images"));

    let run = place.file("runs/my-1");
    let mut names: Vec<String> =
        fs::read_dir(&run).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let expected = [
        ".lock",
        "checkpoint",
        "config.json",
        "evaluation.json",
        "metrics.jsonl",
        "model.json",
        "model.safetensors",
        "report.html",
        "run.json",
        "summary.json",
    ];
    assert_eq!(names, expected);
    assert_eq!(saved_models(&run), [2, 3], "the last two epochs are kept");

    let summary = read_json(&run.join("summary.json"));
    let number = |key: &str| summary[key].as_f64().unwrap_or_else(|| panic!("{key}: {}", summary[key]));
    assert!((0.0..=1.0).contains(&number("test_accuracy")) && (0.0..=1.0).contains(&number("validation_accuracy")));
    assert_eq!((summary["test_accuracy"].as_f64().unwrap() * 359.0).round(), number("correct"));
    assert!(number("train_seconds") > 0.0 && number("seconds_per_epoch") > 0.0);
    assert!(number("peak_memory_bytes") > 1e6);
    // (64 + 1) 48 + (48 + 1) 48 and the readout of 48 x 10; the head of the first block is used for training only.
    assert_eq!((number("parameters"), number("head_parameters")), (5472.0 + 480.0, 480.0));
    assert_eq!((number("epochs"), number("seed")), (3.0, 5.0));
    assert_eq!(
        (&summary["rule"], &summary["network"], &summary["device"]),
        (&json!("mono-forward"), &json!("mlp"), &json!("flex"))
    );
    assert_eq!(
        (&summary["schedule"], &summary["data"], &summary["name"]),
        (&json!("simultaneous"), &json!("digits"), &json!("my"))
    );

    let resolved = read_json(&run.join("config.json"));
    assert_eq!((&resolved["seed"], &resolved["optimizer"]["lr"]), (&json!(5), &json!(0.003)));
    assert_eq!(resolved["optimizer"]["betas"], json!([0.9, 0.999]), "defaults are filled in, as they are documented");
    let info = read_json(&run.join("run.json"));
    assert_eq!((&info["status"], &info["device"], &info["seed"]), (&json!("finished"), &json!("flex"), &json!(5)));
    assert!(info["command"].as_str().unwrap().ends_with("train my.json --seed 5 --set optimizer.lr=0.003"));

    // One row per epoch, split and block, or for the network.
    let rows: Vec<Value> = metrics(&run).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let keys: BTreeSet<String> =
        rows.iter().map(|r| format!("{} {} {}", r["epoch"], r["split"].as_str().unwrap(), r["block"])).collect();
    let expected: BTreeSet<String> = (1..=3)
        .flat_map(|epoch| ["train", "validation"].map(move |split| (epoch, split)))
        .flat_map(|(epoch, split)| ["null", "0", "1"].map(move |block| format!("{epoch} {split} {block}")))
        .collect();
    assert_eq!((keys.len(), rows.len()), (18, 18));
    assert_eq!(keys, expected);
    for row in &rows {
        let accuracy = row["accuracy"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&accuracy) && row["loss"].as_f64().unwrap() > 0.0, "{row}");
    }

    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("mono-forward") && !report.contains("<script"));
}

#[test]
fn run_folders_count_up_and_are_not_overwritten() {
    let place = Place::new();
    place.config("a.json", &mono(json!({"training": {"epochs": 1}})));
    for n in 1..=3 {
        place.run(&["train", "a.json", "--quiet"]).done();
        assert!(place.file(&format!("runs/a-{n}/summary.json")).is_file());
    }
    let said = place.run(&["train", "a.json", "--quiet", "--out", "deep/er/run"]);
    assert_eq!((said.done(), said.err.as_str()), ("", ""), "quiet means quiet");
    let before = weights(&place.file("deep/er/run"));
    let said = place.run(&["train", "a.json", "--out", "deep/er/run", "--seed", "9"]);
    assert_eq!(
        said.failed(2),
        "run folder deep/er/run: it already contains a run; choose another `--out`, or continue with `--resume`"
    );
    assert!(weights(&place.file("deep/er/run")) == before);
    // The name of the config, if it has one, takes precedence over its file name.
    place.config("b.json", &mono(json!({"name": "other", "training": {"epochs": 1}})));
    place.run(&["train", "b.json", "--quiet"]).done();
    assert!(place.file("runs/other-1").is_dir());
    // Without it, the file name is used.
    place.run(&["train", "b.json", "--quiet", "--set", "name=null"]).done();
    assert!(place.file("runs/b-1").is_dir());
}

#[test]
fn a_dry_run_leaves_nothing() {
    let place = Place::new();
    place.config("a.json", &mono(json!({})));
    let said = place.run(&["train", "a.json", "--dry-run"]);
    let lines: Vec<&str> = said.done().lines().collect();
    assert!(lines[0].starts_with("block ") && lines[0].ends_with("activations"), "{}", said.out);
    assert!(lines[2].starts_with("0  dense 64->48 relu") && lines[3].starts_with("1  dense 48->48 relu"));
    assert!(said.out.contains("partition layer; 5,952 parameters for inference, 480 for training only\n"));
    let batches: Vec<&&str> = lines.iter().filter(|l| l.starts_with("batch ")).collect();
    assert_eq!(batches.len(), 2);
    // Ten classes and small initial weights: about log 10 = 2.303 for both blocks.
    for loss in batches[0].split(", ").map(|part| part.rsplit(' ').next().unwrap().parse::<f64>().unwrap()) {
        assert!((2.0..2.7).contains(&loss), "{}", batches[0]);
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "only the config is there");
}

#[test]
fn a_greedy_run_trains_one_block_after_the_other() {
    let place = Place::new();
    let value = mono(
        json!({"schedule": {"name": "greedy"}, "training": {"epochs": 3}, "data": {"pixel-normalisation": "standardise"}}),
    );
    let run = place.train("greedy", &value);
    let rows: Vec<Value> = metrics(&run).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let learned: Vec<(u64, u64)> = rows
        .iter()
        .filter(|r| r["split"] == "train" && !r["block"].is_null())
        .map(|r| (r["epoch"].as_u64().unwrap(), r["block"].as_u64().unwrap()))
        .collect();
    assert_eq!(learned, [(1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (6, 1)]);
    assert!(rows.iter().all(|r| r["phase"] == json!(u8::from(r["epoch"].as_u64().unwrap() > 3))));
    let summary = read_json(&run.join("summary.json"));
    assert_eq!((&summary["schedule"], &summary["epochs"]), (&json!("greedy"), &json!(6)));
    assert!(summary["test_accuracy"].as_f64().unwrap() > 0.8, "{}", summary["test_accuracy"]);
}

#[test]
fn a_greedy_run_begins_with_every_shorter_one() {
    let place = Place::new();
    let of = |name: &str, widths: &[usize]| {
        let mut value = config(json!({"name": "forward-forward", "preset": "pezeshki"}), normalised());
        value["network"]["widths"] = json!(widths);
        value["schedule"] = json!({"name": "greedy", "patience": 2});
        value["training"] = json!({"epochs": 4, "batch-size": 32, "final-weights": "best"});
        place.train(name, &value)
    };
    let (long, short) = (of("long", &[48, 32, 24]), of("short", &[48, 32]));
    let (of_long, of_short) = (metrics(&long), metrics(&short));
    // Losses and accuracies of every block and epoch, to the last digit.
    assert!(of_short.len() < of_long.len() && of_long[..of_short.len()] == of_short);
    let prefixes = read_json(&long.join("summary.json"))["prefixes"].clone();
    let test = |run: &std::path::Path| read_json(&run.join("summary.json"))["test_accuracy"].clone();
    assert_eq!((&prefixes[1], &prefixes[2]), (&test(&short), &test(&long)));
    let tensor = |run: &std::path::Path, name: &str| {
        let file = weights(run);
        safetensors::SafeTensors::deserialize(&file).unwrap().tensor(name).unwrap().data().to_vec()
    };
    for name in ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"] {
        assert!(tensor(&long, name) == tensor(&short, name), "{name}");
    }
}

#[test]
fn graph_networks_leave_all_their_weights_and_a_picture() {
    let place = Place::new();
    let path = shipped("graphs/karate-gcn-single-forward").display().to_string();
    for (network, tensors) in [("gcn", 4), ("graph-sage", 6), ("gat", 8), ("gin", 8)] {
        let name = format!("network.name={network}");
        place.run(&["train", &path, "--out", network, "--quiet", "--set", &name, "--set", "training.epochs=2"]).done();
        let file = weights(&place.file(network));
        assert_eq!(safetensors::SafeTensors::deserialize(&file).unwrap().len(), tensors, "{network}");
        let graph = read_json(&place.file(network).join("graph.json"));
        let nodes = graph["nodes"].as_array().unwrap();
        assert_eq!((nodes.len(), graph["edges"].as_array().unwrap().len()), (34, 78));
        // The sides of the leaders are given; those of all others are predicted.
        for (member, node) in nodes.iter().enumerate() {
            let leader = member == 0 || member == 33;
            assert_eq!((&node["known"], node["predicted"].is_null()), (&json!(leader), leader), "{member}");
        }
        assert!(fs::read_to_string(place.file(network).join("report.html")).unwrap().contains("34 nodes and 78 edges"));
    }
}

#[test]
fn the_seed_decides_everything() {
    let place = Place::new();
    let rules = [
        (json!({"name": "mono-forward"}), json!({"network": {"dropout": 0.2}})),
        (json!({"name": "forward-forward"}), normalised()),
    ];
    for (i, (rule, changes)) in rules.into_iter().enumerate() {
        let value = config(rule, changes);
        let first = place.train(&format!("first-{i}"), &value);
        let second = place.train(&format!("second-{i}"), &value);
        assert!(weights(&first) == weights(&second));
        assert_eq!(metrics(&first), metrics(&second));
        let mut other = value;
        other["seed"] = json!(1);
        let third = place.train(&format!("third-{i}"), &other);
        assert!(weights(&first) != weights(&third));
    }
}

#[test]
fn the_resolved_config_is_there_before_the_first_step_and_gives_the_same_run() {
    let place = Place::new();
    place.config("a.json", &mono(json!({"training": {"epochs": 100_000}})));
    let mut child = place.start(&["train", "a.json", "--out", "run", "--set", "network.dropout=0.1"]);
    let begun = Instant::now();
    while !place.file("run/config.json").is_file() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no config was written");
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut resolved = read_json(&place.file("run/config.json"));
    child.kill().unwrap();
    Place::end(child);
    assert_eq!((&resolved["name"], &resolved["network"]["dropout"]), (&json!("a"), &json!(0.1)));

    resolved["training"]["epochs"] = json!(2);
    let again = place.train("again", &resolved);
    place
        .run(&[
            "train",
            "a.json",
            "--out",
            "typed",
            "--quiet",
            "--set",
            "network.dropout=0.1",
            "--set",
            "training.epochs=2",
        ])
        .done();
    assert!(weights(&again) == weights(&place.file("typed")));
    let twice = read_json(&again.join("config.json"));
    assert_eq!(twice, resolved, "a resolved config is its own resolved form");
}

#[test]
fn a_shipped_config_learns() {
    let place = Place::new();
    let path = shipped("mlp/digits-mono-forward").display().to_string();
    place.run(&["train", &path, "--out", "run", "--quiet", "--set", "training.epochs=5"]).done();
    let accuracy = read_json(&place.file("run/summary.json"))["test_accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.9, "{accuracy}");
}

/// A run that is interrupted before its first epoch ends keeps its steps, and says so.
#[cfg(unix)]
#[test]
fn ctrl_c_in_the_first_epoch() {
    let place = Place::new();
    let value = mono(json!({"network": {"widths": [2000, 2000]}, "training": {"batch-size": 1}}));
    place.config("a.json", &value);
    let child = place.start(&["train", "a.json", "--out", "run"]);
    let begun = Instant::now();
    while !place.file("run/checkpoint").is_dir() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let said = Place::end(child);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.contains("finishing the step ..."), "{}", said.err);
    let saved = said.err.lines().find_map(|line| line.strip_prefix("error: stopped by SIGINT; ")).unwrap_or_default();
    assert!(saved.contains(" of epoch 1 ") && saved.contains(" saved; resume with"), "{}", said.err);
}

/// `final-weights`, `patience` and greedy schedules look for the first of the best epochs. They find it only if equal
/// accuracies are equal numbers, regardless of how samples are divided into batches.
#[test]
fn accuracies_are_quotients_of_counts() {
    let place = Place::new();
    let forward = json!({"name": "forward-forward"});
    for (i, (rule, changes)) in [
        (json!({"name": "mono-forward"}), json!({})),
        (json!({"name": "mono-forward"}), json!({"schedule": {"name": "greedy"}})),
        (json!({"name": "backprop"}), json!({"training": {"eval-batch-size": 7}})),
        (forward, normalised()),
    ]
    .into_iter()
    .enumerate()
    {
        let run = place.train(&format!("run-{i}"), &config(rule, changes));
        let rows: Vec<Value> = metrics(&run).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let accuracies = rows.iter().filter_map(|row| Some((row, row["accuracy"].as_f64()?)));
        let mut found = BTreeSet::new();
        for (row, accuracy) in accuracies {
            let samples = if row["split"] == "train" { 1293.0 } else { 145.0 };
            assert_eq!(accuracy, (accuracy * samples).round() / samples, "{row}");
            found.insert(row["split"].to_string());
        }
        assert_eq!(found.len(), 2, "{found:?}");
        let last = rows.iter().rfind(|row| row["split"] == "validation" && row["block"].is_null()).unwrap();
        assert_eq!(last["accuracy"], read_json(&run.join("summary.json"))["validation_accuracy"]);
    }
}
