//! Access tokens by OAuth 2.0 client credentials.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use fanhook_core::{
    chunk::State,
    outcome::Reason,
    retry::Attempt,
    run::{EndpointSettings, RunState},
    webhook::{Authentication, ClientAuthentication, TokenClient},
};
use fanhook_lambda::clock::Clock;
use fanhook_store::{endpoints, ports::SecretContext};
use futures_util::future::join;
use serde_json::json;

use crate::{
    endpoint::{Reply, TOKEN_URL},
    world::{KEY, START, Setup, World},
};

pub(crate) fn oauth(ciphertext: String) -> Authentication {
    let client = TokenClient {
        token_url: TOKEN_URL.to_owned(),
        client_id: "fanhook".to_owned(),
        scope: Some("coupons".to_owned()),
        audience: None,
        client_authentication: ClientAuthentication::Basic,
    };
    Authentication::OAuth2 { client, ciphertext }
}

fn oauth_in_the_body(ciphertext: String) -> Authentication {
    let Authentication::OAuth2 { client, ciphertext } = oauth(ciphertext) else { unreachable!() };
    let client = TokenClient { client_authentication: ClientAuthentication::Body, ..client };
    Authentication::OAuth2 { client, ciphertext }
}

async fn world(setup: Setup) -> World {
    let world = World::new(Setup { authentication: oauth, ..setup }).await;
    world.endpoint.tokens(|_, earlier| (Duration::from_millis(200), token(earlier, &json!(3600))));
    world
}

/// The n-th token, with what its answer says of its life.
fn token(n: usize, expires_in: &serde_json::Value) -> Reply {
    let answer = json!({"access_token": format!("t0ken-{n}-of-the-crm"), "token_type": "Bearer", "expires_in": expires_in});
    Reply::Body(200, answer.to_string())
}

/// The tokens that requests carried.
fn carried(world: &World) -> BTreeSet<String> {
    let seen = world.endpoint.seen();
    seen.iter().map(|seen| seen.header("authorization").unwrap().to_owned()).collect()
}

fn bearer(n: usize) -> String {
    format!("Bearer t0ken-{n}-of-the-crm")
}

#[tokio::test]
async fn one_token_is_got_for_all_and_every_request_carries_it() {
    let world = world(Setup { chunks: vec![500, 500, 37], ..Setup::default() }).await;
    world.invoke().await;
    world.assert_all(Reason::Delivered).await;
    assert_eq!(carried(&world), BTreeSet::from([bearer(0)]));
    let asked = world.endpoint.asked().clone();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].body, "grant_type=client_credentials&scope=coupons");
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("fanhook:{KEY}")));
    assert_eq!(asked[0].header("authorization"), Some(basic.as_str()));
    assert_eq!(asked[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked[0].header("accept"), Some("application/json"));
}

#[tokio::test]
async fn a_token_is_used_until_shortly_before_its_end() {
    // What the answer says, and how many seconds the token is used.
    let table = [
        (json!(60), 54),
        (json!("60"), 54),
        (json!(3600), 3540),
        (json!(null), 270),
        (json!("soon"), 270),
        (json!(u64::MAX), 24 * 3600 - 60),
        (json!(0), 270),
    ];
    for (expires_in, used) in table {
        let world = world(Setup { chunks: vec![1; 3], ..Setup::default() }).await;
        let told = expires_in.clone();
        world.endpoint.tokens(move |_, earlier| (Duration::ZERO, token(earlier, &told)));
        world.invoke_for(&world.ids[..1]).await;
        let got = world.endpoint.asked()[0].at;
        world.clock.set(got + Duration::from_millis(used * 1_000 - 1));
        world.invoke_for(&world.ids[1..2]).await;
        assert_eq!(world.endpoint.asked().len(), 1, "{expires_in}");
        world.clock.set(world.clock.now().max(got + Duration::from_secs(used)));
        world.invoke_for(&world.ids[2..]).await;
        assert_eq!(world.endpoint.asked().len(), 2, "{expires_in}");
        assert_eq!(world.endpoint.seen().last().unwrap().header("authorization"), Some(bearer(1).as_str()));
    }
}

