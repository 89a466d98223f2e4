//! A workspace's data sources, strongest first. A source that is not named is weaker than all that are.

use fanhook_core::id::{SourceName, WorkspaceId};

use crate::{
    StoreResult, Swapped,
    audit::{self, Entry},
    item::{from_json, json, keyed},
    keys,
    ports::{Condition, Table, Write},
};

const WHAT: &str = "sources";

/// The sources, strongest first.
pub async fn get(config: &dyn Table, workspace: &WorkspaceId) -> StoreResult<Vec<SourceName>> {
    let item = config.get(&keys::sources(workspace)).await?;
    item.map_or(Ok(Vec::new()), |item| from_json(WHAT, &item))
}

/// Replaces the list that was read as `old`.
pub async fn replace(
    config: &dyn Table,
    workspace: &WorkspaceId,
    old: &[SourceName],
    new: &[SourceName],
    audit: &Entry,
) -> StoreResult<Swapped> {
    let mut item = keyed(&keys::sources(workspace));
    let stored = json(WHAT, &new)?;
    item.insert("json".to_owned(), stored.clone());
    let mut unchanged = vec![Condition::Equals("json", json(WHAT, &old)?)];
    if old.is_empty() {
        unchanged.push(Condition::Absent);
    }
    let mut writes = vec![(Write::Put(item), Some(Condition::Any(unchanged)))];
    writes.extend(audit::writes(workspace, audit)?);
    Ok(Swapped::of(config.transact(writes).await?, &stored))
}
