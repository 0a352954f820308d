//! `compare`: several rules on equal terms.
//!
//! Every arm and seed is a process of its own, so that its peak memory is its own. Data order and initial weights follow
//! from the seed, so they are the same in every arm.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;
use burn_forward::data::{DataFolders, DataSplit};
use burn_forward::registry::Registry;
use burn_forward_train::config::{RunConfig, paths};
use burn_forward_train::report::{self, RunRecord};
use burn_forward_train::run_folder::RunFolder;
use burn_forward_train::training::{Run, Summary};
use serde_json::{Value, json};

use super::{InputWrong, RunFailed, options, output_folder};
use crate::args::{ChangeArgs, CompareArgs};
use crate::output::{note, print, print_line};
use crate::tables::{bytes, grouped, percent, table};

/// One arm: a name and a config with its rule.
pub(super) struct Arm {
    pub(super) name: String,
    pub(super) config: Value,
    base: PathBuf,
}

pub(crate) fn run(args: &CompareArgs, registry: &Registry) -> Result<()> {
    let arms = arms(&args.configs, &args.change, args.checkpointing, registry)?;
    if arms[0].config["schedule"]["name"] == "greedy" {
        note(format_args!(
            "budget: epochs. The greedy arm '{}' trains every block for up to {} epochs; baselines train for {}",
            arms[0].name,
            arms[0].config["training"]["epochs"],
            budget(&args.configs[0], &args.change, registry)?
        ));
    }
    // Whatever refuses an arm refuses the comparison, before any is trained.
    let mut first: Option<(&str, Samples)> = None;
    for arm in &arms {
        arm.last_seed(args.seeds)?;
        let samples = arm.check(&args.change, registry)?;
        match &first {
            None => first = Some((&arm.name, samples)),
            Some((name, those)) if samples != *those => note(format_args!(
                "warning: '{}' and '{name}' cannot be compared: they have other data, {} and {}",
                arm.name, samples.0, those.0
            )),
            Some(_) => {}
        }
    }
    // Begun before: the config of one of its runs is there.
    let begun = |out: &Path| arms.iter().any(|arm| out.join(arm.file_name(arm.seed())).is_file());
    let out = output_folder(args.out.as_deref(), "compare", |out| args.force || begun(out))?;
    for arm in &arms {
        for seed in arm.seed()..=arm.last_seed(args.seeds)? {
            arm.own_folder(&out, seed)?;
        }
    }
    let mut results: Vec<Vec<ArmRun>> = Vec::with_capacity(arms.len());
    let mut records = Vec::new();
    for arm in &arms {
        let mut runs = Vec::new();
        for seed in arm.seed()..=arm.last_seed(args.seeds)? {
            let folder = arm.own_folder(&out, seed)?;
            note(format_args!("{} seed {seed}", arm.name));
            let outcome = child(args, arm, seed, &folder)?;
            if args.json {
                let mut line = match &outcome {
                    Ok(summary) => serde_json::to_value(summary)?,
                    Err(reason) => json!({"rule": arm.config["rule"]["name"], "seed": seed, "failed": reason}),
                };
                line["arm"] = json!(arm.name);
                print_line(line)?;
            }
            // A run that failed before its first epoch has left nothing to draw.
            match RunRecord::load(&folder) {
                Ok(record) => records.push(record),
                Err(error) if outcome.is_ok() => return Err(error.into()),
                Err(_) => {}
            }
            runs.push(ArmRun { seed, outcome });
        }
        results.push(runs);
    }
    let report = (!records.is_empty()).then(|| out.join("report.html"));
    if let Some(report) = &report {
        report::write(&records, report)?;
    }
    if !args.json {
        print(render(&arms, &results))?;
        if let Some(report) = &report {
            print_line(format_args!("\nreport {}", report.display()))?;
        }
    }
    let runs = || results.iter().flatten();
    match runs().filter(|run| run.outcome.is_err()).count() {
        0 => Ok(()),
        failed => Err(RunFailed(format!("{failed} of {} runs failed", runs().count())).into()),
    }
}

/// The data set of an arm, described, with its number of classes and of samples in every part.
type Samples = (String, usize, [usize; 3]);

/// One seed of an arm.
struct ArmRun {
    seed: u64,
    /// What the run ended with, or why it failed.
    outcome: Result<Summary, String>,
}

