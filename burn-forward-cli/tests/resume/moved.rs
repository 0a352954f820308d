//! A run can be used wherever it is: after it was moved, with or without its data, and after the data were removed.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{rewind, same};
use crate::program::{Place, config, idx_folder, read_json, weights};

fn standardised() -> Value {
    let data = json!({"name": "idx", "path": "set", "validation": 0, "pixel-normalisation": "standardise"});
    config(json!({"name": "mono-forward"}), json!({"data": data, "training": {"epochs": 3}}))
}

/// Creates a config, data and a run in the folder `old`; returns the output of `eval`.
fn trained(place: &Place) -> Value {
    idx_folder(&place.file("old/configs/set"), 60, 20);
    place.config("old/configs/c.json", &standardised());
    place.run(&["train", "old/configs/c.json", "--out", "old/runs/a", "--quiet"]).done();
    evaluated(place, place.path(), &["eval", "old/runs/a", "--json"])
}

/// The measurements of `eval`.
fn evaluated(place: &Place, folder: &Path, arguments: &[&str]) -> Value {
    let said = place.run_in(folder, arguments).json();
    let measured = ["test_accuracy", "correct", "samples", "loss", "readouts"];
    measured.into_iter().map(|key| (key.to_owned(), said[key].clone())).collect()
}

/// Every command that opens a run again.
#[track_caller]
fn works(place: &Place, run: &Path, more: &[&str], expected: &Value, reference: &Path) {
    let elsewhere = tempfile::tempdir().unwrap();
    let name = run.display().to_string();
    let elsewhere = elsewhere.path();
    assert_eq!(evaluated(place, elsewhere, &[&["eval", &name, "--json"], more].concat()), *expected);
    place.run_in(elsewhere, &[&["export", &name, "--out", "exported"], more].concat()).done();
    assert!(fs::read(elsewhere.join("exported")).unwrap() == weights(reference), "the export differs");
    rewind(run);
    place.run_in(elsewhere, &[&["train", "--resume", &name, "--quiet"], more].concat()).done();
    same(run, reference);
}

#[test]
fn a_run_that_was_moved_with_its_data_goes_on() {
    let place = Place::new();
    let expected = trained(&place);
    let path = read_json(&place.file("old/runs/a/config.json"))["data"]["path"].as_str().unwrap().to_owned();
    assert!(Path::new(&path).is_relative(), "{path}");
    super::copy(&place.file("old"), &place.file("reference"));
    fs::rename(place.file("old"), place.file("new")).unwrap();
    works(&place, &place.file("new/runs/a"), &[], &expected, &place.file("reference/runs/a"));
    // Resumed there, and then moved again.
    fs::rename(place.file("new"), place.file("newer")).unwrap();
    works(&place, &place.file("newer/runs/a"), &[], &expected, &place.file("reference/runs/a"));
}

#[test]
fn a_run_that_was_moved_away_from_its_data_finds_them() {
    let place = Place::new();
    let expected = trained(&place);
    super::copy(&place.file("old/runs/a"), &place.file("reference"));
    fs::create_dir_all(place.file("deep/er")).unwrap();
    fs::rename(place.file("old/runs/a"), place.file("deep/er/run")).unwrap();
    works(&place, &place.file("deep/er/run"), &[], &expected, &place.file("reference"));
}

#[test]
fn data_that_were_moved_are_given_by_hand() {
    let place = Place::new();
    let expected = trained(&place);
    super::copy(&place.file("old/runs/a"), &place.file("reference"));
    fs::rename(place.file("old/runs/a"), place.file("run")).unwrap();
    fs::create_dir_all(place.file("sets")).unwrap();
    fs::rename(place.file("old/configs/set"), place.file("sets/set")).unwrap();
    fs::remove_dir_all(place.file("old")).unwrap();
    let refused = place.run(&["eval", "run"]);
    assert!(refused.failed(2).contains("found no such folder"), "{}", refused.err);
    // The folder of the data set, or its parent folder.
    for folder in ["sets/set", "sets"] {
        let folder = place.file(folder).display().to_string();
        works(&place, &place.file("run"), &["--data", &folder], &expected, &place.file("reference"));
    }
    // The path was given explicitly, so the data are found again.
    assert_eq!(evaluated(&place, place.path(), &["eval", "run", "--json"]), expected);
    // There are other data at the path in the config. The path given on the command line takes precedence, and is rejected if
    // it contains another data set.
    idx_folder(&place.file("old/configs/set"), 60, 40);
    assert_eq!(evaluated(&place, place.path(), &["eval", "run", "--json", "--data", "sets"]), expected);
    let refused = place.run(&["eval", "run", "--data", "old/configs/set"]);
    assert!(refused.failed(2).contains("was begun with other data"), "{}", refused.err);
    assert!(place.run(&["eval", "run", "--data", "nowhere"]).failed(2).starts_with("nowhere/"));
}

