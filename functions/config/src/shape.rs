//! The shape of a body, held to the description of the API: whatever is unknown, missing or of another type is told at once, each fault with
//! its place. `serde`, which reads the body behind it, stops at the first one, and takes an array for an object's members in their order.

mod schema;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    str::FromStr,
};

use fanhook_core::{
    fault::{Fault, nearest},
    id::{GrantId, IdTypeCode, Name, ParameterSourceId, PushId, Qaid, SourceName, UploadId, WebhookId},
    identity::Region,
    limits,
};
use serde_json::{Map, Value, value::RawValue};

use self::schema::{
    component, fits, is_closed, kinds, options, properties, property, required, resolved, rest, tag,
};
use crate::document;

/// The kinds of JSON values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    fn of(value: &RawValue) -> Self {
        match value.get().as_bytes().first() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::String,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }

    /// Whether JSON Schema means this kind by `name`.
    fn is(self, name: &str) -> bool {
        match self {
            Self::Null => name == "null",
            Self::Boolean => name == "boolean",
            Self::Number => name == "number" || name == "integer",
            Self::String => name == "string",
            Self::Array => name == "array",
            Self::Object => name == "object",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Null => "`null`",
            Self::Boolean => "a truth value",
            Self::Number => "a number",
            Self::String => "a text",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// What JSON Schema calls a kind, in words.
fn words(name: &str) -> &'static str {
    match name {
        "null" => "`null`",
        "boolean" => "`true` or `false`",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a text",
        "array" => "an array",
        _ => "an object",
    }
}

/// The way to a value, from the body's root.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Self::Root, name) => f.write_str(name),
            Self::Member(whole, name) => write!(f, "{whole}.{name}"),
            Self::Item(whole, index) => write!(f, "{whole}[{index}]"),
        }
    }
}

/// A body beside its description.
#[derive(Default)]
pub(crate) struct Shape {
    /// What does not fit, as much as is told: [`limits::FAULTS`].
    pub(crate) faults: Vec<Fault>,
    /// What is left without that; none where it can't do without.
    pub(crate) rest: Option<Value>,
    /// The paths of what is left out of it and has a place in the description.
    pub(crate) lost: Vec<String>,
    /// What is left out of it and has none.
    pub(crate) unknown: Vec<Unknown>,
}

/// A member that the description does not know.
pub(crate) struct Unknown {
    /// The path of the object that it stands in.
    pub(crate) of: String,
    name: String,
    kind: Kind,
}

impl Unknown {
    /// Whether by its name it may belong to a path of a component, or deeper.
    pub(crate) fn may_belong(&self, component: &str, path: &str) -> bool {
        let is_last = path.rsplit('.').next() == Some(&self.name);
        is_last
            || schema::at(component, path).into_iter().any(|at| schema::mentions(at, &self.name, self.kind))
    }
}

/// All faults of `text`, which is JSON, beside the component of the description by this name; as many as [`limits::FAULTS`].
pub(crate) fn faults(component: &str, text: &str) -> Vec<Fault> {
    walk(component, text, false).faults
}

/// The same, with what is left of it.
pub(crate) fn hold(component: &str, text: &str) -> Shape {
    walk(component, text, true)
}

fn walk(component: &str, text: &str, keeps: bool) -> Shape {
    let mut walk = Walk { text, keeps, shape: Shape::default() };
    if let (Some(schema), Ok(value)) = (document::schemas().get(component), serde_json::from_str(text)) {
        walk.shape.rest = walk.check(schema, Some(component), value, Path::Root);
    }
    walk.shape.faults.sort_by_key(|fault| (fault.line, fault.column));
    walk.shape
}

struct Walk<'a> {
    text: &'a str,
    /// Whether anybody asks what is left: most bodies are right, and then it is not built.
    keeps: bool,
    shape: Shape,
}

/// What is left of a value; none where nothing of it can be used.
type Rest = Option<Value>;

impl<'a> Walk<'a> {
    /// Notes a fault, by which nothing of its value can be used.
    fn fault(
        &mut self,
        path: Path<'_>,
        value: &RawValue,
        detail: impl Into<String>,
        hint: Option<&str>,
    ) -> Rest {
        if !self.is_full() {
            let offset = value.get().as_ptr().addr() - self.text.as_ptr().addr();
            let fault = Fault::new(path.to_string(), detail).at(self.text, offset);
            self.shape.faults.push(match hint {
                Some(hint) => fault.hint(format!("did you mean `{hint}`?")),
                None => fault,
            });
        }
        None
    }

