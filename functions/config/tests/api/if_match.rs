//! Changes that say which version they were made of.

use serde_json::{Value, json};

use crate::parameter_sources::constant;
use crate::world::{World, at_once, push, webhook};

/// Where an object is, and what it can be replaced by.
async fn objects(world: &World) -> Vec<(String, Value)> {
    let webhook_id = world.webhook().await;
    let push_id = world.push(&webhook_id).await;
    let source = world.source(&constant("Coupon", "B10")).await;
    let id_type = json!({"display_name": "Card", "priority": 40});
    world.call("PUT", "/id-types/CARD").json(&id_type).send().await.ok(201);
    vec![
        (format!("/pushes/{push_id}"), push(&webhook_id)),
        (format!("/webhooks/{webhook_id}"), webhook("Renamed")),
        (format!("/parameter-sources/{source}"), constant("Coupon", "B11")),
        ("/id-types/CARD".to_owned(), json!({"display_name": "Loyalty card", "priority": 40})),
        ("/sources".to_owned(), json!({"items": ["crm"]})),
    ]
}

async fn tag(world: &World, path: &str) -> String {
    world.call("GET", path).send().await.headers["etag"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_lost_update_is_refused_and_the_object_stays() {
    let world = World::new();
    for (path, input) in objects(&world).await {
        let first = tag(&world, &path).await;
        let replace = |tag: &str| world.call("PUT", path.clone()).header("if-match", tag).json(&input).send();
        let replaced = replace(&first).await;
        let second = replaced.headers["etag"].to_str().unwrap().to_owned();
        replaced.ok(200);
        assert_ne!(first, second, "{path}");
        assert_eq!(tag(&world, &path).await, second, "{path}");

        assert_eq!(replace(&first).await.code(412), "changed_since", "{path}");
        assert_eq!(tag(&world, &path).await, second, "{path}");
        assert_eq!(replace("3").await.code(400), "invalid_if_match", "{path}");
        let mut wrong = input.clone();
        for (name, value) in [("name", json!("")), ("display_name", json!("")), ("items", json!([""]))] {
            if let Some(member) = wrong.get_mut(name) {
                *member = value;
            }
        }
        // What is wrong whichever version it was made of is told first.
        let refused = world.call("PUT", path.clone()).header("if-match", &first).json(&wrong).send().await;
        assert_eq!(refused.code(400), "invalid", "{path}");
        replace(&format!("{first}, {second}")).await.ok(200);
        replace("*").await.ok(200);
        if path != "/sources" {
            let delete = |tag: &str| world.call("DELETE", path.clone()).header("if-match", tag).send();
            assert_eq!(delete("\"0\"").await.code(412), "changed_since", "{path}");
            delete(&tag(&world, &path).await).await.ok(204);
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_made_only_without_the_header() {
    let world = World::new();
    let card = json!({"display_name": "Card", "priority": 40});
    let make = |tag| world.call("PUT", "/id-types/CARD").header("if-match", tag).json(&card).send();
    assert_eq!(make("*").await.code(412), "changed_since");
    assert_eq!(world.call("GET", "/id-types/CARD").send().await.code(404), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_changes_of_one_version_one_is_taken() {
    let world = World::new();
    for (path, input) in objects(&world).await {
        let tag = tag(&world, &path).await;
        // Each another one: who finds what it wanted is no loser.
        let change = |n: usize| {
            let mut input = input.clone();
            match path.as_str() {
                "/sources" => input["items"][0] = json!(format!("source-{n}")),
                "/id-types/CARD" => input["display_name"] = json!(format!("Card {n}")),
                _ => input["name"] = json!(format!("Name {n}")),
            }
            world.call("PUT", path.clone()).header("if-match", &tag).json(&input)
        };
        let answers = at_once((0..8).map(change).collect());
        let taken = answers.iter().filter(|answer| answer.status == 200).count();
        let refused = answers.iter().filter(|answer| answer.status == 412).count();
        assert_eq!((taken, refused), (1, 7), "{path}");
    }
}

#[tokio::test]
async fn a_grant_is_given_again_and_taken_back_as_it_was_read() {
    let world = World::new();
    let path = format!("/webhooks/{}/grants", world.webhook().await);
    let give = |until: &str, tag: &str| {
        let grant = json!({"to": {"role": "team"}, "until": until});
        world.call("POST", path.clone()).header("if-match", tag).json(&grant).send()
    };
    assert_eq!(give("2027-06-01T00:00:00Z", "*").await.code(412), "changed_since");
    let given = json!({"to": {"role": "team"}, "until": "2027-12-01T00:00:00Z"});
    let first = world.call("POST", &path).json(&given).send().await;
    let tag = first.headers["etag"].to_str().unwrap().to_owned();
    let first = first.ok(201);
    assert_eq!((&first["etag"], &world.get(&path).await["items"][0]["etag"]), (&json!(tag), &json!(tag)));
    give("2027-06-01T00:00:00Z", &tag).await.ok(200);
    assert_eq!(give("2028-01-01T00:00:00Z", &tag).await.code(412), "changed_since");
    let take = |tag: &str| {
        let address = format!("{path}/{}", first["id"].as_str().unwrap());
        world.call("DELETE", address).header("if-match", tag).send()
    };
    assert_eq!(take(&tag).await.code(412), "changed_since");
    let now = world.get(&path).await["items"][0].clone();
    assert_eq!(now["until"], "2027-06-01T00:00:00.000Z");
    take(now["etag"].as_str().unwrap()).await.ok(204);
}
