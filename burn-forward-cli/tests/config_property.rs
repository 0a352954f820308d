//! Whatever a config contains, `check` either reports the position of a mistake, or the config trains. It never panics.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "config_property/changes.rs"]
mod changes;
#[path = "config_property/valid.rs"]
mod valid;

use std::cell::Cell;

use burn::train::{ItemLazy, Learner};
use burn_forward::Error;
use burn_forward::data::DataFolders;
use burn_forward::model::LocalModel;
use burn_forward::registry::Registry;
use burn_forward_train::config::RunConfig;
use burn_forward_train::training::{self, Checked, Run, RunOptions, parameter_counts, plan};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use changes::{apply, change};
use valid::valid;

/// All rules, networks and data sets of the program.
fn registry() -> Registry {
    let mut registry = burn_forward_train::registry();
    burn_forward_cnn::register(&mut registry);
    burn_forward_gnn::register(&mut registry);
    registry
}

/// Whether network and rule are small enough to run here.
fn is_small(value: &Value) -> bool {
    match value {
        Value::Number(n) => n.as_f64().is_some_and(|n| n <= 64.0),
        Value::Array(items) => items.len() <= 8 && items.iter().all(is_small),
        Value::Object(fields) => fields.values().all(is_small),
        _ => true,
    }
}

/// Builds the model, plans and takes one step, as `train` does.
fn step(run: &Run) -> Result<LocalModel, Error> {
    let model = run.model()?;
    plan(&model, &run.config.optimizer, run.config.training.batch_size);
    parameter_counts(&model);
    let groups = run.config.rule.parameter_groups();
    let optimizer = run.config.optimizer.optimizer(&groups)?;
    let scheduler = run.config.optimizer.scheduler(&groups, 2 * run.config.training.epochs)?;
    let mut learner: Learner<LocalModel> = Learner::new(model, optimizer, scheduler);
    learner.fork(&run.training_device());
    let loader = run.data.train_loader(run.config.training.batching(), 1, 1, &run.training_device())?;
    for batch in loader.iter().take(2) {
        let output = learner.train_step(batch.unwrap());
        learner.lr_step();
        learner.optimizer_step(output.grads);
        output.item.sync().unwrap();
    }
    Ok(learner.model())
}

fn options() -> RunOptions {
    let folders = DataFolders { argument: Some("there/is/no/such/folder".into()), ..DataFolders::default() };
    RunOptions { folders, ..RunOptions::on("flex") }
}

/// Whether the config trains; if it does not, its error must name a position.
fn check(config: &Value) -> Result<bool, TestCaseError> {
    let refused = |error: &Error| match error {
        Error::Config(errors) => {
            prop_assert!(!errors.errors.is_empty());
            for e in &errors.errors {
                prop_assert!(e.path.starts_with('$') && !e.message.is_empty(), "{error}");
            }
            Ok(false)
        }
        // Data that are not on this machine.
        Error::Data { .. } => Ok(false),
        other => Err(TestCaseError::fail(format!("no place is named: {other}"))),
    };
    let registry = registry();
    let config = match RunConfig::from_value("generated", config.clone(), &[], &registry) {
        Err(error) => return refused(&error),
        Ok(config) => config,
    };
    if !is_small(&config.resolved()["network"]) || !is_small(&config.resolved()["rule"]) {
        return Ok(false);
    }
    let again = match RunConfig::from_value("resolved", config.resolved().clone(), &[], &registry) {
        Ok(again) => again,
        Err(error) => return Err(TestCaseError::fail(format!("its own resolved form is refused: {error}"))),
    };
    prop_assert_eq!(again.resolved(), config.resolved(), "resolved twice is resolved once");
    match training::check(config, options()) {
        Err(error) => return refused(&error),
        Ok(Checked::WithData(_)) => {}
        Ok(_) => return Ok(false),
    }
    let trained = Run::prepare(again, options()).and_then(|run| step(&run));
    prop_assert!(trained.is_ok(), "`check` passes what `train` refuses: {}", trained.unwrap_err());
    Ok(true)
}

#[test]
fn the_configs_to_start_from_are_valid_and_train() {
    for config in valid() {
        let config = RunConfig::from_value("valid", config, &[], &registry()).unwrap();
        step(&Run::prepare(config, options()).unwrap()).unwrap();
    }
}

/// Number of generated configs, which take about ten seconds.
const CASES: u32 = 1_500;

#[test]
fn a_config_that_check_passes_trains_and_every_other_is_refused_with_its_place() {
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let trained = Cell::new(0);
    let bases = valid();
    let strategy = (any::<Index>(), prop::collection::vec(change(), 1..4));
    let result = TestRunner::new(config).run(&strategy, |(base, changes)| {
        let mut config = base.get(&bases).clone();
        for change in &changes {
            apply(&mut config, change);
        }
        trained.set(trained.get() + u32::from(check(&config)?));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    // Otherwise the property would say little about training.
    assert!(trained.get() > CASES / 8, "only {} of {CASES} configs were valid", trained.get());
}
