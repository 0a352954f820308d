//! One place of a schema in a simpler form: `$ref` and `allOf` are resolved, `oneOf` and `anyOf` flattened to
//! alternatives.

use serde_json::{Map, Value};

/// Keywords that say nothing about which values are valid.
const ANNOTATIONS: [&str; 9] =
    ["title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$defs", "$schema"];

/// Maximum length of a chain of `$ref` to `$ref`; a longer one is a cycle.
const MAX_HOPS: usize = 32;

/// All constraints that apply to one value at the same time.
///
/// The properties are the union over the parts, and a key is unknown only if no part lists it. JSON Schema would reject
/// a key of one part if another part is closed, which makes `allOf` useless for composing configs.
#[derive(Debug, Clone)]
pub(in crate::config) struct View<'a> {
    root: &'a Value,
    parts: Vec<&'a Map<String, Value>>,
    /// For each `oneOf` or `anyOf`: its alternatives, with nested unions flattened.
    pub(in crate::config) unions: Vec<Vec<&'a Value>>,
    /// A part is `false`: no value is valid.
    pub(in crate::config) never: bool,
}

impl<'a> View<'a> {
    /// The combined constraints of `schemas`; each `$ref` is looked up in `root`.
    pub(in crate::config) fn new(root: &'a Value, schemas: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut view = Self { root, parts: Vec::new(), unions: Vec::new(), never: false };
        schemas.into_iter().for_each(|schema| view.add(schema));
        view
    }

    /// Adds the constraints of `schema`.
    pub(in crate::config) fn add(&mut self, schema: &'a Value) {
        let part = match schema {
            Value::Object(part) => part,
            Value::Bool(false) => {
                self.never = true;
                return;
            }
            _ => return,
        };
        if self.has_part(part) {
            return;
        }
        self.parts.push(part);
        if let Some(target) = part.get("$ref").and_then(|pointer| resolve(self.root, pointer)) {
            self.add(target);
        }
        for member in array(part, "allOf") {
            self.add(member);
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(Value::Array(alternatives)) = part.get(key) {
                let mut leaves = Vec::new();
                flatten(self.root, alternatives, &mut Vec::new(), &mut leaves);
                self.unions.push(leaves);
            }
        }
    }

    /// Whether `part` itself, not merely an equal object, is among the parts.
    pub(in crate::config) fn has_part(&self, part: &Map<String, Value>) -> bool {
        self.parts.iter().any(|known| std::ptr::eq(*known, part))
    }

    /// Whether a part of this view is among the parts of `other`, as in a schema that contains itself.
    pub(in crate::config) fn overlaps(&self, other: &View<'_>) -> bool {
        self.parts.iter().any(|part| other.has_part(part))
    }

    /// The first value of `keyword` in the parts, starting with the outermost.
    pub(in crate::config) fn get(&self, keyword: &str) -> Option<&'a Value> {
        self.parts.iter().find_map(|part| part.get(keyword))
    }

    /// All values of `keyword`.
    pub(in crate::config) fn all(&self, keyword: &str) -> impl Iterator<Item = &'a Value> {
        self.parts.iter().filter_map(move |part| part.get(keyword))
    }

    /// Names of the valid JSON types, or `None` if every type is valid.
    pub(in crate::config) fn types(&self) -> Option<Vec<&'a str>> {
        let mut valid: Option<Vec<&str>> = None;
        for part in &self.parts {
            let own: Vec<&str> = match part.get("type") {
                Some(Value::String(name)) => vec![name],
                Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
                _ if part.contains_key("properties") => vec!["object"],
                _ if part.contains_key("items") || part.contains_key("prefixItems") => vec!["array"],
                _ => continue,
            };
            match &mut valid {
                Some(names) => names.retain(|name| own.contains(name)),
                None => valid = Some(own),
            }
        }
        valid
    }

    /// The values that `const` and `enum` allow, or `None` if there is neither.
    pub(in crate::config) fn choices(&self) -> Option<Vec<&'a Value>> {
        let mut valid: Option<Vec<&Value>> = None;
        let lists = self.parts.iter().flat_map(|part| {
            let one = part.get("const").map(|value| vec![value]);
            let many = part.get("enum").and_then(Value::as_array).map(|values| values.iter().collect());
            [one, many].into_iter().flatten()
        });
        for own in lists {
            match &mut valid {
                Some(values) => values.retain(|value| own.contains(value)),
                None => valid = Some(own),
            }
        }
        valid
    }

    /// Whether any value of the same JSON type as `value` may be valid.
    pub(in crate::config) fn fits(&self, value: &Value) -> bool {
        let type_fits = self.types().is_none_or(|types| types.iter().any(|name| is_of_type(value, name)));
        let choice_fits = self.choices().is_none_or(|choices| choices.iter().any(|choice| kind(choice) == kind(value)));
        let union_fits = |union: &Vec<&'a Value>| {
            union.is_empty() || union.iter().any(|member| View::shallow(self.root, [*member]).fits(value))
        };
        !self.never && type_fits && choice_fits && self.unions.iter().all(union_fits)
    }

    /// A view without alternatives: enough to distinguish types, and safe for schemas that contain themselves.
    fn shallow(root: &'a Value, schemas: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut view = Self::new(root, schemas);
        view.unions.clear();
        view
    }

    /// Names of the keys that are listed, in the order of the schema.
    pub(in crate::config) fn keys(&self) -> Vec<&'a str> {
        let mut keys = Vec::new();
        for properties in self.all("properties").filter_map(Value::as_object) {
            for key in properties.keys() {
                if !keys.contains(&key.as_str()) {
                    keys.push(key.as_str());
                }
            }
        }
        keys
    }

    /// The schemas of a listed key; none for an unlisted key.
    pub(in crate::config) fn property(&self, key: &str) -> Vec<&'a Value> {
        self.all("properties").filter_map(|properties| properties.get(key)).collect()
    }

    /// The required keys.
    pub(in crate::config) fn required(&self) -> Vec<&'a str> {
        let mut keys = Vec::new();
        for part in &self.parts {
            for key in array(part, "required").iter().filter_map(Value::as_str) {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        keys
    }

    /// Whether unlisted keys are a mistake.
    pub(in crate::config) fn is_closed(&self) -> bool {
        let closed = |keyword| self.all(keyword).any(|value| *value == Value::Bool(false));
        let patterns = self.all("patternProperties").next().is_some();
        !patterns && (closed("additionalProperties") || closed("unevaluatedProperties"))
    }

    /// The schema of the values of unlisted keys.
    pub(in crate::config) fn additional(&self) -> Option<&'a Value> {
        self.all("additionalProperties").find(|value| value.is_object())
    }

    /// The only valid string for `key`, which identifies a branch of a tagged union.
    fn tag_value(&self, key: &str) -> Option<&'a str> {
        let choices = View::shallow(self.root, self.property(key)).choices()?;
        match choices.as_slice() {
            [Value::String(name)] => Some(name.as_str()),
            _ => None,
        }
    }
}

