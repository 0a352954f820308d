//! Files that commands write: none is replaced without `--force`, and a full disk is a failure of the run (exit code 1), not of
//! the input.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use serde_json::json;

use super::mono;
use super::program::{Place, read_json};

/// Every command with an output, and an existing file or folder at that place.
#[test]
fn nothing_is_replaced_without_force() {
    let place = Place::new();
    let config = mono(json!({"training": {"epochs": 1}, "data": {"samples-per-class": 5}}));
    place.train("run", &config);
    place.config("c.json", &config);
    fs::write(place.file("mine"), "mine").unwrap();
    let vary = ["--vary", "network.dropout=0,0.1", "--steps", "1"];
    let rows: [(Vec<&str>, &str); 5] = [
        (vec!["report", "run", "--out"], "mine"),
        (vec!["export", "run", "--out"], "mine"),
        (vec!["train", "c.json", "--quiet", "--out"], "folder"),
        (vec!["compare", "c.json", "--seeds", "1", "--out"], "folder"),
        ([vec!["costs", "c.json"], vary.to_vec(), vec!["--out"]].concat(), "folder"),
    ];
    for (arguments, out) in rows {
        // Names that the commands themselves would use.
        for name in ["notes.txt", "metrics.jsonl", "report.html", "checkpoint/model-9.bpk"] {
            let file = place.file("folder").join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "mine").unwrap();
        }
        let command = [arguments.clone(), vec![out]].concat();
        let said = place.run(&command);
        assert!(said.failed(2).contains("--force"), "{command:?}: {}", said.err);
        assert_eq!(fs::read(place.file("mine")).unwrap(), b"mine");
        for name in ["notes.txt", "metrics.jsonl", "report.html", "checkpoint/model-9.bpk"] {
            assert_eq!(fs::read(place.file("folder").join(name)).unwrap(), b"mine", "{command:?}");
        }
        assert_eq!(fs::read_dir(place.file("folder")).unwrap().count(), 4, "{command:?}");

        place.run(&[command, vec!["--force"]].concat()).done();
        let written = if out == "mine" { place.file("mine") } else { place.file("folder/report.html") };
        assert_ne!(fs::read(written).unwrap(), b"mine");
        assert_eq!(fs::read(place.file("folder/notes.txt")).unwrap(), b"mine");
        if arguments[0] == "train" {
            let rows = fs::read_to_string(place.file("folder/metrics.jsonl")).unwrap();
            assert!(rows.starts_with("{\"epoch\":1,"), "{rows}");
            assert!(!place.file("folder/checkpoint/model-9.bpk").exists());
        }
        fs::write(place.file("mine"), "mine").unwrap();
        fs::remove_dir_all(place.file("folder")).unwrap();
    }
    // A run is never replaced, and an empty folder is treated like a missing one.
    let said = place.run(&["train", "c.json", "--out", "run", "--force"]);
    assert!(said.failed(2).contains("it already contains a run"), "{}", said.err);
    fs::create_dir(place.file("empty")).unwrap();
    place.run(&["train", "c.json", "--out", "empty", "--quiet"]).done();
}

/// The commands that write to standard output.
#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let place = Place::new();
    let config = mono(json!({"training": {"epochs": 1}, "data": {"samples-per-class": 5}}));
    place.train("run", &config);
    place.config("c.json", &config);
    for arguments in [
        vec!["--help"],
        vec!["--version"],
        vec!["schema"],
        vec!["list"],
        vec!["completions", "bash"],
        vec!["check", "c.json"],
        vec!["plan", "c.json"],
        vec!["eval", "run"],
        vec!["doctor"],
        vec!["audit", "c.json"],
        vec!["train", "c.json"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("burn-forward"));
        let output = command.current_dir(place.path()).args(&arguments).stdout(full).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {err}");
        assert!(!err.contains("panicked"), "{err}");
    }
    for arguments in [vec!["report", "run", "--out", "/dev/full"], vec!["export", "run", "--out", "/dev/full"]] {
        let said = place.run(&arguments);
        assert!(said.failed(1).starts_with("/dev/full cannot be written: No space left on device"), "{}", said.err);
    }
    // A path that cannot be a file is a wrong argument.
    for out in ["no/such/page.html", "run", "c.json/page.html"] {
        place.run(&["report", "run", "--force", "--out", out]).failed(2);
    }
}

/// Each file of a run in turn is the first that does not fit on the disk.
#[cfg(target_os = "linux")]
#[test]
fn a_run_on_a_disk_that_fills_up_fails() {
    let place = Place::new();
    // The files have different sizes: a checkpoint of 200 KB, a page of about 60 KB, a config of 2 KB.
    let config =
        mono(json!({"network": {"widths": [256]}, "training": {"epochs": 1}, "data": {"samples-per-class": 5}}));
    place.config("c.json", &config);
    let mut named = Vec::new();
    for kilobytes in [0, 1, 2, 3, 8, 24, 60, 100] {
        // No file can grow beyond the limit. Since the signal is ignored, writing fails.
        let limited = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$@\"");
        let mut command = Command::new("bash");
        command.current_dir(place.path()).args(["-c", &limited, "bash"]);
        command.arg(assert_cmd::cargo::cargo_bin!("burn-forward"));
        command.args(["train", "c.json", "--quiet", "--out", &format!("run-{kilobytes}")]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{kilobytes} KB: {err}");
        assert!(!err.contains("panicked") && err.contains("File too large"), "{kilobytes} KB: {err}");
        let of_run = |name: &&str| err.contains(&format!("{name} cannot be written"));
        named.extend(["config.json", "run.json", "metrics.jsonl"].iter().find(|name| of_run(name)).copied());
        let run = place.file(&format!("run-{kilobytes}"));
        assert!(!run.join("summary.json").exists());
        // Once there is room again, the run is resumed, or begun if none of it was written.
        if run.join("config.json").exists() {
            place.run(&["train", "--resume", &format!("run-{kilobytes}"), "--quiet"]).done();
            assert_eq!(read_json(&run.join("run.json"))["status"], "finished");
        } else {
            place.run(&["train", "c.json", "--out", &format!("run-{kilobytes}"), "--quiet"]).done();
        }
    }
    assert!(named.contains(&"config.json") && named.contains(&"run.json"), "{named:?}");
}

#[test]
fn a_log_has_no_colours() {
    let place = Place::new();
    place.config("c.json", &mono(json!({"training": {"epochs": 2}})));
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("burn-forward"));
    command.current_dir(place.path()).args(["train", "c.json"]).env("BURN_FORWARD_LOG", "trace");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(err.contains("DEBUG") && err.contains("epoch 2/2"), "{err}");
    assert!(!err.contains('\u{1b}') && !out.contains('\u{1b}'), "{err}");
}
