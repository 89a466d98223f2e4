//! Pushes, by workspace. Each write also counts the uses of its webhook, and needs the version of it that the push was checked against.

use fanhook_core::{
    id::{PushId, WebhookId, WorkspaceId},
    push::Push,
    webhook::Webhook,
};

use crate::{
    StoreError, StoreResult,
    audit::{self, Entry},
    item::{from_json, json, keyed, number, text},
    keys,
    ports::{Condition, Query, Table, Transaction, Update, Write},
    webhooks,
};

const WHAT: &str = "push";

/// What saving or deleting a push gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It was done.
    Done,
    /// Somebody changed the push, or its webhook, since they were read.
    Changed,
    /// The push is gone.
    Unknown,
}

/// Makes a push that was checked against `webhook`.
pub async fn create(config: &dyn Table, push: &Push, webhook: &Webhook, audit: &Entry) -> StoreResult<Saved> {
    let mut item = keyed(&keys::push(&push.workspace, push.id));
    item.insert("json".to_owned(), json(WHAT, push)?);
    item.insert("version".to_owned(), number(push.version));
    item.insert("webhook".to_owned(), text(push.webhook));
    let mut writes = vec![
        (Write::Put(item), Some(Condition::Absent)),
        (webhooks::used(&push.workspace, push.webhook, 1), Some(webhooks::unchanged(webhook))),
    ];
    writes.extend(audit::writes(&push.workspace, audit)?);
    Ok(match config.transact(writes).await? {
        Transaction::Done => Saved::Done,
        // A transaction whose answer was lost meets its own push.
        Transaction::Failed(failed) if failed.iter().any(|(index, _)| *index == 0) => Saved::Done,
        Transaction::Failed(_) => Saved::Changed,
    })
}

/// Replaces the push that was read as `old` by one that was checked against `webhook`.
pub async fn replace(
    config: &dyn Table,
    old: &Push,
    new: &Push,
    webhook: &Webhook,
    audit: &Entry,
) -> StoreResult<Saved> {
    let stored = json(WHAT, new)?;
    let update = Update::default()
        .set("json", stored.clone())
        .set("version", number(new.version))
        .set("webhook", text(new.webhook));
    let key = keys::push(&new.workspace, new.id);
    let mut writes =
        vec![(Write::Update(key, update), Some(Condition::Equals("version", number(old.version))))];
    let unchanged = Some(webhooks::unchanged(webhook));
    if old.webhook == new.webhook {
        writes.push((Write::Check(keys::webhook(&new.workspace, new.webhook)), unchanged));
    } else {
        writes.push((webhooks::used(&new.workspace, new.webhook, 1), unchanged));
        writes.push((webhooks::used(&new.workspace, old.webhook, -1), Some(Condition::Present)));
    }
    writes.extend(audit::writes(&new.workspace, audit)?);
    let Transaction::Failed(failed) = config.transact(writes).await? else { return Ok(Saved::Done) };
    Ok(match failed.into_iter().find(|(index, _)| *index == 0) {
        Some((_, None)) => Saved::Unknown,
        // A transaction whose answer was lost meets its own version.
        Some((_, Some(item))) if item.get("json") == Some(&stored) => Saved::Done,
        _ => Saved::Changed,
    })
}

/// Deletes the push that was read so. Its runs go on: they pinned what they need.
pub async fn delete(config: &dyn Table, push: &Push, audit: &Entry) -> StoreResult<Saved> {
    let unchanged = Condition::Equals("version", number(push.version));
    let mut writes = vec![
        (Write::Delete(keys::push(&push.workspace, push.id)), Some(unchanged)),
        (webhooks::used(&push.workspace, push.webhook, -1), Some(Condition::Present)),
    ];
    writes.extend(audit::writes(&push.workspace, audit)?);
    let Transaction::Failed(failed) = config.transact(writes).await? else { return Ok(Saved::Done) };
    Ok(match failed.into_iter().find(|(index, _)| *index == 0) {
        Some((_, None)) => Saved::Unknown,
        _ => Saved::Changed,
    })
}

/// One push of a workspace.
pub async fn get(config: &dyn Table, workspace: &WorkspaceId, push: PushId) -> StoreResult<Option<Push>> {
    config.get(&keys::push(workspace, push)).await?.map(|item| from_json(WHAT, &item)).transpose()
}

/// Pushes of a workspace, oldest first, behind the one given; and where to go on.
pub async fn list(
    config: &dyn Table,
    workspace: &WorkspaceId,
    after: Option<PushId>,
    limit: usize,
) -> StoreResult<(Vec<Push>, Option<PushId>)> {
    let query = Query {
        pk: keys::workspace(workspace),
        prefix: keys::PUSHES.to_owned(),
        after: after.and_then(|push| keys::push(workspace, push).sk),
        limit,
        consistent: true,
        ..Query::default()
    };
    let page = config.query(&query).await?;
    let pushes = page.items.iter().map(|item| from_json(WHAT, item)).collect::<StoreResult<_>>()?;
    let parse = |sk: String| {
        let id = sk.strip_prefix(keys::PUSHES).and_then(|id| id.parse().ok());
        id.ok_or_else(|| StoreError::corrupt(WHAT, "its sort key is not an identifier"))
    };
    Ok((pushes, page.more.map(parse).transpose()?))
}

/// All pushes that use a webhook: read when its deletion is refused.
pub async fn using(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
) -> StoreResult<Vec<Push>> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (pushes, more) = list(config, workspace, after, 100).await?;
        found.extend(pushes.into_iter().filter(|push| push.webhook == webhook));
        match more {
            Some(more) => after = Some(more),
            None => return Ok(found),
        }
    }
}
