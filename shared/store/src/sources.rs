//! A workspace's data sources, strongest first. A source that is not named is weaker than all that are.

use fanhook_core::id::{SourceName, WorkspaceId};

use crate::{
    StoreResult,
    item::{from_json, json, keyed},
    keys,
    ports::{Table, Write},
};

const WHAT: &str = "sources";

/// The sources, strongest first.
pub async fn get(config: &dyn Table, workspace: &WorkspaceId) -> StoreResult<Vec<SourceName>> {
    let item = config.get(&keys::sources(workspace)).await?;
    item.map_or(Ok(Vec::new()), |item| from_json(WHAT, &item))
}

/// Replaces the list.
pub async fn put(config: &dyn Table, workspace: &WorkspaceId, sources: &[SourceName]) -> StoreResult<()> {
    let mut item = keyed(&keys::sources(workspace));
    item.insert("json".to_owned(), json(WHAT, &sources)?);
    config.write(Write::Put(item), None).await.map(|_| ())
}
