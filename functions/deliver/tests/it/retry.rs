//! What comes after an answer that is no success.

use std::{collections::HashMap, time::Duration};

use fanhook_core::{
    outcome::Reason,
    retry::{Attempt, SCHEDULE},
    time::Millis,
};
use fanhook_lambda::clock::Clock;
use fanhook_store::{due, endpoints};

use crate::{
    endpoint::Reply,
    world::{START, Setup, World},
};

fn one() -> Setup {
    Setup { chunks: vec![1], ..Setup::default() }
}

#[tokio::test]
async fn each_end_of_a_request_has_its_outcome() {
    let table = [
        (Reply::Status(204), Reason::Delivered),
        (Reply::Status(404), Reason::Status),
        (Reply::Status(302), Reason::Redirect),
        (Reply::Status(999), Reason::Status),
        (Reply::Attempt(Attempt::Blocked), Reason::BlockedAddress),
        (Reply::Status(410), Reason::EndpointGone),
        (Reply::Status(503), Reason::ExhaustedStatus),
        (Reply::Attempt(Attempt::TimedOut), Reason::ExhaustedTimeout),
        (Reply::Attempt(Attempt::Disconnected), Reason::ExhaustedConnection),
        (Reply::Attempt(Attempt::Unresolved), Reason::ExhaustedConnection),
        (Reply::Attempt(Attempt::Tls), Reason::ExhaustedTls),
        (Reply::Attempt(Attempt::Protocol), Reason::ExhaustedProtocol),
        (Reply::Panic, Reason::Internal),
    ];
    for (reply, reason) in table {
        let world = World::new(Setup { give_up_after: 0, ..one() }).await;
        world.endpoint.answer(reply.clone());
        world.invoke().await;
        world.assert_all(reason).await;
        assert_eq!(world.endpoint.seen().len(), 1, "{reply:?}");
    }
}

#[tokio::test]
async fn failed_requests_are_tried_again_by_the_schedule_under_the_same_id_until_the_policy_ends() {
    let world = World::new(one()).await;
    world.endpoint.answer(Reply::Status(500));
    world.drive().await;
    world.assert_all(Reason::ExhaustedStatus).await;
    let seen = world.endpoint.seen().clone();
    for (try_number, pair) in seen.windows(2).enumerate() {
        let (wait, step) = (pair[1].at.since(pair[0].at), SCHEDULE[try_number.min(8)]);
        assert!(
            wait >= step * 4 / 5 && wait <= step * 6 / 5 + Duration::from_secs(1),
            "{try_number}: {wait:?}"
        );
        assert_eq!(pair[1].header("fanhook-attempt"), Some((try_number + 2).to_string().as_str()));
    }
    assert!(seen.len() >= 10 && seen.last().unwrap().at <= START + Duration::from_hours(24));
    let record = world.records().await.remove(0);
    assert_eq!((record.status, usize::from(record.tries.unwrap())), (Some(500), seen.len()));
}

#[tokio::test]
async fn only_those_that_failed_are_tried_again() {
    let world = World::new(Setup { chunks: vec![300], ..Setup::default() }).await;
    world.endpoint.script(|seen, earlier| {
        let fails = seen.body.contains("7\"") && earlier < 2;
        (Duration::from_millis(20), Reply::Status(if fails { 429 } else { 200 }))
    });
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
    assert_eq!(world.endpoint.seen().len(), 300 + 2 * 30);
}

#[tokio::test]
async fn a_try_after_the_runs_expiry_is_not_waited_for() {
    let world = World::new(Setup { expires_at: Some(START + Duration::from_mins(1)), ..one() }).await;
    world.endpoint.answer(Reply::Status(503));
    world.drive().await;
    world.assert_all(Reason::Expired).await;
    assert!(world.endpoint.seen().len() <= 3);
}

#[tokio::test]
async fn retry_after_is_honoured_for_the_whole_endpoint() {
    let world = World::new(Setup { chunks: vec![500; 3], ..Setup::default() }).await;
    world.endpoint.script(|seen, _| {
        let early = seen.at < START + Duration::from_mins(2);
        let reply = if early { Reply::RetryAfter(429, "120".to_owned()) } else { Reply::Status(200) };
        (Duration::from_millis(100), reply)
    });
    world.invoke().await;
    let sent = world.endpoint.seen().len();
    assert_eq!(sent, deliver::REQUESTS, "those under way, and none after the answer");
    let endpoint = endpoints::get(&*world.ledger, world.webhook).await.unwrap().unwrap();
    let until = endpoint.not_before.unwrap();
    assert_eq!(until, START + Duration::from_millis(120_100));
    assert!(world.chunk(2).await.next_attempt >= until);
    assert_eq!(world.queue.waiting(), [], "a wait of two minutes is a due entry alone");
    let (entries, _) = due::bucket(&*world.ledger, until.minute(), 2, None).await.unwrap();
    assert!(entries.iter().any(|entry| entry.at >= until && entry.sent.is_none()));
    world.clock.advance(Duration::from_secs(30));
    world.invoke().await;
    assert_eq!(world.endpoint.seen().len(), sent, "nor by another invocation");
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
    assert!(world.endpoint.seen()[sent..].iter().all(|seen| seen.at >= until));
}

