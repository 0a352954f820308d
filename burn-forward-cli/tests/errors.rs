//! The exact messages of the program when something is wrong, and its exit codes: 1 if the run failed, 2 if the input was
//! wrong.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod program;
mod errors {
    mod runs;
    mod samples;

    use super::{mono, program};
}

use std::fs;

use program::{Place, config, idx, idx_folder, merge, normalised, read_json};
use serde_json::{Value, json};

fn names(part: &str) -> Vec<String> {
    Place::new().names(part)
}

fn mono(changes: Value) -> Value {
    config(json!({"name": "mono-forward"}), changes)
}

/// Asserts that `check` and `train` reject `value` with exactly these `mistakes`, and that `train` writes nothing.
#[track_caller]
fn refuses(value: &Value, mistakes: &[&str]) {
    let place = Place::new();
    place.config("c.json", value);
    let n = mistakes.len();
    let head = format!("c.json: {n} mistake{}", if n == 1 { "" } else { "s" });
    let expected =
        std::iter::once(head).chain(mistakes.iter().map(|m| format!("  {m}"))).collect::<Vec<_>>().join("\n");
    assert_eq!(place.run(&["train", "c.json"]).failed(2), expected);
    assert_eq!(place.run(&["check", "c.json"]).failed(2), format!("{expected}\nerror: 1 of 1 configs cannot be used"));
    assert!(!place.file("runs").exists());
}

#[test]
fn misspelt_key() {
    let mut value = mono(json!({"training": {"gradient_checkpoint": true}}));
    merge(&mut value, json!({"network": {"droput": 0.5}}));
    refuses(
        &value,
        &[
            "$.network.droput: unknown key; did you mean \"dropout\"? valid: \"widths\", \"activation\", \"dropout\", \
             \"normalisation\", \"init\", \"name\", \"partition\"",
            "$.training.gradient_checkpoint: unknown key; did you mean \"gradient-checkpointing\"? valid: \"epochs\", \"batch-size\", \
             \"last-batch\", \"eval-batch-size\", \"workers\", \"final-weights\", \"patience\", \
         \"label-smoothing\", \"checkpoint-every\", \"log\", \"gradient-checkpointing\"",
        ],
    );
}

#[test]
fn misspelt_rule() {
    let rules = names("rule").iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let mistake =
        format!("$.rule.name: unknown variant \"mono-foward\"; did you mean \"mono-forward\"? valid: {rules}");
    refuses(&config(json!({"name": "mono-foward"}), json!({})), &[&mistake]);
    let mistake = format!("$.rule.name: unknown variant \"banana\"; valid: {rules}");
    refuses(&config(json!({"name": "banana"}), json!({})), &[&mistake]);
}

#[test]
fn wrong_types_and_ranges_all_at_once() {
    let wrong = json!({
        "network": {"widths": [48, "48"], "dropout": 1},
        "training": {"epochs": 1.5, "batch-size": 0, "final-weights": "first"},
        "optimizer": {"lr": -0.1, "betas": [0.9]},
        "seed": "zero",
    });
    refuses(
        &mono(wrong),
        &[
            "$.network.widths[1]: \"48\" is a string; needed: an integer >= 1 and <= 1000000 (write 48 without quotes)",
            "$.network.dropout: 1 is too large; needed: a number >= 0 and <= 0.99",
            "$.training.epochs: 1.5 is not an integer; needed: an integer >= 1 and <= 1000000",
            "$.training.batch-size: 0 is too small; needed: an integer >= 1 and <= 10000000",
            "$.training.final-weights: unknown variant \"first\"; valid: \"last\", \"best\"",
            "$.optimizer.lr: -0.1 is too small; needed: a number >= 1e-12 and <= 1000",
            "$.optimizer.betas: has 1 item; needed: 2",
            "$.seed: \"zero\" is a string; needed: an integer >= 0",
        ],
    );
}

