//! Runs: start, control, list.

use fanhook_core::{
    id::{PushId, RunId, WebhookId, WorkspaceId},
    run::{Closing, Pinned, Proof, RunState},
    time::Millis,
};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, StoreResult,
    due::{Due, Subject},
    endpoints::Endpoint,
    item::{Attributes, decode, encode, keyed, number, text},
    keys,
    parts::Part,
    ports::{Change, Condition, Conditional, Order, Query, Table, Transaction, Update, Value, Write},
};

/// A run: its state and what is true of it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its identifier.
    pub id: RunId,
    /// The workspace that owns it.
    pub workspace: WorkspaceId,
    /// The push.
    pub push: PushId,
    /// The webhook.
    pub webhook: WebhookId,
    /// Most users of one request.
    #[serde(default = "one")]
    pub batch_size: u32,
    /// Its state.
    pub state: RunState,
    /// Counts the changes of state.
    pub epoch: u64,
    /// When it was accepted.
    pub created: Millis,
    /// When it is closed at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Millis>,
    /// What its webhook had not proved when the run started: until its audience is counted, nothing is released.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unproved: Vec<Proof>,
    /// Why it is closing, or was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closing: Option<Closing>,
    /// Why it failed, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Millis>,
    /// When its rows may be deleted, in seconds of Unix time.
    pub expires: u64,
}

impl Run {
    /// Whether it sends now: its state says so, and its expiry is still to come.
    pub fn is_live_at(&self, now: Millis) -> bool {
        self.state.is_live() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Runs that were started before requests could hold several users.
fn one() -> u32 {
    1
}

const WHAT: &str = "run";

/// An idempotency key and the request that it came with, both as SHA-256 in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Of the key.
    pub key: String,
    /// Of the request.
    pub request: String,
}

/// What a start gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The run was made.
    Started,
    /// The same key and request made this run before.
    Repeated(RunId),
    /// The key came with another request before.
    KeyReused,
}

/// Makes a run: its rows, its parts, its due entries and its idempotency key, in one transaction. The caller then sends the parts' messages;
/// their entries are due at `due`, the run's own at the next minute.
pub async fn start(
    ledger: &dyn Table,
    run: &Run,
    pinned: &Pinned,
    parts: &[Part],
    idempotency: &Idempotency,
    due: Millis,
) -> StoreResult<Start> {
    let key = keys::idempotency(&run.workspace, &idempotency.key);
    let mut marker = keyed(&key);
    marker.insert("run".to_owned(), text(run.id));
    marker.insert("request".to_owned(), text(&idempotency.request));
    marker.insert("expires".to_owned(), number(run.expires));

    let json = serde_json::to_string(pinned).map_err(|error| StoreError::corrupt("pinned", error))?;
    let mut pinned_item = keyed(&keys::pinned(run.id));
    pinned_item.insert("json".to_owned(), text(json));
    pinned_item.insert("expires".to_owned(), number(run.expires));

    let mut listed = keyed(&keys::listed_run(&run.workspace, run.id));
    listed.insert("push".to_owned(), text(run.push));
    listed.insert("expires".to_owned(), number(run.expires));

    let mut writes = vec![
        (Write::Put(marker), Some(Condition::Absent)),
        (Write::Put(encode(WHAT, &keys::run(run.id), run)?), Some(Condition::Absent)),
        (Write::Put(pinned_item), None),
        (Write::Put(listed), None),
        (Write::Put(Due::new(Subject::Run(run.id), run.created).item()), None),
    ];
    for part in parts {
        writes.push((Write::Put(part.item()?), None));
        let entry = Due { subject: Subject::Part(run.id, part.part), at: due, sent: Some(run.created) };
        writes.push((Write::Put(entry.item()), None));
    }
    if let Transaction::Done = ledger.transact(writes).await? {
        return Ok(Start::Started);
    }
    match earlier(ledger, &run.workspace, idempotency).await? {
        None => Err(StoreError::corrupt(WHAT, "its start was refused without a reason")),
        // A transaction whose answer was lost meets its own marker.
        Some(Start::Repeated(first)) if first == run.id => Ok(Start::Started),
        Some(start) => Ok(start),
    }
}

/// What a start with this key came to before, if there was one: [`Start::Repeated`] or [`Start::KeyReused`].
pub async fn earlier(
    ledger: &dyn Table,
    workspace: &WorkspaceId,
    idempotency: &Idempotency,
) -> StoreResult<Option<Start>> {
    let Some(marker) = ledger.get(&keys::idempotency(workspace, &idempotency.key)).await? else {
        return Ok(None);
    };
    if marker.text("request")? != idempotency.request {
        return Ok(Some(Start::KeyReused));
    }
    let first = marker.text("run")?.parse().map_err(|error| StoreError::corrupt(WHAT, error))?;
    Ok(Some(Start::Repeated(first)))
}

