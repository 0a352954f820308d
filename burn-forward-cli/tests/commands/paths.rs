//! Paths that are not UTF-8.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use burn_forward_testing::skip;
use serde_json::json;

use super::mono;
use crate::program::{Place, idx, idx_folder};

/// Every command accepts them on the command line, and in the files that it wrote.
#[test]
fn paths_need_not_be_utf8() {
    let place = Place::new();
    let folder = place.path().join(OsStr::from_bytes(b"caf\xe9"));
    if fs::create_dir(&folder).is_err() {
        skip::because("the file system takes no names that are not UTF-8");
        return;
    }
    let data = json!({"name": "idx", "path": "set"});
    let value = mono(json!({"data": data, "training": {"epochs": 1}, "network": {"widths": [8]}}));
    fs::write(folder.join("c.json"), value.to_string()).unwrap();
    idx_folder(&folder.join("set"), 60, 20);
    fs::write(folder.join("images"), idx(&[3, 4, 4], &[7; 48])).unwrap();
    fs::create_dir(folder.join("empty")).unwrap();
    let at = |name: &str| folder.join(name).into_os_string();
    let word = |text: &str| OsString::from(text);
    let commands: Vec<Vec<OsString>> = vec![
        vec![word("check"), at("c.json")],
        vec![word("plan"), at("c.json")],
        vec![word("train"), at("c.json"), word("--out"), at("run")],
        vec![word("train"), at("c.json"), word("--out"), at("other"), word("--data"), at("set")],
        vec![word("train"), word("--resume"), at("run")],
        vec![word("eval"), at("run"), word("--json")],
        vec![word("eval"), at("run"), word("--data"), at("set")],
        vec![word("eval"), at("c.json"), word("--weights"), at("run/model.safetensors")],
        vec![word("predict"), at("run"), at("images")],
        vec![word("export"), at("run"), word("--out"), at("exported")],
        vec![word("audit"), at("c.json"), word("--run"), at("run")],
        vec![word("report"), at("run"), at("other"), word("--out"), at("both.html")],
        vec![word("compare"), at("c.json"), word("--seeds"), word("1"), word("--out"), at("compared")],
        vec![
            word("costs"),
            at("c.json"),
            word("--vary"),
            word("network.widths=[4]"),
            word("--steps"),
            word("1"),
            word("--out"),
            at("costs"),
        ],
        vec![word("doctor"), word("--data"), at("empty")],
    ];
    for command in commands {
        let output = Command::new(assert_cmd::cargo::cargo_bin!("burn-forward"))
            .current_dir(place.path())
            .env_remove("BURN_FORWARD_DATA")
            .args(&command)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("panicked"), "{command:?}: {said}");
    }
}
