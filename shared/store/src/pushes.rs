//! Pushes, by workspace. Each write also counts the uses of its webhook, and needs the version of it that the push was checked against.

use fanhook_core::{
    id::{PushId, WebhookId, WorkspaceId},
    push::Push,
    webhook::Webhook,
};

use crate::{
    StoreResult, Users, Written,
    audit::Entry,
    keys,
    ports::{Condition, Key, Table, Write},
    versioned::{self, Committed, Head, Versioned, Writes, unchanged, used},
};

impl Versioned for Push {
    const WHAT: &'static str = "push";
    const PREFIX: &'static str = keys::PUSHES;
    type Id = PushId;
    const KEY: fn(&WorkspaceId, PushId) -> Key = keys::push;

    fn head(&self) -> Head<'_, PushId> {
        Head { workspace: &self.workspace, id: self.id, version: self.version, name: &self.name }
    }
}

/// What making a push gives.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It stands.
    Done,
    /// Somebody changed its webhook since the push was checked.
    WebhookChanged,
}

/// Makes a push that was checked against `webhook`.
pub async fn create(config: &dyn Table, push: &Push, webhook: &Webhook, audit: &Entry) -> StoreResult<Made> {
    let mut writes = Writes::made(push)?;
    writes.and_where((uses(push, 1), unchanged(webhook)), Made::WebhookChanged);
    Ok(match writes.commit(config, audit).await? {
        Committed::Refused(refusal) => refusal,
        // A transaction whose answer was lost meets its own push.
        _ => Made::Done,
    })
}

/// Replaces the push that was read as `old` by one that was checked against `webhook`. It counts as changed where the webhook is.
pub async fn replace(
    config: &dyn Table,
    old: &Push,
    new: &Push,
    webhook: &Webhook,
    audit: &Entry,
) -> StoreResult<Written> {
    let mut writes = Writes::replaced(old, new)?;
    if old.webhook == new.webhook {
        let check = Write::Check(keys::webhook(&new.workspace, new.webhook));
        writes.and_where((check, unchanged(webhook)), Written::Changed);
    } else {
        writes.and_where((uses(new, 1), unchanged(webhook)), Written::Changed);
        writes.and_where((uses(old, -1), Condition::Present), Written::Changed);
    }
    written(writes, config, audit).await
}

/// Deletes the push that was read so. Its runs go on: they pinned what they need.
pub async fn delete(config: &dyn Table, push: &Push, audit: &Entry) -> StoreResult<Written> {
    let mut writes = Writes::deleted(push);
    writes.and_where((uses(push, -1), Condition::Present), Written::Changed);
    written(writes, config, audit).await
}

async fn written(writes: Writes<'_, Written>, config: &dyn Table, audit: &Entry) -> StoreResult<Written> {
    Ok(match writes.commit(config, audit).await? {
        Committed::Done => Written::Done,
        Committed::Changed(_) => Written::Changed,
        Committed::Gone => Written::Gone,
        Committed::Refused(refusal) => refusal,
    })
}

/// One use more or less of a push's webhook.
fn uses(push: &Push, by: i64) -> Write {
    used::<Webhook>(&push.workspace, push.webhook, by)
}

/// One push of a workspace.
pub async fn get(config: &dyn Table, workspace: &WorkspaceId, push: PushId) -> StoreResult<Option<Push>> {
    versioned::get(config, workspace, push).await
}

/// Pushes of a workspace, oldest first, behind the one given; and where to go on.
pub async fn list(
    config: &dyn Table,
    workspace: &WorkspaceId,
    after: Option<PushId>,
    limit: usize,
) -> StoreResult<(Vec<Push>, Option<PushId>)> {
    versioned::list(config, workspace, after, limit).await
}

/// The pushes that use a webhook: read when its deletion is refused.
pub async fn users(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
) -> StoreResult<Option<Users>> {
    versioned::users(config, workspace, |push: &Push| push.webhook == webhook).await
}
