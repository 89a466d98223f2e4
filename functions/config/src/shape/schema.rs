//! What the description says of a value.

use serde_json::Value;

use super::Kind;
use crate::document;

/// The component that a schema stands for by its name.
pub(super) fn component(schema: &'static Value) -> Option<(&'static str, &'static Value)> {
    let name = schema["$ref"].as_str()?.rsplit('/').next()?;
    document::schemas().get_key_value(name).map(|(name, schema)| (name.as_str(), schema))
}

pub(super) fn resolved(schema: &'static Value) -> &'static Value {
    component(schema).map_or(schema, |(_, schema)| schema)
}

pub(super) fn list(schema: &'static Value, keyword: &str) -> &'static [Value] {
    schema[keyword].as_array().map_or(&[], Vec::as_slice)
}

/// The schema itself, and the parts that it is made of.
pub(super) fn parts(schema: &'static Value) -> Vec<&'static Value> {
    let schema = resolved(schema);
    let more = list(schema, "allOf").iter().flat_map(parts);
    std::iter::once(schema).chain(more).collect()
}

/// The names of the kinds that a schema allows; none: all.
pub(super) fn kinds(schema: &'static Value) -> Vec<&'static str> {
    let schema = resolved(schema);
    let inner = list(schema, "oneOf").iter().chain(list(schema, "allOf")).flat_map(kinds);
    let own = schema["type"].as_str().into_iter();
    own.chain(list(schema, "type").iter().filter_map(Value::as_str)).chain(inner).collect()
}

pub(super) fn fits(schema: &'static Value, kind: Kind) -> bool {
    let kinds = kinds(schema);
    kinds.is_empty() || kinds.into_iter().any(|name| kind.is(name))
}

pub(super) fn options(schema: &'static Value) -> Vec<&'static str> {
    list(schema, "enum").iter().filter_map(Value::as_str).collect()
}

pub(super) fn properties(schema: &'static Value) -> Vec<(&'static str, &'static Value)> {
    let of = |part: &'static Value| part["properties"].as_object().into_iter().flatten();
    parts(schema).into_iter().flat_map(of).map(|(name, schema)| (name.as_str(), schema)).collect()
}

pub(super) fn property(schema: &'static Value, name: &str) -> Option<&'static Value> {
    properties(schema).into_iter().find(|(known, _)| *known == name).map(|(_, schema)| schema)
}

/// What the members are held to that are not named.
pub(super) fn rest(schema: &'static Value) -> Option<&'static Value> {
    schema.get("additionalProperties").filter(|rest| rest.is_object())
}

/// Whether an object has no other members than those that are named.
pub(super) fn is_closed(schema: &'static Value) -> bool {
    let schema = resolved(schema);
    ["additionalProperties", "unevaluatedProperties"].iter().any(|keyword| schema[*keyword] == false)
}

pub(super) fn required(schema: &'static Value) -> Vec<&'static str> {
    parts(schema).into_iter().flat_map(|part| list(part, "required")).filter_map(Value::as_str).collect()
}

/// The member that tells a shape from the others, and its value there.
pub(super) fn tag(shape: &'static Value) -> Option<(&'static str, &'static str)> {
    properties(shape).into_iter().find_map(|(name, schema)| match options(schema)[..] {
        [only] => Some((name, only)),
        _ => None,
    })
}

/// How deep what is described is looked through.
const DEPTH: usize = 16;

/// What stands at a path of a component, in any of its shapes.
pub(super) fn at(component: &str, path: &str) -> Vec<&'static Value> {
    fn shapes(schema: &'static Value) -> Vec<&'static Value> {
        let schema = resolved(schema);
        match list(schema, "oneOf") {
            [] => vec![schema],
            branches => branches.iter().flat_map(shapes).collect(),
        }
    }
    let whole = document::schemas().get(component).into_iter().collect();
    path.split('.').fold(whole, |schemas: Vec<&'static Value>, name| {
        let shapes = schemas.into_iter().flat_map(shapes);
        shapes.filter_map(|shape| property(shape, name)).collect()
    })
}

/// Whether anything in a schema, however deep, may have a member of this name and kind.
pub(super) fn mentions(schema: &'static Value, name: &str, kind: Kind) -> bool {
    fn within(schema: &'static Value, (name, kind): (&str, Kind), depth: usize) -> bool {
        let schema = resolved(schema);
        let members = properties(schema);
        let inner = members.iter().map(|(_, schema)| *schema);
        let inner = inner.chain(list(schema, "oneOf")).chain(schema.get("items"));
        members.iter().any(|(known, _)| *known == name)
            || rest(schema).is_some_and(|rest| fits(rest, kind))
            || depth > 0 && inner.into_iter().any(|schema| within(schema, (name, kind), depth - 1))
    }
    within(schema, (name, kind), DEPTH)
}
