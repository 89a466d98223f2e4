//! Parameter sources, and the values that runs take from them.

use std::time::Duration;

use fanhook_core::limits;
use fanhook_store::runs;
use serde_json::{Value, json};

use crate::world::{ADMIN, MARKETER, MEMBER, START, World, at_once, push, webhook};

pub(crate) fn constant(name: &str, text: &str) -> Value {
    json!({"name": name, "value": {"kind": "constant", "type": "character", "text": text}})
}

fn interface(secret: Option<&str>) -> Value {
    let mut header = json!({"name": "X-Api-Key"});
    if let Some(secret) = secret {
        header["secret"] = json!(secret);
    }
    json!({"name": "Stock", "value": {
        "kind": "interface", "url": "https://shop.example.com/stock", "pointer": "/stock", "secret_header": header,
    }})
}

/// A webhook whose coupon comes from a source.
pub(crate) fn calling(name: &str, source: &str) -> Value {
    let mut webhook = webhook(name);
    webhook["content"]["parameters"][0] =
        json!({"name": "coupon", "type": "call", "source": source, "required": true});
    webhook
}

/// A push that leaves the coupon to its source.
fn without_coupon(webhook: &str) -> Value {
    let mut push = push(webhook);
    push["content"]["values"].as_object_mut().unwrap().remove("coupon");
    push
}

impl World {
    pub(crate) async fn source(&self, source: &Value) -> String {
        self.call("POST", "/parameter-sources").json(source).send().await.id()
    }

    async fn calling(&self, source: &str) -> String {
        self.call("POST", "/webhooks").json(&calling("Coupons", source)).send().await.id()
    }
}

#[tokio::test]
async fn a_source_is_made_read_replaced_and_deleted_and_its_secret_is_never_told() {
    let world = World::new();
    let id = world.source(&interface(Some("a secret of the shop's"))).await;
    let path = format!("/parameter-sources/{id}");
    let read = world.get(path.clone()).await;
    assert_eq!(read["value"]["secret_header"], json!({"name": "X-Api-Key"}));
    assert_eq!((&read["version"], &read["value"]["method"]), (&json!(1), &json!("GET")));
    let kept = world.call("PUT", &path).json(&interface(None)).send().await.ok(200);
    assert_eq!(kept["version"], 2);
    let listed = world.get("/parameter-sources").await;
    assert!(!listed.to_string().contains("ciphertext") && !listed.to_string().contains("secret of"));
    let taken = world.call("POST", "/parameter-sources").json(&constant("Stock", "x")).send().await;
    assert_eq!((taken.code(409), taken.fields()), ("name_taken", vec!["name"]));
    world.call("DELETE", &path).send().await.ok(204);
    assert_eq!(world.call("GET", &path).send().await.code(404), "not_found");
    world.source(&constant("Stock", "x")).await;
}

#[tokio::test]
async fn all_faults_of_a_source_are_told_at_once() {
    let world = World::new();
    let mut wrong = interface(None);
    wrong["name"] = json!("");
    wrong["value"]["url"] = json!("http://127.0.0.1/");
    wrong["value"]["pointer"] = json!("stock");
    let refused = world.call("POST", "/parameter-sources").json(&wrong).send().await;
    assert_eq!(refused.code(400), "invalid");
    let fields: std::collections::BTreeSet<&str> = refused.fields().into_iter().collect();
    let wanted = ["name", "value.pointer", "value.secret_header.secret", "value.url"];
    assert_eq!(fields, wanted.into());
}

#[tokio::test]
async fn a_webhook_names_sources_that_are_there_and_holds_them() {
    let world = World::new();
    let nowhere = format!("prs_{}", "0".repeat(32));
    let refused = world.call("POST", "/webhooks").json(&calling("Coupons", &nowhere)).send().await;
    assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["content.parameters[0].source"]));
    let mut none = webhook("Coupons");
    none["content"]["parameters"][0] = json!({"name": "coupon", "type": "call"});
    none["content"]["parameters"][1]["source"] = json!(nowhere);
    let refused = world.call("POST", "/webhooks").json(&none).send().await;
    let mut fields = refused.fields();
    fields.dedup();
    assert_eq!(fields, ["content.parameters[0].source", "content.parameters[1].source"]);

    let source = world.source(&constant("Coupon", "B10")).await;
    let path = format!("/parameter-sources/{source}");
    let hook = world.calling(&source).await;
    let used = world.call("DELETE", &path).send().await;
    assert_eq!(used.code(409), "in_use");
    assert_eq!(used.body["used_by"], json!([{"webhook": hook, "name": "Coupons"}]));
    // A change that keeps it counts nothing, one that drops it does.
    world.call("PUT", format!("/webhooks/{hook}")).json(&calling("Coupons", &source)).send().await.ok(200);
    assert_eq!(world.call("DELETE", &path).send().await.code(409), "in_use");
    world.call("PUT", format!("/webhooks/{hook}")).json(&webhook("Coupons")).send().await.ok(200);
    world.call("DELETE", &path).send().await.ok(204);
}