/// A union of objects that differ in the string under one key.
#[derive(Debug, Clone)]
pub(in crate::config) struct Tagged<'a> {
    /// The key, such as `name`.
    pub(in crate::config) key: &'a str,
    /// The strings, each with its schema.
    pub(in crate::config) branches: Vec<(&'a str, &'a Value)>,
}

impl<'a> Tagged<'a> {
    /// The tagged union that the object alternatives of `union` form, or `None` if they do not form one.
    pub(in crate::config) fn of(root: &'a Value, union: &[&'a Value]) -> Option<Self> {
        let objects: Vec<(&Value, View<'_>)> =
            union.iter().map(|schema| (*schema, View::new(root, [*schema]))).filter(|(_, v)| is_object(v)).collect();
        let (_, first) = objects.first()?;
        first.keys().into_iter().find_map(|key| {
            let named = |(schema, view): &(&'a Value, View<'a>)| view.tag_value(key).map(|name| (name, *schema));
            let branches = objects.iter().map(named).collect::<Option<Vec<_>>>()?;
            Some(Self { key, branches })
        })
    }

    /// The schema of the branch `name`.
    pub(in crate::config) fn branch(&self, name: &str) -> Option<&'a Value> {
        self.branches.iter().find(|(branch, _)| *branch == name).map(|(_, schema)| *schema)
    }

    /// The names of the branches.
    pub(in crate::config) fn names(&self) -> Vec<&'a str> {
        self.branches.iter().map(|(name, _)| *name).collect()
    }
}

/// Whether the schema accepts objects and nothing else.
pub(in crate::config) fn is_object(view: &View<'_>) -> bool {
    view.types().is_some_and(|types| types == ["object"])
}

/// The JSON type of a value, as named in messages.
pub(in crate::config) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether `value` is of the JSON Schema type `name`. Any number counts as an integer here, so that the message for
/// `1.5` is about integers and not about types.
pub(in crate::config) fn is_of_type(value: &Value, name: &str) -> bool {
    kind(value) == name || (value.is_number() && name == "integer")
}

/// The array under `key`, empty if there is none.
fn array<'a>(part: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    part.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The target of a `$ref`: `#/$defs/Name`, or `#` for the whole schema.
fn resolve<'a>(root: &'a Value, pointer: &Value) -> Option<&'a Value> {
    root.pointer(pointer.as_str()?.strip_prefix('#')?)
}

/// Collects the alternatives of a union, flattening those that are themselves nothing but a union.
fn flatten<'a>(
    root: &'a Value,
    alternatives: &'a Vec<Value>,
    seen: &mut Vec<&'a Vec<Value>>,
    leaves: &mut Vec<&'a Value>,
) {
    if seen.iter().any(|known| std::ptr::eq(*known, alternatives)) {
        return;
    }
    seen.push(alternatives);
    for alternative in alternatives {
        match bare_union(root, alternative) {
            Some(nested) => flatten(root, nested, seen, leaves),
            None => leaves.push(alternative),
        }
    }
}

/// The alternatives of a schema that is nothing but a union or a reference to one.
fn bare_union<'a>(root: &'a Value, mut schema: &'a Value) -> Option<&'a Vec<Value>> {
    for _ in 0..MAX_HOPS {
        let mut keywords = schema.as_object()?.iter().filter(|(key, _)| !ANNOTATIONS.contains(&key.as_str()));
        let (key, value) = keywords.next()?;
        if keywords.next().is_some() {
            return None;
        }
        match key.as_str() {
            "$ref" => schema = resolve(root, value)?,
            "oneOf" | "anyOf" => return value.as_array(),
            _ => return None,
        }
    }
    None
}
