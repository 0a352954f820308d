//! Every command of the program works with custom parts.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use assert_cmd::Command;

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("own.json")
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::cargo_bin("own-program").unwrap().current_dir(folder).args(arguments).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{arguments:?}: {err}");
    out
}

#[test]
fn parts_of_ones_own_are_listed_checked_trained_compared_reported_and_exported() {
    let place = tempfile::tempdir().unwrap();
    let config = config().display().to_string();
    let run = |arguments: &[&str]| done(place.path(), arguments);

    assert!(run(&["--version"]).starts_with("own-program (burn-forward "));
    let help = run(&["train", "--help"]);
    assert!(help.contains("  own-program train configs/") && !help.contains("burn-forward train"), "{help}");
    for part in ["brier", "residual-mlp", "rings"] {
        assert!(run(&["list"]).contains(part) && run(&["list", part]).contains("default"), "{part}");
    }
    assert!(run(&["check", &config]).contains(": ok ("));
    run(&["train", &config, "--out", "run", "--quiet"]);
    let evaluated: serde_json::Value = serde_json::from_str(&run(&["eval", "run", "--json"])).unwrap();
    // Rings are not linearly separable: a linear classifier gets about a third of the points right.
    assert!(evaluated["test_accuracy"].as_f64().unwrap() > 0.9, "{evaluated}");
    run(&["audit", &config]);
    run(&["plan", &config]);
    run(&["report", "run"]);
    run(&["export", "run"]);
    run(&["compare", &config, "--seeds", "1", "--set", "training.epochs=1", "--out", "compared"]);
    assert!(place.path().join("compared/report.html").is_file());
}
