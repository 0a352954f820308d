//! Complete runs under a greedy schedule, on networks with batch normalisation and dropout.

use burn::module::Module;
use burn::store::ModuleRecord;
use burn_forward_train::config::RunConfig;
use burn_forward_train::run_folder::RunFolder;
use burn_forward_train::training::{ProgressRenderer, Run, RunOptions, Verbosity, train};
use serde_json::{Value, json};

use super::toy::{double_precision, recipes};
use burn_forward_testing::values::{Values, assert_close, assert_same, of_block, parameters};

/// Trains `rule` for one epoch per block; returns all floats of the model after every epoch.
fn epochs(rule: &Value, cache: bool, dropout: f64) -> Vec<Values> {
    let config = json!({
        "data": {"name": "digits", "samples-per-class": 4},
        "network": {"name": "conv-stack", "channels": [10, 10], "dropout": dropout, "normalisation": "rms"},
        "rule": rule,
        "schedule": {"name": "greedy", "cache": cache},
        "training": {"epochs": 1, "batch-size": 16},
        "optimizer": {"name": "adam", "lr": 0.01},
    });
    let mut registry = burn_forward_train::registry();
    burn_forward_cnn::register(&mut registry);
    let config = RunConfig::from_value("greedy", config, &[], &registry).unwrap_or_else(|e| panic!("{e}"));
    let options = RunOptions::on("flex");
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(place.path().join("run")).unwrap();
    let run = Run::prepare(config, options).unwrap();
    train(&run, &folder, Box::new(ProgressRenderer::new(Verbosity::Quiet))).unwrap();
    let after = |epoch: usize| {
        let record = ModuleRecord::load(folder.checkpoints().join(format!("model-{epoch}.bpk"))).unwrap();
        parameters(&run.model().unwrap().load_record(record)).unwrap()
    };
    (1..=2).map(after).collect()
}

/// The rules that can be trained greedily, and whether they support a cache.
fn rules() -> Vec<(Value, bool)> {
    let cases = recipes()
        .into_iter()
        .filter(|case| case.network().name() == "conv-stack" && case.spec().unwrap().greedy().is_ok());
    let rule = |name: &str, settings: &Value| {
        let mut rule = settings.clone();
        rule["name"] = json!(name);
        rule
    };
    let mut rules: Vec<(Value, bool)> =
        cases.map(|case| (rule(case.rule(), case.settings()), case.spec().unwrap().cacheable().is_ok())).collect();
    rules.push((json!({"name": "forward-forward", "preset": "pezeshki"}), false));
    rules
}

#[test]
fn a_finished_block_stays_as_it_is_running_statistics_included() {
    double_precision();
    for (rule, cacheable) in rules() {
        for cache in if cacheable { vec![true, false] } else { vec![false] } {
            let [done, next] = epochs(&rule, cache, 0.3).try_into().unwrap();
            let first = of_block(&done, 0);
            assert!(
                first.keys().any(|path| path.contains("running_")),
                "{rule}: no statistics among {:?}",
                first.keys()
            );
            assert_same(&first, &of_block(&next, 0), &format!("{rule}, cache {cache}"));
        }
    }
}

/// A cache only saves work: the batches and their order are the same. (There is no dropout here, because its masks are drawn
/// from one generator of the device, which all tests of this program share.)
#[test]
fn a_run_with_a_cache_is_the_run_without() {
    double_precision();
    for (rule, _) in rules().into_iter().filter(|(_, cacheable)| *cacheable) {
        let [cached, plain] = [true, false].map(|cache| epochs(&rule, cache, 0.0).pop().unwrap());
        for (path, values) in &cached {
            // Finished blocks get batches of other sizes, so sums are rounded in another order.
            assert_close(values, &plain[path], 1e-5, &format!("{rule}: {path}"));
        }
    }
}
