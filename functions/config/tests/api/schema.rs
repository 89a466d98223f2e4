//! Values held to JSON Schema, as far as the description speaks it: a keyword that is not known here fails, so that none is passed over.

use std::collections::HashSet;

use regex_lite::Regex;
use serde_json::{Map, Value};

/// What is wrong with a value, which stands at `place`, by a schema of a whole document.
pub(crate) fn check(document: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    let inner =
        |schema: &Value, value: &Value, step: &str| check(document, schema, value, &format!("{place}{step}"));
    for (keyword, rule) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "default" | "description" | "example" => true,
            "$ref" => inner(resolved(document, schema), value, "").map(|()| true)?,
            "allOf" => list(rule).iter().try_for_each(|part| inner(part, value, "")).map(|()| true)?,
            "oneOf" => {
                let branches = list(rule).iter().map(|branch| inner(branch, value, ""));
                let (fitting, faults): (Vec<_>, Vec<_>) = branches.partition(Result::is_ok);
                let faults: Vec<String> = faults.into_iter().filter_map(Result::err).collect();
                if fitting.is_empty() {
                    return Err(format!("none of: {}", faults.join(" | ")));
                }
                fitting.len() == 1
            }
            "type" => match rule {
                Value::String(kind) => is(value, kind),
                kinds => list(kinds).iter().any(|kind| is(value, kind.as_str().unwrap())),
            },
            "enum" => list(rule).contains(value),
            "properties" => {
                for (name, member) in members(value) {
                    if let Some(schema) = rule.get(name) {
                        inner(schema, member, &format!(".{name}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                let named = schema["properties"].as_object();
                let others =
                    members(value).filter(|(name, _)| !named.is_some_and(|named| named.contains_key(*name)));
                for (name, member) in others {
                    if *rule == false {
                        return Err(format!("{place}.{name}: nothing is said of this member"));
                    }
                    inner(rule, member, &format!(".{name}"))?;
                }
                true
            }
            "unevaluatedProperties" => {
                let named = named(document, schema);
                let other = members(value).find(|(name, _)| !named.contains(name.as_str()));
                if let Some((name, _)) = other {
                    return Err(format!("{place}.{name}: nothing is said of this member"));
                }
                *rule == false
            }
            "required" => {
                !value.is_object()
                    || list(rule).iter().all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "propertyNames" => members(value)
                .try_for_each(|(name, _)| inner(rule, &name.as_str().into(), &format!(".{name}")))
                .map(|()| true)?,
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    inner(rule, item, &format!("[{index}]"))?;
                }
                true
            }
            "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap()),
            "minLength" => {
                value.as_str().is_none_or(|text| text.chars().count() as u64 >= rule.as_u64().unwrap())
            }
            "maxLength" => {
                value.as_str().is_none_or(|text| text.chars().count() as u64 <= rule.as_u64().unwrap())
            }
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
            "pattern" => {
                value.as_str().is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text))
            }
            "format" => match (rule.as_str().unwrap(), value.as_str()) {
                ("int64" | "double", _) | ("date-time", None) => true,
                ("date-time", Some(text)) => text.parse::<jiff::Timestamp>().is_ok(),
                (other, _) => panic!("{place}: the format {other} is not known here"),
            },
            other => panic!("{place}: the keyword {other} is not known here"),
        };
        if !holds {
            return Err(format!("{place}: {value} is against `{keyword}`: {rule}"));
        }
    }
    Ok(())
}

/// What a reference stands for; else the value itself.
pub(crate) fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// The names of all members that a schema, or a part that it is made of, speaks of.
fn named<'a>(document: &'a Value, schema: &'a Value) -> HashSet<&'a str> {
    let schema = resolved(document, schema);
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    own.chain(parts.flat_map(|part| named(document, part))).collect()
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

#[test]
fn what_a_schema_does_not_allow_is_told() {
    type Change = fn(&mut Value);
    let document = config::document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let told = |name: &str, change: Change| {
        let mut example = schemas[name]["example"].clone();
        change(&mut example);
        check(&document, &schemas[name], &example, "").unwrap_err()
    };
    let table: [(&str, Change, &str); 9] = [
        ("Run", |run| run["parts"][0]["more"] = 1.into(), ".parts[0].more: nothing is said of this member"),
        ("Run", |run| run["more"] = 1.into(), ".more: nothing is said of this member"),
        ("Run", |run| run["state"] = "gone".into(), ".state: \"gone\" is against `enum`"),
        ("Run", |run| run["outcomes"]["gone"] = 1.into(), ".outcomes.gone: \"gone\" is against `enum`"),
        ("Run", |run| run["created_at"] = "today".into(), ".created_at: \"today\" is against `format`"),
        ("Run", |run| run["done"] = "1".into(), ".done: \"1\" is against `type`"),
        ("Run", |run| drop(run.as_object_mut().unwrap().remove("id")), " is against `required`"),
        ("Push", |push| push["id"] = "psh_1".into(), ".id: \"psh_1\" is against `pattern`"),
        ("Grant", |grant| grant["to"] = Value::Null, "none of: "),
    ];
    for (name, change, expected) in table {
        let fault = told(name, change);
        assert!(fault.contains(expected), "{fault}");
    }
}