/// For a config that was valid before a key was renamed, the error names the new key.
#[test]
fn keys_and_names_of_older_configs() {
    let old = json!({
        "data": {"normalise": "unit"},
        "training": {"keep": "best"},
        "optimizer": {"schedule": {"name": "cosine"}, "lr-schedule": {"name": "hinton"}},
    });
    let mistakes = [
        "$.data.normalise: unknown key; it is called \"pixel-normalisation\" now",
        "$.training.keep: unknown key; it is called \"final-weights\" now",
        "$.optimizer.schedule: unknown key; it is called \"lr-schedule\" now",
        "$.optimizer.lr-schedule.name: unknown variant \"hinton\"; it is called \"constant-then-linear\" now",
    ];
    refuses(&mono(old), &mistakes);
    let mut graph = config(json!({"name": "mono-forward"}), json!({"network": {"name": "gcn"}}));
    graph["data"] = json!({"name": "karate", "rows": "none"});
    let place = Place::new();
    let said = place.config("c.json", &graph);
    let said = place.run(&["check", &said.display().to_string()]).failed(2).to_owned();
    assert!(said.contains("$.data.rows: unknown key; it is called \"feature-scaling\" now"), "{said}");
}

#[test]
fn contradictions() {
    let changes = json!({
        "data": {"validation": 0},
        "training": {"final-weights": "best", "patience": 3},
        "optimizer": {"block-lr": [0.1]},
    });
    refuses(
        &config(json!({"name": "forward-forward", "readout": "softmax", "softmax-head": false}), changes),
        &[
            "$.network.normalisation: \"none\" lets the next block read the goodness of the one before from the length \
             of its output; 'forward-forward' needs \"rms\", \"l2\" or \"layer-norm\"",
            "$.rule.softmax-head: false, but negatives \"hard\" are sampled from the softmax head; needed: true, or \
             negatives \"wrong\"",
            "$.rule.softmax-head: false, but readout \"softmax\" reads the softmax head; needed: true, or readout \
             \"energy\"",
            "$.optimizer.block-lr: number of rates is 1; needed: 2, one for each block",
            "$.training.final-weights: \"best\" needs a validation set; $.data.validation is 0",
            "$.training.patience: needs a validation set; $.data.validation is 0",
        ],
    );
    refuses(
        &mono(json!({"schedule": {"name": "greedy"}, "training": {"patience": 3}})),
        &["$.training.patience: has no effect under a greedy schedule; needed: $.schedule.patience, which applies to \
             every block"],
    );
}

#[test]
fn names_become_folders() {
    for name in ["../up", "", "a\\b", "a\n"] {
        refuses(
            &mono(json!({"name": name})),
            &[&format!("$.name: {name:?} cannot be part of the name of a run folder")],
        );
    }
}

#[test]
fn rules_that_cannot_be_trained_greedily_say_why() {
    let greedy = json!({"schedule": {"name": "greedy"}});
    for (rule, reason) in [
        ("backprop", "back-propagation has one block, so there is no order of blocks to train greedily"),
        (
            "deep-supervision",
            "deep supervision sends gradients through all blocks, so they cannot be trained one after the other",
        ),
        ("dfa", "direct feedback alignment needs the output error of the whole network for every block"),
    ] {
        let mistake = format!("$.schedule.name: \"greedy\" is not possible: {reason}");
        refuses(&config(json!({"name": rule}), greedy.clone()), &[&mistake]);
    }
}

#[test]
fn what_only_the_data_shows() {
    let place = Place::new();
    idx_folder(&place.file("set"), 40, 20);
    let mut value = config(json!({"name": "forward-forward"}), normalised());
    merge(&mut value, json!({"data": {"name": "idx", "path": "set"}, "network": {"widths": [8]}}));
    value["rule"]["first-block"] = json!(0);
    value["data"]["pixel-normalisation"] = json!({"mean": [0, 0], "std": [1, 1]});
    place.config("c.json", &value);
    assert_eq!(
        place.run(&["train", "c.json"]).failed(2),
        "data: 1 mistake\n  $.data.pixel-normalisation: number of means and stds is 2 and 2; needed: 1 each"
    );
}

