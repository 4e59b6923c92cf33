//! The description of the interface, as OpenAPI and as the reference page: both from the table of routes.

use crate::rest::route::{Answer, Call, Context, Gives, Route, Takes, ok};
use crate::rest::{overview, table};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::sync::Arc;

/// The schemas of answers, by operation. They are made from what Flink has answered, by the test that compares the
/// answers here with those: `FLINKRS_BLESS=1 cargo test -p flinkrs-jobmanager --test rest`.
const SCHEMAS: &str = include_str!("schemas.json");

/// How the reference page begins.
const PAGE: &str = include_str!("page.md");

pub(super) async fn answer(_: Arc<Context>, _: Call) -> Answer {
    ok(description())
}

/// OpenAPI 3.0.
fn description() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut schemas: Map<String, Value> = serde_json::from_str(SCHEMAS).expect("the file is JSON: a test writes it");
    schemas.insert("Errors".to_owned(), errors());
    schemas.insert("Run".to_owned(), run());
    for route in table::ROUTES {
        let method = route.method.as_str().to_ascii_lowercase();
        paths.entry(route.path).or_insert_with(|| json!({}))[method] = operation(route);
    }
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "flinkrs JobManager",
            "description": "Flink's REST interface. All paths but / are also there with /v1 in front.",
            "version": overview::version(),
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "secret": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{ "secret": [] }, {}],
    })
}

/// What is answered instead of what was asked for.
fn errors() -> Value {
    json!({
        "type": "object",
        "properties": { "errors": { "type": "array", "items": { "type": "string" } } },
        "required": ["errors"],
        "additionalProperties": false,
    })
}

/// The request that runs a program; Flink's has more, which is ignored.
fn run() -> Value {
    json!({
        "type": "object",
        "properties": {
            "parallelism": { "type": "integer", "minimum": 1 },
            "programArgsList": { "type": "array", "items": { "type": "string" } },
            "programArgs": { "type": "string" },
        },
    })
}

fn operation(route: &Route) -> Value {
    let text = json!({ "type": "string" });
    let in_path = names(route.path).map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text }));
    let behind = route.query.iter().map(
        |(name, means)| json!({ "name": name, "in": "query", "required": false, "description": means, "schema": text }),
    );
    let errors = json!({
        "description": "what is wrong",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Errors" } } },
    });
    let mut responses = json!({ "default": errors });
    let schema = match route.gives {
        Gives::Json => json!({ "$ref": format!("#/components/schemas/{}", operation_id(route)) }),
        Gives::Description => json!({ "type": "object" }),
        Gives::Text | Gives::Page | Gives::Nothing => text.clone(),
    };
    let content = match route.gives {
        Gives::Json | Gives::Description => "application/json",
        Gives::Text => "text/plain",
        Gives::Page => "text/html",
        Gives::Nothing => "",
    };
    if route.gives != Gives::Nothing {
        responses["2XX"] = json!({ "description": "the answer", "content": { content: { "schema": schema } } });
    }
    let mut operation = json!({
        "summary": route.about,
        "operationId": operation_id(route),
        "parameters": in_path.chain(behind).collect::<Vec<_>>(),
        "responses": responses,
    });
    match route.takes {
        Takes::Nothing => {}
        Takes::Json => {
            let schema = json!({ "$ref": "#/components/schemas/Run" });
            operation["requestBody"] = json!({ "content": { "application/json": { "schema": schema } } });
        }
        Takes::File => {
            let file = json!({ "type": "string", "format": "binary" });
            let schema = json!({ "type": "object", "properties": { "jarfile": file } });
            operation["requestBody"] =
                json!({ "required": true, "content": { "multipart/form-data": { "schema": schema } } });
        }
    }
    operation
}

/// The names in a path.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// Method and path in one word.
fn operation_id(route: &Route) -> String {
    let parts = route.path.split('/').map(|part| part.trim_matches(['{', '}'])).filter(|part| !part.is_empty());
    let words = std::iter::once(route.method.as_str().to_ascii_lowercase()).chain(parts.map(str::to_owned));
    words.collect::<Vec<_>>().join("-")
}

/// The page `docs/rest.md`.
pub fn reference_page() -> String {
    let mut page = PAGE.to_owned();
    for route in table::ROUTES {
        let query: Vec<String> = route.query.iter().map(|(name, _)| format!("`{name}`")).collect();
        // Writing to a string can't fail.
        let _ = writeln!(page, "| {} | `{}` | {} | {} |", route.method, route.path, route.about, query.join(" "));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_described_under_a_name_of_its_own() {
        let description = description();
        let paths = description["paths"].as_object().expect("an object");
        let operations: Vec<&Value> =
            paths.values().flat_map(|path| path.as_object().expect("an object").values()).collect();
        assert_eq!(operations.len(), table::ROUTES.len());
        let ids: BTreeSet<&str> = operations.iter().map(|of| of["operationId"].as_str().expect("an id")).collect();
        assert_eq!(ids.len(), table::ROUTES.len());
        let vertex = &paths["/jobs/{jobid}/vertices/{vertexid}"]["get"]["parameters"];
        assert_eq!((&vertex[0]["name"], &vertex[1]["name"]), (&json!("jobid"), &json!("vertexid")));
    }
}
