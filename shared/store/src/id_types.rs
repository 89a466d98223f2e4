//! A workspace's ID types: one item, so that rules of the whole list (unique priorities, at most so many) hold under concurrent writes.
//!
//! The item also counts the webhooks that are saved (`named`), in their own transactions: so a list that lost a type is not written where a
//! webhook has come to name that type since the list was read, nor a webhook where the list has changed since the webhook was checked.

use fanhook_core::{
    id::WorkspaceId,
    identity::{IdType, presets},
};

use crate::{
    StoreResult, Swapped,
    audit::{self, Entry},
    item::{Attributes, from_json, json, number},
    keys,
    ports::{Change, Condition, Table, Update, Write},
};

const WHAT: &str = "ID types";

/// The list as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTypes {
    /// The types, strongest first.
    pub types: Vec<IdType>,
    /// Counts the changes; 0 where the workspace still has the presets.
    pub version: u64,
    /// Counts the webhooks that were saved.
    pub named: u64,
}

/// The ID types of a workspace; the presets where it never changed them.
pub async fn get(config: &dyn Table, workspace: &WorkspaceId) -> StoreResult<IdTypes> {
    let item = config.get(&keys::id_types(workspace)).await?.unwrap_or_default();
    Ok(IdTypes {
        types: if item.contains_key("json") { from_json(WHAT, &item)? } else { presets() },
        version: item.maybe_number("version")?.unwrap_or(0),
        named: item.maybe_number("named")?.unwrap_or(0),
    })
}

/// Replaces the list that was read as `old`. It counts as changed where a webhook was saved since. The caller has checked it.
pub async fn replace(
    config: &dyn Table,
    workspace: &WorkspaceId,
    old: &IdTypes,
    mut types: Vec<IdType>,
    audit: &Entry,
) -> StoreResult<Swapped> {
    types.sort_by_key(|id_type| id_type.priority);
    let stored = json(WHAT, &types)?;
    let update = Update::default().set("json", stored.clone()).set("version", number(old.version + 1));
    let unchanged = Condition::All(vec![still("version", old.version), still("named", old.named)]);
    let mut writes = vec![(Write::Update(keys::id_types(workspace), update), Some(unchanged))];
    writes.extend(audit::writes(workspace, audit)?);
    Ok(Swapped::of(config.transact(writes).await?, &stored))
}

/// For a webhook's transaction: a webhook is saved, and the list is still as it was when the webhook was checked.
pub(crate) fn named(workspace: &WorkspaceId, types: &IdTypes) -> (Write, Condition) {
    let update = Update::default().with("named", Change::Add(1));
    (Write::Update(keys::id_types(workspace), update), still("version", types.version))
}

/// A count stands where it was read.
fn still(name: &'static str, count: u64) -> Condition {
    match count {
        0 => Condition::Missing(name),
        count => Condition::Equals(name, number(count)),
    }
}
