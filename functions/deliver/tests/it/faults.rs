//! Our own faults: no receiver's try is used up, and nobody is lost.

use std::time::Duration;

use fanhook_core::{chunk::State, outcome::Reason, time::Millis};
use fanhook_lambda::{clock::Clock, sqs::Fate};
use fanhook_store::memory::{Fault, Operation};

use crate::{
    endpoint::Reply,
    world::{START, Setup, World},
};

#[tokio::test]
async fn a_resolver_of_ours_that_is_down_uses_no_try_and_starts_nothing_more() {
    let world = World::new(Setup { chunks: vec![500], ..Setup::default() }).await;
    world.endpoint.answer(Reply::OurFault);
    assert_eq!(world.invoke().await, [Fate::Done]);
    assert_eq!(world.endpoint.seen().len(), deliver::REQUESTS);
    let row = world.chunk(0).await;
    assert!((0..500).all(|index| row.states.get(index) == State::Pending { tries: 0 }));
    assert!(row.next_attempt > world.clock.now() && row.owner.is_none());
    world.endpoint.answer(Reply::Status(200));
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
}

#[tokio::test]
async fn a_fault_that_never_ends_ends_with_the_policy() {
    let world = World::new(Setup { give_up_after: 600, ..Setup::default() }).await;
    world.endpoint.answer(Reply::OurFault);
    let took = world.drive().await;
    world.assert_all(Reason::ExhaustedConnection).await;
    assert!(took >= Duration::from_mins(10) && took < Duration::from_secs(700), "{took:?}");
}

#[tokio::test]
async fn without_secrets_segments_or_profiles_the_chunk_is_given_back_and_nothing_is_sent() {
    let faults: [fn(&Operation<'_>) -> bool; 3] = [
        |operation| matches!(operation, Operation::Decrypt(_)),
        |operation| matches!(operation, Operation::GetObject(_)),
        |operation| matches!(operation, Operation::GetMany(keys) if keys.iter().all(|key| key.sk.is_none())),
    ];
    for fails in faults {
        let bare = |number| {
            let mut line = Vec::new();
            let mobile = format!("+4915{number:09}");
            let ids = [("MOBILE", mobile.as_str())];
            fanhook_core::recipient::write(
                &mut line,
                &crate::world::qaid(number),
                ids.into_iter(),
                std::iter::empty(),
            );
            line
        };
        let world = World::with_lines(Setup::default(), bare).await;
        world.fail(move |operation| if fails(operation) { Fault::Before } else { Fault::None });
        assert_eq!(world.invoke().await, [Fate::Done]);
        let row = world.chunk(0).await;
        assert_eq!((row.owner, row.stalls, world.endpoint.seen().len()), (None, 0, 0));
        assert!(row.next_attempt > START);
        assert!((0..10).all(|index| row.states.get(index) == State::Pending { tries: 0 }));
        world.heal();
        world.drive().await;
        world.assert_all(Reason::Delivered).await;
    }
}

#[tokio::test]
async fn a_store_that_is_down_sends_messages_back() {
    let world = World::new(Setup::default()).await;
    world.fail(|_| Fault::Before);
    assert_eq!(world.invoke().await, [Fate::Retry]);
    assert_eq!(world.endpoint.seen().len(), 0);
}

#[tokio::test]
async fn a_checkpoint_that_fails_starts_nothing_new() {
    let world = World::new(Setup { chunks: vec![500], ..Setup::default() }).await;
    world.fail(|operation| match operation {
        Operation::Write(fanhook_store::ports::Write::Update(_, update), _)
            if update.changes.iter().any(|(name, _)| name == "states") =>
        {
            Fault::Before
        }
        _ => Fault::None,
    });
    world.invoke().await;
    let sent = world.endpoint.seen().len();
    assert!(sent <= deliver::REQUESTS + deliver::UNSAVED, "{sent}");
    assert_eq!(world.totals().await.sum(), sent as u64, "what is known is settled");
    world.heal();
    world.drive().await;
    assert_eq!(world.check_accounts().await, 0);
}

#[tokio::test]
async fn a_segment_that_is_gone_stalls_its_chunk_until_a_person_looks() {
    let world = World::new(Setup::default()).await;
    for key in world.objects.keys() {
        world.objects.remove(&key);
    }
    for _ in 0..6 {
        assert_eq!(world.invoke().await, [Fate::Retry]);
        world.clock.set(world.chunk(0).await.lease.max(world.clock.now()) + Duration::from_millis(1));
        if world.chunk(0).await.is_parked() {
            break;
        }
    }
    assert!(world.chunk(0).await.is_parked());
    world.clock.set(Millis(world.clock.now().0 + 1_000_000));
    assert_eq!(world.invoke().await, [Fate::Done]);
}

#[tokio::test]
async fn a_panic_is_its_recipients_alone() {
    let world = World::new(Setup { chunks: vec![100], ..Setup::default() }).await;
    world.endpoint.script(|seen, _| {
        let panics = seen.body.contains("00042\"");
        (Duration::from_millis(1), if panics { Reply::Panic } else { Reply::Status(200) })
    });
    assert_eq!(world.invoke().await, [Fate::Done]);
    let totals = world.totals().await;
    assert_eq!((totals.0[&Reason::Delivered], totals.0[&Reason::Internal]), (99, 1));
    world.check_accounts().await;
}
