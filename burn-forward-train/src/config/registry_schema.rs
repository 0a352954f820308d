//! The JSON Schema of a config, generated from the rows of a registry.

use serde_json::{Map, Value, json};

use burn_forward::network::Partition;
use burn_forward::registry::Registry;
use burn_forward::settings::RULE_DEFINITION;

use super::fixed::Fixed;

/// The JSON Schema of a config: the fixed parts, and one branch per row of the registry.
pub fn schema_of(registry: &Registry) -> Value {
    let mut root = schemars::schema_for!(Fixed).to_value();
    let mut definitions = root.get("$defs").and_then(|d| d.as_object()).cloned().unwrap_or_default();
    let partition = schemars::schema_for!(Partition).to_value();
    let partition = lift(partition, &mut definitions);
    let networks = registry
        .networks
        .iter()
        .map(|row| tagged(row.name, row.about, (row.schema)(), Some(&partition), &mut definitions))
        .collect();
    let data =
        registry.data.iter().map(|row| tagged(row.name, row.about, (row.schema)(), None, &mut definitions)).collect();
    let rules =
        registry.rules.iter().map(|row| tagged(row.name, row.about, (row.schema)(), None, &mut definitions)).collect();
    if let Some(root) = root.as_object_mut() {
        root.insert("title".into(), json!("burn-forward config"));
        if let Some(p) = root.get_mut("properties").and_then(|p| p.as_object_mut()) {
            p.insert("data".into(), one_of("The data set and its preprocessing.", data));
            p.insert("network".into(), one_of("The architecture and its partition into blocks.", networks));
            p.insert("rule".into(), json!({"$ref": format!("#/$defs/{RULE_DEFINITION}")}));
            definitions.insert(RULE_DEFINITION.into(), one_of("The learning rule.", rules));
        }
        if let Some(required) = root.get_mut("required").and_then(|r| r.as_array_mut()) {
            required.push(json!("data"));
            required.push(json!("network"));
            required.push(json!("rule"));
        }
        root.insert("$defs".into(), Value::Object(definitions));
    }
    root
}

fn one_of(description: &str, branches: Vec<Value>) -> Value {
    json!({"description": description, "oneOf": branches})
}

/// Moves a schema's own definitions to those of the root and returns the rest.
fn lift(mut schema: Value, definitions: &mut Map<String, Value>) -> Value {
    if let Some(o) = schema.as_object_mut() {
        o.shift_remove("$schema");
        o.shift_remove("title");
        if let Some(Value::Object(own)) = o.shift_remove("$defs") {
            definitions.extend(own);
        }
    }
    schema
}

/// A branch of a union tagged by `name`.
fn tagged(
    name: &str,
    about: &str,
    schema: Value,
    partition: Option<&Value>,
    definitions: &mut Map<String, Value>,
) -> Value {
    let mut schema = lift(schema, definitions);
    if let Some(o) = schema.as_object_mut() {
        o.insert("description".into(), json!(about));
        let properties = o.entry("properties").or_insert_with(|| json!({}));
        if let Some(p) = properties.as_object_mut() {
            p.insert("name".into(), json!({"const": name, "type": "string"}));
            if let Some(partition) = partition {
                let mut partition = partition.clone();
                if let Some(o) = partition.as_object_mut() {
                    o.insert("description".into(), json!("Which consecutive layers form a block; default \"layer\"."));
                }
                p.insert("partition".into(), partition);
            }
        }
        let required = o.entry("required").or_insert_with(|| json!([]));
        if let Some(r) = required.as_array_mut()
            && !r.contains(&json!("name"))
        {
            r.push(json!("name"));
        }
        o.insert("additionalProperties".into(), json!(false));
    }
    schema
}
