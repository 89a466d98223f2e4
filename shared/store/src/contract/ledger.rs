//! What the ledger's protocol promises, on any table: claims, fences, settling, parts, runs, endpoints, due entries.

use std::{collections::BTreeMap, time::Duration};

use fanhook_core::{
    chunk::{ChunkId, MAX_STALLS, Source, recipients_per_chunk},
    id::{PushId, RunId, UploadId, WebhookId},
    identity::IdType,
    outcome::Reason,
    push::{IdPolicy, PushContent, SendForm},
    rate::Rate,
    run::{Closing, EndpointSettings, Pinned, RunState},
    time::Millis,
    webhook::{Body, Content, Method, RetryPolicy, Signing},
};
use uuid::Uuid;

use crate::{
    chunks::{self, Chunk, Claim, Fenced, Purpose},
    counters,
    due::{self, Due, Subject},
    endpoints::{self, Block, Taken},
    files::{FileCode, FileFailure},
    item::keyed,
    keys,
    parts::{self, Part, PartClaim, PartState},
    ports::{Table, Write},
    runs::{self, Idempotency, Run, Start, Transition, Transitioned},
};

const NOW: Millis = Millis(1_800_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const LEASE: Millis = Millis(NOW.0 + 95_000);

/// Runs the whole suite against a table; panics where a promise is broken. Keys are new in each call.
pub async fn ledger(table: &dyn Table) {
    a_claim_has_one_winner(table).await;
    a_claim_tells_why_it_was_refused(table).await;
    a_lease_that_ran_out_is_a_stall_until_a_checkpoint(table).await;
    a_lost_fence_writes_nothing(table).await;
    settling_counts_each_recipient_once(table).await;
    settling_files_what_is_pending(table).await;
    a_row_is_never_reset_and_stays_small(table).await;
    closing_waits_for_nothing_but_a_lease(table).await;
    a_part_has_one_worker_and_keeps_its_commit_point(table).await;
    a_failed_part_opens_again_with_another_file(table).await;
    a_run_starts_once_per_idempotency_key(table).await;
    changes_of_state_have_one_order(table).await;
    blocks_of_tokens_never_overlap(table).await;
    an_endpoint_is_held_for_the_longest_wait(table).await;
    super::slots::slots(table).await;
    an_entry_is_dropped_only_where_it_stands(table).await;
}

fn id() -> ChunkId {
    ChunkId { run: RunId::new(Uuid::new_v4()), part: 0, chunk: 3 }
}

fn source() -> Source {
    Source { segment: 1, fence: 2, offset: 3, length: 4 }
}

async fn made(table: &dyn Table, recipients: usize) -> ChunkId {
    let id = id();
    done(chunks::create(table, &[Chunk::new(id, source(), recipients, 9_999_999_999)]).await);
    id
}

fn done<T>(result: crate::StoreResult<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the store failed: {error:?}"),
    }
}

async fn claim(table: &dyn Table, id: &ChunkId, owner: &str, now: Millis) -> Claim {
    done(chunks::claim(table, id, Purpose::Deliver, owner, now, now + 95 * SECOND).await)
}

async fn won(table: &dyn Table, id: &ChunkId, owner: &str, now: Millis) -> Chunk {
    match claim(table, id, owner, now).await {
        Claim::Won(chunk) => *chunk,
        other => panic!("the claim of {owner} got {other:?}"),
    }
}

async fn a_claim_has_one_winner(table: &dyn Table) {
    let id = made(table, 2).await;
    let owners: Vec<String> = (0..10).map(|n| format!("owner-{n}")).collect();
    let claims = owners.iter().map(|owner| claim(table, &id, owner, NOW));
    let claims = futures_util::future::join_all(claims).await;
    let winners = claims.iter().filter(|claim| matches!(claim, Claim::Won(_))).count();
    assert_eq!(winners, 1, "{claims:?}");
    assert_eq!(claims.iter().filter(|claim| **claim == Claim::Held { until: LEASE }).count(), 9);
}

