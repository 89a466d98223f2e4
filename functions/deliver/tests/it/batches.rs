//! Several users in one request.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use deliver::{REQUESTS, UNSAVED};
use fanhook_core::{
    outcome::Reason,
    recipient::{self, DeliveryId, request_id},
};
use fanhook_store::chunks;
use serde_json::{Value, json};

use crate::{
    endpoint::{Reply, Seen},
    world::{Setup, World, line, qaid},
};

/// The standard list body, for batches of this size.
pub(crate) fn list(chunks: Vec<usize>, batch_size: u32) -> Setup {
    Setup { chunks, body: Some(json!({"kind": "list"})), batch_size: Some(batch_size), ..Setup::default() }
}

pub(crate) fn items(seen: &Seen) -> Vec<Value> {
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    body["items"].as_array().unwrap().clone()
}

/// A user with these IDs and a tag of this length.
fn user(number: usize, ids: &[(&str, &str)], name: &str) -> Vec<u8> {
    let mut line = Vec::new();
    recipient::write(&mut line, &qaid(number), ids.iter().copied(), [("name", name)].into_iter());
    line
}

/// Whether every item that was ever sent under one `delivery` was the same, and how many users were sent more than once.
fn repeated_users(world: &World) -> usize {
    let mut items_by_delivery: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for seen in world.endpoint.seen().iter() {
        let items = items(seen);
        let deliveries: Vec<DeliveryId> =
            items.iter().map(|item| item["delivery"].as_str().unwrap().parse().unwrap()).collect();
        assert_eq!(seen.webhook_id, request_id(&deliveries).to_string());
        for item in items {
            items_by_delivery.entry(item["delivery"].as_str().unwrap().to_owned()).or_default().push(item);
        }
    }
    let ids: BTreeMap<&str, &str> = items_by_delivery
        .iter()
        .map(|(delivery, items)| {
            assert!(items.iter().all(|item| *item == items[0]), "one item under one delivery");
            (items[0]["id"].as_str().unwrap(), delivery.as_str())
        })
        .collect();
    assert_eq!(ids.len(), items_by_delivery.len(), "one delivery for one user");
    items_by_delivery.values().map(|items| items.len() - 1).sum()
}

#[tokio::test]
async fn users_share_requests_that_are_cut_at_fixed_places() {
    let world = World::new(list(vec![500, 120], 50)).await;
    world.invoke().await;
    world.assert_all(Reason::Delivered).await;
    let seen = world.endpoint.seen().clone();
    let mut sizes: Vec<usize> = seen.iter().map(|seen| items(seen).len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [vec![20], vec![50; 12]].concat());
    assert_eq!(repeated_users(&world), 0);

    let body: Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!((&body["id_type"], &body["push"]["name"]), (&json!("MOBILE"), &json!("spring")));
    assert_eq!(body["push"]["run"], world.run.to_string());
    assert_eq!(seen[0].header("fanhook-push"), body["push"]["id"].as_str());
    assert_eq!(seen[0].header("fanhook-id-type"), Some("MOBILE"));
    let records = world.records().await;
    let records: HashMap<&str, _> = records.iter().map(|record| (record.qaid.as_ref(), record)).collect();
    for (number, item) in items(&seen[0]).iter().enumerate() {
        let record = records[qaid(number).as_str()];
        assert_eq!(item["delivery"].as_str(), record.webhook_id.as_deref());
        assert_eq!(
            (&item["id"], &item["params"]),
            (&json!(format!("+4915{number:09}")), &json!({"name": "Adelheid"}))
        );
        assert_eq!((record.status, record.tries, &record.answer), (Some(200), Some(1), &None));
    }
}

