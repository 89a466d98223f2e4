//! Requests at a time: one limit for all workers of an endpoint.

use std::time::Duration;

use fanhook_core::{outcome::Reason, run::EndpointSettings};
use fanhook_lambda::clock::Clock;
use fanhook_store::{
    endpoints,
    memory::{Fault, Operation},
    slots::{self, Slots},
};
use futures_util::future::{join, join_all};

use crate::{
    endpoint::Reply,
    world::{START, Setup, TIMEOUT, World},
};

fn limited(chunks: Vec<usize>, at_a_time: u32) -> Setup {
    Setup { chunks, at_a_time: Some(at_a_time), ..Setup::default() }
}

async fn stored(world: &World) -> Slots {
    endpoints::get(&*world.ledger, world.webhook).await.unwrap().unwrap().slots
}

/// Most requests under way at a time from `from` on, where each takes so long.
fn most_from(world: &World, from: u64, each: Duration) -> usize {
    let each = u64::try_from(each.as_millis()).unwrap();
    let starts: Vec<u64> = world.endpoint.seen().iter().map(|seen| seen.at.0).collect();
    let at = |now: u64| starts.iter().filter(|&&start| start <= now && start + each > now).count();
    starts.iter().filter(|&&start| start >= from).map(|&start| at(start)).max().unwrap_or_default()
}

#[tokio::test]
async fn the_chunks_of_an_invocation_share_the_slots_and_give_them_back() {
    let world = World::new(limited(vec![100; 4], 7)).await;
    world.invoke().await;
    world.assert_all(Reason::Delivered).await;
    assert_eq!(world.endpoint.most(), 7);
    assert_eq!(stored(&world).await.taken(world.clock.now()), 0);
    // A request takes 50 ms.
    let took = world.clock.now().since(START);
    assert!(took < Duration::from_millis(400 / 7 * 50 + 1_000), "{took:?}");
}

#[tokio::test]
async fn several_workers_never_have_more_requests_under_way_than_the_limit() {
    for limit in [1, 3, 10, 200] {
        let world = World::new(limited(vec![60; 12], limit)).await;
        join_all(world.ids.chunks(3).map(|ids| world.invoke_for(ids))).await;
        world.drive().await;
        world.assert_all(Reason::Delivered).await;
        let most = world.endpoint.most();
        assert!(most <= usize::try_from(limit).unwrap() && most >= 1, "{most} of {limit}");
        assert_eq!(world.check_accounts().await, 0, "nobody was sent to twice");
        assert_eq!(stored(&world).await.taken(world.clock.now()), 0);
    }
}

#[tokio::test]
async fn the_rate_is_used_up_where_workers_wait_for_slots() {
    let each = Duration::from_millis(150);
    for limit in [3, 8] {
        let world = World::new(Setup { rate: Some(20), ..limited(vec![40; 6], limit) }).await;
        world.endpoint.script(move |_, _| (each, Reply::Status(200)));
        join_all(world.ids.chunks(2).map(|ids| world.invoke_for(ids))).await;
        world.assert_all(Reason::Delivered).await;
        assert!(world.endpoint.most() <= usize::try_from(limit).unwrap());
        // 240 requests at 20 a second; who has no slot takes no tokens, and who has one no more than it can use.
        let took = world.clock.now().since(START);
        assert!(took >= Duration::from_millis(11_800) && took < Duration::from_secs(15), "{limit}: {took:?}");
    }
}

#[tokio::test]
async fn who_waits_for_a_slot_goes_on_when_others_give_theirs_back() {
    let world = World::new(limited(vec![100; 2], 5)).await;
    let took = join(world.invoke_for(&world.ids[..1]), world.invoke_for(&world.ids[1..])).await;
    assert_eq!(took.0.len() + took.1.len(), 2);
    // Both in their first pass: 200 requests of 50 ms, five at a time, and a second until it is seen.
    world.assert_all(Reason::Delivered).await;
    assert!(world.clock.now().since(START) < Duration::from_secs(4));
}

