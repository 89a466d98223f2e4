//! The description of the API, OpenAPI 3.1: collected from the handlers, and completed by what all of them have in common.
//!
//! What a handler's extractors demand and refuse is the same everywhere, so it is said here once: who calls, in which workspace, and
//! the problems that come of it. What one handler alone answers, it says itself.

use std::{collections::HashSet, sync::LazyLock};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use fanhook_core::outcome::{Outcome, REASONS};
use serde_json::{Map, Value, json};
use utoipa::{
    OpenApi,
    openapi::{Object, ObjectBuilder, OpenApi as Collected, schema::Type},
};

use crate::{
    access::Member,
    problem::{Details, examples},
};

/// The description as it was when this was built; a test holds it to the code.
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// The components of the description, by their names.
pub(crate) fn schemas() -> &'static Map<String, Value> {
    static SCHEMAS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
        let mut document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
        match document["components"]["schemas"].take() {
            Value::Object(schemas) => schemas,
            _ => Map::new(),
        }
    });
    &SCHEMAS
}

/// What is said of the API as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Fanhook",
        description = "Pushes an audience through a webhook: for every user it finds the ID that the receiver knows the user by, renders that \
                       user's own message and delivers it over HTTP, once, accounted for.\n\nBodies are JSON; unknown fields are refused. Errors \
                       are problem details (RFC 9457), with all faults of an input at once. Lists are paged by opaque cursors. A change may \
                       carry `If-Match` with the `ETag` that the object was read with.",
    ),
    components(schemas(Details)),
    tags(
        (name = "Webhooks", description = "The configuration of endpoints, by administrators."),
        (name = "Parameter sources", description = "Constants and interfaces that parameters of type `call` take their values from."),
        (name = "Pushes", description = "What is sent to whom through a webhook, by marketers."),
        (name = "Runs", description = "Executions of pushes: started, looked at, controlled."),
        (name = "Uploads", description = "Files of audiences and profiles."),
        (name = "Profiles", description = "What is known of users."),
        (name = "ID types", description = "The kinds of ID that users are known by."),
        (name = "Organization", description = "What holds for all workspaces."),
        (name = "Sources", description = "The data sources that profiles come from."),
        (name = "Grants", description = "Who may use a webhook, beside administrators."),
        (name = "Audit", description = "Who changed what, when, and how."),
        (name = "API", description = "The API itself."),
    ),
)]
pub(crate) struct Common;

/// The problems that any request may meet: status, name among the components, what it means with the codes of ours.
const ALWAYS: [(&str, &str, &str); 8] = [
    (
        "400",
        "Invalid",
        "The request is not as it must be: `invalid`, where `errors` tells every fault with its field and place, `invalid_json`, \
         `invalid_if_match`, `workspace_missing`, `idempotency_key_missing`.",
    ),
    ("401", "Unauthorized", "`unauthorized`: there is no valid token."),
    (
        "403",
        "Forbidden",
        "The caller may not do this at all, `forbidden`, or not through this webhook, `not_granted`.",
    ),
    ("404", "NotFound", "`not_found`: there is no such object in the caller's workspace."),
    // An encoded `?` or `/` in an identifier may reach the function decoded, and the address is another one then.
    ("405", "MethodNotAllowed", "`method_not_allowed`: the address does not take this method."),
    ("429", "TooManyRequests", "The gateway takes no more requests at the moment."),
    ("500", "Internal", "`internal`: the request failed by a fault of ours."),
    ("503", "Unavailable", "`unavailable`: the request could not be done at the moment; try again."),
];
/// Those that a request with a body may meet as well.
const WITH_BODY: [(&str, &str, &str); 1] =
    [("413", "RequestTooLarge", "`request_too_large`: the request has more bytes than are taken.")];
/// Those that a change may meet that says which version it was made of.
const WITH_IF_MATCH: [(&str, &str, &str); 1] =
    [("412", "ChangedSince", "`changed_since`: the object is not as `If-Match` says.")];

