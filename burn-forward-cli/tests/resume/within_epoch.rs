//! A run that was stopped within an epoch resumes after the last saved step, and ends like an uninterrupted run.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::damage::small;
use super::program::{Place, config, merge, metrics, normalised, read_json};
use super::{Stop, copy, same, signal};

/// Epochs and steps of the checkpoints that were saved within an epoch, in order.
fn within(run: &Path) -> Vec<(usize, usize)> {
    let Ok(entries) = fs::read_dir(run.join("checkpoint")) else { return Vec::new() };
    let position = |name: String| {
        let (epochs, steps) = name.strip_prefix("epoch-")?.strip_suffix(".json")?.split_once('+')?;
        Some((epochs.parse().ok()?, steps.parse().ok()?))
    };
    let mut found: Vec<_> =
        entries.filter_map(|entry| position(entry.unwrap().file_name().into_string().unwrap())).collect();
    found.sort_unstable();
    found
}

/// Starts `config` in the folder `name`, and stops it as soon as it has been saved within an epoch, after `epochs` complete
/// ones. Returns the position from which it resumes.
fn stopped(place: &Place, name: &str, config: &Value, epochs: usize, stop: Stop) -> (usize, usize) {
    let run = place.file(name);
    place.config(&format!("{name}.json"), config);
    let mut child = place.start(&["train", &format!("{name}.json"), "--out", name]);
    let begun = Instant::now();
    while within(&run).last().is_none_or(|at| at.0 < epochs) {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing was saved within an epoch");
        assert!(child.try_wait().unwrap().is_none(), "the run was finished before it could be stopped");
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&mut child, stop);
    let said = Place::end(child);
    let at = *within(&run).last().unwrap();
    if stop == Stop::Interrupt {
        assert_eq!(said.code, Some(1), "{}", said.err);
        let saved = format!("{} steps of epoch {} are saved; resume with", at.1, at.0 + 1);
        assert!(said.err.contains(&saved), "{at:?}: {}", said.err);
        assert_eq!(within(&run), [at], "older ones are left");
        let rows = metrics(&run);
        assert!(
            rows.iter().all(|row| read(row)["epoch"].as_u64() <= Some(at.0 as u64)),
            "rows of half an epoch are left"
        );
    }
    at
}

fn read(row: &str) -> Value {
    serde_json::from_str(row).unwrap()
}

/// Trains `changes` once without interruption, and once stopped within an epoch and resumed.
fn check(rule: Value, changes: Value, epochs: usize, stop: Stop) {
    let place = Place::new();
    let every = json!({
        "network": {"widths": [24, 24]},
        "training": {"epochs": 3, "batch-size": 3, "checkpoint-every": {"steps": 100}},
    });
    let mut config = config(rule, every);
    merge(&mut config, changes);
    let mut plain = config.clone();
    plain["training"].as_object_mut().unwrap().remove("checkpoint-every");
    let reference = place.train("whole", &plain);
    let at = stopped(&place, "stopped", &config, epochs, stop);
    assert!(at.0 >= epochs && at.1 > 0, "{at:?}");
    place.run(&["train", "--resume", "stopped", "--quiet"]).done();
    same(&place.file("stopped"), &reference);
    assert_eq!(within(&place.file("stopped")), [], "checkpoints within an epoch are left after its end");
}

#[test]
fn dropout_and_a_schedule_after_a_kill() {
    let changes = json!({"network": {"dropout": 0.3}, "optimizer": {"lr-schedule": {"name": "linear"}}});
    check(json!({"name": "mono-forward"}), changes, 1, Stop::Kill);
}

#[test]
fn the_first_epoch_after_ctrl_c() {
    let changes = json!({"data": {"augment": [{"name": "shift", "pixels": 1}]}, "training": {"workers": 2}});
    check(json!({"name": "mono-forward", "readout": "sum"}), changes, 0, Stop::Interrupt);
}

/// Peer normalisation has running means, and hard negatives depend on the state of the softmax head.
#[test]
fn goodness_of_positives_and_negatives() {
    check(json!({"name": "forward-forward"}), normalised(), 1, Stop::Interrupt);
}

/// A rule with a separate optimiser for parameters that belong to no block.
#[test]
fn an_output_error() {
    check(json!({"name": "dfa"}), json!({}), 2, Stop::Kill);
}

