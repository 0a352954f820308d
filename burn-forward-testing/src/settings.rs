//! The settings of a rule, read from its own schema.

use serde_json::{Map, Value, json};

/// One JSON object per value, with a single setting each, for every setting whose values have names; in schema order.
pub(crate) fn one_at_a_time(schema: &Value) -> Vec<Value> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.flat_map(|(key, of)| named_values(of, schema).into_iter().map(move |v| json!({ key: v }))).collect()
}

/// The values of a schema that can be enumerated: booleans, enumerations, and tagged objects whose other keys have defaults.
fn named_values(schema: &Value, root: &Value) -> Vec<Value> {
    if let Some(name) = schema["$ref"].as_str() {
        return named_values(&root["$defs"][name.trim_start_matches("#/$defs/")], root);
    }
    if let Some(value) = schema.get("const") {
        return vec![value.clone()];
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.clone();
    }
    if let Some(branches) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        return branches.iter().flat_map(|b| named_values(b, root)).collect();
    }
    let is = |kind: &str| schema["type"] == kind || schema["type"].as_array().is_some_and(|t| t.contains(&json!(kind)));
    if is("boolean") {
        return vec![json!(false), json!(true)];
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let tag: Map<String, Value> = required
        .iter()
        .filter_map(|key| Some((key.as_str()?.to_string(), schema["properties"][key.as_str()?].get("const")?.clone())))
        .collect();
    if is("object") && !required.is_empty() && tag.len() == required.len() {
        vec![Value::Object(tag)]
    } else {
        Vec::new()
    }
}