async fn a_claim_tells_why_it_was_refused(table: &dyn Table) {
    assert_eq!(claim(table, &id(), "a", NOW).await, Claim::Unknown);
    let id = made(table, 1).await;
    let mut chunk = won(table, &id, "a", NOW).await;
    assert_eq!((chunk.fence, chunk.first_attempt, chunk.stalls), (1, None, 0));
    // The SDK's repeat of a claim whose answer was lost.
    assert_eq!(won(table, &id, "a", NOW).await, chunk);
    assert_eq!(claim(table, &id, "b", NOW).await, Claim::Held { until: LEASE });

    let later = NOW + 30 * SECOND;
    chunk.first_attempt = Some(NOW);
    assert_eq!(done(chunks::settle(table, &chunk, later, None).await), Fenced::Held);
    assert_eq!(claim(table, &id, "c", NOW).await, Claim::Early { until: later });
    chunk = won(table, &id, "d", later).await;
    assert_eq!((chunk.fence, chunk.pass, chunk.first_attempt), (2, 1, Some(NOW)));

    chunk.states.finish(0, Reason::Delivered);
    assert_eq!(done(chunks::settle(table, &chunk, later, None).await), Fenced::Held);
    assert_eq!(claim(table, &id, "e", later).await, Claim::Done);
}

async fn a_lease_that_ran_out_is_a_stall_until_a_checkpoint(table: &dyn Table) {
    let id = made(table, 1).await;
    let mut now = NOW;
    let mut chunk = won(table, &id, "first", now).await;
    for stall in 1..MAX_STALLS {
        now = now + 95 * SECOND;
        chunk = won(table, &id, &format!("next-{stall}"), now).await;
        assert_eq!(chunk.stalls, stall);
    }
    assert_eq!(done(chunks::checkpoint(table, &chunk).await), Fenced::Held);
    for stall in 1..=MAX_STALLS {
        now = now + 95 * SECOND;
        assert_eq!(won(table, &id, &format!("again-{stall}"), now).await.stalls, stall);
    }
    now = now + 95 * SECOND;
    assert_eq!(claim(table, &id, "last", now).await, Claim::Parked);
}

async fn a_lost_fence_writes_nothing(table: &dyn Table) {
    let id = made(table, 2).await;
    let mut old = won(table, &id, "old", NOW).await;
    let new = won(table, &id, "new", LEASE).await;
    old.states.finish(0, Reason::Delivered);
    assert_eq!(done(chunks::checkpoint(table, &old).await), Fenced::Lost);
    assert_eq!(done(chunks::settle(table, &old, LEASE, None).await), Fenced::Lost);
    assert_eq!(done(chunks::get(table, &id).await), Some(new.clone()));
    assert_eq!(done(counters::read(table, id.run).await).totals.sum(), 0);

    let mut new = new;
    new.states.finish(1, Reason::NoId);
    assert_eq!(done(chunks::checkpoint(table, &new).await), Fenced::Held);
    // A fence of one's own is not enough once the chunk was given back.
    assert_eq!(done(chunks::settle(table, &new, LEASE, None).await), Fenced::Held);
    assert_eq!(done(chunks::checkpoint(table, &new).await), Fenced::Lost);
}

async fn settling_counts_each_recipient_once(table: &dyn Table) {
    let id = made(table, 4).await;
    let mut chunk = won(table, &id, "a", NOW).await;
    chunk.states.finish(0, Reason::Delivered);
    chunk.states.finish(1, Reason::NoId);
    chunk.states.tried(2);
    assert_eq!(done(chunks::settle(table, &chunk, NOW, None).await), Fenced::Held);
    // Its answer was lost: the same settle again is recognised and counts nothing.
    assert_eq!(done(chunks::settle(table, &chunk, NOW, None).await), Fenced::Held);
    let counted = done(counters::read(table, id.run).await);
    assert_eq!((counted.totals.sum(), counted.tried_chunks), (2, 0));

    // Counted as tried once, when the last recipient was, and while others are tried again.
    let mut chunk = won(table, &id, "b", NOW).await;
    assert_eq!(chunk.states.pending().collect::<Vec<_>>(), [2, 3]);
    chunk.states.tried(3);
    assert_eq!(done(chunks::settle(table, &chunk, NOW, None).await), Fenced::Held);
    assert_eq!(done(counters::read(table, id.run).await).tried_chunks, 1);

    let mut chunk = won(table, &id, "c", NOW).await;
    assert_eq!(chunk.states.pending().collect::<Vec<_>>(), [2, 3]);
    chunk.states.finish(2, Reason::Delivered);
    chunk.states.finish(3, Reason::Status);
    assert_eq!(done(chunks::settle(table, &chunk, NOW, None).await), Fenced::Held);
    let counted = done(counters::read(table, id.run).await);
    assert_eq!((counted.totals.sum(), counted.tried_chunks), (4, 1));
    assert_eq!(counted.totals.0.get(&Reason::Delivered), Some(&2));
    assert!(done(chunks::get(table, &id).await).is_some_and(|chunk| chunk.is_done()));
}

