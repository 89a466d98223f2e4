//! Pause, cancel, expiry, leases, rates: when requests start, and when not.

use std::{collections::BTreeMap, time::Duration};

use fanhook_core::{
    outcome::Reason,
    run::{EndpointSettings, RunState},
    time::Millis,
};
use fanhook_lambda::{clock::Clock, sqs::Fate};
use fanhook_store::{
    chunks::{self, Claim, Purpose},
    endpoints,
    memory::{Fault, Operation},
};
use futures_util::future::join;

use crate::{
    endpoint::Reply,
    world::{START, Setup, World},
};

/// Requests of 300 ms each: a chunk of 500 takes over a second, ten chunks twelve.
fn slow(world: &World) {
    world.endpoint.script(|_, _| (Duration::from_millis(300), Reply::Status(200)));
}

#[tokio::test]
async fn no_request_starts_two_seconds_after_a_pause_or_a_cancel() {
    for to in [RunState::Paused, RunState::Closing] {
        let world = World::new(Setup { chunks: vec![500; 10], ..Setup::default() }).await;
        slow(&world);
        let pause = async {
            world.clock.sleep(Duration::from_millis(3_300)).await;
            world.transition(to).await;
            world.clock.now()
        };
        let (fates, paused) = join(world.invoke(), pause).await;
        assert_eq!(fates, [Fate::Done; 10]);
        let last = world.endpoint.seen().iter().map(|seen| seen.at).max().unwrap();
        assert!(last.since(paused) <= Duration::from_secs(2), "{last} after {paused}");
        assert!(world.endpoint.seen().len() < 5_000);
        assert_eq!(world.queue.waiting(), [], "a paused run wakes nobody");
        let sent = world.endpoint.seen().len();
        assert_eq!(world.totals().await.sum(), sent as u64, "what was sent is settled");
        assert_eq!(world.invoke().await, [Fate::Done; 10]);
        assert_eq!(world.endpoint.seen().len(), sent);
        world.transition(RunState::Running).await;
        world.drive().await;
        world.assert_all(Reason::Delivered).await;
        assert_eq!(world.endpoint.seen().len(), 5_000);
    }
}

#[tokio::test]
async fn no_request_starts_on_an_old_reading() {
    let world = World::new(Setup { chunks: vec![500; 10], ..Setup::default() }).await;
    slow(&world);
    let (clock, from) = (world.clock.clone(), START + Duration::from_millis(2_500));
    world.fail(move |operation| match operation {
        Operation::GetMany(_) if clock.now() > from => Fault::Before,
        _ => Fault::None,
    });
    world.invoke().await;
    let last = world.endpoint.seen().iter().map(|seen| seen.at).max().unwrap();
    assert!(last <= START + Duration::from_millis(3_500), "{last}");
    world.heal();
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
}

#[tokio::test]
async fn no_request_starts_that_could_end_after_the_invocation() {
    let world = World::new(Setup { chunks: vec![500; 10], ..Setup::default() }).await;
    world.endpoint.script(|_, _| (Duration::from_secs(9), Reply::Status(200)));
    world.invoke().await;
    let last = world.endpoint.seen().iter().map(|seen| seen.at).max().unwrap();
    assert!(last <= START + Duration::from_secs(90 - 10 - 5), "{last}");
    assert!(world.clock.now() <= START + Duration::from_secs(85));
    assert_eq!(world.endpoint.under_way(), 0);
}

#[tokio::test]
async fn a_run_that_has_expired_sends_nothing() {
    let world = World::new(Setup { expires_at: Some(START), ..Setup::default() }).await;
    assert_eq!(world.invoke().await, [Fate::Done]);
    assert_eq!(world.endpoint.seen().len(), 0);
    assert_eq!(world.chunk(0).await.fence, 0);
}

#[tokio::test]
async fn a_run_that_expires_while_it_sends_stops() {
    let world = World::new(Setup {
        chunks: vec![500],
        expires_at: Some(START + Duration::from_millis(500)),
        ..Setup::default()
    })
    .await;
    slow(&world);
    world.invoke().await;
    assert_eq!(world.endpoint.seen().len(), 256);
}

