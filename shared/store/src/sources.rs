//! A workspace's data sources, strongest first. A source that is not named is weaker than all that are.

use fanhook_core::id::{SourceName, WorkspaceId};

use crate::{
    StoreResult,
    audit::{self, Entry},
    item::{from_json, json, keyed},
    keys,
    ports::{Condition, Table, Transaction, Write},
};

const WHAT: &str = "sources";

/// The sources, strongest first.
pub async fn get(config: &dyn Table, workspace: &WorkspaceId) -> StoreResult<Vec<SourceName>> {
    let item = config.get(&keys::sources(workspace)).await?;
    item.map_or(Ok(Vec::new()), |item| from_json(WHAT, &item))
}

/// Replaces the list that was read as `old`; `false`: somebody changed it since.
pub async fn replace(
    config: &dyn Table,
    workspace: &WorkspaceId,
    old: &[SourceName],
    new: &[SourceName],
    audit: &Entry,
) -> StoreResult<bool> {
    let mut item = keyed(&keys::sources(workspace));
    let stored = json(WHAT, &new)?;
    item.insert("json".to_owned(), stored.clone());
    let mut unchanged = vec![Condition::Equals("json", json(WHAT, &old)?)];
    if old.is_empty() {
        unchanged.push(Condition::Absent);
    }
    let mut writes = vec![(Write::Put(item), Some(Condition::Any(unchanged)))];
    writes.extend(audit::writes(workspace, audit)?);
    Ok(match config.transact(writes).await? {
        Transaction::Done => true,
        // A transaction whose answer was lost meets its own list.
        Transaction::Failed(failed) => failed
            .into_iter()
            .any(|(_, standing)| standing.is_some_and(|item| item.get("json") == Some(&stored))),
    })
}
