//! Common parts of the tests of the program: they run it in a temporary folder, and read the files that it writes.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A temporary folder in which the program runs.
pub(crate) struct Place {
    folder: TempDir,
}

/// The output and exit code of one call of the program.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            err: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }

    /// Asserts exit code 0 and returns standard output.
    #[track_caller]
    pub(crate) fn done(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        &self.out
    }

    /// Asserts the exit code `code` and returns standard error without the prefix "error: " and the last line break.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.err.trim_end().strip_prefix("error: ").unwrap_or(self.err.trim_end())
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.done()).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

/// The root of the checkout at the time when the tests run, which may differ from the one in which they were compiled.
pub(crate) fn checkout() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).parent().unwrap().to_path_buf()
}

/// A config in `configs/`.
pub(crate) fn shipped(name: &str) -> PathBuf {
    checkout().join("configs").join(format!("{name}.json"))
}

/// A small config on the digits, with two layers, which takes a second or less. `changes` replace parts of it.
pub(crate) fn config(rule: Value, changes: Value) -> Value {
    let mut config = json!({
        "data": {"name": "digits"},
        "network": {"name": "mlp", "widths": [48, 48]},
        "rule": rule,
        "training": {"epochs": 2, "batch-size": 32},
        "optimizer": {"name": "adam", "lr": 0.002},
    });
    merge(&mut config, changes);
    config
}

/// A network for Forward-Forward, in which every layer normalises its input.
pub(crate) fn normalised() -> Value {
    json!({"network": {"normalisation": "rms", "init": "unit-normal"}})
}

/// Merges the keys of `changes` into `value`, recursively.
pub(crate) fn merge(value: &mut Value, changes: Value) {
    match (value, changes) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, change) in new {
                merge(old.entry(key).or_insert(Value::Null), change);
            }
        }
        (value, change) => *value = change,
    }
}

