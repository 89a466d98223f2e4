//! Chunk rows: claim, checkpoint, settle.

use fanhook_core::{
    chunk::{ChunkId, MAX_STALLS, Source, States},
    time::Millis,
};

use crate::{
    StoreError, StoreResult, counters,
    due::{Due, Subject},
    item::{Attributes, binary, keyed, number, text},
    keys,
    ports::{Change, Condition, Conditional, Item, Table, Transaction, Update, Write},
};

/// A chunk row.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Its name.
    pub id: ChunkId,
    /// Where its recipients stand.
    pub source: Source,
    /// A byte per recipient.
    pub states: States,
    /// Who works it: random per claim.
    pub owner: Option<String>,
    /// Until when the owner may work.
    pub lease: Millis,
    /// Counts the claims; 0 when it was never claimed.
    pub fence: u64,
    /// Counts the settled passes.
    pub pass: u64,
    /// Claims over a lease that ran out, since the last checkpoint.
    pub stalls: u32,
    /// Not to be claimed before.
    pub next_attempt: Millis,
    /// When its first request ended.
    pub first_attempt: Option<Millis>,
    /// Whether every recipient is final or was tried, as the run's counters know it.
    pub tried: bool,
    /// When the row may be deleted, in seconds of Unix time.
    pub expires: u64,
}

impl Chunk {
    /// A new row, all pending.
    pub fn new(id: ChunkId, source: Source, recipients: usize, expires: u64) -> Self {
        Self {
            id,
            source,
            states: States::new(recipients),
            owner: None,
            lease: Millis(0),
            fence: 0,
            pass: 0,
            stalls: 0,
            next_attempt: Millis(0),
            first_attempt: None,
            tried: false,
            expires,
        }
    }

    /// Whether every recipient is final and counted.
    pub fn is_done(&self) -> bool {
        self.states.pending_len() == 0 && self.states.uncounted().next().is_none()
    }

    /// Whether it stalled too often to be worked on.
    pub fn is_parked(&self) -> bool {
        self.stalls >= MAX_STALLS
    }

    /// Whether somebody may be working on it.
    pub fn is_held(&self, now: Millis) -> bool {
        self.owner.is_some() && self.lease > now
    }

    /// Its item in the ledger, under 1 KB.
    pub fn item(&self) -> Item {
        let mut item = keyed(&keys::chunk(&self.id));
        let source = self.source;
        let mut set = |name: &str, value| item.insert(name.to_owned(), value);
        set("segment", number(source.segment));
        set("segment_fence", number(source.fence));
        set("offset", number(source.offset));
        set("length", number(source.length));
        set("states", binary(self.states.as_bytes()));
        set("lease", number(self.lease.0));
        set("fence", number(self.fence));
        set("pass", number(self.pass));
        set("stalls", number(self.stalls));
        set("next_attempt", number(self.next_attempt.0));
        set("expires", number(self.expires));
        if !self.is_done() {
            set("open", number(1_u64));
        }
        if self.tried {
            set("tried", number(1_u64));
        }
        if let Some(owner) = &self.owner {
            set("owner", text(owner));
        }
        if let Some(first) = self.first_attempt {
            set("first_attempt", number(first.0));
        }
        item
    }

    fn read(id: ChunkId, item: &Item) -> StoreResult<Self> {
        let states = States::from_bytes(item.bytes("states")?.to_vec())
            .ok_or_else(|| StoreError::corrupt("chunk", "a state is not known"))?;
        Ok(Self {
            id,
            source: Source {
                segment: item.fitting("segment")?,
                fence: item.number("segment_fence")?,
                offset: item.number("offset")?,
                length: item.number("length")?,
            },
            states,
            owner: item.maybe_text("owner")?.map(str::to_owned),
            lease: Millis(item.number("lease")?),
            fence: item.number("fence")?,
            pass: item.number("pass")?,
            stalls: item.fitting("stalls")?,
            next_attempt: Millis(item.number("next_attempt")?),
            first_attempt: item.maybe_number("first_attempt")?.map(Millis),
            tried: item.contains_key("tried"),
            expires: item.number("expires")?,
        })
    }
}

