//! `/pushes`: a webhook, a value for each of its parameters, and the ID type to send.

use axum::{Json, http::StatusCode, response::IntoResponse};
use fanhook_core::{
    fault::Fault,
    id::{PushId, WebhookId},
    limits,
    push::{Push, PushContent, SendForm},
    webhook::Webhook,
};
use fanhook_store::{
    Written, id_types,
    pushes::{self, Made},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::{Caller, Granted, Id, Marketer, Member, Through},
    audit::Action,
    draft::{Draft, Parts},
    id_types::check_enabled,
    organization_key,
    output::{Page, PageQuery},
    precondition::{IfMatch, Tag, Tagged},
    problem::{ATTEMPTS, Problem, Result},
    query::Params,
};

/// A push as a marketer writes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Birthday",
    "webhook": "whk_0190a5b2c3d4e5f60718293a4b5c6d7e",
    "content": {
        "id_types": ["MOBILE"],
        "values": {"text": "Dear ${name}"},
        "variables": [{"name": "name", "source": {"tag": "first name"}, "when_empty": {"default": "member"}}],
    },
}))]
pub(crate) struct PushInput {
    /// Name of the step.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// The webhook that it goes through.
    webhook: WebhookId,
    /// What is sent to whom.
    content: PushContent,
}

/// A push as callers see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Push)]
#[schema(example = json!({
    "id": "psh_0190a5b2c3d4e5f60718293a4b5c6d7f", "version": 1, "name": "Birthday", "webhook": "whk_0190a5b2c3d4e5f60718293a4b5c6d7e",
    "content": {"id_types": ["MOBILE"], "id_policy": "first", "send_form": "plain", "values": {"text": "Happy birthday"}, "variables": []},
}))]
pub(crate) struct PushView {
    /// Its identifier.
    id: PushId,
    /// Counts the changes, from 1.
    version: u32,
    /// Name of the step.
    name: String,
    /// The webhook that it goes through.
    webhook: WebhookId,
    /// What is sent to whom.
    content: PushContent,
}

impl From<Push> for PushView {
    fn from(push: Push) -> Self {
        let Push { id, workspace: _, version, name, webhook, content } = push;
        Self { id, version, name, webhook, content }
    }
}

impl Parts for PushInput {
    const PARTS: &'static [&'static [&'static str]] = &[
        &["name"],
        &["webhook"],
        &["content.id_types", "webhook"],
        &["content.send_form"],
        &["content.values", "content.variables", "webhook"],
        &["content.variables", "content.values", "content.started_by", "webhook"],
        &["content.started_by"],
    ];
}

impl PushInput {
    fn push(&self, caller: &Caller, id: PushId, version: u32) -> Push {
        Push {
            id,
            workspace: caller.workspace.clone(),
            version,
            name: self.name.clone(),
            webhook: self.webhook,
            content: self.content.clone(),
        }
    }

    /// The webhook, that the caller may use it, and that the push fits it.
    async fn check(&self, caller: &Marketer) -> Result<Webhook> {
        let webhook = caller.webhook(self.webhook).await?;
        let push = self.push(caller, PushId::new(caller.random.uuid7(caller.now)), 1);
        let mut faults = faults(caller, &push, webhook.as_ref()).await?;
        if serde_json::to_vec(&push).map_or(usize::MAX, |json| json.len()) > limits::PUSH {
            faults.push(Fault::new("", format!("a push has at most {} bytes in all", limits::PUSH)));
        }
        match webhook {
            Some(webhook) if faults.is_empty() => Ok(webhook),
            Some(_) => Err(Problem::invalid(faults)),
            None => {
                faults.insert(0, Fault::new("webhook", "there is no such webhook"));
                Err(Problem::not_found().errors(faults))
            }
        }
    }
}

impl PushView {
    fn tagged(push: Push) -> Tagged<Self> {
        Tagged(Tag::version(push.version), push.into())
    }
}

/// All faults of a push through a webhook as they are now; without one, those that it has through any.
pub(crate) async fn faults(caller: &Caller, push: &Push, webhook: Option<&Webhook>) -> Result<Vec<Fault>> {
    let types = id_types::get(&*caller.config, &caller.workspace).await?.types;
    let mut faults = push.check(webhook);
    // One fault a type: what the webhook does not take is told already.
    let enabled =
        check_enabled(&push.content.id_types, &types).into_iter().map(|fault| fault.within("content"));
    let told: Vec<String> = faults.iter().map(|fault| fault.field.clone()).collect();
    faults.extend(enabled.filter(|fault| !told.contains(&fault.field)));
    if push.content.send_form == SendForm::Aes {
        let missing = organization_key::check(&*caller.ledger).await?;
        faults.extend(missing.map(|fault| fault.within("content")));
    }
    Ok(faults)
}

