//! What is sent when nothing goes wrong.

use std::time::Duration;

use fanhook_core::{
    identity::Source,
    outcome::Reason,
    recipient,
    signature::{Algorithm, Signer, Signers},
    time::Millis,
};
use fanhook_lambda::{clock::Clock, sqs::Fate};
use fanhook_store::profiles;

use crate::{
    endpoint::Reply,
    world::{SECRET, START, Setup, World, line, qaid},
};

#[tokio::test]
async fn every_recipient_gets_one_request_and_one_outcome() {
    let world = World::new(Setup { chunks: vec![500, 500, 37], ..Setup::default() }).await;
    assert_eq!(world.invoke().await, [Fate::Done; 3]);
    world.assert_all(Reason::Delivered).await;
    assert_eq!(world.endpoint.seen().len(), 1_037);
    assert!(world.endpoint.most() <= deliver::REQUESTS, "{}", world.endpoint.most());
    assert_eq!(world.queue.waiting(), []);
    let record = world.records().await.into_iter().find(|record| record.qaid == qaid(7)).unwrap();
    assert_eq!((record.status, record.tries, record.answer), (Some(200), Some(1), None));
    assert!(record.at_ms.unwrap() >= START);
}

#[tokio::test]
async fn a_request_is_rendered_signed_and_says_which_call_it_is() {
    let world = World::new(Setup { chunks: vec![1], ..Setup::default() }).await;
    world.invoke().await;
    let seen = world.endpoint.seen()[0].clone();
    assert_eq!(seen.body, r#"{"to":"+4915000000000","text":"Dear Adelheid"}"#);
    assert_eq!(seen.url, "https://crm.example/coupons");
    let timestamp: u64 = seen.header("webhook-timestamp").unwrap().parse().unwrap();
    let signers = Signers::from(Signer::new(Algorithm::HmacSha256, SECRET).unwrap());
    let signature = signers.sign(&seen.webhook_id, Millis(timestamp * 1_000), seen.body.as_bytes());
    assert_eq!(seen.header("webhook-signature"), Some(signature.as_str()));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("fanhook-workspace"), Some("shop"));
    assert_eq!(seen.header("fanhook-run"), Some(world.run.to_string().as_str()));
    assert_eq!((seen.header("fanhook-attempt"), seen.header("fanhook-id-type")), (Some("1"), Some("MOBILE")));
    let record = world.records().await.remove(0);
    assert_eq!(record.webhook_id.as_deref(), Some(seen.webhook_id.as_str()));
}

#[tokio::test]
async fn an_endpoint_without_a_secret_gets_no_signature() {
    let world = World::new(Setup { signed: false, ..Setup::default() }).await;
    world.invoke().await;
    assert!(world.endpoint.seen().iter().all(|seen| seen.header("webhook-signature").is_none()));
    world.assert_all(Reason::Delivered).await;
}

#[tokio::test]
async fn what_stands_inline_beats_the_profile_and_what_is_missing_is_looked_up() {
    let bare = |number| {
        let mut line = Vec::new();
        let tags = if number == 0 { vec![("name", "Inline")] } else { vec![] };
        recipient::write(&mut line, &qaid(number), std::iter::empty(), tags.into_iter());
        line
    };
    let world = World::with_lines(Setup { chunks: vec![3], ..Setup::default() }, bare).await;
    for number in 0..2 {
        let said: Source = serde_json::from_value(serde_json::json!({
            "updated": 1, "ids": {"MOBILE": [format!("+49301234{number:03}")]}, "tags": {"name": "Stored"},
        }))
        .unwrap();
        let (qaid, source) = (qaid(number).parse().unwrap(), "crm".parse().unwrap());
        profiles::put_source(&*world.profiles, &world.workspace, &qaid, &source, &said).await.unwrap();
    }
    world.invoke().await;
    let bodies: Vec<String> = world.endpoint.seen().iter().map(|seen| seen.body.clone()).collect();
    assert_eq!(
        bodies,
        [r#"{"to":"+49301234000","text":"Dear Inline"}"#, r#"{"to":"+49301234001","text":"Dear Stored"}"#,]
    );
    let totals = world.totals().await;
    assert_eq!((totals.0[&Reason::Delivered], totals.0[&Reason::NoId]), (2, 1));
}

#[tokio::test]
async fn profiles_are_not_read_when_all_that_is_needed_stands_inline() {
    let world = World::new(Setup::default()).await;
    world.fail(|operation| match operation {
        fanhook_store::memory::Operation::GetMany(keys) if keys.iter().any(|key| key.sk.is_none()) => {
            panic!("a profile")
        }
        _ => fanhook_store::memory::Fault::None,
    });
    world.invoke().await;
    world.assert_all(Reason::Delivered).await;
}

#[tokio::test]
async fn a_user_whose_request_cannot_be_made_has_an_outcome_and_the_others_are_sent_to() {
    let odd = |number| match number {
        0 => b"{\"qaid\":17}\n".to_vec(),
        1 => {
            let mut line = Vec::new();
            let ids = [("MOBILE", "not a number")];
            recipient::write(&mut line, &qaid(1), ids.into_iter(), [("name", "x")].into_iter());
            line
        }
        number => line(number),
    };
    let world = World::with_lines(Setup::default(), odd).await;
    world.invoke().await;
    let totals = world.totals().await;
    let counts = [Reason::Internal, Reason::NoId, Reason::Delivered].map(|reason| totals.0[&reason]);
    assert_eq!(counts, [1, 1, 8]);
}

#[tokio::test]
async fn a_chunk_that_is_done_held_or_unknown_is_acknowledged_and_nothing_is_sent() {
    let world = World::new(Setup::default()).await;
    world.invoke().await;
    let sent = world.endpoint.seen().len();
    let mut unknown = world.ids[0];
    unknown.chunk = 9;
    assert_eq!(world.invoke_for(&[world.ids[0], unknown]).await, [Fate::Done; 2]);
    assert_eq!(world.endpoint.seen().len(), sent);
    world.assert_all(Reason::Delivered).await;
}

#[tokio::test]
async fn two_workers_at_once_do_not_double_a_request() {
    let world = World::new(Setup { chunks: vec![200; 3], ..Setup::default() }).await;
    let (first, second) = futures_util::future::join(world.invoke(), world.invoke()).await;
    assert_eq!([first, second].concat(), [Fate::Done; 6]);
    assert_eq!(world.check_accounts().await, 0);
}

#[tokio::test]
async fn time_goes_on_while_a_slow_endpoint_answers_and_the_rest_waits_for_the_next_pass() {
    let world = World::new(Setup { chunks: vec![500; 4], deadline_seconds: 30, ..Setup::default() }).await;
    world.endpoint.script(|_, _| (Duration::from_secs(20), Reply::Status(200)));
    let end = world.clock.now() + crate::world::TIMEOUT;
    assert_eq!(world.invoke().await, [Fate::Done; 4]);
    assert!(world.clock.now() < end, "it ended before the platform would have ended it");
    assert_eq!(world.endpoint.under_way(), 0);
    assert_eq!(world.totals().await.sum(), 128 * 3);
    assert!(!world.queue.waiting().is_empty());
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
}
