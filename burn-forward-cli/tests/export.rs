//! An independent reader that runs an exported file gets the logits that the program predicts.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod program;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use burn_forward_testing::skip;
use program::{Place, checkout, config, idx, images, merge, normalised};
use serde_json::{Value, json};

const SAMPLES: usize = 40;

/// A Python with the packages that the reader needs.
fn python() -> Option<String> {
    let python = std::env::var("BURN_FORWARD_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut command = Command::new(&python);
    command.args(["-c", "import numpy, safetensors"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|s| s.success()).then_some(python)
}

/// A safetensors file with one tensor: the length of the header, the header, the values.
fn write_tensor(path: &Path, name: &str, shape: &[usize], values: &[f32]) {
    let header = json!({name: {"dtype": "F32", "shape": shape, "data_offsets": [0, values.len() * 4]}}).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    fs::write(path, bytes).unwrap();
}

/// The values and shape of a safetensors file with one matrix.
fn read_matrix(path: &Path, name: &str) -> (Value, Vec<f32>) {
    let bytes = fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    assert_eq!(header[name]["dtype"], "F32");
    let values = bytes[8 + length..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    (header[name]["shape"].clone(), values)
}

/// Names of the tensors in a safetensors file.
fn tensors(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    header.as_object().unwrap().keys().filter(|k| *k != "__metadata__").cloned().collect()
}

/// Asserts that a Python reader of the run `name`, exported to `model`, gets the scores that the program predicts, for the
/// images in the files `images` (for the program) and `inputs` (for the reader).
#[track_caller]
fn assert_same_logits(place: &Place, name: &str, python: &str, reader: &[&str], samples: usize, classes: usize) {
    assert_eq!(place.run(&["export", name, "--out", "model", "--force"]).done(), "model\n");
    let script = checkout().join("burn-forward-train/tests/python").join(reader[0]);
    let output = Command::new(python)
        .current_dir(place.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(&script)
        .args(&reader[1..])
        .args(["model", "inputs", "logits"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let (shape, logits) = read_matrix(&place.file("logits"), "logits");
    assert_eq!(shape, json!([samples, classes]), "{name}");

    let said = place.run(&["predict", name, "images", "--json"]);
    let scores: Vec<f64> = said
        .done()
        .lines()
        .flat_map(|line| serde_json::from_str::<Value>(line).unwrap()["scores"].as_array().unwrap().clone())
        .map(|s| s.as_f64().unwrap())
        .collect();
    assert_eq!(scores.len(), logits.len());
    let size = scores.iter().fold(1.0f64, |size, s| size.max(s.abs()));
    // `total_cmp` treats NaN as the largest number; `f64::max` would ignore it.
    let worst = scores.iter().zip(&logits).map(|(s, l)| (s - f64::from(*l)).abs()).max_by(f64::total_cmp).unwrap();
    // Relative to the largest score, since sums of squares over hundreds of units are far from 1.
    assert!(worst <= 1e-4 * size, "{name}: the scores differ by {worst}, the largest is {size}");
    let (low, high) = scores.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), s| (a.min(*s), b.max(*s)));
    assert!(high - low > 1e-3, "{name}: all scores are the same, which would prove nothing");
}

/// The Python to use; without one, the test is skipped.
fn python_or_skip() -> Option<String> {
    let python = python();
    if python.is_none() {
        skip::without_tool("Python with numpy and safetensors (BURN_FORWARD_PYTHON can name one)");
    }
    python
}

/// Writes images like the digits for the program and for a reader.
fn write_digits(place: &Place) {
    let pixels = images(SAMPLES);
    fs::write(place.file("images"), idx(&[SAMPLES, 8, 8], &pixels)).unwrap();
    let inputs: Vec<f32> = pixels.iter().map(|p| f32::from(*p) / 16.0).collect();
    write_tensor(&place.file("inputs"), "inputs", &[SAMPLES, 64], &inputs);
}

/// The file contains the constants of the pixel normalisation, so a reader can use the images without further information.
#[test]
fn the_export_says_how_pixels_become_inputs() {
    let Some(python) = python_or_skip() else { return };
    let place = Place::new();
    let pixels = images(SAMPLES);
    fs::write(place.file("images"), idx(&[SAMPLES, 8, 8], &pixels)).unwrap();
    let pixels: Vec<f32> = pixels.iter().map(|p| f32::from(*p)).collect();
    write_tensor(&place.file("inputs"), "pixels", &[SAMPLES, 1, 8, 8], &pixels);
    for (name, normalise) in [
        ("unit", json!("unit")),
        ("standardise", json!("standardise")),
        ("given", json!({"mean": [0.25], "std": [0.125]})),
    ] {
        place
            .train(name, &config(json!({"name": "mono-forward"}), json!({"data": {"pixel-normalisation": normalise}})));
        assert_same_logits(&place, name, &python, &["forward_from_safetensors.py"], SAMPLES, 10);
    }
}

#[test]
fn the_export_means_what_the_network_does() {
    let Some(python) = python_or_skip() else { return };
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
        ("mono-mean", mono(json!({"readout": "mean"}), three.clone())),
        ("mono-weighted", mono(json!({"readout": "weighted"}), three.clone())),
        ("mono-sip", mono(json!({"readout": "sip"}), three.clone())),
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
                hinton(json!({"label-injection": {"name": "overlay", "strength": 2.0}})),
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
    write_digits(&place);
    for (name, mut config) in cases {
        merge(&mut config, json!({"training": {"epochs": 1}}));
        let run = place.train(name, &config);
        assert_same_logits(&place, name, &python, &["forward_from_safetensors.py"], SAMPLES, 10);
        let written = fs::read(run.join("model.safetensors")).unwrap();
        assert!(fs::read(place.file("model")).unwrap() == written, "{name}: train and export write the same file");
    }
}

#[test]
fn the_export_has_the_blocks_that_its_readout_reads() {
    let Some(python) = python_or_skip() else { return };
    let place = Place::new();
    write_digits(&place);
    let network = json!({"network": {"widths": [40, 36, 32, 28]}, "training": {"epochs": 1}});
    let run = place.train("sip", &config(json!({"name": "mono-forward", "readout": "sip", "bias": true}), network));
    for (first, last) in [(1, 2), (0, 1), (2, 2), (3, 3), (0, 3)] {
        fs::write(run.join("readout.json"), json!({"first": first, "last": last}).to_string()).unwrap();
        assert_same_logits(&place, "sip", &python, &["forward_from_safetensors.py"], SAMPLES, 10);
        let layers = |name: &str| tensors(&place.file("model")).iter().filter(|t| t.starts_with(name)).count();
        // Each has a weight and a bias.
        assert_eq!(layers("layers."), 2 * (last + 1), "{first} to {last}");
        assert_eq!(layers("head"), 2 * (last - first + 1), "{first} to {last}");
    }
}

#[test]
fn convolutional_networks_export_what_their_public_names_mean() {
    let Some(python) = python_or_skip() else { return };
    const IMAGES: usize = 8;
    // Maps of 20, 10, 5 and 3 pixels: strides over even and odd sides.
    const SHAPE: [usize; 3] = [3, 20, 20];
    let length = SHAPE.iter().product::<usize>();
    let pixels = |n: usize| -> Vec<u8> { images(n * length / 64 + 1)[..n * length].iter().map(|p| p * 15).collect() };
    let place = Place::new();
    for (part, n) in [("train", 48), ("t10k", IMAGES)] {
        let labels: Vec<u8> = (0..n).map(|i| (i % 4) as u8).collect();
        fs::create_dir_all(place.file("set")).unwrap();
        let [c, h, w] = SHAPE;
        fs::write(place.file(&format!("set/{part}-images-idx4-ubyte")), idx(&[n, c, h, w], &pixels(n))).unwrap();
        fs::write(place.file(&format!("set/{part}-labels-idx1-ubyte")), idx(&[n], &labels)).unwrap();
    }
    fs::copy(place.file("set/t10k-images-idx4-ubyte"), place.file("images")).unwrap();
    let inputs: Vec<f32> = pixels(IMAGES).iter().map(|p| f32::from(*p) / 255.0).collect();
    write_tensor(&place.file("inputs"), "inputs", &[IMAGES, SHAPE[0], SHAPE[1], SHAPE[2]], &inputs);

    let resnet = json!({"name": "resnet", "depth": 18, "width": 0.25});
    let mobilenet = json!({"name": "mobilenet-v3", "size": "small", "width": 0.5});
    for (name, architecture, network, rule) in [
        ("resnet18", "resnet18", &resnet, json!({"name": "backprop"})),
        ("resnet18-local", "resnet18", &resnet, json!({"name": "mono-forward", "bias": true})),
        ("mobilenet-v3", "mobilenet_v3_small", &mobilenet, json!({"name": "backprop"})),
        ("mobilenet-v3-local", "mobilenet_v3_small", &mobilenet, json!({"name": "mono-forward"})),
    ] {
        let mut network = network.clone();
        network["partition"] = json!(if name.ends_with("local") { "residual" } else { "whole" });
        let config = json!({
            "data": {"name": "idx", "path": "set", "validation": 0.0},
            "network": network,
            "rule": rule,
            "training": {"epochs": 1, "batch-size": 16},
            "optimizer": {"name": "adam", "lr": 0.003},
        });
        place.train(name, &config);
        assert_same_logits(&place, name, &python, &["forward_torchvision.py", architecture], IMAGES, 4);
    }
}
