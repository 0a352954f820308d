//! The requirements of a run on its samples are checked before it trains.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::program::{Place, config, idx, idx_folder, merge, read_json, weights};

/// `train` training images of 4x4 pixels in two classes and 4 test images, in the folder `set`.
fn on_images(place: &Place, train: usize, changes: Value) -> Value {
    idx_folder(&place.file("set"), train, 4);
    let mut value = config(json!({"name": "mono-forward"}), json!({"network": {"widths": [8, 8]}}));
    merge(&mut value, json!({"data": {"name": "idx", "path": "set"}, "training": {"epochs": 1, "batch-size": 16}}));
    merge(&mut value, changes);
    value
}

/// A path of eight nodes in two classes, whose split contains no validation node, in the folder `graph`.
fn graph_folder(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let lines = |head: &str, line: &dyn Fn(usize) -> String| {
        let lines: Vec<String> = (0..8).map(line).collect();
        format!("{head}\n{}\n", lines.join("\n"))
    };
    let edges = lines("source,target", &|i| format!("{i},{}", (i + 1) % 8));
    let labels = lines("node,label", &|i| format!("{i},{}", i % 2));
    let split = lines("node,part", &|i| format!("{i},{}", if i < 6 { "train" } else { "test" }));
    for (name, text) in [("edges.csv", edges), ("labels.csv", labels), ("parts.csv", split)] {
        fs::write(folder.join(name), text).unwrap();
    }
}

fn on_graph(place: &Place, changes: Value) -> Value {
    graph_folder(&place.file("graph"));
    let mut value = json!({
        "data": {"name": "graph-folder", "path": "graph", "split": "parts"},
        "network": {"name": "gcn", "widths": [4, 4]},
        "rule": {"name": "mono-forward"},
        "training": {"epochs": 1},
        "optimizer": {"name": "adam", "lr": 0.01},
    });
    merge(&mut value, changes);
    value
}

