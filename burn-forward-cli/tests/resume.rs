//! A run that was stopped and resumed equals an uninterrupted one: its weights and metrics are identical bit for bit.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "resume/every.rs"]
mod every;
#[path = "resume/image_folder.rs"]
mod image_folder;
#[path = "resume/moved.rs"]
mod moved;
mod program;
#[cfg(unix)]
#[path = "resume/signals.rs"]
mod signals;

#[path = "resume/damage.rs"]
mod damage;
#[path = "resume/refusals.rs"]
mod refusals;
#[cfg(unix)]
#[path = "resume/within_epoch.rs"]
mod within_epoch;

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use program::{Place, config, idx_folder, metrics, normalised, read_json, saved_models, weights};
use serde_json::{Value, json};

/// Enough epochs for the run to be still in progress after a few of them were seen to be saved.
const EPOCHS: usize = 25;

/// The way in which a run is stopped.
#[derive(Clone, Copy, PartialEq)]
enum Stop {
    /// `kill -9`, which leaves no time to clean up.
    Kill,
    /// Ctrl-C.
    Interrupt,
}

/// Sends a signal to a process that a test started.
fn signal(child: &mut Child, stop: Stop) {
    match stop {
        Stop::Kill => child.kill().unwrap(),
        Stop::Interrupt => {
            let pid = child.id().to_string();
            assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        }
    }
}

