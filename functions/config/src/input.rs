//! What comes in: JSON bodies, read strictly.

use std::{collections::HashSet, fmt};

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use fanhook_core::{fault::Fault, limits};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor},
};

use utoipa::ToSchema;

use crate::{
    problem::{Problem, Result},
    shape,
};

/// A JSON body.
pub(crate) struct Input<T>(pub(crate) T);

impl<T: DeserializeOwned + ToSchema, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self> {
        parse(&body(request).await?).map(Self)
    }
}

/// A JSON body that may be missing, or `null`.
pub(crate) struct Optional<T>(pub(crate) Option<T>);

impl<T: DeserializeOwned + ToSchema, S: Send + Sync> FromRequest<S> for Optional<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let body = body(request).await?;
        match body.trim_ascii() {
            b"" | b"null" => Ok(Self(None)),
            _ => parse(&body).map(|input| Self(Some(input))),
        }
    }
}

/// The bytes of a body, as many as are taken.
pub(crate) async fn body(request: Request) -> Result<Vec<u8>> {
    let bytes = to_bytes(request.into_body(), limits::REQUEST).await.map_err(|_| {
        let detail = format!("a request has at most {} bytes", limits::REQUEST);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", detail)
    })?;
    Ok(bytes.into())
}

/// Reads JSON text. Faults tell the field and the place in the text: those of its shape all at once, what is left behind them is one.
fn parse<T: DeserializeOwned + ToSchema>(text: &[u8]) -> Result<T> {
    let text = json(text)?;
    let faults = shape::faults(&T::name(), text);
    if faults.is_empty() { read(text) } else { Err(Problem::invalid(faults)) }
}

/// The text of what is JSON without doubt: which of two equal keys holds is a question that no two parsers answer alike. The depth is
/// limited by the parser.
pub(crate) fn json(text: &[u8]) -> Result<&str> {
    serde_json::from_slice::<Distinct>(text).map_err(|error| {
        let problem =
            Problem::new(StatusCode::BAD_REQUEST, "invalid_json", "the body is not JSON as it is read here");
        problem.errors(vec![fault("", &error)])
    })?;
    str::from_utf8(text).map_err(|error| {
        let start = &text[..error.valid_up_to()];
        let fault = Fault::new("", "this is not UTF-8").at(&String::from_utf8_lossy(start), start.len());
        Problem::invalid(vec![fault])
    })
}

/// What a text of the right shape says; what is left that can't be read is one fault.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
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
    Fault { line: place(line), column: place(column), ..Fault::new(field, detail) }
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::grants::GrantInput;

    fn refused(text: &[u8]) -> Value {
        parse::<GrantInput>(text).map(|_| ()).expect_err("it is wrong").json()
    }

    #[test]
    fn what_parsers_disagree_about_is_refused() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let table = [
            (r#"{"to":{"role":"a","role":"b"}}"#, "the key `role` stands twice in one object"),
            (r#"{"to":{"role":"a"}} x"#, "trailing characters"),
            (&deep, "recursion limit exceeded"),
            ("", "EOF while parsing a value"),
            (
                "{\"to\":{\"role\":\"\u{0}\"}}",
                "control character (\\u0000-\\u001F) found while parsing a string",
            ),
        ];
        for (text, detail) in table {
            let problem = refused(text.as_bytes());
            assert_eq!(
                (&problem["code"], &problem["errors"][0]["detail"]),
                (&"invalid_json".into(), &detail.into())
            );
        }
    }

    #[test]
    fn what_has_the_shape_and_yet_cannot_be_read_is_told_with_its_place() {
        let problem = refused(br#"{"to":{"role":"a"},"until":"2027-02-30T00:00:00Z"}"#);
        assert_eq!((&problem["code"], &problem["errors"][0]["field"]), (&"invalid".into(), &"until".into()));
    }
}
