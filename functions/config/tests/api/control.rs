use crate::world::{START, World, at_once};
use fanhook_core::{
    chunk::{ChunkId, Source},
    outcome::Reason,
    run::{Closing, RunState},
};
use fanhook_lambda::clock::{Clock, ManualClock};
use fanhook_store::{
    chunks::{self, Chunk, Claim, Purpose},
    due::{self, Due, Subject},
    memory::{Fault, MemoryQueue, MemoryTable, Operation},
    parts::{self, Commit, Part, PartClaim, PartState},
    ports::Write,
    runs::{self, Transition, Transitioned},
};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

pub(crate) async fn force(world: &World, run: &str, to: RunState) {
    let stored = world.stored_run(run).await;
    let done = runs::transition(&*world.ledger, &stored, &Transition::to(to)).await.unwrap();
    assert!(matches!(done, Transitioned::Done(_)));
}

pub(crate) async fn part(world: &World, run: &str, number: u16) -> Part {
    parts::get(&*world.ledger, run.parse().unwrap(), number).await.unwrap().unwrap()
}

/// A worker brings the part to what `change` makes of it.
pub(crate) async fn work(world: &World, run: &str, number: u16, change: impl FnOnce(&mut Part)) {
    let id = run.parse().unwrap();
    let won = parts::claim(&*world.ledger, id, number, "worker", START, START + Duration::from_mins(1))
        .await
        .unwrap();
    let PartClaim::Won(mut part) = won else { panic!("{won:?}") };
    change(&mut part);
    parts::give_back(&*world.ledger, &part).await.unwrap();
}

/// Whether `dispatch` looks at the run at once.
async fn is_due(world: &World, run: &str) -> bool {
    let (run, now) = (run.parse().unwrap(), world.clock.now());
    let entries = due::bucket(&*world.ledger, now.minute(), 0, None).await.unwrap().0;
    entries.iter().any(|entry: &Due| entry.subject == Subject::Run(run) && entry.at == now)
}

const STATES: [RunState; 8] = [
    RunState::Starting,
    RunState::Running,
    RunState::Paused,
    RunState::Closing,
    RunState::Finished,
    RunState::Cancelled,
    RunState::Expired,
    RunState::Failed,
];

#[tokio::test]
async fn each_state_allows_what_it_allows_and_the_others_are_told() {
    use RunState::{Closing, Failed, Paused, Running, Starting};
    let allowed: [(&str, &[RunState], &str); 3] = [
        ("pause", &[Starting, Running], "paused"),
        ("resume", &[Paused, Failed], "running"),
        ("cancel", &[Starting, Running, Paused, Failed], "closing"),
    ];
    for (action, from, to) in allowed {
        for state in STATES {
            let world = World::new();
            let run = world.run().await;
            if state != Starting {
                force(&world, &run, state).await;
            }
            let answer = world.call("POST", format!("/runs/{run}/{action}")).send().await;
            if from.contains(&state) {
                assert_eq!(answer.ok(200)["state"], to, "{action} from {state:?}");
            } else {
                assert_eq!(answer.code(409), "wrong_state", "{action} from {state:?}");
                assert_eq!(answer.body["state"], state.name());
                assert!(answer.body["detail"].as_str().unwrap().contains(state.name()));
                assert_eq!(world.stored_run(&run).await.state, state);
            }
        }
        assert!(!from.contains(&Closing));
    }
}

#[tokio::test]
async fn a_cancelled_run_is_looked_at_at_once() {
    let world = World::new();
    let run = world.run().await;
    world.clock.advance(Duration::from_mins(5));
    assert!(!is_due(&world, &run).await);
    let answer = world.call("POST", format!("/runs/{run}/cancel")).send().await.ok(200);
    assert_eq!((&answer["state"], &answer["closing"]), (&json!("closing"), &json!("cancelled")));
    assert_eq!(world.stored_run(&run).await.closing, Some(Closing::Cancelled));
    assert!(is_due(&world, &run).await);
}

#[tokio::test]
async fn a_failed_run_that_is_cancelled_has_its_parts_opened_for_their_workers_to_stop() {
    let world = World::new();
    let run = world.run().await;
    work(&world, &run, 0, |part| part.state = PartState::Failed).await;
    force(&world, &run, RunState::Failed).await;
    let before = world.fanout.waiting().len();
    world.call("POST", format!("/runs/{run}/cancel")).send().await.ok(200);
    assert_eq!(part(&world, &run, 0).await.state, PartState::Open);
    assert_eq!(world.fanout.waiting().len(), before + 1);
}

#[tokio::test]
async fn a_resumed_run_releases_its_chunks_again() {
    let world = World::new();
    let run = world.run().await;
    work(&world, &run, 0, |part| {
        part.state = PartState::Ended;
        part.commit = Commit { chunks: 7, recipients: 3_400, ..Commit::default() };
    })
    .await;
    parts::set_released(&*world.ledger, &mut part(&world, &run, 0).await, 5).await.unwrap();
    world.call("POST", format!("/runs/{run}/pause")).send().await.ok(200);
    assert_eq!(part(&world, &run, 0).await.released, 5);
    world.clock.advance(Duration::from_mins(5));
    let answer = world.call("POST", format!("/runs/{run}/resume")).send().await.ok(200);
    assert_eq!((&answer["state"], &answer["parts"][0]["released"]), (&json!("running"), &json!(0)));
    assert!(is_due(&world, &run).await);
}

