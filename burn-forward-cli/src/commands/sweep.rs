//! `sweep`: trains one config with every combination of values of some settings.

use std::path::Path;

use anyhow::Result;
use burn_forward::registry::Registry;
use burn_forward_train::config::RunConfig;
use burn_forward_train::report;
use burn_forward_train::training::Summary;
use serde_json::{Map, Value};

use super::InputWrong;
use super::arms::{Arm, free_name};
use super::trials::{ArmRun, Trials, end_in_order, failures, finished, seconds_per_epoch, spread};
use super::varied::{parsed, varied};
use crate::args::SweepArgs;
use crate::tables::{grouped, percent, table};

/// Largest number of combinations in a sweep: each needs a row, and a section of the page.
const MOST: usize = 1000;

pub(crate) fn run(args: &SweepArgs, registry: &Registry) -> Result<()> {
    end_in_order()?;
    let settings: Vec<(String, Vec<String>)> = args.vary.iter().map(|text| varied(text)).collect::<Result<_>>()?;
    let arms = arms(args, &settings, registry)?;
    // Check before the first run, since the runs may take hours.
    let mut mistakes = Mistakes::default();
    for arm in &arms {
        let checked = arm.last_seed(args.seeds).and_then(|_| arm.check(&args.change, registry));
        mistakes.collect(&arm.name, checked)?;
    }
    mistakes.none_of(arms.len())?;
    let trials = Trials { arms: &arms, change: &args.change, seeds: args.seeds, json: args.json };
    let out = trials.folder(args.out.as_deref(), "sweep", args.force)?;
    let keys: Vec<&str> = settings.iter().map(|(key, _)| key.as_str()).collect();
    trials.run(&out, &keys, |results| render(&keys, &arms, results))
}

/// What is wrong with some combinations.
#[derive(Default)]
struct Mistakes {
    /// Every message once, with the first combination that it was about, and the number of such combinations.
    messages: Vec<(String, String, usize)>,
}

impl Mistakes {
    /// Passes a result on, and keeps a mistake of the combination `name`.
    ///
    /// # Errors
    /// Errors that are no mistakes of a config.
    fn collect<T>(&mut self, name: &str, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                let Some(burn_forward::Error::Config(mistakes)) = mistakes_of(&error) else { return Err(error) };
                for mistake in &mistakes.errors {
                    let message = mistake.to_string();
                    match self.messages.iter_mut().find(|(known, ..)| *known == message) {
                        Some((.., count)) => *count += 1,
                        None => self.messages.push((message, name.to_owned(), 1)),
                    }
                }
                Ok(None)
            }
        }
    }

    /// # Errors
    /// All mistakes of `all` combinations, if there are any.
    fn none_of(&self, all: usize) -> Result<()> {
        if self.messages.is_empty() {
            return Ok(());
        }
        let mut text = format!("of {all} combinations some cannot be trained");
        for (message, first, count) in &self.messages {
            let others = if *count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            text += &format!("\n  {first}{others}: {message}");
        }
        Err(InputWrong(text).into())
    }
}

/// The error of the library behind an error of a command.
fn mistakes_of(error: &anyhow::Error) -> Option<&burn_forward::Error> {
    let of_train = error.downcast_ref::<burn_forward_train::Error>().and_then(|error| match error {
        burn_forward_train::Error::Library(error) => Some(error),
        _ => None,
    });
    of_train.or_else(|| error.downcast_ref::<burn_forward::Error>())
}

/// An arm for every combination of values; the value of the last setting changes fastest.
fn arms(args: &SweepArgs, settings: &[(String, Vec<String>)], registry: &Registry) -> Result<Vec<Arm>> {
    if let Some((key, _)) = settings
        .iter()
        .enumerate()
        .find_map(|(i, setting)| settings[..i].iter().any(|before| before.0 == setting.0).then_some(setting))
    {
        return Err(InputWrong(format!("--vary {key}: given twice; needed: all values in one --vary")).into());
    }
    let combinations = settings.iter().try_fold(1usize, |all, (_, values)| all.checked_mul(values.len()));
    if combinations.is_none_or(|n| n > MOST) {
        let given = combinations.map_or("too many".to_owned(), |n| n.to_string());
        return Err(InputWrong(format!("--vary: the number of combinations is {given}; needed: at most {MOST}")).into());
    }
    let mut taken = Vec::new();
    let mut arms = Vec::new();
    let (all, mut mistakes) = (combinations.unwrap_or(0), Mistakes::default());
    for mut place in 0..all {
        let mut chosen = Vec::with_capacity(settings.len());
        for (key, values) in settings.iter().rev() {
            chosen.push((key.as_str(), values[place % values.len()].as_str()));
            place /= values.len();
        }
        chosen.reverse();
        let names: Vec<String> = chosen.iter().map(|(key, value)| part_of_name(key, value)).collect();
        let made = arm(args.config.as_path(), &args.change.assignments(), &chosen, &names, &mut taken, registry);
        arms.extend(mistakes.collect(&names.join("_"), made)?);
    }
    mistakes.none_of(all)?;
    Ok(arms)
}

