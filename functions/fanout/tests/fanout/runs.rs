//! What a run's state means for its parts, and what is left for whoever goes on.

use fanhook_core::{run::RunState, time::Millis};
use fanhook_store::{
    chunks::Fenced,
    parts::{self, PartClaim, PartState},
    release::Release,
};
use fanout::Outcome;

use crate::world::{SECOND, START, Setting, gzip, list, with_ids, world};

#[tokio::test]
async fn the_run_starts_with_the_first_commit_and_the_first_part_alone_releases() {
    let world = world(&[list(0..10), list(10..20)]).await;
    assert_eq!(world.work(1).await, Outcome::Ended);
    assert_eq!(world.run().await.state, RunState::Running);
    assert!(world.deliver.waiting().is_empty());
    assert_eq!(world.work(0).await, Outcome::Ended);
    assert_eq!((world.released(0), world.released(1)), (vec![0], vec![0]));
}

#[tokio::test]
async fn a_paused_run_is_read_and_not_released() {
    let world = world(&[list(0..10)]).await;
    world.set_state(RunState::Paused).await;
    assert_eq!(world.work(0).await, Outcome::Ended);
    assert_eq!(world.users(0).await.len(), 10);
    assert!(world.deliver.waiting().is_empty());
    assert_eq!(world.run().await.state, RunState::Paused);
}

#[tokio::test]
async fn a_closing_run_stops_its_parts() {
    for state in [RunState::Closing, RunState::Cancelled, RunState::Expired] {
        let world = world(&[list(0..10)]).await;
        world.set_state(state).await;
        assert_eq!(world.work(0).await, Outcome::Stopped);
        let part = world.part(0).await;
        assert_eq!((part.state, part.commit.recipients, part.owner), (PartState::Stopped, 0, None));
        assert_eq!(world.run().await.state, state);
    }
}

#[tokio::test]
async fn a_failed_run_leaves_its_other_parts_open() {
    let world = world(&[list(0..10)]).await;
    world.set_state(RunState::Failed).await;
    assert_eq!(world.work(0).await, Outcome::Waiting);
    assert_eq!(world.part(0).await.state, PartState::Open);
    assert!(world.is_due(0, START));
}

#[tokio::test]
async fn who_comes_second_does_nothing() {
    let world = world(&[list(0..10)]).await;
    assert_eq!(world.work(0).await, Outcome::Ended);
    let before = world.ledger.items();
    assert_eq!(world.work(0).await, Outcome::Over);
    assert_eq!(world.work(7).await, Outcome::Unknown);
    assert_eq!(world.ledger.items().len(), before.len());
    assert_eq!(world.released(0), [0]);
}

#[tokio::test]
async fn near_its_end_an_invocation_hands_over() {
    for file in [with_ids(0..9_000), gzip(&with_ids(0..9_000))] {
        let world = Setting::all().run(&[file]).await;
        let mut outcomes = Vec::new();
        for round in 0..20 {
            let began = START + 1_000 * round * SECOND;
            outcomes.push(world.work_shortly(0, began).await);
            if outcomes.last() == Some(&Outcome::Ended) {
                break;
            }
            let part = world.part(0).await;
            assert_eq!((part.state, part.owner), (PartState::Open, None), "the next one finds it free");
            assert!(world.is_due(0, began));
            let sent = world.fanout.take(Millis(u64::MAX));
            assert_eq!(sent.len(), 1);
            assert_eq!(sent[0].body, format!("{{\"run\":\"{}\",\"part\":0}}", world.run));
        }
        assert!(outcomes.len() > 1, "{outcomes:?}");
        assert_eq!(outcomes.last(), Some(&Outcome::Ended), "{outcomes:?}");
        let expected: Vec<String> = (0..9_000).map(|user| format!("user-{user}")).collect();
        assert!(world.users(0).await == expected, "other users");
    }
}

#[tokio::test]
async fn a_chunk_is_released_when_its_row_is_there() {
    let world = world(&[list(0..10)]).await;
    let claim = parts::claim(&*world.ledger, world.run, 0, "me", START, START + SECOND).await.unwrap();
    let PartClaim::Won(mut part) = claim else { panic!("nobody holds it") };
    (part.commit.chunks, part.commit.unwritten) = (3, 2);
    assert_eq!(parts::commit(&*world.ledger, &part).await.unwrap(), Fenced::Held);
    world.set_state(RunState::Running).await;
    let release = Release { ledger: &*world.ledger, queue: &*world.deliver, due_ahead: 120 * SECOND };
    assert_eq!(release.release(&world.run().await, None, START).await.unwrap(), 1);
    assert_eq!(world.released(0), [0]);
}
