//! What a schema accepts, in words, and the phrases that messages consist of.

use serde_json::Value;

use super::bounds::Bounds;
use super::renamed::{is_called, renamed};
use super::view::{Tagged, View, is_object, kind};
use crate::config::suggest::nearest;

/// Nested arrays are described to this depth. Deeper ones, and schemas that contain themselves, are described as "any
/// value".
const MAX_DEPTH: usize = 6;

/// Maximum length in characters of a value that a message quotes in full.
const MAX_SHOWN: usize = 60;

/// What `schema` accepts, in words: `integer >= 1`, `array of number`, `one of "sgd", "adam" or null`.
///
/// `root` is the whole schema, in which each `$ref` is looked up.
pub fn schema_type_name(schema: &Value, root: &Value) -> String {
    alternatives(&View::new(root, [schema]), root, true).join(" or ")
}

/// Like [`schema_type_name`] without ranges, for tables that have a column for them.
pub(super) fn kind_name(view: &View<'_>, root: &Value) -> String {
    alternatives(view, root, false).join(" or ")
}

/// What is valid, with articles: `needed: an integer >= 1 or null`.
pub(super) fn needed(view: &View<'_>, root: &Value) -> String {
    with_articles(&alternatives(view, root, true))
}

/// What one of several schemas accepts, with articles.
pub(super) fn needed_of_union<'a>(union: &[&'a Value], root: &'a Value) -> String {
    with_articles(&of_union(union, root, true, 0))
}

/// The valid values of a union, for a list of choices: `"sgd", "adam" or null`.
pub(super) fn valid_of_union<'a>(union: &[&'a Value], root: &'a Value) -> String {
    let words = needed_of_union(union, root);
    words.strip_prefix("one of ").map(str::to_owned).unwrap_or(words)
}

/// What is valid for a number, with a range that may be narrower than the stated one.
pub(super) fn needed_number(view: &View<'_>, bounds: &Bounds) -> String {
    let types = view.types().unwrap_or_else(|| vec!["number"]);
    with_articles(&types.into_iter().map(|name| of_type(name, view, bounds)).collect::<Vec<_>>())
}

/// `unknown key; did you mean "training"? valid: "training", "network"`. Names in `better` are suggested first.
///
/// `path` is the path of the object without the key, or of the unknown name.
pub(super) fn unknown(path: &str, what: &str, given: &str, valid: &[&str], better: &[&str], listed: &str) -> String {
    if let Some(name) = renamed(path, given, valid) {
        return format!("{what}; {}", is_called(name));
    }
    let suggestion = nearest(given, better.iter().copied()).or_else(|| nearest(given, valid.iter().copied()));
    match suggestion {
        Some(name) => format!("{what}; did you mean {name:?}? valid: {listed}"),
        None => format!("{what}; valid: {listed}"),
    }
}

/// The message for a key of the object at `path` that no part of a schema lists. `present` tells whether the object
/// already has a given key.
pub(in crate::config) fn unknown_key(path: &str, key: &str, valid: &[&str], present: impl Fn(&str) -> bool) -> String {
    if valid.is_empty() {
        return "unknown key; no keys are valid here".to_owned();
    }
    // A key that is not used yet is more likely: the others were written on purpose.
    let free: Vec<&str> = valid.iter().copied().filter(|name| !present(name)).collect();
    unknown(path, "unknown key", key, valid, &free, &quoted(valid))
}

/// `"a", "b"`.
pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// A value as JSON, shortened if it is too long for a message.
pub(in crate::config) fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// `"fast" is a string; needed: a number > 0`.
pub(super) fn wrong_type(value: &Value, needed: &str, fits: impl Fn(&Value) -> bool) -> String {
    let given = match kind(value) {
        "null" => "null is not valid".to_owned(),
        name => format!("{} is {}", show(value), with_article(name)),
    };
    let unquoted = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    match unquoted.filter(|inner| (inner.is_number() || inner.is_boolean() || inner.is_null()) && fits(inner)) {
        Some(inner) => format!("{given}; needed: {needed} (write {inner} without quotes)"),
        None => format!("{given}; needed: {needed}"),
    }
}

fn with_articles(words: &[String]) -> String {
    words.iter().map(|word| with_article(word)).collect::<Vec<_>>().join(" or ")
}

