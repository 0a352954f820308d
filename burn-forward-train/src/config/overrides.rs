//! `--set optimizer.lr=0.01`: overrides one value of a config from the command line.

use serde_json::{Map, Value};

use super::document::{index_path, key_path};
use super::schema::{Tagged, View, check_at, is_object, schema_type_name, show, unknown_key};
use burn_forward::ConfigError;

/// Nested unions are followed to this depth when a key is looked up.
const MAX_DEPTH: usize = 8;

/// Sets one value of `document`: `optimizer.lr=0.01`, `network.widths[1]=300` or `network.widths.1=300`.
///
/// The right-hand side is parsed as JSON if the result is valid at that place, and is otherwise taken as a string if a
/// string is valid there. Missing objects on the path are created, from their defaults if they have any. In a tagged
/// union, the keys of the variant that the document names are valid; setting the tag keeps the other keys, and
/// [`check`](super::schema::check) validates the result.
///
/// # Errors
/// An unknown key, an index out of range, or a value that is not valid at that place. The document is then left
/// unchanged.
///
/// ```
/// use burn_forward_train::config::overrides::apply;
/// use serde_json::json;
///
/// let schema = json!({"type": "object", "properties": {"lr": {"type": "number"}, "rule": {"type": "string"}}});
/// let mut document = json!({});
/// apply(&mut document, &schema, "lr=0.01").unwrap();
/// apply(&mut document, &schema, "rule=dfa").unwrap();
/// assert_eq!(document, json!({"lr": 0.01, "rule": "dfa"}));
/// ```
pub fn apply(document: &mut Value, schema: &Value, assignment: &str) -> Result<(), ConfigError> {
    let mut changed = document.clone();
    set(&mut changed, schema, assignment).map_err(|mut error| {
        error.message = format!("{} (from --set {assignment})", error.message);
        error
    })?;
    *document = changed;
    Ok(())
}

fn set(document: &mut Value, root: &Value, assignment: &str) -> Result<(), ConfigError> {
    let form = || ConfigError::new("$", "needed: the form key=value, as in optimizer.lr=0.01");
    let (target, text) = assignment.split_once('=').ok_or_else(form)?;
    let segments = segments(target.trim()).ok_or_else(form)?;
    let (mut node, mut schema, mut path) = (document, root.clone(), "$".to_owned());
    for segment in &segments {
        if node.is_null() {
            *node = fill(root, &schema, segment);
        }
        let place = Place { root, schema: &schema, path: &path };
        (node, schema, path) = match node {
            Value::Array(items) => place.item(items, segment)?,
            Value::Object(map) => place.key(map, segment)?,
            Value::Null => return Err(place.error("has no keys".to_owned())),
            other => return Err(place.error(format!("is {} and has no keys", show(other)))),
        };
    }
    *node = choose(root, &schema, text, &path)?;
    Ok(())
}

/// A key, or an index as text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment(String);

impl Segment {
    fn index(&self) -> Option<usize> {
        self.0.parse().ok()
    }
}

/// Splits `a.b[1].c` into its segments. A leading `$.`, as in error messages, is accepted. `None` if a segment is
/// empty.
fn segments(target: &str) -> Option<Vec<Segment>> {
    let target = target.strip_prefix("$.").unwrap_or(target);
    let mut segments = Vec::new();
    for part in target.split('.') {
        let mut pieces = part.split('[');
        segments.push(Segment(pieces.next().filter(|key| !key.is_empty())?.to_owned()));
        for piece in pieces {
            let index = piece.strip_suffix(']')?;
            index.parse::<usize>().ok()?;
            segments.push(Segment(index.to_owned()));
        }
    }
    Some(segments)
}

/// The value to insert where the document has none: the default of that place, or an empty object or array.
fn fill(root: &Value, schema: &Value, next: &Segment) -> Value {
    let view = View::new(root, [schema]);
    let takes = |value: Value| view.fits(&value);
    if next.index().is_some() && takes(Value::Array(Vec::new())) && !takes(Value::Object(Map::new())) {
        return view
            .get("default")
            .filter(|value| value.is_array())
            .cloned()
            .unwrap_or_else(|| Value::Array(Vec::new()));
    }
    // A different variant starts without the keys of the default one.
    let is_tag = |union: &Vec<&Value>| Tagged::of(root, union).is_some_and(|tagged| tagged.key == next.0);
    let default = view.get("default").filter(|value| value.is_object() && !view.unions.iter().any(is_tag));
    match default {
        Some(default) => default.clone(),
        None if takes(Value::Object(Map::new())) => Value::Object(Map::new()),
        None => Value::Null,
    }
}

/// A value of the document on the path to the one that is set.
struct Place<'p> {
    root: &'p Value,
    schema: &'p Value,
    path: &'p str,
}