#[tokio::test]
async fn a_chunk_is_claimed_beyond_the_invocation_and_by_nobody_else_before() {
    let world = World::new(Setup { chunks: vec![200], ..Setup::default() }).await;
    world.endpoint.script(|_, _| (Duration::from_secs(5), Reply::Status(200)));
    let look = async {
        world.clock.sleep(Duration::from_secs(1)).await;
        let row = world.chunk(0).await;
        assert_eq!(row.lease, START + Duration::from_secs(95));
        let before = Millis(row.lease.0 - 1);
        let claim =
            chunks::claim(&*world.ledger, &row.id, Purpose::Deliver, "other", before, row.lease).await;
        assert_eq!(claim.unwrap(), Claim::Held { until: row.lease });
    };
    join(world.invoke(), look).await;
    world.assert_all(Reason::Delivered).await;
}

#[tokio::test]
async fn the_rate_of_an_endpoint_holds_across_chunks_and_invocations() {
    let world = World::new(Setup { chunks: vec![500; 4], rate: Some(20), ..Setup::default() }).await;
    let took = world.drive().await;
    world.assert_all(Reason::Delivered).await;
    assert!(took >= Duration::from_secs(99), "{took:?}");
    assert!(took <= Duration::from_secs(400), "{took:?}");
    assert_eq!(world.endpoint.most_within(Duration::from_secs(1)), 20);
}

#[tokio::test]
async fn less_than_one_request_a_second_is_kept_to_as_well() {
    let setup = Setup { chunks: vec![20, 20], rate: Some(50), allowed: Some(30), ..Setup::default() };
    let world = World::new(setup).await;
    let took = world.drive().await;
    world.assert_all(Reason::Delivered).await;
    assert!(took >= Duration::from_secs(78) && took <= Duration::from_secs(400), "{took:?}");
    assert_eq!(world.endpoint.most_within(Duration::from_mins(1)), 30);
}

#[tokio::test]
async fn what_an_endpoint_allowed_since_a_run_started_holds_where_its_webhook_has_moved_away() {
    let world = World::new(Setup { chunks: vec![40], ..Setup::default() }).await;
    let endpoint = endpoints::get(&*world.ledger, world.webhook).await.unwrap().unwrap();
    let settings = EndpointSettings {
        origin: Some("https://other.example".to_owned()),
        allowed_elsewhere: BTreeMap::from([("https://crm.example".to_owned(), Some(30))]),
        ..endpoint.settings
    };
    endpoints::put(&*world.ledger, world.webhook, &settings).await.unwrap();
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
    assert_eq!(world.endpoint.most_within(Duration::from_mins(1)), 30);
}

#[tokio::test]
async fn a_new_rate_and_a_new_secret_count_from_the_next_reading() {
    let world = World::new(Setup { chunks: vec![500; 2], rate: Some(50), ..Setup::default() }).await;
    let change = async {
        world.clock.sleep(Duration::from_secs(2)).await;
        let endpoint = endpoints::get(&*world.ledger, world.webhook).await.unwrap().unwrap();
        let settings = EndpointSettings {
            origin: None,
            requests_per_second: None,
            allowed_per_minute: None,
            authentication: fanhook_core::webhook::Authentication::default(),
            signing: fanhook_core::webhook::Signing::None {},
            ..endpoint.settings
        };
        endpoints::put(&*world.ledger, world.webhook, &settings).await.unwrap();
        world.clock.now()
    };
    let (_, changed) = join(world.invoke(), change).await;
    world.assert_all(Reason::Delivered).await;
    let seen = world.endpoint.seen();
    let late = |signed: bool| {
        let of = seen.iter().filter(|seen| seen.header("webhook-signature").is_some() == signed);
        of.filter(|seen| seen.at.since(changed) > Duration::from_secs(2)).count()
    };
    assert_eq!(late(true), 0);
    let last = seen.iter().map(|seen| seen.at).max().unwrap();
    assert!(last < changed + Duration::from_secs(4), "without a rate the rest goes at once");
}

#[tokio::test]
async fn an_early_message_comes_again_when_the_chunk_is_due() {
    let world = World::new(Setup { chunks: vec![1], ..Setup::default() }).await;
    world
        .endpoint
        .script(|_, earlier| (Duration::from_millis(5), Reply::Status(if earlier == 0 { 503 } else { 200 })));
    world.invoke().await;
    let first = world.queue.waiting();
    assert_eq!(first.len(), 1);
    assert!(first[0].delay >= Duration::from_secs(4) && first[0].delay <= Duration::from_secs(7));
    assert_eq!(world.invoke().await, [Fate::Done]);
    assert_eq!((world.endpoint.seen().len(), world.queue.waiting().len()), (1, 2));
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
}
