//! Every command except `train`, on configs and runs that take a second.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "commands/arms.rs"]
mod arms;
#[path = "commands/audit.rs"]
mod audit;
#[path = "commands/outputs.rs"]
mod outputs;
#[cfg(unix)]
#[path = "commands/paths.rs"]
mod paths;
mod program;

use std::fs;
use std::io::Read;
use std::process::Command;

use burn_forward_testing::skip;
use program::{Place, checkout, config, idx, images, merge, normalised, read_json};
use serde_json::{Value, json};

fn mono(changes: Value) -> Value {
    config(json!({"name": "mono-forward"}), changes)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn eval_repeats_the_test_of_the_run() {
    let place = Place::new();
    let run = place.train("run", &mono(json!({"seed": 3})));
    let json = place.run(&["eval", "run", "--json"]).json();
    let summary = read_json(&run.join("summary.json"));
    for key in summary.as_object().unwrap().keys() {
        assert!(!json[key].is_null(), "{key} is missing");
    }
    let same = ["test_accuracy", "correct", "readouts", "validation_accuracy", "parameters", "rule", "network", "seed"];
    for key in same {
        assert_eq!(json[key], summary[key], "{key}");
    }
    assert_eq!((&json["samples"], &json["device"]), (&json!(359), &json!("flex")));
    let text = place.run(&["eval", "run"]);
    let head = format!(
        "test accuracy {:.2} % ({} of 359)\n",
        100.0 * summary["test_accuracy"].as_f64().unwrap(),
        summary["correct"]
    );
    assert!(text.done().starts_with(&head), "{}", text.out);
    assert_eq!(text.out.lines().filter(|l| l.starts_with("0  ") || l.starts_with("1  ")).count(), 2);
    // Another device gives the same predictions up to rounding.
    let other = place.run(&["eval", "run", "--json", "--device", "ndarray"]).json();
    assert!((other["test_accuracy"].as_f64().unwrap() - summary["test_accuracy"].as_f64().unwrap()).abs() < 0.01);
}

#[test]
fn predictions() {
    let place = Place::new();
    place.train("run", &mono(json!({"training": {"eval-batch-size": 3}})));
    fs::write(place.file("images"), idx(&[7, 8, 8], &images(7))).unwrap();
    let json = place.run(&["predict", "run", "images", "--json"]);
    let text = place.run(&["predict", "run", "images"]);
    let (rows, text): (Vec<Value>, Vec<&str>) = (lines(json.done()), text.done().lines().collect());
    assert_eq!((rows.len(), text.len()), (7, 7), "batches of three lose nothing");
    for (i, (row, line)) in rows.iter().zip(text).enumerate() {
        let numbers =
            |key: &str| -> Vec<f64> { row[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect() };
        let (scores, probabilities) = (numbers("scores"), numbers("probabilities"));
        assert_eq!((row["index"].as_u64(), scores.len(), probabilities.len()), (Some(i as u64), 10, 10));
        // The probabilities are the softmax of the scores.
        let total: f64 = scores.iter().map(|s| s.exp()).sum();
        for (s, p) in scores.iter().zip(&probabilities) {
            assert!((s.exp() / total - p).abs() < 1e-5, "{row}");
        }
        let class = row["class"].as_u64().unwrap() as usize;
        assert!(scores.iter().all(|s| *s <= scores[class]));
        assert_eq!(row["probability"], row["probabilities"][class]);
        assert_eq!(line, format!("{i}\t{class}\t{:.4}", probabilities[class]));
    }
    fs::write(place.file("none"), idx(&[0, 8, 8], &[])).unwrap();
    let none = place.run(&["predict", "run", "none"]);
    assert_eq!(none.failed(2), "none: found a header that declares 0 x 8 x 8 elements; needed at least one");
}

#[test]
fn list_is_readable() {
    let place = Place::new();
    let overview = place.run(&["list"]);
    for name in ["mono-forward", "forward-forward", "backprop", "mlp", "digits", "optimizer", "training", "schedule"] {
        let settings = place.run(&["list", name]);
        assert!(overview.done().contains(name) && settings.done().lines().count() > 2, "{}", settings.out);
        for line in settings.out.lines().chain(overview.out.lines()) {
            assert!(line.chars().count() <= 100, "{name}: {line}");
        }
    }
    let mlp = place.run(&["list", "mlp"]).out;
    assert!(mlp.starts_with("\"network\": {\"name\": \"mlp\", ...}\n"), "{mlp}");
    let widths =
        "\nwidths\n    array of integer, >= 1 and <= 1000000; required\n    Number of units in every hidden layer.\n";
    assert!(mlp.contains(widths), "{mlp}");
    assert!(mlp.contains("\ndropout\n    number, >= 0 and <= 0.99; default 0.0\n"), "{mlp}");
    assert!(mlp.contains("\npartition") && mlp.contains("every"), "{mlp}");
    let optimizer = place.run(&["list", "optimizer"]).out;
    let words = optimizer.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("default [0.9, 0.999]."), "{optimizer}");
}

#[test]
fn the_schema_is_the_one_in_the_checkout() {
    let shipped = fs::read_to_string(checkout().join("config.schema.json")).unwrap();
    let schema = Place::new().run(&["schema"]);
    assert!(
        schema.done() == shipped,
        "config.schema.json is stale; renew it by: burn-forward schema > config.schema.json"
    );
}

#[test]
fn plan() {
    let place = Place::new();
    let mut value = mono(json!({"network": {"widths": [100, 50, 20], "partition": {"every": 2}}}));
    place.config("c.json", &value);
    let blocks = place.run(&["plan", "c.json", "--json"]).json()["blocks"].take();
    // Heads of 50 x 10 and 20 x 10.
    let expected = [(64 * 100 + 100 + 100 * 50 + 50, 500), (50 * 20 + 20, 200)];
    assert_eq!(blocks.as_array().unwrap().len(), 2);
    for (block, (parameters, heads)) in blocks.as_array().unwrap().iter().zip(expected) {
        assert_eq!((&block["parameters"], &block["head_parameters"]), (&json!(parameters), &json!(heads)));
    }
    let text = place.run(&["plan", "c.json"]);
    assert!(text.done().contains("0  dense 64->100 relu, dense 100->50 relu"), "{}", text.out);
    let sums = "partition every 2 layers; 12,770 parameters for inference, 500 for training only\n";
    assert!(text.out.contains(sums), "{}", text.out);
    merge(&mut value, json!({"rule": {"name": "backprop"}}));
    place.config("c.json", &value);
    assert_eq!(place.run(&["plan", "c.json", "--json"]).json()["blocks"].as_array().unwrap().len(), 1);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "plan leaves nothing");
}

