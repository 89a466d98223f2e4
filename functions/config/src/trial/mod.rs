//! `…/preview` and `…/test`: one message made, or really sent, before a run is started: `deliver` does it, by the code that runs are sent by.
//!
//! Nothing is stored but that a test passed: a run of a webhook that never passed one may have few recipients only. So may one of an
//! endpoint whose owner has not agreed ([`consent`]).

pub(crate) mod consent;
mod input;
mod log;

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use fanhook_core::{
    direct::{Answer, Message, Preview, Question, Tested},
    id::{PushId, WebhookId},
    push::Push,
    time::Millis,
    webhook::Webhook,
};
use fanhook_store::{
    ports::DirectError,
    proofs::{self, Begun, Noted},
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use self::input::{PushPreview, PushTest, Sample, WebhookPreview, WebhookTest};
use crate::{
    access::{Admin, Caller, Granted, Id, Marketer, Member},
    audit::Action,
    input::{Input, Optional},
    output::Time,
    parameter_sources::calls::{self, Calls},
    problem::{Problem, Result},
    pushes,
    runs::start::{fitting, pin},
    webhooks::{self, settings},
};

/// How long a request waits for `deliver`, whatever it asks: the longest test send and a cold start lie within, and the function, which is
/// ended after 29 s, still has time to note what came of it.
const LONGEST: Duration = Duration::from_secs(25);

/// The requests that a user would get.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Previews)]
#[schema(example = json!({"messages": [{"request": {
    "method": "POST", "url": "https://crm.example.com/coupons", "body": "{\"to\":\"+4915112345678\"}",
    "headers": [{"name": "webhook-timestamp", "value": "[masked]"}],
}}]}))]
pub(crate) struct PreviewView {
    /// One, but under policy `all`, where it is one for each ID.
    messages: Vec<Preview>,
    /// How many there are, where the answer does not hold all: it shows the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
}

/// What a test send came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TestSend)]
#[schema(example = json!({
    "webhook": "whk_0190a5b2c3d4e5f60718293a4b5c6d7e", "version": 3, "at": "2027-01-15T08:00:00.000Z", "passed": true,
    "verdict": {"outcome": "delivered", "reason": "delivered", "tried_again": false},
    "request": {"method": "POST", "url": "https://crm.example.com/coupons", "headers": [], "body": "{}"},
    "answer": {"status": 200, "headers": [], "body": "ok"},
    "times": {"dns_us": 1210, "connect_us": 8400, "tls_us": 17_300, "first_byte_us": 95_000, "total_us": 122_300},
}))]
pub(crate) struct TestView {
    /// The webhook that was tested.
    webhook: WebhookId,
    /// Version of the webhook that was tested.
    version: u32,
    /// When it was sent.
    at: Time,
    #[serde(flatten)]
    tested: Tested,
}

/// Shows the request that a user would get through a webhook.
#[utoipa::path(post, path = "/webhooks/{id}/preview", tag = "Webhooks", operation_id = "preview_webhook",
    params(("id" = WebhookId, Path)), request_body = Option<WebhookPreview>, responses(
    (status = 200, description = "The request; nothing was sent.", body = PreviewView),
    (status = 409, description = "`parameter_source_failed`, `too_large`."),
    (status = 429, description = "`too_many_tests`."),
    (status = 504, description = "`unanswered`: it is not known whether an interface was asked for its value."),
))]
pub(crate) async fn preview_webhook(
    member: Member,
    marketer: Result<Marketer>,
    admin: Result<Admin>,
    Id(id): Id<WebhookId>,
    Optional(input): Optional<WebhookPreview>,
) -> Result<Json<PreviewView>> {
    let input = input.unwrap_or_default();
    if input.qaid.is_some() {
        admin?;
    }
    let webhook = webhooks::find(&member, id).await?;
    let (push, sample) = input.read(&member, &webhook).await?;
    preview(&member, marketer.ok(), &webhook, &push, &sample).await
}