/// Starts a program with default signal actions, however the tests were started: `nohup` and background jobs of a shell ignore
/// some signals, and their child processes inherit this.
pub(crate) fn with_default_signals(command: &mut std::process::Command) {
    #[cfg(unix)]
    {
        use nix::sys::signal::{SigHandler, Signal, signal};
        use std::os::unix::process::CommandExt;

        let reset = || {
            for request in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
                // SAFETY: the default action runs no code of this process.
                #[allow(unsafe_code, reason = "signal is a C function")]
                unsafe { signal(request, SigHandler::SigDfl) }.map_err(std::io::Error::from)?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec, it calls only `signal`, which is allowed there.
        #[allow(unsafe_code, reason = "what runs between fork and exec is up to the caller")]
        unsafe {
            command.pre_exec(reset);
        }
    }
    #[cfg(not(unix))]
    let _ = command;
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes `value` to a config called `name`.
    pub(crate) fn config(&self, name: &str, value: &Value) -> PathBuf {
        let path = self.file(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, value.to_string()).unwrap();
        path
    }

    /// The names that a part of the config can have, from the schema, so that a new registry row requires no change in a test.
    pub(crate) fn names(&self, part: &str) -> Vec<String> {
        let schema = self.run(&["schema"]).json();
        let place = &schema["properties"][part];
        let definition = place["$ref"].as_str().map(|path| &schema["$defs"][path.trim_start_matches("#/$defs/")]);
        let branches = definition.unwrap_or(place)["oneOf"].as_array().unwrap();
        branches.iter().map(|b| b["properties"]["name"]["const"].as_str().unwrap().to_string()).collect()
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("burn-forward"));
        command.current_dir(self.path()).args(arguments);
        // The settings of the machine must not affect the test.
        command.env_remove("BURN_FORWARD_DATA").env_remove("BURN_FORWARD_LOG");
        command.stdin(Stdio::null());
        with_default_signals(&mut command);
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        Said::of(self.command(arguments).output().unwrap())
    }

    /// Like [`run`](Self::run), in another folder.
    pub(crate) fn run_in(&self, folder: &Path, arguments: &[&str]) -> Said {
        Said::of(self.command(arguments).current_dir(folder).output().unwrap())
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits for a program that was started.
    pub(crate) fn end(child: Child) -> Said {
        Said::of(child.wait_with_output().unwrap())
    }

    /// Trains `value` into the folder `name`.
    pub(crate) fn train(&self, name: &str, value: &Value) -> PathBuf {
        self.config(&format!("{name}.json"), value);
        self.run(&["train", &format!("{name}.json"), "--out", name, "--quiet"]).done();
        self.file(name)
    }
}

/// A JSON file.
#[track_caller]
pub(crate) fn read_json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The lines of `metrics.jsonl` without their times.
pub(crate) fn metrics(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines().map(without_seconds).collect()
}

fn without_seconds(line: &str) -> String {
    const KEY: &str = ",\"seconds\":";
    let Some(start) = line.find(KEY) else { return line.to_string() };
    let value = &line[start + KEY.len()..];
    let end = value.find([',', '}']).unwrap();
    format!("{}{}", &line[..start], &value[end..])
}

/// The final weights.
pub(crate) fn weights(run: &Path) -> Vec<u8> {
    fs::read(run.join("model.safetensors")).unwrap()
}

/// Epochs for which a model was saved.
pub(crate) fn saved_models(run: &Path) -> Vec<usize> {
    let Ok(entries) = fs::read_dir(run.join("checkpoint")) else { return Vec::new() };
    let number = |name: String| name.strip_prefix("model-")?.strip_suffix(".bpk")?.parse().ok();
    let mut epochs: Vec<usize> =
        entries.filter_map(|e| number(e.unwrap().file_name().into_string().unwrap())).collect();
    epochs.sort_unstable();
    epochs
}

/// An IDX file of unsigned bytes with the given shape.
pub(crate) fn idx(shape: &[usize], values: &[u8]) -> Vec<u8> {
    assert_eq!(shape.iter().product::<usize>(), values.len());
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    for n in shape {
        bytes.extend((*n as u32).to_be_bytes());
    }
    bytes.extend(values);
    bytes
}

/// `n` images of 8 x 8 with independent pixels from 0 to 16.
pub(crate) fn images(n: usize) -> Vec<u8> {
    let mut state = 12_345u32;
    (0..n * 64)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) % 17) as u8
        })
        .collect()
}

/// A folder of IDX files with two classes that are easy to distinguish: `train` and `test` images of 4 x 4.
pub(crate) fn idx_folder(folder: &Path, train: usize, test: usize) {
    fs::create_dir_all(folder).unwrap();
    for (part, n) in [("train", train), ("t10k", test)] {
        let labels: Vec<u8> = (0..n).map(|i| (i % 2) as u8).collect();
        let images: Vec<u8> =
            labels.iter().enumerate().flat_map(|(i, l)| vec![20 + 200 * l + (i % 7) as u8; 16]).collect();
        fs::write(folder.join(format!("{part}-images-idx3-ubyte")), idx(&[n, 4, 4], &images)).unwrap();
        fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), idx(&[n], &labels)).unwrap();
    }
}

/// Writes a grey PNG image `[H, W]`, in a folder that is created for it.
pub(crate) fn png(path: &Path, [height, width]: [u32; 2], pixels: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::save_buffer(path, pixels, width, height, image::ExtendedColorType::L8).unwrap();
}

/// A folder of PNG images of 4 x 4 in two classes that are easy to distinguish, `dark` and `light`, with `n` images each.
pub(crate) fn image_folder(folder: &Path, n: usize) {
    for (class, name) in ["dark", "light"].into_iter().enumerate() {
        for i in 0..n {
            let value = 20 + 200 * class as u8 + (i % 7) as u8;
            png(&folder.join(name).join(format!("{i:03}.png")), [4, 4], &[value; 16]);
        }
    }
}
