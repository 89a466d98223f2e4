//! What a webhook has proved: that a test send passed, and that the endpoint's owner agreed. Kept on the webhook's own item, so that it
//! ends with it.

use fanhook_core::{
    id::{WebhookId, WorkspaceId},
    limits,
    run::Proof,
    time::Millis,
    webhook::Content,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    StoreError, StoreResult,
    audit::{self, Entry},
    item::{Attributes, json, number},
    keys,
    ports::{Change, Condition, Conditional, Item, Table, Transaction, Update, Write},
};

const WHAT: &str = "proof";

/// What is proved of a webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proofs {
    /// The last test send that passed.
    pub tested: Option<Tested>,
    /// The last handshake that the endpoint agreed to.
    pub handshake: Option<Handshake>,
    /// An administrator's last statement.
    pub statement: Option<Statement>,
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

/// A handshake that an endpoint agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// Scheme, host and port that it holds for.
    pub origin: String,
    /// Requests a minute that are allowed; none: any number. It holds also when the consent is withdrawn.
    pub per_minute: Option<u32>,
    /// The consent was withdrawn since, by the endpoint or an administrator.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// When.
    pub at: Millis,
}

/// An administrator's statement that the endpoint's owner agrees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Scheme, host and port that it holds for.
    pub origin: String,
    /// Subject of the administrator's token.
    pub by: String,
    /// What was stated.
    pub text: String,
    /// When.
    pub at: Millis,
}

impl Proofs {
    /// What is not proved of this content.
    pub fn lacking(&self, content: &Content) -> Vec<Proof> {
        let is_tested = self.tested.as_ref().is_some_and(|tested| tested.content == content.digest());
        let origin = content.origin();
        let stated =
            self.statement.as_ref().is_some_and(|statement| Some(&statement.origin) == origin.as_ref());
        let agreed = stated || self.shaken(content).is_some_and(|handshake| !handshake.withdrawn);
        [(Proof::Test, is_tested), (Proof::Consent, agreed)]
            .into_iter()
            .filter_map(|(proof, there)| (!there).then_some(proof))
            .collect()
    }

    /// Requests a minute that the endpoint of this content allows; none: any number.
    pub fn allowed_per_minute(&self, content: &Content) -> Option<u32> {
        self.shaken(content)?.per_minute
    }

    /// The handshake, where it was about this content's origin.
    fn shaken(&self, content: &Content) -> Option<&Handshake> {
        let origin = content.origin()?;
        self.handshake.as_ref().filter(|handshake| handshake.origin == origin)
    }
}

/// What is proved of a webhook; nothing where there is no such webhook.
pub async fn get(config: &dyn Table, workspace: &WorkspaceId, webhook: WebhookId) -> StoreResult<Proofs> {
    let item = config.get(&keys::webhook(workspace, webhook)).await?.unwrap_or_default();
    Ok(Proofs {
        tested: read(&item, "tested")?,
        handshake: read(&item, "handshake")?,
        statement: read(&item, "statement")?,
    })
}

fn read<T: DeserializeOwned>(item: &Item, name: &'static str) -> StoreResult<Option<T>> {
    let parse = |json: &str| serde_json::from_str(json).map_err(|error| StoreError::corrupt(WHAT, error));
    item.maybe_text(name)?.map(parse).transpose()
}

/// What beginning a test send gives.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It may be sent.
    Done,
    /// The last one has just begun.
    TooSoon,
    /// The webhook is gone.
    Gone,
}

/// What noting a proof gives.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It stands.
    Done,
    /// The webhook is gone.
    Gone,
}

/// Begins a test send.
pub async fn begin_test(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    now: Millis,
) -> StoreResult<Begun> {
    let before = now.0.saturating_sub(u64::try_from(limits::BETWEEN_TESTS.as_millis()).unwrap_or(u64::MAX));
    let free = Condition::Any(vec![Condition::Missing("testing"), Condition::AtMost("testing", before)]);
    let condition = Condition::All(vec![Condition::Present, free]);
    let update = Update::default().set("testing", number(now.0));
    let write = Write::Update(keys::webhook(workspace, webhook), update);
    Ok(match config.write(write, Some(condition)).await? {
        Conditional::Done(_) => Begun::Done,
        Conditional::Failed(Some(_)) => Begun::TooSoon,
        Conditional::Failed(None) => Begun::Gone,
    })
}

/// Notes a test send that passed, with the entry of the audit log.
pub async fn passed(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    tested: &Tested,
    audit: &Entry,
) -> StoreResult<Noted> {
    let update = Update::default().set("tested", json(WHAT, tested)?);
    proved(config, workspace, webhook, update, audit).await
}

/// Notes a handshake that the endpoint agreed to, with the entry of the audit log.
pub async fn shaken(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    handshake: &Handshake,
    audit: &Entry,
) -> StoreResult<Noted> {
    let update = Update::default().set("handshake", json(WHAT, handshake)?);
    proved(config, workspace, webhook, update, audit).await
}

/// Notes that the consent that `handshake` gave is withdrawn; gone, where it is another one by now.
pub async fn withdrawn(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    handshake: &Handshake,
    audit: &Entry,
) -> StoreResult<Noted> {
    let withdrawn = Handshake { withdrawn: true, ..handshake.clone() };
    let update = Update::default().set("handshake", json(WHAT, &withdrawn)?);
    let unchanged = Condition::Equals("handshake", json(WHAT, handshake)?);
    noted(config, workspace, webhook, (update, unchanged), audit).await
}

/// Forgets an administrator's statement.
pub async fn retracted(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    audit: &Entry,
) -> StoreResult<Noted> {
    proved(config, workspace, webhook, Update::default().with("statement", Change::Remove), audit).await
}

/// Notes an administrator's statement, with the entry of the audit log.
pub async fn stated(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    statement: &Statement,
    audit: &Entry,
) -> StoreResult<Noted> {
    let update = Update::default().set("statement", json(WHAT, statement)?);
    proved(config, workspace, webhook, update, audit).await
}

async fn proved(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    update: Update,
    audit: &Entry,
) -> StoreResult<Noted> {
    noted(config, workspace, webhook, (update, Condition::Present), audit).await
}

async fn noted(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    (update, condition): (Update, Condition),
    audit: &Entry,
) -> StoreResult<Noted> {
    let write = Write::Update(keys::webhook(workspace, webhook), update);
    let mut writes = vec![(write, Some(condition))];
    writes.extend(audit::writes(workspace, audit)?);
    Ok(match config.transact(writes).await? {
        Transaction::Done => Noted::Done,
        Transaction::Failed(_) => Noted::Gone,
    })
}
