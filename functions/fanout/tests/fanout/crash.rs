//! Workers that die, stores that fail, and workers that come back after another took over.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use fanhook_core::run::RunState;
use fanhook_store::{
    StoreResult,
    memory::{Fault, MemoryObjects, MemoryQueue, MemoryTable, Operation},
    parts::PartState,
    ports::{
        Condition, Conditional, Fetched, Item, Key, ObjectError, Objects, Page, Query, Table, Transaction,
        Upload, Write,
    },
};
use fanout::{Outcome, parse::Message, work};
use tokio::sync::Notify;

use crate::world::{SECOND, Setting, World, gzip, with_ids};

const USERS: usize = 4_600;

fn files() -> [Vec<u8>; 2] {
    [with_ids(0..USERS), gzip(&with_ids(0..USERS))]
}

/// Fails the operation of one number, and where the worker dies of it all that follow.
struct Faulty {
    at: usize,
    fault: Fault,
    deadly: bool,
    count: AtomicUsize,
    on: AtomicBool,
}

impl Faulty {
    fn of(&self, _: &Operation<'_>) -> Fault {
        if !self.on.load(Ordering::Relaxed) {
            return Fault::None;
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        match number.cmp(&self.at) {
            std::cmp::Ordering::Equal => self.fault,
            std::cmp::Ordering::Greater if self.deadly => Fault::Before,
            std::cmp::Ordering::Less | std::cmp::Ordering::Greater => Fault::None,
        }
    }
}

async fn faulty(at: usize, fault: Fault, deadly: bool, file: &[u8]) -> (World, Arc<Faulty>) {
    let faulty =
        Arc::new(Faulty { at, fault, deadly, count: AtomicUsize::new(0), on: AtomicBool::new(false) });
    let hook = || {
        let faulty = faulty.clone();
        move |operation: &Operation<'_>| faulty.of(operation)
    };
    let setting = Setting {
        ledger: MemoryTable::new().with_faults(hook()),
        objects: MemoryObjects::new().with_faults(hook()),
        fanout: MemoryQueue::new().with_faults(hook()),
        deliver: MemoryQueue::new().with_faults(hook()),
        all: true,
        // Whoever takes over must cut as the one before.
        batch_size: Some(300),
    };
    let world = setting.run(&[file.to_vec()]).await;
    faulty.on.store(true, Ordering::Relaxed);
    (world, faulty)
}

/// Every user is a recipient once, in order, and what counts as released was sent.
async fn check(world: &World, told: &str) {
    let part = world.part(0).await;
    assert_eq!(part.state, PartState::Ended, "{told}");
    let expected: Vec<String> = (0..USERS).map(|user| format!("user-{user}")).collect();
    assert!(world.users(0).await == expected, "{told}: other users");
    assert_eq!((part.commit.lines, part.commit.unwritten), (USERS as u64, 0), "{told}");
    assert_eq!(world.run().await.state, RunState::Running, "{told}");
    let sent = world.released(0);
    assert!((0..part.released).all(|chunk| sent.contains(&chunk)), "{told}: {} of {sent:?}", part.released);
}

#[tokio::test]
async fn a_worker_may_die_anywhere() {
    for file in files() {
        for fault in [Fault::Before, Fault::After] {
            for at in 0.. {
                let (world, faulty) = faulty(at, fault, true, &file).await;
                let died = world.invoke(0).await;
                if faulty.count.load(Ordering::Relaxed) <= at {
                    assert_eq!(died.unwrap(), Outcome::Ended);
                    assert!(at > 40, "only {at} operations");
                    break;
                }
                faulty.on.store(false, Ordering::Relaxed);
                world.clock.advance(400 * SECOND);
                let outcome = world.work(0).await;
                assert!(matches!(outcome, Outcome::Ended | Outcome::Over), "{outcome:?}");
                check(&world, &format!("{fault:?} operation {at}")).await;
            }
        }
    }
}

#[tokio::test]
async fn a_store_may_fail_anywhere() {
    for file in files() {
        for fault in [Fault::Before, Fault::After] {
            for at in 0.. {
                let (world, faulty) = faulty(at, fault, false, &file).await;
                let mut outcome = world.invoke(0).await;
                if faulty.count.load(Ordering::Relaxed) <= at {
                    break;
                }
                let failed = outcome.is_err();
                if failed {
                    // The message comes again.
                    outcome = world.invoke(0).await;
                }
                if matches!(outcome, Ok(Outcome::Held)) {
                    // The claim's own answer, or that of giving back, was lost.
                    world.clock.advance(400 * SECOND);
                    outcome = world.invoke(0).await;
                }
                assert!(
                    matches!(outcome, Ok(Outcome::Ended | Outcome::Over)),
                    "{fault:?} operation {at}: {outcome:?}"
                );
                check(&world, &format!("{fault:?} operation {at}")).await;
            }
        }
    }
}

/// Stores that halt at one operation until they are told to go on.
struct Halting {
    ledger: Arc<MemoryTable>,
    objects: Arc<MemoryObjects>,
    at: usize,
    count: AtomicUsize,
    halted: Notify,
    go_on: Notify,
}

impl Halting {
    async fn pass(&self) {
        if self.count.fetch_add(1, Ordering::Relaxed) == self.at {
            self.halted.notify_one();
            self.go_on.notified().await;
        }
    }
}

#[async_trait::async_trait]
impl Table for Halting {
    async fn get(&self, key: &Key) -> StoreResult<Option<Item>> {
        self.pass().await;
        self.ledger.get(key).await
    }

