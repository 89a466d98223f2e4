//! `/webhooks`: the configuration of endpoints.

mod authentication;
mod endpoint;
pub(crate) mod signing;
mod view;

use axum::{Json, http::StatusCode, response::IntoResponse};
use fanhook_core::{
    fault::Fault,
    id::{IdTypeCode, WebhookId},
    limits,
    webhook::{Authentication, Content, Limits, Receipts, RetryPolicy, Signing, Webhook},
};
use fanhook_store::{
    Deleted,
    audit::Entry,
    endpoints,
    id_types::{self, IdTypes},
    proofs::Proofs,
    pushes,
    webhooks::{self, Made, Replaced},
};
use serde::Deserialize;
use utoipa::ToSchema;

pub(crate) use self::endpoint::{settings, settle};
use self::{
    authentication::AuthenticationInput,
    signing::{Fresh, SigningInput},
    view::WebhookView,
};
use crate::{
    access::{Admin, Caller, Id, Member},
    audit::Action,
    draft::{Draft, Parts},
    grants,
    id_types::check_enabled,
    output::{Page, PageQuery},
    parameter_sources::calls,
    precondition::{IfMatch, Tag, Tagged},
    problem::{ATTEMPTS, Problem, Result},
    query::Params,
};

/// A webhook as an administrator writes it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Coupons",
    "content": {
        "url": "https://crm.example.com/coupons/{id}",
        "parameters": [{"name": "text", "display_name": "Text", "type": "text", "required": true}],
        "body": {"kind": "json", "template": "{\"to\":\"{id}\",\"text\":\"{text}\"}"},
    },
    "id_types": ["MOBILE"],
    "authentication": {"kind": "header", "name": "X-Api-Key", "secret": "a secret of the receiver's"},
    "signing": {"kind": "standard_webhooks"},
    "limits": {"requests_per_second": 50},
    "retry": {"give_up_after_seconds": 86400},
    "receipts": {"recovery_period_seconds": 86400, "statuses": [{"code": "200", "value": "issued"}]},
}))]
pub(crate) struct WebhookInput {
    /// Unique in the workspace.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Free text.
    #[serde(default)]
    #[schema(max_length = 1000)]
    description: String,
    /// What a request consists of; a run keeps the one that it started with.
    content: Content,
    /// ID types that a push may send.
    #[schema(min_items = 1)]
    id_types: Vec<IdTypeCode>,
    /// Left out: as it was, which is `none` at first.
    #[serde(default)]
    authentication: Option<AuthenticationInput>,
    /// Left out: as it was, which is `none` at first.
    #[serde(default)]
    signing: Option<SigningInput>,
    /// Limits of now, for every run.
    #[serde(default)]
    limits: Limits,
    /// Retry policy of now, for every run.
    #[serde(default)]
    retry: RetryPolicy,
    /// What the receiver may report later about single users; left out: nothing.
    #[serde(default)]
    receipts: Option<Receipts>,
}

impl Parts for WebhookInput {
    const PARTS: &'static [&'static [&'static str]] = &[
        &["name"],
        &["description"],
        &["content.url", "content.parameters", "content.batch_size", "content.body"],
        &["content.headers", "content.parameters", "content.batch_size", "content.body", "content.body.item"],
        &["content.parameters"],
        &["content.body", "content.method"],
        &[
            "content.body.template",
            "content.body",
            "content.body.item",
            "content.parameters",
            "content.batch_size",
        ],
        &["content.body.item", "content.body", "content.parameters", "content.batch_size"],
        &["content.batch_size", "content.body", "content.body.item"],
        &["content.success", "content.body", "content.body.item"],
        &["content.split_refused", "content.batch_size", "content.body"],
        &["content.deadline_seconds"],
        &["id_types"],
        &["authentication", "content.headers", "content.body"],
        &["authentication.secret", "authentication", "content.url"],
        &["signing"],
        &["limits.requests_per_second"],
        &["limits.requests_at_a_time"],
        &["retry"],
        &["receipts"],
    ];
}

impl WebhookInput {
    fn webhook(&self, caller: &Caller, id: WebhookId, version: u32, secured: Secured) -> Webhook {
        let Secured { authentication, signing } = secured;
        Webhook {
            id,
            workspace: caller.workspace.clone(),
            version,
            name: self.name.clone(),
            description: self.description.clone(),
            content: self.content.clone(),
            id_types: self.id_types.clone(),
            authentication,
            signing,
            limits: self.limits,
            retry: self.retry,
            receipts: self.receipts.clone(),
        }
    }

    fn authentication<'a>(&'a self, old: Option<&'a Webhook>) -> authentication::Change<'a> {
        authentication::Change { input: self.authentication.as_ref(), old, content: &self.content }
    }

