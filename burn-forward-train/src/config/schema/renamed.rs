//! Renamed config keys and values. Error messages give the new word, and runs whose config has the old word can still
//! be resumed.

use burn_forward::ConfigError;
use serde_json::Value;

/// Path of the object that has the key, or of the key whose value was renamed (a `*` matches any one path segment); the
/// old word; the new word. Words that were removed without replacement do not belong here. Paths use the new words of
/// the rows above.
const RENAMED: &[(&str, &str, &str)] = &[
    ("$.data", "rows", "feature-scaling"),
    ("$.data", "normalise", "pixel-normalisation"),
    ("$.training", "keep", "final-weights"),
    ("$.rule", "label", "label-injection"),
    ("$.optimizer", "schedule", "lr-schedule"),
    ("$.optimizer.lr-schedule.name", "hinton", "constant-then-linear"),
];

/// The new word for the key `old` of the object at `path`, or for the value `old` at `path`; `None` if it was not
/// renamed.
pub(super) fn renamed(path: &str, old: &str, valid: &[&str]) -> Option<&'static str> {
    find(RENAMED, path, old).filter(|new| valid.contains(new))
}

fn find<'t>(table: &[(&str, &str, &'t str)], path: &str, old: &str) -> Option<&'t str> {
    table.iter().find(|(pattern, word, _)| *word == old && matches(pattern, path)).map(|(_, _, new)| *new)
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.split('.'), path.split('.'));
    pattern.clone().count() == path.clone().count() && pattern.zip(path).all(|(p, step)| p == "*" || p == step)
}

/// The message that gives the new word.
pub(super) fn is_called(new: &str) -> String {
    format!("{CALLED}{new:?} now")
}

const CALLED: &str = "it is called ";

/// Whether a mistake is only an old word.
pub(crate) fn is_renaming(mistake: &ConfigError) -> bool {
    mistake.message.contains(&format!("; {CALLED}"))
}

/// The config `was` with its old words replaced by the new ones in `is`, which is valid today. A word that also occurs
/// in `is` is valid and stays; it may belong to a user's own part.
pub(crate) fn in_words_of(is: &Value, mut was: Value) -> Value {
    for &(pattern, old, new) in RENAMED {
        let steps: Vec<&str> = pattern.split('.').skip(1).collect();
        rename(&mut was, is, &steps, (old, new));
    }
    was
}

fn rename(was: &mut Value, is: &Value, steps: &[&str], (old, new): (&str, &str)) {
    match (steps, was) {
        ([], Value::Object(map)) if is.get(old).is_none() && is.get(new).is_some() && !map.contains_key(new) => {
            let moved = map.shift_remove(old).map(|value| (new.to_owned(), value));
            map.extend(moved);
        }
        ([], Value::String(name)) if name == old && is != old => *name = new.to_owned(),
        ([step, rest @ ..], Value::Object(map)) => {
            for (key, value) in map.iter_mut().filter(|(key, _)| step == key || *step == "*") {
                rename(value, &is[key], rest, (old, new));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A document that contains nothing but `value` at `path`.
    fn at(path: &str, value: Value) -> Value {
        path.split('.').skip(1).collect::<Vec<_>>().into_iter().rev().fold(value, |inner, key| json!({key: inner}))
    }

    #[test]
    fn every_old_word_of_a_recorded_config_is_replaced() {
        for &(path, old, new) in RENAMED {
            let key = |word: &str| at(path, json!({word: {"name": "x"}, "other": 1}));
            let name = |word: &str| at(path, json!(word));
            assert_eq!(in_words_of(&key(new), key(old)), key(new), "{path}: {old}");
            assert_eq!(in_words_of(&name(new), name(old)), name(new), "{path}: {old}");
            assert_eq!(in_words_of(&name("another"), name(old)), name(new), "{path}: {old}");
            // Words that are valid where they are used, or whose new word is not valid there, are kept.
            for same in [key(old), name(old), key(new), name(new)] {
                assert_eq!(in_words_of(&same, same.clone()), same, "{path}: {old}");
            }
            assert_eq!(in_words_of(&key("other"), key(old)), key(old), "{path}: {old}");
        }
    }

    #[test]
    fn a_name_is_replaced_under_a_key_that_was_renamed_too() {
        let was = json!({"optimizer": {"schedule": {"name": "hinton"}}});
        let is = json!({"optimizer": {"lr-schedule": {"name": "constant-then-linear"}}});
        assert_eq!(in_words_of(&is, was), is);
    }

    #[test]
    fn a_message_of_a_new_word_is_known_as_such() {
        let of = |message: String| is_renaming(&ConfigError::new("$.a", message));
        assert!(of(format!("unknown key; {}", is_called("new"))));
        assert!(!of("unknown key; valid: \"called\"".into()));
    }

    #[test]
    fn a_word_is_looked_up_where_it_was_valid() {
        let table = [("$.a.*", "old", "new"), ("$.b", "old", "other")];
        let cases = [("$.a.x", Some("new")), ("$.a", None), ("$.a.x.y", None), ("$.b", Some("other")), ("$", None)];
        for (path, new) in cases {
            assert_eq!(find(&table, path, "old"), new, "{path}");
            assert_eq!(find(&table, path, "older"), None, "{path}");
        }
    }

    /// The new word is suggested only where it is valid: other data sets have no features to scale.
    #[test]
    fn a_new_word_is_given_where_it_is_valid() {
        assert_eq!(renamed("$.data", "rows", &["name", "feature-scaling"]), Some("feature-scaling"));
        assert_eq!(renamed("$.data", "rows", &["name", "validation"]), None);
    }
}
