//! Lost updates: an object goes out with its entity tag, and a change may say which one it was made of (RFC 9110, `If-Match`).

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};

use crate::problem::{Problem, Result};

/// An entity tag, always a strong one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Tag(String);

impl Tag {
    /// Of what counts its versions.
    pub(crate) fn version(version: u32) -> Self {
        Self(format!("\"{version}\""))
    }

    /// Of what has no version: a digest of it.
    pub(crate) fn of(entity: &impl Serialize) -> Self {
        let json = serde_json::to_vec(entity).unwrap_or_default();
        let digest = hex::encode(Sha256::digest(json));
        Self(format!("\"{}\"", &digest[..16]))
    }
}

/// An object with its entity tag.
pub(crate) struct Tagged<T>(pub(crate) Tag, pub(crate) T);

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.1).into_response();
        if let Ok(tag) = HeaderValue::from_str(&self.0.0) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// Which versions of an object a change was made of; none: any, and even none.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(names("If-Match"), parameter_in = Header)]
pub(crate) struct IfMatch(
    /// The `ETag` that the object had when it was read, so that nobody's change in between is lost: its version, as in `"3"`, or a digest
    /// of what has none, as in `"5feceb66ffc86f38"`. Or `*`: whichever, if it is there.
    #[param(example = "\"3\"", value_type = Option<String>)]
    Option<Vec<String>>,
);

impl IfMatch {
    /// Holds a change to what stands now, none where there is nothing. What is wrong with the change itself comes first (RFC 9110,
    /// section 13.2.1).
    pub(crate) fn check(&self, now: Option<&Tag>) -> Result<()> {
        let Some(wanted) = &self.0 else { return Ok(()) };
        let fits = now.is_some_and(|now| wanted.iter().any(|tag| tag == "*" || *tag == now.0));
        if fits {
            return Ok(());
        }
        let detail = "the object is not as `If-Match` says: somebody changed it; read it and change it again";
        Err(Problem::new(StatusCode::PRECONDITION_FAILED, "changed_since", detail))
    }

    fn read(headers: &HeaderMap) -> Option<Self> {
        let mut tags = Vec::new();
        for value in headers.get_all(header::IF_MATCH) {
            let mut rest = value.to_str().ok()?.trim();
            while !rest.is_empty() {
                // A weak tag never equals a strong one, but is one.
                let opaque = rest.strip_prefix("W/").unwrap_or(rest);
                let length = match opaque.strip_prefix('"') {
                    Some(inner) => rest.len() - opaque.len() + inner.find('"')? + 2,
                    None => rest.strip_prefix('*').map(|_| 1)?,
                };
                let (tag, more) = rest.split_at_checked(length)?;
                tags.push(tag.to_owned());
                let more = more.trim_start();
                rest = more.strip_prefix(',').map_or(more, str::trim_start);
                if rest == more && !rest.is_empty() {
                    return None;
                }
            }
        }
        let given = headers.contains_key(header::IF_MATCH);
        (!given || !tags.is_empty()).then(|| Self(given.then_some(tags)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Self::read(&parts.headers).ok_or_else(|| {
            let detail = "`If-Match` holds entity tags between double quotes, as in `\"3\"`, or `*`";
            Problem::new(StatusCode::BAD_REQUEST, "invalid_if_match", detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<Vec<String>> {
        let headers = HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_str(value).unwrap())]);
        IfMatch::read(&headers).map(|wanted| wanted.0.unwrap_or_default())
    }

    #[test]
    fn entity_tags_are_read_as_the_standard_writes_them() {
        assert_eq!(read("\"3\"").unwrap(), ["\"3\""]);
        assert_eq!(read("\"a,b\" , \"c\"").unwrap(), ["\"a,b\"", "\"c\""]);
        assert_eq!(read("*").unwrap(), ["*"]);
        assert_eq!(read("W/\"3\"").unwrap(), ["W/\"3\""]);
        for wrong in ["3", "\"3", "", "\"3\" \"4\"", "W/3", "\"3\"x"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert!(IfMatch::read(&HeaderMap::new()).unwrap().0.is_none());
    }

    #[test]
    fn a_change_is_held_to_what_stands() {
        let wanted = |tags: &[&str]| IfMatch(Some(tags.iter().map(ToString::to_string).collect()));
        let three = Tag::version(3);
        assert!(IfMatch(None).check(None).is_ok());
        assert!(wanted(&["\"2\"", "\"3\""]).check(Some(&three)).is_ok());
        assert!(wanted(&["*"]).check(Some(&three)).is_ok());
        assert!(wanted(&["*"]).check(None).is_err());
        for other in ["\"2\"", "W/\"3\"", "3"] {
            assert!(wanted(&[other]).check(Some(&three)).is_err(), "{other}");
        }
    }
}