    /// The ID types that it fits; or all faults at once, those of the secrets with them.
    async fn check(&self, caller: &Caller, old: Option<&Webhook>) -> Result<IdTypes> {
        let id = WebhookId::new(caller.random.uuid7(caller.now));
        let authentication = self.authentication(old);
        let signing = old.map_or(Signing::None {}, |old| old.signing.clone());
        let secured = Secured { authentication: authentication.draft(), signing: signing.clone() };
        let webhook = self.webhook(caller, id, 1, secured);
        let mut faults = caller.with_rules(|rules| webhook.check(rules));
        let types = id_types::get(&*caller.config, &caller.workspace).await?;
        faults.extend(check_enabled(&webhook.id_types, &types.types));
        faults.extend(calls::check(caller, &webhook).await?);
        faults.extend(authentication.check());
        faults.extend(self.signing.iter().flat_map(|input| input.check(&signing)));
        if serde_json::to_vec(&webhook).map_or(usize::MAX, |json| json.len()) > limits::WEBHOOK {
            faults.push(Fault::new("", format!("a webhook has at most {} bytes in all", limits::WEBHOOK)));
        }
        if faults.is_empty() { Ok(types) } else { Err(Problem::invalid(faults)) }
    }
}

/// What of a webhook depends on secrets.
struct Secured {
    authentication: Authentication,
    signing: Signing,
}

/// Makes a webhook.
///
/// A signing secret that is made here is told in this answer, once.
#[utoipa::path(post, path = "/webhooks", tag = "Webhooks", operation_id = "create_webhook", request_body = WebhookInput, responses(
    (status = 201, description = "It was made.", body = WebhookView, headers(("etag" = String, description = "For `If-Match`."))),
    (status = 409, description = "`name_taken`; `changed_meanwhile`."),
))]
pub(crate) async fn create(admin: Admin, draft: Draft<WebhookInput>) -> Result<impl IntoResponse> {
    let (input, types) = draft.check(|input| input.check(&admin, None)).await?;
    let id = WebhookId::new(admin.random.uuid7(admin.now));
    let authentication = input.authentication(None).apply(&admin, id).await?;
    let mut fresh = Fresh::default();
    let signing = fresh.signing(&admin, id, input.signing.as_ref(), &Signing::None {}).await?;
    let webhook = input.webhook(&admin, id, 1, Secured { authentication, signing });
    // The endpoint first: a webhook without one could not be called.
    endpoint::write(&admin, &webhook, &Proofs::default()).await?;
    let view = WebhookView::audited(&webhook);
    let entry = admin.entry(Action::Made, ("webhook", &id.to_string()), None, Some(&view));
    let stored = store(&admin, input, &webhook, types, &entry).await;
    if stored.is_err() {
        endpoint::settle(&admin, id).await?;
    }
    stored.map(|()| (StatusCode::CREATED, WebhookView::tagged(&webhook, fresh.told)))
}

/// Stores a new webhook, checked again where the ID types have changed.
async fn store(
    admin: &Admin,
    input: &WebhookInput,
    webhook: &Webhook,
    mut types: IdTypes,
    entry: &Entry,
) -> Result<()> {
    for _ in 0..ATTEMPTS {
        match webhooks::create(&*admin.config, webhook, &types, entry).await? {
            Made::Done => return Ok(()),
            Made::NameTaken => return Err(Problem::name_taken("webhook")),
            Made::SourceGone => return Err(Problem::invalid(calls::check(admin, webhook).await?)),
            Made::TypesChanged => types = input.check(admin, None).await?,
        }
    }
    Err(Problem::busy())
}

/// Lists the webhooks, oldest first.
#[utoipa::path(get, path = "/webhooks", tag = "Webhooks", operation_id = "list_webhooks", params(PageQuery), responses(
    (status = 200, description = "A page of them.", body = Page<WebhookView>),
))]
pub(crate) async fn list(member: Member, Params(page): Params<PageQuery>) -> Result<Json<Page<WebhookView>>> {
    let (after, limit) = page.read()?;
    let (found, more) = webhooks::list(&*member.config, &member.workspace, after, limit).await?;
    Ok(Json(Page::new(found.iter().map(|webhook| WebhookView::new(webhook, None)).collect(), more)))
}

/// Reads a webhook; secrets are never told.
#[utoipa::path(get, path = "/webhooks/{id}", tag = "Webhooks", operation_id = "read_webhook", params(("id" = WebhookId, Path)), responses(
    (status = 200, description = "The webhook.", body = WebhookView, headers(("etag" = String, description = "For `If-Match`."))),
))]
pub(crate) async fn read(member: Member, Id(id): Id<WebhookId>) -> Result<Tagged<WebhookView>> {
    Ok(WebhookView::tagged(&find(&member, id).await?, None))
}