/// Shows the requests that a user would get by a push.
#[utoipa::path(post, path = "/pushes/{id}/preview", tag = "Pushes", operation_id = "preview_push",
    params(("id" = PushId, Path)), request_body = Option<PushPreview>, responses(
    (status = 200, description = "One request, under policy `all` one for each ID; nothing was sent.", body = PreviewView),
    (status = 409, description = "`push_outdated`, `parameter_source_failed`, `too_large`."),
    (status = 429, description = "`too_many_tests`."),
    (status = 504, description = "`unanswered`: it is not known whether an interface was asked for its value."),
))]
pub(crate) async fn preview_push(
    member: Member,
    marketer: Result<Marketer>,
    admin: Result<Admin>,
    Id(id): Id<PushId>,
    Optional(input): Optional<PushPreview>,
) -> Result<Json<PreviewView>> {
    let input = input.unwrap_or_default();
    if input.qaid.is_some() {
        admin?;
    }
    let push = pushes::find(&member, id).await?;
    let webhook = fitting(&member, &push).await?;
    let (push, sample) = input.read(&member, push).await?;
    preview(&member, marketer.ok(), &webhook, &push, &sample).await
}

/// Sends one message through a webhook, to see what comes of it.
#[utoipa::path(post, path = "/webhooks/{id}/test", tag = "Webhooks", operation_id = "test_webhook",
    params(("id" = WebhookId, Path)), request_body = WebhookTest, responses(
    (status = 200, description = "What it came to, passed or not; with `Accept: text/plain` as a log.",
        content((TestView = "application/json"), (String = "text/plain"))),
    (status = 409, description = "`parameter_source_failed`, `too_large`."),
    (status = 429, description = "`too_many_tests`."),
    (status = 504, description = "`unanswered`: it is not known whether a request was sent."),
))]
pub(crate) async fn test_webhook(
    admin: Admin,
    Id(id): Id<WebhookId>,
    headers: HeaderMap,
    Input(input): Input<WebhookTest>,
) -> Result<Response> {
    let webhook = webhooks::find(&admin, id).await?;
    let (push, sample) = input.read(&admin, &webhook).await?;
    test(&admin, &webhook, &push, &sample, &headers).await
}

/// Sends one message of a push, to see what comes of it.
#[utoipa::path(post, path = "/pushes/{id}/test", tag = "Pushes", operation_id = "test_push",
    params(("id" = PushId, Path)), request_body = PushTest, responses(
    (status = 200, description = "What it came to, passed or not; with `Accept: text/plain` as a log.",
        content((TestView = "application/json"), (String = "text/plain"))),
    (status = 409, description = "`push_outdated`, `parameter_source_failed`, `too_large`."),
    (status = 429, description = "`too_many_tests`."),
    (status = 504, description = "`unanswered`: it is not known whether a request was sent."),
))]
pub(crate) async fn test_push(
    Granted(marketer, push): Granted<Push>,
    headers: HeaderMap,
    Input(input): Input<PushTest>,
) -> Result<Response> {
    let webhook = fitting(&marketer, &push).await?;
    let (push, sample) = input.read(&marketer, push).await?;
    test(&marketer, &webhook, &push, &sample, &headers).await
}

async fn preview(
    caller: &Caller,
    marketer: Option<Marketer>,
    webhook: &Webhook,
    push: &Push,
    sample: &Sample,
) -> Result<Json<PreviewView>> {
    // A source may be an interface: it is called, with its secret, for those alone who may use the webhook.
    let may_call = match marketer {
        Some(marketer) => marketer.uses(webhook.id).await?,
        None => false,
    };
    let calls = if webhook.content.sources().is_empty() || !may_call {
        calls::names(webhook)
    } else {
        begin(caller, webhook).await?;
        calls::take(caller, webhook).await?
    };
    let message = message(caller, webhook, push, sample, calls).await?;
    match ask(caller, &Question::Preview(message)).await? {
        Answer::Preview { messages, count } => Ok(Json(PreviewView { messages, count })),
        other => Err(unexpected(&other)),
    }
}