/// What a claim gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// The chunk is ours until its lease.
    Won(Box<Chunk>),
    /// Nothing is left to do.
    Done,
    /// Somebody works it.
    Held {
        /// Until when.
        until: Millis,
    },
    /// It is not due yet.
    Early {
        /// When it is.
        until: Millis,
    },
    /// It stalled [`MAX_STALLS`] times and waits for a person, or for the run's expiry.
    Parked,
    /// There is no such row.
    Unknown,
}

/// Puts rows that do not exist yet; those that exist stay as they are.
pub async fn create(ledger: &dyn Table, rows: &[Chunk]) -> StoreResult<()> {
    // A conditional put each: a batch has no conditions, a transaction costs twice.
    let puts = rows.iter().map(|row| ledger.write(Write::Put(row.item()), Some(Condition::Absent)));
    futures_util::future::try_join_all(puts).await.map(|_| ())
}

/// One row.
pub async fn get(ledger: &dyn Table, id: &ChunkId) -> StoreResult<Option<Chunk>> {
    ledger.get(&keys::chunk(id)).await?.map(|item| Chunk::read(*id, &item)).transpose()
}

/// Up to 100 rows, each beside its name; a missing one is left out.
pub async fn get_many(ledger: &dyn Table, ids: &[ChunkId]) -> StoreResult<Vec<Chunk>> {
    let keys: Vec<_> = ids.iter().map(keys::chunk).collect();
    let items = ledger.get_many(&keys, true).await?;
    let mut chunks = Vec::with_capacity(items.len());
    for item in items {
        let (pk, sk) = (item.text("pk")?, item.text("sk")?);
        let named = keys.iter().position(|key| key.pk == pk && key.sk.as_deref() == Some(sk));
        if let Some(at) = named {
            chunks.push(Chunk::read(ids[at], &item)?);
        }
    }
    Ok(chunks)
}

/// What a chunk is claimed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To deliver: only when it is due and not parked.
    Deliver,
    /// To close what is pending: at once.
    Close,
}

/// Claims a chunk for `owner` until `lease`. `owner` is random per call, so that a repeat by the SDK meets itself.
pub async fn claim(
    ledger: &dyn Table,
    id: &ChunkId,
    purpose: Purpose,
    owner: &str,
    now: Millis,
    lease: Millis,
) -> StoreResult<Claim> {
    let update = taking(owner, lease);
    let free = when(purpose, now, [Condition::Missing("owner")]);
    let old = match ledger.write(Write::Update(keys::chunk(id), update.clone()), Some(free)).await? {
        Conditional::Done(item) => return Ok(Claim::Won(Box::new(Chunk::read(*id, &item)?))),
        Conditional::Failed(None) => return Ok(Claim::Unknown),
        Conditional::Failed(Some(old)) => old,
    };
    let chunk = Chunk::read(*id, &old)?;
    let expired = chunk.owner.is_some() && chunk.lease <= now;
    if !expired || (chunk.is_parked() && purpose == Purpose::Deliver) {
        return Ok(refusal(chunk, owner, now));
    }
    // Over a lease that ran out: counted as a stall.
    let unchanged = [Condition::Equals("fence", number(chunk.fence)), Condition::AtMost("lease", now.0)];
    let update = update.with("stalls", Change::Add(1));
    let condition = when(purpose, now, unchanged);
    match ledger.write(Write::Update(keys::chunk(id), update), Some(condition)).await? {
        Conditional::Done(item) => Ok(Claim::Won(Box::new(Chunk::read(*id, &item)?))),
        Conditional::Failed(None) => Ok(Claim::Unknown),
        Conditional::Failed(Some(old)) => Ok(refusal(Chunk::read(*id, &old)?, owner, now)),
    }
}

