//! `sweep`: every combination of values of some settings, in one table and on one page.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod program;

use std::fs;

use program::{Place, config, read_json};
use serde_json::{Value, json};

fn place() -> Place {
    let place = Place::new();
    place.config("mono.json", &config(json!({"name": "mono-forward"}), json!({"training": {"epochs": 1}})));
    place
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const GRID: [&str; 8] =
    ["sweep", "mono.json", "--vary", "optimizer.lr=0.001,0.01", "--vary", "network.widths=[8],[8,8]", "--out", "s"];

#[test]
fn every_combination_is_trained_with_every_seed() {
    let place = place();
    let said = place.run(&[&GRID[..], &["--seeds", "2", "--json"]].concat());
    let runs = lines(said.done());
    let told = |run: &Value| (run["settings"].clone(), run["seed"].as_u64().unwrap());
    let expected: Vec<(Value, u64)> = [0.001, 0.01]
        .into_iter()
        .flat_map(|lr| [json!([8]), json!([8, 8])].map(|widths| (lr, widths)))
        .flat_map(|(lr, widths)| [0, 1].map(|seed| (json!({"optimizer.lr": lr, "network.widths": widths}), seed)))
        .collect();
    assert_eq!(runs.iter().map(told).collect::<Vec<_>>(), expected);
    for run in &runs {
        let folder = place.file(&format!("s/{}-seed{}", run["arm"].as_str().unwrap(), run["seed"]));
        let config = read_json(&folder.join("config.json"));
        assert_eq!(config["optimizer"]["lr"], run["settings"]["optimizer.lr"]);
        assert_eq!(config["network"]["widths"], run["settings"]["network.widths"]);
        // The result that `train` would give.
        assert_eq!(read_json(&folder.join("summary.json"))["test_accuracy"], run["test_accuracy"]);
    }
    let page = fs::read_to_string(place.file("s/report.html")).unwrap();
    assert!(page.contains("Comparison of 8 runs"));
}

#[test]
fn the_table_has_a_column_for_every_setting_and_a_second_call_trains_what_is_missing() {
    let place = place();
    place.run(&GRID).done();
    let weights = |arm: &str| fs::read(place.file(&format!("s/{arm}-seed0/model.safetensors"))).unwrap();
    let before = weights("lr=0.01_widths=8-8");
    let modified =
        |arm: &str| fs::metadata(place.file(&format!("s/{arm}-seed0/model.safetensors"))).unwrap().modified().unwrap();
    let stays = modified("lr=0.001_widths=8");
    fs::remove_dir_all(place.file("s/lr=0.01_widths=8-8-seed0")).unwrap();
    let said = place.run(&GRID);
    let rows: Vec<&str> = said.done().lines().collect();
    assert!(rows[0].starts_with("optimizer.lr  network.widths  test accuracy"), "{}", said.out);
    assert!(rows[2].starts_with("0.001") && rows[2].contains(" [8] "), "{}", said.out);
    assert!(rows[5].starts_with("0.01") && rows[5].contains(" [8,8] "), "{}", said.out);
    assert!(said.out.contains("\nbest by validation accuracy: lr="), "{}", said.out);
    assert!(said.out.ends_with("\nreport s/report.html\n"), "{}", said.out);
    assert!(weights("lr=0.01_widths=8-8") == before);
    assert_eq!(modified("lr=0.001_widths=8"), stays);
}

#[test]
fn mistakes_are_found_before_the_first_run() {
    let place = place();
    for (vary, what) in [
        (&["optimizer.lr=0.1,none"][..], "$.optimizer.lr"),
        (&["optimizer.lr"], "needed: key=value,value"),
        (&["optimizer.lr=0.1", "optimizer.lr=0.2"], "given twice"),
        (&["network.partition=layer,17"], "$.network.partition"),
    ] {
        let mut arguments = vec!["sweep", "mono.json"];
        vary.iter().for_each(|vary| arguments.extend(["--vary", vary]));
        let said = place.run(&arguments);
        assert!(said.failed(2).contains(what), "{}", said.err);
    }
    let many: Vec<String> = (1..40).map(|n| n.to_string()).collect();
    let [first, second] =
        ["training.batch-size", "training.eval-batch-size"].map(|key| format!("{key}={}", many.join(",")));
    let said = place.run(&["sweep", "mono.json", "--vary", &first, "--vary", &second]);
    assert!(said.failed(2).contains("the number of combinations is 1521; needed: at most 1000"), "{}", said.err);
    assert!(!place.file("runs").exists());
}

/// If one run diverges, the others keep their rows, and it is not the best.
#[test]
fn a_combination_that_fails_is_a_row_that_says_so() {
    let place = Place::new();
    // A weight decay of 1 with a rate of 3 multiplies every weight by -2 in every step.
    let mut config = config(json!({"name": "mono-forward"}), json!({"training": {"epochs": 9}}));
    config["optimizer"] = json!({"name": "sgd", "lr": 0.01, "weight-decay": 1.0});
    place.config("mono.json", &config);
    let said = place.run(&["sweep", "mono.json", "--vary", "optimizer.lr=0.01,3", "--out", "s"]);
    assert!(said.failed(1).contains("1 of 2 runs failed"), "{}", said.err);
    let failed = said.out.lines().find(|line| line.contains("failed")).unwrap();
    assert!(failed.contains("0 of 1"), "{}", said.out);
    assert!(said.out.contains("best by validation accuracy: lr=0.01"), "{}", said.out);
}

/// Only the command gets the signal, not the process of the run.
#[cfg(unix)]
#[test]
fn a_signal_ends_the_command_in_order_and_the_message_says_how_to_continue() {
    let place = place();
    let sweep = ["sweep", "mono.json", "--vary", "training.epochs=100000,100001", "--out", "s"];
    let child = place.start(&sweep);
    let run = place.file("s/epochs=100000-seed0");
    let begun = std::time::Instant::now();
    while program::saved_models(&run).is_empty() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "no model was saved");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let arguments = ["-INT".to_string(), child.id().to_string()];
    assert!(std::process::Command::new("kill").args(arguments).status().unwrap().success());
    let said = Place::end(child);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.contains("seed 0 was stopped; repeat the command with --out s to continue"), "{}", said.err);
    assert_eq!(read_json(&run.join("run.json"))["status"], "interrupted");
    assert!(!place.file("s/epochs=100001-seed0").exists(), "another run was started");
}
