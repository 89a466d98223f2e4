//! Whole invocations against the twins, in virtual time.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use dispatch::{Ports, Summary, dispatch, plan::Timing};
use fanhook_core::{
    chunk::{ChunkId, Source},
    id::{PushId, RunId, UploadId, WebhookId},
    outcome::Reason,
    push::{IdPolicy, PushContent, SendForm},
    run::{Closing, EndpointSettings, Pinned, Proof, RunState},
    time::Millis,
    webhook::{Body, Content, Method, RetryPolicy, Signing},
};
use fanhook_lambda::{
    clock::{Clock, ManualClock},
    random::SeededRandom,
};
use fanhook_store::{
    chunks::{self, Chunk, Claim, Fenced, Purpose},
    counters, endpoints, keys,
    memory::{Fault, MemoryObjects, MemoryQueue, MemoryTable, Operation},
    parts::{self, Commit, Part, PartClaim, PartState},
    ports::{Item, Objects, Table},
    runs::{self, Idempotency, Run, Transition, Transitioned},
};
use uuid::Uuid;

const START: Millis = Millis(1_800_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

struct World {
    table: Arc<MemoryTable>,
    objects: Arc<MemoryObjects>,
    fanout: Arc<MemoryQueue>,
    deliver: Arc<MemoryQueue>,
    clock: Arc<ManualClock>,
    ports: Ports,
}

fn world_over(table: MemoryTable) -> World {
    let (table, objects) = (Arc::new(table), Arc::new(MemoryObjects::new()));
    let (fanout, deliver) = (Arc::new(MemoryQueue::new()), Arc::new(MemoryQueue::new()));
    let clock = Arc::new(ManualClock::new(START));
    let ports = Ports {
        ledger: table.clone(),
        objects: objects.clone(),
        fanout: fanout.clone(),
        deliver: deliver.clone(),
        clock: clock.clone(),
        random: Arc::new(SeededRandom::new(1)),
        timing: Timing { stand_still: 600 * SECOND, due_ahead: 120 * SECOND },
        margin: 5 * SECOND,
    };
    World { table, objects, fanout, deliver, clock, ports }
}

fn world() -> World {
    world_over(MemoryTable::new())
}

impl World {
    async fn look(&self) -> Summary {
        dispatch(&self.ports, self.clock.now() + 60 * SECOND).await.expect("the buckets can be read")
    }

    /// A minute passes, then `dispatch` runs, so often.
    async fn minutes(&self, count: usize) -> Summary {
        let mut last = Summary::default();
        for _ in 0..count {
            self.clock.advance(60 * SECOND);
            last = self.look().await;
        }
        last
    }

    fn delivered(&self) -> usize {
        let later = Millis(u64::MAX);
        self.deliver.take(later).len()
    }

    async fn state(&self, run: &Run) -> RunState {
        runs::get(&*self.table, run.id).await.unwrap().unwrap().state
    }

    async fn settle_all(&self, chunks: &[ChunkId], reason: Reason) {
        for id in chunks {
            let now = self.clock.now();
            let owner = Uuid::new_v4().to_string();
            let claim = chunks::claim(&*self.table, id, Purpose::Deliver, &owner, now, now + 95 * SECOND);
            let Claim::Won(mut chunk) = claim.await.unwrap() else { panic!("nobody holds {id:?}") };
            (0..chunk.states.len()).for_each(|index| chunk.states.finish(index, reason));
            assert_eq!(chunks::settle(&*self.table, &chunk, now, None).await.unwrap(), Fenced::Held);
        }
    }

    /// A running run with one ended part of `count` chunks of two recipients.
    async fn running(
        &self,
        count: u32,
        rate: Option<u32>,
        expires_at: Option<Millis>,
    ) -> (Run, Vec<ChunkId>) {
        let now = self.clock.now();
        let run = Run {
            id: RunId::new(Uuid::new_v4()),
            workspace: "acme".parse().unwrap(),
            push: PushId::new(Uuid::new_v4()),
            webhook: WebhookId::new(Uuid::new_v4()),
            batch_size: 1,
            state: RunState::Running,
            epoch: 1,
            created: now,
            expires_at,
            unproved: Vec::new(),
            closing: None,
            failure: None,
            ended: None,
            expires: 9_999_999_999,
        };
        let settings = EndpointSettings {
            origin: None,
            requests_per_second: rate,
            allowed_per_minute: None,
            allowed_elsewhere: BTreeMap::new(),
            requests_at_a_time: None,
            retry: RetryPolicy::default(),
            authentication: fanhook_core::webhook::Authentication::default(),
            signing: Signing::None {},
            updated: now,
        };
        endpoints::put(&*self.table, run.webhook, &settings).await.unwrap();
        let part = Part::new(run.id, 0, UploadId::new(Uuid::new_v4()), run.expires);
        let idempotency = Idempotency { key: run.id.to_string(), request: String::new() };
        let due = now + 120 * SECOND;
        runs::start(&*self.table, &run, &pinned(&run), &[part], &idempotency, due).await.unwrap();

        let ids: Vec<ChunkId> = (0..count).map(|chunk| ChunkId { run: run.id, part: 0, chunk }).collect();
        let rows: Vec<Chunk> =
            ids.iter().map(|&id| Chunk::new(id, source(id.chunk), 2, run.expires)).collect();
        chunks::create(&*self.table, &rows).await.unwrap();
        let lines = "{\"qaid\":\"u1\"}\n{\"qaid\":\"u2\"}\n".repeat(rows.len());
        let key = keys::segment(&run.workspace, run.id, 0, 0, 1);
        self.objects.put(&key, Bytes::from(lines)).await.unwrap();

        let claim = parts::claim(&*self.table, run.id, 0, "reader", now, now + SECOND).await.unwrap();
        let PartClaim::Won(mut part) = claim else { panic!("nobody holds the part") };
        part.state = PartState::Ended;
        part.commit =
            Commit { segments: 1, chunks: count, recipients: u64::from(count) * 2, ..Commit::default() };
        parts::give_back(&*self.table, &part).await.unwrap();
        (run, ids)
    }
}

fn source(chunk: u32) -> Source {
    Source { segment: 0, fence: 1, offset: u64::from(chunk) * 28, length: 28 }
}

fn pinned(run: &Run) -> Pinned {
    Pinned {
        run: run.id,
        origin: run.id,
        workspace: run.workspace.clone(),
        push: run.push,
        push_name: "Welcome".to_owned(),
        webhook: run.webhook,
        webhook_version: 1,
        content: Content {
            url: "https://crm.example/coupons".to_owned(),
            method: Method::Post,
            headers: Vec::new(),
            parameters: Vec::new(),
            body: Body::Text { template: "hello".to_owned(), item: None },
            batch_size: None,
            success: None,
            split_refused: false,
            carry_environment: false,
            deadline_seconds: 10,
        },
        push_content: PushContent {
            id_types: Vec::new(),
            id_policy: IdPolicy::default(),
            send_form: SendForm::default(),
            values: BTreeMap::default(),
            variables: Vec::new(),
            started_by: fanhook_core::push::StartedBy::Audience,
        },
        id_types: Vec::new(),
        sources: Vec::new(),
        uploads: Vec::new(),
        stays: fanhook_core::run::Stays::default(),
    }
}

#[tokio::test]
async fn a_run_is_released_delivered_and_over() {
    let world = world();
    let (run, chunks) = world.running(5, None, None).await;
    assert_eq!(world.minutes(1).await.released, 5);
    assert_eq!(world.delivered(), 5);
    world.settle_all(&chunks, Reason::Delivered).await;
    let last = world.minutes(1).await;
    assert_eq!((last.over, world.state(&run).await), (1, RunState::Finished));
    // Nothing is left to look at, and nothing is sent again.
    world.minutes(30).await;
    assert_eq!(world.delivered(), 0);
    assert_eq!(world.table.items().iter().filter(|item| is_due(item)).count(), 0);
}

fn is_due(item: &Item) -> bool {
    item.get("pk").and_then(|pk| pk.as_s().ok()).is_some_and(|pk| pk.starts_with("due#"))
}

#[tokio::test]
async fn every_message_lost_costs_nothing_but_time() {
    let world = world();
    let (run, chunks) = world.running(3, None, None).await;
    world.minutes(1).await;
    for _ in 0..3 {
        // What was sent is lost; after the stand-still all of it is sent again.
        assert_eq!(world.delivered(), 3);
        assert_eq!(world.minutes(9).await.sent, 0);
        world.minutes(3).await;
    }
    assert_eq!(world.delivered(), 3);
    world.settle_all(&chunks, Reason::Delivered).await;
    world.minutes(2).await;
    assert_eq!(world.state(&run).await, RunState::Finished);
}

#[tokio::test]
async fn a_dead_workers_chunk_is_sent_again_when_its_lease_ran_out() {
    let world = world();
    let (_, chunks) = world.running(1, None, None).await;
    world.minutes(2).await;
    assert_eq!(world.delivered(), 1);
    let now = world.clock.now();
    let claim = chunks::claim(&*world.table, &chunks[0], Purpose::Deliver, "dead", now, now + 200 * SECOND);
    assert!(matches!(claim.await.unwrap(), Claim::Won(_)));
    world.minutes(3).await;
    assert_eq!(world.delivered(), 0);
    world.minutes(1).await;
    assert_eq!(world.delivered(), 1);
}

#[tokio::test]
async fn a_limited_endpoint_gets_a_minutes_worth_at_a_time() {
    let world = world();
    // 20 a second are 1,200 a minute: three chunks of 500.
    let (_, chunks) = world.running(10, Some(20), None).await;
    assert_eq!(world.minutes(1).await.released, 3);
    assert_eq!(world.minutes(1).await.released, 0);
    world.settle_all(&chunks[..2], Reason::Delivered).await;
    assert_eq!(world.minutes(1).await.released, 2);
    let delays: Vec<Duration> = world.deliver.waiting().iter().map(|message| message.delay).collect();
    assert!(delays.iter().any(|delay| !delay.is_zero()), "{delays:?}");
}

async fn change(world: &World, run: &Run, change: Transition) -> Run {
    match runs::transition(&*world.table, run, &change).await.unwrap() {
        Transitioned::Done(run) => run,
        other => panic!("nobody raced: {other:?}"),
    }
}

#[tokio::test]
async fn a_cancelled_run_is_closed_but_for_what_somebody_holds() {
    let world = world();
    let (run, chunks) = world.running(250, None, None).await;
    world.minutes(2).await;
    world.settle_all(&chunks[..100], Reason::Delivered).await;
    let now = world.clock.now();
    let held = chunks::claim(&*world.table, &chunks[120], Purpose::Deliver, "w", now, now + 200 * SECOND);
    let Claim::Won(mut held) = held.await.unwrap() else { panic!("nobody holds it") };

    let cancel = Transition { closing: Some(Closing::Cancelled), ..Transition::to(RunState::Closing) };
    change(&world, &run, cancel).await;
    assert_eq!(world.minutes(1).await.closed, 149);
    assert_eq!(world.state(&run).await, RunState::Closing);
    held.states.finish(0, Reason::Delivered);
    assert_eq!(chunks::settle(&*world.table, &held, now, None).await.unwrap(), Fenced::Held);

    world.minutes(1).await;
    assert_eq!(world.state(&run).await, RunState::Cancelled);
    let totals = counters::read(&*world.table, run.id).await.unwrap().totals;
    assert_eq!(totals.0, [(Reason::Delivered, 201), (Reason::Cancelled, 299)].into());
    // Each closed pass has its object: 149 whole chunks and the rest of the one that was held.
    assert_eq!(world.objects.keys().iter().filter(|key| key.starts_with("outcomes/")).count(), 150);
}

#[tokio::test]
async fn expiry_closes_a_run_and_accounts_for_the_rest() {
    let world = world();
    let (run, chunks) = world.running(2, None, Some(START + 300 * SECOND)).await;
    world.minutes(2).await;
    world.settle_all(&chunks[..1], Reason::Delivered).await;
    world.minutes(2).await;
    assert_eq!(world.state(&run).await, RunState::Running);
    world.minutes(1).await;
    assert_eq!(world.state(&run).await, RunState::Expired);
    let totals = counters::read(&*world.table, run.id).await.unwrap().totals;
    assert_eq!(totals.0, [(Reason::Delivered, 2), (Reason::Expired, 2)].into());
}

#[tokio::test]
async fn a_paused_run_rests_and_its_resume_releases_again() {
    let world = world();
    let (run, chunks) = world.running(4, None, None).await;
    world.minutes(2).await;
    assert_eq!(world.delivered(), 4);
    world.settle_all(&chunks[..1], Reason::Delivered).await;
    let paused = change(&world, &run, Transition::to(RunState::Paused)).await;
    world.minutes(20).await;
    assert_eq!(world.delivered(), 0);

    let mut part = parts::get(&*world.table, run.id, 0).await.unwrap().unwrap();
    parts::set_released(&*world.table, &mut part, 0).await.unwrap();
    change(&world, &paused, Transition::to(RunState::Running)).await;
    assert_eq!(world.minutes(1).await.released, 4);
    assert_eq!(world.delivered(), 4);
}

#[tokio::test]
async fn a_late_dispatch_catches_up_from_its_cursor() {
    let world = world();
    world.look().await;
    world.running(1, None, None).await;
    world.clock.advance(2 * 3600 * SECOND);
    assert_eq!(world.look().await.released, 1);
}

#[tokio::test]
async fn a_failure_at_any_write_loses_nothing() {
    // Each operation of a whole run fails in turn, before it is done and after; the next minutes make good for it.
    for fault in [Fault::Before, Fault::After] {
        for failing in 0..40 {
            let seen = Arc::new(AtomicUsize::new(usize::MAX));
            let counted = seen.clone();
            let table = MemoryTable::new().with_faults(move |_: &Operation<'_>| {
                let at = counted.fetch_add(1, Ordering::Relaxed).wrapping_sub(usize::MAX / 2);
                if at == failing { fault } else { Fault::None }
            });
            let world = world_over(table);
            let (run, chunks) = world.running(3, None, None).await;
            seen.store(usize::MAX / 2, Ordering::Relaxed);
            for _ in 0..4 {
                world.clock.advance(60 * SECOND);
                // The buckets themselves may be what can't be read.
                drop(dispatch(&world.ports, world.clock.now() + 60 * SECOND).await);
            }
            seen.store(usize::MAX, Ordering::Relaxed);
            world.minutes(12).await;
            let woken: HashMap<String, usize> = world.deliver.take(Millis(u64::MAX)).into_iter().fold(
                HashMap::new(),
                |mut woken, message| {
                    *woken.entry(message.body).or_default() += 1;
                    woken
                },
            );
            assert_eq!(woken.len(), 3, "{fault:?} at operation {failing}");
            world.settle_all(&chunks, Reason::Delivered).await;
            world.minutes(3).await;
            assert_eq!(world.state(&run).await, RunState::Finished, "{fault:?} at operation {failing}");
        }
    }
}

