//! The arms of a comparison: the given configs, and the baselines that every comparison includes.

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

/// An arm: a name and a config with its rule.
pub(super) struct Arm {
    pub(super) name: String,
    pub(super) config: Value,
    /// The settings in which it differs from the other arms of a sweep.
    pub(super) settings: Map<String, Value>,
    base: PathBuf,
}

/// A description of an arm's data set, its number of classes, and its number of samples in every part.
pub(super) type Samples = (String, usize, [usize; 3]);

/// The given configs, and the baselines with the network, data and budget of the first config. Every arm has a unique name.
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
    // Further comparisons that the architecture asks for: graph networks have two baselines of back-propagation.
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
    // The baselines keep their usual names, so the given arms use other names.
    let mut taken: Vec<String> = arms[names.len()..].iter().map(|arm| arm.name.to_lowercase()).collect();
    for (arm, names) in arms.iter_mut().zip(names) {
        arm.name = free_name(&names, &mut taken);
    }
    Ok(arms)
}

/// What the given configs contribute.
struct Given {
    /// Arms without names yet.
    arms: Vec<Arm>,
    /// Possible names for each arm, the shortest first.
    names: Vec<[String; 2]>,
    /// Deep supervision with the heads of the first rule that has any.
    deep_supervision: Value,
    /// The block borders of the first config that sets them; a rule that trains the network as one block does not set any.
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

/// What the baselines have in common.
struct Baseline {
    /// The config whose network, data and optimiser the baselines use.
    config: Value,
    /// The file of that config.
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
            // A single block needs no rates per block.
            optimizer.shift_remove("block-lr");
        }
        Arm::new(name.into(), config, self.base.clone())
    }
}

/// The number of epochs of a baseline: as many passes over the training set as the first config may make. A greedy schedule
/// counts its epochs per block.
pub(super) fn budget(path: &Path, change: &ChangeArgs, registry: &Registry) -> Result<usize> {
    let config = RunConfig::load(path, &change.assignments(), registry)?;
    let blocks = if config.schedule.is_greedy() { config.blocks() } else { 1 };
    Ok(config.training.epochs * blocks)
}

/// Returns the first free name among `names` or, after these, `<last name>-2`, `<last name>-3` and so on, and marks it as
/// taken. Names differ in more than case, because folders are named after them.
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

    /// The seed of the config.
    pub(super) fn seed(&self) -> u64 {
        self.config.get("seed").and_then(Value::as_u64).unwrap_or(0)
    }

    /// The file name of the config for a run with `seed`.
    pub(super) fn file_name(&self, seed: u64) -> String {
        format!("{}-seed{seed}.json", self.name)
    }

    /// The last of `seeds` seeds, counting up from the seed of the config.
    pub(super) fn last_seed(&self, seeds: u64) -> Result<u64> {
        let first = self.seed();
        first.checked_add(seeds - 1).ok_or_else(|| {
            InputWrong(format!("--seeds {seeds}: seeds start at {first} and may not exceed {}", u64::MAX)).into()
        })
    }

    /// The folder for a run with `seed` among the others in `out`. It must not contain a run of another config.
    pub(super) fn own_folder(&self, out: &Path, seed: u64) -> Result<PathBuf> {
        let folder = out.join(format!("{}-seed{seed}", self.name));
        let text = std::fs::read_to_string(out.join(self.file_name(seed))).ok();
        if folder.join("config.json").is_file() && text.as_ref() != Some(&self.document(out, Some(seed))?) {
            // Otherwise its results would be reported as those of this config.
            return Err(InputWrong(format!(
                "{}: contains a run of another config; choose another --out, or repeat the arguments that began the comparison",
                folder.display()
            ))
            .into());
        }
        if folder.join("config.json").is_file()
            && let Some(look) = read_quick_look(&RunFolder::open(&folder)?)?.some()
        {
            let found = format!("{}: contains a quick look, no result: {look}", folder.display());
            return Err(InputWrong(format!("{found}; needed: choose another --out, or remove the folder")).into());
        }
        Ok(folder)
    }

    /// Checks everything that `train` would check, before the first arm is trained. Returns the data that the arm trains on.
    pub(super) fn check(&self, change: &ChangeArgs, registry: &Registry) -> Result<Samples> {
        let config = RunConfig::from_value(&format!("arm '{}'", self.name), self.config.clone(), &[], registry)?;
        let run = Run::prepare(config, options(change.device(), Some(&self.base), change.data.as_deref()))?;
        run.check_training()?;
        let samples = [DataSplit::Train, DataSplit::Validation, DataSplit::Test].map(|split| run.data.samples(split));
        let described = format!("\"{}\" of {}", run.config.data_name, run.data.describe());
        Ok((described, run.data.classes(), samples))
    }

    /// Writes the config for a process that runs the arm to a file in `folder`, with another seed if one is given.
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
        assert_eq!(name("dfa", "C"), "C-2", "on some systems, folders whose names differ only in case are the same");
        assert_eq!(name("dfa", "c"), "c-3");
        assert_eq!(name("dfa", "backprop"), "backprop-2");
    }
}
