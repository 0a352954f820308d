//! The arms of a comparison: configs that are given, and the baselines that every comparison has.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn_forward::data::{DataFolders, DataSplit};
use burn_forward::network::Partition;
use burn_forward::registry::Registry;
use burn_forward_train::config::{RunConfig, paths};
use burn_forward_train::run_folder::RunFolder;
use burn_forward_train::training::{Run, read_quick_look};
use serde_json::{Map, Value, json};

use super::{InputWrong, options};
use crate::args::ChangeArgs;

/// One arm: a name and a config with its rule.
pub(super) struct Arm {
    pub(super) name: String,
    pub(super) config: Value,
    /// The settings that tell it from others of a sweep.
    pub(super) settings: Map<String, Value>,
    base: PathBuf,
}

/// The data set of an arm, described, with its number of classes and of samples in every part.
pub(super) type Samples = (String, usize, [usize; 3]);

/// The given configs, and the baselines on the first one's network, data and budget; every arm has a name of its own.
pub(super) fn arms(
    configs: &[PathBuf],
    change: &ChangeArgs,
    checkpointing: bool,
    registry: &Registry,
) -> Result<Vec<Arm>> {
    let Given { mut arms, names, deep_supervision, partition } = given(configs, change, registry)?;
    let first = Baseline {
        config: arms[0].config.clone(),
        base: arms[0].base.clone(),
        partition,
        epochs: budget(&configs[0], change, registry)?,
    };
    let backprop = json!({"name": "backprop"});
    for (name, rule) in [("backprop", &backprop), ("deep-supervision", &deep_supervision)] {
        if !arms.iter().any(|arm| arm.config["rule"]["name"] == name) {
            arms.push(first.arm(name, rule));
        }
    }
    // What an architecture wants to be compared with beside that: graph networks have two baselines of back-propagation.
    let network = registry.networks.iter().find(|network| first.config["network"]["name"] == network.name);
    for (name, config) in network.map_or_else(Vec::new, |network| (network.baselines)(&first.config)) {
        if !arms.iter().any(|a| a.config["rule"] == config["rule"] && a.config["network"] == config["network"]) {
            let mut arm = first.arm(name, &backprop);
            for part in ["rule", "network", "data"] {
                arm.config[part] = config[part].clone();
            }
            arms.push(arm);
        }
    }
    if checkpointing {
        let mut arm = first.arm("backprop-checkpointing", &backprop);
        arm.config["training"]["gradient-checkpointing"] = json!(true);
        arms.push(arm);
    }
    // Baselines are known by their names, so the given arms take what is left.
    let mut taken: Vec<String> = arms[names.len()..].iter().map(|arm| arm.name.to_lowercase()).collect();
    for (arm, names) in arms.iter_mut().zip(names) {
        arm.name = free_name(&names, &mut taken);
    }
    Ok(arms)
}

/// What the configs give.
struct Given {
    /// Arms that have no names yet.
    arms: Vec<Arm>,
    /// Names that say what an arm is, the shortest first.
    names: Vec<[String; 2]>,
    /// Deep supervision with the heads that the rules have: those of the first rule with any.
    deep_supervision: Value,
    /// Block borders as the first config states them: a rule that trains the network as one block leaves them to others.
    partition: Option<Partition>,
}

fn given(configs: &[PathBuf], change: &ChangeArgs, registry: &Registry) -> Result<Given> {
    let deep_supervision = json!({"name": "deep-supervision"});
    let mut given = Given { arms: Vec::new(), names: Vec::new(), deep_supervision, partition: None };
    for path in configs {
        let config = RunConfig::load(path, &change.assignments(), registry)?;
        given.partition.get_or_insert(config.stated_partition);
        if config.rule.classifiers().is_some() && given.deep_supervision.get("heads").is_none() {
            given.deep_supervision["heads"] = config.resolved()["rule"].clone();
        }
        given.arms.push(Arm::new(String::new(), config.resolved().clone(), path.clone()));
        given.names.push([config.rule_name, config.name]);
    }
    Ok(given)
}

/// What baselines have in common.
struct Baseline {
    /// The config whose network, data and optimiser they have.
    config: Value,
    /// Its file.
    base: PathBuf,
    partition: Option<Partition>,
    epochs: usize,
}

impl Baseline {
    fn arm(&self, name: &str, rule: &Value) -> Arm {
        let mut config = self.config.clone();
        config["rule"] = rule.clone();
        config["network"]["partition"] = json!(self.partition);
        config["schedule"] = json!({"name": "simultaneous"});
        config["training"]["epochs"] = json!(self.epochs);
        if let Some(optimizer) = config["optimizer"].as_object_mut() {
            // Rates per block have no meaning for one block.
            optimizer.shift_remove("block-lr");
        }
        Arm::new(name.into(), config, self.base.clone())
    }
}