#[tokio::test]
async fn changes_from_several_clients_have_one_order() {
    for seed in 0..20 {
        let world = World::new();
        let run = world.run().await;
        let actions = ["pause", "resume", "pause", "resume", "cancel", "pause", "resume", "cancel"];
        let calls = (0..24).map(|n| {
            let action = actions[(n + seed) % actions.len()];
            world.call("POST", format!("/runs/{run}/{action}"))
        });
        let answers = at_once(calls.collect());
        let done = answers.iter().filter(|answer| answer.status == 200).count();
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert!(["wrong_state", "changed_meanwhile"].contains(&answer.code(409)));
        }
        let stored = world.stored_run(&run).await;
        // Who met the state that was wanted, made by another at the same moment, is told the same as that one.
        assert!(stored.epoch <= done as u64 && stored.epoch > 0, "{} {done}", stored.epoch);
        assert_eq!((stored.state, stored.closing), (RunState::Closing, Some(Closing::Cancelled)));
    }
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_recognised() {
    let lost = AtomicBool::new(false);
    let ledger = MemoryTable::new().with_faults(move |operation| match operation {
        Operation::Write(Write::Update(key, _), Some(_)) if key.sk.as_deref() == Some("run") => {
            // The SDK's own retry is the next call of the same kind.
            if lost.swap(true, Ordering::Relaxed) { Fault::None } else { Fault::After }
        }
        _ => Fault::None,
    });
    let world = World::over(MemoryTable::new(), ledger, MemoryQueue::new(), ManualClock::new(START));
    let run = world.run().await;
    assert_eq!(world.call("POST", format!("/runs/{run}/pause")).send().await.code(503), "unavailable");
    // It was done: a caller who tries again is told so.
    let again = world.call("POST", format!("/runs/{run}/pause")).send().await;
    assert_eq!((again.code(409), &again.body["state"]), ("wrong_state", &json!("paused")));
}

async fn settle(world: &World, run: &str, reasons: &[Reason]) {
    let id = ChunkId { run: run.parse().unwrap(), part: 0, chunk: 0 };
    let source = Source { segment: 0, fence: 1, offset: 0, length: 1 };
    chunks::create(&*world.ledger, &[Chunk::new(id, source, reasons.len(), 0)]).await.unwrap();
    let lease = START + Duration::from_mins(1);
    let won = chunks::claim(&*world.ledger, &id, Purpose::Deliver, "w", START, lease).await.unwrap();
    let Claim::Won(mut chunk) = won else { panic!("{won:?}") };
    for (index, reason) in reasons.iter().enumerate() {
        chunk.states.finish(index, *reason);
    }
    chunks::settle(&*world.ledger, &chunk, START, None).await.unwrap();
}

#[tokio::test]
async fn a_run_tells_its_outcomes_progress_rate_and_time_left() {
    let world = World::new();
    let run = world.run().await;
    force(&world, &run, RunState::Running).await;
    let fresh = world.get(format!("/runs/{run}")).await;
    assert_eq!(
        (&fresh["progress"], &fresh["seconds_left"], &fresh["audience_read"]),
        (&json!(0.0), &Value::Null, &json!(false))
    );
    settle(&world, &run, &[Reason::Delivered, Reason::Delivered, Reason::NoId, Reason::Redirect]).await;
    work(&world, &run, 0, |part| {
        part.state = PartState::Ended;
        part.commit = Commit {
            chunks: 1,
            recipients: 16,
            lines: 21,
            bad_rows: 2,
            duplicates: 1,
            blanks: 1,
            headers: 1,
            ..Commit::default()
        };
    })
    .await;
    world.clock.advance(Duration::from_secs(8));
    let view = world.get(format!("/runs/{run}")).await;
    assert_eq!(
        (&view["recipients"], &view["done"], &view["audience_read"]),
        (&json!(16), &json!(4), &json!(true))
    );
    assert_eq!(
        (&view["progress"], &view["per_second"], &view["seconds_left"]),
        (&json!(0.25), &json!(0.5), &json!(24))
    );
    let outcomes = json!({
        "delivered": 2, "no_id": 1, "empty_value": 0, "too_large": 0, "suppressed": 0, "refused": 1, "exhausted": 0,
        "expired": 0, "cancelled": 0, "unknown": 0
    });
    assert_eq!(view["outcomes"], outcomes);
    assert_eq!(view["reasons"], json!({"delivered": 2, "no_id": 1, "redirect": 1}));
    let part = &view["parts"][0];
    assert_eq!((&part["lines"], &part["bad_rows"], &part["duplicates"]), (&json!(21), &json!(2), &json!(1)));
    assert_eq!((&part["blanks"], &part["headers"], &part["state"]), (&json!(1), &json!(1), &json!("ended")));
}

#[tokio::test]
async fn runs_are_listed_newest_first_and_by_push() {
    let world = World::new();
    let webhook = world.webhook().await;
    let (push, other) = (world.push(&webhook).await, world.push(&webhook).await);
    let upload = world.audience().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        world.clock.advance(Duration::from_millis(1));
        let push = if n % 2 == 0 { &push } else { &other };
        ids.insert(0, world.start(push, &n.to_string(), &[&upload]).send().await.id());
    }
    let list = async |query: &str| {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.get(format!("/runs?limit=2{query}{cursor}")).await;
            found.extend(
                page["items"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()),
            );
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    };
    assert_eq!(list("").await, ids);
    let even: Vec<String> = ids.iter().skip(1).step_by(2).cloned().collect();
    assert_eq!(list(&format!("&push={push}")).await, even);
    let refused = world.call("GET", "/runs?push=x").send().await;
    assert_eq!(refused.code(400), "invalid");
}
