//! Webhooks, by workspace, with all their versions.
//!
//! Each write also counts the uses of the parameter sources that the webhook names, and holds to the ID types that the webhook was checked
//! with ([`id_types`]).

use fanhook_core::{
    id::{ParameterSourceId, WebhookId, WorkspaceId},
    parameter_source::ParameterSource,
    webhook::Webhook,
};

use crate::{
    StoreResult, Users,
    audit::Entry,
    id_types::{self, IdTypes},
    item::{from_json, json, keyed},
    keys, names,
    ports::{Condition, Key, Table, Write},
    versioned::{self, Committed, Deleted, Head, Versioned, Writes, used},
};

impl Versioned for Webhook {
    const WHAT: &'static str = "webhook";
    const PREFIX: &'static str = keys::WEBHOOKS;
    type Id = WebhookId;
    const KEY: fn(&WorkspaceId, WebhookId) -> Key = keys::webhook;

    fn head(&self) -> Head<'_, WebhookId> {
        Head { workspace: &self.workspace, id: self.id, version: self.version, name: &self.name }
    }
}

/// What making a webhook gives.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It stands.
    Done,
    /// Another webhook of the workspace has this name.
    NameTaken,
    /// A parameter source that it names is gone.
    SourceGone,
    /// Somebody changed the ID types since it was checked.
    TypesChanged,
}

/// What replacing a webhook gives.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The new version stands.
    Done,
    /// Somebody changed it, or the ID types that it was checked with, since they were read.
    Changed,
    /// It is gone.
    Gone,
    /// Another webhook of the workspace has this name.
    NameTaken,
    /// A parameter source that it names is gone.
    SourceGone,
}

/// Makes a webhook that was checked with these ID types.
pub async fn create(
    config: &dyn Table,
    webhook: &Webhook,
    types: &IdTypes,
    audit: &Entry,
) -> StoreResult<Made> {
    let mut writes = Writes::made(webhook)?;
    writes.and(version(webhook)?);
    for source in webhook.content.sources() {
        writes.and_where(uses(webhook, source, 1), Made::SourceGone);
    }
    writes.and_where(id_types::named(&webhook.workspace, types), Made::TypesChanged);
    writes.and_where(names::take(webhook), Made::NameTaken);
    Ok(match writes.commit(config, audit).await? {
        Committed::Refused(refusal) => refusal,
        // A transaction whose answer was lost meets its own webhook.
        _ => Made::Done,
    })
}

/// Replaces the webhook that was read as `old` by one that was checked with these ID types; none where they are those of `old`.
pub async fn replace(
    config: &dyn Table,
    old: &Webhook,
    new: &Webhook,
    types: Option<&IdTypes>,
    audit: &Entry,
) -> StoreResult<Replaced> {
    let mut writes = Writes::replaced(old, new)?;
    writes.and(version(new)?);
    let (had, has) = (old.content.sources(), new.content.sources());
    for &source in has.difference(&had) {
        writes.and_where(uses(new, source, 1), Replaced::SourceGone);
    }
    for &source in had.difference(&has) {
        writes.and_where(uses(new, source, -1), Replaced::Changed);
    }
    if let Some(types) = types {
        writes.and_where(id_types::named(&new.workspace, types), Replaced::Changed);
    }
    if old.name != new.name {
        writes.and_where(names::take(new), Replaced::NameTaken);
        writes.and(names::release(old));
    }
    Ok(match writes.commit(config, audit).await? {
        Committed::Done => Replaced::Done,
        Committed::Changed(_) => Replaced::Changed,
        Committed::Gone => Replaced::Gone,
        Committed::Refused(refusal) => refusal,
    })
}

/// Deletes the webhook that was read so, unless a push uses it; its versions stay.
pub async fn delete(config: &dyn Table, webhook: &Webhook, audit: &Entry) -> StoreResult<Deleted> {
    let mut writes = Writes::deleted(webhook);
    writes.and(names::release(webhook));
    for source in webhook.content.sources() {
        writes.and_where(uses(webhook, source, -1), Deleted::Changed);
    }
    writes.delete(config, audit).await
}

/// One webhook of a workspace.
pub async fn get(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
) -> StoreResult<Option<Webhook>> {
    versioned::get(config, workspace, webhook).await
}

/// One version of a webhook, also of a deleted one.
pub async fn get_version(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    version: u32,
) -> StoreResult<Option<Webhook>> {
    let item = config.get(&keys::webhook_version(workspace, webhook, version)).await?;
    item.map(|item| from_json(Webhook::WHAT, &item)).transpose()
}

/// Webhooks of a workspace, oldest first, behind the one given; and where to go on.
pub async fn list(
    config: &dyn Table,
    workspace: &WorkspaceId,
    after: Option<WebhookId>,
    limit: usize,
) -> StoreResult<(Vec<Webhook>, Option<WebhookId>)> {
    versioned::list(config, workspace, after, limit).await
}

/// The webhooks that use something: read when its deletion is refused.
pub async fn users(
    config: &dyn Table,
    workspace: &WorkspaceId,
    uses: impl Fn(&Webhook) -> bool,
) -> StoreResult<Option<Users>> {
    versioned::users(config, workspace, uses).await
}

/// One use more or less of a parameter source, which must be there.
fn uses(webhook: &Webhook, source: ParameterSourceId, by: i64) -> (Write, Condition) {
    (used::<ParameterSource>(&webhook.workspace, source, by), Condition::Present)
}

fn version(webhook: &Webhook) -> StoreResult<Write> {
    let mut item = keyed(&keys::webhook_version(&webhook.workspace, webhook.id, webhook.version));
    item.insert("json".to_owned(), json(Webhook::WHAT, webhook)?);
    Ok(Write::Put(item))
}
