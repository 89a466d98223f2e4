//! Asking an interface for the value of a parameter.

use std::sync::Arc;

use bytes::Bytes;
use fanhook_core::{
    direct::{Answer, Failure, Fetch},
    parameter_source::{NoValue, value_at},
    push::PushContent,
    retry::Attempt,
    template::{Heading, Program, Rendered, Values},
    time::Millis,
};
use fanhook_outbound::{
    Ended, Exchange, HeaderMap, HeaderName, HeaderValue, Method, Request, Target, Watched, confidential,
    header,
};
use fanhook_store::{StoreError, StoreResult, ports::SecretContext};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::{hint, not_sent, time_left};
use crate::{Ports, job::USER_AGENT};

const WHAT: &str = "parameter source";

pub(super) async fn fetch(ports: &Ports, question: &Fetch, end: Millis) -> StoreResult<Answer> {
    let request = request(ports, question).await?;
    let deadline = time_left(ports, &question.interface.content(), end);
    let watched = ports.http.watch(&request, deadline).await;
    let ended = match &watched.exchange {
        Exchange::Ended(ended) => ended,
        Exchange::OurFault(fault) => return Ok(not_sent(*fault)),
    };
    Ok(match value(ended, &watched, &question.interface.pointer) {
        Ok(value) => Answer::Value { value },
        Err(failure) => Answer::NoValue { failure },
    })
}

async fn request(ports: &Ports, question: &Fetch) -> StoreResult<Request> {
    let interface = &question.interface;
    let program = Program::compile(&interface.content(), &PushContent::default(), Heading::default())
        .map_err(|faults| StoreError::corrupt(WHAT, format!("{} faults", faults.len())))?;
    let nobody = Values { id: "", id_type: "", delivery_id: "", tags: &[] };
    let mut rendered = Rendered::default();
    program.render(&nobody, &mut rendered).map_err(corrupt)?;
    let mut shared = HeaderMap::new();
    shared.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    shared.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    for (name, value) in program.constant_headers() {
        shared.insert(name.parse::<HeaderName>().map_err(corrupt)?, value.parse().map_err(corrupt)?);
    }
    let mut own = Vec::new();
    if let Some(header) = &interface.secret_header {
        let context = SecretContext::parameter_source(&question.workspace, question.source);
        let secret = ports.secrets.decrypt(&context, &header.ciphertext).await?;
        let value = confidential(Zeroizing::new(secret.expose_secret().to_vec())).map_err(corrupt)?;
        own.push((header.name.parse().map_err(corrupt)?, value));
    }
    Ok(Request {
        method: Method::from_bytes(program.method().as_str().as_bytes()).map_err(corrupt)?,
        target: Target::parse(&rendered.url).map_err(corrupt)?,
        shared: Arc::new(shared),
        own,
        body: Bytes::from(rendered.body),
        keep_answer: true,
    })
}

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt(WHAT, error)
}

/// The value in an answer, or why there is none.
fn value(ended: &Ended, watched: &Watched, pointer: &str) -> Result<String, Failure> {
    match ended.attempt {
        // Of a number that was cut off, what is left is a number as well.
        Attempt::Answered { status: 200..=299 } if !ended.is_whole => Err(Failure {
            phase: None,
            detail: "the answer was cut off, or has more than 16 KiB".to_owned(),
            hint: "let it answer with JSON of at most 16 KiB, and to the end".to_owned(),
        }),
        Attempt::Answered { status: 200..=299 } => value_at(&ended.answer, pointer).map_err(|error| {
            let hint = match error {
                NoValue::NotJson => "let it answer with JSON of at most 16 KiB",
                NoValue::Missing | NoValue::NoScalar => "compare the pointer with what the interface answers",
                NoValue::TooLong => "let the interface give a shorter text",
            };
            Failure { phase: None, detail: error.to_string(), hint: hint.to_owned() }
        }),
        attempt => Err(hint::of(attempt, watched)),
    }
}
