use crate::world::{START, World};
use fanhook_core::{chunk::ChunkId, outcome::Reason, time::Millis};
use fanhook_store::{
    keys,
    outcomes::{Lines, Record},
    ports::Objects,
};
use serde_json::{Value, json};

/// An object of a run's outcomes, with these reasons; the QAIDs count on.
async fn put(world: &World, run: &str, chunk: u32, reasons: &[Reason]) {
    let mut lines = Lines::default();
    for (index, reason) in reasons.iter().enumerate() {
        let record = Record::new(format!("u{chunk}-{index}"), *reason);
        let tried = Record {
            tries: Some(2),
            status: Some(404),
            at_ms: Some(START),
            answer: Some("no".into()),
            ..record.clone()
        };
        lines.push(if *reason == Reason::Status { &tried } else { &record }).unwrap();
    }
    let id = ChunkId { run: run.parse().unwrap(), part: 0, chunk };
    let key = keys::outcome(&"acme".parse().unwrap(), &id, 0);
    world.objects.put(&key, lines.compressed().unwrap()).await.unwrap();
}

/// All pages of a list.
async fn all(world: &World, run: &str, query: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(format!("/runs/{run}/failures?{query}{cursor}")).await;
        found.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["qaid"].as_str().unwrap().to_owned()),
        );
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn every_recipient_that_was_not_delivered_to_is_listed_with_its_reason() {
    let world = World::new();
    let run = world.run().await;
    put(&world, &run, 0, &[Reason::Delivered, Reason::Status, Reason::NoId]).await;
    let page = world.get(format!("/runs/{run}/failures")).await;
    let items = json!([
        {"qaid": "u0-1", "outcome": "refused", "reason": "status", "status": 404, "tries": 2, "at": Millis::to_string(&START), "answer": "no"},
        {"qaid": "u0-2", "outcome": "no_id", "reason": "no_id"},
    ]);
    assert_eq!(page, json!({"items": items}));
}

#[tokio::test]
async fn pages_of_any_size_give_each_failure_once_in_order() {
    let world = World::new();
    let run = world.run().await;
    for chunk in 0..7 {
        put(&world, &run, chunk, &[Reason::NoId, Reason::Delivered, Reason::Status, Reason::Redirect]).await;
    }
    put(&world, &run, 7, &[Reason::Delivered]).await;
    let expected: Vec<String> =
        (0..7).flat_map(|chunk| [0, 2, 3].map(|index| format!("u{chunk}-{index}"))).collect();
    for limit in [1, 2, 3, 4, 20, 21, 22] {
        assert_eq!(all(&world, &run, &format!("limit={limit}")).await, expected, "{limit}");
    }
    let refused: Vec<String> =
        (0..7).flat_map(|chunk| [2, 3].map(|index| format!("u{chunk}-{index}"))).collect();
    assert_eq!(all(&world, &run, "limit=3&outcome=refused").await, refused);
    let redirected: Vec<String> = (0..7).map(|chunk| format!("u{chunk}-3")).collect();
    assert_eq!(all(&world, &run, "reason=redirect&outcome=refused").await, redirected);
    assert_eq!(all(&world, &run, "reason=no_id&outcome=refused").await.len(), 0);
}

#[tokio::test]
async fn a_page_looks_through_a_bounded_number_of_objects() {
    let world = World::new();
    let run = world.run().await;
    for chunk in 0..450 {
        let reason = if chunk == 449 { Reason::NoId } else { Reason::Delivered };
        put(&world, &run, chunk, &[reason]).await;
    }
    let first = world.get(format!("/runs/{run}/failures")).await;
    assert_eq!(first["items"].as_array().unwrap().len(), 0);
    assert!(first["cursor"].is_string());
    assert_eq!(all(&world, &run, "").await, ["u449-0"]);
}

#[tokio::test]
async fn filters_are_checked() {
    let world = World::new();
    let run = world.run().await;
    let ask = |query: &str| world.call("GET", format!("/runs/{run}/failures?{query}")).send();
    let refused = ask("outcome=refusd&reason=redirekt").await;
    assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["outcome", "reason"]));
    let hints: Vec<&Value> =
        refused.body["errors"].as_array().unwrap().iter().map(|fault| &fault["hint"]).collect();
    assert_eq!(hints, [&json!("did you mean `refused`?"), &json!("did you mean `redirect`?")]);
    assert_eq!(ask("outcome=delivered").await.code(400), "invalid");
    assert_eq!(ask("limit=1001").await.code(400), "invalid");
}

#[tokio::test]
async fn a_cursor_leads_nowhere_else() {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let world = World::new();
    let run = world.run().await;
    world.objects.put("outcomes/workspace=rival/x", bytes::Bytes::new()).await.unwrap();
    for place in ["0:../../workspace=rival/x", "0:a/b", "x:a", "1", ":"] {
        let cursor = BASE64_URL_SAFE_NO_PAD.encode(place);
        let answer = world.call("GET", format!("/runs/{run}/failures?cursor={cursor}")).send().await;
        assert_eq!(answer.code(400), "invalid", "{place}");
    }
    // An object may have gone since its name was given.
    let cursor = BASE64_URL_SAFE_NO_PAD.encode("1:gone.ndjson.gz");
    let page = world.get(format!("/runs/{run}/failures?cursor={cursor}")).await;
    assert_eq!(page, json!({"items": []}));
}