async fn test(
    caller: &Caller,
    webhook: &Webhook,
    push: &Push,
    sample: &Sample,
    headers: &HeaderMap,
) -> Result<Response> {
    let (config, at) = (&*caller.config, begin(caller, webhook).await?);
    let calls = calls::take(caller, webhook).await?;
    let message = message(caller, webhook, push, sample, calls).await?;
    let tested = match ask(caller, &Question::Test(message)).await? {
        Answer::Test(tested) => *tested,
        other => return Err(unexpected(&other)),
    };
    if tested.passed {
        let passed = proofs::Tested { content: webhook.content.digest(), version: webhook.version, at };
        let after = json!({"version": webhook.version, "passed": true});
        let entry = caller.entry(Action::Tested, ("webhook", &webhook.id.to_string()), None, Some(&after));
        // What has gone meanwhile needs no proof; that its test passed is told all the same.
        let (Noted::Done | Noted::Gone | Noted::Changed) =
            proofs::passed(config, &caller.workspace, webhook.id, &passed, &entry).await?;
    }
    let view = TestView { webhook: webhook.id, version: webhook.version, at: Time(at), tested };
    Ok(if wants_text(headers) { log::download(&view) } else { Json(view).into_response() })
}

/// Begins something that calls a webhook's endpoint, unless that has just been done; answers when.
pub(crate) async fn begin(caller: &Caller, webhook: &Webhook) -> Result<Millis> {
    let now = caller.clock.now();
    match proofs::begin_test(&*caller.config, &caller.workspace, webhook.id, now).await? {
        Begun::Done => Ok(now),
        Begun::TooSoon => {
            let detail = "a webhook is tested once a second at most; try again";
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tests", detail))
        }
        Begun::Gone => Err(Problem::not_found()),
    }
}

/// The question's message: what a run of this push would pin if it started now.
pub(crate) async fn message(
    caller: &Caller,
    webhook: &Webhook,
    push: &Push,
    sample: &Sample,
    calls: Calls,
) -> Result<Box<Message>> {
    let proofs = proofs::get(&*caller.config, &caller.workspace, webhook.id).await?;
    Ok(Box::new(Message {
        pinned: pin(caller, push, webhook, &[], calls, &proofs).await?,
        settings: settings(webhook, &proofs, caller.now),
        recipient: sample.line(),
        profile: sample.profile,
        end: end(caller),
    }))
}

/// Until when a request waits for `deliver`: one end for all that it asks.
pub(crate) fn end(caller: &Caller) -> Millis {
    caller.now + LONGEST
}

/// Asks `deliver`, while the request has time.
pub(crate) async fn ask(caller: &Caller, question: &Question) -> Result<Answer> {
    let left = question.end().since(caller.clock.now());
    if left.is_zero() {
        return Err(Problem::unavailable());
    }
    caller.deliver.ask(question, left).await.map_err(|error| match (question, error) {
        // It sends nothing: there is nothing that is not known.
        (Question::Preview(_), DirectError::Unanswered(source)) => DirectError::Busy(source).into(),
        (_, error) => error.into(),
    })
}

/// An answer that is none to what was asked.
pub(crate) fn unexpected(answer: &Answer) -> Problem {
    if *answer == (Answer::Unavailable {}) {
        return Problem::unavailable();
    }
    tracing::error!("deliver answered another question");
    Problem::internal()
}

/// Whether the caller wants a log to keep, not JSON: of the two it names that first. Many clients name both, and read JSON.
fn wants_text(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).map_or(&b""[..], HeaderValue::as_bytes);
    let mut kinds = accepted
        .split(|&byte| byte == b',')
        .map(|kind| kind.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii());
    let named = |kind: &&[u8]| {
        [&b"text/plain"[..], b"application/json"].iter().any(|name| kind.eq_ignore_ascii_case(name))
    };
    kinds.find(named).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/plain"))
}