async fn entries(table: &dyn Table, subject: Subject, at: Millis) -> Vec<Due> {
    let mut found = Vec::new();
    for shard in 0..keys::DUE_SHARDS {
        let mut after = None;
        loop {
            let (entries, more) = done(due::bucket(table, at.minute(), shard, after).await);
            found.extend(entries.into_iter().filter(|entry| entry.subject == subject));
            match more {
                Some(more) => after = Some(more),
                None => break,
            }
        }
    }
    found
}

async fn settling_files_what_is_pending(table: &dyn Table) {
    let id = made(table, 2).await;
    let mut chunk = won(table, &id, "a", NOW).await;
    chunk.states.finish(0, Reason::Delivered);
    let next = NOW + 1800 * SECOND;
    assert_eq!(done(chunks::settle(table, &chunk, next, Some(NOW)).await), Fenced::Held);
    let expected = Due { subject: Subject::Chunk(id), at: next, sent: Some(NOW) };
    assert_eq!(entries(table, Subject::Chunk(id), next).await, [expected]);

    let mut chunk = won(table, &id, "b", next).await;
    chunk.states.finish(1, Reason::Delivered);
    let end = next + 1800 * SECOND;
    assert_eq!(done(chunks::settle(table, &chunk, end, None).await), Fenced::Held);
    assert_eq!(entries(table, Subject::Chunk(id), end).await, []);
}

async fn a_row_is_never_reset_and_stays_small(table: &dyn Table) {
    // A write unit is a kilobyte. Chunks of more than 500 recipients are those of batches that large.
    for (batch_size, limit) in [(1, 1024), (1000, 2048)] {
        let recipients = recipients_per_chunk(batch_size);
        let id = ChunkId { run: RunId::new(Uuid::new_v4()), part: u16::MAX, chunk: u32::MAX };
        let source = Source { segment: u32::MAX, fence: u64::MAX, offset: u64::MAX, length: u64::MAX };
        let row = Chunk::new(id, source, recipients, 9_999_999_999);
        done(chunks::create(table, std::slice::from_ref(&row)).await);
        let owner = Uuid::new_v4().simple().to_string();
        let mut chunk = won(table, &id, &owner, NOW).await;
        (0..recipients).for_each(|index| chunk.states.finish(index, Reason::Delivered));
        assert_eq!(done(chunks::checkpoint(table, &chunk).await), Fenced::Held);
        done(chunks::create(table, &[row]).await);
        assert_eq!(done(chunks::get(table, &id).await), Some(chunk.clone()));

        let full = Chunk {
            tried: true,
            first_attempt: Some(LEASE),
            fence: u64::MAX,
            pass: u64::MAX,
            stalls: MAX_STALLS,
            next_attempt: LEASE,
            ..chunk
        };
        let mut item = full.item();
        item.insert("settled".to_owned(), crate::item::number(u64::MAX));
        let size: usize = item.iter().map(|(name, value)| name.len() + value_size(value)).sum();
        assert!(size < limit, "a row of {recipients} recipients has {size} bytes");
    }
}

/// Size of an attribute value by DynamoDB's rules: text and binary by their bytes, a number at most by its digits.
fn value_size(value: &crate::ports::Value) -> usize {
    use crate::ports::Value;
    match value {
        Value::S(text) | Value::N(text) => text.len(),
        Value::B(blob) => blob.as_ref().len(),
        other => panic!("a chunk row holds {other:?}"),
    }
}

async fn closing_waits_for_nothing_but_a_lease(table: &dyn Table) {
    let id = made(table, 1).await;
    let close = |owner: &'static str, now: Millis| async move {
        done(chunks::claim(table, &id, Purpose::Close, owner, now, now + SECOND).await)
    };
    let chunk = won(table, &id, "a", NOW).await;
    assert_eq!(close("b", NOW).await, Claim::Held { until: LEASE });
    assert_eq!(done(chunks::settle(table, &chunk, NOW + 3600 * SECOND, None).await), Fenced::Held);
    assert!(matches!(close("c", NOW).await, Claim::Won(_)));
}

