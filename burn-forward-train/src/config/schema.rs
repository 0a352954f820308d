//! Checks a JSON document against a JSON Schema and reports every mistake in terms of what the user wrote.
//!
//! It supports the subset that schemars 1 generates (draft 2020-12): `$ref`, `type`, `enum`, `const`, `oneOf`, `anyOf`,
//! `allOf`, objects, arrays, ranges and number formats. It ignores `pattern`, `not` and `if`; serde parses the document
//! afterwards.

mod bounds;
mod fields;
mod renamed;
mod view;
mod words;

use std::cell::Cell;
use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use self::bounds::{Bounds, plain};
use super::document::{index_path, key_path};
use burn_forward::ConfigError;

pub use self::fields::{FieldDoc, describe_fields};
pub(crate) use self::renamed::{in_words_of, is_renaming};
pub(super) use self::view::{Tagged, View, is_object};
pub use self::words::schema_type_name;
pub(super) use self::words::{show, unknown_key};

/// Nested values (and nested alternatives) are followed to this depth. serde_json stops at a depth of 128.
const MAX_DEPTH: usize = 300;

/// Maximum number of values that one call visits. Only a schema whose alternatives contain themselves reaches it.
const MAX_VISITS: usize = 200_000;

/// All mistakes in `value` according to `schema`, in document order; empty if the value is valid.
///
/// ```
/// use burn_forward_train::config::schema::check;
/// use serde_json::json;
///
/// let schema = json!({
///     "type": "object",
///     "properties": {"epochs": {"type": "integer", "minimum": 1}, "lr": {"type": "number", "exclusiveMinimum": 0}},
///     "additionalProperties": false,
/// });
/// let errors = check(&schema, &json!({"epoch": 3, "lr": "fast"}));
/// assert_eq!(errors[0].to_string(), r#"$.epoch: unknown key; did you mean "epochs"? valid: "epochs", "lr""#);
/// assert_eq!(errors[1].to_string(), r#"$.lr: "fast" is a string; needed: a number > 0"#);
/// ```
pub fn check(schema: &Value, value: &Value) -> Vec<ConfigError> {
    check_at(schema, schema, value, "$")
}

/// Mistakes in the `value` at `path`, where `schema` is the part of `root` for that place.
pub(super) fn check_at(root: &Value, schema: &Value, value: &Value, path: &str) -> Vec<ConfigError> {
    let checker = Checker { root, visits: Cell::new(0) };
    let mut errors = Vec::new();
    checker.value(View::new(root, [schema]), Place { value, path, depth: 0 }, &mut errors);
    errors
}

/// The value being checked, and where it is.
#[derive(Clone, Copy)]
struct Place<'v> {
    value: &'v Value,
    path: &'v str,
    depth: usize,
}

impl Place<'_> {
    fn error(&self, message: impl Into<String>) -> ConfigError {
        ConfigError::new(self.path, message)
    }
}

struct Checker<'a> {
    root: &'a Value,
    visits: Cell<usize>,
}

impl<'a> Checker<'a> {
    fn value(&self, mut view: View<'a>, place: Place<'_>, errors: &mut Vec<ConfigError>) {
        self.visits.set(self.visits.get() + 1);
        if place.depth > MAX_DEPTH || self.visits.get() > MAX_VISITS {
            return;
        }
        let mut undecided = false;
        while !view.unions.is_empty() {
            let union = view.unions.remove(0);
            match self.select(&union, place) {
                Ok(Some(branch)) => view.add(branch),
                Ok(None) => {}
                Err(found) => {
                    undecided = true;
                    errors.extend(found);
                }
            }
        }
        if undecided {
            // The type and the remaining keys depend on the branch; the keys listed beside it can be checked now.
            if let Value::Object(map) = place.value {
                self.object(&view, map, place, false, errors);
            }
            return;
        }
        if view.never {
            errors.push(place.error("is not valid here; remove it"));
        } else if !view.types().is_none_or(|types| types.iter().any(|name| view::is_of_type(place.value, name))) {
            let message = words::wrong_type(place.value, &words::needed(&view, self.root), |inner| view.fits(inner));
            errors.push(place.error(message));
        } else if let Some(choices) = view.choices().filter(|choices| !choices.contains(&place.value)) {
            errors.push(place.error(not_a_choice(place, &choices, &words::needed(&view, self.root))));
        } else {
            match place.value {
                Value::Number(number) => errors.extend(number_error(&view, number).map(|message| place.error(message))),
                Value::String(text) => errors.extend(length_error(&view, text).map(|message| place.error(message))),
                Value::Array(items) => self.array(&view, items, place, errors),
                Value::Object(map) => self.object(&view, map, place, true, errors),
                Value::Null | Value::Bool(_) => {}
            }
        }
    }