    async fn get_many(&self, keys: &[Key], consistent: bool) -> StoreResult<Vec<Item>> {
        self.pass().await;
        self.ledger.get_many(keys, consistent).await
    }

    async fn query(&self, query: &Query) -> StoreResult<Page> {
        self.pass().await;
        self.ledger.query(query).await
    }

    async fn write(&self, write: Write, condition: Option<Condition>) -> StoreResult<Conditional> {
        self.pass().await;
        self.ledger.write(write, condition).await
    }

    async fn transact(&self, writes: Vec<(Write, Option<Condition>)>) -> StoreResult<Transaction> {
        self.pass().await;
        self.ledger.transact(writes).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> StoreResult<()> {
        self.pass().await;
        self.ledger.write_many(writes).await
    }
}

#[async_trait::async_trait]
impl Objects for Halting {
    async fn get(&self, key: &str, range: Range<u64>, etag: Option<&str>) -> Result<Fetched, ObjectError> {
        self.pass().await;
        self.objects.get(key, range, etag).await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> StoreResult<()> {
        self.pass().await;
        self.objects.put(key, bytes).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> StoreResult<Vec<String>> {
        self.objects.list(prefix, after).await
    }

    async fn presign_put(&self, key: &str, lifetime: std::time::Duration) -> StoreResult<Upload> {
        self.objects.presign_put(key, lifetime).await
    }

    async fn presign_get(&self, key: &str, lifetime: std::time::Duration) -> StoreResult<Upload> {
        self.objects.presign_get(key, lifetime).await
    }
}

/// The first worker halts at an operation, the second takes over when the lease has run out, and then the first goes on.
async fn overtaken(at: usize, file: &[u8]) -> (World, usize) {
    let world = Setting::all().run(&[file.to_vec()]).await;
    let (ledger, objects) = (world.ledger.clone(), world.objects.clone());
    let (halted, go_on) = (Notify::new(), Notify::new());
    let halting = Arc::new(Halting { ledger, objects, at, count: AtomicUsize::new(0), halted, go_on });
    let mut ports = world.ports.clone();
    (ports.ledger, ports.objects) = (halting.clone(), halting.clone());
    let deadline = fanhook_lambda::clock::Clock::now(&*world.clock) + 300 * SECOND;
    let first = async {
        let outcome = work(&ports, Message { run: world.run, part: 0 }, deadline).await.unwrap();
        halting.halted.notify_one();
        outcome
    };
    let second = async {
        halting.halted.notified().await;
        world.clock.advance(400 * SECOND);
        let outcome = world.work(0).await;
        halting.go_on.notify_one();
        outcome
    };
    let (first, second) = tokio::join!(first, second);
    let count = halting.count.load(Ordering::Relaxed);
    let told = format!("halted at {at}: {first:?}, {second:?}");
    let over = [Outcome::Ended, Outcome::Over, Outcome::Held];
    assert!(over.contains(&first) && over.contains(&second), "{told}");
    check(&world, &told).await;
    (world, count)
}

#[tokio::test]
async fn a_worker_that_was_taken_over_from_writes_nothing_more() {
    for file in files() {
        let (_, count) = overtaken(usize::MAX, &file).await;
        assert!(count > 40, "only {count} operations");
        for at in 0..count {
            overtaken(at, &file).await;
        }
    }
}