#[test]
fn a_network_that_fits_no_machine_is_planned_and_not_built() {
    let place = Place::new();
    for rule in ["backprop", "mono-forward", "dfa"] {
        let changes = json!({"network": {"widths": [1_000_000, 1_000_000]}});
        place.config("c.json", &config(json!({"name": rule}), changes));
        // 10^12 weights of 4 bytes in the second layer, less than 10^9 elsewhere: 3.64 TiB, 3725 GiB.
        let plan = place.run(&["plan", "c.json"]);
        assert!(plan.done().contains("\nweights: 3.6 TiB in total\n"), "{}", plan.out);
        for command in [&["train", "c.json"][..], &["plan", "c.json", "--steps", "1"]] {
            let said = place.run(command);
            assert!(said.failed(2).contains("$.network: its weights alone take 372"), "{}", said.err);
        }
    }
}

#[test]
fn doctor_and_completions() {
    let place = Place::new();
    fs::create_dir_all(place.file("sets/mnist")).unwrap();
    // A folder that contains the downloaded archive, but not its contents.
    fs::create_dir_all(place.file("sets/cifar100")).unwrap();
    fs::write(place.file("sets/cifar100/cifar-100-binary.tar.gz"), "").unwrap();
    program::idx_folder(&place.file("sets/fashion-mnist"), 4, 4);
    let said = place.run(&["doctor", "--data", "sets"]);
    let has =
        |line: &str| said.done().lines().any(|l| l.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(line));
    for line in [
        "flex works",
        "ndarray works",
        "digits embedded",
        "mnist incomplete: sets/mnist: found no file of train images; needed train-images-idx3-ubyte, with or without .gz",
        "fashion-mnist found in sets/fashion-mnist",
        "cifar100 incomplete: sets/cifar100: found no file train.bin, but the archive cifar-100-binary.tar.gz, which has to \
         be unpacked first; needed train.bin",
        "cifar10 not in sets/cifar10; public files: ",
    ] {
        assert!(has(line), "{line}: {}", said.out);
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.run(&["completions", shell]);
        assert!(script.done().contains("burn-forward") && script.out.contains("resume"), "{shell}");
    }
}