#[tokio::test]
async fn slots_of_a_dead_worker_free_themselves_with_its_lease_and_not_before() {
    for at in [60, 90, 200] {
        let world = World::new(limited(vec![200; 2], 4)).await;
        world.crash.arm(at, true);
        assert!(world.invoke_to_death().await);
        let now = world.clock.now();
        assert_eq!(stored(&world).await.taken(now), 4);
        let lease = world.chunk(0).await.lease;
        assert_eq!(lease, START + TIMEOUT + Duration::from_secs(5));
        let held = stored(&world).await;
        assert_eq!((held.taken(lease), held.taken(fanhook_core::time::Millis(lease.0 - 1))), (0, 4));
        world.drive().await;
        world.assert_all(Reason::Delivered).await;
        assert!(world.endpoint.most() <= 4);
    }
}

#[tokio::test]
async fn a_worker_without_a_slot_sends_nothing_and_its_recipients_wait_for_the_next_pass() {
    let world = World::new(limited(vec![10], 2)).await;
    let (now, lease) = (world.clock.now(), world.clock.now() + Duration::from_mins(3));
    let nobody = Slots::default();
    let taken =
        slots::take(&*world.ledger, world.webhook, "another", (2, 2), &nobody, now, lease).await.unwrap();
    assert_eq!(taken.taken(now), 2);
    world.invoke().await;
    assert_eq!(world.endpoint.seen().len(), 0);
    assert!(world.clock.now() < now + TIMEOUT);
    assert_eq!(world.chunk(0).await.states.untried_len(), 10);
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
    assert!(world.endpoint.seen()[0].at >= lease);
}

async fn change(world: &World, at_a_time: Option<u32>) {
    let endpoint = endpoints::get(&*world.ledger, world.webhook).await.unwrap().unwrap();
    let settings = EndpointSettings { requests_at_a_time: at_a_time, ..endpoint.settings };
    endpoints::put(&*world.ledger, world.webhook, &settings).await.unwrap();
}

#[tokio::test]
async fn a_new_limit_counts_from_the_next_reading() {
    let each = Duration::from_millis(300);
    for (first, then) in [(40, 6), (4, 30)] {
        let world = World::new(limited(vec![300; 4], first)).await;
        world.endpoint.script(move |_, _| (each, Reply::Status(200)));
        let lower = async {
            world.clock.sleep(Duration::from_secs(3)).await;
            change(&world, Some(then)).await;
            world.clock.now()
        };
        let (halves, ids) = (world.ids.len() / 2, &world.ids);
        let both = join(world.invoke_for(&ids[..halves]), world.invoke_for(&ids[halves..]));
        let (_, changed) = join(both, lower).await;
        let (first, then) = (usize::try_from(first).unwrap(), usize::try_from(then).unwrap());
        assert!(world.endpoint.most() <= first.max(then));
        let settled = (changed + Duration::from_secs(2) + each).0;
        let most = most_from(&world, settled, each);
        assert!(most <= then && most > then / 2, "{most} of {then}");
        world.drive().await;
        world.assert_all(Reason::Delivered).await;
    }
    let world = World::new(limited(vec![500], 1)).await;
    let lift = async {
        world.clock.sleep(Duration::from_secs(2)).await;
        change(&world, None).await;
    };
    join(world.invoke(), lift).await;
    world.assert_all(Reason::Delivered).await;
    assert!(world.clock.now().since(START) < Duration::from_secs(5), "without a limit the rest goes at once");
}

#[tokio::test]
async fn a_store_that_gives_no_slots_is_our_fault_and_loses_nobody() {
    let world = World::new(limited(vec![20], 3)).await;
    let healed = world.clock.now() + Duration::from_secs(20);
    let clock = world.clock.clone();
    world.fail(move |operation| match operation {
        Operation::Write(write, _) if format!("{write:?}").contains("\"slots\"") && clock.now() < healed => {
            Fault::After
        }
        _ => Fault::None,
    });
    world.invoke().await;
    assert_eq!(world.endpoint.seen().len(), 0);
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
    assert!(world.endpoint.most() <= 3);
    assert_eq!(stored(&world).await.taken(world.clock.now()), 0);
    let records = world.records().await;
    assert!(records.iter().all(|record| record.tries == Some(1)), "no try was used up");
}
