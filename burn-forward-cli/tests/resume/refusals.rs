//! A run can only be resumed with the data and the config that it was begun with.

use std::fs;

use serde_json::{Value, json};

use super::damage::{extend, small};
use super::program::{Place, idx_folder, merge, read_json};

/// A change to a data set: its name, how it is made, and the resulting message.
type Change = (&'static str, Box<dyn Fn()>, &'static str);

#[test]
fn other_data_is_refused() {
    let place = Place::new();
    let set = place.file("set");
    idx_folder(&set, 60, 20);
    let data = json!({"data": {"name": "idx", "path": "set", "samples-per-class": null}, "training": {"epochs": 2}});
    let mut value = small(data);
    value["data"].as_object_mut().unwrap().remove("samples-per-class");
    let run = place.train("run", &value);
    extend(&run, 3);
    let (images, labels) = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte");
    let edit = |name: &'static str, place: usize, value: u8| {
        let set = set.clone();
        move || {
            let mut bytes = fs::read(set.join(name)).unwrap();
            bytes[place] = value;
            fs::write(set.join(name), bytes).unwrap();
        }
    };
    let remake = |train: usize| {
        let set = set.clone();
        move || idx_folder(&set, train, 20)
    };
    let changes: [Change; 5] = [
        ("another class", Box::new(edit(labels, 8, 2)), "3 classes"),
        ("relabelled", Box::new(edit(labels, 8, 1)), ""),
        ("another pixel", Box::new(edit(images, 16, 9)), "with different content"),
        ("fewer", Box::new(remake(50)), "44 training"),
        ("another test set", Box::new(edit("t10k-labels-idx1-ubyte", 8, 1)), "with different content"),
    ];
    for (what, change, named) in changes {
        idx_folder(&set, 60, 20);
        change();
        for command in [vec!["train", "--resume", "run", "--quiet"], vec!["eval", "run"]] {
            let said = place.run(&command);
            let message = said.failed(2);
            let begun = "run folder run: according to run.json, the run was begun with other data: 54 training, 6 validation, 20 test";
            assert!(message.starts_with(begun) && message.contains(named), "{what} {command:?}: {message}");
        }
    }
    // The same data at another place are accepted.
    fs::rename(&set, place.file("moved")).unwrap();
    idx_folder(&place.file("moved"), 60, 20);
    let mut own = read_json(&run.join("config.json"));
    own["data"]["path"] = json!(place.file("moved"));
    fs::write(run.join("config.json"), own.to_string()).unwrap();
    place.run(&["train", "--resume", "run", "--quiet"]).done();
}

#[test]
fn another_config_is_refused() {
    let place = Place::new();
    let run = place.train("run", &small(json!({})));
    let own = read_json(&run.join("config.json"));
    let with = |changes: Value| {
        let mut value = own.clone();
        merge(&mut value, changes);
        fs::write(run.join("config.json"), value.to_string()).unwrap();
    };
    let cases = [
        (json!({"network": {"widths": [8, 9]}}), "$.network.widths[1]: 9, but the run was begun with 8"),
        (json!({"network": {"widths": [8]}}), "$.network.widths: [8], but the run was begun with [8,8]"),
        (
            json!({"rule": {"name": "deep-supervision"}}),
            "$.rule.name: \"deep-supervision\", but the run was begun with \"mono-forward\"",
        ),
        (json!({"optimizer": {"lr": 0.1}}), "$.optimizer.lr: 0.1, but the run was begun with 0.002"),
        (json!({"seed": 5}), "$.seed: 5, but the run was begun with 0"),
        (json!({"training": {"batch-size": 16}}), "$.training.batch-size: 16, but the run was begun with 32"),
        (json!({"training": {"epochs": 3}}), "$.training.epochs: 3, but the run was begun with 4"),
        (
            json!({"schedule": {"name": "greedy"}}),
            "$.schedule.name: \"greedy\", but the run was begun with \"simultaneous\"",
        ),
        (
            json!({"optimizer": {"clip": {"norm": 1.0}}}),
            "$.optimizer.clip: {\"norm\":1.0}, but the run was begun with no value",
        ),
        (json!({"data": {"samples-per-class": 7}}), "$.data.samples-per-class: 7, but the run was begun with 8"),
    ];
    for (changes, expected) in cases {
        with(changes);
        for command in [vec!["train", "--resume", "run"], vec!["eval", "run"]] {
            let said = place.run(&command);
            let message = said.failed(2);
            assert!(message.contains(expected), "{command:?}: {message}");
            assert!(message.starts_with("run/config.json, compared with run.json beside it: "), "{message}");
        }
    }
    // Descriptions and threads may change, and more epochs are accepted and recorded.
    with(json!({"description": "longer", "training": {"epochs": 5, "workers": 0}}));
    place.run(&["train", "--resume", "run", "--quiet"]).done();
    let info = read_json(&run.join("run.json"));
    assert_eq!(info["extended"], json!([{"after_epoch": 4, "epochs": [4, 5]}]));
    assert_eq!(read_json(&run.join("summary.json"))["epochs"], 5);
}