/// One run.
pub async fn get(ledger: &dyn Table, run: RunId) -> StoreResult<Option<Run>> {
    ledger.get(&keys::run(run)).await?.map(|item| decode(WHAT, item)).transpose()
}

/// What a run pinned at its start; never changes, so it may be kept.
pub async fn pinned(ledger: &dyn Table, run: RunId) -> StoreResult<Option<Pinned>> {
    let Some(item) = ledger.get(&keys::pinned(run)).await? else { return Ok(None) };
    serde_json::from_str(item.text("json")?).map(Some).map_err(|error| StoreError::corrupt("pinned", error))
}

/// Runs and endpoints as they are now: one strongly consistent batch of at most 100.
pub async fn control(
    ledger: &dyn Table,
    runs: &[RunId],
    webhooks: &[WebhookId],
) -> StoreResult<(Vec<Run>, Vec<Endpoint>)> {
    let run_keys = runs.iter().map(|&run| keys::run(run));
    let endpoint_keys: Vec<_> = webhooks.iter().map(|&webhook| (keys::endpoint(webhook), webhook)).collect();
    let keys: Vec<_> = run_keys.chain(endpoint_keys.iter().map(|(key, _)| key.clone())).collect();
    let (mut found, mut endpoints) = (Vec::new(), Vec::new());
    for item in ledger.get_many(&keys, true).await? {
        let pk = item.text("pk")?;
        match endpoint_keys.iter().find(|(key, _)| key.pk == pk) {
            Some(&(_, webhook)) => endpoints.push(Endpoint::read(webhook, &item)?),
            None => found.push(decode(WHAT, item)?),
        }
    }
    Ok((found, endpoints))
}

/// Run IDs of a workspace, newest first, behind the one given; and where to go on.
pub async fn list(
    ledger: &dyn Table,
    workspace: &WorkspaceId,
    after: Option<RunId>,
    limit: usize,
) -> StoreResult<(Vec<RunId>, Option<RunId>)> {
    let query = Query {
        pk: keys::runs(workspace),
        after: after.map(|run| run.to_string()),
        limit,
        order: Order::Descending,
        consistent: true,
        ..Query::default()
    };
    let page = ledger.query(&query).await?;
    let parse = |text: &str| text.parse::<RunId>().map_err(|error| StoreError::corrupt(WHAT, error));
    let ids = page.items.iter().map(|item| parse(item.text("sk")?)).collect::<StoreResult<_>>()?;
    Ok((ids, page.more.as_deref().map(parse).transpose()?))
}

/// Writes what the webhook of a run that is as `run` says has not proved. False: somebody changed the run since.
pub async fn set_unproved(ledger: &dyn Table, run: &Run, unproved: &[Proof]) -> StoreResult<bool> {
    let names = unproved.iter().map(|proof| text(proof.name())).collect();
    let update = Update::default().set("unproved", Value::L(names));
    let unchanged = Condition::Equals("epoch", number(run.epoch));
    let written = ledger.write(Write::Update(keys::run(run.id), update), Some(unchanged)).await?;
    Ok(matches!(written, Conditional::Done(_)))
}

/// A change of a run's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The new state.
    pub to: RunState,
    /// Why it closes.
    pub closing: Option<Closing>,
    /// Why it failed.
    pub failure: Option<String>,
    /// When it was over.
    pub ended: Option<Millis>,
}

impl Transition {
    /// To a state, with nothing else to say.
    pub fn to(to: RunState) -> Self {
        Self { to, closing: None, failure: None, ended: None }
    }
}

/// What a change of state gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transitioned {
    /// It was made; the run as it is now.
    Done(Run),
    /// Somebody else changed the state first; the run as it is now.
    Raced(Run),
    /// There is no such run.
    Unknown,
}

/// Changes the state of a run that is as `run` says: the epoch decides, so that changes have one total order.
pub async fn transition(ledger: &dyn Table, run: &Run, change: &Transition) -> StoreResult<Transitioned> {
    let mut update =
        Update::default().set("state", text(change.to.name())).set("epoch", number(run.epoch + 1));
    update = match change.closing {
        Some(Closing::Cancelled) => update.set("closing", text("cancelled")),
        Some(Closing::Expired) => update.set("closing", text("expired")),
        None => update,
    };
    update = match &change.failure {
        Some(failure) => update.set("failure", text(failure)),
        None => update.with("failure", Change::Remove),
    };
    update = match change.ended {
        Some(ended) => update.set("ended", number(ended.0)),
        None => update.with("ended", Change::Remove),
    };
    let unchanged = Condition::Equals("epoch", number(run.epoch));
    match ledger.write(Write::Update(keys::run(run.id), update), Some(unchanged)).await? {
        Conditional::Done(item) => Ok(Transitioned::Done(decode(WHAT, item)?)),
        Conditional::Failed(Some(item)) => Ok(Transitioned::Raced(decode(WHAT, item)?)),
        Conditional::Failed(None) => Ok(Transitioned::Unknown),
    }
}