fn run() -> Run {
    Run {
        id: RunId::new(Uuid::new_v4()),
        workspace: match format!("ws-{}", Uuid::new_v4().simple()).parse() {
            Ok(workspace) => workspace,
            Err(error) => panic!("{error}"),
        },
        push: PushId::new(Uuid::new_v4()),
        webhook: WebhookId::new(Uuid::new_v4()),
        batch_size: 1,
        state: RunState::Starting,
        epoch: 1,
        created: NOW,
        expires_at: None,
        unproved: Vec::new(),
        closing: None,
        failure: None,
        ended: None,
        expires: 9_999_999_999,
    }
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
        id_types: Vec::<IdType>::new(),
        sources: Vec::new(),
        uploads: Vec::new(),
        stays: fanhook_core::run::Stays::default(),
    }
}

fn idempotency(key: &str, request: &str) -> Idempotency {
    Idempotency { key: key.to_owned(), request: request.to_owned() }
}

async fn started(table: &dyn Table, parts: u16) -> (Run, Vec<Part>) {
    let run = run();
    let upload = || UploadId::new(Uuid::new_v4());
    let parts: Vec<Part> = (0..parts).map(|part| Part::new(run.id, part, upload(), run.expires)).collect();
    let start = runs::start(table, &run, &pinned(&run), &parts, &idempotency("k", "r"), NOW).await;
    assert_eq!(done(start), Start::Started);
    (run, parts)
}

async fn a_part_has_one_worker_and_keeps_its_commit_point(table: &dyn Table) {
    let (run, parts) = started(table, 2).await;
    assert_eq!(done(parts::list(table, run.id).await), parts);
    let take = |owner: &'static str, now: Millis| async move {
        done(parts::claim(table, run.id, 1, owner, now, now + 95 * SECOND).await)
    };
    let PartClaim::Won(mut old) = take("old", NOW).await else { panic!("nobody holds the part") };
    assert_eq!(take("other", NOW).await, PartClaim::Held { until: LEASE });
    assert_eq!(take("old", NOW).await, PartClaim::Won(old.clone()));
    old.etag = Some("e1".to_owned());
    old.commit = parts::Commit { segments: 1, chunks: 64, recipients: 32_000, ..old.commit };
    assert_eq!(done(parts::commit(table, &old).await), Fenced::Held);

    let PartClaim::Won(mut new) = take("new", LEASE).await else { panic!("the lease ran out") };
    assert_eq!((&new.commit, &new.etag, new.fence), (&old.commit, &old.etag, 2));
    old.commit.chunks = 128;
    assert_eq!(done(parts::commit(table, &old).await), Fenced::Lost);
    assert_eq!(done(parts::give_back(table, &old).await), Fenced::Lost);

    // One who stalls over a release and a resume, which sets the cursor back to where that one read it, comes too late.
    let mut stalled = new.clone();
    assert_eq!(done(parts::set_released(table, &mut new, 64).await), Fenced::Held);
    assert_eq!(done(parts::set_released(table, &mut new, 0).await), Fenced::Held);
    assert_eq!(done(parts::set_released(table, &mut stalled, 64).await), Fenced::Lost);
    assert_eq!(done(parts::set_released(table, &mut new, 64).await), Fenced::Held);
    new.state = PartState::Ended;
    assert_eq!(done(parts::give_back(table, &new).await), Fenced::Held);
    assert_eq!(take("late", LEASE).await, PartClaim::Over);
    let stored = done(parts::get(table, run.id, 1).await);
    assert_eq!(stored, Some(Part { released: 64, owner: None, lease: Millis(0), ..*new }));
    assert_eq!(done(parts::claim(table, run.id, 7, "x", NOW, LEASE).await), PartClaim::Unknown);
}

