//! Reads a JSON document: reports syntax errors with line and column and duplicate keys, and parses it into a typed
//! config.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_path_to_error::Segment;

use burn_forward::{ConfigError, ConfigErrors};

/// Parses the JSON `text` of the file (or other source) `origin`. The order of keys is kept.
///
/// # Errors
/// A syntax error with its line and column, or an error for every duplicate key of an object; JSON parsers silently use
/// the last one.
///
/// ```
/// use burn_forward_train::config::document::parse_document;
///
/// let errors = parse_document("a.json", r#"{"training": {"epochs": 3, "epochs": 5}}"#).unwrap_err();
/// assert_eq!(errors.errors[0].to_string(), "$.training.epochs: the key occurs more than once in its object");
/// ```
pub fn parse_document(origin: &str, text: &str) -> Result<Value, ConfigErrors> {
    let fail = |errors| Err(ConfigErrors { origin: origin.to_owned(), errors });
    // Windows editors put a byte-order mark in front, which JSON does not allow.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return fail(vec![ConfigError::new("$", "the file is empty; needed: a JSON object")]);
    }
    let value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => return fail(vec![syntax_error(&error)]),
    };
    let mut duplicates = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    if let Err(error) = (Keys { path: "$".to_owned(), duplicates: &mut duplicates }).deserialize(&mut deserializer) {
        return fail(vec![syntax_error(&error)]);
    }
    if duplicates.is_empty() { Ok(value) } else { fail(duplicates) }
}

/// Turns a checked document into the typed config `T`.
///
/// # Errors
/// The first mistake that serde finds, with its JSON path. [`schema::check`](super::schema::check) finds all of them;
/// this is a safety net.
pub fn parse<T: DeserializeOwned>(origin: &str, document: &Value) -> Result<T, ConfigErrors> {
    serde_path_to_error::deserialize(document).map_err(|error| {
        let mut path = "$".to_owned();
        for segment in error.path() {
            path = match segment {
                Segment::Seq { index } => index_path(&path, *index),
                Segment::Map { key } | Segment::Enum { variant: key } => key_path(&path, key),
                Segment::Unknown => path,
            };
        }
        ConfigErrors { origin: origin.to_owned(), errors: vec![ConfigError::new(path, error.inner().to_string())] }
    })
}

/// `$.a` and `key` give `$.a.key`; a key that is not a plain word is quoted, `$.a["odd key"]`.
pub(super) fn key_path(path: &str, key: &str) -> String {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
    if !key.is_empty() && key.chars().all(word) { format!("{path}.{key}") } else { format!("{path}[{key:?}]") }
}

/// `$.a` and 1 give `$.a[1]`.
pub(super) fn index_path(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// serde_json's message, with the position moved to the front, where editors and people look for it.
fn syntax_error(error: &serde_json::Error) -> ConfigError {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = message.strip_suffix(&place).unwrap_or(&message);
    ConfigError::new("$", format!("line {}, column {}: {message}", error.line(), error.column()))
}

/// Walks through a JSON text and collects the paths of duplicate keys.
struct Keys<'e> {
    path: String,
    duplicates: &'e mut Vec<ConfigError>,
}

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let path = key_path(&self.path, &key);
            if seen.contains(&key) {
                self.duplicates.push(ConfigError::new(path, "the key occurs more than once in its object"));
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Keys { path, duplicates: &mut *self.duplicates })?;
                seen.insert(key);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0;
        while items
            .next_element_seed(Keys { path: index_path(&self.path, index), duplicates: &mut *self.duplicates })?
            .is_some()
        {
            index += 1;
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::comma_missing("{\n  \"a\": 1\n  \"b\": 2\n}", "$: line 3, column 3: expected `,` or `}`")]
    #[case::trailing_comma("{\"a\": [1, 2,]}", "$: line 1, column 13: trailing comma")]
    #[case::not_a_number("{\"lr\": NaN}", "$: line 1, column 8: expected value")]
    #[case::infinite("{\"lr\": 1e999}", "$: line 1, column 12: number out of range")]
    #[case::two_documents("{} {}", "$: line 1, column 4: trailing characters")]
    #[case::empty(" \n", "$: the file is empty; needed: a JSON object")]
    #[case::duplicate("{\"a\": 1, \"a\": 1}", "$.a: the key occurs more than once in its object")]
    #[case::duplicate_in_array(
        "{\"layers\": [{}, {\"w x\": 1, \"w x\": {}}]}",
        "$.layers[1][\"w x\"]: the key occurs more than once in its object"
    )]
    fn refuses(#[case] text: &str, #[case] expected: &str) {
        let errors = parse_document("test.json", text).unwrap_err();
        assert_eq!(errors.to_string(), format!("test.json: 1 mistake\n  {expected}"));
    }

    #[test]
    fn all_duplicates_are_reported_in_order() {
        let text = r#"{"b": {"x": 1, "x": 2, "y": 3}, "a": 1, "b": {"y": 1, "y": 2}, "a": 2, "a": 3}"#;
        let paths: Vec<_> = parse_document("f", text).unwrap_err().errors.into_iter().map(|e| e.path).collect();
        assert_eq!(paths, ["$.b.x", "$.b", "$.a", "$.a"]);
    }

    #[test]
    fn nesting_is_limited() {
        let text = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let errors = parse_document("f", &text).unwrap_err();
        assert_eq!(errors.errors[0].message, "line 1, column 128: recursion limit exceeded");
    }

    #[test]
    fn byte_order_mark_is_skipped_and_order_kept() {
        let value = parse_document("f", "\u{feff}{\"z\": 1, \"a\": [true, null, \"s\", -1, 1.5]}").unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), r#"{"z":1,"a":[true,null,"s",-1,1.5]}"#);
    }

    #[derive(Debug, serde::Deserialize)]
    struct Typed {
        #[allow(dead_code)]
        layers: Vec<Layer>,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Layer {
        #[allow(dead_code)]
        width: usize,
    }

    #[test]
    fn typed_errors_carry_the_json_path() {
        let errors = parse::<Typed>("f.json", &json!({"layers": [{"width": 1}, {"width": -1}]})).unwrap_err();
        let expected = "f.json: 1 mistake\n  $.layers[1].width: invalid value: integer `-1`, expected usize";
        assert_eq!(errors.to_string(), expected);
        let missing = parse::<Typed>("f.json", &json!({})).unwrap_err();
        assert_eq!(missing.to_string(), "f.json: 1 mistake\n  $: missing field `layers`");
        assert!(parse::<Typed>("f.json", &json!({"layers": [{"width": 1}]})).is_ok());
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let _ = parse_document("f", &text);
        }

        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}:,"a1 ]{0,12}"#) {
            if let Ok(value) = parse_document("f", &text) {
                prop_assert_eq!(value, serde_json::from_str::<Value>(&text).unwrap());
            }
        }
    }
}