/// The config with the given values.
fn arm(
    config: &Path,
    assignments: &[String],
    chosen: &[(&str, &str)],
    names: &[String],
    taken: &mut Vec<String>,
    registry: &Registry,
) -> Result<Arm> {
    let sets = assignments.iter().cloned().chain(chosen.iter().map(|(key, value)| format!("{key}={value}")));
    let resolved = RunConfig::load(config, &sets.collect::<Vec<_>>(), registry)?.resolved().clone();
    let settings = chosen.iter().map(|(key, value)| ((*key).to_owned(), parsed(value)));
    let mut arm = Arm::new(free_name(&[names.join("_")], taken), resolved, config.to_path_buf());
    arm.settings = settings.collect::<Map<String, Value>>();
    Ok(arm)
}

/// `lr=0.01` for `optimizer.lr` with the value 0.01. It is a valid folder name on every system.
fn part_of_name(key: &str, value: &str) -> String {
    const MOST: usize = 24;
    let last = key.rsplit('.').next().unwrap_or(key);
    let value = report::setting_label(&parsed(value));
    let fits = |c: char| if c.is_ascii_alphanumeric() || "-+.".contains(c) { c } else { ' ' };
    let plain = |text: &str| text.chars().map(fits).take(MOST).collect::<String>().trim().replace(' ', "-");
    format!("{}={}", plain(last), plain(&value))
}

/// One row per combination, over the seeds that succeeded, followed by the reasons why others failed, and by the best
/// combination by validation accuracy.
fn render(keys: &[&str], arms: &[Arm], results: &[Vec<ArmRun>]) -> String {
    let mut head = keys.to_vec();
    head.extend(["test accuracy", "sd", "validation", "seeds", "s/epoch", "parameters"]);
    let mut rows = Vec::with_capacity(arms.len());
    let mut best: Option<(f64, &Arm)> = None;
    for (arm, runs) in arms.iter().zip(results) {
        let (done, seeds) = finished(runs);
        let validation: Option<Vec<f64>> = done.iter().map(|run| run.validation_accuracy).collect();
        let validation = validation.and_then(|accuracies| spread(&accuracies).0);
        // An arm with a failed seed cannot be the best.
        if let Some(accuracy) = validation.filter(|_| done.len() == runs.len())
            && best.is_none_or(|(highest, _)| accuracy > highest)
        {
            best = Some((accuracy, arm));
        }
        rows.push(row(arm, &done, validation, seeds));
    }
    let mut text = table(&head, &rows) + &failures(arms, results);
    if let Some((accuracy, arm)) = best {
        text += &format!("\nbest by validation accuracy: {} ({})\n", arm.name, percent(accuracy));
    }
    text
}

fn row(arm: &Arm, runs: &[&Summary], validation: Option<f64>, seeds: String) -> Vec<String> {
    let dash = || "-".to_owned();
    let (mean, sd) = spread(&runs.iter().map(|run| run.test_accuracy).collect::<Vec<_>>());
    let mut row: Vec<String> = arm.settings.values().map(report::setting_label).collect();
    row.extend([
        mean.map_or_else(|| "failed".to_owned(), percent),
        sd.map_or_else(dash, |sd| format!("{:.2}", 100.0 * sd)),
        validation.map_or_else(dash, percent),
        seeds,
        seconds_per_epoch(runs).map_or_else(dash, |seconds| format!("{seconds:.2}")),
        runs.first().map_or_else(dash, |run| grouped(run.parameters)),
    ]);
    row
}

#[cfg(test)]
mod tests {
    use super::part_of_name;

    #[test]
    fn names_of_folders() {
        assert_eq!(part_of_name("optimizer.lr", "0.01"), "lr=0.01");
        assert_eq!(part_of_name("rule.threshold", "-1"), "threshold=-1");
        assert_eq!(part_of_name("network.widths", "[64,64,64]"), "widths=64x3");
        assert_eq!(part_of_name("rule", "{\"name\": \"a/b\"}"), "rule=name---a-b");
        assert_eq!(part_of_name("network.activation", "relu"), "activation=relu");
    }
}
