//! `/pushes`: a webhook, a value for each of its parameters, and the ID type to send.

use axum::{Json, http::StatusCode, response::IntoResponse};
use fanhook_core::{
    fault::Fault,
    id::{PushId, WebhookId},
    push::{Push, PushContent},
    webhook::Webhook,
};
use fanhook_store::{
    id_types,
    pushes::{self, Saved},
    webhooks,
};
use serde::{Deserialize, Serialize};

use crate::{
    access::{Caller, Id, Member},
    id_types::check_enabled,
    input::{Input, Params},
    output::{Page, PageQuery},
    problem::{Problem, Result},
};

/// Largest push, in bytes of JSON: beside a webhook it must fit into one item of what a run pins.
const MAX_STORED: usize = 100 * 1024;
/// Attempts at a change that others are faster at.
const ATTEMPTS: usize = 10;

/// A push as a marketer writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PushInput {
    name: String,
    webhook: WebhookId,
    content: PushContent,
}

/// A push as callers see it.
#[derive(Debug, Serialize)]
pub(crate) struct PushView {
    id: PushId,
    version: u32,
    name: String,
    webhook: WebhookId,
    content: PushContent,
}

impl From<Push> for PushView {
    fn from(push: Push) -> Self {
        let Push { id, workspace: _, version, name, webhook, content } = push;
        Self { id, version, name, webhook, content }
    }
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

    /// The webhook, and that the push fits it.
    async fn check(&self, caller: &Caller) -> Result<Webhook> {
        let webhook = webhooks::get(&*caller.config, &caller.workspace, self.webhook).await?;
        let unknown = || Problem::not_found().errors(vec![Fault::new("webhook", "there is no such webhook")]);
        let webhook = webhook.ok_or_else(unknown)?;
        let push = self.push(caller, PushId::new(caller.random.uuid7(caller.now)), 1);
        let mut faults = faults(caller, &push, &webhook).await?;
        if serde_json::to_vec(&push).map_or(usize::MAX, |json| json.len()) > MAX_STORED {
            faults.push(Fault::new("", format!("a push has at most {MAX_STORED} bytes in all")));
        }
        if faults.is_empty() { Ok(webhook) } else { Err(Problem::invalid(faults)) }
    }
}

/// All faults of a push through a webhook as they are now.
pub(crate) async fn faults(caller: &Caller, push: &Push, webhook: &Webhook) -> Result<Vec<Fault>> {
    let types = id_types::get(&*caller.config, &caller.workspace).await?.types;
    let mut faults = push.check(webhook);
    // One fault a type: what the webhook does not take is told already.
    let enabled =
        check_enabled(&push.content.id_types, &types).into_iter().map(|fault| fault.within("content"));
    let told: Vec<String> = faults.iter().map(|fault| fault.field.clone()).collect();
    faults.extend(enabled.filter(|fault| !told.contains(&fault.field)));
    Ok(faults)
}

/// `POST /pushes`.
pub(crate) async fn create(member: Member, Input(input): Input<PushInput>) -> Result<impl IntoResponse> {
    for _ in 0..ATTEMPTS {
        let webhook = input.check(&member).await?;
        let push = input.push(&member, PushId::new(member.random.uuid7(member.now)), 1);
        if pushes::create(&*member.config, &push, &webhook).await? == Saved::Done {
            return Ok((StatusCode::CREATED, Json(PushView::from(push))));
        }
    }
    Err(Problem::busy())
}

/// `GET /pushes`, oldest first.
pub(crate) async fn list(member: Member, Params(page): Params<PageQuery>) -> Result<Json<Page<PushView>>> {
    let (after, limit) = page.read()?;
    let (found, more) = pushes::list(&*member.config, &member.workspace, after, limit).await?;
    Ok(Json(Page::new(found.into_iter().map(PushView::from).collect(), more)))
}

/// `GET /pushes/{id}`.
pub(crate) async fn read(member: Member, Id(id): Id<PushId>) -> Result<Json<PushView>> {
    Ok(Json(find(&member, id).await?.into()))
}

/// `PUT /pushes/{id}`: replaces it; runs that have started keep what they pinned.
pub(crate) async fn replace(
    member: Member,
    Id(id): Id<PushId>,
    Input(input): Input<PushInput>,
) -> Result<Json<PushView>> {
    for _ in 0..ATTEMPTS {
        let old = find(&member, id).await?;
        let webhook = input.check(&member).await?;
        let new = input.push(&member, id, old.version + 1);
        match pushes::replace(&*member.config, &old, &new, &webhook).await? {
            Saved::Done => return Ok(Json(new.into())),
            Saved::Unknown => return Err(Problem::not_found()),
            Saved::Changed => {}
        }
    }
    Err(Problem::busy())
}

/// `DELETE /pushes/{id}`: its runs go on.
pub(crate) async fn delete(member: Member, Id(id): Id<PushId>) -> Result<StatusCode> {
    for _ in 0..ATTEMPTS {
        let push = find(&member, id).await?;
        match pushes::delete(&*member.config, &push).await? {
            Saved::Done => return Ok(StatusCode::NO_CONTENT),
            Saved::Unknown => return Err(Problem::not_found()),
            Saved::Changed => {}
        }
    }
    Err(Problem::busy())
}

/// A push of the caller's workspace.
pub(crate) async fn find(caller: &Caller, id: PushId) -> Result<Push> {
    pushes::get(&*caller.config, &caller.workspace, id).await?.ok_or_else(Problem::not_found)
}
