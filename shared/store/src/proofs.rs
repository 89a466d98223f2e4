//! What a webhook has proved: that a test send passed. Kept on the webhook's own item, so that it ends with it.

use std::time::Duration;

use fanhook_core::{
    id::{WebhookId, WorkspaceId},
    time::Millis,
    webhook::Content,
};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, StoreResult,
    item::{Attributes, json, number},
    keys,
    ports::{Condition, Conditional, Table, Update, Write},
};

const WHAT: &str = "proof";
/// Least time between two test sends through a webhook: nobody has proved yet that its endpoint wants them.
pub const BETWEEN_TESTS: Duration = Duration::from_secs(1);

/// What is proved of a webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proofs {
    /// The last test send that passed.
    pub tested: Option<Tested>,
}

/// A test send that passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// Digest of the content that was tested.
    pub content: String,
    /// Version of the webhook then.
    pub version: u32,
    /// When.
    pub at: Millis,
}

impl Proofs {
    /// Whether this content has passed a test.
    pub fn is_tested(&self, content: &Content) -> bool {
        self.tested.as_ref().is_some_and(|tested| tested.content == content.digest())
    }
}

/// What is proved of a webhook; nothing where there is no such webhook.
pub async fn get(config: &dyn Table, workspace: &WorkspaceId, webhook: WebhookId) -> StoreResult<Proofs> {
    let item = config.get(&keys::webhook(workspace, webhook)).await?.unwrap_or_default();
    let read = |json: &str| serde_json::from_str(json).map_err(|error| StoreError::corrupt(WHAT, error));
    Ok(Proofs { tested: item.maybe_text("tested")?.map(read).transpose()? })
}

/// Begins a test send; false where the last one has just begun, or the webhook is gone.
pub async fn begin_test(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    now: Millis,
) -> StoreResult<bool> {
    let before = now.0.saturating_sub(u64::try_from(BETWEEN_TESTS.as_millis()).unwrap_or(u64::MAX));
    let free = Condition::Any(vec![Condition::Missing("testing"), Condition::AtMost("testing", before)]);
    let condition = Condition::All(vec![Condition::Present, free]);
    let update = Update::default().set("testing", number(now.0));
    let write = Write::Update(keys::webhook(workspace, webhook), update);
    Ok(matches!(config.write(write, Some(condition)).await?, Conditional::Done(_)))
}

/// Notes a test send that passed; of a webhook that is gone nothing is noted.
pub async fn passed(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    tested: &Tested,
) -> StoreResult<()> {
    let update = Update::default().set("tested", json(WHAT, tested)?);
    let write = Write::Update(keys::webhook(workspace, webhook), update);
    config.write(write, Some(Condition::Present)).await.map(|_| ())
}