/// Every setting that needs a validation set, with its message.
fn choosing() -> [(Value, &'static str); 6] {
    let greedy = |schedule: Value, training: Value| json!({"schedule": schedule, "training": training});
    [
        (json!({"training": {"final-weights": "best"}}), "$.training.final-weights: \"best\" needs a validation set"),
        (json!({"training": {"patience": 2}}), "$.training.patience: needs a validation set"),
        (json!({"rule": {"readout": "sip"}}), "$.rule.readout: \"sip\" needs a validation set to choose blocks"),
        (
            greedy(json!({"name": "greedy"}), json!({"final-weights": "best"})),
            "$.training.final-weights: \"best\" needs a validation set",
        ),
        (greedy(json!({"name": "greedy", "patience": 1}), json!({})), "$.schedule.patience: needs a validation set"),
        (
            greedy(json!({"name": "greedy"}), json!({"final-weights": "best", "epochs": 2})),
            "$.training.final-weights: \"best\" needs a validation set",
        ),
    ]
}

#[test]
fn what_is_chosen_by_validation_samples_needs_some() {
    for (changes, said) in choosing() {
        let place = Place::new();
        // Four images per class: a tenth of them is rounded to zero.
        place.config("images.json", &on_images(&place, 8, changes.clone()));
        place.config("file.json", &on_graph(&place, changes.clone()));
        let fraction = json!({"data": {"split": {"folds": 4, "validation": 0.05}}});
        let mut value = on_graph(&place, changes);
        merge(&mut value, fraction);
        place.config("fraction.json", &value);
        for (name, sizes) in [
            ("images", "8 training, 0 validation, 4 test images of 1x4x4, 2 classes"),
            ("file", "6 training, 0 validation, 2 test nodes of graph: 8 nodes, "),
            ("fraction", "6 training, 0 validation, 2 test nodes of graph: 8 nodes, "),
        ] {
            let file = format!("{name}.json");
            for arguments in
                [vec!["train", &file], vec!["train", &file, "--dry-run"], vec!["compare", &file], vec!["check", &file]]
            {
                let out = place.run(&arguments);
                let message = out.failed(2);
                let expected = format!("{said}; it is empty: {sizes}");
                assert!(message.contains(&expected), "{arguments:?}: {message}");
                assert!(!place.file("runs").exists(), "{arguments:?}");
            }
        }
    }
}

#[test]
fn without_such_settings_no_validation_set_is_needed_or_spoken_of() {
    let place = Place::new();
    for (name, value) in [
        ("images", on_images(&place, 8, json!({}))),
        ("graph", on_graph(&place, json!({}))),
        ("greedy", on_images(&place, 8, json!({"schedule": {"name": "greedy"}}))),
    ] {
        place.config(&format!("{name}.json"), &value);
        let said = place.run(&["train", &format!("{name}.json"), "--out", &format!("run-{name}")]);
        said.done();
        assert!(said.err.contains("epoch 1/"), "{}", said.err);
        assert!(!said.err.contains("NaN") && !said.out.contains("NaN"), "{}{}", said.err, said.out);
        assert!(!said.err.contains("  validation "), "{}", said.err);
    }
}

/// Convolutions after which maps of 4x4 have 2x2 and then 1x1 values: the third one has a single value per channel and image.
fn pooled(changes: Value) -> Value {
    let mut value = json!({
        "network": {"name": "conv-stack", "channels": [4, 4, 4], "widths": null},
        "data": {"validation": 0},
    });
    merge(&mut value, changes);
    value
}

#[test]
fn no_batch_gives_batch_normalisation_a_single_value() {
    let place = Place::new();
    let run = |train: usize, changes: Value, arguments: &[&str]| {
        let mut value = on_images(&place, train, pooled(changes));
        value["network"].as_object_mut().unwrap().remove("widths");
        place.config("c.json", &value);
        place.run(&[&["train", "c.json", "--quiet"], arguments].concat())
    };
    let single = "gives batch normalisation a single value per channel, which has no variance";
    for arguments in [&[][..], &["--dry-run"]] {
        let said = run(17, json!({}), arguments);
        assert!(place.run(&["check", "c.json"]).failed(2).contains(single));
        assert_eq!(
            said.failed(2),
            format!(
                "c.json: 1 mistake\n  $.training.last-batch: \"keep\" with 17 training samples at \"batch-size\" 16 leaves a last \
                 batch of 1, which {single}; needed: \"drop\", or another \"batch-size\""
            )
        );
        assert!(!place.file("runs").exists());
    }
    let said = run(16, json!({"training": {"batch-size": 1}}), &[]);
    assert_eq!(said.failed(2), format!("c.json: 1 mistake\n  $.training.batch-size: 1 {single}; needed: at least 2"));
    let said = run(16, json!({"training": {"batch-size": 17, "last-batch": "drop"}}), &[]);
    assert_eq!(
        said.failed(2),
        "c.json: 1 mistake\n  $.training.last-batch: \"drop\" leaves no batch of 16 training samples at \"batch-size\" 17; needed: \
         \"keep\", or a \"batch-size\" of at most 16"
    );
    run(17, json!({"training": {"last-batch": "drop"}}), &["--out", "dropped"]).done();
    // With a second image in the last batch there are two values; without batch normalisation none is needed.
    run(18, json!({}), &["--out", "two"]).done();
    run(17, json!({"network": {"batch-norm": false}}), &["--out", "plain"]).done();
    // Maps of 2x2 before the last pool.
    run(17, json!({"network": {"channels": [4, 4]}}), &["--out", "larger"]).done();
    // The normalisation may also be in a rule's heads.
    let mut heads = json!({"rule": {"name": "decoupled-greedy"}, "network": {"batch-norm": false}});
    assert!(run(17, heads.clone(), &[]).failed(2).contains(single));
    heads["training"] = json!({"last-batch": "drop"});
    run(17, heads, &["--out", "heads"]).done();
}

/// A run with 17 images in batches of 16 equals a run with only those 16 images, if the order of the epoch puts the 17th last.
#[test]
fn a_dropped_batch_leaves_no_trace() {
    let place = Place::new();
    let with = |last: &str, schedule: Value| {
        let training = json!({"epochs": 3, "last-batch": last});
        on_images(&place, 17, json!({"data": {"validation": 0}, "training": training, "schedule": schedule}))
    };
    let cached = |cache: bool| json!({"name": "greedy", "cache": cache});
    // The cache and the loader give the same batches.
    for last in ["keep", "drop"] {
        let [a, b] = [true, false].map(|cache| place.train(&format!("{last}-{cache}"), &with(last, cached(cache))));
        assert!(weights(&a) == weights(&b), "{last}");
    }
    let [keep, drop] = ["keep", "drop"].map(|last| place.train(last, &with(last, json!({"name": "simultaneous"}))));
    assert!(weights(&keep) != weights(&drop));
    assert_eq!(read_json(&keep.join("config.json"))["training"]["last-batch"], "keep");
}

#[test]
fn labels_that_start_at_one_are_spoken_of() {
    let place = Place::new();
    let mut value = on_images(&place, 16, json!({}));
    for (part, n) in [("train", 16), ("t10k", 4)] {
        let labels: Vec<u8> = (0..n).map(|i| 1 + (i % 2) as u8).collect();
        fs::write(place.file(&format!("set/{part}-labels-idx1-ubyte")), idx(&[n], &labels)).unwrap();
    }
    place.config("c.json", &value);
    let said = place.run(&["train", "c.json", "--out", "three"]);
    said.done();
    let warning = "warning: $.data.first-label: class 0 has no training image, of 3 classes; labels that do not start at 0 \
                   need the first one here\n";
    assert!(said.err.starts_with(warning), "{}", said.err);
    value["data"]["samples-per-class"] = json!(3);
    place.config("c.json", &value);
    assert_eq!(
        place.run(&["train", "c.json"]).failed(2).lines().last(),
        Some("  $.data.samples-per-class: 3 is out of range; needed: left out, since class 0 has no training image")
    );
    value["data"]["first-label"] = json!(1);
    place.config("c.json", &value);
    let said = place.run(&["train", "c.json", "--out", "two"]);
    said.done();
    assert!(said.err.contains("6 training, 2 validation, 4 test images of 1x4x4, 2 classes"), "{}", said.err);
    assert!(!said.err.contains("warning"), "{}", said.err);
}

#[test]
fn labels_of_nodes_that_start_at_one_are_spoken_of() {
    let place = Place::new();
    place.config("c.json", &on_graph(&place, json!({})));
    let said = place.run(&["train", "c.json", "--dry-run"]);
    said.done();
    assert_eq!(said.err, "");
    let labels: String = (0..8).map(|i| format!("{i},{}\n", 1 + i % 2)).collect();
    fs::write(place.file("graph/labels.csv"), labels).unwrap();
    let said = place.run(&["train", "c.json", "--dry-run"]);
    said.done();
    assert_eq!(
        said.err,
        "warning: $.data: class 0 has no training node, of 3 classes; labels are counted from 0, but no node has label 0\n"
    );
}

#[test]
fn images_in_another_layout() {
    let place = Place::new();
    let value = on_images(&place, 16, json!({}));
    // The same images of 8x8 with three channels, once with interleaved channels and once plane by plane.
    let write = |folder: &str, last: bool| {
        idx_folder(&place.file(folder), 16, 4);
        for (part, n) in [("train", 16), ("t10k", 4)] {
            let pixel = |i: usize, at: usize, channel: usize| ((37 * i + 11 * at + 80 * channel) % 256) as u8;
            let all = |i: usize| -> Vec<u8> {
                match last {
                    true => (0..64).flat_map(|at| (0..3).map(move |c| pixel(i, at, c))).collect(),
                    false => (0..3).flat_map(|c| (0..64).map(move |at| pixel(i, at, c))).collect(),
                }
            };
            let shape = if last { [n, 8, 8, 3] } else { [n, 3, 8, 8] };
            let pixels: Vec<u8> = (0..n).flat_map(all).collect();
            fs::write(place.file(&format!("{folder}/{part}-images-idx3-ubyte")), idx(&shape, &pixels)).unwrap();
        }
    };
    write("first", false);
    write("last", true);
    let of = |folder: &str, layout: Value| {
        let mut value = value.clone();
        value["data"]["path"] = json!(folder);
        merge(&mut value, json!({"data": {"layout": layout}}));
        if layout.is_null() {
            value["data"].as_object_mut().unwrap().remove("layout");
        }
        value
    };
    let runs = [
        place.train("evident", &of("first", Value::Null)),
        place.train("said", &of("first", json!("channels-first"))),
        place.train("turned", &of("last", json!("channels-last"))),
    ];
    assert!(weights(&runs[0]) == weights(&runs[1]) && weights(&runs[0]) == weights(&runs[2]));
    let images = place.file("last/t10k-images-idx3-ubyte");
    let predicted =
        |run: &str, images: &Path| place.run(&["predict", run, images.to_str().unwrap()]).done().to_string();
    assert_eq!(predicted("turned", &images), predicted("said", &place.file("first/t10k-images-idx3-ubyte")));
    place.config("c.json", &of("last", Value::Null));
    assert_eq!(
        place.run(&["train", "c.json"]).failed(2),
        "last/train-images-idx3-ubyte: found images of 8 x 8 x 3, from which the position of the channels is not clear; needed \
         $.data.layout, \"channels-first\" for 8 channels of 8x3 or \"channels-last\" for 3 channels of 8x8"
    );
}

/// `/dev/zero` never ends, and no command may wait for its end.
#[cfg(target_os = "linux")]
#[test]
fn a_file_without_an_end_is_refused() {
    let place = Place::new();
    place.config("c.json", &on_images(&place, 16, json!({})));
    let npz = json!({"data": {"name": "graph-npz", "path": "/dev/zero", "split": {"folds": 2}}});
    place.config("npz.json", &on_graph(&place, npz));
    let folder = json!({"data": {"name": "graph-folder", "path": "/dev/zero", "split": "x"}});
    place.config("folder.json", &on_graph(&place, folder));
    place.config("idx.json", &on_images(&place, 16, json!({"data": {"path": "/dev/zero"}})));
    place.config("weights.json", &on_images(&place, 16, json!({"weights": {"file": "/dev/zero"}})));
    place.train("run", &on_images(&place, 16, json!({})));
    let endless = place.file("endless");
    fs::create_dir_all(&endless).unwrap();
    for file in ["config.json", "run.json", "metrics.jsonl", "summary.json"] {
        std::os::unix::fs::symlink("/dev/zero", endless.join(file)).unwrap();
    }
    let zero = "/dev/zero";
    for arguments in [
        &["check", zero][..],
        &["train", zero],
        &["plan", zero],
        &["audit", zero],
        &["compare", zero],
        &["costs", zero, "--vary", "training.epochs=1"],
        &["eval", zero],
        &["eval", "c.json", "--weights", zero],
        &["predict", "run", zero],
        &["train", "npz.json"],
        &["train", "folder.json"],
        &["train", "idx.json"],
        &["train", "weights.json"],
        &["eval", "endless"],
        &["report", "endless"],
        &["train", "--resume", "endless"],
    ] {
        let said = place.run(arguments);
        assert!(!said.failed(2).is_empty(), "{arguments:?}");
    }
    let said = place.run(&["check", zero]);
    assert!(said.failed(2).starts_with("/dev/zero: found more than 16777216 bytes; needed a config\n"), "{}", said.err);
}
