//! Who changed what, when, and how.

use std::time::Duration;

use fanhook_core::limits;
use serde_json::{Value, json};

use crate::trial::tested;
use crate::world::{ADMIN, DAY, MARKETER, MEMBER, OTHER, START, World, push, webhook};

async fn changes(world: &World, query: &str) -> Vec<Value> {
    world.get(format!("/audit?{query}")).await["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_change_is_told_with_who_what_when_before_and_after() {
    let world = World::new();
    let mut input = webhook("Coupons");
    input["authentication"] = json!({"kind": "bearer", "secret": "never-told-1"});
    input["signing"] =
        json!({"kind": "standard_webhooks", "secret": "whsec_bmV2ZXJ0b2xkbmV2ZXJ0b2xkbmV2ZXJ0b2xk"});
    let id = world.later().call("POST", "/webhooks").json(&input).send().await.id();
    input["name"] = json!("Vouchers");
    input["authentication"]["secret"] = json!("never-told-2");
    world.later().call("PUT", format!("/webhooks/{id}")).json(&input).send().await.ok(200);
    world.later().call("DELETE", format!("/webhooks/{id}")).send().await.ok(204);

    let told = changes(&world, &format!("kind=webhook&object={id}")).await;
    let actions: Vec<&str> = told.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["deleted", "replaced", "made"]);
    for entry in &told {
        assert_eq!(
            (&entry["person"], &entry["object"], &entry["kind"]),
            (&json!("admin"), &json!(id), &json!("webhook"))
        );
    }
    assert_eq!(told[2]["before"], Value::Null);
    assert_eq!(told[2]["after"]["content"], told[0]["before"]["content"]);
    let secret = |at: &str| told[1][at]["authentication"]["secret"].as_str().unwrap();
    assert!(secret("before").starts_with("[masked ") && secret("before") != secret("after"), "{}", told[1]);
    let authentication = |at: &str| json!({"secret": secret(at)});
    let before = json!({
        "version": 1, "name": "Coupons", "authentication": authentication("before"), "signing": {},
    });
    assert_eq!(told[1]["before"], before);
    // A secret that is given is a new one.
    let overlap = (START + Duration::from_millis(2) + DAY).to_string();
    let after = json!({
        "version": 2, "name": "Vouchers", "authentication": authentication("after"),
        "signing": {"previous_valid_until": overlap},
    });
    assert_eq!(told[1]["after"], after);
    assert_eq!(told[0]["after"], Value::Null);
    assert_eq!(told[2]["at"], (START + Duration::from_millis(1)).to_string());
    let text = json!(told).to_string();
    assert!(
        !text.contains("never-told") && !text.contains("bmV2ZXJ0b2xk") && !text.contains("ciphertext"),
        "{text}"
    );
}

#[tokio::test]
async fn changes_are_listed_by_person_newest_first_in_pages() {
    let world = World::new();
    let webhook_id = world.later().webhook().await;
    let grants = format!("/webhooks/{webhook_id}/grants");
    world.later().call("POST", grants).json(&json!({"to": {"person": "marketer"}})).send().await.ok(201);
    let push_id =
        world.later().call("POST", "/pushes").by(MARKETER).json(&push(&webhook_id)).send().await.id();
    let upload = world.audience().await;
    let run = world.later().start(&push_id, "k", &[&upload]).by(MARKETER).send().await.id();
    for action in ["pause", "resume", "cancel"] {
        world.later().call("POST", format!("/runs/{run}/{action}")).by(MARKETER).send().await.ok(200);
    }
    // Neither a refused change nor a repeated start is one.
    assert_eq!(
        world.later().call("POST", format!("/runs/{run}/pause")).by(MARKETER).send().await.code(409),
        "wrong_state"
    );
    world.later().start(&push_id, "k", &[&upload]).by(MARKETER).send().await.ok(200);
    world.later().call("DELETE", format!("/pushes/{push_id}")).by(MARKETER).send().await.ok(204);

    let wanted = ["deleted", "cancelled", "resumed", "paused", "started", "made"];
    let told = changes(&world, "person=marketer").await;
    let actions: Vec<&str> = told.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, wanted);
    assert_eq!(told[4]["after"]["uploads"], json!([upload]));
    assert_eq!(changes(&world, &format!("kind=run&object={run}")).await, told[1..5]);

    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(format!("/audit?person=marketer&limit=4{cursor}")).await;
        paged.extend(page["items"].as_array().unwrap().clone());
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, told);
    let by_admin = changes(&world, "person=admin").await;
    let kinds: Vec<&str> = by_admin.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["upload", "grant", "webhook"]);
}

#[tokio::test]
async fn id_types_sources_and_erasures_are_told_too_and_other_workspaces_see_nothing() {
    let world = World::new();
    let card = json!({"display_name": "Card", "priority": 40});
    world.later().call("PUT", "/id-types/CARD").json(&card).send().await.ok(201);
    world
        .later()
        .call("PUT", "/id-types/CARD")
        .json(&json!({"display_name": "Card", "priority": 41}))
        .send()
        .await
        .ok(200);
    world.later().call("DELETE", "/id-types/CARD").send().await.ok(204);
    world.later().call("PUT", "/sources").json(&json!({"items": ["crm"]})).send().await.ok(200);
    world.later().call("DELETE", "/profiles?qaid=u-17").send().await.ok(204);
    let card = changes(&world, "kind=id_type&object=CARD").await;
    assert_eq!(card.len(), 3);
    assert_eq!((&card[1]["before"], &card[1]["after"]), (&json!({"priority": 40}), &json!({"priority": 41})));
    assert_eq!(changes(&world, "kind=sources&object=sources").await[0]["after"], json!({"items": ["crm"]}));
    let all = changes(&world, "person=admin").await;
    assert_eq!(all.len(), 5);
    assert!(!json!(all).to_string().contains("u-17"));

    let theirs = world.later().call("GET", "/audit?person=admin").by(OTHER).send().await.ok(200);
    assert_eq!(theirs["items"], json!([]));
    for query in ["", "person=a&kind=push", "kind=push", "person=a&object=b", "kind=hook&object=a"] {
        assert_eq!(
            world.later().call("GET", format!("/audit?{query}")).by(ADMIN).send().await.code(400),
            "invalid",
            "{query}"
        );
    }
    let wrong = world.later().call("GET", "/audit?kind=webhoo&object=a").by(ADMIN).send().await;
    assert_eq!(
        (&wrong.body["errors"][0]["field"], &wrong.body["errors"][0]["hint"]),
        (&json!("kind"), &json!("did you mean `webhook`?"))
    );
}

