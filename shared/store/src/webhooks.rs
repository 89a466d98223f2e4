//! Webhooks, by workspace, with all their versions; a name is taken by an item of its own.
//!
//! Each write also counts the uses of the parameter sources that the webhook names ([`parameter_sources`]), and holds to the ID types that
//! the webhook was checked with ([`id_types`]).
//! A webhook's item counts the pushes that use it (`uses`), in the transactions that make, move and delete pushes: so a
//! webhook that is used can't be deleted, whatever happens at once.

use fanhook_core::{
    id::{WebhookId, WorkspaceId},
    webhook::Webhook,
};
use sha2::{Digest, Sha256};

use crate::{
    StoreError, StoreResult,
    audit::{self, Entry},
    id_types::{self, IdTypes},
    item::{Attributes, from_json, json, keyed, number, text},
    keys, parameter_sources,
    ports::{Change, Condition, Item, Key, Query, Table, Transaction, Update, Write},
};

const WHAT: &str = "webhook";

/// What saving a webhook gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It stands.
    Done,
    /// Another webhook of the workspace has this name.
    NameTaken,
    /// Somebody changed it since it was read.
    Changed,
    /// It is gone.
    Unknown,
    /// A parameter source that it names is gone.
    SourceGone,
    /// Somebody changed the ID types since it was checked.
    TypesChanged,
}

/// What deleting a webhook gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone; its versions stay.
    Done,
    /// Pushes use it.
    InUse,
    /// Somebody changed it since it was read.
    Changed,
    /// It was gone before.
    Unknown,
}

/// Makes a webhook that was checked with these ID types.
pub async fn create(
    config: &dyn Table,
    webhook: &Webhook,
    types: &IdTypes,
    audit: &Entry,
) -> StoreResult<Saved> {
    let mut item = keyed(&key(webhook));
    item.insert("json".to_owned(), json(WHAT, webhook)?);
    item.insert("version".to_owned(), number(webhook.version));
    let mut writes = vec![
        (Write::Put(item), Some(Condition::Absent)),
        (Write::Put(version(webhook)?), None),
        (Write::Put(name(webhook)), Some(Condition::Absent)),
    ];
    let others = writes.len();
    let sources = webhook.content.sources();
    writes.extend(sources.iter().map(|&source| parameter_sources::used(&webhook.workspace, source, 1)));
    let sources = others..writes.len();
    writes.push(id_types::named(&webhook.workspace, types));
    writes.extend(audit::writes(&webhook.workspace, audit)?);
    match config.transact(writes).await? {
        Transaction::Done => Ok(Saved::Done),
        // A transaction whose answer was lost meets its own webhook.
        Transaction::Failed(failed) if failed.iter().any(|(index, _)| *index == 0) => Ok(Saved::Done),
        Transaction::Failed(failed) if failed.iter().any(|(index, _)| sources.contains(index)) => {
            Ok(Saved::SourceGone)
        }
        Transaction::Failed(failed) if failed.iter().any(|(index, _)| *index == sources.end) => {
            Ok(Saved::TypesChanged)
        }
        Transaction::Failed(_) => Ok(Saved::NameTaken),
    }
}

/// Replaces the webhook that was read as `old` by one that was checked with these ID types; none where they are those of `old`.
pub async fn replace(
    config: &dyn Table,
    old: &Webhook,
    new: &Webhook,
    types: Option<&IdTypes>,
    audit: &Entry,
) -> StoreResult<Saved> {
    let stored = json(WHAT, new)?;
    let update = Update::default().set("json", stored.clone()).set("version", number(new.version));
    let unchanged = Condition::Equals("version", number(old.version));
    let mut writes =
        vec![(Write::Update(key(new), update), Some(unchanged)), (Write::Put(version(new)?), None)];
    if old.name != new.name {
        writes.push((Write::Put(name(new)), Some(Condition::Absent)));
        writes.push((Write::Delete(name_key(old)), None));
    }
    let others = writes.len();
    let (had, has) = (old.content.sources(), new.content.sources());
    writes.extend(has.difference(&had).map(|&source| parameter_sources::used(&new.workspace, source, 1)));
    let sources = others..writes.len();
    let named = types.map(|types| id_types::named(&new.workspace, types));
    let types = sources.end..sources.end + usize::from(named.is_some());
    writes.extend(named);
    writes.extend(had.difference(&has).map(|&source| parameter_sources::used(&new.workspace, source, -1)));
    writes.extend(audit::writes(&new.workspace, audit)?);
    let Transaction::Failed(failed) = config.transact(writes).await? else { return Ok(Saved::Done) };
    let gone = failed.iter().any(|(index, _)| sources.contains(index));
    let types_changed = failed.iter().any(|(index, _)| types.contains(index));
    Ok(match failed.into_iter().find(|(index, _)| *index == 0) {
        None if gone => Saved::SourceGone,
        None if types_changed => Saved::TypesChanged,
        Some((_, None)) => Saved::Unknown,
        // A transaction whose answer was lost meets its own version.
        Some((_, Some(item))) if item.get("json") == Some(&stored) => Saved::Done,
        Some((_, Some(_))) => Saved::Changed,
        None => Saved::NameTaken,
    })
}

