//! `training.log`: metrics for other tools, which equal `metrics.jsonl`, also in resumed runs.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod program;

use std::fs;
use std::path::Path;

use program::{Place, config, merge, metrics, read_json};
use serde_json::{Value, json};

const EVENTS: [&str; 2] = ["train", "validation"];

fn logged(epochs: usize) -> Value {
    let mut config = config(json!({"name": "forward-forward", "preset": "ff-plus"}), program::normalised());
    merge(&mut config, json!({"training": {"epochs": epochs, "log": ["csv", "tensorboard"]}}));
    config
}

fn events(run: &Path, split: &str) -> Vec<u8> {
    fs::read(run.join(format!("tensorboard/{split}/events.out.tfevents.metrics"))).unwrap()
}

/// The rows of `metrics.csv` as objects like those in `metrics.jsonl`.
fn table(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let keys = lines.next().unwrap();
    let value = |key: &str, cell: &str| if key == "split" { json!(cell) } else { serde_json::from_str(cell).unwrap() };
    let row = |cells: Vec<&str>| {
        assert_eq!(cells.len(), keys.len());
        let filled = keys.iter().zip(cells).filter(|(key, cell)| !cell.is_empty() || **key == "block");
        filled
            .map(|(key, cell)| (key.to_string(), if cell.is_empty() { Value::Null } else { value(key, cell) }))
            .collect()
    };
    lines.map(row).collect()
}

/// Compares numbers by value: the table has 1 where JSON has 1.0.
fn floats(value: &Value) -> Vec<(String, Option<f64>, Option<String>)> {
    let fields = value.as_object().unwrap().iter();
    fields.map(|(key, value)| (key.clone(), value.as_f64(), value.as_str().map(str::to_owned))).collect()
}

#[test]
fn the_table_has_the_rows_of_metrics() {
    let place = Place::new();
    let run = place.train("run", &logged(2));
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.iter().any(|row| row["separation"].is_number()));
    let (rows, table): (Vec<_>, Vec<_>) = (rows.iter().map(floats).collect(), table(&run).iter().map(floats).collect());
    assert_eq!(table, rows);
    for split in EVENTS {
        let bytes = events(&run, split);
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(has("brain.Event:2") && has("accuracy/network") && has("goodness-positive/block-0"), "{split}");
    }
}

#[test]
fn a_resumed_run_has_the_same_files() {
    let place = Place::new();
    let whole = place.train("whole", &logged(4));
    let resumed = place.train("resumed", &logged(2));
    let before = EVENTS.map(|split| events(&resumed, split));
    // Remains that a killed run may leave.
    fs::write(resumed.join("metrics.csv"), "epoch,spl").unwrap();
    let mut longer = read_json(&resumed.join("config.json"));
    longer["training"]["epochs"] = json!(4);
    fs::write(resumed.join("config.json"), longer.to_string()).unwrap();
    place.run(&["train", "--resume", "resumed", "--quiet"]).done();
    assert_eq!(metrics(&resumed), metrics(&whole));
    let without_seconds = |run: &Path| -> Vec<Value> {
        let mut rows = table(run);
        rows.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().shift_remove("seconds")));
        rows
    };
    assert_eq!(without_seconds(&resumed), without_seconds(&whole));
    for (split, before) in EVENTS.iter().zip(before) {
        let after = events(&resumed, split);
        assert!(after.starts_with(&before), "{split}: what TensorBoard has read has changed");
        assert_eq!(after.len(), events(&whole, split).len());
    }
}

#[test]
fn files_may_be_asked_for_later_and_are_none_by_default() {
    let place = Place::new();
    let mut plain = logged(1);
    plain["training"]["log"] = json!([]);
    let run = place.train("run", &plain);
    assert!(!run.join("metrics.csv").exists() && !run.join("tensorboard").exists());
    let mut longer = read_json(&run.join("config.json"));
    merge(&mut longer, json!({"training": {"epochs": 2, "log": ["csv"]}}));
    fs::write(run.join("config.json"), longer.to_string()).unwrap();
    place.run(&["train", "--resume", "run", "--quiet"]).done();
    assert_eq!(table(&run).len(), metrics(&run).len());
    let mut wrong = plain;
    wrong["training"]["log"] = json!(["tsv"]);
    place.config("wrong.json", &wrong);
    assert!(place.run(&["check", "wrong.json"]).failed(2).contains("$.training.log[0]"));
}
