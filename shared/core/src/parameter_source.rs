//! A parameter source: where a parameter of type `call` takes its value from, for all webhooks of a workspace that name it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    fault::Fault,
    id::{ParameterSourceId, WorkspaceId},
    limits, pointer,
    push::PushContent,
    template::{Heading, Program, check_value},
    webhook::{
        Body, Content, Header, Method, ParameterType, Rules, check_description, check_header, check_name,
    },
};

/// A stored parameter source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterSource {
    /// Its identifier.
    pub id: ParameterSourceId,
    /// The workspace that owns it.
    pub workspace: WorkspaceId,
    /// Counts the changes, from 1.
    pub version: u32,
    /// Unique in the workspace, 1 to 100 characters.
    pub name: String,
    /// Free text, up to 1,000 characters.
    #[serde(default)]
    pub description: String,
    /// What gives the value.
    pub value: SourceValue,
}

/// What gives a parameter source's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceValue {
    /// It is always the same.
    Constant(Constant),
    /// An HTTP API is asked for it when a run starts.
    Interface(Interface),
}

/// A value that is always the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// Its type, any but `call`.
    #[serde(rename = "type")]
    pub kind: ParameterType,
    /// The value, under the rule of its type.
    pub text: String,
}

/// An HTTP API that gives a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Full address, without placeholders.
    pub url: String,
    /// HTTP method.
    #[serde(default)]
    pub method: InterfaceMethod,
    /// Headers, without placeholders.
    #[serde(default)]
    pub headers: Vec<Header>,
    /// The JSON text of a `POST`; in its strings `{{` and `}}` are literal braces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// A header that holds a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_header: Option<SecretHeader>,
    /// JSON pointer (RFC 6901) to the value in the answer.
    pub pointer: String,
}

/// HTTP method of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are the methods' own")]
pub enum InterfaceMethod {
    #[default]
    Get,
    Post,
}

/// A header that holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretHeader {
    /// Its name.
    pub name: String,
    /// KMS ciphertext of its value, base64; encryption context: workspace, parameter source, field.
    pub ciphertext: String,
}

impl ParameterSource {
    /// All faults of a parameter source, each under its field's path.
    pub fn check(&self, rules: Rules<'_>) -> Vec<Fault> {
        let mut faults = Vec::new();
        check_name("name", &self.name, &mut faults);
        check_description(&self.description, &mut faults);
        let own = match &self.value {
            SourceValue::Constant(constant) => constant.check(),
            SourceValue::Interface(interface) => interface.check(rules),
        };
        faults.extend(own.into_iter().map(|fault| fault.within("value")));
        faults
    }
}

impl Constant {
    fn check(&self) -> Vec<Fault> {
        if self.kind == ParameterType::Call {
            return vec![Fault::new("type", "a constant is no `call`")];
        }
        let empty = self.text.is_empty().then(|| Fault::new("text", "a constant is not empty"));
        let long = (self.text.len() > limits::TEXT)
            .then(|| Fault::new("text", format!("a value has at most {} bytes", limits::TEXT)));
        let fault = || check_value(&self.text, self.kind).map(|fault| fault.within("text"));
        empty.or(long).or_else(fault).into_iter().collect()
    }
}

impl Interface {
    /// Scheme, host and port that are asked.
    pub fn origin(&self) -> Option<String> {
        self.content().origin()
    }

    /// What is asked, as a webhook's content.
    pub fn content(&self) -> Content {
        let body = self.body.clone();
        Content {
            url: self.url.clone(),
            method: match self.method {
                InterfaceMethod::Get => Method::Get,
                InterfaceMethod::Post => Method::Post,
            },
            headers: self.headers.clone(),
            parameters: Vec::new(),
            body: body.map_or(Body::None {}, |template| Body::Json { template, item: None }),
            batch_size: None,
            success: None,
            split_refused: false,
            carry_environment: false,
            deadline_seconds: 10,
        }
    }

