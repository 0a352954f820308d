//! `compare`: several rules on equal terms.
//!
//! Every arm and seed is a process of its own, so that its peak memory is its own. Data order and initial weights follow
//! from the seed, so they are the same in every arm.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use burn_forward::config::RunConfig;
use burn_forward::report::{self, RunRecord};
use burn_forward::training::{Run, RunFolder, Summary};
use serde_json::{Map, Value, json};

use super::{InputWrong, RunFailed, options, output_folder, registry};
use crate::args::{ChangeArgs, CompareArgs};
use crate::output::{note, print, print_line};
use crate::tables::{bytes, grouped, percent, table};

/// One arm: a name and a config with its rule.
pub(super) struct Arm {
    pub(super) name: String,
    pub(super) config: Value,
    base: PathBuf,
}

pub(crate) fn run(args: &CompareArgs) -> Result<()> {
    let arms = arms(&args.configs, &args.change, args.checkpointing)?;
    if arms[0].config["schedule"]["name"] == "greedy" {
        note(format_args!(
            "budget: epochs. The greedy arm '{}' trains every block for up to {} epochs; baselines train for {}",
            arms[0].name,
            arms[0].config["training"]["epochs"],
            budget(&args.configs[0], &args.change)?
        ));
    }
    for arm in &arms {
        arm.check(&args.change)?;
    }
    // Begun before: the config of one of its runs is there.
    let begun = |out: &Path| arms.iter().any(|arm| out.join(arm.file_name(arm.seed())).is_file());
    let out = output_folder(args.out.as_deref(), "compare", |out| args.force || begun(out))?;
    let mut results: BTreeMap<usize, Vec<Summary>> = BTreeMap::new();
    let mut folders = Vec::new();
    for (i, arm) in arms.iter().enumerate() {
        for offset in 0..args.seeds {
            let seed = arm.seed().checked_add(offset).ok_or_else(|| {
                InputWrong(format!("--seeds {}: seeds from {} on end at {}", args.seeds, arm.seed(), u64::MAX))
            })?;
            let folder = out.join(format!("{}-seed{seed}", arm.name));
            note(format_args!("{} seed {seed}", arm.name));
            let summary = child(args, arm, seed, &folder)?;
            if args.json {
                let mut line = serde_json::to_value(&summary)?;
                line["arm"] = json!(arm.name);
                print_line(line)?;
            }
            results.entry(i).or_default().push(summary);
            folders.push(folder);
        }
    }
    let records = folders.iter().map(RunRecord::load).collect::<burn_forward::Result<Vec<_>>>()?;
    report::write(&records, out.join("report.html"))?;
    if !args.json {
        print(render(&arms, &results))?;
        print_line(format_args!("\nreport {}", out.join("report.html").display()))?;
    }
    Ok(())
}

