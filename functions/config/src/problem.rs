//! Errors, as RFC 9457 problem details.

mod examples;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use fanhook_core::{fault::Fault, limits};
use fanhook_lambda::telemetry::chain;
use fanhook_store::{StoreError, Users, ports::DirectError};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

pub(crate) use self::examples::examples;

/// Attempts at a change that others are faster at.
pub(crate) const ATTEMPTS: usize = 10;

/// Why a request was not done.
#[derive(Debug)]
pub(crate) struct Problem(Box<Details>);

/// Why a request was not done (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Details {
    /// `urn:fanhook:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What a person should know of this occurrence.
    detail: String,
    /// The kind of problem, for programs.
    code: &'static str,
    /// All faults of the input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
    /// What some kinds say beside; `document` describes it.
    #[serde(flatten)]
    #[schema(ignore)]
    more: Map<String, Value>,
}

/// What a handler gives where it does not answer.
pub(crate) type Result<T> = std::result::Result<T, Problem>;

impl Problem {
    /// A problem; `code` is for programs, `detail` for people.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind: format!("urn:fanhook:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            errors: Vec::new(),
            more: Map::new(),
        }))
    }

    /// 404. The same bytes for what is not there and for what is another workspace's.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such object in this workspace")
    }

    /// 400 with all faults of the input, as many as an answer tells.
    pub(crate) fn invalid(errors: Vec<Fault>) -> Self {
        let detail = match errors.len() {
            1 => "the input has a fault".to_owned(),
            count => format!("the input has {count} faults"),
        };
        Self::new(StatusCode::BAD_REQUEST, "invalid", detail).errors(errors)
    }

    /// 409.
    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 409: another object has the name; `what` as in `webhook`.
    pub(crate) fn name_taken(what: &str) -> Self {
        let fault = Fault::new("name", format!("another {what} of the workspace has this name"));
        Self::conflict("name_taken", "the name is taken").errors(vec![fault])
    }

    /// 409 with what uses the object.
    pub(crate) fn in_use(users: &Users) -> Self {
        let told: Vec<Value> =
            users.first.iter().map(|(id, name)| json!({users.kind: id, "name": name})).collect();
        let detail = "others use this object; change or delete them first";
        let untold = users.count > told.len();
        let problem = Self::conflict("in_use", detail).with("used_by", told);
        if untold { problem.with("used_by_count", users.count) } else { problem }
    }

    /// 409 after [`ATTEMPTS`] that others were faster than.
    pub(crate) fn busy() -> Self {
        Self::conflict("changed_meanwhile", "others change this object at the moment; try again")
    }

    /// 503: a fault of ours that passes.
    pub(crate) fn unavailable() -> Self {
        let detail = "the request could not be done at the moment; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    /// 504: a request may have been sent, and no answer to it was seen.
    pub(crate) fn unanswered() -> Self {
        let detail = "no answer came in time; it is not known whether a request was sent";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "unanswered", detail)
    }

    /// 500: our own code failed, and the log says how.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request failed by a fault of ours")
    }

    /// What the caller gets.
    pub(crate) fn json(&self) -> Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }

    /// The same problem with faults.
    pub(crate) fn errors(mut self, mut errors: Vec<Fault>) -> Self {
        errors.truncate(limits::FAULTS);
        self.0.errors = errors;
        self
    }

    /// Whether it is no fault of the caller's.
    pub(crate) fn is_ours(&self) -> bool {
        self.0.status >= 500
    }

    /// The faults of the input that it tells.
    pub(crate) fn into_errors(self) -> Vec<Fault> {
        self.0.errors
    }

    /// The same problem with one more member.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }
}

/// Our own store failed: the log gets the whole chain, the caller none of it.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = chain(&error), "the store failed");
        match error {
            StoreError::Unavailable { .. } => Self::unavailable(),
            StoreError::TooLarge { .. } | StoreError::Corrupt { .. } => Self::internal(),
        }
    }
}

/// `deliver` did not answer.
impl From<DirectError> for Problem {
    fn from(error: DirectError) -> Self {
        tracing::error!(error = chain(&error), "a question has no answer");
        match error {
            DirectError::Busy(_) => Self::unavailable(),
            DirectError::Unanswered(_) => Self::unanswered(),
            DirectError::Failed(_) => Self::internal(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0)).into_response();
        let content_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    }
}