    fn check(&self, rules: Rules<'_>) -> Vec<Fault> {
        let content = self.content();
        let mut faults: Vec<Fault> = content.check(rules).into_iter().map(own).collect();
        if faults.is_empty()
            && !Program::compile(&content, &PushContent::default(), Heading::default())
                .is_ok_and(|program| program.is_constant())
        {
            let fault = Fault::new("", "an interface is asked once for all users: it takes no placeholders");
            faults.push(fault.hint("write `{{` and `}}` for literal braces"));
        }
        if let Some(header) = &self.secret_header {
            let plain = Header { name: header.name.clone(), value: String::new() };
            let found = check_header(&plain, &content.body);
            faults.extend(found.into_iter().map(|fault| fault.within("secret_header")));
            if self.headers.iter().any(|other| other.name.eq_ignore_ascii_case(&header.name)) {
                let detail = format!("`{}` is one of the headers already", header.name);
                faults.push(Fault::new("secret_header.name", detail));
            }
        }
        pointer::check("pointer", &self.pointer, &mut faults);
        faults
    }
}

/// A fault of the content, told of the interface's own field.
fn own(fault: Fault) -> Fault {
    match fault.field.strip_prefix("body.template") {
        Some(rest) => Fault { field: format!("body{rest}"), ..fault },
        None => fault,
    }
}

/// Why an answer gives no value; nothing of the answer is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoValue {
    /// It is no JSON.
    #[error("the answer is not JSON as it is read here")]
    NotJson,
    /// Nothing stands at the pointer.
    #[error("nothing stands at the pointer in the answer")]
    Missing,
    /// What stands there is no text, number or truth value.
    #[error("what stands at the pointer is no text, no number, and neither `true` nor `false`")]
    NoScalar,
    /// It is too long.
    #[error("the value at the pointer is longer than {} bytes", limits::FETCHED)]
    TooLong,
}

/// The value at a pointer of an answer: a number as it is written there, never through a float.
pub fn value_at(answer: &[u8], pointer: &str) -> Result<String, NoValue> {
    let text = std::str::from_utf8(answer).map_err(|_| NoValue::NotJson)?;
    let mut at: &RawValue = serde_json::from_str(text).map_err(|_| NoValue::NotJson)?;
    for token in pointer::tokens(pointer).ok_or(NoValue::Missing)? {
        at = step(at, &token)?;
    }
    let found = at.get();
    let value = match found.as_bytes().first() {
        Some(b'"') => serde_json::from_str(found).map_err(|_| NoValue::NotJson)?,
        Some(b'{' | b'[' | b'n') => return Err(NoValue::NoScalar),
        _ => found.to_owned(),
    };
    if value.len() > limits::FETCHED { Err(NoValue::TooLong) } else { Ok(value) }
}

