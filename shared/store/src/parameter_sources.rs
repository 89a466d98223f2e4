//! Parameter sources, by workspace. Webhooks count their uses.

use fanhook_core::{
    id::{ParameterSourceId, WorkspaceId},
    parameter_source::ParameterSource,
};

use crate::{
    StoreResult,
    audit::Entry,
    keys, names,
    ports::{Key, Table},
    versioned::{self, Committed, Deleted, Head, Versioned, Writes},
};

impl Versioned for ParameterSource {
    const WHAT: &'static str = "parameter source";
    const PREFIX: &'static str = keys::PARAMETER_SOURCES;
    type Id = ParameterSourceId;
    const KEY: fn(&WorkspaceId, ParameterSourceId) -> Key = keys::parameter_source;

    fn head(&self) -> Head<'_, ParameterSourceId> {
        Head { workspace: &self.workspace, id: self.id, version: self.version, name: &self.name }
    }
}

/// What making a parameter source gives.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It stands.
    Done,
    /// Another source of the workspace has this name.
    NameTaken,
}

/// What replacing a parameter source gives.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The new version stands.
    Done,
    /// Somebody changed it since it was read.
    Changed,
    /// It is gone.
    Gone,
    /// Another source of the workspace has this name.
    NameTaken,
}

/// Makes a parameter source.
pub async fn create(config: &dyn Table, source: &ParameterSource, audit: &Entry) -> StoreResult<Made> {
    let mut writes = Writes::made(source)?;
    writes.and_where(names::take(source), Made::NameTaken);
    Ok(match writes.commit(config, audit).await? {
        Committed::Refused(refusal) => refusal,
        // A transaction whose answer was lost meets its own source.
        _ => Made::Done,
    })
}

/// Replaces the source that was read as `old`. Runs that have started keep the value that they took.
pub async fn replace(
    config: &dyn Table,
    old: &ParameterSource,
    new: &ParameterSource,
    audit: &Entry,
) -> StoreResult<Replaced> {
    let mut writes = Writes::replaced(old, new)?;
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

/// Deletes the source that was read so, unless a webhook uses it.
pub async fn delete(config: &dyn Table, source: &ParameterSource, audit: &Entry) -> StoreResult<Deleted> {
    let mut writes = Writes::deleted(source);
    writes.and(names::release(source));
    writes.delete(config, audit).await
}

/// One parameter source of a workspace.
pub async fn get(
    config: &dyn Table,
    workspace: &WorkspaceId,
    source: ParameterSourceId,
) -> StoreResult<Option<ParameterSource>> {
    versioned::get(config, workspace, source).await
}

/// Parameter sources of a workspace, oldest first, behind the one given; and where to go on.
pub async fn list(
    config: &dyn Table,
    workspace: &WorkspaceId,
    after: Option<ParameterSourceId>,
    limit: usize,
) -> StoreResult<(Vec<ParameterSource>, Option<ParameterSourceId>)> {
    versioned::list(config, workspace, after, limit).await
}