/// The given configs, and the baselines on the first one's network, data and budget.
pub(super) fn arms(configs: &[PathBuf], change: &ChangeArgs, checkpointing: bool) -> Result<Vec<Arm>> {
    let mut arms: Vec<Arm> = Vec::new();
    for path in configs {
        let config = RunConfig::load(path, &change.assignments(), &registry())?;
        let mut name = config.rule_name.clone();
        if arms.iter().any(|a| a.name == name) {
            name = config.name.clone();
        }
        arms.push(Arm { name, config: config.resolved().clone(), base: path.clone() });
    }
    let first = arms[0].config.clone();
    let epochs = budget(&configs[0], change)?;
    let base = arms[0].base.clone();
    let has = |arms: &[Arm], rule: &str| arms.iter().any(|a| a.config["rule"]["name"] == rule);
    let baseline = |name: &str, rule: &str, checkpointing: bool| {
        let mut config = first.clone();
        config["rule"] = json!({"name": rule});
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
    // A network that the first config trained as one block needs its own partition back for the heads.
    for rule in ["backprop", "deep-supervision"] {
        if !has(&arms, rule) {
            arms.push(baseline(rule, rule, false));
        }
    }
    // What an architecture wants to be compared with beside that: graph networks have two baselines of back-propagation.
    let further = registry()
        .networks
        .iter()
        .find(|n| first["network"]["name"] == n.name)
        .map_or_else(Vec::new, |n| (n.baselines)(&first));
    for (name, config) in further {
        if !arms.iter().any(|a| a.config["rule"] == config["rule"] && a.config["network"] == config["network"]) {
            let mut arm = baseline(name, "backprop", false);
            for part in ["rule", "network", "data"] {
                arm.config[part] = config[part].clone();
            }
            arms.push(arm);
        }
    }
    if checkpointing {
        arms.push(baseline("backprop-checkpointing", "backprop", true));
    }
    Ok(arms)
}

/// Epochs of a baseline: as many passes over the training set as the first config may make. A greedy schedule has its
/// epochs for each block.
fn budget(path: &Path, change: &ChangeArgs) -> Result<usize> {
    let config = RunConfig::load(path, &change.assignments(), &registry())?;
    let blocks = if config.schedule.is_greedy() { config.blocks() } else { 1 };
    Ok(config.training.epochs * blocks)
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

    /// Refuses what `train` would refuse, before the first arm is trained.
    fn check(&self, change: &ChangeArgs) -> Result<()> {
        let config = RunConfig::from_value(&format!("arm '{}'", self.name), self.config.clone(), &[], &registry())?;
        let run = Run::prepare(config, options(change.device(), Some(&self.base), change.data.as_deref()))?;
        Ok(run.check_training()?)
    }

    /// The config of a process that runs the arm, with another seed where one is given.
    pub(super) fn document(&self, seed: Option<u64>) -> Result<String> {
        let mut config = self.config.clone();
        if let Some(o) = config.as_object_mut() {
            o.insert("name".into(), json!(self.name));
            o.extend(seed.map(|seed| ("seed".to_string(), json!(seed))));
            absolute_data_path(o, &self.base);
        }
        Ok(serde_json::to_string_pretty(&config)?)
    }
}

/// Trains one arm with one seed in a process of its own.
fn child(args: &CompareArgs, arm: &Arm, seed: u64, folder: &Path) -> Result<Summary> {
    let text = arm.document(Some(seed))?;
    let parent = folder.parent().unwrap_or(Path::new("."));
    let file = parent.join(arm.file_name(seed));
    if folder.join("config.json").is_file() && std::fs::read_to_string(&file).ok().as_ref() != Some(&text) {
        // Its results would be taken for those of the config at hand.
        return Err(InputWrong(format!(
            "{}: holds a run of another config; give another --out, or the arguments that the comparison was begun with",
            folder.display()
        ))
        .into());
    }
    if !folder.join("summary.json").is_file() {
        burn_forward::files::write(&file, text)?;
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
        let status = command.status()?;
        if !status.success() {
            return Err(RunFailed(format!("arm '{}' with seed {seed} failed ({status})", arm.name)).into());
        }
    }
    Ok(serde_json::from_value(RunFolder::open(folder)?.read_json("summary.json")?)?)
}

/// A relative data path is relative to the config it came from, which the child does not see.
fn absolute_data_path(config: &mut Map<String, Value>, base: &Path) {
    let Some(path) = config.get("data").and_then(|d| d.get("path")).and_then(Value::as_str).map(PathBuf::from) else {
        return;
    };
    if path.is_absolute() {
        return;
    }
    let beside = base.parent().unwrap_or(Path::new(".")).join(&path);
    let found = if beside.exists() { beside } else { path };
    if let Ok(absolute) = found.canonicalize() {
        config["data"]["path"] = json!(absolute);
    }
}

fn render(arms: &[Arm], results: &BTreeMap<usize, Vec<Summary>>) -> String {
    let rows: Vec<Vec<String>> = results
        .iter()
        .map(|(i, runs)| {
            let n = runs.len() as f64;
            let mean = runs.iter().map(|r| r.test_accuracy).sum::<f64>() / n;
            let sd = if runs.len() > 1 {
                (runs.iter().map(|r| (r.test_accuracy - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
            } else {
                0.0
            };
            let mut seconds: Vec<f64> = runs.iter().map(|r| r.seconds_per_epoch).collect();
            seconds.sort_by(f64::total_cmp);
            let memory = runs.iter().filter_map(|r| r.peak_memory_bytes).max();
            vec![
                arms[*i].name.clone(),
                percent(mean),
                if runs.len() > 1 { format!("{:.2}", 100.0 * sd) } else { "-".into() },
                runs.len().to_string(),
                format!("{:.2}", seconds[seconds.len() / 2]),
                memory.map_or("-".into(), bytes),
                grouped(runs[0].parameters),
                grouped(runs[0].parameters + runs[0].head_parameters),
            ]
        })
        .collect();
    table(&["arm", "test accuracy", "sd", "seeds", "s/epoch", "peak memory", "parameters", "with heads"], &rows)
}