#[test]
fn help_has_examples() {
    let place = Place::new();
    assert!(place.run(&["--help"]).done().contains("burn-forward train configs/"));
    assert!(place.run(&["--version"]).done().starts_with("burn-forward "));
    for command in [
        "train", "eval", "predict", "compare", "sweep", "costs", "find-lr", "report", "export", "audit", "plan",
        "check", "list",
    ] {
        assert!(place.run(&[command, "--help"]).done().contains("Usage: burn-forward "), "{command}");
    }
}

#[test]
fn report() {
    let place = Place::new();
    place.train("one", &mono(json!({})));
    place.train("two", &config(json!({"name": "forward-forward"}), normalised()));
    let said = place.run(&["report", "one", "two", "--out", "both.html"]);
    assert_eq!(said.done(), "both.html\n");
    assert_eq!(place.run(&["report", "one"]).done(), "one/report.html\n");
    let own = fs::read(place.file("one/report.html")).unwrap();
    assert_eq!(place.run(&["report", "one", "two"]).done(), "one/comparison.html\n");
    assert!(fs::read(place.file("one/report.html")).unwrap() == own, "the page of the first run was replaced");
    for page in ["both.html", "one/report.html"] {
        let html = fs::read_to_string(place.file(page)).unwrap();
        assert!(html.starts_with("<!DOCTYPE html>") || html.starts_with("<!doctype html>"), "{}", &html[..60]);
        assert!(html.contains("<svg") && html.contains("mono-forward"));
        // The page is self-contained: it executes and loads nothing.
        for loading in ["<script", "src=\"http", "href=\"http", "@import", "url(http", "<link", "<img", "<iframe"] {
            assert!(!html.contains(loading), "{page} has {loading}");
        }
    }
    assert!(fs::read_to_string(place.file("both.html")).unwrap().contains("forward-forward"));
}

#[test]
fn compare() {
    let place = Place::new();
    idx_set(&place);
    // The data path is relative to the config, wherever the runs are.
    let data = json!({"data": {"name": "idx", "path": "set"}, "training": {"epochs": 1}});
    place.config("configs/mono.json", &mono(data.clone()));
    place.config("configs/dfa.json", &config(json!({"name": "dfa"}), data));
    let arguments = ["compare", "configs/mono.json", "configs/dfa.json", "--seeds", "2", "--out", "out"];
    let said = place.run(&[&arguments[..], &["--json"]].concat());
    let arms = lines(said.done());
    let named: Vec<(&str, u64)> =
        arms.iter().map(|a| (a["arm"].as_str().unwrap(), a["seed"].as_u64().unwrap())).collect();
    let expected: Vec<(&str, u64)> = ["mono-forward", "dfa", "backprop", "deep-supervision"]
        .into_iter()
        .flat_map(|arm| [(arm, 0), (arm, 1)])
        .collect();
    assert_eq!(named, expected);
    for arm in &arms {
        assert_eq!(arm["rule"], arm["arm"]);
        for key in ["test_accuracy", "seconds_per_epoch", "peak_memory_bytes", "parameters", "head_parameters"] {
            assert!(arm[key].is_number(), "{key}: {arm}");
        }
    }
    assert!(place.file("out/report.html").is_file() && place.file("out/dfa-seed1/summary.json").is_file());
    // The baseline has the heads of the first rule that has any.
    let [rule, baseline] = ["mono-forward", "deep-supervision"]
        .map(|arm| read_json(&place.file(&format!("out/{arm}-seed0/config.json")))["rule"].clone());
    assert_eq!(baseline, json!({"name": "deep-supervision", "heads": rule}));

    // The second time, nothing is left to train, and the table has one row per arm.
    let again = place.run(&arguments);
    let rows: Vec<&str> = again.done().lines().skip(2).take(4).collect();
    for (row, arm) in rows.iter().zip(["mono-forward", "dfa", "backprop", "deep-supervision"]) {
        assert!(row.starts_with(arm), "{}", again.out);
    }
    // Results of another config with the same name are not used.
    let other = place.run(&[&arguments[..], &["--set", "training.epochs=2"]].concat());
    assert!(
        other.failed(2).contains("out/mono-forward-seed0: contains a run of another config; choose another --out"),
        "{}",
        other.err
    );
}