/// The given configs, and the baselines on the first one's network, data and budget; every arm has a name of its own.
pub(super) fn arms(
    configs: &[PathBuf],
    change: &ChangeArgs,
    checkpointing: bool,
    registry: &Registry,
) -> Result<Vec<Arm>> {
    let mut arms: Vec<Arm> = Vec::new();
    // Names that say what an arm is, the shortest first.
    let mut given: Vec<[String; 2]> = Vec::new();
    // Deep supervision gets the heads that the rules have: those of the first rule with any.
    let mut deep_supervision = json!({"name": "deep-supervision"});
    // A rule that trains the network as one block leaves the others the blocks that its config states.
    let mut partition = None;
    for path in configs {
        let config = RunConfig::load(path, &change.assignments(), registry)?;
        partition.get_or_insert(config.stated_partition);
        if config.rule.classifiers().is_some() && deep_supervision.get("heads").is_none() {
            deep_supervision["heads"] = config.resolved()["rule"].clone();
        }
        given.push([config.rule_name.clone(), config.name.clone()]);
        arms.push(Arm { name: String::new(), config: config.resolved().clone(), base: path.clone() });
    }
    let first = arms[0].config.clone();
    let epochs = budget(&configs[0], change, registry)?;
    let base = arms[0].base.clone();
    let has = |arms: &[Arm], rule: &str| arms.iter().any(|a| a.config["rule"]["name"] == rule);
    let baseline = |name: &str, rule: &Value, checkpointing: bool| {
        let mut config = first.clone();
        config["rule"] = rule.clone();
        config["network"]["partition"] = json!(partition);
        config["schedule"] = json!({"name": "simultaneous"});
        config["training"]["epochs"] = json!(epochs);
        if let Some(optimizer) = config["optimizer"].as_object_mut() {
            // Rates per block have no meaning for one block.
            optimizer.shift_remove("block-lr");
        }
        if checkpointing {
            config["training"]["gradient-checkpointing"] = json!(true);
        }
        Arm { name: name.into(), config, base: base.clone() }
    };
    let backprop = json!({"name": "backprop"});
    for (name, rule) in [("backprop", &backprop), ("deep-supervision", &deep_supervision)] {
        if !has(&arms, name) {
            arms.push(baseline(name, rule, false));
        }
    }
    // What an architecture wants to be compared with beside that: graph networks have two baselines of back-propagation.
    let further = registry
        .networks
        .iter()
        .find(|n| first["network"]["name"] == n.name)
        .map_or_else(Vec::new, |n| (n.baselines)(&first));
    for (name, config) in further {
        if !arms.iter().any(|a| a.config["rule"] == config["rule"] && a.config["network"] == config["network"]) {
            let mut arm = baseline(name, &backprop, false);
            for part in ["rule", "network", "data"] {
                arm.config[part] = config[part].clone();
            }
            arms.push(arm);
        }
    }
    if checkpointing {
        arms.push(baseline("backprop-checkpointing", &backprop, true));
    }
    // Baselines are known by their names, so the given arms take what is left.
    let mut taken: Vec<String> = arms[given.len()..].iter().map(|arm| arm.name.to_lowercase()).collect();
    for (arm, names) in arms.iter_mut().zip(given) {
        arm.name = free_name(&names, &mut taken);
    }
    Ok(arms)
}

/// Epochs of a baseline: as many passes over the training set as the first config may make. A greedy schedule has its
/// epochs for each block.
fn budget(path: &Path, change: &ChangeArgs, registry: &Registry) -> Result<usize> {
    let config = RunConfig::load(path, &change.assignments(), registry)?;
    let blocks = if config.schedule.is_greedy() { config.blocks() } else { 1 };
    Ok(config.training.epochs * blocks)
}

/// The first of `names`, or of `<last name>-2`, `<last name>-3` and so on, that is not taken; takes it. Names differ by more
/// than case, since folders are called after them.
fn free_name(names: &[String], taken: &mut Vec<String>) -> String {
    let last = names.last().map_or("arm", String::as_str);
    let numbered = (2u64..).map(|n| format!("{last}-{n}"));
    let mut candidates = names.iter().cloned().chain(numbered);
    let name = candidates.find(|name| !taken.contains(&name.to_lowercase())).unwrap_or_default();
    taken.push(name.to_lowercase());
    name
}

impl Arm {
    /// The config's own seed.
    fn seed(&self) -> u64 {
        self.config.get("seed").and_then(Value::as_u64).unwrap_or(0)
    }

    /// Name of the config's file for a run with `seed`.
    fn file_name(&self, seed: u64) -> String {
        format!("{}-seed{seed}.json", self.name)
    }

