//! What a webhook has proved: that a test send passed, and that the endpoint's owner agreed. Kept on the webhook's own item, so that it
//! ends with it.

use std::{collections::BTreeMap, iter};

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
    item::{Attributes, json, number, text},
    keys,
    ports::{Change, Condition, Conditional, Item, Table, Transaction, Update, Write},
};

const WHAT: &str = "proof";
const HANDSHAKES: &str = "handshakes";

/// What is proved of a webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proofs {
    /// The last test send that passed.
    pub tested: Option<Tested>,
    /// The last handshake that each origin agreed to, the newest first: where the webhook comes back to an origin, that one's holds again.
    pub handshakes: Vec<Handshake>,
    /// An administrator's last statement.
    pub statement: Option<Statement>,
    /// The handshakes as they are stored: what they may be replaced in place of.
    stored: Option<String>,
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
    #[serde(alias = "per_minute")]
    pub requests_per_minute: Option<u32>,
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
        let agreed = stated || self.handshake(content).is_some_and(|handshake| !handshake.withdrawn);
        [(Proof::Test, is_tested), (Proof::Consent, agreed)]
            .into_iter()
            .filter_map(|(proof, there)| (!there).then_some(proof))
            .collect()
    }

    /// Requests a minute that the endpoint of this content allows; none: any number.
    pub fn allowed_per_minute(&self, content: &Content) -> Option<u32> {
        self.handshake(content)?.requests_per_minute
    }

    /// Requests a minute that other origins than this content's allow, each that is known; none: any number.
    pub fn allowed_elsewhere(&self, content: &Content) -> BTreeMap<String, Option<u32>> {
        let here = content.origin();
        let elsewhere = self.handshakes.iter().filter(|handshake| Some(&handshake.origin) != here.as_ref());
        elsewhere.map(|handshake| (handshake.origin.clone(), handshake.requests_per_minute)).collect()
    }

    /// The last handshake that this content's origin agreed to.
    pub fn handshake(&self, content: &Content) -> Option<&Handshake> {
        let origin = content.origin()?;
        self.handshakes.iter().find(|handshake| handshake.origin == origin)
    }
}