#[tokio::test]
async fn a_custom_root_takes_rendered_items_and_a_batch_of_one_goes_under_its_users_id() {
    let body = json!({"kind": "json", "template": r#"{"type":"{id_type}","members":"{items}"}"#, "item": r#"["{id}","{name}"]"#});
    let world = World::new(Setup { body: Some(body), ..list(vec![3], 2) }).await;
    world.invoke().await;
    let seen = world.endpoint.seen().clone();
    let bodies: Vec<&str> = seen.iter().map(|seen| seen.body.as_str()).collect();
    let expected = [
        r#"{"type":"MOBILE","members":[["+4915000000000","Adelheid"],["+4915000000001","Adelheid"]]}"#,
        r#"{"type":"MOBILE","members":[["+4915000000002","Adelheid"]]}"#,
    ];
    assert_eq!(bodies, expected);
    let record = world.records().await.into_iter().find(|record| record.qaid == qaid(2)).unwrap();
    assert_eq!(record.webhook_id.as_deref(), Some(seen[1].webhook_id.as_str()));
}

#[tokio::test]
async fn a_chunk_may_be_one_request_of_a_thousand() {
    let world = World::new(list(vec![1000], 1000)).await;
    world.invoke().await;
    world.assert_all(Reason::Delivered).await;
    assert_eq!(world.endpoint.seen().len(), 1);
    assert_eq!(items(&world.endpoint.seen()[0]).len(), 1000);
}

#[tokio::test]
async fn who_cannot_be_sent_to_has_an_outcome_and_the_others_share_the_request() {
    let long = "x".repeat(256 * 1024);
    let lines = move |number| match number {
        0 => b"{\"qaid\":17}\n".to_vec(),
        1 => user(1, &[("MOBILE", "not a number")], "x"),
        2 => user(2, &[("MOBILE", "+4915000000002")], &long),
        number => line(number),
    };
    let world = World::with_lines(list(vec![10], 5), lines).await;
    world.invoke().await;
    world.check_accounts().await;
    let totals = world.totals().await;
    let counts =
        [Reason::Internal, Reason::NoId, Reason::TooLarge, Reason::Delivered].map(|reason| totals.0[&reason]);
    assert_eq!(counts, [1, 1, 1, 7]);
    let sizes: Vec<usize> = world.endpoint.seen().iter().map(|seen| items(seen).len()).collect();
    assert_eq!(sizes, [2, 5]);

    let body = json!({"kind": "text", "template": "{items}", "item": "{id} {name}"});
    let lines = |number| match number {
        1 => user(1, &[("MOBILE", "+4915000000001")], "x\n+49150000009 forged"),
        number => line(number),
    };
    let world = World::with_lines(Setup { body: Some(body), ..list(vec![3], 3) }, lines).await;
    world.invoke().await;
    assert_eq!(world.endpoint.seen()[0].body, "+4915000000000 Adelheid\n+4915000000002 Adelheid");
    assert_eq!(world.totals().await.0[&Reason::InvalidRequest], 1);
}

#[tokio::test]
async fn a_batch_without_anybody_to_send_to_makes_no_request() {
    let world = World::with_lines(list(vec![10], 5), |number| user(number, &[], "x")).await;
    world.invoke().await;
    world.assert_all(Reason::NoId).await;
    assert_eq!(world.endpoint.seen().len(), 0);
}

#[tokio::test]
async fn a_body_over_its_limit_is_cut_at_the_same_place_each_time() {
    let name = "x".repeat(100 * 1024);
    let lines = move |number| user(number, &[("MOBILE", &format!("+4915{number:09}"))], &name);
    let world = World::with_lines(list(vec![12], 5), lines).await;
    world
        .endpoint
        .script(|_, earlier| (Duration::from_millis(5), Reply::Status(if earlier == 0 { 503 } else { 200 })));
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
    // Two find room in 256 KiB, and no request reaches over a fixed cut.
    let sizes: Vec<usize> = world.endpoint.seen().iter().map(|seen| items(seen).len()).collect();
    assert_eq!(sizes, [[2, 2, 1, 2, 2, 1, 2]; 2].concat());
    assert!(world.endpoint.seen().iter().all(|seen| seen.body.len() <= 256 * 1024));
    assert_eq!(repeated_users(&world), 12);
}

#[tokio::test]
async fn a_request_holds_ids_of_one_type() {
    let lines = |number: usize| match number % 3 {
        0 => user(number, &[("EMAIL", &format!("u{number}@example.com"))], "x"),
        _ => line(number),
    };
    let setup = Setup { id_types: &["MOBILE", "EMAIL"], ..list(vec![30], 10) };
    let world = World::with_lines(setup, lines).await;
    world.invoke().await;
    world.assert_all(Reason::Delivered).await;
    let seen = world.endpoint.seen().clone();
    let shapes: Vec<(String, usize)> = seen
        .iter()
        .map(|seen| {
            let body: Value = serde_json::from_str(&seen.body).unwrap();
            let id_type = body["id_type"].as_str().unwrap().to_owned();
            assert_eq!(seen.header("fanhook-id-type"), Some(id_type.as_str()));
            let fits = |id: &str| id.contains('@') == (id_type == "EMAIL");
            assert!(items(seen).iter().all(|item| fits(item["id"].as_str().unwrap())));
            (id_type, items(seen).len())
        })
        .collect();
    let pair = |id_type: &str, size| (id_type.to_owned(), size);
    assert_eq!(
        shapes,
        [
            pair("EMAIL", 4),
            pair("MOBILE", 6),
            pair("MOBILE", 7),
            pair("EMAIL", 3),
            pair("MOBILE", 7),
            pair("EMAIL", 3)
        ]
    );
}

#[tokio::test]
async fn a_failed_batch_is_tried_again_whole_under_its_id_and_counts_its_users() {
    let world = World::new(list(vec![100], 20)).await;
    world.endpoint.script(|seen, earlier| {
        let reply = match (seen.body.contains("+4915000000000"), seen.body.contains("+4915000000099")) {
            (true, _) if earlier < 2 => Reply::Status(503),
            (_, true) => Reply::Status(404),
            _ => Reply::Status(200),
        };
        (Duration::from_millis(20), reply)
    });
    world.drive().await;
    world.check_accounts().await;
    let totals = world.totals().await;
    assert_eq!((totals.0[&Reason::Delivered], totals.0[&Reason::Status]), (80, 20));
    let seen = world.endpoint.seen().clone();
    assert_eq!(seen.len(), 5 + 2);
    let tried: Vec<&Seen> = seen.iter().filter(|other| other.webhook_id == seen[0].webhook_id).collect();
    let attempts: Vec<_> = tried.iter().map(|seen| seen.header("fanhook-attempt")).collect();
    assert_eq!(attempts, [Some("1"), Some("2"), Some("3")]);
    assert!(tried.iter().all(|seen| seen.body == tried[0].body));
    let records = world.records().await;
    assert!(records.iter().filter(|record| record.status == Some(404)).all(|record| record.tries == Some(1)));
    assert_eq!(records.iter().filter(|record| record.tries == Some(3)).count(), 20);
}

#[tokio::test]
async fn only_those_who_are_pending_come_again_after_a_crash_each_as_before() {
    for done in [false, true] {
        let mut points = 0;
        for at in 1.. {
            let world = World::new(list(vec![30, 1, 150], 7)).await;
            world.endpoint.script(|seen, earlier| {
                let digit = seen.body.len() % 7;
                let reply = if digit == 0 && earlier == 0 { 503 } else { 200 };
                (Duration::from_millis(10 + digit as u64 * 30), Reply::Status(reply))
            });
            world.crash.arm(at, done);
            if !world.invoke_to_death().await {
                points = at;
                break;
            }
            world.drive().await;
            world.assert_all(Reason::Delivered).await;
            repeated_users(&world);
        }
        assert!(points > 60, "{points} effects");
    }
}

#[tokio::test]
async fn a_killed_worker_repeats_no_more_requests_than_without_batches() {
    for at in [60, 300, 700, 1_100] {
        let world = World::new(list(vec![500; 10], 5)).await;
        world.endpoint.script(|seen, _| {
            (
                Duration::from_millis(seen.webhook_id.bytes().map(u64::from).sum::<u64>() % 97),
                Reply::Status(200),
            )
        });
        world.crash.arm(at, true);
        assert!(world.invoke_to_death().await);
        world.drive().await;
        world.assert_all(Reason::Delivered).await;
        let repeats = repeated_users(&world);
        assert!(repeats <= (REQUESTS + 10 * UNSAVED) * 5, "{repeats} users again after effect {at}");
        assert!(repeats > 0, "it died with requests under way");
    }
}

#[tokio::test]
async fn who_was_saved_as_final_is_not_in_the_batch_that_comes_again() {
    let world = World::new(list(vec![10], 5)).await;
    let mut row = world.chunk(0).await;
    // As a worker leaves them that died after a checkpoint.
    let claim = chunks::claim(
        &*world.ledger,
        &row.id,
        chunks::Purpose::Deliver,
        "dead",
        crate::world::START,
        crate::world::START,
    );
    let chunks::Claim::Won(claimed) = claim.await.unwrap() else { panic!("it is free") };
    row = *claimed;
    row.states.finish(1, Reason::Status);
    row.states.finish(2, Reason::Delivered);
    chunks::checkpoint(&*world.ledger, &row).await.unwrap();
    world.drive().await;
    let seen = world.endpoint.seen().clone();
    let ids: Vec<Vec<String>> = seen
        .iter()
        .map(|seen| items(seen).iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect())
        .collect();
    let id = |number: usize| format!("+4915{number:09}");
    assert_eq!(ids, [vec![id(0), id(3), id(4)], (5..10).map(id).collect()]);
    world.check_accounts().await;
}

#[tokio::test]
async fn a_rate_counts_requests_not_users() {
    let world = World::new(Setup { rate: Some(50), ..list(vec![500; 10], 10) }).await;
    let took = world.drive().await;
    world.assert_all(Reason::Delivered).await;
    assert_eq!(world.endpoint.seen().len(), 500);
    assert_eq!(world.endpoint.most_within(Duration::from_secs(1)), 50);
    assert!(took >= Duration::from_secs(9) && took <= Duration::from_secs(30), "{took:?}");
}

#[tokio::test]
async fn an_answer_that_gives_a_batch_back_is_kept_without_any_of_its_users_values() {
    let lines = |number: usize| {
        user(number, &[("MOBILE", &format!("+4915{number:09}"))], &format!("Adelheid-{number}"))
    };
    let world = World::with_lines(list(vec![20], 20), lines).await;
    world.endpoint.script(|seen, _| {
        let told: Vec<String> =
            items(seen).iter().map(|item| format!("{} {}", item["id"], item["params"]["name"])).collect();
        (Duration::from_millis(1), Reply::Body(400, format!("refused: {}", told.join(" "))))
    });
    world.invoke().await;
    world.assert_all(Reason::Status).await;
    for record in world.records().await {
        let answer = record.answer.unwrap();
        assert!(
            answer.starts_with("refused:") && !answer.contains("+4915") && !answer.contains("Adelheid"),
            "{answer}"
        );
    }
}