    /// Whether as many faults are noted as are told.
    fn is_full(&self) -> bool {
        self.shape.faults.len() == limits::FAULTS
    }

    /// What is left of a value in which nothing is wrong.
    fn whole(&self, value: &RawValue) -> Rest {
        if self.keeps { serde_json::from_str(value.get()).ok() } else { Some(Value::Null) }
    }

    fn lose(&mut self, path: Path<'_>) {
        if self.keeps && !self.is_full() {
            self.shape.lost.push(path.to_string());
        }
    }

    /// Holds a value to a schema; `name` is that of the component that it is, if it is one.
    fn check(
        &mut self,
        schema: &'static Value,
        name: Option<&str>,
        value: &'a RawValue,
        path: Path<'_>,
    ) -> Rest {
        if let Some((name, schema)) = component(schema) {
            return self.check(schema, Some(name), value, path);
        }
        if let Some(branches) = schema["oneOf"].as_array() {
            return self.one_of(branches, value, path);
        }
        let kind = Kind::of(value);
        if !fits(schema, kind) {
            return self.other_kind(&[schema], value, path);
        }
        match kind {
            Kind::Object => self.object(schema, value, path),
            Kind::Array => self.array(schema, value, path),
            Kind::String => self.string(schema, name, value, path),
            Kind::Number => self.number(schema, value, path),
            Kind::Boolean | Kind::Null => self.whole(value),
        }
    }

