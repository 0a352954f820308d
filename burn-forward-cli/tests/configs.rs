//! Every config in `configs/` is checked and planned, and run for some steps if its data are present.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod program;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn_forward::data::DataFolders;
use burn_forward_testing::skip;
use program::{Place, checkout, read_json};
use serde_json::Value;

fn configs(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(configs(&path));
        } else if path.extension().is_some_and(|e| e == "json") {
            all.push(path);
        }
    }
    all.sort();
    all
}

#[test]
fn every_shipped_config_is_checked_planned_and_stepped() {
    let place = Place::new();
    let configs = configs(&checkout().join("configs"));
    assert!(configs.len() >= 15, "configs are missing");
    let names: Vec<String> = configs.iter().map(|p| p.display().to_string()).collect();
    let arguments: Vec<&str> = std::iter::once("check").chain(names.iter().map(String::as_str)).collect();
    assert_eq!(place.run(&arguments).done().lines().filter(|l| l.contains(": ok (")).count(), configs.len());

    // The data folder of this machine, which the other tests of the program do not use.
    let data = DataFolders::new(None, None).environment.map(|folder| folder.display().to_string());
    let mut without_data: BTreeMap<String, usize> = BTreeMap::new();
    for (path, name) in configs.iter().zip(&names) {
        let config = read_json(path);
        let plain = ["train", name, "--dry-run", "--set", "training.batch-size=4"];
        let is_missing = |said: &program::Said| {
            said.code == Some(2) && ["no such f", "found neither"].iter().any(|words| said.err.contains(words))
        };
        let mut said = place.run(&plain);
        if let Some(folder) = data.as_ref().filter(|_| is_missing(&said)) {
            said = place.run(&[&plain[..], &["--data", folder]].concat());
        }
        if is_missing(&said) && config["data"]["name"] != "digits" {
            *without_data.entry(config["data"]["name"].to_string()).or_default() += 1;
            continue;
        }
        let out = said.done();
        assert!(out.starts_with("block ") && out.contains("\npartition "), "{name}: {out}");
        let losses: Vec<&str> = out.lines().filter(|l| l.starts_with("batch ")).collect();
        assert!(losses.len() == 2 && losses.iter().all(|l| l.contains("loss block 0 ")), "{name}: {out}");
        assert!(losses.iter().all(|l| !l.contains("NaN") && !l.contains("inf")), "{name}: {out}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "a dry run leaves nothing");
    for (name, count) in without_data {
        skip::because(format!("{count} configs are not stepped: no data set {name} in BURN_FORWARD_DATA"));
    }
}

/// The measurements that a config states, by variant of the config, with the runs that they come from.
fn measurements(measured: &Value) -> Vec<(&Value, &str)> {
    let nested = measured.as_object().into_iter().flatten().flat_map(|(_, value)| measurements(value));
    measured["run"].as_str().map(|run| (measured, run)).into_iter().chain(nested).collect()
}

#[test]
fn a_config_that_names_a_measurement_has_its_run_in_the_checkout() {
    let mut checked = 0;
    for path in configs(&checkout().join("configs")) {
        let config = read_json(&path);
        for (stated, run) in measurements(&config["measured"]) {
            let run = checkout().join(run);
            // Either one run, or a folder with one run per seed or split, whose mean is stated.
            let runs = match run.join("summary.json").is_file() {
                true => vec![run.clone()],
                false => fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().path()).collect(),
            };
            for (said, key) in [("test-accuracy", "test_accuracy"), ("roc-auc", "roc_auc")] {
                let Some(said) = stated[said].as_f64() else { continue };
                let of_run = |run: &PathBuf| read_json(&run.join("summary.json"))[key].as_f64().unwrap();
                let mean = runs.iter().map(of_run).sum::<f64>() / runs.len() as f64;
                let place = format!("{} and {}", path.display(), run.display());
                assert!((said - mean).abs() <= 0.00005 + 1e-9, "{place}: stated {said}, measured {mean}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 15, "{checked} measurements");
}