    /// The last of so many seeds, counted up from the config's own.
    fn last_seed(&self, seeds: u64) -> Result<u64> {
        let first = self.seed();
        first
            .checked_add(seeds - 1)
            .ok_or_else(|| InputWrong(format!("--seeds {seeds}: seeds from {first} on end at {}", u64::MAX)).into())
    }

    /// The folder of a run with `seed` beside others in `out`, which holds no run of another config.
    fn own_folder(&self, out: &Path, seed: u64) -> Result<PathBuf> {
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
        Ok(folder)
    }

    /// Refuses what `train` would refuse, before the first arm is trained. Returns what it trains on.
    fn check(&self, change: &ChangeArgs, registry: &Registry) -> Result<Samples> {
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

/// Trains one arm with one seed in a process of its own. Returns what it ended with, or why it failed.
///
/// # Errors
/// Where the comparison cannot go on: the process cannot be started, or it was stopped.
fn child(args: &CompareArgs, arm: &Arm, seed: u64, folder: &Path) -> Result<Result<Summary, String>> {
    let parent = folder.parent().unwrap_or(Path::new("."));
    let text = arm.document(parent, Some(seed))?;
    let file = parent.join(arm.file_name(seed));
    if !folder.join("summary.json").is_file() {
        burn_forward_train::files::write(&file, text)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("train");
        if folder.join("config.json").is_file() {
            command.arg("--resume").arg(folder);
        } else {
            command.arg(&file).arg("--out").arg(folder);
        }
        command.args(["--quiet", "--device", args.change.device()]);
        if let Some(data) = &args.change.data {
            command.arg("--data").arg(data);
        }
        let output = command.stdout(Stdio::inherit()).stderr(Stdio::piped()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !said.trim().is_empty() {
            note(said.trim_end());
        }
        if !output.status.success() {
            let stopped = || RunFolder::open(folder).ok()?.read_json("run.json").ok();
            if stopped().is_some_and(|info| info["status"] == "interrupted") {
                return Err(RunFailed(format!("arm '{}' with seed {seed} was stopped", arm.name)).into());
            }
            return Ok(Err(reason(&said).unwrap_or_else(|| output.status.to_string())));
        }
    }
    Ok(Ok(serde_json::from_value(RunFolder::open(folder)?.read_json("summary.json")?)?))
}

/// The message of a process that said why it failed, without what it said before.
fn reason(said: &str) -> Option<String> {
    let lines: Vec<&str> = said.lines().skip_while(|line| !line.starts_with("error: ")).collect();
    Some(lines.join("\n").strip_prefix("error: ")?.to_owned())
}

/// One row per arm, over the seeds that ended well; below, why the others did not.
fn render(arms: &[Arm], results: &[Vec<ArmRun>]) -> String {
    let mut failures = String::new();
    let mut rows = Vec::with_capacity(arms.len());
    for (arm, runs) in arms.iter().zip(results) {
        let mut done = Vec::with_capacity(runs.len());
        for ArmRun { seed, outcome } in runs {
            match outcome {
                Ok(summary) => done.push(summary),
                Err(reason) => failures += &format!("\n{} seed {seed} failed: {reason}", arm.name),
            }
        }
        let seeds = match done.len() == runs.len() {
            true => runs.len().to_string(),
            false => format!("{} of {}", done.len(), runs.len()),
        };
        rows.push(row(&arm.name, &done, seeds));
    }
    let head = ["arm", "test accuracy", "sd", "seeds", "s/epoch", "peak memory", "parameters", "with heads"];
    table(&head, &rows) + &failures + if failures.is_empty() { "" } else { "\n" }
}

fn row(name: &str, runs: &[&Summary], seeds: String) -> Vec<String> {
    let Some(first) = runs.first() else {
        let dash = || "-".to_owned();
        return vec![name.into(), "failed".into(), dash(), seeds, dash(), dash(), dash(), dash()];
    };
    let n = runs.len() as f64;
    let mean = runs.iter().map(|r| r.test_accuracy).sum::<f64>() / n;
    let sd = (runs.iter().map(|r| (r.test_accuracy - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let mut seconds: Vec<f64> = runs.iter().map(|r| r.seconds_per_epoch).collect();
    seconds.sort_by(f64::total_cmp);
    let memory = runs.iter().filter_map(|r| r.peak_memory_bytes).max();
    vec![
        name.into(),
        percent(mean),
        if runs.len() > 1 { format!("{:.2}", 100.0 * sd) } else { "-".into() },
        seeds,
        format!("{:.2}", seconds[seconds.len() / 2]),
        memory.map_or("-".into(), bytes),
        grouped(first.parameters),
        grouped(first.parameters + first.head_parameters),
    ]
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
