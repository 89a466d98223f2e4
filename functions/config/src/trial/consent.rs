//! `/webhooks/{id}/handshake` and `/webhooks/{id}/consent`: whether an endpoint's owner agrees to be sent to.

use axum::{Json, http::StatusCode, response::IntoResponse};
use fanhook_core::{
    direct::{self, Answer, Question, Shaken},
    fault::Fault,
    id::WebhookId,
    limits,
    rate::Rate,
    retry::{Attempt, Verdict, verdict},
    webhook::{Content, Webhook},
};
use fanhook_store::proofs::{self, Handshake, Noted, Proofs, Statement};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ask, begin, input::WebhookPreview, message, unexpected};
use crate::{
    access::{Admin, Caller, Id, Member},
    audit::Action,
    input::Input,
    output::Time,
    parameter_sources::calls::names,
    problem::{ATTEMPTS, Problem, Result},
    webhooks::{self, settle},
};

/// What is known of an endpoint's consent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Consent)]
#[schema(example = json!({
    "origin": "https://crm.example.com", "agreed": true,
    "handshake": {"origin": "https://crm.example.com", "at": "2027-01-15T08:00:00.000Z", "requests_per_minute": 100},
}))]
pub(crate) struct ConsentView {
    /// Scheme, host and port of the webhook's URL as it is now.
    origin: String,
    /// Whether its owner has agreed: runs of more than 1,000 recipients need it.
    agreed: bool,
    /// The last handshake that the endpoint of this origin agreed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<HandshakeView>,
    /// The last statement of an administrator; it counts for its own origin only.
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<StatementView>,
}

/// A handshake that an endpoint agreed to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConsentHandshake)]
struct HandshakeView {
    /// What it holds for.
    origin: String,
    /// When.
    at: Time,
    /// Requests a minute that are allowed: it caps the webhook's limit; none where any number is.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_minute: Option<u32>,
}

impl From<&Handshake> for HandshakeView {
    fn from(handshake: &Handshake) -> Self {
        let Handshake { origin, requests_per_minute, at, withdrawn: _ } = handshake;
        Self { origin: origin.clone(), at: Time(*at), requests_per_minute: *requests_per_minute }
    }
}

/// An administrator's statement.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConsentStatement)]
struct StatementView {
    /// What it holds for.
    origin: String,
    /// When.
    at: Time,
    /// Subject of the administrator's token.
    by: String,
    /// What was stated.
    text: String,
}

impl From<Statement> for StatementView {
    fn from(statement: Statement) -> Self {
        let Statement { origin, by, text, at } = statement;
        Self { origin, at: Time(at), by, text }
    }
}

/// An administrator's statement that the endpoint's owner agrees.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"text": "Our own CRM; agreed with its team on 2027-01-15."}))]
pub(crate) struct StatementInput {
    /// Why the owner is known to agree.
    #[schema(min_length = 1, max_length = 1000)]
    text: String,
}

/// A handshake and what it came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Handshake)]
#[schema(example = json!({
    "webhook": "whk_0190a5b2c3d4e5f60718293a4b5c6d7e", "at": "2027-01-15T08:00:00.000Z", "allowed": true, "requests_per_minute": 100,
    "request": {
        "method": "OPTIONS", "url": "https://crm.example.com/coupons", "body": "",
        "headers": [{"name": "webhook-request-origin", "value": "api.example.com"}],
    },
    "answer": {"status": 200, "headers": [{"name": "webhook-allowed-rate", "value": "100"}], "body": ""},
    "times": {"total_us": 122_300},
}))]
pub(crate) struct ShakenView {
    /// The webhook whose endpoint was asked.
    webhook: WebhookId,
    /// When.
    at: Time,
    #[serde(flatten)]
    shaken: Shaken,
}

/// Reads what is known of the consent of a webhook's endpoint.
#[utoipa::path(get, path = "/webhooks/{id}/consent", tag = "Webhooks", operation_id = "read_consent", params(("id" = WebhookId, Path)), responses(
    (status = 200, description = "What is known.", body = ConsentView),
))]
pub(crate) async fn read(member: Member, Id(id): Id<WebhookId>) -> Result<Json<ConsentView>> {
    let webhook = webhooks::find(&member, id).await?;
    view(&member, &webhook).await.map(Json)
}