fn step<'a>(at: &'a RawValue, token: &str) -> Result<&'a RawValue, NoValue> {
    match at.get().as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> =
                serde_json::from_str(at.get()).map_err(|_| NoValue::NotJson)?;
            members.get(token).copied().ok_or(NoValue::Missing)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(at.get()).map_err(|_| NoValue::NotJson)?;
            let canonical = token == "0" || !token.starts_with('0');
            let index = token.parse::<usize>().ok().filter(|_| canonical && !token.starts_with('+'));
            index.and_then(|index| items.get(index).copied()).ok_or(NoValue::Missing)
        }
        _ => Err(NoValue::Missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_taken_as_it_is_written() {
        let answer = br#"{"a":{"b/c":["x",{"~":"\u00e9\""},1.50e400,12345678901234567890123,true]},"n":null,"":"empty"}"#;
        let at = |pointer| value_at(answer, pointer);
        assert_eq!(at("/a/b~1c/0").as_deref(), Ok("x"));
        assert_eq!(at("/a/b~1c/1/~0").as_deref(), Ok("é\""));
        assert_eq!(at("/a/b~1c/2").as_deref(), Ok("1.50e400"));
        assert_eq!(at("/a/b~1c/3").as_deref(), Ok("12345678901234567890123"));
        assert_eq!(at("/a/b~1c/4").as_deref(), Ok("true"));
        assert_eq!(at("/").as_deref(), Ok("empty"));
        assert_eq!(value_at(b" 7 ", "").as_deref(), Ok("7"));
        let deep = |depth| format!("{}7{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(value_at(deep(500).as_bytes(), &"/0".repeat(500)).as_deref(), Ok("7"));
        for missing in ["/b", "/a/b~1c/5", "/a/b~1c/00", "/a/b~1c/+1", "/a/b~1c/-", "/a/b~1c/0/x", "a"] {
            assert_eq!(at(missing), Err(NoValue::Missing), "{missing}");
        }
        for no_scalar in ["", "/a", "/a/b~1c", "/n"] {
            assert_eq!(at(no_scalar), Err(NoValue::NoScalar), "{no_scalar}");
        }
    }

    #[test]
    fn an_answer_that_is_no_json_or_gives_too_much_is_refused() {
        for text in [&b""[..], b"{", b"{\"a\":1} x", b"\xff", b"<html>"] {
            assert_eq!(value_at(text, ""), Err(NoValue::NotJson));
        }
        let long = |length: usize| format!("\"{}\"", "x".repeat(length));
        assert!(value_at(long(limits::FETCHED).as_bytes(), "").is_ok());
        assert_eq!(value_at(long(limits::FETCHED + 1).as_bytes(), ""), Err(NoValue::TooLong));
    }

    fn faults(value: &serde_json::Value) -> Vec<String> {
        let source = serde_json::json!({
            "id": format!("prs_{}", "0".repeat(32)), "workspace": "acme", "version": 1, "name": "Stock", "value": value,
        });
        let source: ParameterSource = serde_json::from_value(source).unwrap();
        let address = |host: ::url::Host<&str>, _| {
            if host.to_string() == "localhost" { Err("it is special".to_owned()) } else { Ok(()) }
        };
        let found = source.check(Rules { allow_http: false, address: &address });
        found.into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn a_constant_is_held_to_its_type() {
        let constant = |kind: &str, text: &str| {
            faults(&serde_json::json!({"kind": "constant", "type": kind, "text": text}))
        };
        assert!(constant("numeric", "1e3").is_empty() && constant("text", "${x} {y}").is_empty());
        assert_eq!(constant("numeric", "one"), ["value.text"]);
        assert_eq!(constant("character", ""), ["value.text"]);
        assert_eq!(constant("call", "x"), ["value.type"]);
    }

    #[test]
    fn an_interface_is_held_to_the_rules_of_webhooks_and_takes_no_placeholders() {
        let base = serde_json::json!({"kind": "interface", "url": "https://api.example.com/stock?x=1", "pointer": "/stock"});
        let with = |more: &serde_json::Value| {
            let mut value = base.clone();
            value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            faults(&value)
        };
        assert!(with(&serde_json::json!({})).is_empty());
        assert!(with(&serde_json::json!({"method": "POST", "body": "{\"q\":\"{{x}}\"}"})).is_empty());
        assert_eq!(with(&serde_json::json!({"url": "https://localhost/"})), ["value.url"]);
        assert_eq!(with(&serde_json::json!({"url": "http://api.example.com/"})), ["value.url"]);
        assert_eq!(with(&serde_json::json!({"url": "https://api.example.com/{id}"})), ["value"]);
        assert_eq!(with(&serde_json::json!({"method": "POST", "body": "{\"q\":\"{x}\"}"})), ["value.body"]);
        assert_eq!(with(&serde_json::json!({"body": "{}"})), ["value.body"]);
        assert_eq!(with(&serde_json::json!({"pointer": "stock"})), ["value.pointer"]);
        assert_eq!(with(&serde_json::json!({"pointer": "/a~2"})), ["value.pointer"]);
        let secret = serde_json::json!({"name": "host", "ciphertext": ""});
        assert_eq!(with(&serde_json::json!({"secret_header": secret})), ["value.secret_header.name"]);
    }
}
