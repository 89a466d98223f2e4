//! The shape of a body, held to the description of the API: whatever is unknown, missing or of another type is told at once, each fault with
//! its place. `serde`, which reads the body behind it, stops at the first one, and takes an array for an object's members in their order.

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
use serde_json::{Value, value::RawValue};

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

/// All faults of `text`, which is JSON, beside the component of the description by this name; as many as [`limits::FAULTS`].
pub(crate) fn faults(component: &str, text: &str) -> Vec<Fault> {
    let mut shape = Shape { text, faults: Vec::new() };
    if let (Some(schema), Ok(value)) = (document::schemas().get(component), serde_json::from_str(text)) {
        shape.check(schema, Some(component), value, Path::Root);
    }
    shape.faults.sort_by_key(|fault| (fault.line, fault.column));
    shape.faults
}

struct Shape<'a> {
    text: &'a str,
    faults: Vec<Fault>,
}

impl<'a> Shape<'a> {
    fn fault(&mut self, path: impl Display, value: &RawValue, detail: impl Into<String>, hint: Option<&str>) {
        if self.faults.len() == limits::FAULTS {
            return;
        }
        let offset = value.get().as_ptr().addr() - self.text.as_ptr().addr();
        let fault = Fault::new(path.to_string(), detail).at(self.text, offset);
        self.faults.push(match hint {
            Some(hint) => fault.hint(format!("did you mean `{hint}`?")),
            None => fault,
        });
    }