/// Epochs of a baseline: as many passes over the training set as the first config may make. A greedy schedule has its
/// epochs for each block.
pub(super) fn budget(path: &Path, change: &ChangeArgs, registry: &Registry) -> Result<usize> {
    let config = RunConfig::load(path, &change.assignments(), registry)?;
    let blocks = if config.schedule.is_greedy() { config.blocks() } else { 1 };
    Ok(config.training.epochs * blocks)
}

/// The first of `names`, or of `<last name>-2`, `<last name>-3` and so on, that is not taken; takes it. Names differ by more
/// than case, since folders are called after them.
pub(super) fn free_name(names: &[String], taken: &mut Vec<String>) -> String {
    let last = names.last().map_or("arm", String::as_str);
    let numbered = (2u64..).map(|n| format!("{last}-{n}"));
    let mut candidates = names.iter().cloned().chain(numbered);
    let name = candidates.find(|name| !taken.contains(&name.to_lowercase())).unwrap_or_default();
    taken.push(name.to_lowercase());
    name
}

impl Arm {
    /// An arm with the resolved config of the file `base`.
    pub(super) fn new(name: String, config: Value, base: PathBuf) -> Self {
        Self { name, config, settings: Map::new(), base }
    }

    /// The config's own seed.
    pub(super) fn seed(&self) -> u64 {
        self.config.get("seed").and_then(Value::as_u64).unwrap_or(0)
    }

    /// Name of the config's file for a run with `seed`.
    pub(super) fn file_name(&self, seed: u64) -> String {
        format!("{}-seed{seed}.json", self.name)
    }

    /// The last of so many seeds, counted up from the config's own.
    pub(super) fn last_seed(&self, seeds: u64) -> Result<u64> {
        let first = self.seed();
        first
            .checked_add(seeds - 1)
            .ok_or_else(|| InputWrong(format!("--seeds {seeds}: seeds from {first} on end at {}", u64::MAX)).into())
    }

    /// The folder of a run with `seed` beside others in `out`, which holds no run of another config.
    pub(super) fn own_folder(&self, out: &Path, seed: u64) -> Result<PathBuf> {
        let folder = out.join(format!("{}-seed{seed}", self.name));
        let text = std::fs::read_to_string(out.join(self.file_name(seed))).ok();
        if folder.join("config.json").is_file() && text.as_ref() != Some(&self.document(out, Some(seed))?) {
            // Its results would be taken for those of the config at hand.
            return Err(InputWrong(format!(
                "{}: holds a run of another config; give another --out, or the arguments that the comparison was begun with",
                folder.display()
            ))
            .into());
        }
        if folder.join("config.json").is_file()
            && let Some(look) = read_quick_look(&RunFolder::open(&folder)?)?.some()
        {
            let found = format!("{}: holds a quick look, no result: {look}", folder.display());
            return Err(InputWrong(format!("{found}; needed: another --out, or that the folder is removed")).into());
        }
        Ok(folder)
    }

    /// Refuses what `train` would refuse, before the first arm is trained. Returns what it trains on.
    pub(super) fn check(&self, change: &ChangeArgs, registry: &Registry) -> Result<Samples> {
        let config = RunConfig::from_value(&format!("arm '{}'", self.name), self.config.clone(), &[], registry)?;
        let run = Run::prepare(config, options(change.device(), Some(&self.base), change.data.as_deref()))?;
        run.check_training()?;
        let samples = [DataSplit::Train, DataSplit::Validation, DataSplit::Test].map(|split| run.data.samples(split));
        let described = format!("\"{}\" of {}", run.config.data_name, run.data.describe());
        Ok((described, run.data.classes(), samples))
    }

    /// The config of a process that runs the arm, as a file in `folder`; with another seed where one is given.
    pub(super) fn document(&self, folder: &Path, seed: Option<u64>) -> Result<String> {
        let mut config = self.config.clone();
        config["name"] = json!(self.name);
        if let Some(seed) = seed {
            config["seed"] = json!(seed);
        }
        paths::relative_to(&mut config, folder, &DataFolders::new(self.base.parent(), None));
        Ok(serde_json::to_string_pretty(&config)?)
    }
}

#[cfg(test)]
mod tests {
    use super::free_name;

    #[test]
    fn every_arm_has_a_name_of_its_own() {
        let mut taken = vec!["backprop".to_owned()];
        let mut name = |rule: &str, config: &str| free_name(&[rule.to_owned(), config.to_owned()], &mut taken);
        assert_eq!(name("dfa", "c"), "dfa");
        assert_eq!(name("dfa", "c"), "c");
        assert_eq!(name("dfa", "C"), "C-2", "folders whose names differ by case alone are one folder on some systems");
        assert_eq!(name("dfa", "c"), "c-3");
        assert_eq!(name("dfa", "backprop"), "backprop-2");
    }
}
