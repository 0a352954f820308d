//! Comparison of several runs.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::Value;

use super::axis::Kind;
use super::figures::{UNKNOWN, bytes, count, known, percent, seconds, setting_label};
use super::html::{Column, Html, figure, grid, legend, table};
use super::palette::Ink;
use super::plot::{self, Line};
use super::run_files::Split;
use super::run_record::RunRecord;
use super::run_section::with_heads;
use burn_forward::Result;

/// Runs that share everything but the seed, by their indices among all runs.
#[derive(Debug)]
struct Group<'a> {
    runs: Vec<(usize, &'a RunRecord)>,
}

/// Mean of some runs' figures, their sample standard deviation, and the number of runs.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    mean: f64,
    /// `None` for a single run.
    deviation: Option<f64>,
    n: usize,
}

/// A property of a run in words, with the heading of its column.
type Trait = (&'static str, fn(&RunRecord) -> Option<String>);

/// These have a column only if the runs differ in them; otherwise the table would be wider than the page.
const TRAITS: [Trait; 3] =
    [("Rule", RunRecord::rule), ("Network", RunRecord::network), ("Schedule", RunRecord::schedule)];

fn is_shared(runs: &[RunRecord], of: fn(&RunRecord) -> Option<String>) -> bool {
    runs.windows(2).all(|pair| of(&pair[0]) == of(&pair[1]))
}

/// The figure that ranks the runs.
#[derive(Debug, Clone, Copy, PartialEq)]
enum RankedBy {
    Test,
    Validation,
}

/// The ranking of the runs, and the validation curves in one plot; `varied` are the settings of a sweep.
pub(super) fn render(runs: &[RunRecord], varied: &[&str]) -> Result<Html> {
    let is_validated = runs.iter().all(|run| run.validation_accuracy().is_some());
    let ranked_by = if !varied.is_empty() && is_validated { RankedBy::Validation } else { RankedBy::Test };
    let groups = groups(runs, ranked_by);
    let mut body = cautions(runs);
    let (same, differing): (Vec<Trait>, Vec<Trait>) = TRAITS.into_iter().partition(|(_, of)| is_shared(runs, *of));
    let same: Vec<String> =
        same.iter().filter_map(|(name, of)| Some(format!("{name}: {}.", of(runs.first()?)?))).collect();
    if !same.is_empty() {
        body.push(Html::hint(format!("The same in all runs: {}", same.join(" "))));
    }
    body.push(Html::markup(format!(
        "<div class=\"ranking\">{}</div>\n",
        ranking(&groups, &differing, varied, ranked_by)
    )));
    if ranked_by == RankedBy::Validation {
        body.push(Html::hint("Ranked by validation accuracy: the best of many test accuracies is too high by chance."));
    }
    if groups.iter().any(|group| group.runs.len() > 1) {
        body.push(Html::hint(
            "Runs that share everything but the seed are shown in one row: mean ± sample standard deviation.",
        ));
    }
    body.push(overlay(&groups)?);
    Ok(body)
}

/// Reasons why the figures are not comparable.
fn cautions(runs: &[RunRecord]) -> Html {
    let differ = |of: fn(&RunRecord) -> Option<String>, what: &str| {
        let values: BTreeSet<String> = runs.iter().filter_map(of).collect();
        let list = values.iter().cloned().collect::<Vec<_>>().join(", ");
        (values.len() > 1).then(|| Html::missing(format!("The runs differ in {what}: {list}.")))
    };
    let unfinished: Vec<String> =
        runs.iter().filter(|run| run.status() != Some("finished")).map(RunRecord::name).collect();
    let unfinished =
        (!unfinished.is_empty()).then(|| Html::missing(format!("Not finished: {}.", unfinished.join(", "))));
    let looks: Vec<String> = runs.iter().filter(|run| run.quick_look().is_some()).map(RunRecord::name).collect();
    let looks = (!looks.is_empty())
        .then(|| Html::missing(format!("Quick looks at part of the data, no results: {}.", looks.join(", "))));
    [
        looks,
        differ(RunRecord::data, "data"),
        differ(RunRecord::device, "device, so time and memory are not comparable"),
        unfinished,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// One row per group. The figures are next to the names, so that a phone shows them without scrolling.
fn ranking(groups: &[Group<'_>], traits: &[Trait], varied: &[&str], ranked_by: RankedBy) -> Html {
    let mut columns = vec![Column::Words("Run")];
    columns.extend(varied.iter().map(|setting| Column::Words(setting)));
    columns.extend([
        Column::Figures("Test accuracy"),
        Column::Figures("Validation"),
        Column::Figures("Median epoch"),
        Column::Figures("Peak memory"),
        Column::Figures("Parameters"),
        Column::Figures("With heads"),
    ]);
    columns.extend(traits.iter().map(|(name, _)| Column::Words(name)));
    let test: Vec<_> = groups.iter().map(|group| group.spread(RunRecord::test_accuracy)).collect();
    let validation: Vec<_> =
        groups.iter().map(|group| group.spread(|run| Some(run.validation_accuracy()?.0))).collect();
    let pace: Vec<_> = groups.iter().map(|group| group.spread(RunRecord::seconds_per_epoch)).collect();
    let memory: Vec<_> = groups.iter().map(|group| group.spread(peak_memory)).collect();
    let best = |column: &[Option<Spread>], better: Ordering| {
        let means = || column.iter().flatten().map(|spread| spread.mean);
        let winner = means().reduce(|best, mean| if mean.total_cmp(&best) == better { mean } else { best });
        // A single figure is not marked as the best.
        winner.filter(|_| means().count() > 1)
    };
    let (fastest, smallest) = (best(&pace, Ordering::Less), best(&memory, Ordering::Less));
    let (best_test, best_validation) = match ranked_by {
        RankedBy::Test => (best(&test, Ordering::Greater), None),
        RankedBy::Validation => (None, best(&validation, Ordering::Greater)),
    };
    let cell = |spread: Option<Spread>, best: Option<f64>, figure: &dyn Fn(Spread) -> String| {
        let text = Html::text(known(spread, figure));
        let wins = spread.is_some_and(|spread| Some(spread.mean) == best);
        if wins { Html::markup(format!("<b class=\"best\">{text}</b>")) } else { text }
    };
    let row = |i: usize| {
        let group = &groups[i];
        let words = |of: fn(&RunRecord) -> Option<String>| {
            let first = group.runs.first().and_then(|(_, run)| of(run));
            Html::text(first.unwrap_or_else(|| UNKNOWN.to_owned()))
        };
        let summed_up = |of: fn(&RunRecord) -> Option<u64>| {
            Html::text(known(group.runs.iter().find_map(|(_, run)| of(run)), count))
        };
        let mut row = vec![Html::markup(format!("<i class=\"dot {}\"></i>{}", Ink::series(i).class(), group.links()))];
        row.extend(varied.iter().map(|setting| Html::text(group.setting(setting))));
        row.extend([
            cell(test[i], best_test, &|spread| accuracy(spread, group.runs.len())),
            cell(validation[i], best_validation, &|spread| accuracy(spread, group.runs.len())),
            cell(pace[i], fastest, &|spread| seconds(spread.mean)),
            cell(memory[i], smallest, &|spread| bytes(spread.mean.round() as u64)),
            summed_up(|run| run.summary.as_ref()?.parameters),
            summed_up(with_heads),
        ]);
        row.extend(traits.iter().map(|(_, of)| words(*of)));
        row
    };
    table(&columns, (0..groups.len()).map(row))
}

/// Validation accuracy of all runs, over epochs and over the training time in seconds.
fn overlay(groups: &[Group<'_>]) -> Result<Html> {
    let mut key = Vec::new();
    let mut lines: [Vec<Line>; 2] = Default::default();
    let mut without: [Vec<String>; 2] = Default::default();
    for (i, group) in groups.iter().enumerate() {
        let ink = Ink::series(i);
        key.push((ink, group.links()));
        for (_, run) in &group.runs {
            let by_epoch = run.curve(Split::Validation, None, |row| row.accuracy);
            let by_second = over_time(run, &by_epoch);
            for (k, points) in [by_epoch, by_second].into_iter().enumerate() {
                let line = Line { ink, points };
                if line.is_empty() { without[k].push(run.name()) } else { lines[k].push(line) }
            }
        }
    }
    let mut body = Html::default();
    let mut plots = Vec::new();
    let [by_epoch, by_second] = &lines;
    for (lines, time, title) in [
        (by_epoch, Kind::Epochs, "Validation accuracy over epochs"),
        (by_second, Kind::Seconds, "Validation accuracy over training time"),
    ] {
        if !lines.is_empty() {
            plots.push(figure(title, &plot::curves(title, (time, Kind::Percent), lines, lines, &[])?));
        }
    }
    if !plots.is_empty() {
        body.push(legend(key));
        body.push(grid(plots));
    }
    for (without, what) in without.iter().zip(["validation accuracy", "validation accuracy with times"]) {
        if !without.is_empty() {
            body.push(Html::missing(format!("No {what} was recorded for {}.", without.join(", "))));
        }
    }
    Ok(body)
}

/// The curve over the training time in seconds at the end of each epoch. Empty if an epoch has no time, since a gap
/// would shift everything after it.
fn over_time(run: &RunRecord, by_epoch: &[(f64, Option<f64>)]) -> Vec<(f64, Option<f64>)> {
    let seconds = run.curve(Split::Train, None, |row| row.seconds);
    if seconds.iter().any(|(_, seconds)| seconds.is_none()) {
        return Vec::new();
    }
    let elapsed = |epoch: f64| seconds.iter().take_while(|(at, _)| *at <= epoch).filter_map(|(_, s)| *s).sum();
    let timed = by_epoch.iter().filter(|(epoch, _)| seconds.iter().any(|(at, _)| at == epoch));
    timed.map(|(epoch, accuracy)| (elapsed(*epoch), *accuracy)).collect()
}

impl Group<'_> {
    fn spread(&self, of: impl Fn(&RunRecord) -> Option<f64>) -> Option<Spread> {
        let values: Vec<f64> = self.runs.iter().filter_map(|(_, run)| of(run)).filter(|x| x.is_finite()).collect();
        Spread::of(&values)
    }

    /// The value of a setting in the config of the runs.
    fn setting(&self, setting: &str) -> String {
        let pointer = format!("/{}", setting.replace('.', "/"));
        let value = self.runs.first().and_then(|(_, run)| run.config.pointer(&pointer));
        value.map_or_else(|| UNKNOWN.to_owned(), setting_label)
    }

    /// The names of the runs and, if there are several, their seeds, each linked to the section of the run.
    fn links(&self) -> Html {
        let links = |of: fn(&RunRecord) -> String| {
            let mut links: Vec<(String, String)> = Vec::new();
            for (i, run) in &self.runs {
                let text = of(run);
                if links.iter().all(|(other, _)| *other != text) {
                    let link = format!("<a href=\"#run-{i}\">{}</a>", Html::text(&text));
                    links.push((text, link));
                }
            }
            links.into_iter().map(|(_, link)| link).collect::<Vec<_>>().join(", ")
        };
        let names = links(RunRecord::name);
        if self.runs.len() == 1 {
            return Html::markup(names);
        }
        Html::markup(format!("{names} (seeds {})", links(|run| known(run.seed(), |seed| seed.to_string()))))
    }
}

impl Spread {
    fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (n > 1).then(|| (squares / (n as f64 - 1.0)).sqrt());
        (n > 0).then_some(Self { mean, deviation, n })
    }
}

/// Mean and deviation in percent, and the number of runs if not all of them are included.
fn accuracy(spread: Spread, runs: usize) -> String {
    let figures = match spread.deviation {
        Some(deviation) => format!("{:.2} ± {:.2} %", 100.0 * spread.mean, 100.0 * deviation),
        None => percent(spread.mean),
    };
    if spread.n == runs { figures } else { format!("{figures} ({} of {runs})", spread.n) }
}

fn peak_memory(run: &RunRecord) -> Option<f64> {
    run.summary.as_ref()?.peak_memory_bytes.map(|bytes| bytes as f64)
}

/// Groups of runs that differ in the seed alone, the most accurate first. Ties keep the given order, and groups without
/// the figure that ranks them come last.
fn groups(runs: &[RunRecord], ranked_by: RankedBy) -> Vec<Group<'_>> {
    let mut groups: Vec<(Shared, Group<'_>)> = Vec::new();
    for (i, run) in runs.iter().enumerate() {
        let shared = shared(run);
        match groups.iter_mut().find(|(other, _)| *other == shared) {
            Some((_, group)) => group.runs.push((i, run)),
            None => groups.push((shared, Group { runs: vec![(i, run)] })),
        }
    }
    let mut groups: Vec<Group<'_>> = groups.into_iter().map(|(_, group)| group).collect();
    let accuracy = |run: &RunRecord| match ranked_by {
        RankedBy::Test => run.test_accuracy(),
        RankedBy::Validation => run.validation_accuracy().map(|(accuracy, _)| accuracy),
    };
    let rank = |group: &Group<'_>| group.spread(accuracy).map_or(f64::NEG_INFINITY, |spread| spread.mean);
    groups.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    groups
}

type Shared = (Value, [Option<String>; 6]);

/// Everything but the seed, and but the name, which often contains the seed.
fn shared(run: &RunRecord) -> Shared {
    let mut config = run.config.clone();
    without_seeds(&mut config);
    if let Value::Object(fields) = &mut config {
        fields.shift_remove("name");
    }
    let look = run.quick_look().map(|look| look.to_string());
    (config, [run.rule(), run.network(), run.data(), run.schedule(), run.device(), look])
}

fn without_seeds(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.shift_remove("seed");
            fields.values_mut().for_each(without_seeds);
        }
        Value::Array(items) => items.iter_mut().for_each(without_seeds),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_the_sample_standard_deviation() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[0.5]), Some(Spread { mean: 0.5, deviation: None, n: 1 }));
        // 0.96, 0.98, 1.00: mean 0.98, deviations -0.02, 0, 0.02, variance 0.0008 / 2.
        let spread = Spread::of(&[0.96, 0.98, 1.0]).unwrap();
        assert_eq!(accuracy(spread, 3), "98.00 ± 2.00 %");
        assert_eq!(accuracy(spread, 4), "98.00 ± 2.00 % (3 of 4)");
    }
}
