//! Workers that die, answers that are lost: nothing is, and what is doubled stays within the bound.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use deliver::{REQUESTS, UNSAVED};
use fanhook_core::{outcome::Reason, retry::Attempt};
use fanhook_lambda::{
    clock::{Clock, ManualClock},
    sqs::Fate,
};
use fanhook_store::{
    StoreResult,
    chunks::{self, Claim, Purpose},
    memory::{Fault, MemoryObjects, Operation},
    ports::{Fetched, ObjectError, Objects, Upload},
};

use crate::{
    endpoint::{Reply, Seen},
    world::{Setup, TIMEOUT, World},
};

fn mixed(seen: &Seen, earlier: usize) -> (Duration, Reply) {
    let digit = seen.body.bytes().filter(u8::is_ascii_digit).map(usize::from).sum::<usize>() % 7;
    let reply = match (digit, earlier) {
        (0, 0) => Reply::Status(503),
        (1, _) => Reply::Status(404),
        (2, 0) => Reply::Attempt(Attempt::Disconnected),
        _ => Reply::Status(200),
    };
    (Duration::from_millis(10 + digit as u64 * 30), reply)
}

#[tokio::test]
async fn a_worker_that_dies_at_any_effect_loses_nobody_and_counts_nobody_twice() {
    for done in [false, true] {
        let mut points = 0;
        for at in 1.. {
            let world = World::new(Setup { chunks: vec![30, 1, 150], ..Setup::default() }).await;
            world.endpoint.script(mixed);
            world.crash.arm(at, done);
            if !world.invoke_to_death().await {
                points = at;
                break;
            }
            world.drive().await;
            let repeats = world.check_accounts().await;
            // Of them some are tries after failures.
            assert!(repeats <= 181 * 2, "{repeats} repeats after effect {at}");
        }
        assert!(points > 300, "{points} effects");
    }
}

#[tokio::test]
async fn a_killed_worker_has_sent_no_more_than_the_bound_that_is_sent_again() {
    for at in [100, 400, 700, 1_000, 1_500, 2_500, 3_500] {
        let world = World::new(Setup { chunks: vec![500; 10], ..Setup::default() }).await;
        world.endpoint.script(|seen, _| {
            (Duration::from_millis(u64::from(seen.body.as_bytes()[16]) * 3), Reply::Status(200))
        });
        world.crash.arm(at, true);
        assert!(world.invoke_to_death().await);
        world.drive().await;
        let repeats = world.check_accounts().await;
        let bound = REQUESTS + 10 * UNSAVED;
        assert!(repeats <= bound, "{repeats} repeats after effect {at}");
    }
}

#[tokio::test]
async fn a_lost_answer_of_any_write_changes_nothing_but_time() {
    for lost in 1..40 {
        let world = World::new(Setup { chunks: vec![100, 20], ..Setup::default() }).await;
        world.endpoint.script(mixed);
        let writes = AtomicUsize::new(0);
        world.fail(move |operation| {
            let write = matches!(
                operation,
                Operation::Write(..) | Operation::Transact(_) | Operation::PutObject(_) | Operation::Send(_)
            );
            let strikes = write && writes.fetch_add(1, Ordering::SeqCst) + 1 == lost;
            if strikes { Fault::After } else { Fault::None }
        });
        world.drive().await;
        world.check_accounts().await;
    }
}

#[tokio::test]
async fn a_store_that_fails_again_and_again_loses_nobody() {
    for nth in [2, 3, 5, 7] {
        let world = World::new(Setup { chunks: vec![100, 20], ..Setup::default() }).await;
        world.endpoint.script(mixed);
        let (operations, healed) = (AtomicUsize::new(0), Arc::clone(&world.clock));
        let until = healed.now() + Duration::from_secs(1_000);
        world.fail(move |_| {
            let strikes = operations.fetch_add(1, Ordering::SeqCst) % nth == nth - 1 && healed.now() < until;
            match (strikes, operations.load(Ordering::SeqCst) % 2) {
                (false, _) => Fault::None,
                (true, 0) => Fault::Before,
                (true, _) => Fault::After,
            }
        });
        // The test's own look at the rows must not fail.
        for _ in 0..40 {
            world.invoke().await;
            world.clock.advance(Duration::from_secs(100));
        }
        world.heal();
        world.drive().await;
        world.check_accounts().await;
    }
}

#[tokio::test]
async fn a_worker_whose_fence_is_lost_stops_and_writes_nothing() {
    let world = World::new(Setup { chunks: vec![500], ..Setup::default() }).await;
    world.endpoint.script(|_, _| (Duration::from_secs(2), Reply::Status(200)));
    // Somebody else takes the chunk, as after a lease that ran out.
    let thief = async {
        world.clock.sleep(Duration::from_secs(1)).await;
        let row = world.chunk(0).await;
        let late = row.lease + Duration::from_secs(1);
        let claim = chunks::claim(
            &*world.ledger,
            &row.id,
            Purpose::Deliver,
            "thief",
            late,
            late + Duration::from_mins(1),
        );
        assert!(matches!(claim.await.unwrap(), Claim::Won(_)));
    };
    let (fates, ()) = futures_util::future::join(world.invoke(), thief).await;
    assert_eq!(fates, [Fate::Done]);
    assert_eq!(world.endpoint.seen().len(), REQUESTS);
    let row = world.chunk(0).await;
    assert_eq!((row.owner.as_deref(), row.states.pending_len(), row.pass), (Some("thief"), 500, 0));
    assert_eq!(world.records().await.len(), 0);
    assert_eq!(world.endpoint.under_way(), 0);
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
}

/// A bucket whose puts take so long.
struct Slow(Arc<MemoryObjects>, Arc<ManualClock>, Duration);

#[async_trait]
impl Objects for Slow {
    async fn get(&self, key: &str, range: Range<u64>, etag: Option<&str>) -> Result<Fetched, ObjectError> {
        self.0.get(key, range, etag).await
    }
    async fn put(&self, key: &str, bytes: Bytes) -> StoreResult<()> {
        self.1.sleep(self.2).await;
        self.0.put(key, bytes).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>) -> StoreResult<Vec<String>> {
        self.0.list(prefix, after).await
    }
    async fn presign_put(&self, key: &str, lifetime: Duration) -> StoreResult<Upload> {
        self.0.presign_put(key, lifetime).await
    }
    async fn presign_get(&self, key: &str, lifetime: Duration) -> StoreResult<Upload> {
        self.0.presign_get(key, lifetime).await
    }
}

#[tokio::test]
async fn no_outcome_is_put_after_the_lease() {
    let mut world = World::new(Setup::default()).await;
    let put_after = Duration::from_secs(100);
    world.ports.objects = Arc::new(Slow(Arc::clone(&world.objects), Arc::clone(&world.clock), put_after));
    let began = world.clock.now();
    assert_eq!(world.invoke().await, [Fate::Retry]);
    assert!(world.clock.now() < began + TIMEOUT);
    assert_eq!((world.records().await.len(), world.totals().await.sum()), (0, 0));
    world.ports.objects = world.objects.clone();
    world.drive().await;
    // What the checkpoint had is not sent again; all was settled once.
    world.check_accounts().await;
}