/// The outputs of finished blocks can be cached if they are the same in every epoch. Otherwise they are not cached, and a
/// config that requests it is told the reason.
#[test]
fn what_differs_from_epoch_to_epoch_is_not_cached() {
    let graph = |data: Value| {
        let mut value = config(json!({"name": "single-forward"}), json!({"network": {"name": "gcn"}}));
        value["data"] = data;
        value["training"] = json!({"epochs": 1});
        value
    };
    let pezeshki = json!({"name": "forward-forward", "preset": "pezeshki"});
    let mut trifecta = config(json!({"name": "trifecta", "overlap": false}), json!({}));
    trifecta["network"] = json!({"name": "conv-stack", "channels": [2, 2]});
    let cases = [
        (mono(json!({})), None),
        (graph(json!({"name": "karate"})), None),
        (
            mono(json!({"data": {"augment": [{"name": "shift", "pixels": 1}]}})),
            Some("$.data.augment changes the images anew in every epoch"),
        ),
        (config(pezeshki, normalised()), Some("the rule draws new negatives in every step")),
        (trifecta, Some("the rule draws new negatives in every step")),
        (
            graph(json!({"name": "karate", "sampling": {"fan-outs": [3, 3]}})),
            Some("$.data.sampling draws new neighbours in every epoch"),
        ),
        (
            graph(json!({"name": "karate", "task": "links"})),
            Some("task \"links\" draws new pairs without an edge in every step"),
        ),
    ];
    for (mut value, reason) in cases {
        let place = Place::new();
        value["schedule"] = json!({"name": "greedy"});
        value["training"]["epochs"] = json!(1);
        let run = place.train("run", &value);
        assert_eq!(read_json(&run.join("config.json"))["schedule"]["cache"], json!(reason.is_none()), "{value}");
        value["schedule"]["cache"] = json!(true);
        if let Some(reason) = reason {
            let mistake = format!("$.schedule.cache: true is not possible: {reason}; needed: false, or leave it out");
            refuses(&value, &[&mistake]);
        }
    }
}

#[test]
fn overrides() {
    let place = Place::new();
    place.config("c.json", &mono(json!({})));
    let said = place.run(&[
        "train",
        "c.json",
        "--set",
        "epochs",
        "--set",
        "trainig.epochs=3",
        "--set",
        "network.widths[2]=5",
        "--set",
        "training.epochs=many",
        "--set",
        "optimizer.lr=0",
    ]);
    let expected = [
        "c.json: 5 mistakes",
        "  $: needed: the form key=value, as in optimizer.lr=0.01 (from --set epochs)",
        "  $.trainig: unknown key; did you mean \"training\"? valid: \"$schema\", \"name\", \"description\", \
         \"reproduces\", \"measured\", \"seed\", \"weights\", \"schedule\", \"training\", \"optimizer\", \"data\", \
         \"network\", \"rule\" (from --set trainig.epochs=3)",
        "  $.network.widths: has no item 2; valid: 0 to 1 (from --set network.widths[2]=5)",
        "  $.training.epochs: \"many\" is a string; needed: an integer >= 1 and <= 1000000 (from --set \
         training.epochs=many)",
        "  $.optimizer.lr: 0 is too small; needed: a number >= 1e-12 and <= 1000 (from --set optimizer.lr=0)",
    ];
    assert_eq!(said.failed(2), expected.join("\n"));
}

#[test]
fn all_mistakes_of_all_files() {
    let place = Place::new();
    place.config("good.json", &mono(json!({})));
    place.config("one.json", &mono(json!({"seed": -1})));
    fs::write(place.file("two.json"), "{\n  \"seed\": 1,\n}").unwrap();
    fs::write(place.file("three.json"), "{\"seed\": 1, \"seed\": 2}").unwrap();
    let said = place.run(&["check", "one.json", "good.json", "two.json", "nowhere.json", "three.json"]);
    assert_eq!(said.out, "good.json: ok (mono-forward on mlp)\n");
    let expected = [
        "one.json: 1 mistake",
        "  $.seed: -1 is too small; needed: an integer >= 0",
        "error: two.json: 1 mistake",
        "  $: line 3, column 1: trailing comma",
        "error: nowhere.json: No such file or directory (os error 2)",
        "error: three.json: 1 mistake",
        "  $.seed: the key occurs more than once in its object",
        "error: 4 of 5 configs cannot be used",
    ];
    assert_eq!(said.failed(2), expected.join("\n"));
    assert_eq!(place.run(&["check", "good.json"]).done(), "good.json: ok (mono-forward on mlp)\n");
}

