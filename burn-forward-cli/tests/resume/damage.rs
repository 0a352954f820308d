//! The law of resuming: if a file of a run folder is truncated anywhere, empty, missing or from another run, then resuming
//! returns to the last intact checkpoint and says so, or ends with an error that names the file. It never panics and never
//! silently starts again.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::program::{Place, Said, config, merge, metrics, read_json, weights};
use super::{copy, files, same};

/// A run that contains every kind of file, and takes a moment.
pub(crate) fn small(changes: Value) -> Value {
    let mut value = config(
        json!({"name": "mono-forward", "readout": "sip"}),
        json!({"network": {"widths": [8, 8]}, "training": {"epochs": 4}, "data": {"samples-per-class": 8}}),
    );
    merge(&mut value, changes);
    value
}

/// The damage done to a file.
const DAMAGES: [&str; 5] = ["emptied", "cut in half", "cut by a byte", "missing", "of another run"];

/// Damages a file; `other` is the same file from another run.
fn damage(path: &Path, other: &Path, how: &str) {
    let bytes = fs::read(path).unwrap();
    match how {
        "emptied" => fs::write(path, "").unwrap(),
        "cut in half" => fs::write(path, &bytes[..bytes.len() / 2]).unwrap(),
        "cut by a byte" => fs::write(path, &bytes[..bytes.len().saturating_sub(1)]).unwrap(),
        "missing" => fs::remove_file(path).unwrap(),
        _ => fs::write(path, fs::read(other).unwrap()).unwrap(),
    }
}

/// Sets the number of epochs in the config of a run.
pub(crate) fn extend(run: &Path, epochs: usize) {
    let mut value = read_json(&run.join("config.json"));
    value["training"]["epochs"] = json!(epochs);
    fs::write(run.join("config.json"), value.to_string()).unwrap();
}

/// The names of all files of a run, relative to its folder.
fn names(run: &Path) -> Vec<String> {
    files(run).into_iter().map(|(path, _)| Path::new(&path).strip_prefix(run).unwrap().display().to_string()).collect()
}

/// Whether the file has the same meaning as before.
fn is_harmless(name: &str, before: &[u8], path: &Path) -> bool {
    let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    let after = fs::read(path).unwrap_or_default();
    // The lock has no content, and a JSON file does not need its last line break.
    name == ".lock" || before == after || (value(before).is_some() && value(before) == value(&after))
}

