//! `/webhooks/{id}/grants`: who may use a webhook, beside administrators.

use std::future::ready;

use axum::{
    Json,
    extract::{Path, rejection::PathRejection},
    http::StatusCode,
    response::IntoResponse,
};
use fanhook_core::{
    fault::Fault,
    id::{GrantId, WebhookId, has_control},
    limits,
    time::Millis,
};
use fanhook_store::{
    Written,
    grants::{self, Grant, Grantee},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::{Admin, Caller, Id, Member, is_name},
    audit::Action,
    draft::{Draft, Parts},
    output::{Page, PageQuery, Time},
    precondition::{IfMatch, Tag, Tagged},
    problem::{ATTEMPTS, Problem, Result},
    query::Params,
    webhooks,
};

/// A grant as an administrator writes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"to": {"role": "loyalty-team"}, "until": "2027-12-31T23:59:59Z"}))]
pub(crate) struct GrantInput {
    /// Whom it is given to.
    to: Grantee,
    /// When it ends; left out: never.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// A grant as callers see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Grant)]
#[schema(example = json!({
    "id": "grt_0190a5b2c3d4e5f60718293a4b5c6d7e", "to": {"role": "loyalty-team"}, "until": "2027-12-31T23:59:59.000Z", "ended": false,
    "etag": "\"1f0a9c3e5b7d2468\"",
}))]
pub(crate) struct GrantView {
    /// Its identifier: the same for a grantee whenever it is given.
    id: GrantId,
    /// Whom it is given to.
    to: Grantee,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Time>,
    /// Whether it has ended.
    ended: bool,
    /// For `If-Match`.
    etag: Tag,
}

impl GrantView {
    fn new(grant: Grant, now: Millis) -> Self {
        let (ended, etag) = (grant.until.is_some_and(|until| until <= now), Tag::of(&grant));
        Self { id: grant.to.grant_id(), to: grant.to, until: grant.until.map(Time), ended, etag }
    }
}

impl Parts for GrantInput {
    const PARTS: &'static [&'static [&'static str]] = &[&["to"], &["until"]];
}

impl GrantInput {
    fn check(&self, now: Millis) -> Result<Grant> {
        let mut faults = Vec::new();
        let (field, name) = match &self.to {
            Grantee::Person(subject) => ("to.person", subject),
            Grantee::Role(name) => ("to.role", name),
        };
        if !(1..=limits::GRANTEE).contains(&name.len()) || has_control(name) {
            let rule = format!("must be 1 to {} bytes without control characters", limits::GRANTEE);
            faults.push(Fault::new(field, rule));
        } else if matches!(self.to, Grantee::Role(_)) && !is_name(name) {
            // Such a group is not surely read whole from a token: the grant could never hold.
            faults.push(Fault::new(field, "must not hold blanks, commas, double quotes or square brackets"));
        }
        let until = self.until.map(|at| Millis(u64::try_from(at.as_millisecond()).unwrap_or(0)));
        if until.is_some_and(|until| until <= now) {
            faults.push(Fault::new("until", "has passed").hint("delete the grant to take it back"));
        }
        if faults.is_empty() {
            Ok(Grant { to: self.to.clone(), until })
        } else {
            Err(Problem::invalid(faults))
        }
    }
}

/// Lists the grants on a webhook.
#[utoipa::path(get, path = "/webhooks/{id}/grants", tag = "Grants", operation_id = "list_grants",
    params(("id" = WebhookId, Path), PageQuery), responses(
    (status = 200, description = "A page of them.", body = Page<GrantView>),
))]
pub(crate) async fn list(
    member: Member,
    Id(id): Id<WebhookId>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<GrantView>>> {
    webhooks::find(&member, id).await?;
    let (after, limit) = page.read()?;
    let (found, more) = grants::list(&*member.config, &member.workspace, id, after, limit).await?;
    let items = found.into_iter().map(|grant| GrantView::new(grant, member.now)).collect();
    Ok(Json(Page::new(items, more)))
}

/// Grants the use of a webhook to a person or a role, in place of the grant that they had.
#[utoipa::path(post, path = "/webhooks/{id}/grants", tag = "Grants", operation_id = "give_grant",
    params(("id" = WebhookId, Path), IfMatch), request_body = GrantInput, responses(
    (status = 200, description = "The grant that they had was replaced.", body = GrantView, headers(("etag" = String, description = "For `If-Match`."))),
    (status = 201, description = "The grant was given.", body = GrantView, headers(("etag" = String, description = "For `If-Match`."))),
    (status = 409, description = "`changed_meanwhile`."),
))]
pub(crate) async fn give(
    admin: Admin,
    Id(id): Id<WebhookId>,
    if_match: IfMatch,
    draft: Draft<GrantInput>,
) -> Result<impl IntoResponse> {
    webhooks::find(&admin, id).await?;
    let (_, grant) = draft.check(|input| ready(input.check(admin.now))).await?;
    let (table, workspace) = (&*admin.config, &admin.workspace);
    for _ in 0..ATTEMPTS {
        let had = grants::get(table, workspace, id, grant.to.grant_id()).await?;
        if_match.check(had.as_ref().map(Tag::of).as_ref())?;
        let (status, action) = match had {
            Some(_) => (StatusCode::OK, Action::Replaced),
            None => (StatusCode::CREATED, Action::Made),
        };
        let before = had.clone().map(|had| GrantView::new(had, admin.now));
        let view = GrantView::new(grant.clone(), admin.now);
        let entry = admin.entry(action, ("grant", &id.to_string()), before.as_ref(), Some(&view));
        match grants::put(table, workspace, id, had.as_ref(), &grant, &entry).await? {
            Written::Done => return Ok((status, Tagged(Tag::of(&grant), view))),
            Written::Gone => return Err(Problem::not_found()),
            Written::Changed => {}
        }
    }
    Err(Problem::busy())
}

