//! All sections of the report on one run.

use serde_json::Value;

use super::axis::Kind;
use super::figures::{UNKNOWN, bytes, count, exact, known, number, percent, seconds};
use super::html::{Column, Html, facts, figure, table};
use super::palette::Ink;
use super::run_record::RunRecord;
use super::{blocks, curves, evaluation, graph, plot};
use burn_forward::Result;

/// A titled part of a run's section.
#[derive(Debug)]
pub(super) struct Part {
    /// Suffix of its HTML id.
    pub(super) id: &'static str,
    /// Heading.
    pub(super) title: &'static str,
    /// Content.
    pub(super) body: Html,
}

/// The parts of a run's section, in order.
pub(super) fn parts(run: &RunRecord) -> Result<Vec<Part>> {
    let part = |id, title, body| Part { id, title, body };
    let mut parts = vec![
        part("curves", "Learning curves", curves::learning(run)?),
        part("layers", "Accuracy per layer", evaluation::layers(run)?),
        part("histograms", "Goodness", evaluation::histograms(run)?),
        part("goodness", "Goodness over epochs", curves::goodness(run)?),
        part("activity", "Dead units and sparsity", evaluation::activity(run)),
    ];
    if let Some(graph) = run.graph.as_ref().filter(|graph| !graph.nodes.is_empty()) {
        parts.insert(0, part("graph", "Graph", graph::picture(graph)?));
    }
    // An audit is a separate command, so a missing one is not reported.
    if run.audit.is_some() {
        parts.push(part("alignment", "Alignment with back-propagation", alignment(run)?));
    }
    parts.extend([
        part("timing", "Time and memory", timing(run)?),
        part("blocks", "Blocks", blocks::table(run)),
        part("confusion", "Confusion matrix", evaluation::confusion(run)),
        part("config", "Config", json("config.json", &run.config)),
        part("provenance", "Provenance", provenance(run)),
    ]);
    Ok(parts)
}

/// The figures a reader looks for first, and a note on what is missing.
pub(super) fn key_figures(run: &RunRecord) -> Html {
    let summary = run.summary.clone().unwrap_or_default();
    let of_epoch = |epoch: usize| format!("epoch {epoch}, the last one");
    let validation = run.validation_accuracy();
    let samples = run.evaluation.as_ref().and_then(|evaluation| evaluation.samples);
    let with_heads = with_heads(run).map(|all| format!("{} with heads", exact(all)));
    let tiles = [
        ("Test accuracy", known(run.test_accuracy(), percent), samples.map(|n| format!("{} samples", exact(n)))),
        (
            "Validation accuracy",
            known(validation.map(|(accuracy, _)| accuracy), percent),
            validation.and_then(|(_, epoch)| epoch).map(of_epoch),
        ),
        ("Epochs", known(run.epochs(), exact), None),
        (
            "Median epoch",
            known(run.seconds_per_epoch(), seconds),
            summary.train_seconds.map(|s| format!("{} in all", seconds(s))),
        ),
        ("Peak memory", known(summary.peak_memory_bytes, bytes), None),
        ("Parameters", known(summary.parameters, count), with_heads),
        ("Device", run.device().unwrap_or_else(|| UNKNOWN.to_owned()), None),
        ("Seed", known(run.seed(), |seed| seed.to_string()), None),
    ];
    let mut html = Html::default();
    if let Some(look) = run.quick_look() {
        html.push(Html::missing(format!("A quick look, no result: {look}.")));
    }
    html.push(Html::markup("<dl class=\"tiles\">"));
    for (name, value, more) in tiles {
        let more = more.map_or_else(String::new, |more| format!("<dd class=\"more\">{}</dd>", Html::text(more)));
        html.push(Html::markup(format!("<div><dt>{name}</dt><dd>{}</dd>{more}</div>", Html::text(value))));
    }
    html.push(Html::markup("</dl>\n"));
    let files = [
        ("run.json", run.info.is_some()),
        ("summary.json", run.summary.is_some()),
        ("evaluation.json", run.evaluation.is_some()),
    ];
    let missing: Vec<_> = files.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        let verb = if missing.len() == 1 { "is" } else { "are" };
        let text = format!(
            "{} {verb} not in the run folder: the run has not finished, or was interrupted. The figures that \
            they contain are left out here.",
            missing.join(", ")
        );
        html.push(Html::missing(text));
    }
    run.notes.iter().for_each(|note| html.push(Html::missing(format!("{note}."))));
    html
}