/// Asks a webhook's endpoint whether it agrees to be sent to.
///
/// An answer that does not agree takes back what an earlier one agreed to; none, and one that asks to try again, does not. The rate that
/// was allowed holds all the same.
#[utoipa::path(post, path = "/webhooks/{id}/handshake", tag = "Webhooks", operation_id = "shake_hands", params(("id" = WebhookId, Path)), responses(
    (status = 200, description = "What it came to, allowed or not.", body = ShakenView),
    (status = 409, description = "`too_large`, `changed_meanwhile`."),
    (status = 429, description = "`too_many_tests`."),
    (status = 504, description = "`unanswered`: it is not known whether a request was sent."),
))]
pub(crate) async fn handshake(admin: Admin, Id(id): Id<WebhookId>) -> Result<Json<ShakenView>> {
    let webhook = webhooks::find(&admin, id).await?;
    let (push, sample) = WebhookPreview::default().read(&admin, &webhook).await?;
    let question = direct::Handshake {
        // No interface is asked for what is not sent.
        message: *message(&admin, &webhook, &push, &sample, names(&webhook)).await?,
        origin: admin.host().to_owned(),
        requests_per_minute: webhook
            .limits
            .requests_per_second
            .map(|limit| Rate::per_second(limit).a_minute()),
    };
    let at = begin(&admin, &webhook).await?;
    let shaken = match ask(&admin, &Question::Handshake(Box::new(question))).await? {
        Answer::Handshake(shaken) => *shaken,
        other => return Err(unexpected(&other)),
    };
    if shaken.allowed {
        let handshake = Handshake {
            origin: origin(&webhook)?,
            requests_per_minute: shaken.requests_per_minute,
            at,
            withdrawn: false,
        };
        note(&admin, &webhook, &handshake).await?;
        // The allowed rate holds from now on.
        settle(&admin, id).await?;
    } else if refuses(&shaken) {
        // What an administrator stated stands: many endpoints do not know of handshakes.
        withdraw_handshake(&admin, &webhook, |handshake| handshake.at <= at).await?;
    }
    Ok(Json(ShakenView { webhook: id, at: Time(at), shaken }))
}

/// States that the owner of a webhook's endpoint agrees.
#[utoipa::path(post, path = "/webhooks/{id}/consent", tag = "Webhooks", operation_id = "state_consent", params(("id" = WebhookId, Path)),
    request_body = StatementInput, responses((status = 201, description = "It was noted.", body = ConsentView)))]
pub(crate) async fn state(
    admin: Admin,
    Id(id): Id<WebhookId>,
    Input(input): Input<StatementInput>,
) -> Result<impl IntoResponse> {
    let webhook = webhooks::find(&admin, id).await?;
    let length = input.text.chars().count();
    if !(1..=limits::STATEMENT).contains(&length) || input.text.trim().is_empty() {
        let detail = format!("a statement has 1 to {} characters, and is not blank", limits::STATEMENT);
        return Err(Problem::invalid(vec![Fault::new("text", detail)]));
    }
    let by = admin.person.clone();
    let statement = Statement { origin: origin(&webhook)?, by, text: input.text, at: admin.now };
    let view = StatementView::from(statement.clone());
    let before = known(&admin, id).await?.statement.map(StatementView::from);
    let entry = admin.entry(Action::Consented, ("webhook", &id.to_string()), before.as_ref(), Some(&view));
    if proofs::stated(&*admin.config, &admin.workspace, id, &statement, &entry).await? == Noted::Gone {
        return Err(Problem::not_found());
    }
    Ok((StatusCode::CREATED, Json(self::view(&admin, &webhook).await?)))
}

