//! Every answer to any test, held to the description: its status, its media type, its shape, and a problem to the example of its kind.

use std::sync::LazyLock;

use serde_json::Value;

use crate::{
    schema::{check, resolved},
    world::Answer,
};

static DOCUMENT: LazyLock<Value> = LazyLock::new(config::document);

/// Kinds of problems that say something else at each occurrence.
const VARYING: [&str; 6] =
    ["audience_changed", "forbidden", "invalid", "unproved", "workspace_missing", "wrong_state"];

/// Holds an answer to the description; `sent` is the body that it answers.
pub(crate) fn hold(method: &str, path: &str, sent: Option<&str>, answer: &Answer) {
    let place = format!("{method} {path}: {}", answer.status);
    let Some(operation) = operation(method, path) else {
        assert!([401, 404, 405].contains(&answer.status.as_u16()), "{place}, and there is no such operation");
        return;
    };
    let response = &operation["responses"][answer.status.as_str()];
    assert!(!response.is_null(), "{place} is not described: {}", answer.body);
    let content = &resolved(&DOCUMENT, response)["content"];
    let Some(kind) = answer.headers.get("content-type") else {
        assert!(content.is_null() && answer.bytes.is_empty(), "{place} is to have a body");
        return;
    };
    let content = &content[kind.to_str().unwrap().split(';').next().unwrap()];
    assert!(!content.is_null(), "{place} is not described as {kind:?}");
    if answer.body.is_null() {
        return;
    }
    check(&DOCUMENT, &content["schema"], &answer.body, &place).unwrap();
    if answer.status.is_success() {
        // What is taken is what may be sent.
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if let Some(sent) =
            sent.filter(|_| schema.is_object()).and_then(|sent| serde_json::from_str(sent).ok())
        {
            check(&DOCUMENT, schema, &sent, &place).unwrap();
        }
    } else {
        hold_problem(content, &answer.body, &place);
    }
}

/// Holds a problem to the example of its kind.
fn hold_problem(content: &Value, problem: &Value, place: &str) {
    let examples = content["examples"].as_object().into_iter().flatten();
    let mut examples = examples.map(|(_, example)| &resolved(&DOCUMENT, example)["value"]);
    let example = examples.find(|example| example["code"] == problem["code"]);
    let example = example.unwrap_or_else(|| panic!("{place} is not described of this kind: {problem}"));
    let varies = VARYING.iter().any(|code| problem["code"] == *code);
    for member in ["type", "title", "detail"].into_iter().filter(|member| !varies || *member != "detail") {
        assert_eq!(problem[member], example[member], "{place}");
    }
}

/// The operation of a path, none where its method or its path is no operation's.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let fits = |template: &str| {
        let (template, path) = (template.split('/'), path.split('/'));
        let mut pairs = template.clone().zip(path.clone());
        template.count() == path.count()
            && pairs.all(|(one, other)| one == other || (one.starts_with('{') && !other.is_empty()))
    };
    let (_, methods) = DOCUMENT["paths"].as_object()?.iter().find(|(template, _)| fits(template))?;
    methods.get(method.to_lowercase())
}
