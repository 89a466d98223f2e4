//! The handshake of CloudEvents' HTTP webhook, section 4: whether an endpoint agrees to be sent to, and how fast.

use std::sync::Arc;

use bytes::Bytes;
use fanhook_core::{
    direct::{Answer, Failure, Handshake, Shaken},
    retry::Attempt,
    time::Millis,
};
use fanhook_outbound::{Exchange, HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use fanhook_store::{StoreError, StoreResult};

use super::{hint, make, not_sent, show, time_left};
use crate::{Ports, credentials::Credentials, job::USER_AGENT};

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const REQUEST_RATE: HeaderName = HeaderName::from_static("webhook-request-rate");
const ALLOWED_ORIGIN: &str = "webhook-allowed-origin";
const ALLOWED_RATE: &str = "webhook-allowed-rate";

pub(super) async fn shake(ports: &Ports, question: &Handshake, end: Millis) -> StoreResult<Answer> {
    let message = &question.message;
    // Who has not agreed yet gets neither credentials nor a body; so no secret is opened.
    let made = make(ports, message, &Credentials::default()).await?;
    let prepared = match made.into_iter().next() {
        Some(Ok(prepared)) => prepared,
        Some(Err(unsent)) => return Ok(failed(hint::unsent(unsent))),
        None => return Err(StoreError::corrupt("question", "it names no user")),
    };
    let origin =
        HeaderValue::from_str(&question.origin).map_err(|error| StoreError::corrupt("question", error))?;
    let mut own = vec![(REQUEST_ORIGIN, origin)];
    own.extend(question.requests_per_minute.map(|rate| (REQUEST_RATE, HeaderValue::from(rate))));
    let shared =
        HeaderMap::from_iter([(fanhook_outbound::header::USER_AGENT, HeaderValue::from_static(USER_AGENT))]);
    let request = Request {
        method: Method::OPTIONS,
        target: prepared.request.target,
        shared: Arc::new(shared),
        own,
        body: Bytes::new(),
        keep_answer: false,
    };
    let watched = ports.http.watch(&request, time_left(ports, &message.pinned.content, end)).await;
    let attempt = match &watched.exchange {
        Exchange::Ended(ended) => ended.attempt,
        Exchange::OurFault(fault) => return Ok(not_sent(*fault)),
    };
    let agreed = match (attempt, &watched.answer) {
        (Attempt::Answered { .. }, Some((status, headers, _))) => agreed(*status, headers, &question.origin),
        _ => Err(hint::of(attempt, &watched)),
    };
    let (requests_per_minute, failure) = match agreed {
        Ok(requests_per_minute) => (requests_per_minute, None),
        Err(failure) => (None, Some(failure)),
    };
    Ok(Answer::Handshake(Box::new(Shaken {
        allowed: failure.is_none(),
        requests_per_minute,
        request: Some(show::sent(&request)),
        answer: show::answer(&watched, &request),
        times: Some(watched.times),
        failure,
    })))
}

/// Requests a minute that an answer allows, none: any number; or why it allows nothing.
fn agreed(status: StatusCode, headers: &HeaderMap, origin: &str) -> Result<Option<u32>, Failure> {
    let refusal = |detail: String, hint: &str| Failure { phase: None, detail, hint: hint.to_owned() };
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if !status.is_success() {
        return Err(refusal(
            format!("the endpoint answered `OPTIONS` with status {}", status.as_u16()),
            "let it answer 200 with `WebHook-Allowed-Origin`, or have an administrator state the owner's consent",
        ));
    }
    match header(ALLOWED_ORIGIN) {
        Some(allowed) if allowed == "*" || allowed.eq_ignore_ascii_case(origin) => {}
        Some(_) => {
            return Err(refusal(
                "`WebHook-Allowed-Origin` names somebody else".to_owned(),
                "let it answer with the value of `WebHook-Request-Origin`, or with `*`",
            ));
        }
        None => {
            return Err(refusal(
                "the answer has no `WebHook-Allowed-Origin`".to_owned(),
                "let it answer with the value of `WebHook-Request-Origin`, or with `*`",
            ));
        }
    }
    match header(ALLOWED_RATE) {
        None | Some("*") => Ok(None),
        Some(rate) => match rate.parse::<u64>() {
            Ok(rate) if rate > 0 => Ok(Some(u32::try_from(rate).unwrap_or(u32::MAX))),
            _ => Err(refusal(
                "`WebHook-Allowed-Rate` is neither `*` nor a whole number of at least 1".to_owned(),
                "let it answer with the requests a minute that it takes, or with `*`",
            )),
        },
    }
}

fn failed(failure: Failure) -> Answer {
    Answer::Handshake(Box::new(Shaken {
        allowed: false,
        requests_per_minute: None,
        request: None,
        answer: None,
        times: None,
        failure: Some(failure),
    }))
}
