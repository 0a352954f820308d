//! Signals: which of them end a run, and the resulting messages.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::program::{Place, config, read_json, saved_models, with_default_signals};

/// Starts a long run from a shell that ignores `ignored`, like `nohup` and background jobs, and waits for its first model.
fn started(place: &Place, ignored: &str) -> Child {
    place.config("c.json", &config(json!({"name": "mono-forward"}), json!({"training": {"epochs": 100_000}})));
    let program = assert_cmd::cargo::cargo_bin!("burn-forward").display().to_string();
    let script = format!("trap '' {ignored}; exec '{program}' train c.json --out run");
    let mut shell = Command::new("sh");
    shell.current_dir(place.path()).args(["-c", &script]);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    with_default_signals(&mut shell);
    let child = shell.spawn().unwrap();
    wait(place, 1);
    child
}

/// Waits until the model of epoch `epoch` is saved.
fn wait(place: &Place, epoch: usize) {
    let begun = Instant::now();
    while saved_models(&place.file("run")).last().is_none_or(|&saved| saved < epoch) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no model of epoch {epoch} was saved");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn send(child: &Child, signal: &str) {
    let arguments = [format!("-{signal}"), child.id().to_string()];
    assert!(Command::new("kill").args(arguments).status().unwrap().success());
}

#[test]
fn a_signal_that_was_ignored_stays_ignored_and_another_is_named() {
    for (ignored, sent, ending) in [("HUP", "HUP", "TERM"), ("INT", "INT", "HUP"), ("HUP INT", "INT", "TERM")] {
        let place = Place::new();
        let child = started(&place, ignored);
        send(&child, sent);
        // The run continues.
        let saved = *saved_models(&place.file("run")).last().unwrap();
        wait(&place, saved + 3);
        assert_eq!(read_json(&place.file("run/run.json"))["status"], "running", "{ignored}");
        send(&child, ending);
        let said = Place::end(child);
        assert_eq!(said.code, Some(1), "{ignored}: {}", said.err);
        assert!(said.err.contains(&format!("\nSIG{ending}: finishing the step ...")), "{}", said.err);
        assert!(said.err.contains(&format!("error: stopped by SIG{ending}; epochs up to ")), "{}", said.err);
        assert_eq!(read_json(&place.file("run/run.json"))["status"], "interrupted");
    }
}

#[test]
fn ctrl_c_is_named() {
    let place = Place::new();
    let child = started(&place, "HUP");
    send(&child, "INT");
    assert!(Place::end(child).err.contains("error: stopped by SIGINT; epochs up to "));
}
