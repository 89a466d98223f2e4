use crate::world::{World, push, webhook};
use serde_json::json;

#[tokio::test]
async fn a_push_is_made_read_listed_replaced_and_deleted() {
    let world = World::new();
    let webhook = world.webhook().await;
    let made = world.call("POST", "/pushes").json(&push(&webhook)).send().await.ok(201);
    let id = made["id"].as_str().unwrap();
    assert_eq!((&made["version"], &made["content"]["id_policy"]), (&json!(1), &json!("first")));
    assert_eq!(world.get(format!("/pushes/{id}")).await, made);
    assert_eq!(world.get("/pushes").await, json!({"items": [made]}));
    let mut changed = push(&webhook);
    changed["name"] = json!("Namesday");
    let replaced = world.call("PUT", format!("/pushes/{id}")).json(&changed).send().await.ok(200);
    assert_eq!((&replaced["version"], &replaced["name"]), (&json!(2), &json!("Namesday")));
    assert_eq!(world.call("DELETE", format!("/pushes/{id}")).send().await.status, 204);
    for method in ["GET", "DELETE"] {
        assert_eq!(world.call(method, format!("/pushes/{id}")).send().await.code(404), "not_found");
    }
    assert_eq!(world.call("PUT", format!("/pushes/{id}")).json(&changed).send().await.code(404), "not_found");
}

#[tokio::test]
async fn an_unknown_variable_is_told_with_its_place_and_what_was_meant() {
    let world = World::new();
    let mut input = push(&world.webhook().await);
    input["content"]["values"]["greeting"] = json!("Dear\n${nmae} ${name}");
    let refused = world.call("POST", "/pushes").json(&input).send().await;
    assert_eq!(refused.code(400), "invalid");
    let fault = &refused.body["errors"][0];
    assert_eq!(fault["field"], "content.values.greeting");
    assert_eq!((&fault["line"], &fault["column"]), (&json!(2), &json!(1)));
    assert!(fault["hint"].as_str().unwrap().contains("name"), "{fault}");
}

#[tokio::test]
async fn all_faults_of_a_push_are_told_at_once() {
    let world = World::new();
    let mut input = push(&world.webhook().await);
    input["name"] = json!(" ");
    input["content"]["id_types"] = json!(["IMEI"]);
    input["content"]["values"] = json!({"greeting": "Dear ${name}", "cuopon": "x"});
    let refused = world.call("POST", "/pushes").json(&input).send().await;
    assert_eq!(refused.code(400), "invalid");
    let fields = refused.fields();
    for field in ["name", "content.id_types[0]", "content.values.cuopon", "content.values.coupon"] {
        assert!(fields.contains(&field), "{field} in {fields:?}");
    }
}

#[tokio::test]
async fn an_event_may_start_a_push_and_an_audience_then_does_not() {
    let world = World::new();
    let mut input = push(&world.webhook().await);
    let trigger = json!({
        "name": "order_paid",
        "filter": {"any": [{"all": [
            {"attribute": "amount", "operator": "at_least", "values": [100]},
            {"attribute": "channel", "operator": "is", "values": ["app", "web"]},
        ]}]},
        "count": {"times": 3, "within_seconds": 86_400},
    });
    input["content"]["started_by"] = json!({"event": trigger});
    input["content"]["variables"][0]["source"] = json!({"attribute": "first name"});
    let made = world.call("POST", "/pushes").json(&input).send().await.ok(201);
    assert_eq!(made["content"]["started_by"], json!({"event": trigger}));
    let refused = world.start(made["id"].as_str().unwrap(), "k", &[&world.audience().await]).send().await;
    assert_eq!(refused.code(409), "started_by_event");

    input["content"]["started_by"] = json!("audience");
    let refused = world.call("POST", "/pushes").json(&input).send().await;
    assert_eq!(
        (refused.code(400), refused.fields()),
        ("invalid", vec!["content.variables[0].source.attribute"])
    );
}

#[tokio::test]
async fn a_push_fits_the_webhook_as_it_is_when_the_push_is_saved() {
    let world = World::new();
    let id = world.webhook().await;
    let made = world.push(&id).await;
    let mut changed = webhook("Coupons");
    changed["content"]["parameters"] = json!([{"name": "code", "type": "numeric", "required": true}]);
    changed["content"]["body"]["template"] = json!(r#"{"to":"{id}","code":"{code}"}"#);
    world.call("PUT", format!("/webhooks/{id}")).json(&changed).send().await.ok(200);
    let refused = world.call("PUT", format!("/pushes/{made}")).json(&push(&id)).send().await;
    assert_eq!(refused.code(400), "invalid");
    // Started as it is, it would send what nobody checked.
    let refused = world.start(&made, "k", &[&world.audience().await]).send().await;
    assert_eq!(refused.code(409), "push_outdated");
    assert!(refused.fields().contains(&"content.values.coupon"), "{}", refused.body);
}

#[tokio::test]
async fn an_input_that_is_too_large_to_be_stored_is_refused_not_lost() {
    let world = World::new();
    let id = world.webhook().await;
    let mut input = webhook("Large");
    let header = |n: usize| json!({"name": format!("x-{n}"), "value": "\"".repeat(4000)});
    input["content"]["headers"] = (0..50).map(header).collect();
    let refused = world.call("POST", "/webhooks").json(&input).send().await;
    assert_eq!((refused.code(400), refused.fields()), ("invalid", vec![""]));
    let mut wide = webhook("Wide");
    let name = |n: usize| format!("p{n}");
    wide["content"]["parameters"] = (0..10).map(|n| json!({"name": name(n), "type": "text"})).collect();
    let body = (0..10).map(|n| format!("{{{}}}", name(n))).collect::<Vec<_>>().concat();
    wide["content"]["body"] = json!({"kind": "text", "template": body + "{id}"});
    let wide = world.call("POST", "/webhooks").json(&wide).send().await.id();
    let mut input = push(&id);
    input["webhook"] = json!(wide);
    let values: serde_json::Map<_, _> = (0..10).map(|n| (name(n), json!("\"".repeat(16_000)))).collect();
    input["content"] = json!({"id_types": ["MOBILE"], "values": values});
    let refused = world.call("POST", "/pushes").json(&input).send().await;
    assert_eq!((refused.code(400), refused.fields()), ("invalid", vec![""]));
}