fn idx_set(place: &Place) {
    program::idx_folder(&place.file("configs/set"), 60, 20);
}

/// `burn-forward list | head -1`: a reader that closes the pipe early is not a failure.
#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_panic() {
    let place = Place::new();
    place.config("c.json", &mono(json!({})));
    for arguments in [
        vec!["list"],
        vec!["list", "optimizer"],
        vec!["schema"],
        vec!["completions", "bash"],
        vec!["plan", "c.json"],
        vec!["check", "c.json"],
        vec!["doctor"],
        vec!["train", "c.json", "--out", "run"],
    ] {
        let mut child = place.start(&arguments);
        drop(child.stdout.take());
        let status = child.wait().unwrap();
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert!(status.success() && !err.contains("panicked"), "{arguments:?}: {err}");
    }
    // The same holds if nobody reads the messages during training.
    let mut child = place.start(&["train", "c.json", "--out", "unread"]);
    drop((child.stdout.take(), child.stderr.take()));
    assert!(child.wait().unwrap().success());
    assert!(place.file("unread/report.html").is_file());
}

/// The program needs no terminal, no home directory and no git.
#[test]
fn a_bare_environment_is_enough() {
    let place = Place::new();
    place.config("c.json", &mono(json!({"training": {"epochs": 1}})));
    let output = Command::new(assert_cmd::cargo::cargo_bin!("burn-forward"))
        .current_dir(place.path())
        .env_clear()
        .args(["train", "c.json", "--out", "run"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The revision is that of the program, in whatever repository it runs.
#[test]
fn the_revision_is_the_programs() {
    let git = |folder: &std::path::Path, arguments: &[&str]| {
        let output = Command::new("git").current_dir(folder).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).unwrap();
        output.status.success().then(|| text.trim().to_string())
    };
    let place = Place::new();
    place.config("c.json", &mono(json!({"training": {"epochs": 1}})));
    // A folder of the user's under git, with its own commit.
    let name = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "mine"];
    if git(place.path(), &["init", "-q"]).and_then(|_| git(place.path(), &name)).is_none() {
        skip::without_tool("git");
        return;
    }
    place.run(&["train", "c.json", "--out", "run", "--quiet"]).done();
    let recorded = read_json(&place.file("run/run.json"));
    let theirs = git(place.path(), &["rev-parse", "--short=12", "HEAD"]).unwrap();
    assert_ne!(recorded["git_revision"], json!(theirs));
    // The commit of an unchanged checkout is known; a changed one may have been committed since.
    let own = recorded["git_revision"].as_str().map(|revision| revision.trim_end_matches("-dirty").to_string());
    if let (Some(own), Some(_)) = (&own, git(&checkout(), &["rev-parse", "HEAD"])) {
        assert!(git(&checkout(), &["cat-file", "-e", &format!("{own}^{{commit}}")]).is_some(), "{own}");
    }
    // Burn's version is the one that the manifest requires.
    let manifest = fs::read_to_string(checkout().join("Cargo.toml")).unwrap();
    let burn = recorded["versions"]["burn"].as_str().unwrap();
    assert!(manifest.contains(&format!("burn = {{ version = \"={burn}\"")), "{burn}");
    assert!(place.run(&["doctor"]).done().contains(&format!(", Burn {burn}\n")));
}
