//! Closing: what is pending of a cancelled or expired run becomes final.

use fanhook_core::{chunk::ChunkId, outcome::Reason, run::Closing, time::Millis};
use fanhook_store::{
    StoreResult,
    chunks::{self, Chunk, Claim, Fenced, Purpose},
    outcomes, parts,
    parts::{Part, PartState},
    runs::Run,
};
use futures_util::{StreamExt, stream};

use crate::apply::Ports;

const BATCH: u32 = 100;
const AT_A_TIME: usize = 16;

/// Walks the chunks of a closing run from where the last walk stopped, and settles each that nobody holds. Answers their number.
///
/// A chunk that somebody holds is left for the next walk: its lease ends, and its worker starts no request any more.
pub(crate) async fn walk(ports: &Ports, run: &Run, deadline: Millis) -> StoreResult<u64> {
    let mut closed = 0;
    for part in parts::list(ports.ledger.as_ref(), run.id).await? {
        closed += walk_part(ports, run, part, deadline).await?;
    }
    Ok(closed)
}

async fn walk_part(ports: &Ports, run: &Run, part: Part, deadline: Millis) -> StoreResult<u64> {
    let (mut closed, mut passed) = (0, true);
    let mut from = part.closed;
    while from < part.commit.chunks && ports.clock.now() + ports.margin < deadline {
        let to = part.commit.chunks.min(from + BATCH);
        let ids: Vec<ChunkId> =
            (from..to).map(|chunk| ChunkId { run: run.id, part: part.part, chunk }).collect();
        let rows = chunks::get_many(ports.ledger.as_ref(), &ids).await?;
        // A row that is counted but not put yet will come, while the part is open.
        let mut whole = rows.len() == ids.len() || part.state != PartState::Open;
        let mut open = stream::iter(rows.into_iter().filter(|row| !row.is_done()))
            .map(|row| close(ports, run, row, deadline))
            .buffer_unordered(AT_A_TIME);
        while let Some(done) = open.next().await {
            if done? { closed += 1 } else { whole = false }
        }
        passed &= whole;
        if passed {
            parts::set_closed(ports.ledger.as_ref(), &part, to).await?;
        }
        from = to;
    }
    Ok(closed)
}

/// Settles one chunk; false where somebody holds it.
async fn close(ports: &Ports, run: &Run, row: Chunk, deadline: Millis) -> StoreResult<bool> {
    let now = ports.clock.now();
    if row.is_held(now) || now + ports.margin >= deadline {
        return Ok(false);
    }
    let ledger = ports.ledger.as_ref();
    let owner = ports.random.uuid7(now).simple().to_string();
    let mut chunk =
        match chunks::claim(ledger, &row.id, Purpose::Close, &owner, now, deadline + ports.margin).await? {
            Claim::Won(chunk) => chunk,
            Claim::Done => return Ok(true),
            Claim::Held { .. } | Claim::Early { .. } | Claim::Parked | Claim::Unknown => return Ok(false),
        };
    let reason = match run.closing {
        Some(Closing::Expired) => Reason::Expired,
        Some(Closing::Cancelled) | None => Reason::Cancelled,
    };
    let pending: Vec<usize> = chunk.states.pending().collect();
    for index in pending {
        chunk.states.finish(index, reason);
    }
    outcomes::put_uncounted(ports.objects.as_ref(), run, &chunk, now).await?;
    Ok(chunks::settle(ledger, &chunk, now, None).await? == Fenced::Held)
}