fn large(filler: char) -> Value {
    let mut input = webhook("Large");
    let headers: Vec<Value> = (0..29)
        .map(|n| json!({"name": format!("x-{n}"), "value": filler.to_string().repeat(4096)}))
        .collect();
    input["content"]["headers"] = json!(headers);
    let template = json!({"filler": filler.to_string().repeat(60_000), "to": "{id}", "c": "{coupon}", "g": "{greeting}"});
    input["content"]["body"] = json!({"kind": "json", "template": template.to_string()});
    input
}

#[tokio::test]
async fn two_versions_of_the_largest_webhook_fit_into_an_entry() {
    let world = World::new();
    let id = world.later().call("POST", "/webhooks").json(&large('a')).send().await.id();
    world.later().call("PUT", format!("/webhooks/{id}")).json(&large('b')).send().await.ok(200);
    let told = changes(&world, &format!("kind=webhook&object={id}")).await;
    assert!(told[0].to_string().len() > 350_000, "{}", told[0].to_string().len());
}

#[tokio::test]
async fn a_page_of_large_changes_ends_early_and_the_next_goes_on_behind_it() {
    let world = World::new();
    let id = world.later().call("POST", "/webhooks").json(&large('a')).send().await.id();
    for filler in 'b'..='m' {
        world.later().call("PUT", format!("/webhooks/{id}")).json(&large(filler)).send().await.ok(200);
    }
    let (mut versions, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = world.get(format!("/audit?person=admin&limit=100{cursor}")).await;
        let items = page["items"].as_array().unwrap();
        versions.extend(items.iter().map(|entry| entry["after"]["version"].as_u64().unwrap()));
        sizes.push(page["items"].to_string().len());
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(versions, (1..=13).rev().collect::<Vec<u64>>());
    assert!(sizes.len() == 3 && sizes.iter().all(|size| *size <= limits::ANSWER), "{sizes:?}");
}

#[tokio::test]
async fn uploads_profiles_tests_and_the_control_of_runs_are_told_with_what_they_change() {
    let world = World::new();
    let webhook = world.webhook().await;
    let of = async |kind: &str, id: &str| changes(&world, &format!("kind={kind}&object={id}")).await;

    let upload = world.audience().await;
    assert_eq!(of("upload", &upload).await[0]["after"], json!({"kind": "audience"}));

    let item = |qaid: &str, source: &str| json!({"qaid": qaid, "source": source});
    let batch = json!({"items": [item("u1", "crm"), item("u2", "crm"), item("u3", "shop"), {"qaid": "u4"}]});
    world.call("POST", "/profiles").by(MEMBER).json(&batch).send().await.ok(200);
    let told = of("profiles", "profiles").await;
    assert_eq!((told.len(), &told[0]["person"]), (1, &json!("member")));
    assert_eq!(told[0]["after"], json!({"items_by_source": {"crm": 2, "shop": 1}}));

    let test = json!({"id": {"type": "MOBILE", "value": "1"}, "values": {"coupon": "B10"}});
    for (passed, entries) in [(false, 0), (true, 1)] {
        world.answers(tested(passed));
        world.clock.advance(Duration::from_secs(1));
        world.call("POST", format!("/webhooks/{webhook}/test")).json(&test).send().await.ok(200);
        let told = of("webhook", &webhook).await;
        assert_eq!(told.iter().filter(|entry| entry["action"] == "tested").count(), entries);
    }

    let push = world.push(&webhook).await;
    let run = world.start(&push, "k", &[&upload]).send().await.id();
    for action in ["pause", "resume", "cancel"] {
        world.later().call("POST", format!("/runs/{run}/{action}")).send().await.ok(200);
    }
    let told: Vec<Value> = of("run", &run).await.iter().map(|e| json!([e["before"], e["after"]])).collect();
    let wanted = json!([
        [{"state": "running"}, {"state": "closing", "closing": "cancelled"}],
        [{"state": "paused"}, {"state": "running"}],
        [{"state": "starting"}, {"state": "paused"}],
        [null, {"push": push, "webhook": webhook, "uploads": [upload], "expires_at": null}],
    ]);
    assert_eq!(json!(told), wanted);
}

#[tokio::test]
async fn the_grants_of_a_webhook_that_is_gone_are_told_as_taken_back() {
    let world = World::new();
    let id = world.webhook().await;
    for n in 0..3 {
        let grant = json!({"to": {"person": format!("p{n}")}});
        world.call("POST", format!("/webhooks/{id}/grants")).json(&grant).send().await.ok(201);
    }
    world.later().call("DELETE", format!("/webhooks/{id}")).send().await.ok(204);
    let told = changes(&world, &format!("kind=grant&object={id}")).await;
    let deleted = told.iter().filter(|entry| entry["action"] == "deleted");
    assert_eq!(
        deleted.map(|entry| &entry["before"]["to"]["person"]).filter(|person| person.is_string()).count(),
        3
    );
}