#[tokio::test]
async fn an_open_parts_worker_is_woken_up_again() {
    let world = world();
    let (run, _) = world.running(0, None, None).await;
    let open = Part::new(run.id, 1, UploadId::new(Uuid::new_v4()), run.expires);
    let item = open.item().unwrap();
    world.table.write(fanhook_store::ports::Write::Put(item), None).await.unwrap();
    let entry = fanhook_store::due::Due::new(
        fanhook_store::due::Subject::Part(run.id, 1),
        world.clock.now() + 120 * SECOND,
    );
    fanhook_store::due::file(&*world.table, &[entry]).await.unwrap();
    world.minutes(2).await;
    let bodies: Vec<String> =
        world.fanout.take(Millis(u64::MAX)).into_iter().map(|message| message.body).collect();
    assert_eq!(bodies, [format!("{{\"run\":\"{}\",\"part\":1}}", run.id)]);
}

#[tokio::test]
async fn an_entry_whose_work_always_fails_hinders_no_other() {
    let world = world();
    let (broken, _) = world.running(1, None, None).await;
    let mut item = world.table.get(&keys::run(broken.id)).await.unwrap().unwrap();
    item.remove("state");
    world.table.write(fanhook_store::ports::Write::Put(item), None).await.unwrap();
    let looked = world.minutes(2).await;
    assert_eq!((looked.set_back, looked.released), (2, 0));
    let (healthy, chunks) = world.running(2, None, None).await;
    world.minutes(3).await;
    assert_eq!(world.delivered(), 2);
    world.settle_all(&chunks, Reason::Delivered).await;
    world.minutes(20).await;
    assert_eq!(world.state(&healthy).await, RunState::Finished);
}

