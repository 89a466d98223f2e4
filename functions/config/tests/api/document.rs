//! The description of the API.

use expect_test::expect_file;
use serde_json::Value;

use crate::{
    schema::{check, resolved},
    world::World,
};

#[test]
fn the_description_is_the_one_in_the_documents() {
    let mut text = serde_json::to_string_pretty(&config::document()).unwrap();
    text.push('\n');
    // After a wanted change: `UPDATE_EXPECT=1 cargo test --release --workspace --test api description`.
    expect_file!["../../../../docs/openapi.json"].assert_eq(&text);
}

/// The example of a schema: its own, or that of what it is made of.
fn example<'a>(schema: &'a Value, document: &'a Value) -> Option<&'a Value> {
    let schema = resolved(document, schema);
    let parts = ["oneOf", "anyOf", "allOf"].into_iter().filter_map(|kind| schema[kind].as_array()).flatten();
    let mut parts = parts.chain(schema.pointer("/properties/items/items"));
    schema.get("example").or_else(|| parts.find_map(|part| example(part, document)))
}

#[test]
fn every_operation_is_described_whole() {
    let document = config::document();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        methods
            .as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    let mut count = 0;
    for (route, operation) in operations {
        count += 1;
        for text in ["summary", "operationId"] {
            assert!(operation[text].as_str().is_some_and(|text| !text.is_empty()), "{route}: {text}");
        }
        let summary = operation["summary"].as_str().unwrap();
        assert!(summary.ends_with('.') && summary.len() < 120, "{route}: {summary}");
        let responses = operation["responses"].as_object().unwrap();
        for status in ["400", "401", "403", "404", "429", "500", "503"] {
            assert!(responses.contains_key(status), "{route}: {status}");
        }
        let bodies = responses.iter().filter(|(status, _)| status.starts_with('2') && *status != "204");
        let bodies = bodies.map(|(_, response)| response).chain(operation.get("requestBody"));
        for body in bodies {
            let content = &body["content"]["application/json"];
            let shown = content.get("example").or_else(|| example(&content["schema"], &document));
            assert!(shown.is_some(), "{route} has no example: {body}");
        }
        let problems = responses.iter().filter(|(status, _)| status.starts_with(['4', '5']));
        for (status, response) in problems {
            let response = resolved(&document, response);
            // The gateway alone says this, but where a test is told so.
            let shown = &response["content"]["application/problem+json"]["examples"];
            assert!(shown.is_object() || status == "429", "{route} {status} has no example: {response}");
            let codes = response["description"].as_str().unwrap().split('`').skip(1).step_by(2);
            for code in codes.filter(|code| !["errors", "If-Match", "used_by"].contains(code)) {
                let mut names = shown.as_object().into_iter().flatten().map(|(name, _)| name);
                assert!(
                    names.any(|name| name.starts_with(code)),
                    "{route} {status} has no example of {code}"
                );
            }
        }
    }
    assert!(count > 20, "{count} operations");
}

#[test]
fn every_example_is_as_its_schema_says() {
    /// Finds all examples in a value; `schema` is that of what stands there, where it is known.
    fn hold(document: &Value, value: &Value, place: &str) -> usize {
        let Some(members) = value.as_object() else {
            let items = value.as_array().into_iter().flatten().enumerate();
            return items.map(|(index, item)| hold(document, item, &format!("{place}[{index}]"))).sum();
        };
        // A schema holds its own example, anything else says its schema.
        let schema = value.get("schema").unwrap_or(value);
        let several = value["examples"].as_object().into_iter().flatten();
        let several = several.map(|(_, example)| &resolved(document, example)["value"]);
        let mut count = 0;
        for example in value.get("example").into_iter().chain(several) {
            check(document, schema, example, place).unwrap();
            count += 1;
        }
        let inner =
            members.iter().filter(|(name, _)| !["example", "examples", "default"].contains(&name.as_str()));
        count + inner.map(|(name, value)| hold(document, value, &format!("{place}.{name}"))).sum::<usize>()
    }
    let document = config::document();
    let parts = ["/paths", "/components/schemas", "/components/responses", "/components/parameters"];
    let count: usize = parts.iter().map(|part| hold(&document, document.pointer(part).unwrap(), part)).sum();
    assert!(count > 100, "{count} examples");
}

#[tokio::test]
async fn the_api_tells_its_description() {
    let world = World::new();
    // Not `assert_eq`: nobody reads two such documents.
    assert!(world.get("/openapi.json").await == config::document());
}

#[tokio::test]
async fn a_body_that_may_be_null_may_be_missing_and_the_other_way_round() {
    let world = World::new();
    let run = world.get(format!("/runs/{}", world.run().await)).await;
    let path = |list: &str, of: &str, what: &str| format!("/{list}/{}/{what}", run[of].as_str().unwrap());
    let paths = [
        path("webhooks", "webhook", "preview"),
        path("webhooks", "webhook", "rotate-secret"),
        path("pushes", "push", "preview"),
        path("runs", "id", "resume"),
    ];
    for path in paths {
        let missing = world.call("POST", &path).send().await;
        assert_ne!(missing.status, 400, "{path}: {}", missing.body);
        for null in ["null", " null\n"] {
            let null = world.call("POST", &path).text(null).send().await;
            assert_eq!((null.status, null.body), (missing.status, missing.body.clone()), "{path}");
        }
        assert_eq!(world.call("POST", &path).text("null,").send().await.code(400), "invalid_json");
    }
}

#[tokio::test]
async fn failures_are_asked_for_by_every_outcome_and_reason_that_is_described() {
    let world = World::new();
    let path = format!("/runs/{}/failures", world.run().await);
    let document = config::document();
    let parameters = document["paths"]["/runs/{id}/failures"]["get"]["parameters"].as_array().unwrap();
    for name in ["outcome", "reason"] {
        let parameter = parameters.iter().find(|parameter| parameter["name"] == name).unwrap();
        let options = parameter["schema"]["enum"].as_array().unwrap();
        assert!(options.len() > 5 && !options.contains(&"delivered".into()), "{options:?}");
        for option in options {
            world.get(format!("{path}?{name}={}", option.as_str().unwrap())).await;
        }
    }
}