/// Replaces a webhook by a new version.
///
/// Runs that have started keep the content of theirs; limits, retry policy and secrets are those of now. A parked endpoint is opened again.
#[utoipa::path(put, path = "/webhooks/{id}", tag = "Webhooks", operation_id = "replace_webhook",
    params(("id" = WebhookId, Path), IfMatch), request_body = WebhookInput, responses(
    (status = 200, description = "It was replaced.", body = WebhookView, headers(("etag" = String, description = "For `If-Match`."))),
    (status = 409, description = "`name_taken`; `changed_meanwhile`."),
))]
pub(crate) async fn replace(
    admin: Admin,
    Id(id): Id<WebhookId>,
    if_match: IfMatch,
    draft: Draft<WebhookInput>,
) -> Result<Tagged<WebhookView>> {
    let mut fresh = Fresh::default();
    for _ in 0..ATTEMPTS {
        let old = find(&admin, id).await?;
        let (input, types) = draft.check(|input| input.check(&admin, Some(&old))).await?;
        if_match.check(Some(&Tag::version(old.version)))?;
        let secured = Secured {
            authentication: input.authentication(Some(&old)).apply(&admin, id).await?,
            signing: fresh.signing(&admin, id, input.signing.as_ref(), &old.signing).await?,
        };
        let new = input.webhook(&admin, id, old.version + 1, secured);
        let (before, after) = (WebhookView::audited(&old), WebhookView::audited(&new));
        let entry = admin.entry(Action::Replaced, ("webhook", &id.to_string()), Some(&before), Some(&after));
        match webhooks::replace(&*admin.config, &old, &new, Some(&types), &entry).await? {
            Replaced::Done => {
                endpoint::settle(&admin, id).await?;
                endpoints::open(&*admin.ledger, id).await?;
                return Ok(WebhookView::tagged(&new, fresh.told));
            }
            Replaced::NameTaken => return Err(Problem::name_taken("webhook")),
            Replaced::Gone => return Err(Problem::not_found()),
            Replaced::SourceGone => return Err(Problem::invalid(calls::check(&admin, &new).await?)),
            Replaced::Changed => {}
        }
    }
    Err(Problem::busy())
}

/// Deletes a webhook that no push uses.
#[utoipa::path(delete, path = "/webhooks/{id}", tag = "Webhooks", operation_id = "delete_webhook",
    params(("id" = WebhookId, Path), IfMatch), responses(
    (status = 204, description = "It is gone."),
    (status = 409, description = "`in_use`, with the pushes in `used_by`; `changed_meanwhile`."),
))]
pub(crate) async fn delete(admin: Admin, Id(id): Id<WebhookId>, if_match: IfMatch) -> Result<StatusCode> {
    for _ in 0..ATTEMPTS {
        let Some(webhook) = webhooks::get(&*admin.config, &admin.workspace, id).await? else {
            // Whoever deleted it may have failed before the rest was gone.
            if webhooks::get_version(&*admin.config, &admin.workspace, id, 1).await?.is_some() {
                clear(&admin, id).await?;
            }
            return Err(Problem::not_found());
        };
        if_match.check(Some(&Tag::version(webhook.version)))?;
        let view = WebhookView::audited(&webhook);
        let entry = admin.entry(Action::Deleted, ("webhook", &id.to_string()), Some(&view), None);
        match webhooks::delete(&*admin.config, &webhook, &entry).await? {
            Deleted::Done => {
                clear(&admin, id).await?;
                return Ok(StatusCode::NO_CONTENT);
            }
            Deleted::Gone => return Err(Problem::not_found()),
            Deleted::InUse => {
                // None: the last one has just gone.
                if let Some(users) = pushes::users(&*admin.config, &admin.workspace, id).await? {
                    return Err(Problem::in_use(&users));
                }
            }
            Deleted::Changed => {}
        }
    }
    Err(Problem::busy())
}

/// Removes what a webhook that is gone leaves: first its endpoint, so that no run goes on sending.
async fn clear(caller: &Caller, id: WebhookId) -> Result<()> {
    endpoint::settle(caller, id).await?;
    grants::delete_all(caller, id).await?;
    Ok(())
}

/// A webhook of the caller's workspace.
pub(crate) async fn find(caller: &Caller, id: WebhookId) -> Result<Webhook> {
    webhooks::get(&*caller.config, &caller.workspace, id).await?.ok_or_else(Problem::not_found)
}