    fn other_kind(&mut self, schemas: &[&'static Value], value: &RawValue, path: Path<'_>) -> Rest {
        let mut expected: Vec<&str> = schemas.iter().flat_map(|schema| kinds(schema)).map(words).collect();
        expected.dedup();
        let detail = format!("this must be {}, not {}", expected.join(" or "), Kind::of(value).words());
        self.fault(path, value, detail, None)
    }

    fn one_of(&mut self, branches: &'static [Value], value: &'a RawValue, path: Path<'_>) -> Rest {
        let kind = Kind::of(value);
        let fitting: Vec<&'static Value> = branches.iter().filter(|branch| fits(branch, kind)).collect();
        match (kind, &fitting[..]) {
            (_, []) => self.other_kind(&branches.iter().collect::<Vec<_>>(), value, path),
            (_, [one]) => self.check(one, None, value, path),
            (Kind::Object, several) => self.told(several, value, path),
            (_, several) => {
                let options = several.iter().flat_map(|branch| options(resolved(branch))).collect();
                self.option(options, value, path)
            }
        }
    }

    /// An object of one of several shapes, told by the value of a member, or by which member there is.
    fn told(&mut self, shapes: &[&'static Value], value: &'a RawValue, path: Path<'_>) -> Rest {
        let members = members(value);
        let tags: Option<Vec<_>> = shapes.iter().map(|shape| tag(shape)).collect();
        if let Some(tags) = tags.filter(|tags| tags.windows(2).all(|pair| pair[0].0 == pair[1].0)) {
            let name = tags[0].0;
            let options: Vec<&str> = tags.into_iter().map(|(_, option)| option).collect();
            let path_of_tag = Path::Member(&path, name);
            let Some(&given) = members.get(name) else {
                let detail = format!("this field is missing; it must be one of {}", quoted(&options));
                return self.fault(path_of_tag, value, detail, None);
            };
            return match options.iter().position(|option| *option == text(given)) {
                Some(at) => self.check(shapes[at], None, value, path),
                None => self.option(options, given, path_of_tag),
            };
        }
        let first = |shape: &'static Value| required(shape).into_iter().next().unwrap_or_default();
        if let Some(shape) = shapes.iter().find(|shape| members.contains_key(first(shape))) {
            self.check(shape, None, value, path)
        } else {
            let names: Vec<_> = shapes.iter().map(|shape| first(shape)).collect();
            self.fault(path, value, format!("this needs one of {}", quoted(&names)), None)
        }
    }

    fn object(&mut self, schema: &'static Value, value: &'a RawValue, path: Path<'_>) -> Rest {
        let members = members(value);
        let mut rest = Map::new();
        for (name, &member) in &members {
            let place = Path::Member(&path, name);
            let known = property(schema, name);
            if known.is_none()
                && let Some(rule) = broken_name(schema, name)
            {
                self.fault(place, member, rule, None);
                self.lose(place);
                continue;
            }
            let kept = match known.or_else(|| self::rest(schema)) {
                Some(schema) => self.check(schema, None, member, place),
                None if is_closed(schema) => {
                    self.unknown(schema, name, member, path);
                    continue;
                }
                None => self.whole(member),
            };
            match kept {
                Some(kept) => drop(rest.insert(name.clone(), kept)),
                None => self.lose(place),
            }
        }
        let required = required(schema);
        for name in required.iter().filter(|name| !members.contains_key(**name)) {
            self.fault(Path::Member(&path, name), value, "this field is missing", None);
        }
        required.iter().all(|name| rest.contains_key(*name)).then_some(Value::Object(rest))
    }

    fn unknown(&mut self, schema: &'static Value, name: &str, member: &RawValue, of: Path<'_>) {
        if !self.is_full() {
            self.shape.unknown.push(Unknown {
                of: of.to_string(),
                name: name.to_owned(),
                kind: Kind::of(member),
            });
        }
        let known: Vec<&str> = properties(schema).into_iter().map(|(name, _)| name).collect();
        let detail = format!("this field is unknown; there are {}", quoted(&known));
        self.fault(Path::Member(&of, name), member, detail, nearest(name, known));
    }

    fn array(&mut self, schema: &'static Value, value: &'a RawValue, path: Path<'_>) -> Rest {
        let Some(of_item) = schema.get("items") else { return self.whole(value) };
        let items: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
        let mut rest = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let place = Path::Item(&path, index);
            match self.check(of_item, None, item, place) {
                Some(kept) => rest.push(kept),
                None => self.lose(place),
            }
        }
        Some(Value::Array(rest))
    }

    fn string(
        &mut self,
        schema: &'static Value,
        name: Option<&str>,
        value: &RawValue,
        path: Path<'_>,
    ) -> Rest {
        let options = options(schema);
        if !options.is_empty() {
            return self.option(options, value, path);
        }
        match broken_rule(schema, name, &text(value)) {
            Some(rule) => self.fault(path, value, rule, None),
            None => self.whole(value),
        }
    }

    fn option(&mut self, options: Vec<&'static str>, value: &RawValue, path: Path<'_>) -> Rest {
        let given = text(value);
        if options.contains(&given.as_str()) {
            return self.whole(value);
        }
        let detail = match &options[..] {
            [only] => format!("this must be `{only}`"),
            several => format!("this must be one of {}", quoted(several)),
        };
        self.fault(path, value, detail, nearest(&given, options))
    }

    /// What a type of whole numbers can hold is held to here; narrower limits are the checks' of each object.
    fn number(&mut self, schema: &'static Value, value: &RawValue, path: Path<'_>) -> Rest {
        if !kinds(schema).contains(&"integer") {
            return self.whole(value);
        }
        let most = schema["maximum"].as_u64().map_or(u64::MAX, |most| most.max(u32::MAX.into()));
        if value.get().parse::<u64>().is_ok_and(|number| number <= most) {
            return self.whole(value);
        }
        self.fault(path, value, format!("this must be a whole number from 0 to {most}"), None)
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn members(value: &RawValue) -> BTreeMap<String, &RawValue> {
    serde_json::from_str(value.get()).unwrap_or_default()
}

fn text(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_default()
}

/// The rule that a name breaks which is none of this map's.
fn broken_name(map: &'static Value, name: &str) -> Option<String> {
    // The names' schema stands there itself, not by the name of its component.
    let pattern = map.get("propertyNames")?.get("pattern");
    let (component, schema) = document::schemas()
        .iter()
        .find(|(_, schema)| pattern.is_some() && schema.get("pattern") == pattern)?;
    broken_rule(schema, Some(component), name)
}

/// The rule that a text breaks which is no text of this component, or no time.
fn broken_rule(schema: &Value, name: Option<&str>, text: &str) -> Option<String> {
    fn of<T: FromStr<Err: Display>>(text: &str) -> Option<String> {
        text.parse::<T>().err().map(|error| error.to_string())
    }
    match name {
        Some("GrantId") => of::<GrantId>(text),
        Some("IdTypeCode") => of::<IdTypeCode>(text),
        Some("Name") => of::<Name>(text),
        Some("ParameterSourceId") => of::<ParameterSourceId>(text),
        Some("PushId") => of::<PushId>(text),
        Some("Qaid") => of::<Qaid>(text),
        Some("Region") => of::<Region>(text),
        Some("SourceName") => of::<SourceName>(text),
        Some("UploadId") => of::<UploadId>(text),
        Some("WebhookId") => of::<WebhookId>(text),
        _ if schema["format"] == "date-time" => {
            let rule = "this must be a time as in `2027-01-15T08:00:00Z` (RFC 3339)";
            text.parse::<jiff::Timestamp>().err().map(|_| rule.to_owned())
        }
        _ => None,
    }
}
