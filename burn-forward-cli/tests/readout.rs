//! Readouts of chosen blocks: they are chosen on validation samples when training ends, stored with the run, and used by every
//! command.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod program;

use std::fs;

use program::{Place, config, idx_folder, merge, metrics, read_json, weights};
use serde_json::{Value, json};

/// Four narrow blocks, of which the last ones are less accurate.
fn sip(changes: Value) -> Value {
    let mut config = config(
        json!({"name": "mono-forward", "readout": "sip"}),
        json!({"network": {"widths": [12, 24, 24, 24]}, "training": {"epochs": 6}, "optimizer": {"lr": 0.005}}),
    );
    merge(&mut config, changes);
    config
}

#[test]
fn the_chosen_blocks_are_the_best_on_validation_and_stay_with_the_run() {
    let place = Place::new();
    let run = place.train("run", &sip(json!({})));
    let summary = read_json(&run.join("summary.json"));
    let chosen = read_json(&run.join("readout.json"));
    assert_eq!(summary["readout_blocks"], chosen);
    assert_eq!(read_json(&run.join("evaluation.json"))["readout_blocks"], chosen);
    let (first, last) = (chosen["first"].as_u64().unwrap(), chosen["last"].as_u64().unwrap());
    assert!(first <= last && last < 4, "{chosen}");

    // The candidates included every single block and all blocks together, and training has stored their accuracies.
    let best = summary["validation_accuracy"].as_f64().unwrap();
    let rows: Vec<Value> = metrics(&run).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let candidates: Vec<f64> = rows
        .iter()
        .filter(|row| row["epoch"] == 6 && row["split"] == "validation")
        .map(|row| row["accuracy"].as_f64().unwrap())
        .collect();
    assert_eq!(candidates.len(), 5);
    assert!(candidates.iter().all(|accuracy| *accuracy <= best + 1e-6), "{candidates:?}, chosen {best}");

    let words = if first == last { format!("block {first}") } else { format!("blocks {first} to {last}") };
    assert!(fs::read_to_string(run.join("report.html")).unwrap().contains(&format!("scores of {words}, chosen")));
    let said = place.run(&["eval", "run"]);
    let percent = format!("{:.2} %", 100.0 * summary["test_accuracy"].as_f64().unwrap());
    assert!(said.done().starts_with(&format!("test accuracy {percent} (")), "{}", said.out);
    assert!(said.out.contains(&format!("  readout sip         {percent}\n")), "{}", said.out);
    assert!(said.out.contains(&format!("readout from  {words} of 0 to 3\n")), "{}", said.out);
    // The memory is that of the current process.
    let evaluate = || {
        let mut evaluated = place.run(&["eval", "run", "--json"]).json();
        evaluated["peak_memory_bytes"].take();
        evaluated
    };
    let evaluated = evaluate();
    for key in ["test_accuracy", "correct", "readouts", "readout_blocks", "parameters"] {
        assert_eq!(evaluated[key], summary[key], "{key}");
    }
    // Without the file, the blocks are chosen again, with the same result.
    fs::remove_file(run.join("readout.json")).unwrap();
    assert_eq!(evaluate(), evaluated);
}

#[test]
fn every_command_reads_the_blocks_that_are_kept() {
    let place = Place::new();
    let run = place.train("run", &sip(json!({})));
    let of_block = |block: usize| {
        let of = read_json(&run.join("evaluation.json"))["blocks"][block]["accuracy"].clone();
        assert!(of.is_number());
        of
    };
    for block in 0..4 {
        fs::write(run.join("readout.json"), json!({"first": block, "last": block}).to_string()).unwrap();
        let evaluated = place.run(&["eval", "run", "--json"]).json();
        assert_eq!(evaluated["test_accuracy"], of_block(block), "block {block}");
    }
    fs::write(run.join("readout.json"), "{").unwrap();
    assert!(place.run(&["eval", "run"]).failed(2).contains("readout.json is damaged"));
}

#[test]
fn a_run_that_goes_on_chooses_again() {
    let place = Place::new();
    let whole = place.train("whole", &sip(json!({})));
    let part = place.train("part", &sip(json!({"training": {"epochs": 2}})));
    let mut longer = read_json(&part.join("config.json"));
    longer["training"]["epochs"] = json!(6);
    fs::write(part.join("config.json"), longer.to_string()).unwrap();
    let wrong = json!({"first": 3, "last": 3});
    assert_ne!(read_json(&whole.join("readout.json")), wrong, "block 3 is no good here");
    fs::write(part.join("readout.json"), wrong.to_string()).unwrap();
    place.run(&["train", "--resume", "part", "--quiet"]).done();
    assert_eq!(read_json(&part.join("readout.json")), read_json(&whole.join("readout.json")));
    assert!(weights(&part) == weights(&whole));
}

#[test]
fn every_rule_with_heads_has_the_readout() {
    let place = Place::new();
    for (name, changes) in [
        ("deep-supervision", json!({})),
        ("mono-forward", json!({"schedule": {"name": "greedy"}, "training": {"epochs": 1}})),
        ("mono-forward", json!({"network": {"partition": "whole"}})),
    ] {
        let run = place.train(&format!("{name}-{}", changes.to_string().len()), &{
            let mut config = sip(changes);
            config["rule"]["name"] = json!(name);
            config
        });
        let summary = read_json(&run.join("summary.json"));
        assert_eq!(summary["readout_blocks"], read_json(&run.join("readout.json")), "{name}");
    }
}

/// A run of an earlier version, which trained without validation samples: 0.01 of 30 samples per class is none.
#[test]
fn a_run_without_validation_samples_is_read_from_all_blocks() {
    let place = Place::new();
    idx_folder(&place.file("set"), 60, 20);
    let run = place.train("run", &sip(json!({"data": {"name": "idx", "path": "set"}, "training": {"epochs": 2}})));
    let edit = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut value = read_json(&run.join(name));
        change(&mut value);
        fs::write(run.join(name), value.to_string()).unwrap();
    };
    edit("config.json", &|config| config["data"]["validation"] = json!(0.01));
    edit("run.json", &|info| {
        info["status"] = json!("failed");
        ["config", "data", "sums"].iter().for_each(|key| drop(info.as_object_mut().unwrap().remove(*key)));
    });
    for name in ["readout.json", "summary.json", "evaluation.json", "model.safetensors"] {
        fs::remove_file(run.join(name)).unwrap();
    }
    for epoch in [1, 2] {
        fs::remove_file(run.join(format!("checkpoint/epoch-{epoch}.json"))).unwrap();
    }
    assert!(place.run(&["eval", "run"]).done().contains("readout from  blocks 0 to 3 of 0 to 3\n"));
    assert_eq!(place.run(&["predict", "run", "set/t10k-images-idx3-ubyte"]).done().lines().count(), 20);
    place.run(&["export", "run"]).done();
    // It is trained, but not yet tested.
    place.run(&["train", "--resume", "run", "--quiet"]).done();
    assert_eq!(read_json(&run.join("summary.json"))["readout_blocks"], json!({"first": 0, "last": 3}));
}

#[test]
fn there_is_nothing_to_choose_by_without_a_validation_set() {
    let place = Place::new();
    place.config("bad.json", &sip(json!({"data": {"validation": 0.0}})));
    let said = place.run(&["train", "bad.json"]);
    assert!(
        said.failed(2)
            .contains("$.rule.readout: \"sip\" needs a validation set to choose blocks; $.data.validation is 0"),
        "{}",
        said.err
    );
}
