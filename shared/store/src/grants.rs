//! Usage grants: who may use a webhook, beside administrators: a person, or all who have a role; until a time, or for good.

use fanhook_core::{
    id::{GrantId, WebhookId, WorkspaceId},
    time::Millis,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    StoreError, StoreResult, Written,
    audit::{self, Entry},
    item::{from_json, json, keyed},
    keys,
    ports::{Condition, Query, Table, Transaction, Write},
};

const WHAT: &str = "grant";
/// Most keys of one read.
const BATCH: usize = 100;

/// Whom a grant is given to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Grantee {
    /// A person, by the subject (`sub`) of their tokens.
    Person(String),
    /// All who have this role: a group of their tokens.
    Role(String),
}

impl Grantee {
    /// Identifier of the grant: each grantee has one at most.
    pub fn grant_id(&self) -> GrantId {
        let digest = match self {
            Self::Person(subject) => Sha256::digest(format!("person#{subject}")),
            Self::Role(name) => Sha256::digest(format!("role#{name}")),
        };
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        GrantId::new(Uuid::from_bytes(half))
    }
}

/// A grant on a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Whom it is given to.
    pub to: Grantee,
    /// When it ends; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
}

/// Gives a grant, in place of the one that the grantee had; [`Written::Gone`] is said of the webhook.
pub async fn put(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    had: Option<&Grant>,
    grant: &Grant,
    audit: &Entry,
) -> StoreResult<Written> {
    let mut item = keyed(&keys::grant(workspace, webhook, grant.to.grant_id()));
    item.insert("json".to_owned(), json(WHAT, grant)?);
    let unchanged = had.map_or(Ok(Condition::Absent), unchanged)?;
    let exists = (Write::Check(keys::webhook(workspace, webhook)), Some(Condition::Present));
    let mut writes = vec![(Write::Put(item), Some(unchanged)), exists];
    writes.extend(audit::writes(workspace, audit)?);
    Ok(match config.transact(writes).await? {
        Transaction::Done => Written::Done,
        // The webhook stands second.
        Transaction::Failed(failed) if failed.iter().any(|(index, _)| *index == 1) => Written::Gone,
        Transaction::Failed(_) => Written::Changed,
    })
}

/// Takes a grant back.
pub async fn delete(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    had: &Grant,
    audit: &Entry,
) -> StoreResult<Written> {
    let key = keys::grant(workspace, webhook, had.to.grant_id());
    let mut writes = vec![(Write::Delete(key), Some(unchanged(had)?))];
    writes.extend(audit::writes(workspace, audit)?);
    Ok(match config.transact(writes).await? {
        Transaction::Done => Written::Done,
        Transaction::Failed(failed) if failed.iter().any(|(_, standing)| standing.is_none()) => Written::Gone,
        Transaction::Failed(_) => Written::Changed,
    })
}

fn unchanged(had: &Grant) -> StoreResult<Condition> {
    Ok(Condition::Equals("json", json(WHAT, had)?))
}

/// One grant.
pub async fn get(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    id: GrantId,
) -> StoreResult<Option<Grant>> {
    let item = config.get(&keys::grant(workspace, webhook, id)).await?;
    item.map(|item| from_json(WHAT, &item)).transpose()
}

/// Grants on a webhook, behind the one given, and where to go on.
pub async fn list(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    after: Option<GrantId>,
    limit: usize,
) -> StoreResult<(Vec<Grant>, Option<GrantId>)> {
    let (pk, after) = (keys::grants(workspace, webhook), after.map(|grant| grant.to_string()));
    let page = config.query(&Query { pk, after, limit, consistent: true, ..Query::default() }).await?;
    let grants = page.items.iter().map(|item| from_json(WHAT, item)).collect::<StoreResult<_>>()?;
    let parse = |sk: String| sk.parse().map_err(|error| StoreError::corrupt(WHAT, error));
    Ok((grants, page.more.map(parse).transpose()?))
}

/// Whether one of these has a grant that has not ended `now`.
pub async fn holds(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    grantees: &[Grantee],
    now: Millis,
) -> StoreResult<bool> {
    let key = |grantee: &Grantee| keys::grant(workspace, webhook, grantee.grant_id());
    for batch in grantees.chunks(BATCH) {
        let keys: Vec<_> = batch.iter().map(key).collect();
        for item in config.get_many(&keys, true).await? {
            let grant: Grant = from_json(WHAT, &item)?;
            if grant.until.is_none_or(|until| now < until) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
