//! What Flink has answered, and what of it has to be the same.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Objects whose keys are data.
pub(crate) const MAPS: [&str; 5] =
    ["status-duration", "user-config", "extendedResources", "accumulator-results", "failureLabels"];

/// Lists that have elements with Flink and needn't have here: of a JVM, of files that there aren't, of other exceptions
/// at the same time.
const MAY_BE_EMPTY: [&str; 5] = ["logs", "classpath", "options", "garbageCollectors", "concurrentExceptions"];

/// Keys that may be there or not: what the optimizer has to say of an input.
pub(crate) const MAY_BE_MISSING: [&str; 1] = ["local_strategy"];

/// A recorded answer.
pub(crate) struct Recorded {
    /// The file's, without its extension.
    pub(crate) name: String,
    pub(crate) method: String,
    /// With `:jobid` and so on in place of ids.
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// All of them, by name.
pub(crate) fn all() -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("there are recorded answers") {
        let path = entry.expect("can be listed").path();
        let read: Value = serde_json::from_slice(&std::fs::read(&path).expect("can be read")).expect("is JSON");
        let text = |key: &str| read[key].as_str().expect("a text").to_owned();
        all.push(Recorded {
            name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
            method: text("method"),
            path: text("path"),
            status: read["status"].as_u64().expect("a status") as u16,
            body: read["body"].clone(),
        });
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

impl Recorded {
    /// When it has to be asked for.
    pub(crate) fn situation(&self) -> &str {
        match self.name.as_str() {
            "jars-upload" => "upload",
            "jars-delete" => "delete",
            "cluster-delete" => "end",
            "job-cancel" => "cancel",
            "jar-run" | "jar-run-bad" => "run",
            name => {
                let last = name.rsplit('-').next().unwrap_or_default();
                if ["finished", "failed", "canceled"].contains(&last) { last } else { "running" }
            }
        }
    }

    /// The body that it is asked for with.
    pub(crate) fn request(&self) -> String {
        match self.name.as_str() {
            "jar-run" => {
                let line = "Job has been submitted with JobID 0123456789abcdef0123456789abcdef";
                json!({ "parallelism": 2, "entryClass": "WordCount", "programArgsList": [line] }).to_string()
            }
            "jar-run-bad" => json!({ "parallelism": "x" }).to_string(),
            _ => String::new(),
        }
    }
}

/// Compares keys and types.
pub(crate) fn compare(recorded: &Value, ours: &Value, at: &str, problems: &mut Vec<String>) {
    let key = at.rsplit('.').next().unwrap_or_default();
    match (recorded, ours) {
        (Value::Null, _) | (Value::Bool(_), Value::Bool(_)) | (Value::Number(_), Value::Number(_)) => {}
        (Value::String(_), Value::String(_)) => {}
        // Flink writes floats that are no number as text.
        (Value::String(text), Value::Number(_)) if text == "NaN" => {}
        (Value::Array(recorded), Value::Array(ours)) => {
            // Accumulators of a task are known when it has finished.
            let may_be_empty = MAY_BE_EMPTY.contains(&key) || at.contains("accumulators-running");
            if ours.is_empty() && !recorded.is_empty() && !may_be_empty {
                problems.push(format!("{at}: is empty"));
            }
            let objects: Vec<&Map<String, Value>> = recorded.iter().filter_map(Value::as_object).collect();
            for one in ours {
                match one.as_object() {
                    Some(one) if !objects.is_empty() => compare_keys(&objects, one, at, problems),
                    _ => recorded.iter().take(1).for_each(|recorded| compare(recorded, one, at, problems)),
                }
            }
        }
        (Value::Object(_), Value::Object(_)) if MAPS.contains(&key) => {}
        (Value::Object(recorded), Value::Object(ours)) => compare_keys(&[recorded], ours, at, problems),
        _ => problems.push(format!("{at}: {ours} instead of {recorded}")),
    }
}

/// Compares an object with recorded ones of its kind: what all of them have has to be there, and nothing that none has.
fn compare_keys(recorded: &[&Map<String, Value>], ours: &Map<String, Value>, at: &str, problems: &mut Vec<String>) {
    let keys: BTreeSet<&String> = recorded.iter().flat_map(|one| one.keys()).collect();
    for key in &keys {
        let in_all = recorded.iter().all(|one| one.contains_key(*key));
        if in_all && !ours.contains_key(*key) && !MAY_BE_MISSING.contains(&key.as_str()) {
            problems.push(format!("{at}: no {key}"));
        }
    }
    for (key, value) in ours {
        match recorded.iter().find_map(|one| one.get(key)) {
            Some(recorded) => compare(recorded, value, &format!("{at}.{key}"), problems),
            None => problems.push(format!("{at}: {key} is none of Flink's keys")),
        }
    }
}

#[test]
fn differences_are_found() {
    let found = |recorded: Value, ours: Value| {
        let mut problems = Vec::new();
        compare(&recorded, &ours, "x", &mut problems);
        problems.len()
    };
    assert_eq!(found(json!({ "a": 1, "b": "NaN" }), json!({ "a": 2, "b": 0.5 })), 0);
    assert_eq!(found(json!({ "a": 1 }), json!({ "a": "1" })), 1);
    assert_eq!(found(json!({ "a": 1 }), json!({ "b": 1 })), 2);
    assert_eq!(found(json!([{ "a": 1 }, { "a": 1, "b": 1 }]), json!([{ "a": 1 }, { "a": 2, "b": 2 }])), 0);
    assert_eq!(found(json!([{ "a": 1 }]), json!([])), 1);
    assert_eq!(found(json!([1]), json!(["1"])), 1);
}
