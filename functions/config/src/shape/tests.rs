//! What is told of bodies that are not as they are described.
#![expect(clippy::needless_raw_string_hashes, reason = "they are written by `expect-test`")]

use std::{collections::BTreeSet, fs, path::Path as File};

use expect_test::{Expect, expect};

use super::*;

fn told(component: &str, text: &str, expected: &Expect) {
    let line = |fault: Fault| {
        let place = format!("{}:{}", fault.line.unwrap_or_default(), fault.column.unwrap_or_default());
        let hint = fault.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{place} {}: {}{hint}\n", fault.field, fault.detail)
    };
    expected.assert_eq(&faults(component, text).into_iter().map(line).collect::<String>());
}

#[test]
fn all_faults_are_told_at_once_with_their_places() {
    let text = r#"{
  "nmae": "Coupons",
  "description": 7,
  "content": {"url": ["https://crm.example.com"], "method": "GTE", "headers": [{"name": "x-shop"}, "x"],
    "parameters": [{"name": "a-b", "type": "text", "required": "yes"}], "deadline_seconds": -1},
  "id_types": ["mobile", "EMAIL"],
  "authentication": {"kind": "header", "secret": 12345, "user": null},
  "limits": [null, null]
}"#;
    told(
        "WebhookInput",
        text,
        &expect![[r#"
        1:1 name: this field is missing
        2:11 nmae: this field is unknown; there are `authentication`, `content`, `description`, `id_types`, `limits`, `name`, `receipts`, `retry`, `signing` (did you mean `name`?)
        3:18 description: this must be a text, not a number
        4:14 content.body: this field is missing
        4:22 content.url: this must be a text, not an array
        4:61 content.method: this must be one of `POST`, `PUT`, `PATCH`, `GET`, `DELETE` (did you mean `GET`?)
        4:80 content.headers[0].value: this field is missing
        4:100 content.headers[1]: this must be an object, not a text
        5:29 content.parameters[0].name: must be 1 to 64 of a-z, A-Z, 0-9 and `_`, and begin with a letter or `_`
        5:64 content.parameters[0].required: this must be `true` or `false`, not a text
        5:93 content.deadline_seconds: this must be a whole number from 0 to 4294967295
        6:16 id_types[0]: must be 1 to 32 of A-Z, 0-9 and `_`, and begin with a letter
        7:21 authentication.name: this field is missing
        7:50 authentication.secret: this must be a text or `null`, not a number
        7:65 authentication.user: this field is unknown; there are `kind`, `name`, `secret`
        8:13 limits: this must be an object, not an array
    "#]],
    );
}

#[test]
fn an_object_is_told_from_others_by_a_member() {
    let table = [
        ("AuthenticationInput", r#"{"secret":"a"}"#),
        ("AuthenticationInput", r#"{"kind":"baerer"}"#),
        ("AuthenticationInput", r#"{"kind":7}"#),
        ("AuthenticationInput", r#"["bearer", "a"]"#),
        ("AuthenticationInput", r#"{"kind":"none","secret":"a"}"#),
        ("Grantee", "{}"),
        ("Grantee", r#"{"role":"a","person":"b"}"#),
        ("Grantee", "null"),
        ("ValueInput", r#"{"kind":"constant","type":"character","txet":"B10"}"#),
        ("WhenEmpty", r#""blanks""#),
        ("WhenEmpty", r#"{"default":null}"#),
        ("GrantInput", r#"{"to":{"role":"a"},"until":"tomorrow"}"#),
    ];
    let expected = [
        expect![[r#"
            1:1 kind: this field is missing; it must be one of `none`, `bearer`, `header`, `basic`, `oauth2`
        "#]],
        expect![[r#"
            1:9 kind: this must be one of `none`, `bearer`, `header`, `basic`, `oauth2` (did you mean `bearer`?)
        "#]],
        expect![[r#"
            1:9 kind: this must be one of `none`, `bearer`, `header`, `basic`, `oauth2`
        "#]],
        expect![[r#"
            1:1 : this must be an object, not an array
        "#]],
        expect![[r#"
            1:25 secret: this field is unknown; there are `kind`
        "#]],
        expect![[r#"
            1:1 : this needs one of `person`, `role`
        "#]],
        expect![[r#"
            1:9 role: this field is unknown; there are `person`
        "#]],
        expect![[r#"
            1:1 : this must be an object, not `null`
        "#]],
        expect![[r#"
            1:1 text: this field is missing
            1:46 txet: this field is unknown; there are `text`, `type`, `kind` (did you mean `text`?)
        "#]],
        expect![[r#"
            1:1 : this must be one of `blank`, `skip_user` (did you mean `blank`?)
        "#]],
        expect![[r#"
            1:12 default: this must be a text, not `null`
        "#]],
        expect![[r#"
            1:28 until: this must be a time as in `2027-01-15T08:00:00Z` (RFC 3339)
        "#]],
    ];
    for ((component, text), expected) in table.into_iter().zip(expected) {
        told(component, text, &expected);
    }
}

#[test]
fn what_fits_has_no_fault() {
    for (component, schema) in document::schemas() {
        if let Some(example) = schema.get("example") {
            told(component, &example.to_string(), &expect![[""]]);
        }
    }
}

#[test]
fn the_faults_that_are_told_are_limited() {
    let text = format!("[{}]", vec!["7"; limits::FAULTS + 1].join(","));
    let of_ids = |items: &str| faults("Sources", &format!("{{\"items\":{items}}}")).len();
    assert_eq!((of_ids(&text), of_ids("[7]")), (limits::FAULTS, 1));
}

/// Whether a component has a member at this path, in one of its shapes.
pub(crate) fn knows(component: &str, path: &str) -> bool {
    !schema::at(component, path).is_empty()
}

/// The names of all components that a part of the description refers to, and of those that these refer to.
fn refer(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(|name| name.as_str()?.rsplit('/').next())
                && names.insert(name.to_owned())
            {
                refer(document::schemas().get(name).unwrap_or(&Value::Null), names);
            }
            members.values().for_each(|value| refer(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| refer(item, names)),
        _ => {}
    }
}

/// Of what stands in no component, or is a text by a rule that nobody knows here, anything would be taken.
#[test]
fn every_body_is_held_to_components_that_are_there_and_to_rules_that_are_known() {
    let document = crate::document();
    let operations = document["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, path)| path.as_object().into_iter().flatten().map(|(_, operation)| operation));
    let bodies: Vec<&Value> = operations.filter_map(|operation| operation.get("requestBody")).collect();
    assert!(bodies.len() > 15, "{} bodies", bodies.len());
    let mut names = BTreeSet::new();
    for body in bodies {
        let schema = &body["content"]["application/json"]["schema"];
        let branches = schema["oneOf"].as_array().map_or(std::slice::from_ref(schema), Vec::as_slice);
        let fits = |branch: &Value| branch["$ref"].is_string() || branch["type"] == "null";
        assert!(
            branches.iter().all(fits) && branches.iter().any(|branch| branch["$ref"].is_string()),
            "{body}"
        );
        refer(schema, &mut names);
    }
    let mut rules = 0;
    for name in names {
        let schema =
            document::schemas().get(&name).unwrap_or_else(|| panic!("there is no component `{name}`"));
        if schema.get("pattern").is_some() {
            rules += 1;
            // No rule takes this.
            assert!(broken_rule(schema, Some(&name), "\0").is_some(), "the rule of `{name}` is not known");
        }
    }
    assert!(rules > 5, "{rules} rules");
}

#[test]
fn every_type_that_a_body_is_read_as_is_a_component() {
    fn sources(folder: &File, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, text);
            } else {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    sources(&File::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    let read = ["Input", "Optional", "Draft"].map(|extractor| {
        let start = format!(": {extractor}<");
        let types = text.split(&start).skip(1).filter_map(|rest| rest.split('>').next());
        types.map(str::to_owned).collect::<BTreeSet<_>>()
    });
    assert!(read.iter().all(|types| types.len() > 3), "{read:?}");
    for name in read.iter().flatten() {
        assert!(document::schemas().contains_key(name), "`{name}` is no component");
    }
}