#[tokio::test]
async fn who_failed_before_the_endpoint_asked_to_be_left_alone_waits_as_well() {
    let world = World::new(Setup { chunks: vec![2], ..Setup::default() }).await;
    world.endpoint.script(|seen, _| {
        if seen.body.contains("000\"") {
            (Duration::from_millis(10), Reply::Status(503))
        } else {
            (Duration::from_millis(50), Reply::RetryAfter(429, "60".to_owned()))
        }
    });
    world.invoke().await;
    assert!(world.chunk(0).await.next_attempt >= START + Duration::from_mins(1));
}

#[tokio::test]
async fn retry_after_holds_an_endpoint_no_longer_than_the_policy_lasts() {
    let world = World::new(Setup { give_up_after: 600, ..one() }).await;
    world.endpoint.answer(Reply::RetryAfter(503, "99999999999".to_owned()));
    world.invoke().await;
    let endpoint = endpoints::get(&*world.ledger, world.webhook).await.unwrap().unwrap();
    // The policy counts from the end of the first request.
    let first_end = START + Duration::from_millis(50);
    assert_eq!(endpoint.not_before, Some(first_end + Duration::from_mins(10)));
    world.drive().await;
    world.assert_all(Reason::ExhaustedStatus).await;
    assert_eq!(world.endpoint.seen().len(), 2);
}

#[tokio::test]
async fn a_gone_endpoint_is_parked_and_ends_everybody_who_waits_for_it() {
    let world = World::new(Setup { chunks: vec![500; 3], ..Setup::default() }).await;
    world.endpoint.script(|seen, _| {
        let gone = seen.at > START + Duration::from_millis(150);
        (Duration::from_millis(100), Reply::Status(if gone { 410 } else { 200 }))
    });
    world.invoke().await;
    assert!(endpoints::get(&*world.ledger, world.webhook).await.unwrap().unwrap().parked);
    world.check_accounts().await;
    let totals = world.totals().await;
    assert_eq!((totals.0[&Reason::Delivered], totals.0[&Reason::EndpointGone]), (256, 1_500 - 256));
    assert!(world.endpoint.seen().len() < 600);
}

#[tokio::test]
async fn a_parked_or_deleted_endpoint_gets_no_request() {
    for delete in [false, true] {
        let world = World::new(Setup::default()).await;
        if delete {
            endpoints::delete(&*world.ledger, world.webhook).await.unwrap();
        } else {
            endpoints::park(&*world.ledger, world.webhook, Millis(1)).await.unwrap();
        }
        world.invoke().await;
        world.assert_all(Reason::EndpointGone).await;
        assert_eq!(world.endpoint.seen().len(), 0);
    }
}

#[tokio::test]
async fn deliver_wakes_itself_at_most_three_times_in_a_row() {
    let world = World::new(Setup { chunks: vec![500], deadline_seconds: 30, ..Setup::default() }).await;
    world.endpoint.script(|_, _| (Duration::from_secs(29), Reply::Status(200)));
    for pass in 0..6 {
        // So slow that each pass leaves somebody over.
        world.endpoint.script(move |seen, _| {
            let wait = if seen.at.0 % 2 == 0 { 29 } else { 30 };
            (Duration::from_secs(wait), Reply::Status(if pass < 5 { 503 } else { 200 }))
        });
        world.invoke().await;
        let woken = world.queue.take(Millis(u64::MAX)).len();
        assert_eq!(woken > 0, pass < 3, "pass {pass}");
        let row = world.chunk(0).await;
        world.clock.set(row.next_attempt.max(world.clock.now()));
    }
}

#[tokio::test]
async fn an_endpoint_too_slow_for_a_pass_is_asked_for_every_user_as_often() {
    // A request a second: a pass has room for less than half of them.
    let world = World::new(Setup { chunks: vec![200], rate: Some(1), ..Setup::default() }).await;
    world.endpoint.answer(Reply::Status(503));
    for _ in 0..14 {
        let row = world.chunk(0).await;
        world.clock.set(row.next_attempt.max(world.clock.now()));
        world.invoke().await;
    }
    let mut asked = HashMap::<String, u32>::new();
    for seen in world.endpoint.seen().iter() {
        *asked.entry(seen.webhook_id.clone()).or_default() += 1;
    }
    let (least, most) = (asked.values().min().unwrap(), asked.values().max().unwrap());
    assert_eq!(asked.len(), 200);
    assert!(*most >= 3 && most - least <= 1, "{least} to {most} times");
}

#[tokio::test]
async fn no_chunk_is_left_to_a_time_that_is_over() {
    // The first fails at once, the others take the whole pass.
    let world = World::new(Setup { chunks: vec![500], deadline_seconds: 30, ..Setup::default() }).await;
    world.endpoint.script(|seen, _| {
        let first = seen.body.contains("000000\"");
        (if first { Duration::from_millis(10) } else { Duration::from_secs(29) }, Reply::Status(503))
    });
    world.invoke().await;
    assert!(world.chunk(0).await.next_attempt + Duration::from_secs(1) >= world.clock.now());
}
