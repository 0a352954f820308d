//! `list`, `schema`, `completions`.

use anyhow::Result;
use burn_forward::Error;
use burn_forward::registry::Registry;
use burn_forward_train::config::schema::{FieldDoc, describe_fields};
use burn_forward_train::config::schema_of;
use burn_forward_train::config::suggest::nearest;
use burn_forward_train::program_name;
use clap_complete::Shell;

use crate::args::{Cli, ListArgs};
use crate::output::{print, print_line};
use crate::tables::wrapped;

/// The parts of a config that are the same for every rule and network.
const PARTS: [(&str, &str); 3] = [
    ("schedule", "the order in which blocks learn"),
    ("training", "epochs, batches and checkpoints of a run"),
    ("optimizer", "the optimiser and its learning-rate schedule"),
];

/// Maximum width of a line.
const COLUMNS: usize = 100;

pub(crate) fn run(args: &ListArgs, registry: &Registry) -> Result<()> {
    match &args.name {
        None => print(overview(registry)),
        Some(name) => print(settings(registry, name)?),
    }
}

fn overview(registry: &Registry) -> String {
    let names = registry.rules.iter().map(|r| r.name).chain(registry.networks.iter().map(|n| n.name));
    let names = names.chain(registry.data.iter().map(|d| d.name)).chain(PARTS.iter().map(|(name, _)| *name));
    let longest = names.map(|name| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    let mut section = |head: &str, rows: Vec<(&str, String)>| {
        text += &format!("{head}\n");
        for (name, about) in rows {
            let line = format!("{name:<longest$} {about}");
            text += &wrapped(&line, 2, 3 + longest, COLUMNS);
        }
        text.push('\n');
    };
    section(
        "rules  (\"rule\": {\"name\": ...})",
        registry.rules.iter().map(|r| (r.name, format!("{}; {}", r.about, r.paper))).collect(),
    );
    section(
        "networks  (\"network\": {\"name\": ...})",
        registry.networks.iter().map(|n| (n.name, n.about.to_string())).collect(),
    );
    section(
        "data sets  (\"data\": {\"name\": ...})",
        registry.data.iter().map(|d| (d.name, d.about.to_string())).collect(),
    );
    section("other parts of a config", PARTS.iter().map(|(name, about)| (*name, (*about).to_string())).collect());
    text + "to list the settings of one of these: burn-forward list NAME\n"
}

fn settings(registry: &Registry, name: &str) -> Result<String> {
    let rule = registry.rules.iter().find(|r| r.name == name);
    let network = registry.networks.iter().find(|n| n.name == name);
    let data = registry.data.iter().find(|d| d.name == name);
    let part = PARTS.iter().find(|(part, _)| *part == name);
    let (head, about, fields) = match (rule, network, data, part) {
        (Some(rule), _, _, _) => {
            let schema = (rule.schema)();
            let about = format!("{}; {}", rule.about, rule.paper);
            (format!("\"rule\": {{\"name\": \"{name}\", ...}}"), about, describe_fields(&schema, &schema))
        }
        (_, Some(network), _, _) => {
            let schema = (network.schema)();
            let mut fields = describe_fields(&schema, &schema);
            fields.extend(partition(registry));
            (format!("\"network\": {{\"name\": \"{name}\", ...}}"), network.about.into(), fields)
        }
        (_, _, Some(data), _) => {
            let schema = (data.schema)();
            let fields = describe_fields(&schema, &schema).into_iter().filter(|f| f.path != "name").collect();
            (format!("\"data\": {{\"name\": \"{name}\", ...}}"), data.about.into(), fields)
        }
        (_, _, _, Some((part, about))) => {
            let root = schema_of(registry);
            let schema = root["properties"][*part].clone();
            (format!("\"{part}\": {{...}}"), (*about).to_string(), describe_fields(&schema, &root))
        }
        _ => {
            let names: Vec<&str> = registry
                .rules
                .iter()
                .map(|r| r.name)
                .chain(registry.networks.iter().map(|n| n.name))
                .chain(registry.data.iter().map(|d| d.name))
                .chain(PARTS.iter().map(|(part, _)| *part))
                .collect();
            let meant = nearest(name, names.iter().copied());
            let hint = meant.map(|m| format!("; did you mean \"{m}\"?")).unwrap_or_default();
            return Err(Error::argument("list", "name", format!("\"{name}\""), names.join(", ") + &hint).into());
        }
    };
    let mut text = format!("{head}\n") + &wrapped(&about, 0, 0, COLUMNS);
    if fields.is_empty() {
        text += "\nno settings\n";
    }
    for (i, field) in fields.iter().enumerate() {
        text += &describe(field, i.checked_sub(1).map(|before| &fields[before]));
    }
    Ok(text)
}

/// The partition, which every network has in addition to its own settings.
fn partition(registry: &Registry) -> Vec<FieldDoc> {
    let root = schema_of(registry);
    let schema = &root["properties"]["network"]["oneOf"][0];
    describe_fields(schema, &root).into_iter().filter(|f| f.path.split('.').next() == Some("partition")).collect()
}

/// One setting: its path, the values that it accepts, and its meaning.
fn describe(field: &FieldDoc, before: Option<&FieldDoc>) -> String {
    let (path, condition) = place(&field.path);
    if field.kind == "variant" {
        return format!("\n{condition}\n") + &wrapped(&field.description, 4, 4, COLUMNS);
    }
    // The row of the object already says everything: the valid names and their meaning.
    let tag_of_the_row_before = before.is_some_and(|b| {
        b.kind.starts_with("object with") && field.path.strip_prefix(&b.path).is_some_and(|rest| rest.starts_with('.'))
    });
    if tag_of_the_row_before {
        return String::new();
    }
    let given = match &field.default {
        _ if field.required => "required".to_string(),
        Some(default) if default != "null" => format!("default {default}"),
        _ => "optional".to_string(),
    };
    let mut kind = field.kind.strip_suffix(" or null").unwrap_or(&field.kind).to_string();
    if !field.range.is_empty() {
        kind += &format!(", {}", field.range);
    }
    let head = if condition.is_empty() { path } else { format!("{path}  (where {condition})") };
    let mut text = format!("\n{head}\n") + &wrapped(&format!("{kind}; {given}"), 4, 4, COLUMNS);
    // The text after a table makes no sense without it.
    let meaning = field.description.split(" | ").next().unwrap_or_default();
    if !meaning.is_empty() {
        text += &wrapped(meaning, 4, 4, COLUMNS);
    }
    text
}

/// Splits `loss[name=symba].alpha` into the path `loss.alpha` and the condition `loss.name is "symba"`.
fn place(path: &str) -> (String, String) {
    let tag = path.match_indices('[').find_map(|(open, _)| {
        let close = open + path[open..].find(']')?;
        let (key, value) = path[open + 1..close].split_once('=')?;
        Some((open, close, key, value))
    });
    let Some((open, close, key, value)) = tag else {
        return (path.to_string(), String::new());
    };
    let (before, after) = (&path[..open], &path[close + 1..]);
    let dot = if before.is_empty() { "" } else { "." };
    let plain = format!("{before}{after}");
    (plain.trim_start_matches('.').to_string(), format!("{before}{dot}{key} is \"{value}\""))
}

pub(crate) fn schema(registry: &Registry) -> Result<()> {
    print_line(serde_json::to_string_pretty(&schema_of(registry))?)
}

pub(crate) fn completions(shell: Shell) -> Result<()> {
    // Write to memory first, because the generator panics if it cannot write.
    let mut script = Vec::new();
    let program = program_name();
    clap_complete::generate(shell, &mut Cli::called(program), program, &mut script);
    print(String::from_utf8_lossy(&script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let of = |path| place(path);
        assert_eq!(of("training.epochs"), ("training.epochs".into(), String::new()));
        assert_eq!(of("loss[name=symba].alpha"), ("loss.alpha".into(), "loss.name is \"symba\"".into()));
        assert_eq!(of("[name=greedy].cache"), ("cache".into(), "name is \"greedy\"".into()));
        assert_eq!(
            of("augment[][name=crop].padding"),
            ("augment[].padding".into(), "augment[].name is \"crop\"".into())
        );
        assert_eq!(of("augment[].size"), ("augment[].size".into(), String::new()));
    }

    #[test]
    fn every_description_of_the_overview_starts_in_one_column() {
        let registry = crate::registry();
        let text = overview(&registry);
        let names: Vec<&str> =
            registry.rules.iter().map(|r| r.name).chain(registry.data.iter().map(|d| d.name)).collect();
        let starts: Vec<usize> = text
            .lines()
            .filter_map(|line| line.strip_prefix("  "))
            .filter_map(|line| Some((line, *names.iter().find(|n| line.starts_with(&format!("{n} ")))?)))
            .map(|(line, name)| line.len() - line[name.len()..].trim_start().len())
            .collect();
        assert_eq!(starts.len(), names.len());
        assert!(starts.iter().all(|start| *start == starts[0]), "{text}");
    }

    #[test]
    fn no_setting_of_anything_is_wider_than_the_page() {
        let registry = crate::registry();
        let names = registry.rules.iter().map(|r| r.name).chain(registry.networks.iter().map(|n| n.name));
        let names = names.chain(registry.data.iter().map(|d| d.name));
        for name in names.chain(PARTS.iter().map(|(part, _)| *part)) {
            let text = settings(&registry, name).unwrap();
            for line in text.lines() {
                assert!(line.chars().count() <= COLUMNS, "{name}: {line}");
            }
        }
    }
}