#[tokio::test]
async fn a_token_that_the_endpoint_refuses_is_replaced_once_for_all_and_uses_no_try() {
    let world = world(Setup { chunks: vec![500; 2], ..Setup::default() }).await;
    world.endpoint.script(|seen, _| {
        let old = seen.header("authorization") == Some(bearer(0).as_str());
        (Duration::from_millis(50), Reply::Status(if old { 401 } else { 200 }))
    });
    world.invoke().await;
    assert_eq!(world.endpoint.asked().len(), 2);
    let refused = world.endpoint.seen().len() - 1_000;
    assert_eq!(refused, deliver::REQUESTS, "those under way were sent once more, all others once");
    let records = world.records().await;
    assert!(records.iter().all(|record| (record.status, record.tries) == (Some(200), Some(1))));
    assert_eq!(world.totals().await.0[&Reason::Delivered], 1_000);
}

#[tokio::test]
async fn a_second_401_is_final_and_tokens_are_not_asked_for_again_and_again() {
    let world = world(Setup { chunks: vec![500], ..Setup::default() }).await;
    world.endpoint.answer(Reply::Body(401, "who are you?".to_owned()));
    world.invoke().await;
    world.assert_all(Reason::Status).await;
    assert!(world.clock.now() < START + Duration::from_secs(3));
    assert_eq!(world.endpoint.asked().len(), 2);
    let record = world.records().await.remove(0);
    assert_eq!(
        (record.status, record.tries, record.answer.as_deref()),
        (Some(401), Some(1), Some("who are you?"))
    );
}

#[tokio::test]
async fn a_request_is_sent_once_more_only_once_however_slow_and_only_with_another_token() {
    for (renewed, requests) in [(true, 200), (false, 100)] {
        let world = world(Setup { chunks: vec![100], ..Setup::default() }).await;
        // So slow that the token would be replaced at each of them.
        world.endpoint.script(|_, _| (Duration::from_secs(4), Reply::Status(401)));
        world.endpoint.tokens(move |_, earlier| {
            (Duration::ZERO, token(if renewed { earlier } else { 0 }, &json!(3600)))
        });
        world.invoke().await;
        world.assert_all(Reason::Status).await;
        assert_eq!(world.endpoint.seen().len(), requests);
        assert!(world.records().await.iter().all(|record| record.tries == Some(1)));
    }
}