#[tokio::test]
async fn a_source_and_the_webhook_that_names_it_never_miss_each_other() {
    for _ in 0..20 {
        let world = World::new();
        let source = world.source(&constant("Coupon", "B10")).await;
        let answers = at_once(vec![
            world.call("DELETE", format!("/parameter-sources/{source}")),
            world.call("POST", "/webhooks").json(&calling("Coupons", &source)),
        ]);
        let statuses = (answers[0].status.as_u16(), answers[1].status.as_u16());
        assert!(
            matches!(statuses, (204, 400) | (409, 201)),
            "{statuses:?} {} {}",
            answers[0].body,
            answers[1].body
        );
    }
}

#[tokio::test]
async fn a_push_gives_no_value_for_a_call() {
    let world = World::new();
    let hook = world.calling(&world.source(&constant("Coupon", "B10")).await).await;
    let refused = world.call("POST", "/pushes").json(&push(&hook)).send().await;
    assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["content.values.coupon"]));
    world.call("POST", "/pushes").json(&without_coupon(&hook)).send().await.ok(201);
}

#[tokio::test]
async fn a_run_pins_the_value_that_it_took_at_its_start() {
    let world = World::new();
    let source = world.source(&interface(Some("s"))).await;
    let push =
        world.call("POST", "/pushes").json(&without_coupon(&world.calling(&source).await)).send().await.id();
    let upload = world.audience().await;
    *world.deliver.answer.lock().unwrap() = Some(json!({"direct": "value", "value": "17 {id} ${name}"}));
    let run = world.start(&push, "k", &[&upload]).send().await.id();
    let question = world.deliver.questions.lock().unwrap().last().unwrap().clone();
    assert_eq!((&question["direct"], &question["source"]), (&json!("fetch"), &json!(source)));
    let pinned = runs::pinned(&*world.ledger, run.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(pinned.push_content.values["coupon"], "17 {id} ${name}");
    let program = fanhook_core::template::Program::compile(
        &pinned.content,
        &pinned.push_content,
        fanhook_core::template::Heading::default(),
    );
    assert!(program.is_ok(), "what is taken is nothing but text");
}

#[tokio::test]
async fn a_source_without_a_value_fails_the_start_and_says_why() {
    let world = World::new();
    let source = world.source(&interface(Some("s"))).await;
    let push =
        world.call("POST", "/pushes").json(&without_coupon(&world.calling(&source).await)).send().await.id();
    let upload = world.audience().await;
    let failure = json!({"detail": "the receiver answered with status 500", "hint": "look into its log"});
    *world.deliver.answer.lock().unwrap() = Some(json!({"direct": "no_value", "failure": failure}));
    let refused = world.start(&push, "k", &[&upload]).send().await;
    assert_eq!(refused.code(409), "parameter_source_failed");
    assert_eq!(refused.fields(), ["content.parameters[0].source"]);
    assert_eq!(refused.body["errors"][0]["detail"], "`Stock`: the receiver answered with status 500");
    *world.deliver.answer.lock().unwrap() = Some(json!({"direct": "value", "value": ""}));
    assert_eq!(world.start(&push, "k", &[&upload]).send().await.code(409), "parameter_source_failed");
    assert!(world.fanout.waiting().is_empty());
    // The key was not used up.
    *world.deliver.answer.lock().unwrap() = Some(json!({"direct": "value", "value": "B10"}));
    world.start(&push, "k", &[&upload]).send().await.ok(202);
}

#[tokio::test]
async fn a_constant_asks_nobody() {
    let world = World::new();
    let hook = world.calling(&world.source(&constant("Coupon", "B10")).await).await;
    let push = world.call("POST", "/pushes").json(&without_coupon(&hook)).send().await.id();
    let run = world.start(&push, "k", &[&world.audience().await]).send().await.id();
    let pinned = runs::pinned(&*world.ledger, run.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(pinned.push_content.values["coupon"], "B10");
    assert!(world.deliver.questions.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_stored_secret_of_a_source_goes_to_no_other_host() {
    let world = World::new();
    let path = format!("/parameter-sources/{}", world.source(&interface(Some("s"))).await);
    let mut input = interface(None);
    input["value"]["url"] = json!("https://elsewhere.example.com/stock");
    let refused = world.call("PUT", &path).json(&input).send().await;
    assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["value.secret_header.secret"]));
    input["value"]["secret_header"]["secret"] = json!("another");
    world.call("PUT", &path).json(&input).send().await.ok(200);
}

#[tokio::test]
async fn a_preview_asks_an_interface_for_those_alone_who_may_use_the_webhook() {
    let world = World::new();
    let hook = world.calling(&world.source(&interface(Some("s"))).await).await;
    let preview = async |token| {
        *world.deliver.answer.lock().unwrap() = Some(json!({"direct": "preview", "messages": []}));
        world.deliver.questions.lock().unwrap().clear();
        let answer = world.call("POST", format!("/webhooks/{hook}/preview")).by(token).send().await;
        let asked = world.deliver.questions.lock().unwrap().clone();
        (answer.status.as_u16(), asked)
    };
    for token in [MEMBER, MARKETER] {
        let (status, asked) = preview(token).await;
        assert_eq!((status, asked.len(), &asked[0]["direct"]), (200, 1, &json!("preview")));
        assert_eq!(asked[0]["pinned"]["push_content"]["values"]["coupon"], "coupon");
    }
    assert_eq!(preview(ADMIN).await.1[0]["direct"], "fetch");
}

#[tokio::test]
async fn a_test_has_the_time_that_its_sources_leave_and_is_not_sent_where_there_is_none() {
    let world = World::new();
    let hook = world.calling(&world.source(&interface(Some("s"))).await).await;
    let test = async |takes| {
        *world.deliver.takes.lock().unwrap() = Duration::from_secs(takes);
        *world.deliver.answer.lock().unwrap() = Some(json!({"direct": "value", "value": "B10"}));
        let input = json!({"id": {"type": "MOBILE", "value": "1"}});
        world.call("POST", format!("/webhooks/{hook}/test")).json(&input).send().await
    };
    // The test itself is answered with a value too, which is none to what was asked.
    assert_eq!(test(10).await.code(500), "internal");
    let asked: Vec<Value> = std::mem::take(&mut *world.deliver.questions.lock().unwrap());
    let ends: Vec<_> = asked.iter().map(|question| (&question["direct"], &question["end"])).collect();
    let end = json!(START + Duration::from_secs(25));
    assert_eq!(ends, [(&json!("fetch"), &end), (&json!("test"), &end)]);
    assert_eq!(test(25).await.code(503), "unavailable");
    assert_eq!(world.deliver.questions.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_value_that_does_not_fit_where_it_stands_fails_the_start() {
    for (url, text) in
        [("https://crm.example.com/{coupon}/{id}", ".."), ("https://crm.example.com/x", "1\n2")]
    {
        let world = World::new();
        let mut source = constant("Coupon", text);
        source["value"]["type"] = json!("text");
        let mut input = calling("Coupons", &world.source(&source).await);
        input["content"]["url"] = json!(url);
        input["content"]["body"] =
            json!({"kind": "text", "template": "{items}", "item": "{id} {coupon} {greeting}"});
        let hook = world.call("POST", "/webhooks").json(&input).send().await.id();
        let push = world.call("POST", "/pushes").json(&without_coupon(&hook)).send().await.id();
        let refused = world.start(&push, "k", &[&world.audience().await]).send().await;
        let fields = vec!["content.parameters[0].source"];
        assert_eq!((refused.code(409), refused.fields()), ("parameter_source_failed", fields), "{text}");
        let refused = world.call("POST", format!("/pushes/{push}/preview")).send().await;
        assert_eq!(refused.code(409), "parameter_source_failed", "{text}");
    }
    let world = World::new();
    let mut long = constant("Long", &"x".repeat(limits::TEXT + 1));
    long["value"]["type"] = json!("text");
    let refused = world.call("POST", "/parameter-sources").json(&long).send().await;
    assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["value.text"]));
    long["value"]["text"] = json!("x".repeat(limits::TEXT));
    world.source(&long).await;
}
