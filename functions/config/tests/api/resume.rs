use crate::{
    control::{force, part, work},
    world::{START, World},
};
use fanhook_core::run::{Proof, RunState};
use fanhook_lambda::clock::{Clock, ManualClock};
use fanhook_store::{
    files::{FileCode, FileFailure},
    memory::{MemoryQueue, MemoryTable},
    parts::{Commit, PartState},
};
use futures_util::future::join;
use serde_json::json;
use std::time::Duration;

fn failure(code: FileCode, text: &str) -> FileFailure {
    FileFailure { code, text: text.to_owned() }
}

/// A run of two parts, the first of which failed at a commit point.
async fn failed(world: &World) -> (String, String) {
    let webhook = world.webhook().await;
    world.prove(&webhook).await;
    let push = world.push(&webhook).await;
    let uploads = [world.audience().await, world.audience().await];
    let run = world.start(&push, "k", &[&uploads[0], &uploads[1]]).send().await.id();
    work(world, &run, 0, |part| {
        part.state = PartState::Failed;
        part.failure = Some(failure(FileCode::FileTruncated, "the gzip file is truncated"));
        part.etag = Some("1".to_owned());
        part.commit = Commit { segments: 1, chunks: 64, recipients: 32_000, ..Commit::default() };
    })
    .await;
    force(world, &run, RunState::Failed).await;
    world.fanout.take(START);
    let [first, _] = uploads;
    (run, first)
}

/// A world in which waits pass by themselves.
fn leaping() -> World {
    World::over(MemoryTable::new(), MemoryTable::new(), MemoryQueue::new(), ManualClock::advancing(START))
}

#[tokio::test]
async fn a_failed_run_goes_on_with_another_file_from_its_commit_point() {
    let world = leaping();
    let (run, _) = failed(&world).await;
    let again = world.audience().await;
    let body = json!({"upload": again, "part": 0});
    let resume = world.call("POST", format!("/runs/{run}/resume")).json(&body).send();
    let worker = async {
        world.clock.sleep(Duration::from_secs(3)).await;
        work(&world, &run, 0, |part| {
            part.state = PartState::Ended;
            part.commit.recipients += 5;
        })
        .await;
    };
    let answer = join(resume, worker).await.0.ok(200);
    assert_eq!((&answer["state"], &answer["parts"][0]["upload"]), (&json!("running"), &json!(again)));
    assert_eq!(answer["failure"], json!(null));
    let part = part(&world, &run, 0).await;
    assert_eq!((part.etag, part.failure, part.commit.recipients), (None, None, 32_005));
    // Both parts' workers are woken up: a failed run's entries were dropped.
    let bodies: Vec<String> = world.fanout.waiting().into_iter().map(|message| message.body).collect();
    assert_eq!(bodies.len(), 2);
    assert!(bodies[0].contains("\"part\":0") && bodies[1].contains("\"part\":1"));
}

#[tokio::test]
async fn a_file_that_begins_otherwise_is_a_conflict() {
    let world = leaping();
    let (run, _) = failed(&world).await;
    let again = world.audience().await;
    let resume = world.call("POST", format!("/runs/{run}/resume")).json(&json!({"upload": again})).send();
    let worker = async {
        world.clock.sleep(Duration::from_secs(1)).await;
        work(&world, &run, 0, |part| {
            part.state = PartState::Failed;
            part.failure = Some(failure(
                FileCode::AudienceChanged,
                "the file is another than the one that was read so far",
            ));
        })
        .await;
        force(&world, &run, RunState::Failed).await;
    };
    let answer = join(resume, worker).await.0;
    assert_eq!(answer.code(409), "audience_changed");
    assert_eq!(answer.body["detail"], "the file is another than the one that was read so far");
}

#[tokio::test]
async fn an_answer_does_not_wait_for_ever() {
    let world = leaping();
    let (run, first) = failed(&world).await;
    let answer = world
        .call("POST", format!("/runs/{run}/resume"))
        .json(&json!({"upload": first}))
        .send()
        .await
        .ok(200);
    assert_eq!(answer["state"], "running");
    assert_eq!(world.clock.now().since(START), Duration::from_secs(10));
}

#[tokio::test]
async fn a_failed_run_may_try_its_own_file_again() {
    let world = leaping();
    let (run, first) = failed(&world).await;
    world.call("POST", format!("/runs/{run}/resume")).send().await.ok(200);
    let part = part(&world, &run, 0).await;
    assert_eq!((part.state, part.upload.to_string()), (PartState::Open, first));
}

#[tokio::test]
async fn the_other_file_must_be_there_and_for_a_part_that_failed() {
    let world = leaping();
    let (run, _) = failed(&world).await;
    let resume = |body| world.call("POST", format!("/runs/{run}/resume")).json(&body).send();
    let missing = world.call("POST", "/uploads").json(&json!({"kind": "audience"})).send().await.id();
    assert_eq!(resume(json!({"upload": missing})).await.code(409), "not_uploaded");
    let unknown = format!("upl_{}", "0".repeat(32));
    assert_eq!(resume(json!({"upload": unknown})).await.code(404), "not_found");
    let again = world.audience().await;
    assert_eq!(resume(json!({"upload": again, "part": 1})).await.fields(), ["part"]);
    assert_eq!(resume(json!({"upload": again, "part": 2})).await.fields(), ["part"]);
    work(&world, &run, 1, |part| part.state = PartState::Failed).await;
    let several = resume(json!({"upload": again})).await;
    assert_eq!(several.fields(), ["part"]);
    assert!(several.body["errors"][0]["detail"].as_str().unwrap().contains("0, 1"));
    assert_eq!(world.stored_run(&run).await.state, RunState::Failed);
}

#[tokio::test]
async fn a_paused_run_takes_no_other_file() {
    let world = World::new();
    let run = world.run().await;
    force(&world, &run, RunState::Paused).await;
    let body = json!({"upload": world.audience().await});
    let refused = world.call("POST", format!("/runs/{run}/resume")).json(&body).send().await;
    assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["upload"]));
}

#[tokio::test]
async fn a_run_that_failed_for_want_of_a_proof_goes_on_once_it_is_there() {
    let world = World::new();
    let webhook = world.webhook().await;
    let push = world.push(&webhook).await;
    let id = world.start(&push, "k", &[&world.audience().await]).send().await.id();
    work(&world, &id, 0, |part| part.commit = Commit { recipients: 101, ..Commit::default() }).await;
    force(&world, &id, RunState::Failed).await;

    let resume = async || world.later().call("POST", format!("/runs/{id}/resume")).send().await;
    let refused = resume().await;
    assert_eq!(refused.code(409), "unproved");
    assert!(refused.body["detail"].as_str().unwrap().contains("101 or more recipients"));
    assert_eq!(world.stored_run(&id).await.state, RunState::Failed);
    world.pass_test(&webhook).await;
    resume().await.ok(200);
    let run = world.stored_run(&id).await;
    assert_eq!((run.state, run.unproved), (RunState::Running, vec![Proof::Consent]));
    let audit = world.get(format!("/audit?kind=run&object={id}")).await;
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions, ["resumed", "started"]);
}
