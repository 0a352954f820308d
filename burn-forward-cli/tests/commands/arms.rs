//! The arms of `compare`: their names, and what happens to the other arms when one fails.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{lines, mono};
use crate::program::{Place, config, idx_folder, read_json};

fn short(changes: Value) -> Value {
    let mut value = mono(json!({"training": {"epochs": 1}, "network": {"widths": [8]}}));
    crate::program::merge(&mut value, changes);
    value
}

#[test]
fn arms_have_names_of_their_own() {
    let place = Place::new();
    for name in ["a/c.json", "b/c.json", "d/c.json", "backprop.json", "d/Deep-supervision.json"] {
        place.config(name, &short(json!({})));
    }
    let configs = ["a/c.json", "b/c.json", "d/c.json", "backprop.json", "d/Deep-supervision.json"];
    let arguments = [&["compare"], &configs[..], &["--seeds", "1", "--out", "out", "--json"]].concat();
    let said = place.run(&arguments);
    let arms: Vec<Value> = lines(said.done());
    let named: Vec<(&str, &str)> =
        arms.iter().map(|a| (a["arm"].as_str().unwrap(), a["rule"].as_str().unwrap())).collect();
    let expected = [
        ("mono-forward", "mono-forward"),
        ("c", "mono-forward"),
        ("c-2", "mono-forward"),
        ("backprop-2", "mono-forward"),
        ("Deep-supervision-2", "mono-forward"),
        ("backprop", "backprop"),
        ("deep-supervision", "deep-supervision"),
    ];
    assert_eq!(named, expected);
    for (name, rule) in expected {
        assert_eq!(read_json(&place.file(&format!("out/{name}-seed0/config.json")))["rule"]["name"], rule);
    }
    // Different settings with the same names are still rejected.
    place.config("d/c.json", &short(json!({"optimizer": {"lr": 0.1}})));
    assert!(place.run(&arguments).failed(1 + 1).contains("c-2-seed0: contains a run of another config"));
}

#[test]
fn what_refuses_one_arm_or_seed_refuses_all_before_any_is_trained() {
    let place = Place::new();
    place.config("a.json", &short(json!({})));
    place.config("b.json", &short(json!({"rule": {"name": "dfa"}})));
    place.run(&["compare", "b.json", "--seeds", "1", "--out", "out"]).done();
    place.config("b.json", &short(json!({"rule": {"name": "dfa"}, "optimizer": {"lr": 0.1}})));
    let said = place.run(&["compare", "a.json", "b.json", "--seeds", "1", "--out", "out"]);
    assert!(said.failed(2).contains("contains a run of another config"), "{}", said.err);
    assert!(!place.file("out/mono-forward-seed0").exists());
    let seed = (u64::MAX - 1).to_string();
    let said = place.run(&["compare", "a.json", "--seeds", "3", "--seed", &seed, "--out", "seeds"]);
    assert!(said.failed(2).starts_with("--seeds 3: seeds start at"), "{}", said.err);
    assert!(!place.file("seeds").exists());
}

#[test]
fn arms_with_other_data_are_spoken_of() {
    let place = Place::new();
    place.config("a.json", &short(json!({})));
    place.config("b.json", &short(json!({"rule": {"name": "dfa"}, "data": {"validation": 0.2}})));
    let said = place.run(&["compare", "a.json", "b.json", "--seeds", "1", "--out", "out"]);
    said.done();
    assert!(
        said.err
            .starts_with("warning: 'dfa' and 'mono-forward' cannot be compared: they have different data, \"digits\""),
        "{}",
        said.err
    );
    assert_eq!(said.err.matches("cannot be compared").count(), 1, "{}", said.err);
}

