//! Profiles by the API: batches, look-up, erasure.

use std::time::Duration;

use fanhook_core::{limits, time::Millis};
use serde_json::{Value, json};

use crate::world::{ADMIN, MEMBER, OTHER, START, World};

async fn write(world: &World, items: &[Value]) -> Vec<Value> {
    let answer = world.call("POST", "/profiles").by(MEMBER).json(&json!({"items": items})).send().await;
    answer.ok(200)["items"].as_array().unwrap().clone()
}

fn said(qaid: &str, source: &str, name: &str) -> Value {
    json!({"qaid": qaid, "source": source, "ids": {"MOBILE": ["+4915100000001"]}, "tags": {"name": name}})
}

#[tokio::test]
async fn what_is_written_is_looked_up_by_source_and_erased_whole() {
    let world = World::new();
    let results = write(&world, &[said("u/1", "crm", "Ann"), said("u/1", "shop", "Annie")]).await;
    assert_eq!(results, [json!({"result": "stored"}), json!({"result": "stored"})]);
    let profile = world.get("/profiles?qaid=u%2F1").await;
    let source = |name: &str| json!({"updated": "2027-01-15T08:00:00.000Z", "ids": {"MOBILE": ["+4915100000001"]}, "tags": {"name": name}});
    assert_eq!(profile, json!({"qaid": "u/1", "sources": {"crm": source("Ann"), "shop": source("Annie")}}));
    for _ in 0..2 {
        world.call("DELETE", "/profiles?qaid=u%2F1").send().await.ok(204);
        assert_eq!(world.call("GET", "/profiles?qaid=u%2F1").send().await.code(404), "not_found");
    }
}

#[tokio::test]
async fn each_item_of_a_batch_has_a_fate_of_its_own() {
    let world = World::new();
    let batch = r#"{"items":[
        {"qaid": "a",
         "source": "crm", "tags": {"name": "Ann"}},
        7,
        {"qaid": "b", "source": "crm", "ids": {"MOBLE": ["+49"]}},
        {"qaid": "", "source": "crm"},
        {"qaid": "c"},
        {"qaid": "d", "source": "crm", "updated": "2027-01-01T00:00:00Z", "tags": {"n": "new"}},
        {"qaid": "d", "source": "crm", "updated": "2026-01-01T00:00:00Z", "tags": {"n": "old"}},
        {"qaid": "e", "source": "crm", "colour": "red"},
        {"qaid": "f", "source": "crm", "tags": {"n": "\u0000"}},
        {"qaid": "g",
         "source": "crm", "ids": {"EMAIL": ["é@example.com"], "MOBILE": ["+49", 7]}},
        {"qaid": "h", "source": "C R M"},
        {"qaid": "i", "source": "crm", "updated": "today"},
        {"qaid": "j", "source": "crm", "ids": {"MOBILE": ["md5:0"]}},
        {"qaid": "k", "source": "crm", "tags": {"a": "b", "n": ["c"]}},
        {"qaid": "l", "source": "crm", "ids": [["+49"]]}
    ]}"#;
    let answer = world.call("POST", "/profiles").text(batch).send().await.ok(200);
    let items = answer["items"].as_array().unwrap();
    let results: Vec<&str> = items.iter().map(|item| item["result"].as_str().unwrap()).collect();
    let (s, o, r) = ("stored", "outdated", "refused");
    assert_eq!(results, [s, r, r, r, r, s, o, r, r, r, r, r, r, r, r]);
    let refused: Vec<&Value> =
        items.iter().filter(|item| item["result"] == r).map(|item| &item["error"]).collect();
    assert!(refused.iter().all(|error| !error["detail"].as_str().unwrap().is_empty()));
    let fields: Vec<&str> = refused.iter().map(|error| error["field"].as_str().unwrap()).collect();
    let expected = [
        "items[1]",
        "items[2].ids",
        "items[3].qaid",
        "items[4].source",
        "items[7]",
        "items[8]",
        "items[9].ids.MOBILE[1]",
        "items[10].source",
        "items[11].updated",
        "items[12].ids.MOBILE",
        "items[13].tags",
        "items[14].ids",
    ];
    assert_eq!(fields, expected);
    assert_eq!(world.get("/profiles?qaid=d").await["sources"]["crm"]["tags"]["n"], "new");
    assert_eq!(world.call("GET", "/profiles?qaid=b").send().await.code(404), "not_found");
}

