//! What a 2xx answer must say, and what becomes of a batch that is refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fanhook_core::outcome::Reason;
use serde_json::{Value, json};

use crate::{
    batches::{items, list},
    endpoint::{Reply, Seen},
    world::{START, Setup, World, line, qaid},
};

fn rule() -> Value {
    json!({"pointer": "/status", "success": ["ok"], "retry": ["busy"], "never": ["blocked"]})
}

fn answered(body: &Value) -> Reply {
    Reply::Body(200, body.to_string())
}

#[tokio::test]
async fn a_2xx_means_what_its_value_means_by_the_rule() {
    let say = |status: &str| answered(&json!({"status": status}));
    let table = [
        (say("ok"), Reason::Delivered),
        (say("blocked"), Reason::Answer),
        (say("other"), Reason::Answer),
        (say("busy"), Reason::ExhaustedAnswer),
        (Reply::Body(200, "<html>".to_owned()), Reason::Answer),
        (Reply::Body(204, String::new()), Reason::Answer),
        (Reply::Cut(200, r#"{"status":"ok"}"#.to_owned()), Reason::Answer),
        // The rule is about 2xx alone.
        (Reply::Body(404, r#"{"status":"ok"}"#.to_owned()), Reason::Status),
        (Reply::Body(503, r#"{"status":"ok"}"#.to_owned()), Reason::ExhaustedStatus),
    ];
    for (reply, reason) in table {
        let setup = Setup { chunks: vec![1], success: Some(rule()), give_up_after: 0, ..Setup::default() };
        let world = World::new(setup).await;
        world.endpoint.answer(reply.clone());
        world.invoke().await;
        world.assert_all(reason).await;
        let record = world.records().await.remove(0);
        let told = matches!(&reply, Reply::Body(_, body) | Reply::Cut(_, body) if !body.is_empty());
        assert_eq!(record.answer.is_some(), told && reason != Reason::Delivered, "{reply:?}");
        assert_eq!(record.tries, Some(1));
    }
}

#[tokio::test]
async fn what_other_values_mean_is_said_by_the_rule() {
    let mut rule = rule();
    rule["otherwise"] = json!("retry");
    let world = World::new(Setup { chunks: vec![1], success: Some(rule), ..Setup::default() }).await;
    world.endpoint.script(|_, earlier| {
        let reply = match earlier {
            0 => Reply::Status(200),
            1 => answered(&json!({"status": "busy"})),
            _ => answered(&json!({"status": "ok"})),
        };
        (Duration::from_millis(5), reply)
    });
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
    assert_eq!(world.endpoint.seen().len(), 3);
}

#[tokio::test]
async fn an_answer_that_says_later_holds_the_endpoint_as_its_retry_after_wants() {
    let world = World::new(Setup { chunks: vec![1], success: Some(rule()), ..Setup::default() }).await;
    let mut rule = rule();
    rule["otherwise"] = json!("retry");
    let setup = Setup { chunks: vec![1], success: Some(rule), ..Setup::default() };
    for (world, holds) in [(world, false), (World::new(setup).await, true)] {
        world.endpoint.answer(Reply::RetryAfter(200, "60".to_owned()));
        world.invoke().await;
        let row = world.chunk(0).await;
        assert_eq!(row.next_attempt >= START + Duration::from_mins(1), holds);
    }
}

/// The number of a user by the ID that was sent.
fn number(item: &Value) -> usize {
    item["id"].as_str().unwrap()["+4915".len()..].parse().unwrap()
}

fn results(pointer: &str, missing: &str) -> Value {
    json!({
        "pointer": "/code", "success": [0], "retry": [1], "never": [2],
        "results": {"pointer": pointer, "id": "/who", "missing": missing},
    })
}

#[tokio::test]
async fn only_those_whose_result_says_so_are_tried_again_each_with_an_outcome_of_its_own() {
    let setup = Setup { success: Some(results("/results", "retry")), ..list(vec![40], 10) };
    let world = World::new(setup).await;
    world.endpoint.script(|seen, _| {
        let first = seen.header("fanhook-attempt") == Some("1");
        let result = |item: &Value| match number(item) % 10 {
            3 => Some(json!({"who": item["id"], "code": 2})),
            4 if first => Some(json!({"who": item["delivery"], "code": 1})),
            // Nothing is said of this one.
            5 if first => None,
            6 => Some(json!({"who": item["delivery"], "code": "unknown"})),
            _ => Some(json!({"who": item["delivery"], "code": 0})),
        };
        let results: Vec<Value> = items(seen).iter().filter_map(result).collect();
        (Duration::from_millis(5), answered(&json!({"results": results})))
    });
    world.drive().await;
    world.check_accounts().await;
    let totals = world.totals().await;
    assert_eq!((totals.0[&Reason::Delivered], totals.0[&Reason::Answer]), (32, 8));
    let seen = world.endpoint.seen().clone();
    let sizes: Vec<usize> = seen.iter().map(|seen| items(seen).len()).collect();
    assert_eq!(sizes, [10, 10, 10, 10, 2, 2, 2, 2]);
    let again: Vec<usize> = items(&seen[4]).iter().map(number).collect();
    assert_eq!(again, [4, 5]);
    let records = world.records().await;
    let of = |number: usize| records.iter().find(|record| record.qaid == qaid(number)).unwrap();
    assert_eq!((of(4).tries, of(5).tries, of(3).tries, of(0).tries), (Some(2), Some(2), Some(1), Some(1)));
    assert_eq!((of(3).status, of(3).reason), (Some(200), Reason::Answer));
    assert!(of(3).answer.is_some() && of(0).answer.is_none());
}

#[tokio::test]
async fn who_has_no_result_has_what_the_rule_says_of_those() {
    for (missing, reason) in
        [("success", Reason::Delivered), ("never", Reason::Answer), ("retry", Reason::ExhaustedAnswer)]
    {
        for answer in
            [json!({}), json!({"failed": []}), json!({"failed": [{"who": "somebody else", "code": 0}]})]
        {
            let setup =
                Setup { success: Some(results("/failed", missing)), give_up_after: 0, ..list(vec![7], 5) };
            let world = World::new(setup).await;
            world.endpoint.answer(answered(&answer));
            world.invoke().await;
            world.assert_all(reason).await;
        }
    }
}

/// Refuses every request with one of these users.
fn refusing(poison: &'static [usize], status: u16) -> impl Fn(&Seen, usize) -> (Duration, Reply) {
    move |seen, _| {
        let refused = items(seen).iter().any(|item| poison.contains(&number(item)));
        (Duration::from_millis(20), Reply::Status(if refused { status } else { 200 }))
    }
}

#[tokio::test]
async fn a_refused_batch_is_split_until_those_who_are_refused_are_found() {
    const POISON: &[usize] = &[17, 99];
    let world = World::new(Setup { split_refused: true, ..list(vec![500], 100) }).await;
    world.endpoint.script(refusing(POISON, 422));
    world.invoke().await;
    let records = world.records().await;
    let refused: BTreeSet<String> = records
        .iter()
        .filter(|record| record.reason == Reason::Status)
        .map(|record| record.qaid.to_string())
        .collect();
    assert_eq!(refused, POISON.iter().map(|&number| qaid(number)).collect());
    assert_eq!(world.totals().await.0, BTreeMap::from([(Reason::Delivered, 498), (Reason::Status, 2)]));
    // Of one batch of a hundred: the whole, and two halves a step for each of the two.
    assert!(world.endpoint.seen().len() <= 5 + 2 * 2 * 7, "{} requests", world.endpoint.seen().len());
    assert!(records.iter().all(|record| record.tries == Some(1)), "it is one try");
    let attempts: BTreeSet<_> =
        world.endpoint.seen().iter().map(|seen| seen.header("fanhook-attempt").map(str::to_owned)).collect();
    assert_eq!(attempts.len(), 1);
}

#[tokio::test]
async fn splitting_takes_less_than_two_requests_a_user_and_finds_all_in_any_order() {
    for poison in [&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11][..], &[0, 2, 4, 6, 8, 10], &[11], &[0]] {
        let world = World::new(Setup { split_refused: true, ..list(vec![12], 12) }).await;
        world.endpoint.script(refusing(poison, 400));
        world.drive().await;
        world.check_accounts().await;
        assert_eq!(world.totals().await.0[&Reason::Status], poison.len() as u64);
        assert!(world.endpoint.seen().len() < 24);
    }
}

#[tokio::test]
async fn a_refusal_by_the_rule_is_split_and_one_of_the_caller_or_without_the_switch_is_not() {
    let world = World::new(Setup { split_refused: true, success: Some(rule()), ..list(vec![8], 8) }).await;
    world.endpoint.script(|seen, _| {
        let refused = items(seen).iter().any(|item| number(item) == 3);
        let status = if refused { "blocked" } else { "ok" };
        (Duration::from_millis(5), answered(&json!({"status": status})))
    });
    world.invoke().await;
    assert_eq!(world.totals().await.0, BTreeMap::from([(Reason::Delivered, 7), (Reason::Answer, 1)]));

    for (split_refused, status) in [(true, 401), (true, 403), (true, 302), (false, 422)] {
        let world = World::new(Setup { split_refused, ..list(vec![8], 8) }).await;
        world.endpoint.answer(Reply::Status(status));
        world.invoke().await;
        assert_eq!(world.endpoint.seen().len(), 1, "{status}");
        assert_eq!(world.totals().await.sum(), 8);
    }
}

#[tokio::test]
async fn a_split_goes_on_when_the_retry_policy_is_over() {
    let world =
        World::new(Setup { split_refused: true, give_up_after: 0, rate: Some(1), ..list(vec![8], 4) }).await;
    world.endpoint.script(refusing(&[2, 7], 400));
    world.drive().await;
    assert_eq!(world.totals().await.0, BTreeMap::from([(Reason::Delivered, 6), (Reason::Status, 2)]));
}

#[tokio::test]
async fn an_endpoint_too_slow_for_the_halves_of_a_pass_is_not_asked_without_end() {
    // Two requests a pass.
    let slow = Setup { split_refused: true, give_up_after: 0, allowed: Some(1), ..list(vec![8], 8) };
    let world = World::new(slow).await;
    world.endpoint.answer(Reply::Status(400));
    world.drive().await;
    world.assert_all(Reason::Status).await;
    let sizes: Vec<usize> = world.endpoint.seen().iter().map(|seen| items(seen).len()).collect();
    assert_eq!(sizes, [8, 4, 8]);
}

#[tokio::test]
async fn a_success_that_cannot_be_read_is_no_refusal_and_not_split() {
    let cut = json!({"results": []}).to_string();
    for reply in [Reply::Cut(200, cut), Reply::Body(200, "<html>".to_owned()), Reply::Status(204)] {
        let rule = Some(results("/results", "retry"));
        let world = World::new(Setup { split_refused: true, success: rule, ..list(vec![8], 8) }).await;
        world.endpoint.answer(reply.clone());
        world.invoke().await;
        assert_eq!(world.endpoint.seen().len(), 1, "{reply:?}");
        world.assert_all(Reason::Answer).await;
    }
}

#[tokio::test]
async fn a_worker_that_dies_while_it_splits_loses_nobody() {
    let mut points = 0;
    for at in 1.. {
        let world = World::new(Setup { split_refused: true, ..list(vec![60], 20) }).await;
        world.endpoint.script(refusing(&[7, 25, 26], 400));
        world.crash.arm(at, at % 2 == 0);
        if !world.invoke_to_death().await {
            points = at;
            break;
        }
        world.drive().await;
        let totals = world.totals().await;
        assert_eq!(totals.0, BTreeMap::from([(Reason::Delivered, 57), (Reason::Status, 3)]), "effect {at}");
    }
    assert!(points > 40, "{points} effects");
}

#[tokio::test]
async fn halves_wait_for_a_rate_and_for_the_next_pass_like_everybody() {
    let setup = Setup { split_refused: true, rate: Some(10), ..list(vec![64], 32) };
    let world = World::with_lines(setup, line).await;
    world.endpoint.script(refusing(&[5, 40], 400));
    world.drive().await;
    assert_eq!(world.totals().await.0, BTreeMap::from([(Reason::Delivered, 62), (Reason::Status, 2)]));
    let mut times: Vec<u64> = world.endpoint.seen().iter().map(|seen| seen.at.0).collect();
    times.sort_unstable();
    for (at, first) in times.iter().enumerate() {
        let within = times[at..].iter().take_while(|time| **time < first + 1_000).count();
        assert!(within <= 12, "{within} requests within a second");
    }
}