/// Deletes the webhook that was read so, unless a push uses it.
pub async fn delete(config: &dyn Table, webhook: &Webhook, audit: &Entry) -> StoreResult<Deleted> {
    let unused = Condition::Any(vec![Condition::Missing("uses"), Condition::AtMost("uses", 0)]);
    let unchanged = Condition::Equals("version", number(webhook.version));
    let mut writes = vec![
        (Write::Delete(key(webhook)), Some(Condition::All(vec![unchanged, unused]))),
        (Write::Delete(name_key(webhook)), None),
    ];
    let sources = webhook.content.sources();
    writes.extend(sources.iter().map(|&source| parameter_sources::used(&webhook.workspace, source, -1)));
    writes.extend(audit::writes(&webhook.workspace, audit)?);
    let Transaction::Failed(failed) = config.transact(writes).await? else { return Ok(Deleted::Done) };
    Ok(match failed.into_iter().find(|(index, _)| *index == 0).and_then(|(_, item)| item) {
        None => Deleted::Unknown,
        Some(item) if item.maybe_number("uses")?.unwrap_or(0) > 0 => Deleted::InUse,
        Some(_) => Deleted::Changed,
    })
}

/// One webhook of a workspace.
pub async fn get(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
) -> StoreResult<Option<Webhook>> {
    config.get(&keys::webhook(workspace, webhook)).await?.map(|item| from_json(WHAT, &item)).transpose()
}

/// One version of a webhook, also of a deleted one.
pub async fn get_version(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    version: u32,
) -> StoreResult<Option<Webhook>> {
    let item = config.get(&keys::webhook_version(workspace, webhook, version)).await?;
    item.map(|item| from_json(WHAT, &item)).transpose()
}

/// Webhooks of a workspace, oldest first, behind the one given; and where to go on.
pub async fn list(
    config: &dyn Table,
    workspace: &WorkspaceId,
    after: Option<WebhookId>,
    limit: usize,
) -> StoreResult<(Vec<Webhook>, Option<WebhookId>)> {
    let query = Query {
        pk: keys::workspace(workspace),
        prefix: keys::WEBHOOKS.to_owned(),
        after: after.and_then(|webhook| keys::webhook(workspace, webhook).sk),
        limit,
        consistent: true,
        ..Query::default()
    };
    let page = config.query(&query).await?;
    let webhooks = page.items.iter().map(|item| from_json(WHAT, item)).collect::<StoreResult<_>>()?;
    let parse = |sk: String| {
        let id = sk.strip_prefix(keys::WEBHOOKS).and_then(|id| id.parse().ok());
        id.ok_or_else(|| StoreError::corrupt(WHAT, "its sort key is not an identifier"))
    };
    Ok((webhooks, page.more.map(parse).transpose()?))
}

/// For a push's transaction: one use more or less of a webhook.
pub(crate) fn used(workspace: &WorkspaceId, webhook: WebhookId, by: i64) -> Write {
    let update = Update::default().with("uses", Change::Add(by));
    Write::Update(keys::webhook(workspace, webhook), update)
}

/// For a push's transaction: the webhook is still as it was when the push was checked.
pub(crate) fn unchanged(webhook: &Webhook) -> Condition {
    Condition::Equals("version", number(webhook.version))
}

fn key(webhook: &Webhook) -> Key {
    keys::webhook(&webhook.workspace, webhook.id)
}

fn name_key(webhook: &Webhook) -> Key {
    keys::name(&webhook.workspace, "webhook", &hex::encode(Sha256::digest(&webhook.name)))
}

fn name(webhook: &Webhook) -> Item {
    let mut item = keyed(&name_key(webhook));
    item.insert("webhook".to_owned(), text(webhook.id));
    item
}

fn version(webhook: &Webhook) -> StoreResult<Item> {
    let mut item = keyed(&keys::webhook_version(&webhook.workspace, webhook.id, webhook.version));
    item.insert("json".to_owned(), json(WHAT, webhook)?);
    Ok(item)
}
