//! An exported file, run by a reader that shares nothing with us, gives the logits that the program predicts.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod program;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use program::{Place, checkout, config, idx, images, merge, normalised};
use serde_json::{Value, json};

const SAMPLES: usize = 40;

/// The Python that has what the reader needs.
fn python() -> Option<String> {
    let python = std::env::var("BURN_FORWARD_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut command = Command::new(&python);
    command.args(["-c", "import numpy, safetensors"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|s| s.success()).then_some(python)
}

/// A safetensors file of one matrix: the length of the header, the header, the values.
fn write_matrix(path: &Path, name: &str, shape: [usize; 2], values: &[f32]) {
    let header = json!({name: {"dtype": "F32", "shape": shape, "data_offsets": [0, values.len() * 4]}}).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    fs::write(path, bytes).unwrap();
}

/// The values of a safetensors file of one matrix, and its shape.
fn read_matrix(path: &Path, name: &str) -> (Value, Vec<f32>) {
    let bytes = fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    assert_eq!(header[name]["dtype"], "F32");
    let values = bytes[8 + length..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    (header[name]["shape"].clone(), values)
}

#[test]
fn the_export_means_what_the_network_does() {
    let Some(python) = python() else {
        println!("skipped: no Python with numpy and safetensors; BURN_FORWARD_PYTHON can name one");
        return;
    };
    let hinton = |changes: Value| {
        let mut rule = json!({"name": "forward-forward"});
        merge(&mut rule, changes);
        config(rule, normalised())
    };
    let with = |mut config: Value, changes: Value| {
        merge(&mut config, changes);
        config
    };
    let three = json!({"network": {"widths": [40, 36, 32]}});
    let every = json!({"network": {"widths": [40, 36, 32], "partition": {"every": 2}}});
    let mono = |rule: Value, changes: Value| {
        let mut all = json!({"name": "mono-forward"});
        merge(&mut all, rule);
        config(all, changes)
    };
    let cases = [
        ("mono-last", mono(json!({}), json!({"network": {"dropout": 0.3}}))),
        ("mono-sum-bias", mono(json!({"readout": "sum", "bias": true}), three.clone())),
        ("mono-blocks", mono(json!({"readout": "sum"}), every.clone())),
        ("layer-norm-gelu", mono(json!({}), json!({"network": {"normalisation": "layer-norm", "activation": "gelu"}}))),
        ("l2-leaky-relu", mono(json!({}), json!({"network": {"normalisation": "l2", "activation": "leaky-relu"}}))),
        ("greedy", mono(json!({}), json!({"schedule": {"name": "greedy"}}))),
        ("backprop", config(json!({"name": "backprop"}), three.clone())),
        ("deep-supervision", config(json!({"name": "deep-supervision", "readout": "sum"}), every.clone())),
        ("dfa", config(json!({"name": "dfa"}), json!({"network": {"activation": "tanh"}}))),
        ("drtp", config(json!({"name": "drtp"}), json!({"network": {"activation": "tanh"}}))),
        ("hinton-energy", hinton(json!({}))),
        ("hinton-softmax", hinton(json!({"readout": "softmax"}))),
        (
            "hinton-blocks",
            with(
                hinton(json!({"label": {"name": "overlay", "strength": 2.0}})),
                with(every.clone(), json!({"network": {"widths": [40, 36, 32, 28]}})),
            ),
        ),
        ("pezeshki", hinton(json!({"preset": "pezeshki", "goodness": "length"}))),
        (
            "layer-norm-overlay",
            with(hinton(json!({"goodness": "mean"})), json!({"network": {"normalisation": "layer-norm"}})),
        ),
        ("ff-plus", hinton(json!({"preset": "ff-plus"}))),
        ("ff-plus-softmax", with(hinton(json!({"preset": "ff-plus", "readout": "softmax"})), three)),
        ("ff-plus-blocks", with(hinton(json!({"preset": "ff-plus", "goodness": "top-k"})), every)),
        ("entmax", hinton(json!({"preset": "ff-plus", "goodness": "entmax"}))),
    ];
    let place = Place::new();
    let pixels = images(SAMPLES);
    fs::write(place.file("images"), idx(&[SAMPLES, 8, 8], &pixels)).unwrap();
    let inputs: Vec<f32> = pixels.iter().map(|p| f32::from(*p) / 16.0).collect();
    write_matrix(&place.file("inputs"), "inputs", [SAMPLES, 64], &inputs);
    let reader = checkout().join("burn-forward/tests/python/forward_from_safetensors.py");
    for (name, mut config) in cases {
        merge(&mut config, json!({"training": {"epochs": 1}}));
        let run = place.train(name, &config);
        let written = fs::read(run.join("model.safetensors")).unwrap();
        assert_eq!(place.run(&["export", name, "--out", "model"]).done(), "model\n");
        assert!(fs::read(place.file("model")).unwrap() == written, "{name}: train and export write the same file");

        let output = Command::new(&python)
            .current_dir(place.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(&reader)
            .args(["model", "inputs", "logits"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let (shape, logits) = read_matrix(&place.file("logits"), "logits");
        assert_eq!(shape, json!([SAMPLES, 10]), "{name}");

        let said = place.run(&["predict", name, "images", "--json"]);
        let scores: Vec<f64> = said
            .done()
            .lines()
            .flat_map(|line| serde_json::from_str::<Value>(line).unwrap()["scores"].as_array().unwrap().clone())
            .map(|s| s.as_f64().unwrap())
            .collect();
        assert_eq!(scores.len(), logits.len());
        let size = scores.iter().fold(1.0f64, |size, s| size.max(s.abs()));
        let worst = scores.iter().zip(&logits).map(|(s, l)| (s - f64::from(*l)).abs()).fold(0.0, f64::max);
        // Relative to the largest score: sums of squares over hundreds of units are far from 1.
        assert!(worst <= 1e-4 * size, "{name}: the scores differ by {worst}, the largest is {size}");
        let spread = scores.iter().fold(f64::INFINITY, |a, s| a.min(*s));
        assert!(size - spread > 1e-3, "{name}: all scores are the same, which would prove nothing");
    }
}