/// What is proved of a webhook; nothing where there is no such webhook.
pub async fn get(config: &dyn Table, workspace: &WorkspaceId, webhook: WebhookId) -> StoreResult<Proofs> {
    let item = config.get(&keys::webhook(workspace, webhook)).await?.unwrap_or_default();
    let handshakes = match read(&item, HANDSHAKES)? {
        Some(handshakes) => handshakes,
        // Where there is but one, the version before wrote it.
        None => read(&item, "handshake")?.into_iter().collect(),
    };
    Ok(Proofs {
        tested: read(&item, "tested")?,
        handshakes,
        statement: read(&item, "statement")?,
        stored: item.maybe_text(HANDSHAKES)?.map(str::to_owned),
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
    /// Another handshake came meanwhile.
    Changed,
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

/// Notes a handshake that the endpoint agreed to beside those that were read, with the entry of the audit log. It stands in place of its
/// origin's, or of the oldest where there are too many.
pub async fn shaken(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    (read, handshake): (&Proofs, &Handshake),
    audit: &Entry,
) -> StoreResult<Noted> {
    let others = read.handshakes.iter().filter(|other| other.origin != handshake.origin);
    let all: Vec<_> = iter::once(handshake).chain(others).take(limits::HANDSHAKES).cloned().collect();
    noted(config, workspace, webhook, replaced(read, &all)?, audit).await
}

/// Notes that the consent is withdrawn that an origin gave by its handshake, one of those that were read.
pub async fn withdrawn(
    config: &dyn Table,
    workspace: &WorkspaceId,
    webhook: WebhookId,
    (read, origin): (&Proofs, &str),
    audit: &Entry,
) -> StoreResult<Noted> {
    let mut all = read.handshakes.clone();
    for handshake in all.iter_mut().filter(|handshake| handshake.origin == origin) {
        handshake.withdrawn = true;
    }
    noted(config, workspace, webhook, replaced(read, &all)?, audit).await
}

/// The handshakes become these, where they are still as they were read.
fn replaced(read: &Proofs, all: &Vec<Handshake>) -> StoreResult<(Update, Condition)> {
    let unchanged = match &read.stored {
        Some(stored) => Condition::Equals(HANDSHAKES, text(stored)),
        None => Condition::All(vec![Condition::Present, Condition::Missing(HANDSHAKES)]),
    };
    Ok((Update::default().set(HANDSHAKES, json(WHAT, all)?), unchanged))
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
        Transaction::Failed(failed) if failed.iter().any(|(_, standing)| standing.is_some()) => {
            Noted::Changed
        }
        Transaction::Failed(_) => Noted::Gone,
    })
}

#[cfg(test)]
mod tests {
    use fanhook_core::id::EntryId;
    use uuid::Uuid;

    use super::*;
    use crate::memory::MemoryTable;

    fn entry() -> Entry {
        Entry {
            id: EntryId::new(Uuid::from_u128(1)),
            at: Millis(0),
            person: "admin".to_owned(),
            action: "consented".to_owned(),
            subject: audit::Subject { kind: "webhook".to_owned(), id: "a".to_owned() },
            before: None,
            after: None,
        }
    }

    fn content(host: usize) -> Content {
        let url = format!("https://{host}.example.com/{{id}}");
        serde_json::from_value(serde_json::json!({"url": url, "body": {"kind": "none"}})).unwrap()
    }

    fn handshake(host: usize, requests_per_minute: Option<u32>) -> Handshake {
        let origin = content(host).origin().unwrap();
        Handshake { origin, requests_per_minute, withdrawn: false, at: Millis(0) }
    }

    /// A webhook that nothing is proved of.
    async fn stored() -> (MemoryTable, WorkspaceId, WebhookId) {
        let (config, workspace) = (MemoryTable::new(), "acme".parse().unwrap());
        let webhook = WebhookId::new(Uuid::from_u128(7));
        let item = crate::item::keyed(&keys::webhook(&workspace, webhook));
        assert!(matches!(config.write(Write::Put(item), None).await, Ok(Conditional::Done(_))));
        (config, workspace, webhook)
    }

    #[tokio::test]
    async fn the_handshakes_of_the_origins_that_agreed_last_are_kept_one_each() {
        let (config, workspace, webhook) = stored().await;
        let shake = async |host, requests_per_minute| {
            let read = get(&config, &workspace, webhook).await.unwrap();
            let handshake = handshake(host, requests_per_minute);
            let noted = shaken(&config, &workspace, webhook, (&read, &handshake), &entry()).await.unwrap();
            assert_eq!(noted, Noted::Done);
            get(&config, &workspace, webhook).await.unwrap()
        };
        for host in 0..limits::HANDSHAKES {
            shake(host, Some(10)).await;
        }
        // The first one is the newest again, and there are no more than before.
        let full = shake(0, None).await;
        assert_eq!(full.handshakes.len(), limits::HANDSHAKES);
        assert_eq!(full.allowed_per_minute(&content(0)), None);
        assert_eq!(full.allowed_per_minute(&content(1)), Some(10));
        assert!(!full.allowed_elsewhere(&content(0)).contains_key(&handshake(0, None).origin));
        assert_eq!(full.allowed_elsewhere(&content(99)).len(), limits::HANDSHAKES);

        let over = shake(limits::HANDSHAKES, Some(20)).await;
        assert_eq!(over.handshakes.len(), limits::HANDSHAKES);
        let known = |host| over.handshake(&content(host)).is_some();
        assert!(known(0) && !known(1) && known(2) && known(limits::HANDSHAKES));
        assert_eq!(over.allowed_elsewhere(&content(0))[&handshake(2, None).origin], Some(10));
    }

    #[tokio::test]
    async fn a_handshake_that_the_version_before_wrote_is_read_and_kept() {
        let (config, workspace, webhook) = stored().await;
        let old = r#"{"origin":"https://1.example.com","per_minute":10,"at":0}"#;
        let write =
            Write::Update(keys::webhook(&workspace, webhook), Update::default().set("handshake", text(old)));
        assert!(matches!(config.write(write, None).await, Ok(Conditional::Done(_))));
        let read = get(&config, &workspace, webhook).await.unwrap();
        assert_eq!(read.handshakes, [handshake(1, Some(10))]);
        let newer = handshake(2, None);
        let noted = shaken(&config, &workspace, webhook, (&read, &newer), &entry()).await.unwrap();
        assert_eq!(noted, Noted::Done);
        let both = get(&config, &workspace, webhook).await.unwrap().handshakes;
        assert_eq!(both, [newer, handshake(1, Some(10))]);
    }

    #[tokio::test]
    async fn no_handshake_is_lost_to_another_one_at_once_and_none_comes_to_a_webhook_that_is_gone() {
        let (config, workspace, webhook) = stored().await;
        let nothing = Proofs::default();
        let shake = async |webhook, read: &Proofs, host| {
            let handshake = handshake(host, Some(10));
            shaken(&config, &workspace, webhook, (read, &handshake), &entry()).await.unwrap()
        };
        assert_eq!(shake(webhook, &nothing, 1).await, Noted::Done);
        assert_eq!(shake(webhook, &nothing, 2).await, Noted::Changed);
        let one = get(&config, &workspace, webhook).await.unwrap();
        assert_eq!(shake(webhook, &one, 2).await, Noted::Done);
        let origin = handshake(1, None).origin;
        let take = async |read: &Proofs| {
            withdrawn(&config, &workspace, webhook, (read, &origin), &entry()).await.unwrap()
        };
        assert_eq!(take(&one).await, Noted::Changed);
        let both = get(&config, &workspace, webhook).await.unwrap();
        assert_eq!(take(&both).await, Noted::Done);
        let after = get(&config, &workspace, webhook).await.unwrap();
        let left = |host| {
            (after.handshake(&content(host)).unwrap().withdrawn, after.allowed_per_minute(&content(host)))
        };
        assert_eq!((left(1), left(2)), ((true, Some(10)), (false, Some(10))), "the rate holds on");

        let gone = WebhookId::new(Uuid::from_u128(8));
        assert_eq!(shake(gone, &nothing, 1).await, Noted::Gone);
        assert_eq!(config.get(&keys::webhook(&workspace, gone)).await.unwrap(), None);
    }
}