#[tokio::test]
async fn without_a_token_the_endpoint_is_not_called_and_the_failure_has_a_reason_of_its_own() {
    let answer = |status: u16| Reply::Body(status, r#"{"error":"no"}"#.to_owned());
    let table = [
        (answer(400), Reason::TokenRefused, Some(400)),
        (answer(401), Reason::TokenRefused, Some(401)),
        (Reply::Status(302), Reason::TokenRefused, Some(302)),
        (Reply::Status(410), Reason::TokenRefused, Some(410)),
        (answer(429), Reason::ExhaustedToken, Some(429)),
        (answer(503), Reason::ExhaustedToken, Some(503)),
        (Reply::Attempt(Attempt::TimedOut), Reason::ExhaustedToken, None),
        (Reply::Attempt(Attempt::Disconnected), Reason::ExhaustedToken, None),
        (Reply::Attempt(Attempt::Tls), Reason::ExhaustedToken, None),
        (Reply::Attempt(Attempt::Blocked), Reason::BlockedAddress, None),
        (Reply::Status(200), Reason::ExhaustedToken, Some(200)),
        (Reply::Body(200, "<html>".to_owned()), Reason::ExhaustedToken, Some(200)),
        (
            Reply::Body(200, r#"{"access_token":"a","token_type":"mac"}"#.to_owned()),
            Reason::ExhaustedToken,
            Some(200),
        ),
        (
            Reply::Body(200, r#"{"access_token":"","token_type":"bearer"}"#.to_owned()),
            Reason::ExhaustedToken,
            Some(200),
        ),
        (
            Reply::Body(200, r#"{"access_token":"a\nb","token_type":"bearer"}"#.to_owned()),
            Reason::ExhaustedToken,
            Some(200),
        ),
    ];
    for (reply, reason, status) in table {
        let world = world(Setup { chunks: vec![500], give_up_after: 0, ..Setup::default() }).await;
        let script = reply.clone();
        world.endpoint.tokens(move |_, _| (Duration::from_millis(50), script.clone()));
        world.invoke().await;
        world.assert_all(reason).await;
        assert_eq!((world.endpoint.seen().len(), world.endpoint.asked().len()), (0, 1), "{reply:?}");
        assert!(!endpoints::get(&*world.ledger, world.webhook).await.unwrap().unwrap().parked, "{reply:?}");
        let record = world.records().await.remove(0);
        assert_eq!((record.status, record.tries), (status, Some(1)), "{reply:?}");
        let told = matches!(status, Some(300..)) && matches!(reply, Reply::Body(..));
        assert_eq!(record.answer.as_deref(), told.then_some(r#"{"error":"no"}"#), "{reply:?}");
    }
}

#[tokio::test]
async fn want_of_a_token_is_tried_again_by_the_schedule() {
    let world = world(Setup { chunks: vec![500], ..Setup::default() }).await;
    world.endpoint.tokens(|_, earlier| {
        let reply = if earlier < 3 { Reply::Status(503) } else { token(earlier, &json!(3600)) };
        (Duration::from_millis(50), reply)
    });
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
    let asked = world.endpoint.asked().clone();
    assert_eq!(asked.len(), 4);
    assert!(asked[3].at.since(asked[2].at) >= Duration::from_secs(90), "the third wait");
    assert!(world.records().await.iter().all(|record| record.tries == Some(4)));
}

#[tokio::test]
async fn a_wrong_client_secret_ends_nobody_before_it_is_set_right() {
    let world = world(Setup { chunks: vec![300; 2], ..Setup::default() }).await;
    world.endpoint.tokens(|seen, earlier| {
        let wrong = seen.at < START + Duration::from_mins(1);
        (Duration::from_millis(50), if wrong { Reply::Status(401) } else { token(earlier, &json!(3600)) })
    });
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
    assert_eq!(world.endpoint.asked().len(), 4, "one for all in each pass");
    assert!(world.records().await.iter().all(|record| record.tries == Some(4)));
}

#[tokio::test]
async fn a_token_endpoint_that_wants_to_be_left_alone_is() {
    let world = world(Setup { chunks: vec![10], ..Setup::default() }).await;
    world.endpoint.tokens(|_, earlier| {
        let later = Reply::RetryAfter(429, "600".to_owned());
        (Duration::ZERO, if earlier == 0 { later } else { token(earlier, &json!(3600)) })
    });
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
    assert!(world.endpoint.asked()[1].at >= START + Duration::from_mins(10));
}

#[tokio::test]
async fn a_fault_of_ours_on_the_way_to_the_token_uses_no_try() {
    let world = world(Setup { chunks: vec![500], ..Setup::default() }).await;
    world.endpoint.tokens(|_, _| (Duration::from_millis(50), Reply::OurFault));
    world.invoke().await;
    let row = world.chunk(0).await;
    assert!((0..500).all(|index| row.states.get(index) == State::Pending { tries: 0 }));
    assert_eq!((world.endpoint.asked().len(), world.endpoint.seen().len()), (1, 0));
}

#[tokio::test]
async fn a_token_that_hangs_takes_no_longer_than_a_request_may() {
    let world = world(Setup { chunks: vec![200], deadline_seconds: 4, ..Setup::default() }).await;
    world.endpoint.tokens(|_, earlier| {
        let hangs = earlier == 0;
        (Duration::from_secs(if hangs { 60 } else { 0 }), token(earlier, &json!(3600)))
    });
    world.invoke().await;
    assert!(world.clock.now() <= START + Duration::from_secs(6), "{}", world.clock.now());
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
}

#[tokio::test]
async fn after_a_slow_401_a_new_token_and_the_request_have_their_whole_time() {
    let world = world(Setup { chunks: vec![100], deadline_seconds: 4, ..Setup::default() }).await;
    world.endpoint.tokens(|_, earlier| (Duration::from_secs(3), token(earlier, &json!(3600))));
    world.endpoint.script(|seen, _| {
        let old = seen.header("authorization") == Some(bearer(0).as_str());
        (Duration::from_secs(3), Reply::Status(if old { 401 } else { 200 }))
    });
    world.invoke().await;
    world.assert_all(Reason::Delivered).await;
    assert_eq!(world.endpoint.asked().len(), 2);
    assert!(world.records().await.iter().all(|record| record.tries == Some(1)));
}

#[tokio::test]
async fn no_request_starts_after_a_pause_because_its_token_came_late() {
    for refused in [false, true] {
        let world = world(Setup { chunks: vec![200], ..Setup::default() }).await;
        world.endpoint.answer(Reply::Status(if refused { 401 } else { 200 }));
        // The token that matters comes long after the pause.
        world.endpoint.tokens(move |_, earlier| {
            let late = usize::from(refused) == earlier;
            (Duration::from_secs(if late { 6 } else { 0 }), token(earlier, &json!(3600)))
        });
        let pause = async {
            world.clock.sleep(Duration::from_secs(1)).await;
            world.transition(RunState::Paused).await;
        };
        join(world.invoke(), pause).await;
        let after = START + Duration::from_secs(3);
        assert!(world.endpoint.seen().iter().all(|seen| seen.at < after), "refused: {refused}");
        let row = world.chunk(0).await;
        assert!(
            (0..200).all(|index| row.states.get(index) == State::Pending { tries: 0 }),
            "refused: {refused}"
        );
    }
}

#[tokio::test]
async fn a_new_client_secret_gets_a_new_token() {
    let world = world(Setup { chunks: vec![1; 2], ..Setup::default() }).await;
    world.invoke_for(&world.ids[..1]).await;
    let context = SecretContext::authentication(&world.workspace, world.webhook);
    let ciphertext = world.ports.secrets.encrypt(&context, &b"n3w".to_vec().into()).await.unwrap();
    let settings = endpoints::get(&*world.ledger, world.webhook).await.unwrap().unwrap().settings;
    let settings = EndpointSettings { authentication: oauth_in_the_body(ciphertext), ..settings };
    endpoints::put(&*world.ledger, world.webhook, &settings).await.unwrap();
    world.invoke_for(&world.ids[1..]).await;
    let asked = world.endpoint.asked().clone();
    assert_eq!((asked.len(), asked[1].header("authorization")), (2, None));
    assert!(asked[1].body.ends_with("&client_id=fanhook&client_secret=n3w"), "{}", asked[1].body);
    assert_eq!(carried(&world), BTreeSet::from([bearer(0), bearer(1)]));
}

#[tokio::test]
async fn neither_token_nor_client_secret_are_kept_of_an_answer_that_gives_them_back() {
    let world = world(Setup { chunks: vec![1], ..Setup::default() }).await;
    world.endpoint.script(|seen, _| (Duration::ZERO, Reply::Body(400, format!("{:?}", seen.headers))));
    world.invoke().await;
    let answer = world.records().await.remove(0).answer.unwrap();
    assert!(answer.contains("webhook-timestamp") && !answer.contains("t0ken"), "{answer}");

    for authentication in [oauth, oauth_in_the_body] {
        let setup = Setup { chunks: vec![1], authentication, give_up_after: 0, ..Setup::default() };
        let world = World::new(setup).await;
        world.endpoint.tokens(|seen, _| {
            (Duration::ZERO, Reply::Body(401, format!("{:?} {} {KEY}", seen.headers, seen.body)))
        });
        world.invoke().await;
        let answer = world.records().await.remove(0).answer.unwrap();
        let basic = BASE64_STANDARD.encode(format!("fanhook:{KEY}"));
        assert!(answer.contains("client_credentials"), "{answer}");
        assert!(!answer.contains(KEY) && !answer.contains(&basic), "{answer}");
    }
}

#[tokio::test]
async fn the_rate_holds_while_requests_wait_for_a_slow_token() {
    let world = world(Setup { chunks: vec![100; 2], rate: Some(20), ..Setup::default() }).await;
    world.endpoint.tokens(|_, earlier| (Duration::from_secs(3), token(earlier, &json!(3600))));
    world.invoke().await;
    world.assert_all(Reason::Delivered).await;
    assert_eq!(world.endpoint.most_within(Duration::from_secs(1)), 20);
}

#[tokio::test]
async fn the_rate_and_the_slots_hold_while_requests_are_sent_once_more_for_their_token_was_revoked() {
    for at_a_time in [None, Some(30)] {
        let world =
            world(Setup { chunks: vec![100; 2], rate: Some(20), at_a_time, ..Setup::default() }).await;
        // Forty are under way when the first of them comes back.
        world.endpoint.script(|seen, _| {
            let old = seen.header("authorization") == Some(bearer(0).as_str());
            let revoked = old && seen.at > START + Duration::from_secs(1);
            (Duration::from_secs(2), Reply::Status(if revoked { 401 } else { 200 }))
        });
        world.invoke().await;
        world.assert_all(Reason::Delivered).await;
        let again = world.endpoint.seen().len() - 200;
        assert!((20..=44).contains(&again), "{again} were sent once more");
        assert!(world.records().await.iter().all(|record| record.tries == Some(1)));
        assert_eq!(world.endpoint.most_within(Duration::from_secs(1)), 20);
        // And one for a token.
        let most = at_a_time.map_or(deliver::REQUESTS, |most| usize::try_from(most).unwrap());
        assert!(world.endpoint.most() <= most + 1);
        assert_eq!(world.endpoint.asked().len(), 2);
    }
}