/// Makes a push, checked against its webhook.
#[utoipa::path(post, path = "/pushes", tag = "Pushes", operation_id = "create_push", request_body = PushInput, responses(
    (status = 201, description = "It was made.", body = PushView, headers(("etag" = String, description = "For `If-Match`."))),
    (status = 409, description = "`changed_meanwhile`."),
))]
pub(crate) async fn create(marketer: Marketer, draft: Draft<PushInput>) -> Result<impl IntoResponse> {
    for _ in 0..ATTEMPTS {
        let (input, webhook) = draft.check(|input| input.check(&marketer)).await?;
        let push = input.push(&marketer, PushId::new(marketer.random.uuid7(marketer.now)), 1);
        let view = PushView::from(push.clone());
        let entry = marketer.entry(Action::Made, ("push", &push.id.to_string()), None, Some(&view));
        match pushes::create(&*marketer.config, &push, &webhook, &entry).await? {
            Made::Done => return Ok((StatusCode::CREATED, PushView::tagged(push))),
            Made::WebhookChanged => {}
        }
    }
    Err(Problem::busy())
}

/// Lists the pushes, oldest first.
#[utoipa::path(get, path = "/pushes", tag = "Pushes", operation_id = "list_pushes", params(PageQuery), responses(
    (status = 200, description = "A page of them.", body = Page<PushView>),
))]
pub(crate) async fn list(member: Member, Params(page): Params<PageQuery>) -> Result<Json<Page<PushView>>> {
    let (after, limit) = page.read()?;
    let (found, more) = pushes::list(&*member.config, &member.workspace, after, limit).await?;
    Ok(Json(Page::new(found.into_iter().map(PushView::from).collect(), more)))
}

/// Reads a push.
#[utoipa::path(get, path = "/pushes/{id}", tag = "Pushes", operation_id = "read_push", params(("id" = PushId, Path)), responses(
    (status = 200, description = "The push.", body = PushView, headers(("etag" = String, description = "For `If-Match`."))),
))]
pub(crate) async fn read(member: Member, Id(id): Id<PushId>) -> Result<Tagged<PushView>> {
    Ok(PushView::tagged(find(&member, id).await?))
}

/// Replaces a push; runs that have started keep what they pinned.
#[utoipa::path(put, path = "/pushes/{id}", tag = "Pushes", operation_id = "replace_push",
    params(("id" = PushId, Path), IfMatch), request_body = PushInput, responses(
    (status = 200, description = "It was replaced.", body = PushView, headers(("etag" = String, description = "For `If-Match`."))),
    (status = 409, description = "`changed_meanwhile`."),
))]
pub(crate) async fn replace(
    Granted(marketer, mut old): Granted<Push>,
    if_match: IfMatch,
    draft: Draft<PushInput>,
) -> Result<Tagged<PushView>> {
    for _ in 0..ATTEMPTS {
        let (input, webhook) = draft.check(|input| input.check(&marketer)).await?;
        if_match.check(Some(&Tag::version(old.version)))?;
        let new = input.push(&marketer, old.id, old.version + 1);
        let (before, after) = (PushView::from(old.clone()), PushView::from(new.clone()));
        let entry =
            marketer.entry(Action::Replaced, ("push", &new.id.to_string()), Some(&before), Some(&after));
        match pushes::replace(&*marketer.config, &old, &new, &webhook, &entry).await? {
            Written::Done => return Ok(PushView::tagged(new)),
            Written::Gone => return Err(Problem::not_found()),
            Written::Changed => old = Granted::again(&marketer, old.id).await?,
        }
    }
    Err(Problem::busy())
}

/// Deletes a push; its runs go on.
#[utoipa::path(delete, path = "/pushes/{id}", tag = "Pushes", operation_id = "delete_push", params(("id" = PushId, Path), IfMatch), responses(
    (status = 204, description = "It is gone."),
    (status = 409, description = "`changed_meanwhile`."),
))]
pub(crate) async fn delete(
    Granted(marketer, mut push): Granted<Push>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    for _ in 0..ATTEMPTS {
        if_match.check(Some(&Tag::version(push.version)))?;
        let before = PushView::from(push.clone());
        let entry = marketer.entry(Action::Deleted, ("push", &push.id.to_string()), Some(&before), None);
        match pushes::delete(&*marketer.config, &push, &entry).await? {
            Written::Done => return Ok(StatusCode::NO_CONTENT),
            Written::Gone => return Err(Problem::not_found()),
            Written::Changed => push = Granted::again(&marketer, push.id).await?,
        }
    }
    Err(Problem::busy())
}

impl Through for Push {
    type Id = PushId;

    async fn find(caller: &Caller, id: PushId) -> Result<Self> {
        find(caller, id).await
    }

    fn webhook(&self) -> WebhookId {
        self.webhook
    }
}

/// A push of the caller's workspace.
pub(crate) async fn find(caller: &Caller, id: PushId) -> Result<Push> {
    pushes::get(&*caller.config, &caller.workspace, id).await?.ok_or_else(Problem::not_found)
}