#[test]
fn missing_config() {
    let place = Place::new();
    for command in ["train", "plan", "audit", "compare"] {
        let said = place.run(&[command, "nowhere.json"]);
        assert_eq!(said.failed(2), "nowhere.json: No such file or directory (os error 2)", "{command}");
    }
    // The configs in `configs/` are in one folder per family.
    fs::create_dir_all(place.file("configs/mlp")).unwrap();
    place.config("configs/mlp/a.json", &mono(json!({})));
    let said = place.run(&["train", "configs/a.json"]);
    assert_eq!(said.failed(2), "configs/a.json: found no such file; needed a config, such as configs/mlp/a.json");
    let said = place.run(&["train"]);
    assert!(said.failed(2).starts_with("the following required arguments were not provided:"), "{}", said.err);
    assert!(
        place.run(&["train", "a.json", "--seed", "-3"]).failed(2).starts_with("invalid value '-3' for '--seed <SEED>'")
    );
}

#[test]
fn idx_files() {
    let place = Place::new();
    place.config("c.json", &mono(json!({"data": {"name": "idx", "path": "set"}, "training": {"epochs": 1}})));
    let set = place.file("set");
    let refused = |file: &str, bytes: Option<Vec<u8>>| {
        idx_folder(&set, 40, 20);
        match bytes {
            Some(bytes) => fs::write(set.join(file), bytes).unwrap(),
            None => fs::remove_file(set.join(file)).unwrap(),
        }
        let said = place.run(&["train", "c.json"]);
        assert!(!place.file("runs").exists());
        said.failed(2).to_string()
    };
    let images = idx(&[40, 4, 4], &[7; 640]);
    let name = "train-images-idx3-ubyte";
    let of = |found: &str, needed: &str| format!("set/{name}: found {found}; needed {needed}");

    let truncated = refused(name, Some(images[..600].to_vec()));
    assert_eq!(truncated, of("584 bytes of 40 x 4 x 4 elements", "640 bytes"));
    let long = refused(name, Some([images.clone(), vec![0]].concat()));
    assert_eq!(long, of("bytes after the last of 40 x 4 x 4 elements", "the end of the file"));
    let magic = refused(name, Some([vec![1, 2, 3, 4], images[4..].to_vec()].concat()));
    assert_eq!(magic, of("magic number 0x01020304", "0x00000803 or 0x00000804 (images of unsigned bytes)"));
    let few = refused(name, Some(idx(&[39, 4, 4], &[7; 39 * 16])));
    assert!(few.contains("39") && few.contains("40") && few.contains("train-"), "{few}");
    let other = refused("t10k-images-idx3-ubyte", Some(idx(&[20, 4, 5], &[7; 400])));
    assert_eq!(
        other,
        "set/t10k-images-idx3-ubyte: found images of 1x4x5; needed images of 1x4x4, as in set/train-images-idx3-ubyte"
    );
    let missing = refused("t10k-labels-idx1-ubyte", None);
    assert!(missing.contains("t10k-labels-idx1-ubyte") && missing.contains("needed"), "{missing}");
}

#[test]
fn missing_data() {
    let place = Place::new();
    place.config("c.json", &mono(json!({"data": {"name": "mnist"}})));
    assert_eq!(
        place.run(&["train", "c.json", "--data", "nowhere"]).failed(2),
        "nowhere/mnist: found no such folder; needed the folder with the files of \"mnist\"; public files: \
         yann.lecun.com/exdb/mnist, mirrored at ossci-datasets.s3.amazonaws.com/mnist; another place can be given with \
         --data FOLDER, BURN_FORWARD_DATA or $.data.path"
    );
}

#[test]
fn devices() {
    let place = Place::new();
    place.config("c.json", &mono(json!({})));
    assert_eq!(
        place.run(&["train", "c.json", "--device", "gpu"]).failed(2),
        "device 'gpu': no such device; compiled in: flex, ndarray"
    );
    assert_eq!(
        place.run(&["train", "c.json", "--device", "rocm:0"]).failed(2),
        "device 'rocm:0': not compiled in; build with `--features rocm`; compiled in: flex, ndarray"
    );
    assert!(!place.file("runs").exists());
}

#[test]
fn unknown_names() {
    let place = Place::new();
    let known = [names("rule"), names("network"), names("data")].concat().join(", ");
    assert_eq!(
        place.run(&["list", "mono-foward"]).failed(2),
        format!(
            "list: name is \"mono-foward\", but needs to be {known}, schedule, training, optimizer; did you mean \
             \"mono-forward\"?"
        )
    );
    assert!(place.run(&["trian"]).failed(2).starts_with("unrecognized subcommand 'trian'"));
    assert!(place.run(&["compare", "a.json", "--seeds", "0"]).failed(2).starts_with("invalid value '0' for '--seeds"));
}