    /// The intended alternative, or the errors if it cannot be determined. `None`: there is nothing to choose from.
    fn select(&self, union: &[&'a Value], place: Place<'_>) -> Result<Option<&'a Value>, Vec<ConfigError>> {
        let fitting: Vec<(&Value, View<'_>)> = union
            .iter()
            .map(|schema| (*schema, View::new(self.root, [*schema])))
            .filter(|(_, view)| view.fits(place.value))
            .collect();
        match fitting.as_slice() {
            [] if union.is_empty() => return Ok(None),
            [] => {
                let fits = |inner: &Value| union.iter().any(|schema| View::new(self.root, [*schema]).fits(inner));
                let mut message = words::wrong_type(place.value, &words::needed_of_union(union, self.root), fits);
                // A variant without options is often written as its bare name.
                if let (Value::String(name), Some(tagged)) = (place.value, Tagged::of(self.root, union))
                    && tagged.branch(name).is_some()
                {
                    message = format!("{message} (write {{{:?}: {name:?}}})", tagged.key);
                }
                return Err(vec![place.error(message)]);
            }
            _ => {}
        }
        if let Value::Object(map) = place.value
            && fitting.iter().all(|(_, view)| is_object(view))
            && let Some(tagged) = Tagged::of(self.root, union)
        {
            return select_tagged(&tagged, map, place).map(Some);
        }
        let choices: Option<Vec<Vec<&Value>>> = fitting.iter().map(|(_, view)| view.choices()).collect();
        if let Some(choices) = choices {
            let position = choices.iter().position(|own| own.contains(&place.value));
            return match position {
                Some(index) => Ok(fitting.get(index).map(|(schema, _)| *schema)),
                None => {
                    let valid = words::valid_of_union(union, self.root);
                    Err(vec![place.error(not_a_choice(place, &choices.concat(), &valid))])
                }
            };
        }
        if let [(only, _)] = fitting.as_slice() {
            return Ok(Some(only));
        }
        let mut best: Option<(usize, &Value)> = None;
        for (schema, view) in fitting {
            let mut errors = Vec::new();
            self.value(view, Place { depth: place.depth + 1, ..place }, &mut errors);
            if best.is_none_or(|(fewest, _)| errors.len() < fewest) {
                best = Some((errors.len(), schema));
            }
        }
        Ok(best.map(|(_, schema)| schema))
    }

    fn object(
        &self,
        view: &View<'a>,
        map: &Map<String, Value>,
        place: Place<'_>,
        all_keys_known: bool,
        errors: &mut Vec<ConfigError>,
    ) {
        for key in view.required().into_iter().filter(|key| !map.contains_key(*key)) {
            let words = words::alternatives(&View::new(self.root, view.property(key)), self.root, true).join(" or ");
            errors.push(place.error(format!("missing key {key:?} ({words})")));
        }
        for (key, value) in map {
            let path = key_path(place.path, key);
            let inner = Place { value, path: &path, depth: place.depth + 1 };
            let listed = view.property(key);
            if !listed.is_empty() {
                self.value(View::new(self.root, listed), inner, errors);
            } else if let Some(schema) = view.additional() {
                self.value(View::new(self.root, [schema]), inner, errors);
            } else if all_keys_known && view.is_closed() {
                errors.push(inner.error(unknown_key(place.path, key, &view.keys(), |name| map.contains_key(name))));
            }
        }
    }

    fn array(&self, view: &View<'a>, items: &[Value], place: Place<'_>, errors: &mut Vec<ConfigError>) {
        if let Some(needed) = count_error(view, items.len() as u64, ["minItems", "maxItems"]) {
            errors.push(place.error(format!("has {}; needed: {needed}", counted(items.len() as u64, "item"))));
        }
        let unique = view.all("uniqueItems").any(|value| *value == Value::Bool(true));
        let prefix = view.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (index, value) in items.iter().enumerate() {
            let path = index_path(place.path, index);
            let inner = Place { value, path: &path, depth: place.depth + 1 };
            if unique && let Some(first) = items.iter().take(index).position(|earlier| earlier == value) {
                errors.push(inner.error(format!("{} is item {first} already; needed: no repeats", show(value))));
            }
            // Items beyond a fixed length are too many, and were reported above.
            let beyond = || view.get("items").filter(|schema| **schema != Value::Bool(false));
            if let Some(schema) = prefix.get(index).or_else(beyond) {
                self.value(View::new(self.root, [schema]), inner, errors);
            }
        }
    }
}

/// The branch of a tagged union that the tag of `map` names.
fn select_tagged<'a>(
    tagged: &Tagged<'a>,
    map: &Map<String, Value>,
    place: Place<'_>,
) -> Result<&'a Value, Vec<ConfigError>> {
    let names = tagged.names();
    let listed = words::quoted(&names);
    let Some(tag) = map.get(tagged.key) else {
        return Err(vec![place.error(format!("missing key {:?} (one of {listed})", tagged.key))]);
    };
    let path = key_path(place.path, tagged.key);
    let message = match tag {
        Value::String(name) => match tagged.branch(name) {
            Some(branch) => return Ok(branch),
            None => words::unknown(&path, &format!("unknown variant {}", show(tag)), name, &names, &[], &listed),
        },
        _ => words::wrong_type(tag, &format!("one of {listed}"), |_| false),
    };
    Err(vec![ConfigError::new(path, message)])
}