#[test]
fn an_arm_that_diverges_is_a_row_that_says_so() {
    let place = Place::new();
    place.config("good.json", &short(json!({})));
    // A weight decay of 1 with a rate of 3 multiplies every weight by -2 in every step.
    let mut diverging =
        config(json!({"name": "backprop"}), json!({"network": {"widths": [8]}, "training": {"epochs": 9}}));
    diverging["optimizer"] = json!({"name": "sgd", "lr": 3.0, "weight-decay": 1.0});
    place.config("diverging.json", &diverging);
    let arguments = ["compare", "good.json", "diverging.json", "--seeds", "2", "--out", "out"];
    let said = place.run(&[&arguments[..], &["--json"]].concat());
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.ends_with("error: 2 of 6 runs failed\n"), "{}", said.err);
    let arms = lines(&said.out);
    assert_eq!(arms.len(), 6, "the other arms run");
    for arm in &arms {
        let failed = arm["failed"].as_str();
        assert_eq!(failed.is_some(), arm["arm"] == "backprop", "{arm}");
        assert_eq!(arm["test_accuracy"].is_number(), failed.is_none(), "{arm}");
        if let Some(reason) = failed {
            assert!(reason.starts_with("the loss of block 0 became ") && reason.contains("in epoch "), "{arm}");
        }
    }
    assert!(place.file("out/report.html").is_file());
    // The same again, as a table.
    let said = place.run(&arguments);
    assert_eq!(said.code, Some(1), "{}", said.err);
    let row = |name: &str| said.out.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let words = |line: String| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(row("backprop "))[..6], ["backprop", "failed", "-", "0", "of", "2"]);
    assert!(row("mono-forward ").contains('%') && row("deep-supervision ").contains('%'), "{}", said.out);
    for seed in [0, 1] {
        assert!(
            row(&format!("backprop seed {seed} failed: the loss of block 0 became ")).contains(", step "),
            "{}",
            said.out
        );
    }
}

/// Paths in a config are relative to its folder, wherever the arms run, and stay valid when everything is moved.
#[test]
fn a_comparison_can_be_moved_with_its_data() {
    let place = Place::new();
    idx_folder(&place.file("old/configs/set"), 60, 20);
    let data = json!({"data": {"name": "idx", "path": "set"}, "training": {"epochs": 1}});
    place.config("old/configs/base.json", &config(json!({"name": "backprop"}), data.clone()));
    place.run(&["train", "old/configs/base.json", "--out", "old/base", "--quiet"]).done();
    fs::copy(place.file("old/base/model.safetensors"), place.file("old/configs/w")).unwrap();
    let mut value = mono(data);
    value["weights"] = json!({"file": "w", "classifier": false});
    place.config("old/configs/c.json", &value);
    place.run(&["compare", "old/configs/c.json", "--seeds", "1", "--out", "old/out"]).done();
    for arm in ["mono-forward", "backprop", "deep-supervision"] {
        let written = read_json(&place.file(&format!("old/out/{arm}-seed0/config.json")));
        for path in [&written["data"]["path"], &written["weights"]["file"]] {
            assert!(Path::new(path.as_str().unwrap()).is_relative(), "{arm}: {path}");
        }
    }
    fs::rename(place.file("old"), place.file("new")).unwrap();
    for arm in ["mono-forward", "backprop", "deep-supervision"] {
        place.run(&["eval", &format!("new/out/{arm}-seed0")]).done();
    }
    place.run(&["train", "new/out/backprop-seed0.json", "--out", "again", "--quiet"]).done();
}

#[test]
fn baselines_have_the_blocks_and_the_budget_of_the_first_arm() {
    let place = Place::new();
    let blocks_of = |arm: &str| {
        let run = place.file(&format!("{arm}-seed0"));
        read_json(&run.join("summary.json"))["blocks"].as_array().unwrap().len()
    };
    let epochs_of =
        |arm: &str| read_json(&place.file(&format!("{arm}-seed0/config.json")))["training"]["epochs"].as_u64().unwrap();
    // Back-propagation trains one block; deep supervision has the two blocks of the config.
    let layers = json!({"network": {"widths": [8, 8]}, "training": {"epochs": 1}});
    place.config("one.json", &config(json!({"name": "backprop"}), layers.clone()));
    place.run(&["compare", "one.json", "--seeds", "1", "--out", "one"]).done();
    assert_eq!((blocks_of("one/backprop"), blocks_of("one/deep-supervision")), (1, 2));

    let mut greedy = mono(layers);
    crate::program::merge(&mut greedy, json!({"schedule": {"name": "greedy"}, "training": {"epochs": 2}}));
    place.config("greedy.json", &greedy);
    let said = place.run(&["compare", "greedy.json", "--seeds", "1", "--out", "greedy"]);
    said.done();
    assert!(
        said.err
            .contains("the budget is measured in epochs: the greedy arm 'mono-forward' trains every block for up to 2"),
        "{}",
        said.err
    );
    assert_eq!((epochs_of("greedy/backprop"), epochs_of("greedy/deep-supervision")), (4, 4));
}
