//! Schemas of answers, made from those that Flink has given, and what conforms to them.

use crate::recorded::{MAPS, MAY_BE_MISSING, Recorded};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The schemas of all answers that were recorded, by operation: the component that the description refers to.
pub(crate) fn of(all: &[Recorded]) -> Value {
    let mut bodies: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for recorded in all.iter().filter(|recorded| recorded.status < 300) {
        bodies.entry(operation(recorded)).or_default().push(&recorded.body);
    }
    bodies.into_iter().map(|(operation, bodies)| (operation, schema("", &bodies))).collect::<Map<_, _>>().into()
}

/// What the description calls the operation: its method and its path, in words.
fn operation(recorded: &Recorded) -> String {
    let path = recorded.path.split('?').next().unwrap_or_default();
    let words = path.split('/').map(|part| part.trim_start_matches(':')).filter(|part| !part.is_empty());
    let method = recorded.method.to_ascii_lowercase();
    std::iter::once(&*method).chain(words).collect::<Vec<_>>().join("-")
}

/// The narrowest schema that all of these have; `key` is where they stand.
fn schema(key: &str, values: &[&Value]) -> Value {
    let of = |is: fn(&Value) -> bool| values.iter().copied().filter(|value| is(value)).collect::<Vec<_>>();
    let objects = of(Value::is_object);
    let mut kinds = Vec::new();
    if !objects.is_empty() {
        kinds.push(object(key, &objects));
    }
    let arrays = of(Value::is_array);
    if !arrays.is_empty() {
        let items: Vec<&Value> = arrays.iter().filter_map(|array| array.as_array()).flatten().collect();
        kinds.push(json!({ "type": "array", "items": schema(key, &items) }));
    }
    // Flink writes floats that are no number as text.
    let is_nan = |value: &Value| value == "NaN";
    let numbers: Vec<&Value> = values.iter().copied().filter(|value| value.is_number() || is_nan(value)).collect();
    if !numbers.is_empty() {
        let whole = numbers.iter().all(|number| number.is_i64() || number.is_u64());
        kinds.push(json!({ "type": if whole { "integer" } else { "number" } }));
    }
    if numbers.iter().any(|number| is_nan(number)) {
        kinds.push(json!({ "type": "string", "enum": ["NaN"] }));
    }
    if values.iter().any(|value| value.is_string() && !is_nan(value)) {
        kinds.push(json!({ "type": "string" }));
    }
    if values.iter().any(|value| value.is_boolean()) {
        kinds.push(json!({ "type": "boolean" }));
    }
    let nullable = values.iter().any(|value| value.is_null());
    match (kinds.len(), nullable) {
        // Nothing is known of what there was never anything of.
        (0, _) => json!({}),
        (1, false) => kinds.remove(0),
        (1, true) => {
            kinds[0]["nullable"] = json!(true);
            kinds.remove(0)
        }
        _ => json!({ "anyOf": kinds, "nullable": nullable }),
    }
}

fn object(key: &str, values: &[&Value]) -> Value {
    let mut fields: BTreeMap<&String, Vec<&Value>> = BTreeMap::new();
    for (key, value) in values.iter().filter_map(|value| value.as_object()).flatten() {
        fields.entry(key).or_default().push(value);
    }
    if MAPS.contains(&key) {
        let all: Vec<&Value> = fields.into_values().flatten().collect();
        return json!({ "type": "object", "additionalProperties": schema("", &all) });
    }
    let in_all = |of: &Vec<&Value>| of.len() == values.len();
    let required: Vec<&&String> = fields
        .iter()
        .filter(|(key, of)| in_all(of) && !MAY_BE_MISSING.contains(&key.as_str()))
        .map(|(key, _)| key)
        .collect();
    let properties: Map<String, Value> = fields.iter().map(|(key, of)| ((*key).clone(), schema(key, of))).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// Where a value isn't as a schema of a description says.
pub(crate) fn differences(description: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let target = description.pointer(name.trim_start_matches('#')).unwrap_or(&Value::Null);
        assert!(target.is_object(), "there is no {name}");
        return differences(description, target, value, at, found);
    }
    if let Some(kinds) = schema["anyOf"].as_array() {
        let fits = |kind: &Value| {
            let mut found = Vec::new();
            differences(description, kind, value, at, &mut found);
            found.is_empty()
        };
        if !(kinds.iter().any(fits) || value.is_null() && schema["nullable"] == true) {
            found.push(format!("{at}: {value} is none of {kinds:?}"));
        }
        return;
    }
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let fits = match schema["type"].as_str() {
        None => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string() && schema["enum"].as_array().is_none_or(|of| of.contains(value)),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some(other) => panic!("{at}: a type that isn't OpenAPI's: {other}"),
    };
    if !fits {
        found.push(format!("{at}: {value} is no {}", schema["type"]));
        return;
    }
    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
        differences(description, &schema["items"], item, &format!("{at}[{i}]"), found);
    }
    for (key, field) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{key}");
        match (&schema["properties"][key], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(false)) => found.push(format!("{at}: isn't described")),
            (Value::Null, other) => differences(description, other, field, &at, found),
            (known, _) => differences(description, known, field, &at, found),
        }
    }
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(key).is_none() {
            found.push(format!("{at}: there is no {key}"));
        }
    }
}

/// The schema that a description has for an answer of an operation.
pub(crate) fn of_answer<'a>(description: &'a Value, recorded: &Recorded) -> &'a Value {
    let path = recorded.path.split('?').next().unwrap_or_default();
    let named =
        path.split('/').map(|part| part.strip_prefix(':').map_or(part.to_owned(), |name| format!("{{{name}}}")));
    let path = named.collect::<Vec<_>>().join("/");
    let operation = &description["paths"][&path][recorded.method.to_ascii_lowercase()];
    let status = if recorded.status < 300 { "2XX" } else { "default" };
    // A path that there isn't is answered as any that is wrong.
    let answer = if operation.is_null() { &description["paths"]["/jobs"]["get"] } else { operation };
    &answer["responses"][status]["content"]["application/json"]["schema"]
}

#[test]
fn a_schema_is_the_narrowest_and_what_differs_is_found() {
    let (a, b) =
        (json!({ "x": 1, "y": [{ "z": "NaN" }] }), json!({ "x": null, "y": [{ "z": 0.5 }, { "z": 1, "w": "s" }] }));
    let schema = schema("", &[&a, &b]);
    let found = |value: Value| {
        let mut found = Vec::new();
        differences(&json!({}), &schema, &value, "", &mut found);
        found.len()
    };
    assert_eq!((found(a), found(b)), (0, 0));
    assert_eq!(found(json!({ "x": 7, "y": [] })), 0);
    assert_eq!(found(json!({ "x": "7", "y": [] })), 1);
    assert_eq!(found(json!({ "x": 0.5, "y": [] })), 1);
    assert_eq!(found(json!({ "y": [{ "w": "s" }] })), 2);
    assert_eq!(found(json!({ "x": 7, "y": [{ "z": 1, "v": 1 }, { "z": "1" }] })), 2);
}