fn with_article(word: &str) -> String {
    let is = |names: [&str; 3]| names.iter().any(|name| word.starts_with(name));
    match word {
        _ if is(["integer", "array", "object"]) => format!("an {word}"),
        _ if is(["number", "string", "boolean"]) => format!("a {word}"),
        _ => word.to_owned(),
    }
}

/// One phrase for each kind of value that is valid.
pub(super) fn alternatives(view: &View<'_>, root: &Value, ranges: bool) -> Vec<String> {
    of_view(view, root, ranges, 0)
}

fn of_view<'a>(view: &View<'a>, root: &'a Value, ranges: bool, depth: usize) -> Vec<String> {
    if view.never {
        return vec!["nothing".to_owned()];
    }
    if let Some(choices) = view.choices() {
        return vec![one_of(choices.iter().map(|choice| choice.to_string()).collect())];
    }
    let Some(types) = view.types() else {
        return match view.unions.first() {
            Some(union) => of_union(union, root, ranges, depth),
            None => vec!["any value".to_owned()],
        };
    };
    let bounds = if ranges { Bounds::stated(view) } else { Bounds::default() };
    types
        .into_iter()
        .map(|name| match name {
            "array" => of_array(view, root, ranges, depth),
            "object" => of_object(view, root, ranges, depth),
            _ => of_type(name, view, &bounds),
        })
        .collect()
}

fn of_union<'a>(union: &[&'a Value], root: &'a Value, ranges: bool, depth: usize) -> Vec<String> {
    if union.is_empty() || depth > MAX_DEPTH {
        return vec!["any value".to_owned()];
    }
    let tagged = Tagged::of(root, union);
    let (mut choices, mut words, mut null) = (Vec::new(), Vec::new(), false);
    for view in union.iter().map(|schema| View::new(root, [*schema])) {
        if let Some(own) = view.choices() {
            null |= own.iter().any(|choice| choice.is_null());
            choices.extend(own.iter().filter(|choice| !choice.is_null()).map(|choice| choice.to_string()));
        } else if tagged.is_none() || !is_object(&view) {
            words.extend(of_view(&view, root, ranges, depth + 1));
        }
    }
    if let Some(tagged) = tagged {
        let names = tagged.names().iter().map(|name| format!("{name:?}")).collect();
        words.insert(0, format!("object with {:?}: {}", tagged.key, one_of(names)));
    }
    if !choices.is_empty() {
        words.insert(0, one_of(choices));
    }
    // "or null" reads best at the end, and must occur only once.
    null |= words.iter().any(|word| word == "null");
    words.retain(|word| word != "null");
    let mut unique: Vec<String> = Vec::new();
    for word in words {
        if !unique.contains(&word) {
            unique.push(word);
        }
    }
    if null {
        unique.push("null".to_owned());
    }
    unique
}

fn of_type(name: &str, view: &View<'_>, bounds: &Bounds) -> String {
    match name {
        "integer" | "number" => format!("{name} {bounds}").trim_end().to_owned(),
        "boolean" => "true or false".to_owned(),
        "string" if view.get("minLength").and_then(Value::as_u64) == Some(1) => "string that is not empty".to_owned(),
        _ => name.to_owned(),
    }
}

fn of_array<'a>(view: &View<'a>, root: &'a Value, ranges: bool, depth: usize) -> String {
    let item = |schema: &'a Value| of_view(&View::new(root, [schema]), root, ranges, depth + 1).join(" or ");
    if depth >= MAX_DEPTH {
        return "array".to_owned();
    }
    if let Some(items) = view.get("prefixItems").and_then(Value::as_array) {
        return format!("array [{}]", items.iter().map(item).collect::<Vec<_>>().join(", "));
    }
    match view.get("items") {
        Some(schema) => format!("array of {}", item(schema)),
        None => "array".to_owned(),
    }
}

fn of_object<'a>(view: &View<'a>, root: &'a Value, ranges: bool, depth: usize) -> String {
    match view.additional() {
        Some(schema) if depth < MAX_DEPTH && view.keys().is_empty() => {
            let values = of_view(&View::new(root, [schema]), root, ranges, depth + 1);
            format!("object of {}", values.join(" or "))
        }
        _ => "object".to_owned(),
    }
}

fn one_of(values: Vec<String>) -> String {
    match values.as_slice() {
        [] => "nothing".to_owned(),
        [value] => value.clone(),
        _ => format!("one of {}", values.join(", ")),
    }
}