async fn a_failed_part_opens_again_with_another_file(table: &dyn Table) {
    let (run, _) = started(table, 1).await;
    let claimed = done(parts::claim(table, run.id, 0, "a", NOW, LEASE).await);
    let PartClaim::Won(mut part) = claimed else { panic!("nobody holds the part") };
    let upload = UploadId::new(Uuid::new_v4());
    assert_eq!(done(parts::reopen(table, &part, upload).await), Fenced::Lost);
    part.etag = Some("e1".to_owned());
    part.commit.recipients = 5;
    part.state = PartState::Failed;
    part.failure = Some(FileFailure { code: FileCode::FileTruncated, text: "it is truncated".to_owned() });
    assert_eq!(done(parts::give_back(table, &part).await), Fenced::Held);
    assert_eq!(done(parts::get(table, run.id, 0).await).map(|row| row.failure), Some(part.failure.clone()));
    assert_eq!(done(parts::reopen(table, &part, upload).await), Fenced::Held);
    let again = done(parts::get(table, run.id, 0).await);
    let again = again.map(|part| (part.state, part.upload, part.etag, part.failure, part.commit.recipients));
    assert_eq!(again, Some((PartState::Open, upload, None, None, 5)));
}

async fn a_run_starts_once_per_idempotency_key(table: &dyn Table) {
    let first = run();
    let start = |run: Run, key: &'static str, request: &'static str| async move {
        let part = Part::new(run.id, 0, UploadId::new(Uuid::new_v4()), run.expires);
        done(runs::start(table, &run, &pinned(&run), &[part], &idempotency(key, request), NOW).await)
    };
    assert_eq!(start(first.clone(), "k", "r").await, Start::Started);
    // The same transaction once more, its answer lost.
    assert_eq!(start(first.clone(), "k", "r").await, Start::Started);
    let second = Run { id: RunId::new(Uuid::new_v4()), ..first.clone() };
    assert_eq!(start(second.clone(), "k", "r").await, Start::Repeated(first.id));
    assert_eq!(start(second.clone(), "k", "other").await, Start::KeyReused);
    assert_eq!(done(runs::get(table, second.id).await), None);
    assert_eq!(start(second.clone(), "l", "r").await, Start::Started);

    assert_eq!(done(runs::get(table, first.id).await), Some(first.clone()));
    assert_eq!(done(runs::pinned(table, first.id).await), Some(pinned(&first)));
    let (newest, more) = done(runs::list(table, &first.workspace, None, 1).await);
    assert_eq!((newest.len(), more.is_some()), (1, true));
    let (oldest, _) = done(runs::list(table, &first.workspace, more, 10).await);
    let mut all = [newest, oldest].concat();
    all.sort();
    let mut expected = [first.id, second.id];
    expected.sort();
    assert_eq!(all, expected);
    assert_eq!(entries(table, Subject::Run(first.id), NOW).await.len(), 1);
    assert_eq!(entries(table, Subject::Part(first.id, 0), NOW).await.len(), 1);
}

async fn changes_of_state_have_one_order(table: &dyn Table) {
    let (run, _) = started(table, 1).await;
    let to = |state| Transition::to(state);
    let pause = done(runs::transition(table, &run, &to(RunState::Paused)).await);
    let Transitioned::Done(paused) = pause else { panic!("nobody raced: {pause:?}") };
    assert_eq!((paused.state, paused.epoch), (RunState::Paused, 2));
    let late = done(runs::transition(table, &run, &to(RunState::Running)).await);
    assert_eq!(late, Transitioned::Raced(paused.clone()));
    let cancel = Transition { closing: Some(Closing::Cancelled), ..to(RunState::Closing) };
    let Transitioned::Done(closing) = done(runs::transition(table, &paused, &cancel).await) else {
        panic!("nobody raced")
    };
    assert_eq!((closing.state, closing.closing), (RunState::Closing, Some(Closing::Cancelled)));
    assert_eq!(
        done(runs::transition(table, &self::run(), &to(RunState::Running)).await),
        Transitioned::Unknown
    );
    let endpoint = self::endpoint(table, Some(9)).await;
    let (runs, endpoints) = done(runs::control(table, &[run.id], &[endpoint]).await);
    assert_eq!(runs, [closing]);
    assert_eq!(endpoints[0].settings.requests_per_second, Some(9));
}

async fn endpoint(table: &dyn Table, requests_per_second: Option<u32>) -> WebhookId {
    let webhook = WebhookId::new(Uuid::new_v4());
    let settings = EndpointSettings {
        origin: None,
        requests_per_second,
        allowed_per_minute: None,
        allowed_elsewhere: BTreeMap::new(),
        requests_at_a_time: None,
        retry: RetryPolicy::default(),
        authentication: fanhook_core::webhook::Authentication::default(),
        signing: Signing::None {},
        updated: NOW,
    };
    done(endpoints::put(table, webhook, &settings).await);
    webhook
}