/// Statuses that the gateway in front answers by itself as well: to who may not come in, to what is too large, and where it, or the function
/// behind it, has too much to do.
const OF_GATEWAY: [&str; 7] = ["401", "403", "404", "413", "429", "500", "503"];

/// The outcomes of those who were not delivered to.
pub(crate) fn outcomes_of_failures() -> Object {
    texts(Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Delivered).map(Outcome::name))
}

/// The reasons why somebody is not delivered to.
pub(crate) fn reasons_of_failures() -> Object {
    texts(REASONS.into_iter().filter(|row| row.2 != Outcome::Delivered).map(|row| row.3))
}

fn texts(options: impl Iterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(options)).build()
}

/// Describes the API: this document, OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "API", operation_id = "read_document", responses(
    (status = 200, description = "The description.", body = serde_json::Value, example = json!({"openapi": "3.1.0"})),
))]
pub(crate) async fn read(_: Member) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

/// The whole description.
pub(crate) fn complete(collected: &Collected) -> Value {
    let mut document = serde_json::to_value(collected).unwrap_or_default();
    let schemas = &mut document["components"]["schemas"];
    // What some kinds of problems say beside.
    let more = &mut schemas["Problem"]["properties"];
    more["used_by"] = json!({
        "type": "array", "description": "`in_use`: what uses the object, each with its name.",
        "items": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string"},
            "push": {"$ref": "#/components/schemas/PushId"},
            "webhook": {"$ref": "#/components/schemas/WebhookId"},
        }},
    });
    more["used_by_count"] = json!({
        "type": "integer", "minimum": 0, "description": "`in_use`: how many use it, where `used_by` does not name all.",
    });
    more["state"] =
        json!({"$ref": "#/components/schemas/RunState", "description": "`wrong_state`: the run's state."});
    close(schemas);
    let operations = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in operations.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut()) {
        complete_operation(operation);
    }
    link(&mut document["paths"]);
    widen(&mut document);
    let components = &mut document["components"];
    for (status, name, description) in ALWAYS.into_iter().chain(WITH_BODY).chain(WITH_IF_MATCH) {
        components["responses"][name] =
            json!({"description": description, "content": problem(status, description)});
    }
    for (name, problem) in examples() {
        components["examples"][name] = json!({"value": problem.json()});
    }
    components["securitySchemes"]["token"] = json!({
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
        "description": "An OIDC token of the deployment's issuer; workspaces and roles come from its claims.",
    });
    components["parameters"]["Workspace"] = json!({
        "name": "fanhook-workspace", "in": "header", "required": false,
        "schema": {"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"},
        "description": "The workspace that the request is about; needed by a caller of several.",
    });
    document["security"] = json!([{"token": []}]);
    document
}

/// Says what the extractors of an operation demand and refuse.
fn complete_operation(operation: &mut Value) {
    let has_body = operation.get("requestBody").is_some();
    let if_match =
        operation["parameters"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "If-Match"));
    let problems = ALWAYS
        .into_iter()
        .chain(WITH_BODY.into_iter().filter(|_| has_body))
        .chain(WITH_IF_MATCH.into_iter().filter(|_| if_match));
    for (status, name, _) in problems {
        let told = operation["responses"].get(status).is_some();
        if !told {
            operation["responses"][status] = json!({"$ref": format!("#/components/responses/{name}")});
        }
    }
    // A status without a body, or with one of another kind, says so itself.
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        if status.starts_with(['4', '5']) && response.get("$ref").is_none() {
            response["content"] = problem(status, response["description"].as_str().unwrap_or_default());
        }
    }
    let workspace = json!({"$ref": "#/components/parameters/Workspace"});
    match operation["parameters"].as_array_mut() {
        Some(parameters) => parameters.push(workspace),
        None => operation["parameters"] = json!([workspace]),
    }
}

