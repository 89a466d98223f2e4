//! What comes in: JSON bodies and query strings, read strictly.

use std::{collections::HashSet, fmt, sync::Arc};

use axum::{
    body::to_bytes,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{StatusCode, request::Parts},
};
use fanhook_core::{
    fault::{Fault, nearest},
    limits,
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor},
};

use crate::{
    Ports,
    objects::Objects,
    problem::{Problem, Result},
};

/// A JSON body.
pub(crate) struct Input<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Ports>> for Input<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &Arc<Ports>) -> Result<Self> {
        parse(&body(request).await?).map(Self)
    }
}

/// A JSON body that may be missing.
pub(crate) struct Optional<T>(pub(crate) Option<T>);

impl<T: DeserializeOwned> FromRequest<Arc<Ports>> for Optional<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &Arc<Ports>) -> Result<Self> {
        let body = body(request).await?;
        if body.trim_ascii().is_empty() {
            Ok(Self(None))
        } else {
            parse(&body).map(|input| Self(Some(input)))
        }
    }
}

async fn body(request: Request) -> Result<Vec<u8>> {
    let bytes = to_bytes(request.into_body(), limits::REQUEST).await.map_err(|_| {
        let detail = format!("a request has at most {} bytes", limits::REQUEST);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", detail)
    })?;
    Ok(bytes.into())
}

/// Reads JSON text. Faults tell the field, the place in the text, and the known name nearest to an unknown one.
fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    // First that it is JSON without doubt: which of two equal keys holds is a question that no two parsers answer alike. The depth is
    // limited by the parser.
    serde_json::from_slice::<Distinct>(text).map_err(|error| {
        let problem =
            Problem::new(StatusCode::BAD_REQUEST, "invalid_json", "the body is not JSON as it is read here");
        problem.errors(vec![fault("", &error)])
    })?;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    serde_path_to_error::deserialize(Objects(&mut deserializer)).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        Problem::invalid(vec![fault(&path, error.inner())])
    })
}

fn fault(field: &str, error: &serde_json::Error) -> Fault {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let detail = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    let place = |number: usize| u32::try_from(number).ok().filter(|&number| number > 0);
    let fault = Fault { line: place(line), column: place(column), ..Fault::new(field, detail) };
    // serde names the unknown word first and then all known ones, each between backquotes.
    let mut words = detail.split('`').skip(1).step_by(2);
    let near = match words.next() {
        Some(wrong) if detail.starts_with("unknown ") => nearest(wrong, words),
        _ => None,
    };
    match near {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault,
    }
}

/// JSON of any shape in which no object has a key twice.
struct Distinct;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(DistinctVisitor)
    }
}

struct DistinctVisitor;

impl<'de> Visitor<'de> for DistinctVisitor {
    type Value = Distinct;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_unit<E>(self) -> std::result::Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Distinct, A::Error> {
        while seq.next_element::<Distinct>()?.is_some() {}
        Ok(Distinct)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Distinct, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if let Some(key) = keys.replace(key) {
                return Err(A::Error::custom(format_args!("the key `{key}` stands twice in one object")));
            }
            map.next_value::<Distinct>()?;
        }
        Ok(Distinct)
    }
}

/// A query string.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Ports>> for Params<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<Ports>) -> Result<Self> {
        let query = Query::try_from_uri(&parts.uri);
        query.map(|Query(params)| Self(params)).map_err(|error| {
            let source =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Problem::invalid(vec![Fault::new("", format!("the query string: {source}"))])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shop {
        #[expect(dead_code, reason = "only read")]
        coupon: Coupon,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Coupon {
        #[expect(dead_code, reason = "only read")]
        code: String,
    }

    fn refused(text: &str) -> Fault {
        let problem = parse::<Shop>(text.as_bytes()).map(|_| ()).expect_err("it is wrong");
        let json = problem.json();
        serde_json::from_value(json["errors"][0].clone()).expect("a fault")
    }

    #[test]
    fn an_unknown_field_is_told_with_its_place_and_the_nearest_known_one() {
        let fault = refused("{\n  \"coupon\": {\"cdoe\": \"x\"}\n}");
        assert_eq!((fault.field.as_str(), fault.line), ("coupon.cdoe", Some(2)));
        assert_eq!(fault.hint.as_deref(), Some("did you mean `code`?"));
    }

    #[test]
    fn a_wrong_type_is_told_with_its_field() {
        let fault = refused(r#"{"coupon":{"code":7}}"#);
        assert_eq!((fault.field.as_str(), fault.line, fault.column), ("coupon.code", Some(1), Some(19)));
        assert_eq!(fault.detail, "invalid type: integer `7`, expected a string");
    }

    #[test]
    fn what_parsers_disagree_about_is_refused() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let table = [
            (r#"{"coupon":{"code":"a","code":"b"}}"#, "the key `code` stands twice in one object"),
            (r#"{"coupon":{"code":"a"}} x"#, "trailing characters"),
            (&deep, "recursion limit exceeded"),
            ("", "EOF while parsing a value"),
            (
                "{\"coupon\":{\"code\":\"\u{0}\"}}",
                "control character (\\u0000-\\u001F) found while parsing a string",
            ),
        ];
        for (text, detail) in table {
            assert_eq!(refused(text).detail, detail);
        }
    }
}