    /// Holds a value to a schema; `name` is that of the component that it is, if it is one.
    fn check(&mut self, schema: &'static Value, name: Option<&str>, value: &'a RawValue, path: Path<'_>) {
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
            Kind::Array => {
                let Some(of_item) = schema.get("items") else { return };
                let items: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
                for (index, item) in items.into_iter().enumerate() {
                    self.check(of_item, None, item, Path::Item(&path, index));
                }
            }
            Kind::String => self.string(schema, name, value, path),
            Kind::Number => self.number(schema, value, path),
            Kind::Boolean | Kind::Null => {}
        }
    }

    fn other_kind(&mut self, schemas: &[&'static Value], value: &RawValue, path: Path<'_>) {
        let mut expected: Vec<&str> = schemas.iter().flat_map(|schema| kinds(schema)).map(words).collect();
        expected.dedup();
        let detail = format!("this must be {}, not {}", expected.join(" or "), Kind::of(value).words());
        self.fault(path, value, detail, None);
    }

    fn one_of(&mut self, branches: &'static [Value], value: &'a RawValue, path: Path<'_>) {
        let kind = Kind::of(value);
        let fitting: Vec<&'static Value> = branches.iter().filter(|branch| fits(branch, kind)).collect();
        match (kind, &fitting[..]) {
            (_, []) => self.other_kind(&branches.iter().collect::<Vec<_>>(), value, path),
            (_, [one]) => self.check(one, None, value, path),
            (Kind::Object, several) => self.told(several, value, path),
            (_, several) => {
                let options = several.iter().flat_map(|branch| options(resolved(branch))).collect();
                self.option(options, value, path);
            }
        }
    }

    /// An object of one of several shapes, told by the value of a member, or by which member there is.
    fn told(&mut self, shapes: &[&'static Value], value: &'a RawValue, path: Path<'_>) {
        let members = members(value);
        let tags: Option<Vec<_>> = shapes.iter().map(|shape| tag(shape)).collect();
        if let Some(tags) = tags.filter(|tags| tags.windows(2).all(|pair| pair[0].0 == pair[1].0)) {
            let name = tags[0].0;
            let options: Vec<&str> = tags.into_iter().map(|(_, option)| option).collect();
            let path_of_tag = Path::Member(&path, name);
            match members.get(name) {
                None => {
                    let detail = format!("this field is missing; it must be one of {}", quoted(&options));
                    self.fault(path_of_tag, value, detail, None);
                }
                Some(&given) => match options.iter().position(|option| *option == text(given)) {
                    Some(at) => self.check(shapes[at], None, value, path),
                    None => self.option(options, given, path_of_tag),
                },
            }
            return;
        }
        let first = |shape: &'static Value| required(shape).into_iter().next().unwrap_or_default();
        if let Some(shape) = shapes.iter().find(|shape| members.contains_key(first(shape))) {
            self.check(shape, None, value, path);
        } else {
            let names: Vec<_> = shapes.iter().map(|shape| first(shape)).collect();
            self.fault(path, value, format!("this needs one of {}", quoted(&names)), None);
        }
    }

    fn object(&mut self, schema: &'static Value, value: &'a RawValue, path: Path<'_>) {
        let members = members(value);
        for (name, &member) in &members {
            let path = Path::Member(&path, name);
            if let Some(schema) = property(schema, name).or_else(|| rest(schema)) {
                self.check(schema, None, member, path);
            } else if is_closed(schema) {
                let known: Vec<&str> = properties(schema).into_iter().map(|(name, _)| name).collect();
                let detail = format!("this field is unknown; there are {}", quoted(&known));
                self.fault(path, member, detail, nearest(name, known));
            }
        }
        for name in required(schema) {
            if !members.contains_key(name) {
                self.missing(name, value, path);
            }
        }
    }

    fn missing(&mut self, name: &str, whole: &RawValue, path: Path<'_>) {
        self.fault(Path::Member(&path, name), whole, "this field is missing", None);
    }

    fn string(&mut self, schema: &'static Value, name: Option<&str>, value: &RawValue, path: Path<'_>) {
        let options = options(schema);
        if !options.is_empty() {
            return self.option(options, value, path);
        }
        if let Some(rule) = broken_rule(schema, name, &text(value)) {
            self.fault(path, value, rule, None);
        }
    }

    fn option(&mut self, options: Vec<&'static str>, value: &RawValue, path: Path<'_>) {
        let given = text(value);
        if options.contains(&given.as_str()) {
            return;
        }
        let detail = match &options[..] {
            [only] => format!("this must be `{only}`"),
            several => format!("this must be one of {}", quoted(several)),
        };
        self.fault(path, value, detail, nearest(&given, options));
    }

    /// What a type of whole numbers can hold is held to here; narrower limits are the checks' of each object.
    fn number(&mut self, schema: &'static Value, value: &RawValue, path: Path<'_>) {
        if !kinds(schema).contains(&"integer") {
            return;
        }
        let most = schema["maximum"].as_u64().map_or(u64::MAX, |most| most.max(u32::MAX.into()));
        if !value.get().parse::<u64>().is_ok_and(|number| number <= most) {
            self.fault(path, value, format!("this must be a whole number from 0 to {most}"), None);
        }
    }
}

/// The component that a schema stands for by its name.
fn component(schema: &'static Value) -> Option<(&'static str, &'static Value)> {
    let name = schema["$ref"].as_str()?.rsplit('/').next()?;
    document::schemas().get_key_value(name).map(|(name, schema)| (name.as_str(), schema))
}

fn resolved(schema: &'static Value) -> &'static Value {
    component(schema).map_or(schema, |(_, schema)| schema)
}

fn list(schema: &'static Value, keyword: &str) -> &'static [Value] {
    schema[keyword].as_array().map_or(&[], Vec::as_slice)
}

/// The schema itself, and the parts that it is made of.
fn parts(schema: &'static Value) -> Vec<&'static Value> {
    let schema = resolved(schema);
    let more = list(schema, "allOf").iter().flat_map(parts);
    std::iter::once(schema).chain(more).collect()
}

/// The names of the kinds that a schema allows; none: all.
fn kinds(schema: &'static Value) -> Vec<&'static str> {
    let schema = resolved(schema);
    let inner = list(schema, "oneOf").iter().chain(list(schema, "allOf")).flat_map(kinds);
    let own = schema["type"].as_str().into_iter();
    own.chain(list(schema, "type").iter().filter_map(Value::as_str)).chain(inner).collect()
}

fn fits(schema: &'static Value, kind: Kind) -> bool {
    let kinds = kinds(schema);
    kinds.is_empty() || kinds.into_iter().any(|name| kind.is(name))
}

fn options(schema: &'static Value) -> Vec<&'static str> {
    list(schema, "enum").iter().filter_map(Value::as_str).collect()
}

fn properties(schema: &'static Value) -> Vec<(&'static str, &'static Value)> {
    let of = |part: &'static Value| part["properties"].as_object().into_iter().flatten();
    parts(schema).into_iter().flat_map(of).map(|(name, schema)| (name.as_str(), schema)).collect()
}

fn property(schema: &'static Value, name: &str) -> Option<&'static Value> {
    properties(schema).into_iter().find(|(known, _)| *known == name).map(|(_, schema)| schema)
}

/// What the members are held to that are not named.
fn rest(schema: &'static Value) -> Option<&'static Value> {
    schema.get("additionalProperties").filter(|rest| rest.is_object())
}

/// Whether an object has no other members than those that are named.
fn is_closed(schema: &'static Value) -> bool {
    let schema = resolved(schema);
    ["additionalProperties", "unevaluatedProperties"].iter().any(|keyword| schema[*keyword] == false)
}

fn required(schema: &'static Value) -> Vec<&'static str> {
    parts(schema).into_iter().flat_map(|part| list(part, "required")).filter_map(Value::as_str).collect()
}

/// The member that tells a shape from the others, and its value there.
fn tag(shape: &'static Value) -> Option<(&'static str, &'static str)> {
    properties(shape).into_iter().find_map(|(name, schema)| match options(schema)[..] {
        [only] => Some((name, only)),
        _ => None,
    })
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

#[cfg(test)]
#[expect(clippy::needless_raw_string_hashes, reason = "they are written by `expect-test`")]
mod tests {
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
}