async fn blocks_of_tokens_never_overlap(table: &dyn Table) {
    let webhook = endpoint(table, Some(100)).await;
    let latest = NOW + 10 * SECOND;
    let takes = (0..8).map(|_| endpoints::take(table, webhook, Rate::per_second(100), 50, NOW, latest));
    let mut starts: Vec<u64> = futures_util::future::join_all(takes)
        .await
        .into_iter()
        .map(|taken| match done(taken) {
            Taken::Block(block) => {
                assert_eq!((block.tokens, block.step), (50, Duration::from_millis(10)));
                block.from.0
            }
            Taken::Later(at) => panic!("there was room until {latest:?}, not {at:?}"),
        })
        .collect();
    starts.sort_unstable();
    let expected: Vec<u64> = (0..8).map(|n| NOW.0 + n * 500).collect();
    assert_eq!(starts, expected);
    // At most five seconds' worth at once, and none that would begin too late.
    let Taken::Block(block) =
        done(endpoints::take(table, webhook, Rate::per_second(100), 9999, NOW, latest).await)
    else {
        panic!("there is room")
    };
    assert_eq!((block.from, block.tokens), (NOW + 4 * SECOND, 500));
    let none = done(endpoints::take(table, webhook, Rate::per_second(100), 1, NOW, NOW + 5 * SECOND).await);
    assert_eq!(none, Taken::Later(NOW + 9 * SECOND));
    // Less than one a second.
    let slow = endpoint(table, None).await;
    for from in [NOW, NOW + 4 * SECOND] {
        let block = done(endpoints::take(table, slow, Rate::per_minute(30), 9, NOW, latest).await);
        assert_eq!(block, Taken::Block(Block { from, step: 2 * SECOND, tokens: 2 }));
    }
}

async fn an_endpoint_is_held_for_the_longest_wait(table: &dyn Table) {
    let webhook = endpoint(table, None).await;
    done(endpoints::hold(table, webhook, NOW + 120 * SECOND).await);
    done(endpoints::hold(table, webhook, NOW + 60 * SECOND).await);
    done(endpoints::park(table, webhook, NOW).await);
    let held = async || {
        let stored = done(endpoints::get(table, webhook).await);
        stored.map(|endpoint| (endpoint.not_before, endpoint.parked))
    };
    assert_eq!(held().await, Some((Some(NOW + 120 * SECOND), true)));
    // Other settings change nothing of that; it is opened by itself.
    let settings = EndpointSettings {
        origin: None,
        requests_per_second: None,
        allowed_per_minute: None,
        allowed_elsewhere: BTreeMap::new(),
        requests_at_a_time: None,
        retry: RetryPolicy::default(),
        authentication: fanhook_core::webhook::Authentication::default(),
        signing: Signing::None {},
        updated: NOW,
    };
    done(endpoints::put(table, webhook, &settings).await);
    assert_eq!(held().await, Some((Some(NOW + 120 * SECOND), true)));
    done(endpoints::open(table, webhook).await);
    assert_eq!(held().await, Some((None, false)));
    let unknown = WebhookId::new(Uuid::new_v4());
    done(endpoints::park(table, unknown, NOW).await);
    done(endpoints::open(table, unknown).await);
    assert_eq!(done(endpoints::get(table, unknown).await), None);
}

async fn an_entry_is_dropped_only_where_it_stands(table: &dyn Table) {
    let entry = Due::new(Subject::Chunk(id()), NOW);
    let moved = Due { at: NOW + SECOND, ..entry };
    assert_eq!(entry.key(), moved.key());
    done(due::file(table, &[entry]).await);
    done(due::file(table, &[moved]).await);
    done(due::drop(table, &entry).await);
    assert_eq!(entries(table, entry.subject, NOW).await, [moved]);
    done(due::drop(table, &moved).await);
    assert_eq!(entries(table, entry.subject, NOW).await, []);
    // An entry that was never there is no error.
    done(table.write(Write::Delete(entry.key()), None).await.map(|_| keyed(&entry.key())));
}