#[test]
fn a_greedy_schedule() {
    let greedy = json!({
        "network": {"dropout": 0.1}, "schedule": {"name": "greedy"}, "training": {"epochs": 2},
        "optimizer": {"lr-schedule": {"name": "linear"}},
    });
    // In the second block, whose learning-rate schedule starts again.
    check(json!({"name": "mono-forward"}), greedy.clone(), 2, Stop::Interrupt);
    let mut uncached = greedy;
    uncached["schedule"]["cache"] = json!(false);
    check(json!({"name": "mono-forward"}), uncached, 1, Stop::Kill);
}

/// The block below ended with the weights of its best epoch: a run that resumes within the next block still has them.
#[test]
fn a_greedy_schedule_with_the_best_weights() {
    let greedy = json!({
        "schedule": {"name": "greedy"}, "training": {"epochs": 2, "final-weights": "best"}, "optimizer": {"lr": 0.05},
    });
    check(json!({"name": "mono-forward"}), greedy, 2, Stop::Interrupt);
}

/// With a damaged checkpoint within an epoch, the run returns to the end of the previous epoch, and says so.
#[test]
fn damage() {
    let place = Place::new();
    let value = small(
        json!({"training": {"epochs": 2, "batch-size": 1, "checkpoint-every": {"steps": 10}}, "data": {"samples-per-class": 40}}),
    );
    let reference = place.train("reference", &value);
    let at = stopped(&place, "run", &value, 1, Stop::Interrupt);
    let mark = format!("{}+{}", at.0, at.1);
    let mut kinds = 0;
    for entry in fs::read_dir(place.file("run/checkpoint")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.contains(&mark) {
            continue;
        }
        kinds += 1;
        for missing in [true, false] {
            let run = place.file("damaged");
            let _ = fs::remove_dir_all(&run);
            copy(&place.file("run"), &run);
            match missing {
                true => fs::remove_file(run.join("checkpoint").join(&name)).unwrap(),
                false => fs::write(run.join("checkpoint").join(&name), b"{").unwrap(),
            }
            let said = place.run(&["train", "--resume", "damaged", "--quiet"]);
            said.done();
            assert!(said.err.contains(&name) && said.err.contains("going back to epoch 1"), "{name}: {}", said.err);
            same(&run, &reference);
        }
    }
    // Weights, optimiser, learning-rate schedule, steps, and the manifest.
    assert_eq!(kinds, 5);
}

/// The frequency of checkpoints does not affect what a run learns, and may be changed for a resumed run.
#[test]
fn how_often_a_run_is_saved_may_be_changed() {
    let place = Place::new();
    let value = small(json!({}));
    let reference = place.train("reference", &value);
    let run = place.train("run", &small(json!({"training": {"checkpoint-every": {"steps": 1, "minutes": 0.5}}})));
    same(&run, &reference);
    super::rewind(&run);
    let mut own = read_json(&run.join("config.json"));
    own["training"]["checkpoint-every"] = json!({"minutes": 3});
    fs::write(run.join("config.json"), own.to_string()).unwrap();
    place.run(&["train", "--resume", "run", "--quiet"]).done();
    same(&run, &reference);
    for (every, said) in [
        (json!({}), "$.training.checkpoint-every: needs \"steps\", \"minutes\" or both"),
        (json!({"steps": 0}), "$.training.checkpoint-every.steps: 0 is too small; needed: an integer >= 1"),
    ] {
        place.config("c.json", &small(json!({"training": {"checkpoint-every": every}})));
        assert!(place.run(&["train", "c.json"]).failed(2).contains(said));
    }
}

/// Several optimiser steps per batch, and states that relax.
#[test]
fn several_steps_on_a_batch() {
    let rule = json!({"name": "predictive-coding", "incremental": true, "steps": 3});
    check(rule, json!({"training": {"batch-size": 8}}), 1, Stop::Interrupt);
}

#[test]
fn running_statistics() {
    let network = json!({"name": "conv-stack", "channels": [2, 2], "batch-norm": true, "partition": "layer"});
    let data = json!({"name": "digits", "samples-per-class": 60});
    let place = Place::new();
    let mut value = config(json!({"name": "mono-forward"}), json!({"training": {"epochs": 3, "batch-size": 4}}));
    value["network"] = network;
    value["data"] = data;
    let reference = place.train("whole", &value);
    value["training"]["checkpoint-every"] = json!({"steps": 10});
    stopped(&place, "stopped", &value, 1, Stop::Kill);
    place.run(&["train", "--resume", "stopped", "--quiet"]).done();
    same(&place.file("stopped"), &reference);
}

