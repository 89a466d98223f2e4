//! A run's counters: recipients by reason and chunks that are through, spread over 16 items.

use fanhook_core::{chunk::Totals, id::RunId, outcome::REASONS};

use crate::{
    StoreResult,
    chunks::Chunk,
    item::{Attributes, number},
    keys,
    ports::{Change, Table, Update, Write},
};

/// What the counters of a run say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Final recipients by reason.
    pub totals: Totals,
    /// Chunks without a recipient that was never tried: what is left of them waits for retries.
    pub tried_chunks: u64,
}

/// The write that counts a chunk's newly final recipients; none where there is nothing to count. Only for a transaction with the chunk's
/// own row.
pub(crate) fn add(chunk: &Chunk, tried: bool) -> Option<Write> {
    let (id, totals) = (&chunk.id, chunk.states.uncounted_totals());
    let changes = totals.0.iter().map(|(reason, &count)| (reason.name(), count));
    let changes = changes.chain(tried.then_some(("tried_chunks", 1)));
    let mut update = Update::default();
    for (name, count) in changes {
        update = update.with(name, Change::Add(i64::try_from(count).unwrap_or(i64::MAX)));
    }
    if update.changes.is_empty() {
        return None;
    }
    let shard = u64::from(id.chunk) + u64::from(id.part);
    update = update.with("expires", Change::SetIfMissing(number(chunk.expires)));
    Some(Write::Update(keys::counter(id.run, shard), update))
}

/// The counters' sums, strongly consistent.
pub async fn read(ledger: &dyn Table, run: RunId) -> StoreResult<Counted> {
    let keys: Vec<_> = (0..keys::COUNTER_SHARDS).map(|shard| keys::counter(run, shard)).collect();
    let mut counted = Counted::default();
    for item in ledger.get_many(&keys, true).await? {
        counted.tried_chunks += item.maybe_number("tried_chunks")?.unwrap_or(0);
        for (reason, _, _, name) in REASONS {
            if let Some(count) = item.maybe_number(name)? {
                counted.totals.add(reason, count);
            }
        }
    }
    Ok(counted)
}