/// Takes a grant back.
#[utoipa::path(delete, path = "/webhooks/{id}/grants/{grant}", tag = "Grants", operation_id = "take_grant",
    params(("id" = WebhookId, Path), ("grant" = GrantId, Path), IfMatch), responses(
    (status = 204, description = "It is taken back."),
    (status = 409, description = "`changed_meanwhile`."),
))]
pub(crate) async fn take(
    admin: Admin,
    path: std::result::Result<Path<(WebhookId, GrantId)>, PathRejection>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    // What can't be an identifier is unknown like any other.
    let Path((webhook, grant)) = path.map_err(|_| Problem::not_found())?;
    let (table, workspace) = (&*admin.config, &admin.workspace);
    for _ in 0..ATTEMPTS {
        let had = grants::get(table, workspace, webhook, grant).await?.ok_or_else(Problem::not_found)?;
        if_match.check(Some(&Tag::of(&had)))?;
        match delete(&admin, webhook, had).await? {
            Written::Done => return Ok(StatusCode::NO_CONTENT),
            Written::Gone => return Err(Problem::not_found()),
            Written::Changed => {}
        }
    }
    Err(Problem::busy())
}

async fn delete(caller: &Caller, webhook: WebhookId, had: Grant) -> Result<Written> {
    let view = GrantView::new(had.clone(), caller.now);
    let entry = caller.entry(Action::Deleted, ("grant", &webhook.to_string()), Some(&view), None);
    Ok(grants::delete(&*caller.config, &caller.workspace, webhook, &had, &entry).await?)
}

/// Takes all grants on a webhook back that is gone.
pub(crate) async fn delete_all(caller: &Caller, webhook: WebhookId) -> Result<()> {
    loop {
        let (all, more) =
            grants::list(&*caller.config, &caller.workspace, webhook, None, limits::PAGE).await?;
        for grant in all {
            // One that is not as it was read is taken back by somebody else at this moment: none is given any more.
            let (Written::Done | Written::Changed | Written::Gone) = delete(caller, webhook, grant).await?;
        }
        if more.is_none() {
            return Ok(());
        }
    }
}