impl Place<'_> {
    fn error(&self, message: String) -> ConfigError {
        let needed = schema_type_name(self.schema, self.root);
        ConfigError::new(self.path, format!("{message}; valid here: {needed}"))
    }

    fn item<'d>(
        &self,
        items: &'d mut [Value],
        segment: &Segment,
    ) -> Result<(&'d mut Value, Value, String), ConfigError> {
        let Some(index) = segment.index() else {
            return Err(self.error(format!("is an array and has no key {:?}", segment.0)));
        };
        let view = View::new(self.root, [self.schema]);
        let members = view.unions.iter().flatten().map(|member| View::new(self.root, [*member]));
        let schemas: Vec<Value> = std::iter::once(view.clone())
            .chain(members)
            .filter_map(|view| {
                let prefix = view.get("prefixItems").and_then(|items| items.get(index));
                prefix.or_else(|| view.get("items")).cloned()
            })
            .collect();
        let length = items.len();
        let beyond = || ConfigError::new(self.path, format!("has no item {index}; valid: {}", indices(length)));
        let item = items.get_mut(index).ok_or_else(beyond)?;
        Ok((item, any_of(schemas), index_path(self.path, index)))
    }

    fn key<'d>(
        &self,
        map: &'d mut Map<String, Value>,
        segment: &Segment,
    ) -> Result<(&'d mut Value, Value, String), ConfigError> {
        let key = segment.0.as_str();
        let mut found = Keys::default();
        found.collect(self.root, &View::new(self.root, [self.schema]), map, key, 0);
        let path = key_path(self.path, key);
        let schema = if !found.schemas.is_empty() {
            any_of(found.schemas)
        } else if found.names.is_empty() && found.open {
            Value::Bool(true)
        } else {
            return Err(ConfigError::new(
                path,
                unknown_key(self.path, key, &found.names, |name| map.contains_key(name)),
            ));
        };
        Ok((map.entry(key).or_insert(Value::Null), schema, path))
    }
}

/// What a schema says about the keys of one object of the document.
#[derive(Default)]
struct Keys<'a> {
    /// The schemas of the requested key; any of them may apply.
    schemas: Vec<Value>,
    /// The keys that are listed.
    names: Vec<&'a str>,
    /// Whether some object lists no keys and accepts any.
    open: bool,
}

impl<'a> Keys<'a> {
    fn collect(&mut self, root: &'a Value, view: &View<'a>, map: &Map<String, Value>, key: &str, depth: usize) {
        let own = view.keys();
        let listed = view.property(key);
        match listed.as_slice() {
            [] => self.schemas.extend(view.additional().filter(|_| !own.contains(&key)).cloned()),
            [schema] => self.schemas.push((*schema).clone()),
            several => self.schemas.push(serde_json::json!({"allOf": several})),
        }
        self.open |=
            own.is_empty() && !view.is_closed() && view.unions.is_empty() && view.fits(&Value::Object(Map::new()));
        own.into_iter().for_each(|name| {
            if !self.names.contains(&name) {
                self.names.push(name);
            }
        });
        if depth >= MAX_DEPTH {
            return;
        }
        for union in &view.unions {
            let tagged = Tagged::of(root, union).filter(|tagged| tagged.key != key);
            let current = tagged.as_ref().and_then(|tagged| {
                let name = map.get(tagged.key)?.as_str()?;
                tagged.branch(name)
            });
            // If the document does not say which variant it is, a key of any variant is accepted.
            for member in union.iter().filter(|member| current.is_none_or(|branch| std::ptr::eq(branch, **member))) {
                let member = View::new(root, [*member]);
                if is_object(&member) || !member.unions.is_empty() {
                    self.collect(root, &member, map, key, depth + 1);
                }
            }
        }
    }
}

/// The value that `text` stands for at a place with this schema.
fn choose(root: &Value, schema: &Value, text: &str, path: &str) -> Result<Value, ConfigError> {
    let literal = Value::String(text.to_owned());
    let parsed = serde_json::from_str::<Value>(text).ok();
    let mut first = None;
    // Quotes belong to the shell and to JSON; without them the text itself may be the intended string.
    for candidate in parsed.into_iter().chain([literal]) {
        // Another `--set` may complete an object, so the check of the whole document validates its contents.
        let fits = candidate.is_object() && View::new(root, [schema]).fits(&candidate);
        let error = check_at(root, schema, &candidate, path).into_iter().next().filter(|_| !fits);
        match error {
            None => return Ok(candidate),
            Some(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| ConfigError::new(path, "no value is valid here")))
}

fn any_of(mut schemas: Vec<Value>) -> Value {
    match schemas.len() {
        0 => Value::Bool(true),
        1 => schemas.remove(0),
        _ => serde_json::json!({"anyOf": schemas}),
    }
}

fn indices(length: usize) -> String {
    match length {
        0 => "none, since the array is empty; set the whole array instead".to_owned(),
        1 => "0".to_owned(),
        _ => format!("0 to {}", length - 1),
    }
}

#[cfg(test)]
mod tests;