#[test]
fn a_trained_network_needs_no_training_data() {
    let place = Place::new();
    let expected = trained(&place);
    fs::rename(place.file("old/runs/a"), place.file("run")).unwrap();
    fs::rename(place.file("old/configs/set"), place.file("set")).unwrap();
    fs::remove_dir_all(place.file("old")).unwrap();
    let images = fs::read(place.file("set/train-images-idx3-ubyte")).unwrap();
    for file in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"] {
        fs::remove_file(place.file("set").join(file)).unwrap();
    }
    // The test needs only the test images.
    assert_eq!(evaluated(&place, place.path(), &["eval", "run", "--json", "--data", "set"]), expected);
    assert_eq!(place.run(&["predict", "run", "set/t10k-images-idx3-ubyte"]).done().lines().count(), 20);
    fs::rename(place.file("set/t10k-images-idx3-ubyte"), place.file("images")).unwrap();
    fs::remove_dir_all(place.file("set")).unwrap();
    // The other commands need no images.
    let said = place.run(&["predict", "run", "images"]);
    let right = said.done().lines().enumerate().filter(|(i, line)| line.split('\t').nth(1) == Some(["0", "1"][i % 2]));
    assert_eq!(json!(right.count()), expected["correct"]);
    place.run(&["export", "run", "--out", "exported"]).done();
    assert!(fs::read(place.file("exported")).unwrap() == weights(&place.file("run")));
    // The description of the inputs in the exported file: the constants of the training images, by definition.
    let bytes = fs::read(place.file("exported")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let said = header["__metadata__"]["burn_forward_model"].as_str().unwrap();
    let model: Value = serde_json::from_str(said).unwrap();
    assert_eq!(model, read_json(&place.file("run/model.json")));
    assert_eq!(model["input"], json!({"maps": {"channels": 1, "height": 4, "width": 4}}));
    assert_eq!((&model["classes"], &model["pixels"]["scale"]), (&json!(2), &json!(255.0)));
    let pixels: Vec<f64> = images[16..].iter().map(|p| f64::from(*p) / 255.0).collect();
    let mean = pixels.iter().sum::<f64>() / pixels.len() as f64;
    let variance = pixels.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / pixels.len() as f64;
    for (key, expected) in [("mean", mean), ("std", variance.sqrt())] {
        let said = model["pixels"][key][0].as_f64().unwrap();
        assert!((said - expected).abs() < 1e-9, "{key}: {said}, {expected}");
    }
}

#[test]
fn what_a_network_takes_is_written_before_the_first_step() {
    let place = Place::new();
    let blowing = json!({"data": {"pixel-normalisation": {"mean": [0.5], "std": [1e-300]}}});
    place.config("c.json", &config(json!({"name": "mono-forward"}), blowing));
    place.run(&["train", "c.json", "--out", "run", "--quiet"]).failed(1);
    let model = read_json(&place.file("run/model.json"));
    assert_eq!(model["pixels"], json!({"scale": 16.0, "mean": [0.5], "std": [1e-300]}));
    assert_eq!(model["class_names"][9], "9");
}

#[test]
fn a_data_folder_that_was_moved_with_the_run_is_found_again() {
    let place = Place::new();
    idx_folder(&place.file("old/sets/mnist"), 60, 20);
    let data = json!({"data": {"name": "mnist"}, "network": {"widths": [8]}});
    place.config("c.json", &config(json!({"name": "mono-forward"}), data));
    place.run(&["train", "c.json", "--out", "old/run", "--quiet", "--data", "old/sets"]).done();
    fs::rename(place.file("old"), place.file("new")).unwrap();
    place.run(&["eval", "new/run"]).done();
}

/// A run from before run folders contained descriptions of their networks.
#[test]
fn a_run_without_a_description_of_its_network_is_opened_with_its_data() {
    let place = Place::new();
    let expected = trained(&place);
    fs::remove_file(place.file("old/runs/a/model.json")).unwrap();
    assert_eq!(evaluated(&place, place.path(), &["eval", "old/runs/a", "--json"]), expected);
    place.run(&["export", "old/runs/a", "--out", "exported"]).done();
}
