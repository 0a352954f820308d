//! Runs that cannot continue, and folders that are not runs.

use std::fs;

use serde_json::{Value, json};

use super::mono;
use super::program::{self, Place, config, idx, read_json};

/// A weight decay of 1 with a rate of 3 multiplies every weight by -2 in every step. After about 128 steps, the weights exceed
/// the range of `f32`. This happens in the fourth epoch at the latest, since an epoch has 41 steps. The first epochs are fine.
fn diverging() -> Value {
    let optimizer = json!({"name": "sgd", "lr": 3.0, "weight-decay": 1.0});
    let mut value = config(json!({"name": "backprop"}), json!({"network": {"widths": [8]}, "training": {"epochs": 9}}));
    value["optimizer"] = optimizer;
    value
}

#[test]
fn a_loss_that_is_no_number_stops_the_run() {
    let place = Place::new();
    place.config("c.json", &diverging());
    let said = place.run(&["train", "c.json", "--out", "run", "--quiet"]);
    let message = said.failed(1);
    let saved = *program::saved_models(&place.file("run")).last().expect("an epoch was fine");
    assert!(
        message.starts_with("the loss of block 0 became NaN in epoch ")
            || message.starts_with("the loss of block 0 became inf in epoch "),
        "{message}"
    );
    assert!(message.contains(&format!("in epoch {}, step ", saved + 1)), "{message}");
    let rest = format!(
        "; the last good weights are those of epoch {saved} in run/checkpoint/model-{saved}.bpk; a lower optimizer.lr or \
         an optimizer.clip may help"
    );
    assert!(message.ends_with(&rest), "{message}");
    assert_eq!(read_json(&place.file("run/run.json"))["status"], "failed");
    assert!(!place.file("run/summary.json").exists());
    // The weights of the last good checkpoint can be used, and the resumed run fails at the same step.
    assert!(place.run(&["eval", "run", "--json"]).json()["loss"].as_f64().unwrap().is_finite());
    assert_eq!(place.run(&["train", "--resume", "run", "--quiet"]).failed(1), message);

    let blowing = json!({"data": {"pixel-normalisation": {"mean": [0], "std": [1e-300]}}});
    place.config("d.json", &mono(blowing));
    let said = place.run(&["train", "d.json", "--out", "first", "--quiet"]);
    assert!(
        said.failed(1).ends_with("in epoch 1, step 1; no epoch was finished, so nothing is saved; a lower optimizer.lr or an optimizer.clip may help"),
        "{}",
        said.err
    );
}

#[test]
fn run_folders() {
    let place = Place::new();
    for command in [vec!["eval", "x"], vec!["export", "x"], vec!["predict", "x", "y"], vec!["train", "--resume", "x"]] {
        let said = place.run(&command);
        assert_eq!(said.failed(2), "run folder x: found no config.json; needed: a folder that `train` created");
    }
    assert_eq!(place.run(&["report", "x"]).failed(2), "run folder x: there is no such folder");

    place.config("c.json", &mono(json!({})));
    let run = place.train("run", &mono(json!({})));
    let said = place.run(&["predict", "run", "c.json"]);
    assert!(said.failed(2).starts_with("c.json: found magic number 0x"), "{}", said.err);
    fs::write(place.file("wide"), idx(&[1, 8, 9], &[0; 72])).unwrap();
    assert_eq!(
        place.run(&["predict", "run", "wide"]).failed(2),
        "wide: found images of [1, 8, 9]; needed images of [1, 8, 8], as the run was trained on (channels, height, width)"
    );
    fs::remove_dir_all(run.join("checkpoint")).unwrap();
    for command in [vec!["eval", "run"], vec!["export", "run"]] {
        let said = place.run(&command);
        assert_eq!(said.failed(2), "run folder run: has no intact checkpoint yet; needed: at least one finished epoch");
    }
    fs::write(run.join("config.json"), "{").unwrap();
    let said = place.run(&["eval", "run"]);
    assert!(said.failed(2).starts_with("run folder run: config.json is damaged: EOF while parsing"), "{}", said.err);
}
