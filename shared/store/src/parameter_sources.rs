//! Parameter sources, by workspace; a name is taken by an item of its own.
//!
//! An item counts the webhooks that use it (`uses`), in the transactions that make, change and delete webhooks: so a source that is
//! used can't be deleted, whatever happens at once.

use fanhook_core::{
    id::{ParameterSourceId, WorkspaceId},
    parameter_source::ParameterSource,
};
use sha2::{Digest, Sha256};

use crate::{
    StoreError, StoreResult,
    audit::{self, Entry},
    item::{Attributes, from_json, json, keyed, number, text},
    keys,
    ports::{Change, Condition, Item, Key, Query, Table, Transaction, Update, Write},
    webhooks::{Deleted, Saved},
};

const WHAT: &str = "parameter source";

/// Makes a parameter source.
pub async fn create(config: &dyn Table, source: &ParameterSource, audit: &Entry) -> StoreResult<Saved> {
    let mut item = keyed(&key(source));
    item.insert("json".to_owned(), json(WHAT, source)?);
    item.insert("version".to_owned(), number(source.version));
    let mut writes = vec![
        (Write::Put(item), Some(Condition::Absent)),
        (Write::Put(name(source)), Some(Condition::Absent)),
    ];
    writes.extend(audit::writes(&source.workspace, audit)?);
    Ok(match config.transact(writes).await? {
        Transaction::Done => Saved::Done,
        // A transaction whose answer was lost meets its own source.
        Transaction::Failed(failed) if failed.iter().any(|(index, _)| *index == 0) => Saved::Done,
        Transaction::Failed(_) => Saved::NameTaken,
    })
}

/// Replaces the source that was read as `old`. Runs that have started keep the value that they took.
pub async fn replace(
    config: &dyn Table,
    old: &ParameterSource,
    new: &ParameterSource,
    audit: &Entry,
) -> StoreResult<Saved> {
    let stored = json(WHAT, new)?;
    let update = Update::default().set("json", stored.clone()).set("version", number(new.version));
    let mut writes = vec![(Write::Update(key(new), update), Some(unchanged(old)))];
    if old.name != new.name {
        writes.push((Write::Put(name(new)), Some(Condition::Absent)));
        writes.push((Write::Delete(name_key(old)), None));
    }
    writes.extend(audit::writes(&new.workspace, audit)?);
    let Transaction::Failed(failed) = config.transact(writes).await? else { return Ok(Saved::Done) };
    Ok(match failed.into_iter().find(|(index, _)| *index == 0) {
        Some((_, None)) => Saved::Unknown,
        // A transaction whose answer was lost meets its own version.
        Some((_, Some(item))) if item.get("json") == Some(&stored) => Saved::Done,
        Some((_, Some(_))) => Saved::Changed,
        None => Saved::NameTaken,
    })
}

/// Deletes the source that was read so, unless a webhook uses it.
pub async fn delete(config: &dyn Table, source: &ParameterSource, audit: &Entry) -> StoreResult<Deleted> {
    let unused = Condition::Any(vec![Condition::Missing("uses"), Condition::AtMost("uses", 0)]);
    let condition = Condition::All(vec![unchanged(source), unused]);
    let mut writes =
        vec![(Write::Delete(key(source)), Some(condition)), (Write::Delete(name_key(source)), None)];
    writes.extend(audit::writes(&source.workspace, audit)?);
    let Transaction::Failed(failed) = config.transact(writes).await? else { return Ok(Deleted::Done) };
    Ok(match failed.into_iter().find_map(|(_, item)| item) {
        None => Deleted::Unknown,
        Some(item) if item.maybe_number("uses")?.unwrap_or(0) > 0 => Deleted::InUse,
        Some(_) => Deleted::Changed,
    })
}

/// One parameter source of a workspace.
pub async fn get(
    config: &dyn Table,
    workspace: &WorkspaceId,
    source: ParameterSourceId,
) -> StoreResult<Option<ParameterSource>> {
    let item = config.get(&keys::parameter_source(workspace, source)).await?;
    item.map(|item| from_json(WHAT, &item)).transpose()
}

/// Parameter sources of a workspace, oldest first, behind the one given; and where to go on.
pub async fn list(
    config: &dyn Table,
    workspace: &WorkspaceId,
    after: Option<ParameterSourceId>,
    limit: usize,
) -> StoreResult<(Vec<ParameterSource>, Option<ParameterSourceId>)> {
    let query = Query {
        pk: keys::workspace(workspace),
        prefix: keys::PARAMETER_SOURCES.to_owned(),
        after: after.and_then(|source| keys::parameter_source(workspace, source).sk),
        limit,
        consistent: true,
        ..Query::default()
    };
    let page = config.query(&query).await?;
    let sources = page.items.iter().map(|item| from_json(WHAT, item)).collect::<StoreResult<_>>()?;
    let parse = |sk: String| {
        let id = sk.strip_prefix(keys::PARAMETER_SOURCES).and_then(|id| id.parse().ok());
        id.ok_or_else(|| StoreError::corrupt(WHAT, "its sort key is not an identifier"))
    };
    Ok((sources, page.more.map(parse).transpose()?))
}

/// For a webhook's transaction: one use more or less of a source, which must be there.
pub(crate) fn used(
    workspace: &WorkspaceId,
    source: ParameterSourceId,
    by: i64,
) -> (Write, Option<Condition>) {
    let update = Update::default().with("uses", Change::Add(by));
    (Write::Update(keys::parameter_source(workspace, source), update), Some(Condition::Present))
}

fn unchanged(source: &ParameterSource) -> Condition {
    Condition::Equals("version", number(source.version))
}

fn key(source: &ParameterSource) -> Key {
    keys::parameter_source(&source.workspace, source.id)
}

fn name_key(source: &ParameterSource) -> Key {
    keys::name(&source.workspace, "parameter-source", &hex::encode(Sha256::digest(&source.name)))
}

fn name(source: &ParameterSource) -> Item {
    let mut item = keyed(&name_key(source));
    item.insert("parameter_source".to_owned(), text(source.id));
    item
}