/// The message for a value of the right type that is not among the choices.
fn not_a_choice(place: Place<'_>, choices: &[&Value], valid: &str) -> String {
    let listed = valid.strip_prefix("one of ").unwrap_or(valid);
    let value = place.value;
    match value {
        Value::String(given) => {
            let names: Vec<&str> = choices.iter().filter_map(|choice| choice.as_str()).collect();
            words::unknown(place.path, &format!("unknown variant {}", show(value)), given, &names, &[], listed)
        }
        _ => format!("{} is not valid; valid: {listed}", show(value)),
    }
}

fn number_error(view: &View<'_>, number: &Number) -> Option<String> {
    let integer = view.types().is_some_and(|types| types.contains(&"integer") && !types.contains(&"number"));
    let stated = Bounds::stated(view);
    if integer && number.is_f64() && number.as_f64().is_some_and(|float| float.fract() != 0.0) {
        return Some(format!("{number} is not an integer; needed: {}", words::needed_number(view, &stated)));
    }
    let full = Bounds::full(view);
    let side = match full.position(number) {
        Ordering::Less => "small",
        Ordering::Greater => "large",
        // serde accepts neither a decimal point nor an exponent in an integer, whatever its value.
        Ordering::Equal if integer && number.is_f64() => {
            let needed = words::needed_number(view, &stated);
            return Some(format!("{number} is a decimal number; needed: {needed} (write {})", plain(number)));
        }
        Ordering::Equal => return None,
    };
    let crossed = if stated.position(number) == Ordering::Equal { full } else { stated };
    Some(format!("{number} is too {side}; needed: {}", words::needed_number(view, &crossed)))
}

fn length_error(view: &View<'_>, text: &str) -> Option<String> {
    let length = text.chars().count() as u64;
    let needed = count_error(view, length, ["minLength", "maxLength"])?;
    Some(format!("{} has {}; needed: {needed}", show(&Value::from(text)), counted(length, "character")))
}

/// The required number of items, if the keywords for minimum and maximum rule out `count`.
fn count_error(view: &View<'_>, count: u64, [fewest, most]: [&str; 2]) -> Option<String> {
    let fewest = view.all(fewest).filter_map(Value::as_u64).max();
    let most = view.all(most).filter_map(Value::as_u64).min();
    let outside = fewest.is_some_and(|n| count < n) || most.is_some_and(|n| count > n);
    outside.then(|| match (fewest, most) {
        (Some(fewest), Some(most)) if fewest == most => format!("{fewest}"),
        (Some(fewest), Some(most)) => format!("{fewest} to {most}"),
        (Some(fewest), None) => format!("at least {fewest}"),
        (None, most) => format!("at most {}", most.unwrap_or(u64::MAX)),
    })
}

fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
pub(super) mod tests;