/// Says of integers how large they may be: `int32`, the only format there is for those of 32 bits, is signed, and ours are not.
fn widen(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("format").is_some_and(|format| format == "int32") {
                members.remove("format");
                members.entry("maximum").or_insert(u32::MAX.into());
            }
            members.values_mut().for_each(widen);
        }
        Value::Array(items) => items.iter_mut().for_each(widen),
        _ => {}
    }
}

/// From the operation that makes an object to those that take its identifier: all operations under `/<the last word of the path>/{id}`.
fn link(paths: &mut Value) {
    let of = |paths: &Value, word: &str| -> Map<String, Value> {
        let prefix = format!("/{word}/{{id}}");
        let under = paths.as_object().into_iter().flatten();
        let under = under.filter(|(path, _)| {
            path.strip_prefix(&prefix).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        });
        let operations = under.flat_map(|(_, methods)| methods.as_object().into_iter().flatten());
        let link = |operation: &Value| {
            let id = operation["operationId"].as_str()?;
            Some((id.to_owned(), json!({"operationId": id, "parameters": {"id": "$response.body#/id"}})))
        };
        operations.filter_map(|(_, operation)| link(operation)).collect()
    };
    let makers: Vec<String> = paths.as_object().into_iter().flatten().map(|(path, _)| path.clone()).collect();
    for path in makers {
        let links = of(paths, path.rsplit('/').next().unwrap_or_default());
        if links.is_empty() {
            continue;
        }
        for status in ["201", "202"] {
            if let Some(made) =
                paths[&path].get_mut("post").and_then(|post| post["responses"].get_mut(status))
            {
                made["links"] = Value::Object(links.clone());
            }
        }
    }
}

/// What problems of a status say: an example of each whose code the description names.
fn problem(status: &str, description: &str) -> Value {
    let named = examples().filter(|(name, _)| {
        let (code, users) = match name.strip_prefix("in_use_by_") {
            Some(users) => ("in_use", users),
            None => (*name, ""),
        };
        description.contains(&format!("`{code}`")) && description.contains(users)
    });
    let examples: Map<String, Value> = named
        .map(|(name, _)| (name.to_owned(), json!({"$ref": format!("#/components/examples/{name}")})))
        .collect();
    let mut content = Map::new();
    if !examples.is_empty() {
        let schema = json!({"$ref": "#/components/schemas/Problem"});
        content
            .insert("application/problem+json".to_owned(), json!({"schema": schema, "examples": examples}));
    }
    if OF_GATEWAY.contains(&status) {
        let schema = json!({
            "type": "object", "required": ["message"],
            "properties": {"message": {"type": "string", "description": "What the gateway says."}},
        });
        content.insert("application/json".to_owned(), json!({"schema": schema}));
    }
    content.into()
}

/// Closes every object whose properties are all named: no other field is read, and none is answered.
fn close(schemas: &mut Value) {
    let mut parts = HashSet::new();
    collect_parts(schemas, &mut parts);
    for (name, schema) in schemas.as_object_mut().into_iter().flatten() {
        close_one(schema);
        // A part of a whole says nothing of the whole's other fields.
        if parts.contains(name.as_str())
            && let Some(members) = schema.as_object_mut()
        {
            members.remove("additionalProperties");
        }
    }
}

fn close_one(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.contains_key("allOf") {
                members.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
            } else if members.contains_key("properties") && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            let schemas =
                members.iter_mut().filter(|(name, _)| !["allOf", "example"].contains(&name.as_str()));
            schemas.for_each(|(_, value)| close_one(value));
        }
        Value::Array(items) => items.iter_mut().for_each(close_one),
        _ => {}
    }
}

/// The names of the components that stand in an `allOf`.
fn collect_parts(schema: &Value, parts: &mut HashSet<String>) {
    match schema {
        Value::Object(members) => {
            let all = members.get("allOf").and_then(Value::as_array);
            let names =
                all.into_iter().flatten().filter_map(|part| part["$ref"].as_str()?.rsplit('/').next());
            parts.extend(names.map(str::to_owned));
            members.values().for_each(|value| collect_parts(value, parts));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_parts(item, parts)),
        _ => {}
    }
}