/// Starts `config` in the folder `name`, stops it as soon as the model of epoch `after` is saved, and returns the newest saved
/// epoch. If the run finished before it could be stopped, it is run again.
fn stopped(place: &Place, name: &str, config: &Value, after: usize, stop: Stop) -> usize {
    let folder = place.file(name);
    place.config(&format!("{name}.json"), config);
    for _ in 0..5 {
        let mut child = place.start(&["train", &format!("{name}.json"), "--out", name]);
        let begun = Instant::now();
        while saved_models(&folder).last().is_none_or(|&epoch| epoch < after) {
            assert!(begun.elapsed() < Duration::from_secs(60), "no model of epoch {after} was saved");
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        signal(&mut child, stop);
        let said = Place::end(child);
        if !folder.join("summary.json").exists() {
            if stop == Stop::Interrupt {
                assert_eq!(said.code, Some(1), "{}", said.err);
                assert!(
                    said.err.contains(&format!("resume with `burn-forward train --resume {name}`")),
                    "{}",
                    said.err
                );
                assert_eq!(read_json(&folder.join("run.json"))["status"], "interrupted");
                let last: Value = serde_json::from_str(metrics(&folder).last().unwrap()).unwrap();
                assert_eq!(last["epoch"], *saved_models(&folder).last().unwrap(), "rows of half an epoch are left");
            }
            return *saved_models(&folder).last().unwrap();
        }
        fs::remove_dir_all(&folder).unwrap();
    }
    panic!("the run was finished every time before it could be stopped");
}

fn same(run: &Path, reference: &Path) {
    assert_eq!(metrics(run), metrics(reference));
    assert!(weights(run) == weights(reference), "the weights differ");
    let summary = |run: &Path| {
        let s = read_json(&run.join("summary.json"));
        json!([s["test_accuracy"], s["validation_accuracy"], s["readouts"], s["epochs"]])
    };
    assert_eq!(summary(run), summary(reference));
    let evaluation = |run: &Path| read_json(&run.join("evaluation.json"));
    assert_eq!(evaluation(run), evaluation(reference));
}

/// Trains `config` once without interruption, and once stopped and resumed.
fn check(rule: Value, changes: Value, after: usize, stop: Stop) {
    let place = Place::new();
    let mut config = config(rule, json!({"network": {"widths": [96, 96]}, "training": {"epochs": EPOCHS}}));
    program::merge(&mut config, changes);
    let reference = place.train("whole", &config);
    let epochs = read_json(&reference.join("summary.json"))["epochs"].as_u64().unwrap() as usize;
    let epoch = stopped(&place, "stopped", &config, after, stop);
    assert!(epoch <= epochs);
    place.run(&["train", "--resume", "stopped", "--quiet"]).done();
    same(&place.file("stopped"), &reference);
}

#[test]
fn mono_forward_with_dropout_and_adam() {
    check(json!({"name": "mono-forward"}), json!({"network": {"dropout": 0.3}}), 3, Stop::Kill);
}

#[test]
fn mono_forward_after_ctrl_c() {
    check(
        json!({"name": "mono-forward", "readout": "sum"}),
        json!({"data": {"augment": [{"name": "shift", "pixels": 1}]}}),
        2,
        Stop::Interrupt,
    );
}

/// Peer normalisation has running means, and hard negatives depend on the state of the softmax head.
#[test]
fn forward_forward_by_hinton() {
    check(json!({"name": "forward-forward"}), normalised(), 2, Stop::Kill);
}

#[test]
fn forward_forward_with_labels_at_every_layer() {
    check(json!({"name": "forward-forward", "preset": "ff-plus"}), normalised(), 2, Stop::Interrupt);
}

#[test]
fn dfa_with_momentum_and_a_schedule() {
    let optimizer = json!({"name": "sgd", "lr": 0.05, "momentum": 0.9, "lr-schedule": {"name": "cosine"}});
    check(json!({"name": "dfa"}), json!({"optimizer": optimizer}), 4, Stop::Kill);
}

#[test]
fn the_best_weights_are_kept() {
    check(
        json!({"name": "backprop"}),
        json!({"training": {"final-weights": "best"}, "optimizer": {"lr": 0.02}}),
        9,
        Stop::Kill,
    );
}

#[test]
fn greedy_in_the_first_block_and_in_a_later_one() {
    let greedy = json!({
        "network": {"dropout": 0.1},
        "training": {"epochs": 12},
        "schedule": {"name": "greedy", "patience": 3},
        "optimizer": {"lr-schedule": {"name": "linear"}},
    });
    check(json!({"name": "mono-forward"}), greedy.clone(), 2, Stop::Kill);
    let mut uncached = greedy;
    uncached["schedule"]["cache"] = json!(false);
    // Each of the two blocks has at least four epochs, so epoch 13 belongs to the second block.
    uncached["schedule"]["patience"] = json!(12);
    check(json!({"name": "mono-forward"}), uncached, 13, Stop::Kill);
}

/// Takes a finished run back to the moment after the second last epoch was saved.
fn rewind(run: &Path) -> usize {
    let last = *saved_models(run).last().unwrap();
    for entry in fs::read_dir(run.join("checkpoint")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(&format!("-{last}.bpk")) || name == format!("epoch-{last}.json") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    for name in ["summary.json", "evaluation.json", "model.safetensors", "report.html"] {
        fs::remove_file(run.join(name)).unwrap();
    }
    set_status(run, "running");
    last
}

fn set_status(run: &Path, status: &str) {
    let mut info = read_json(&run.join("run.json"));
    info["status"] = json!(status);
    fs::write(run.join("run.json"), info.to_string()).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn what_a_kill_leaves_half_written_does_no_harm() {
    let place = Place::new();
    let reference = place.train("whole", &config(json!({"name": "mono-forward"}), json!({"training": {"epochs": 4}})));
    let run = place.file("torn");
    copy(&reference, &run);
    let last = rewind(&run);
    assert_eq!(last, 4);
    // Killed while writing the checkpoint of the last epoch, and while writing a line of metrics.
    for name in ["model-4.bpk.77-0.tmp", "optim-4.bpk.77-1.tmp", "model-4.bpk", "scheduler-2.bpk", "steps-3+2.json"] {
        fs::write(run.join("checkpoint").join(name), b"half a file").unwrap();
    }
    fs::write(run.join(".burn-forward-Ab12Cd"), b"{").unwrap();
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    fs::write(run.join("metrics.jsonl"), &text[..text.len() - 20]).unwrap();

    place.run(&["train", "--resume", "torn", "--quiet"]).done();
    same(&run, &reference);
    let mut left: Vec<String> =
        fs::read_dir(run.join("checkpoint")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    let kinds = ["model", "optim", "scheduler"];
    let whole = kinds.iter().flat_map(|kind| [3, 4].map(|epoch| format!("{kind}-{epoch}.bpk")));
    assert_eq!(left, ["epoch-3.json".into(), "epoch-4.json".into()].into_iter().chain(whole).collect::<Vec<_>>());
    assert!(!run.join(".burn-forward-Ab12Cd").exists());
}

#[test]
fn rows_of_earlier_epochs_stay_byte_for_byte() {
    let place = Place::new();
    let run = place.train("run", &config(json!({"name": "dfa"}), json!({"training": {"epochs": 3}})));
    rewind(&run);
    let before = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    place.run(&["train", "--resume", "run", "--quiet"]).done();
    // Including their times, which a run that repeats an epoch would not reproduce.
    let kept = before.lines().take_while(|line| !line.contains("\"epoch\":3")).collect::<Vec<_>>();
    let after = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert_eq!(after.lines().take(kept.len()).collect::<Vec<_>>(), kept);
    assert_eq!(after.lines().count(), before.lines().count());
}

#[test]
fn a_damaged_line_in_the_middle_is_an_error() {
    let place = Place::new();
    let run = place.train("run", &config(json!({"name": "dfa"}), json!({})));
    rewind(&run);
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    fs::write(run.join("metrics.jsonl"), text.replacen("\"split\"", "\"spli", 1)).unwrap();
    let said = place.run(&["train", "--resume", "run"]);
    assert!(said.err.contains("error: run folder run: metrics.jsonl line 1 is damaged: "), "{}", said.err);
    assert_eq!(said.code, Some(2));
}

/// Every file of a run folder by its path.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn a_finished_run_is_not_trained_again() {
    let place = Place::new();
    let early = json!({"training": {"epochs": 200, "patience": 2}, "optimizer": {"lr": 0.02}});
    let greedy = json!({"training": {"epochs": 2}, "schedule": {"name": "greedy"}});
    for (name, changes) in [("plain", json!({})), ("early", early), ("greedy", greedy)] {
        let run = place.train(name, &config(json!({"name": "mono-forward"}), changes));
        if name == "early" {
            assert!(read_json(&run.join("summary.json"))["epochs"].as_u64().unwrap() < 200, "patience did not stop it");
        }
        let before = files(&run);
        let said = place.run(&["train", "--resume", name]);
        said.done();
        assert!(said.err.contains("the run is already finished; there is nothing left to train"), "{}", said.err);
        assert!(said.out.starts_with("test accuracy "), "{}", said.out);
        assert!(!said.err.contains("epoch 1/"), "{}", said.err);
        assert!(files(&run) == before, "{name}: files changed");
    }
}

/// A run that was killed after its last epoch, but before its test.
#[test]
fn a_run_that_was_trained_but_not_tested_is_tested() {
    let place = Place::new();
    for (name, changes) in [("plain", json!({})), ("early", json!({"training": {"epochs": 200, "patience": 2}}))] {
        let reference = place.train(name, &config(json!({"name": "mono-forward"}), changes));
        let untested = place.file(&format!("{name}-untested"));
        copy(&reference, &untested);
        for file in ["summary.json", "evaluation.json", "model.safetensors"] {
            fs::remove_file(untested.join(file)).unwrap();
        }
        set_status(&untested, "running");
        let lines = fs::read(untested.join("metrics.jsonl")).unwrap();
        let said = place.run(&["train", "--resume", &format!("{name}-untested")]);
        said.done();
        assert!(!said.err.contains("epoch "), "{}", said.err);
        assert!(fs::read(untested.join("metrics.jsonl")).unwrap() == lines);
        same(&untested, &reference);
    }
}

#[test]
fn a_run_goes_on_where_it_was_started() {
    let place = Place::new();
    idx_folder(&place.file("configs/set"), 60, 20);
    let data = json!({"data": {"name": "idx", "path": "set"}, "training": {"epochs": 2}});
    let value = config(json!({"name": "mono-forward"}), data);
    place.config("configs/own.json", &value);
    // From a folder other than the config's, with a path that is relative to the config.
    place.run(&["train", "configs/own.json", "--out", "run", "--quiet", "--device", "ndarray"]).done();
    let run = place.file("run");
    let name = run.display().to_string();
    let begun = read_json(&run.join("run.json"));
    rewind(&run);
    let elsewhere = tempfile::tempdir().unwrap();
    place.run_in(elsewhere.path(), &["train", "--resume", &name, "--quiet"]).done();
    let info = read_json(&run.join("run.json"));
    assert_eq!((&info["device"], &info["status"]), (&json!("ndarray"), &json!("finished")));
    assert_eq!((&info["started"], &info["command"]), (&begun["started"], &begun["command"]));
    assert_eq!(info["resumed"].as_array().map(Vec::len), Some(1));

    for command in [vec!["eval", &name], vec!["export", &name]] {
        place.run_in(elsewhere.path(), &command).done();
    }
    let images = place.file("configs/set/t10k-images-idx3-ubyte").display().to_string();
    assert_eq!(place.run_in(elsewhere.path(), &["predict", &name, &images]).done().lines().count(), 20);

    rewind(&run);
    place.run_in(elsewhere.path(), &["train", "--resume", &name, "--quiet", "--device", "flex"]).done();
    assert_eq!(read_json(&run.join("run.json"))["device"], "flex");
}

#[test]
fn a_data_folder_that_was_given_is_found_again() {
    let place = Place::new();
    idx_folder(&place.file("sets/mnist"), 60, 20);
    let value = config(json!({"name": "mono-forward"}), json!({"data": {"name": "mnist"}}));
    place.config("own.json", &value);
    place.run(&["train", "own.json", "--out", "run", "--quiet", "--data", "sets"]).done();
    let elsewhere = tempfile::tempdir().unwrap();
    let run = place.file("run").display().to_string();
    place.run_in(elsewhere.path(), &["eval", &run]).done();
}

#[test]
fn a_resumed_run_is_not_changed_by_other_arguments() {
    let place = Place::new();
    place.train("run", &config(json!({"name": "mono-forward"}), json!({})));
    let cases: [(&[&str], &str); 4] = [
        (&["--seed", "1"], "--seed <SEED>"),
        (&["--set", "training.epochs=9"], "--set <KEY=VALUE>"),
        (&["--out", "other"], "--out <FOLDER>"),
        (&["run.json"], "[CONFIG]"),
    ];
    for (more, named) in cases {
        let arguments: Vec<&str> = ["train", "--resume", "run"].iter().chain(more).copied().collect();
        let said = place.run(&arguments);
        let expected = format!("the argument '--resume <RUN>' cannot be used with '{named}'");
        assert!(said.failed(2).starts_with(&expected), "{}", said.err);
    }
    let said = place.run(&["train", "--resume", "nowhere"]);
    assert_eq!(said.failed(2), "run folder nowhere: found no config.json; needed: a folder that `train` created");
}

#[test]
fn a_run_that_is_running_is_not_resumed() {
    let place = Place::new();
    let folder = place.file("busy");
    let long = config(json!({"name": "mono-forward"}), json!({"training": {"epochs": 100_000}}));
    place.config("busy.json", &long);
    let mut child = place.start(&["train", "busy.json", "--out", "busy"]);
    let begun = Instant::now();
    while saved_models(&folder).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no model was saved");
        std::thread::sleep(Duration::from_millis(1));
    }
    let refused = place.run(&["train", "--resume", "busy", "--quiet"]);
    signal(&mut child, Stop::Interrupt);
    let said = Place::end(child);
    assert_eq!(
        refused.failed(2),
        "run folder busy: another process is training in it; needed: wait until it ends, or use another folder"
    );
    assert!(said.err.contains("resume with `burn-forward train --resume busy`"), "{}", said.err);
}
