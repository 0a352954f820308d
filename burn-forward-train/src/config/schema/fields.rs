//! The options of a schema as table rows.

use serde_json::Value;

use super::bounds::Bounds;
use super::view::{Tagged, View, is_object};
use super::words::kind_name;

/// One option: a row of the tables that `burn-forward list` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldDoc {
    /// Path of the option: `training.epochs`, `layers[].width`, or `rule[name=dfa].beta` for an option of one variant.
    pub path: String,
    /// What the option accepts, in words, without the range. `variant` for a variant of a tagged union itself.
    pub kind: String,
    /// The default value as JSON. `None` if the option is required, or if there is no single default.
    pub default: Option<String>,
    /// Whether the option is required.
    pub required: bool,
    /// Range of a number or of the items of an array, such as `>= 0 and < 1`; empty if there is none.
    pub range: String,
    /// The meaning of the option.
    pub description: String,
}

/// All options in `schema`, in its order. `root` is the whole schema, in which each `$ref` is looked up.
///
/// An object yields one row per key. A tagged union yields a row for the tag, then for each variant a row followed by
/// its keys. A schema that contains itself is followed once.
pub fn describe_fields(schema: &Value, root: &Value) -> Vec<FieldDoc> {
    let mut table = Table { root, rows: Vec::new(), open: Vec::new() };
    table.inside(View::new(root, [schema]), "", None);
    table.rows
}

struct Table<'a> {
    root: &'a Value,
    rows: Vec<FieldDoc>,
    /// The schemas that are being described.
    open: Vec<View<'a>>,
}

impl<'a> Table<'a> {
    /// Adds rows for the contents of the objects that `view` accepts. `default` is the value used if nothing is given.
    fn inside(&mut self, view: View<'a>, prefix: &str, default: Option<&'a Value>) {
        if self.open.iter().any(|outer| view.overlaps(outer)) {
            return;
        }
        self.open.push(view.clone());
        self.keys(&view, prefix, default, None);
        for union in &view.unions {
            match Tagged::of(self.root, union) {
                Some(tagged) => self.variants(&tagged, prefix, default, description(&view)),
                None => {
                    for member in union {
                        self.inside(View::new(self.root, [*member]), prefix, default);
                    }
                }
            }
        }
        if let Some(item) = view.get("items") {
            self.inside(View::new(self.root, [item]), &format!("{prefix}[]"), None);
        }
        if let Some(item) = view.additional() {
            self.inside(View::new(self.root, [item]), &join(prefix, "*"), None);
        }
        self.open.pop();
    }

    fn keys(&mut self, view: &View<'a>, prefix: &str, default: Option<&'a Value>, except: Option<&str>) {
        let required = view.required();
        for key in view.keys().into_iter().filter(|key| Some(*key) != except) {
            let field = View::new(self.root, view.property(key));
            let path = join(prefix, key);
            // The default of the whole object takes precedence over the default of its field.
            let default = default.and_then(|object| object.get(key)).or_else(|| field.get("default"));
            let needs_no_row = is_object(&field) && !field.keys().is_empty()
                || (field.types().is_none() && only_objects(self.root, &field));
            if !needs_no_row {
                let required = required.contains(&key);
                self.rows.push(row(&field, self.root, path.clone(), default, required));
            }
            self.inside(field, &path, default);
        }
    }

    fn variants(&mut self, tagged: &Tagged<'a>, prefix: &str, default: Option<&'a Value>, meaning: String) {
        let chosen = default.and_then(|object| object.get(tagged.key));
        let names: Vec<String> = tagged.names().iter().map(|name| format!("{name:?}")).collect();
        self.rows.push(FieldDoc {
            path: join(prefix, tagged.key),
            kind: format!("one of {}", names.join(", ")),
            default: chosen.map(Value::to_string),
            required: chosen.is_none(),
            range: String::new(),
            description: meaning,
        });
        for (name, schema) in &tagged.branches {
            let view = View::new(self.root, [*schema]);
            let path = format!("{prefix}[{}={name}]", tagged.key);
            self.rows.push(FieldDoc {
                path: path.clone(),
                kind: "variant".to_owned(),
                default: None,
                required: false,
                range: String::new(),
                description: description(&view),
            });
            let default = default.filter(|_| chosen.and_then(Value::as_str) == Some(*name));
            if !self.open.iter().any(|outer| view.overlaps(outer)) {
                self.open.push(view.clone());
                self.keys(&view, &path, default, Some(tagged.key));
                self.open.pop();
            }
        }
    }
}

fn row(view: &View<'_>, root: &Value, path: String, default: Option<&Value>, required: bool) -> FieldDoc {
    let implied = (!required && view.fits(&Value::Null) && (view.types().is_some() || !view.unions.is_empty()))
        .then(|| Value::Null.to_string());
    FieldDoc {
        path,
        kind: kind_name(view, root),
        default: default.map(Value::to_string).or(implied),
        required: required && default.is_none(),
        range: range(view, root),
        description: description(view),
    }
}

/// The range of the number, of the number among several alternatives, or of the items of an array.
fn range(view: &View<'_>, root: &Value) -> String {
    let inner = view.unions.iter().flatten().copied().chain(view.get("items"));
    let views = inner.map(|schema| View::new(root, [schema]));
    let own = std::iter::once(Bounds::stated(view));
    own.chain(views.map(|view| Bounds::stated(&view)))
        .map(|b| b.to_string())
        .find(|t| !t.is_empty())
        .unwrap_or_default()
}

/// Whether the schema is a union of tagged objects and nothing else, so that the rows of the union describe it fully.
fn only_objects<'a>(root: &'a Value, view: &View<'a>) -> bool {
    let tagged_objects = |union: &Vec<&'a Value>| {
        union.iter().all(|member| is_object(&View::new(root, [*member]))) && Tagged::of(root, union).is_some()
    };
    !view.unions.is_empty() && view.unions.iter().all(tagged_objects)
}

/// The description on one line.
fn description(view: &View<'_>) -> String {
    let text = view.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}