/// The line under a run's name: status, rule, network, data, schedule.
pub(super) fn subtitle(run: &RunRecord) -> Html {
    let status = run.status().unwrap_or("status unknown");
    let class = match status {
        "finished" => "good",
        "failed" => "bad",
        _ => "open",
    };
    let traits = [run.rule(), run.network(), run.data(), run.schedule()];
    let traits: Vec<String> = traits.into_iter().flatten().map(|text| Html::text(text).to_string()).collect();
    Html::markup(format!(
        "<p class=\"subtitle\"><span class=\"status {class}\">{}</span> {}</p>\n",
        Html::text(status),
        traits.join(" · ")
    ))
}

/// Number of parameters of the network and its local heads, if both are known.
pub(super) fn with_heads(run: &RunRecord) -> Option<u64> {
    let summary = run.summary.as_ref()?;
    summary.parameters?.checked_add(summary.head_parameters?)
}

fn alignment(run: &RunRecord) -> Result<Html> {
    let blocks = run.audit.as_ref().map(|audit| audit.blocks.as_slice()).unwrap_or_default();
    let index = |i: usize| blocks.get(i).and_then(|block| block.index).unwrap_or(i);
    let angle = |i: usize| blocks.get(i)?.angle_degrees.filter(|angle| angle.is_finite());
    let ink = |i: usize| Ink::block(index(i), run.blocks());
    let bars: Vec<_> = (0..blocks.len()).filter_map(|i| Some((index(i).to_string(), angle(i)?, ink(i)))).collect();
    if bars.is_empty() {
        return Ok(Html::missing("audit.json has no angles."));
    }
    let title = "Angle between the local update and the gradient";
    let top = if bars.iter().any(|(_, angle, _)| *angle > 90.0) { 180.0 } else { 90.0 };
    let svg = plot::bars(title, Kind::Degrees, &bars, top, |angle| format!("{angle:.0}°"))?;
    let row = |i: usize| {
        let ratio = blocks.get(i).and_then(|block| block.norm_ratio);
        let angle = known(angle(i), |angle| format!("{angle:.1}°"));
        vec![blocks::cell(run, index(i)), Html::text(angle), Html::text(known(ratio, number))]
    };
    let columns = [Column::Words("Block"), Column::Figures("Angle"), Column::Figures("Norm ratio")];
    let mut body = Html::hint(
        "The gradient is that of back-propagation for the same weights and batch. 0° is the same \
        direction and 90° an unrelated one; beyond 90° the update increases the network's loss.",
    );
    let rows = table(&columns, (0..blocks.len()).map(row));
    body.push(Html::markup(format!("<div class=\"grid\">{}<div>{rows}</div></div>\n", figure(title, &svg))));
    Ok(body)
}

fn timing(run: &RunRecord) -> Result<Html> {
    let mut rows = Vec::new();
    let mut add = |name: &str, value: Option<String>| rows.extend(value.map(|value| (name.to_owned(), value)));
    let summary = run.summary.as_ref();
    add("Training", summary.and_then(|summary| summary.train_seconds).map(seconds));
    add("Median epoch", run.seconds_per_epoch().map(seconds));
    let exactly = |n: u64| format!("{} ({} bytes)", bytes(n), exact(n));
    add("Peak memory", summary.and_then(|summary| summary.peak_memory_bytes).map(exactly));
    let kept = summary.map(|summary| summary.blocks.iter().filter_map(|block| block.activation_bytes));
    let kept: Vec<u64> = kept.into_iter().flatten().collect();
    add("Activations, all blocks", (!kept.is_empty()).then(|| bytes(kept.iter().sum())));
    add("Activations, largest block", kept.iter().max().map(|n| bytes(*n)));
    let mut body = if rows.is_empty() { Html::missing("Neither time nor memory was recorded.") } else { facts(rows) };
    body.push(curves::timing(run)?);
    Ok(body)
}

fn provenance(run: &RunRecord) -> Html {
    let mut rows = vec![("Folder".to_owned(), run.folder.display().to_string())];
    let Some(info) = &run.info else {
        let mut body = Html::missing(
            "run.json is missing: it is not known when, where and with which versions the run took place.",
        );
        body.push(facts(rows));
        return body;
    };
    flatten("", &info.raw, &mut rows);
    facts(rows)
}

/// The leaves of a JSON object, as a path such as `host.cpus` and a value.
fn flatten(path: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, rows);
            }
        }
        Value::String(text) => rows.push((path.to_owned(), text.clone())),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            rows.push((path.to_owned(), words.join(" ")));
        }
        Value::Null => rows.push((path.to_owned(), UNKNOWN.to_owned())),
        other => rows.push((path.to_owned(), other.to_string())),
    }
}

fn json(file: &str, value: &Value) -> Html {
    // The alternate format of a `Value` is pretty-printed JSON.
    let text = Html::text(format!("{value:#}"));
    Html::markup(format!("<details open><summary>{file}</summary><pre>{text}</pre></details>\n"))
}