/// Resumes copies of `run`, each with one damaged file, and compares the results with `reference`. Damage to `unused` files
/// need not be reported.
fn table(place: &Place, run: &Path, other: &Path, reference: &Path, unused: &[&str]) {
    let mut faults = Vec::new();
    let mut gone_back = 0;
    for name in names(run) {
        for how in DAMAGES {
            let folder = place.file("damaged");
            let _ = fs::remove_dir_all(&folder);
            copy(run, &folder);
            let before = fs::read(folder.join(&name)).unwrap();
            if how == "of another run" && !other.join(&name).is_file() {
                continue;
            }
            damage(&folder.join(&name), &other.join(&name), how);
            let harmless = is_harmless(&name, &before, &folder.join(&name));
            let Said { code, out, err } = place.run(&["train", "--resume", "damaged", "--quiet"]);
            let file = Path::new(&name).file_name().unwrap().to_str().unwrap();
            let said = err.lines().any(|line| line.contains("warning: ") && line.contains(file));
            gone_back += usize::from(err.contains("going back to epoch"));
            let well = match code {
                Some(0) => {
                    weights(&folder) == weights(reference)
                        && metrics(&folder) == metrics(reference)
                        && read_json(&folder.join("evaluation.json")) == read_json(&reference.join("evaluation.json"))
                        && (said || harmless || unused.contains(&name.as_str()))
                }
                Some(2) => err.starts_with("error: ") && err.contains(file) && !harmless,
                _ => false,
            };
            if !well || err.contains("panicked") {
                faults.push(format!("{name} {how}: {code:?}\n{out}{err}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(gone_back > 0, "no damage led back to an earlier checkpoint");
}

#[test]
fn a_damaged_file_of_a_run_that_goes_on() {
    let place = Place::new();
    let run = place.train("run", &small(json!({})));
    let other = place.train("other", &small(json!({"seed": 1})));
    let reference = place.train("reference", &small(json!({"training": {"epochs": 6}})));
    extend(&run, 6);
    // The files that a run writes at its end replace whatever was there, and of two intact checkpoints the newest is used.
    let unused = [
        "summary.json",
        "evaluation.json",
        "model.safetensors",
        "readout.json",
        "report.html",
        "checkpoint/epoch-3.json",
        "checkpoint/model-3.bpk",
        "checkpoint/optim-3.bpk",
        "checkpoint/scheduler-3.bpk",
    ];
    table(&place, &run, &other, &reference, &unused);
}

#[test]
fn a_damaged_file_of_a_finished_run() {
    let place = Place::new();
    let run = place.train("run", &small(json!({})));
    let other = place.train("other", &small(json!({"seed": 1})));
    let reference = place.file("reference");
    copy(&run, &reference);
    // An undamaged copy is complete, and nothing is reported.
    assert_eq!(place.run(&["train", "--resume", "reference", "--quiet"]).err, "");
    let mut faults = Vec::new();
    for name in names(&run).iter().filter(|name| !name.starts_with("checkpoint/")) {
        for how in DAMAGES {
            let folder = place.file("damaged");
            let _ = fs::remove_dir_all(&folder);
            copy(&run, &folder);
            let before = fs::read(folder.join(name)).unwrap();
            damage(&folder.join(name), &other.join(name), how);
            let harmless = is_harmless(name, &before, &folder.join(name));
            let Said { code, err, .. } = place.run(&["train", "--resume", "damaged", "--quiet"]);
            let whole = || {
                let names = ["model.safetensors", "evaluation.json", "readout.json"];
                let same = |name| fs::read(folder.join(name)).unwrap() == fs::read(reference.join(name)).unwrap();
                names.into_iter().all(same) && metrics(&folder) == metrics(&reference)
            };
            let well = match code {
                Some(0) => whole() && (harmless || err.contains(name.as_str())),
                Some(2) => err.starts_with("error: ") && err.contains(name.as_str()),
                _ => false,
            };
            if !well || err.contains("panicked") {
                faults.push(format!("{name} {how}: {code:?} {err}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A finished run is evaluated with the weights of its last epoch, or not at all.
#[test]
fn earlier_weights_do_not_stand_in_for_those_of_a_finished_run() {
    let place = Place::new();
    let run = place.train("run", &small(json!({})));
    let expected = place.run(&["eval", "run", "--json"]).json()["loss"].clone();
    let mut refused = Vec::new();
    for name in names(&run).iter().filter(|name| name.starts_with("checkpoint/")) {
        let folder = place.file("damaged");
        let _ = fs::remove_dir_all(&folder);
        copy(&run, &folder);
        fs::remove_file(folder.join(name)).unwrap();
        let said = place.run(&["eval", "damaged", "--json"]);
        match said.code {
            Some(0) => assert_eq!(said.json()["loss"], expected, "{name}"),
            _ => {
                assert!(said.failed(2).contains(name.as_str()), "{name}: {}", said.err);
                refused.push(name.clone());
            }
        }
        // A resumed run reports what its last checkpoint lacks.
        let said = place.run(&["train", "--resume", "damaged", "--quiet"]);
        said.done();
        assert!(!refused.contains(name) || said.err.contains(name.as_str()), "{name}: {}", said.err);
    }
    assert!(refused.iter().any(|name| name.contains("model-")), "{refused:?}");
}

/// The best weights of a block are from an earlier epoch, and have to be intact as well.
#[test]
fn a_damaged_checkpoint_under_a_greedy_schedule_with_the_best_weights() {
    let place = Place::new();
    let greedy = |seed: u64| {
        small(json!({
            "seed": seed, "schedule": {"name": "greedy"}, "training": {"final-weights": "best", "epochs": 5},
            "optimizer": {"lr": 0.05}, "rule": {"readout": "last"},
        }))
    };
    let (reference, other) = (place.train("reference", &greedy(0)), place.train("other", &greedy(1)));
    // This also holds for a finished run, if its final weights are not those of its last epoch.
    let best = names(&reference).into_iter().filter(|name| name.contains("checkpoint/model-")).collect::<Vec<_>>();
    for name in &best {
        let folder = place.file("finished");
        let _ = fs::remove_dir_all(&folder);
        copy(&reference, &folder);
        fs::write(folder.join(name), []).unwrap();
        let read = place.run(&["eval", "finished"]).code == Some(0);
        let said = place.run(&["train", "--resume", "finished", "--quiet"]);
        said.done();
        assert!(read || said.err.contains(name.as_str()), "{name}: {}", said.err);
    }
    let run = place.file("run");
    copy(&reference, &run);
    super::rewind(&run);
    let mut codes = Vec::new();
    for name in names(&run).iter().filter(|name| name.starts_with("checkpoint/")) {
        for how in DAMAGES {
            let folder = place.file("damaged");
            let _ = fs::remove_dir_all(&folder);
            copy(&run, &folder);
            if how == "of another run" && !other.join(name).is_file() {
                continue;
            }
            let before = fs::read(folder.join(name)).unwrap();
            damage(&folder.join(name), &other.join(name), how);
            let harmless = is_harmless(name, &before, &folder.join(name));
            let said = place.run(&["train", "--resume", "damaged", "--quiet"]);
            codes.push(said.code);
            let file = name.strip_prefix("checkpoint/").unwrap();
            match said.code {
                Some(0) => {
                    same(&folder, &reference);
                    // Of an earlier epoch that is kept, only the weights are needed.
                    assert!(harmless || said.err.is_empty() || said.err.contains(file), "{name} {how}: {}", said.err);
                }
                _ => assert!(said.failed(2).contains(file), "{name} {how}: {}", said.err),
            }
        }
    }
    assert!(codes.contains(&Some(0)) && codes.contains(&Some(2)), "{codes:?}");
}

#[test]
fn checkpoints_that_are_gone_are_missed() {
    let place = Place::new();
    let run = place.train("run", &small(json!({})));
    extend(&run, 6);
    fs::remove_dir_all(run.join("checkpoint")).unwrap();
    let said = place.run(&["train", "--resume", "run", "--quiet"]);
    assert_eq!(
        said.failed(2),
        "run folder run: nothing intact is left to resume from: checkpoint/ has no checkpoint, though metrics.jsonl has rows \
         of 4 epochs; needed: the original files, or a new run"
    );
    // No epoch was finished, so nothing is lost, but it is reported.
    fs::remove_file(run.join("metrics.jsonl")).unwrap();
    super::set_status(&run, "interrupted");
    let said = place.run(&["train", "--resume", "run"]);
    said.done();
    assert!(said.err.contains("warning: run: no epoch was saved; starting at epoch 1"), "{}", said.err);
    assert!(said.err.contains("epoch 1/6"), "{}", said.err);
}

/// Checkpoints written before there were manifests.
#[test]
fn a_checkpoint_without_sums_is_read_before_it_is_used() {
    let place = Place::new();
    let run = place.train("run", &small(json!({})));
    let reference = place.train("reference", &small(json!({"training": {"epochs": 6}})));
    extend(&run, 6);
    for epoch in [3, 4] {
        fs::remove_file(run.join(format!("checkpoint/epoch-{epoch}.json"))).unwrap();
    }
    for name in ["model-4.bpk", "optim-4.bpk", "scheduler-4.bpk"] {
        let folder = place.file("damaged");
        let _ = fs::remove_dir_all(&folder);
        copy(&run, &folder);
        damage(&folder.join("checkpoint").join(name), &run, "emptied");
        let said = place.run(&["train", "--resume", "damaged", "--quiet"]);
        said.done();
        assert!(said.err.contains(name) && said.err.contains("going back to epoch 3"), "{}", said.err);
        same(&folder, &reference);
    }
}

#[test]
fn a_damaged_model_is_not_evaluated() {
    let place = Place::new();
    let run = place.train("run", &small(json!({})));
    for (how, said) in [("cut in half", "checkpoint/model-4.bpk is damaged"), ("missing", "checkpoint/model-4.bpk")] {
        damage(&run.join("checkpoint/model-4.bpk"), &run, how);
        for command in [vec!["eval", "run"], vec!["export", "run"]] {
            let error = place.run(&command);
            assert!(error.failed(2).contains(said), "{how} {command:?}: {}", error.err);
        }
    }
}