/// Takes a consent back: that of the endpoint's handshake and that of a statement.
///
/// The rate that the endpoint allowed holds all the same. Runs that are under way go on.
#[utoipa::path(delete, path = "/webhooks/{id}/consent", tag = "Webhooks", operation_id = "withdraw_consent", params(("id" = WebhookId, Path)),
    responses(
    (status = 204, description = "There is no consent any more."),
    (status = 409, description = "`changed_meanwhile`."),
))]
pub(crate) async fn withdrawn(admin: Admin, Id(id): Id<WebhookId>) -> Result<StatusCode> {
    let webhook = webhooks::find(&admin, id).await?;
    withdraw_handshake(&admin, &webhook, |_| true).await?;
    if let Some(statement) = known(&admin, id).await?.statement {
        let before = StatementView::from(statement);
        let entry = admin.entry(Action::Withdrawn, ("webhook", &id.to_string()), Some(&before), None);
        if proofs::retracted(&*admin.config, &admin.workspace, id, &entry).await? == Noted::Gone {
            return Err(Problem::not_found());
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Notes a handshake that the webhook's endpoint agreed to.
async fn note(admin: &Admin, webhook: &Webhook, handshake: &Handshake) -> Result<()> {
    let id = webhook.id;
    let view = HandshakeView::from(handshake);
    for _ in 0..ATTEMPTS {
        let proofs = known(admin, id).await?;
        let before = consent(&proofs, &webhook.content).map(HandshakeView::from);
        let entry =
            admin.entry(Action::Consented, ("webhook", &id.to_string()), before.as_ref(), Some(&view));
        match proofs::shaken(&*admin.config, &admin.workspace, id, (&proofs, handshake), &entry).await? {
            Noted::Done => return Ok(()),
            Noted::Gone => return Err(Problem::not_found()),
            Noted::Changed => {}
        }
    }
    Err(Problem::busy())
}

/// Notes that the consent is withdrawn that the webhook's endpoint gave by a handshake, if it gave one that is meant.
async fn withdraw_handshake(
    admin: &Admin,
    webhook: &Webhook,
    is_meant: impl Fn(&Handshake) -> bool,
) -> Result<()> {
    let id = webhook.id;
    for _ in 0..ATTEMPTS {
        let proofs = known(admin, id).await?;
        let given = consent(&proofs, &webhook.content).filter(|handshake| is_meant(handshake));
        let Some(handshake) = given else { return Ok(()) };
        let before = HandshakeView::from(handshake);
        let entry = admin.entry(Action::Withdrawn, ("webhook", &id.to_string()), Some(&before), None);
        let of = (&proofs, &*handshake.origin);
        match proofs::withdrawn(&*admin.config, &admin.workspace, id, of, &entry).await? {
            Noted::Done => return Ok(()),
            Noted::Gone => return Err(Problem::not_found()),
            Noted::Changed => {}
        }
    }
    Err(Problem::busy())
}

/// The consent that this content's origin gave by a handshake, and that holds.
fn consent<'a>(proofs: &'a Proofs, content: &Content) -> Option<&'a Handshake> {
    proofs.handshake(content).filter(|handshake| !handshake.withdrawn)
}

/// Whether an endpoint answered, and not that it may agree later.
fn refuses(shaken: &Shaken) -> bool {
    let answer = shaken.answer.as_ref().map(|answer| Attempt::Answered { status: answer.status });
    answer.is_some_and(|answer| !matches!(verdict(answer), Verdict::Again(_)))
}

async fn view(caller: &Caller, webhook: &Webhook) -> Result<ConsentView> {
    let proofs = known(caller, webhook.id).await?;
    let agreed = !proofs.lacking(&webhook.content).contains(&fanhook_core::run::Proof::Consent);
    Ok(ConsentView {
        origin: origin(webhook)?,
        agreed,
        handshake: consent(&proofs, &webhook.content).map(HandshakeView::from),
        statement: proofs.statement.map(StatementView::from),
    })
}

/// What is proved of a webhook.
async fn known(caller: &Caller, id: WebhookId) -> Result<Proofs> {
    Ok(proofs::get(&*caller.config, &caller.workspace, id).await?)
}

/// What a consent is bound to.
fn origin(webhook: &Webhook) -> Result<String> {
    webhook.content.origin().ok_or_else(Problem::internal)
}