#[tokio::test]
async fn users_who_wait_for_a_retry_hold_no_others_back() {
    let world = world();
    let (_, chunks) = world.running(10, Some(20), None).await;
    assert_eq!(world.minutes(1).await.released, 3);
    for id in &chunks[..3] {
        let now = world.clock.now();
        let claim = chunks::claim(&*world.table, id, Purpose::Deliver, "w", now, now + 95 * SECOND);
        let Claim::Won(mut chunk) = claim.await.unwrap() else { panic!("nobody holds {id:?}") };
        chunk.states.finish(0, Reason::Delivered);
        chunk.states.tried(1);
        let later = now + 3600 * SECOND;
        assert_eq!(chunks::settle(&*world.table, &chunk, later, None).await.unwrap(), Fenced::Held);
    }
    assert_eq!(world.minutes(1).await.released, 3);
}

#[tokio::test]
async fn a_resume_goes_on_beyond_what_was_delivered_at_once() {
    let world = world();
    let (run, chunks) = world.running(12, Some(20), None).await;
    for delivered in chunks[..9].chunks(3) {
        world.minutes(2).await;
        world.settle_all(delivered, Reason::Delivered).await;
    }
    let paused = change(&world, &run, Transition::to(RunState::Paused)).await;
    let mut part = parts::get(&*world.table, run.id, 0).await.unwrap().unwrap();
    parts::set_released(&*world.table, &mut part, 0).await.unwrap();
    change(&world, &paused, Transition::to(RunState::Running)).await;
    assert_eq!(world.minutes(1).await.released, 12);
}

#[tokio::test]
async fn a_run_that_lacks_a_proof_goes_or_fails_by_its_count_whoever_died_meanwhile() {
    let world = world();
    let (small, chunks) = world.running(2, None, None).await;
    assert!(runs::set_unproved(&*world.table, &small, &[Proof::Test]).await.unwrap());
    let (large, _) = world.running(51, None, None).await;
    assert!(runs::set_unproved(&*world.table, &large, &[Proof::Test]).await.unwrap());
    let summary = world.minutes(1).await;
    assert_eq!((summary.released, summary.over), (2, 1));
    assert_eq!(world.delivered(), chunks.len());
    assert_eq!((world.state(&small).await, world.state(&large).await), (RunState::Running, RunState::Failed));
    let failed = runs::get(&*world.table, large.id).await.unwrap().unwrap();
    assert!(failed.failure.unwrap().contains("102 recipients"));
}
