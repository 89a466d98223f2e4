//! A workspace's ID types: one item, so that rules of the whole list (unique priorities, at most so many) hold under concurrent writes.

use fanhook_core::{
    id::WorkspaceId,
    identity::{IdType, presets},
};

use crate::{
    StoreResult,
    audit::{self, Entry},
    item::{Attributes, from_json, json, keyed, number},
    keys,
    ports::{Condition, Table, Transaction, Write},
};

const WHAT: &str = "ID types";

/// The list as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTypes {
    /// The types, strongest first.
    pub types: Vec<IdType>,
    /// Counts the changes; 0 where the workspace still has the presets.
    pub version: u64,
}

/// The ID types of a workspace; the presets where it never changed them.
pub async fn get(config: &dyn Table, workspace: &WorkspaceId) -> StoreResult<IdTypes> {
    Ok(match config.get(&keys::id_types(workspace)).await? {
        Some(item) => IdTypes { types: from_json(WHAT, &item)?, version: item.number("version")? },
        None => IdTypes { types: presets(), version: 0 },
    })
}

/// Replaces the list that was read as `old`; `false`: somebody changed it since. The caller has checked it.
pub async fn replace(
    config: &dyn Table,
    workspace: &WorkspaceId,
    old: &IdTypes,
    mut types: Vec<IdType>,
    audit: &Entry,
) -> StoreResult<bool> {
    types.sort_by_key(|id_type| id_type.priority);
    let mut item = keyed(&keys::id_types(workspace));
    let stored = json(WHAT, &types)?;
    item.insert("json".to_owned(), stored.clone());
    item.insert("version".to_owned(), number(old.version + 1));
    let unchanged = match old.version {
        0 => Condition::Absent,
        version => Condition::Equals("version", number(version)),
    };
    let mut writes = vec![(Write::Put(item), Some(unchanged))];
    writes.extend(audit::writes(workspace, audit)?);
    Ok(match config.transact(writes).await? {
        Transaction::Done => true,
        // A transaction whose answer was lost meets its own list.
        Transaction::Failed(failed) => failed
            .into_iter()
            .any(|(_, standing)| standing.is_some_and(|item| item.get("json") == Some(&stored))),
    })
}
