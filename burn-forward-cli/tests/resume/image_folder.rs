//! Runs on image files: stopped, moved, and without their data.

use std::fs;

use serde_json::{Value, json};

use super::{rewind, same};
use crate::program::{Place, config, image_folder, read_json, weights};

fn on_files(changes: Value) -> Value {
    let mut data = json!({"name": "image-folder", "train": "set/train", "test": "set/test", "validation": 0.2});
    crate::program::merge(&mut data, changes);
    config(json!({"name": "mono-forward"}), json!({"data": data, "training": {"epochs": 3}}))
}

fn sets(place: &Place, folder: &str) {
    image_folder(&place.file(&format!("{folder}/train")), 20);
    image_folder(&place.file(&format!("{folder}/test")), 9);
}

/// The measurements of `eval`.
fn evaluated(place: &Place, run: &str, more: &[&str]) -> Value {
    let said = place.run(&[&["eval", run, "--json"], more].concat()).json();
    json!([said["test_accuracy"], said["correct"], said["samples"], said["loss"]])
}

#[test]
fn a_run_on_image_files_goes_on_as_if_it_had_not_been_stopped() {
    let place = Place::new();
    sets(&place, "set");
    let augment = json!([{"name": "shift", "pixels": 1}, {"name": "flip"}]);
    for (name, changes) in [
        ("folders", json!({"augment": augment})),
        ("held-out", json!({"test": 0.3, "size": [5, 6], "channels": 3, "pixel-normalisation": "standardise"})),
    ] {
        let run = place.train(name, &on_files(changes));
        let reference = place.file(&format!("{name}-whole"));
        super::copy(&run, &reference);
        rewind(&run);
        place.run(&["train", "--resume", name, "--quiet"]).done();
        same(&run, &reference);
    }
    // With other pixels in one file, it is another data set.
    rewind(&place.file("folders"));
    let changed = place.file("set/train/light/003.png");
    crate::program::png(&changed, [4, 4], &[99; 16]);
    let refused = place.run(&["train", "--resume", "folders"]);
    assert!(refused.failed(2).contains("was begun with other data"), "{}", refused.err);
}

#[test]
fn a_run_on_image_files_is_found_again_where_it_and_they_are_moved() {
    let place = Place::new();
    sets(&place, "old/configs/set");
    place.config("old/configs/c.json", &on_files(json!({})));
    place.run(&["train", "old/configs/c.json", "--out", "old/runs/a", "--quiet"]).done();
    let expected = evaluated(&place, "old/runs/a", &[]);
    assert_eq!(expected[2], 18);
    let data = read_json(&place.file("old/runs/a/config.json"))["data"].clone();
    assert_eq!([&data["train"], &data["test"]], [&json!("../../configs/set/train"), &json!("../../configs/set/test")]);
    super::copy(&place.file("old/runs/a"), &place.file("reference"));

    // Together with the images, then without them, and then the images move as well.
    fs::rename(place.file("old"), place.file("new")).unwrap();
    assert_eq!(evaluated(&place, "new/runs/a", &[]), expected);
    fs::rename(place.file("new"), place.file("old")).unwrap();
    fs::create_dir_all(place.file("deep/er")).unwrap();
    fs::rename(place.file("old/runs/a"), place.file("deep/er/run")).unwrap();
    assert_eq!(evaluated(&place, "deep/er/run", &[]), expected);
    fs::rename(place.file("old/configs/set"), place.file("set")).unwrap();
    fs::remove_dir_all(place.file("old")).unwrap();
    let refused = place.run(&["eval", "deep/er/run"]);
    assert!(refused.failed(2).contains("found no such folder"), "{}", refused.err);
    for folder in ["set", "."] {
        assert_eq!(evaluated(&place, "deep/er/run", &["--data", folder]), expected, "{folder}");
    }
    rewind(&place.file("deep/er/run"));
    place.run(&["train", "--resume", "deep/er/run", "--quiet", "--data", "set"]).done();
    same(&place.file("deep/er/run"), &place.file("reference"));

    // The test needs only the test images, and export and predict need none.
    fs::remove_dir_all(place.file("set/train")).unwrap();
    let said = place.run(&["eval", "deep/er/run", "--data", "set"]);
    assert!(said.done().contains(&format!("({} of 18)", expected[1])), "{}", said.out);
    assert!(said.err.contains("warning: the training data are missing"), "{}", said.err);
    fs::rename(place.file("set/test/light/001.png"), place.file("image")).unwrap();
    fs::remove_dir_all(place.file("set")).unwrap();
    place.run(&["export", "deep/er/run", "--out", "exported"]).done();
    assert!(fs::read(place.file("exported")).unwrap() == weights(&place.file("reference")));
    let said = place.run(&["predict", "deep/er/run", "image"]);
    let words: Vec<&str> = said.done().trim_end().split('\t').collect();
    assert!(words[0] == "image" && [("0", "dark"), ("1", "light")].contains(&(words[1], words[3])), "{}", said.out);
}