#[tokio::test]
async fn what_is_said_as_of_more_than_a_day_ahead_is_refused() {
    let world = World::new();
    let as_of = |qaid: &str, updated: Millis| {
        let mut item = said(qaid, "crm", "Ann");
        item["updated"] = json!(updated.to_string());
        item
    };
    let latest = START + limits::AHEAD;
    let items = [as_of("a", latest), as_of("b", latest + Duration::from_millis(1)), said("c", "crm", "Ann")];
    let results = write(&world, &items).await;
    let detail = "`updated` must not be more than a day in the future";
    let refused = json!({"result": "refused", "error": {"field": "items[1].updated", "detail": detail}});
    assert_eq!(results, [json!({"result": "stored"}), refused, json!({"result": "stored"})]);
    assert_eq!(world.call("GET", "/profiles?qaid=b").send().await.code(404), "not_found");
}

#[tokio::test]
async fn what_a_batch_says_last_of_a_user_stands() {
    let world = World::new();
    let items: Vec<Value> = (0..100).map(|n| said("u", "crm", &n.to_string())).collect();
    write(&world, &items).await;
    assert_eq!(world.get("/profiles?qaid=u").await["sources"]["crm"]["tags"]["name"], "99");
}

#[tokio::test]
async fn a_profile_that_would_be_too_large_is_refused_and_stays_as_it_was() {
    let world = World::new();
    let tag = "x".repeat(60 * 1024);
    for source in 0..6 {
        write(&world, &[said("u", &format!("s{source}"), &tag)]).await;
    }
    let results = write(&world, &[said("u", "s6", &tag), said("v", "crm", "Vic")]).await;
    assert_eq!((&results[0]["result"], &results[1]["result"]), (&json!("refused"), &json!("stored")));
    assert_eq!(world.get("/profiles?qaid=u").await["sources"].as_object().unwrap().len(), 6);
}

#[tokio::test]
async fn a_batch_is_1_to_500() {
    let world = World::new();
    let call = async |count: usize| {
        let items: Vec<Value> = (0..count).map(|n| said(&n.to_string(), "crm", "Ann")).collect();
        world.call("POST", "/profiles").json(&json!({"items": items})).send().await
    };
    let full = call(500).await.ok(200);
    let results = full["items"].as_array().unwrap();
    assert_eq!(results.len(), 500);
    assert!(results.iter().all(|item| item["result"] == "stored"), "{full}");
    for count in [0, 501] {
        let refused = call(count).await;
        assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["items"]));
    }
}

#[tokio::test]
async fn personal_data_is_for_administrators_of_its_workspace() {
    let world = World::new();
    write(&world, &[said("u", "crm", "Ann")]).await;
    for method in ["GET", "DELETE"] {
        let refused = world.call(method, "/profiles?qaid=u").by(MEMBER).send().await;
        assert_eq!(refused.code(403), "forbidden", "{method}");
    }
    assert_eq!(world.call("GET", "/profiles?qaid=u").by(OTHER).send().await.code(404), "not_found");
    world.call("DELETE", "/profiles?qaid=u").by(OTHER).send().await.ok(204);
    world.call("GET", "/profiles?qaid=u").by(ADMIN).send().await.ok(200);
    for path in ["/profiles", "/profiles?qaid=", "/profiles?qaid=u&user=v"] {
        assert_eq!(world.call("GET", path).send().await.code(400), "invalid", "{path}");
    }
}