/// The current names of keys and values, and their former names.
const RENAMED: [(&str, &str); 4] = [
    ("pixel-normalisation", "normalise"),
    ("final-weights", "keep"),
    ("lr-schedule", "schedule"),
    ("constant-then-linear", "hinton"),
];

#[test]
fn a_run_begun_under_older_names_goes_on_under_the_new_ones() {
    let place = Place::new();
    let run = place.train("run", &small(json!({"optimizer": {"lr-schedule": {"name": "constant-then-linear"}}})));
    let config = run.join("config.json");
    let new = fs::read_to_string(&config).unwrap();
    for file in ["config.json", "run.json"] {
        let text = fs::read_to_string(run.join(file)).unwrap();
        let old = RENAMED.iter().fold(text, |text, (new, old)| {
            assert!(text.contains(&format!("{new:?}")), "{file}: {new}");
            text.replace(&format!("{new:?}"), &format!("{old:?}"))
        });
        fs::write(run.join(file), old).unwrap();
    }
    let resume = ["train", "--resume", "run", "--quiet"];
    for command in [&resume[..], &["eval", "run"], &["export", "run"]] {
        let said = place.run(command);
        let message = said.failed(2);
        let advice = "run/config.json, in which you may replace renamed keys and names (leave run.json";
        assert!(message.starts_with(advice), "{command:?}: {message}");
        assert!(message.contains("$.training.keep: unknown key; it is called \"final-weights\" now"), "{message}");
    }

    fs::write(&config, &new).unwrap();
    for command in [&["eval", "run"][..], &["export", "run"], &resume] {
        place.run(command).done();
    }
    // Differences are still found, under the new names.
    fs::write(&config, new.replace("constant-then-linear", "cosine")).unwrap();
    let said = place.run(&resume);
    let expected = "$.optimizer.lr-schedule.name: \"cosine\", but the run was begun with \"constant-then-linear\"";
    assert!(said.failed(2).contains(expected), "{}", said.err);
    fs::write(&config, new).unwrap();
    extend(&run, 5);
    place.run(&resume).done();
    assert_eq!(read_json(&run.join("summary.json"))["epochs"], 5);
}

#[test]
fn a_greedy_run_has_more_epochs_in_its_first_block_only() {
    let place = Place::new();
    let run = place.train("run", &small(json!({"schedule": {"name": "greedy"}, "training": {"epochs": 2}})));
    extend(&run, 3);
    let said = place.run(&["train", "--resume", "run"]);
    let expected = "$.training.epochs: 3, but blocks before block 1 have ended with at most 2; needed: 2";
    assert!(said.failed(2).contains(expected), "{}", said.err);
}