/// A rule that has state between its steps is saved only at the end of an epoch.
#[test]
fn a_rule_that_carries_state() {
    let place = Place::new();
    let value = |top_down: &str, epochs: usize| {
        let mut value = config(
            json!({"name": "single-forward", "top-down": top_down}),
            json!({"training": {"epochs": epochs, "checkpoint-every": {"steps": 3}}}),
        );
        value["data"] = json!({"name": "karate", "split": {"folds": 3, "validation": 0.2}, "steps-per-epoch": 300});
        value["network"] = json!({"name": "gcn", "widths": [6, 6]});
        value
    };
    let reference = place.train("whole", &value("to-input", 3));
    place.config("stopped.json", &value("to-input", 3));
    let mut child = place.start(&["train", "stopped.json", "--out", "stopped"]);
    let begun = Instant::now();
    while super::saved_models(&place.file("stopped")).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no epoch was saved");
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&mut child, Stop::Interrupt);
    Place::end(child);
    assert_eq!(within(&place.file("stopped")), []);
    place.run(&["train", "--resume", "stopped", "--quiet"]).done();
    same(&place.file("stopped"), &reference);
    // Without top-down signals, it has no such state.
    stopped(&place, "other", &value("none", 1000), 1, Stop::Interrupt);
}

/// Stopped during validation: all steps of the epoch are saved.
#[test]
fn a_stop_while_it_is_validated() {
    let place = Place::new();
    let changes = json!({
        "network": {"widths": [24, 24]}, "data": {"validation": 0.9},
        "training": {"epochs": 2, "batch-size": 2, "eval-batch-size": 1},
    });
    let value = config(json!({"name": "mono-forward"}), changes);
    let reference = place.train("whole", &value);
    place.config("stopped.json", &value);
    let run = place.file("stopped");
    let mut child = place.start(&["train", "stopped.json", "--out", "stopped"]);
    let begun = Instant::now();
    // Rows of the training set are written before validation.
    while fs::read(run.join("metrics.jsonl")).unwrap_or_default().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no row was written");
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&mut child, Stop::Interrupt);
    let said = Place::end(child);
    assert!(said.err.contains("saved; resume with"), "{}", said.err);
    assert!(metrics(&run).is_empty() || super::saved_models(&run) == [1], "{}", said.err);
    let evaluated = place.run(&["eval", "stopped"]);
    if super::saved_models(&run).is_empty() {
        assert!(evaluated.failed(2).contains("was saved at step"), "{}", evaluated.err);
    }
    place.run(&["train", "--resume", "stopped", "--quiet"]).done();
    same(&run, &reference);
}

/// Stopped, resumed, stopped again in the same epoch, and resumed.
#[test]
fn a_second_stop() {
    let place = Place::new();
    let mut value = small(json!({"training": {"epochs": 2, "batch-size": 1}, "data": {"samples-per-class": 60}}));
    let reference = place.train("whole", &value);
    value["training"]["checkpoint-every"] = json!({"steps": 20});
    let first = stopped(&place, "run", &value, 0, Stop::Interrupt);
    let mut child = place.start(&["train", "--resume", "run"]);
    let begun = Instant::now();
    let run = place.file("run");
    while within(&run).last().is_none_or(|at| *at == first) && child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing was saved");
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&mut child, Stop::Kill);
    Place::end(child);
    place.run(&["train", "--resume", "run", "--quiet"]).done();
    same(&run, &reference);
    let seconds = |run: &Path| read_json(&run.join("summary.json"))["train_seconds"].as_f64().unwrap();
    assert!(seconds(&run) > 0.2 * seconds(&reference), "{} {}", seconds(&run), seconds(&reference));
}

/// Killed while the very first checkpoint was being written: a folder without a manifest has no checkpoint yet.
#[test]
fn a_first_checkpoint_that_is_not_whole() {
    let place = Place::new();
    let value = small(json!({}));
    let reference = place.train("reference", &value);
    let run = place.file("run");
    copy(&reference, &run);
    for entry in fs::read_dir(run.join("checkpoint")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match name.strip_suffix("-4.bpk") {
            Some(kind) => fs::rename(&path, path.with_file_name(format!("{kind}-0+1.bpk"))).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    }
    for name in ["summary.json", "evaluation.json", "model.safetensors", "report.html", "metrics.jsonl"] {
        let _ = fs::remove_file(run.join(name));
    }
    super::set_status(&run, "running");
    let said = place.run(&["train", "--resume", "run", "--quiet"]);
    said.done();
    assert!(said.err.contains("no epoch was saved"), "{}", said.err);
    same(&run, &reference);
}