fn taking(owner: &str, lease: Millis) -> Update {
    Update::default().set("owner", text(owner)).set("lease", number(lease.0)).with("fence", Change::Add(1))
}

fn when(purpose: Purpose, now: Millis, free: impl IntoIterator<Item = Condition>) -> Condition {
    let mut all = vec![Condition::AtLeast("open", 1)];
    all.extend(free);
    if purpose == Purpose::Deliver {
        all.push(Condition::AtMost("next_attempt", now.0));
        all.push(Condition::AtMost("stalls", u64::from(MAX_STALLS) - 1));
    }
    Condition::All(all)
}

fn refusal(chunk: Chunk, owner: &str, now: Millis) -> Claim {
    if chunk.owner.as_deref() == Some(owner) {
        return Claim::Won(Box::new(chunk));
    }
    if chunk.is_done() {
        Claim::Done
    } else if chunk.is_held(now) {
        Claim::Held { until: chunk.lease }
    } else if chunk.is_parked() {
        Claim::Parked
    } else {
        Claim::Early { until: chunk.next_attempt.max(now) }
    }
}

/// Whether a write found the fence still ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fenced {
    /// It was done.
    Held,
    /// Another worker has the chunk: stop at once.
    Lost,
}

fn ours(chunk: &Chunk) -> Condition {
    Condition::All(vec![
        Condition::Equals("fence", number(chunk.fence)),
        Condition::Equals("owner", text(chunk.owner.as_deref().unwrap_or_default())),
    ])
}

/// Saves the states of a claimed chunk.
pub async fn checkpoint(ledger: &dyn Table, chunk: &Chunk) -> StoreResult<Fenced> {
    match ledger
        .write(Write::Update(keys::chunk(&chunk.id), saving(chunk, &chunk.states)), Some(ours(chunk)))
        .await?
    {
        Conditional::Done(_) => Ok(Fenced::Held),
        Conditional::Failed(_) => Ok(Fenced::Lost),
    }
}

fn saving(chunk: &Chunk, states: &States) -> Update {
    let update = Update::default().set("states", binary(states.as_bytes())).set("stalls", number(0_u64));
    match chunk.first_attempt {
        Some(first) => update.set("first_attempt", number(first.0)),
        None => update,
    }
}

/// Counts what is newly final and gives the chunk back, in one transaction; `next` is when the pending ones are tried again, and
/// `sent` when a message for then was sent, for the due entry that is written where any is pending.
///
/// Call it only after the outcome object of this pass was put.
pub async fn settle(
    ledger: &dyn Table,
    chunk: &Chunk,
    next: Millis,
    sent: Option<Millis>,
) -> StoreResult<Fenced> {
    let settled = chunk.states.counted();
    let open = settled.pending_len() > 0;
    let newly_tried = !chunk.tried && settled.untried_len() == 0;
    let mut update = saving(chunk, &settled)
        .set("settled", number(chunk.fence))
        .set("pass", number(chunk.pass + 1))
        .set("lease", number(0_u64))
        .set("next_attempt", number(next.0))
        .with("owner", Change::Remove);
    if !open {
        update = update.with("open", Change::Remove);
    }
    if newly_tried {
        update = update.set("tried", number(1_u64));
    }
    let mut writes = vec![(Write::Update(keys::chunk(&chunk.id), update), Some(ours(chunk)))];
    writes.extend(counters::add(chunk, newly_tried).map(|write| (write, None)));
    if open {
        let due = Due { subject: Subject::Chunk(chunk.id), at: next, sent };
        writes.push((Write::Put(due.item()), None));
    }
    match ledger.transact(writes).await? {
        Transaction::Done => Ok(Fenced::Held),
        Transaction::Failed(failed) => {
            let old = failed.into_iter().find(|(index, _)| *index == 0).and_then(|(_, old)| old);
            let own =
                old.map(|item| item.maybe_number("settled")).transpose()?.flatten() == Some(chunk.fence);
            Ok(if own { Fenced::Held } else { Fenced::Lost })
        }
    }
}
