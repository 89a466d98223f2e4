//! Runs whose webhook lacks a proof: nothing is released before the audience is counted.

use fanhook_core::run::{Proof, RunState};
use fanhook_store::{
    memory::{Fault, MemoryTable, Operation},
    parts::PartState,
    ports::{Change, Write},
    runs::{self, Transition},
};
use fanout::Outcome;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::world::{Setting, World, list, world};

impl World {
    async fn lacks(&self, proofs: &[Proof]) {
        assert!(runs::set_unproved(&*self.ledger, &self.run().await, proofs).await.unwrap());
    }
}

#[tokio::test]
async fn an_audience_within_the_gate_goes_when_its_last_part_is_counted_whichever_that_is() {
    for order in [[0, 1], [1, 0]] {
        let world = world(&[list(0..50), list(50..100)]).await;
        world.lacks(&[Proof::Test]).await;
        assert_eq!(world.work(order[0]).await, Outcome::Ended);
        assert!(world.deliver.waiting().is_empty(), "the other part is not counted yet");
        assert_eq!(world.work(order[1]).await, Outcome::Ended);
        assert_eq!((world.released(0), world.released(1)), (vec![0], vec![0]));
        assert_eq!(world.run().await.state, RunState::Running);
    }
}

#[tokio::test]
async fn an_audience_above_the_gate_fails_with_the_count_and_nothing_is_released() {
    let world = world(&[list(0..50), list(50..101)]).await;
    world.lacks(&[Proof::Test]).await;
    assert_eq!(world.work(0).await, Outcome::Ended);
    assert_eq!(world.work(1).await, Outcome::Waiting);
    let run = world.run().await;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.failure.as_deref().unwrap().starts_with("untested: the audience has 101"), "{run:?}");
    assert!(run.ended.is_some() && world.deliver.waiting().is_empty());

    // Proved since: the run goes on where it was.
    world.lacks(&[]).await;
    assert_eq!(world.part(1).await.state, PartState::Open);
    runs::transition(&*world.ledger, &world.run().await, &Transition::to(RunState::Running)).await.unwrap();
    assert_eq!(world.work(1).await, Outcome::Ended);
    assert_eq!(world.work(0).await, Outcome::Over);
    assert_eq!(world.users(1).await.len(), 51);
}

#[tokio::test]
async fn a_long_audience_is_not_read_to_its_end_for_nothing() {
    let world = world(&[list(0..70_000)]).await;
    world.lacks(&[Proof::Test]).await;
    assert_eq!(world.work(0).await, Outcome::Waiting);
    let run = world.run().await;
    assert!(run.failure.as_deref().unwrap().contains("32000 or more recipients"), "{run:?}");
    assert!(world.deliver.waiting().is_empty());
}

#[tokio::test]
async fn a_worker_that_dies_before_it_tells_the_run_releases_nothing() {
    let on = Arc::new(AtomicBool::new(false));
    let armed = Arc::clone(&on);
    // The change of the run's state is what fails.
    let ledger = MemoryTable::new().with_faults(move |operation| match operation {
        Operation::Write(Write::Update(_, update), _) if armed.load(Ordering::Relaxed) => {
            let fails = update
                .changes
                .iter()
                .any(|(name, change)| name == "failure" && matches!(change, Change::Set(_)));
            if fails { Fault::Before } else { Fault::None }
        }
        _ => Fault::None,
    });
    let world = Setting { ledger, ..Setting::default() }.run(&[list(0..101)]).await;
    world.lacks(&[Proof::Test]).await;
    on.store(true, Ordering::Relaxed);
    assert!(world.invoke(0).await.is_err());
    assert!(world.deliver.waiting().is_empty());
    on.store(false, Ordering::Relaxed);
    world.work(0).await;
    assert_eq!(world.run().await.state, RunState::Failed);
    assert!(world.deliver.waiting().is_empty());
}

#[tokio::test]
async fn each_proof_has_a_number_of_its_own_and_all_that_is_lacking_is_told() {
    let world = world(&[list(0..1_000)]).await;
    world.lacks(&[Proof::Consent]).await;
    assert_eq!(world.work(0).await, Outcome::Ended);
    assert_eq!(world.released(0).len(), 2);

    let world = self::world(&[list(0..1_001)]).await;
    world.lacks(&[Proof::Test, Proof::Consent]).await;
    assert_eq!(world.work(0).await, Outcome::Waiting);
    let failure = world.run().await.failure.unwrap();
    assert!(failure.starts_with("untested: ") && failure.contains("; no_consent: "), "{failure}");
    assert!(world.deliver.waiting().is_empty());
}
