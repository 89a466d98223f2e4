//! Whether an endpoint's owner agrees.

use std::time::Duration;

use fanhook_core::run::EndpointSettings;
use fanhook_store::{
    endpoints, keys,
    ports::{self, Table, Write},
};
use serde_json::{Value, json};

use crate::world::{DAY, MEMBER, START, World, webhook};

pub(crate) fn shaken(allowed: bool, requests_per_minute: Option<u32>) -> Value {
    let mut shaken = json!({"direct": "handshake", "allowed": allowed});
    if let Some(rate) = requests_per_minute {
        shaken["requests_per_minute"] = json!(rate);
    }
    if !allowed {
        shaken["failure"] = json!({"detail": "it answered 404", "hint": "let it answer 200"});
    }
    shaken
}

impl World {
    async fn shake(&self, webhook: &str, answer: Value) -> Value {
        *self.deliver.answer.lock().unwrap() = Some(answer);
        self.clock.advance(Duration::from_secs(1));
        self.call("POST", format!("/webhooks/{webhook}/handshake")).send().await.ok(200)
    }

    async fn consent(&self, webhook: &str) -> Value {
        self.call("GET", format!("/webhooks/{webhook}/consent")).by(MEMBER).send().await.ok(200)
    }

    async fn settings(&self, webhook: &str) -> EndpointSettings {
        endpoints::get(&*self.ledger, webhook.parse().unwrap()).await.unwrap().unwrap().settings
    }

    async fn allowed(&self, webhook: &str) -> Option<u32> {
        self.settings(webhook).await.allowed_per_minute
    }
}

#[tokio::test]
async fn a_handshake_asks_as_the_api_and_its_rate_holds_from_then_on() {
    let world = World::new();
    let id = world.webhook().await;
    assert_eq!(world.consent(&id).await, json!({"origin": "https://crm.example.com", "agreed": false}));
    let refused = world.shake(&id, shaken(false, None)).await;
    assert_eq!(
        (&refused["allowed"], &refused["failure"]["hint"]),
        (&json!(false), &json!("let it answer 200"))
    );
    assert_eq!(world.consent(&id).await["agreed"], false);

    world.shut(&id).await;
    let agreed = world.shake(&id, shaken(true, Some(100))).await;
    assert!(world.is_shut(&id).await, "who agrees does not take back what it said");
    assert_eq!(
        (&agreed["allowed"], &agreed["requests_per_minute"], &agreed["webhook"]),
        (&json!(true), &json!(100), &json!(id))
    );
    let question = world.deliver.questions.lock().unwrap().last().unwrap().clone();
    assert_eq!((&question["direct"], &question["origin"]), (&json!("handshake"), &json!("api.example.com")));
    // The webhook's limit is 50 a second.
    assert_eq!(question["requests_per_minute"], 3000);
    let known = world.consent(&id).await;
    assert_eq!(known["agreed"], true);
    assert_eq!(known["handshake"]["requests_per_minute"], 100);
    assert_eq!(world.allowed(&id).await, Some(100));
}

#[tokio::test]
async fn another_origin_needs_another_consent_and_another_path_does_not() {
    let world = World::new();
    let id = world.webhook().await;
    world.shake(&id, shaken(true, Some(100))).await;
    let path = format!("/webhooks/{id}");
    let mut changed = webhook("Coupons");
    changed["content"]["url"] = json!("https://CRM.example.com:443/other/{id}");
    world.call("PUT", &path).json(&changed).send().await.ok(200);
    assert_eq!(
        (world.consent(&id).await["agreed"].clone(), world.allowed(&id).await),
        (json!(true), Some(100))
    );
    for url in ["https://crm.example.com:8443/{id}", "https://crm.example.org/{id}"] {
        changed["content"]["url"] = json!(url);
        world.call("PUT", &path).json(&changed).send().await.ok(200);
        assert_eq!(
            (world.consent(&id).await["agreed"].clone(), world.allowed(&id).await),
            (json!(false), None)
        );
    }
}

#[tokio::test]
async fn a_webhook_that_comes_back_to_an_origin_is_held_to_what_that_one_allowed() {
    let world = World::new();
    let id = world.webhook().await;
    let move_to = async |host: &str| {
        let mut moved = webhook("Coupons");
        moved["content"]["url"] = json!(format!("https://{host}/{{id}}"));
        world.call("PUT", format!("/webhooks/{id}")).json(&moved).send().await.ok(200);
    };
    let elsewhere = async || json!(world.settings(&id).await.allowed_elsewhere);
    world.shake(&id, shaken(true, Some(100))).await;
    assert_eq!(elsewhere().await, json!({}));

    move_to("crm.example.org").await;
    assert_eq!(world.consent(&id).await, json!({"origin": "https://crm.example.org", "agreed": false}));
    assert_eq!(elsewhere().await, json!({"https://crm.example.com": 100}), "for the runs that go on to it");
    world.shake(&id, shaken(true, None)).await;
    assert_eq!(
        (world.allowed(&id).await, elsewhere().await),
        (None, json!({"https://crm.example.com": 100}))
    );
    // What one of them takes back is its own.
    world.call("DELETE", format!("/webhooks/{id}/consent")).send().await.ok(204);

    move_to("crm.example.com").await;
    let known = world.consent(&id).await;
    assert_eq!((&known["agreed"], &known["handshake"]["requests_per_minute"]), (&json!(true), &json!(100)));
    assert_eq!(known["handshake"]["origin"], "https://crm.example.com");
    assert_eq!(
        (world.allowed(&id).await, elsewhere().await),
        (Some(100), json!({"https://crm.example.org": null}))
    );
}

#[tokio::test]
async fn a_statement_tells_who_made_it_and_does_not_lift_the_endpoints_own_rate() {
    let world = World::new();
    let id = world.webhook().await;
    world.shake(&id, shaken(true, Some(30))).await;
    let path = format!("/webhooks/{id}/consent");
    let stated = world.call("POST", &path).json(&json!({"text": "agreed by mail"})).send().await.ok(201);
    let statement = &stated["statement"];
    assert_eq!((&statement["by"], &statement["text"]), (&json!("admin"), &json!("agreed by mail")));
    assert_eq!(statement["origin"], "https://crm.example.com");
    assert_eq!(world.allowed(&id).await, Some(30));
    let audit = world.get(format!("/audit?kind=webhook&object={id}")).await;
    let consents: Vec<&Value> =
        audit["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == "consented").collect();
    assert!(consents.len() == 2 && consents.iter().any(|entry| entry["after"]["text"] == "agreed by mail"));
    for text in ["", "  ", &"x".repeat(1001)] {
        let refused = world.call("POST", &path).json(&json!({"text": text})).send().await;
        assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["text"]));
    }
    world.call("POST", &path).json(&json!({"text": "x".repeat(1000)})).send().await.ok(201);
}

#[tokio::test]
async fn a_handshake_comes_once_a_second_at_most() {
    let world = World::new();
    let id = world.webhook().await;
    world.shake(&id, shaken(true, None)).await;
    let again = world.call("POST", format!("/webhooks/{id}/handshake")).send().await;
    assert_eq!(again.code(429), "too_many_tests");
}

/// An endpoint's answer that does not agree.
fn refusal(status: u16) -> Value {
    let mut refusal = shaken(false, None);
    refusal["answer"] = json!({"status": status, "headers": [], "body": ""});
    refusal
}

#[tokio::test]
async fn a_refusal_takes_no_later_agreement_back() {
    let world = World::new();
    let id = world.webhook().await;
    world.shake(&id, shaken(true, Some(30))).await;
    // Another handshake, that began after the one below, has ended before it.
    let key = keys::webhook(&"acme".parse().unwrap(), id.parse().unwrap());
    let mut item = world.config.get(&key).await.unwrap().unwrap();
    let origin = "https://crm.example.com";
    let later = json!([{"origin": origin, "requests_per_minute": 30, "at": (START + DAY).0}]);
    item.insert("handshakes".to_owned(), ports::Value::S(later.to_string()));
    world.config.write(Write::Put(item), None).await.unwrap();
    world.shake(&id, refusal(403)).await;
    assert_eq!(world.consent(&id).await["agreed"], true);
    world.call("DELETE", format!("/webhooks/{id}/consent")).send().await.ok(204);
    assert_eq!(world.consent(&id).await["agreed"], false, "an administrator means whatever there is");
}

#[tokio::test]
async fn a_consent_is_withdrawn_by_the_endpoint_or_an_administrator_and_its_rate_holds_on() {
    let world = World::new();
    let id = world.webhook().await;
    let path = format!("/webhooks/{id}/consent");
    let state = async || world.call("POST", &path).json(&json!({"text": "by mail"})).send().await.ok(201);
    let agreed = async || world.consent(&id).await["agreed"].clone();

    world.shake(&id, shaken(true, Some(30))).await;
    world.shake(&id, shaken(false, None)).await;
    world.shake(&id, refusal(503)).await;
    assert_eq!(agreed().await, true, "no answer, and one that asks to try again, refuse nothing");
    world.shake(&id, refusal(403)).await;
    assert_eq!((agreed().await, world.allowed(&id).await), (json!(false), Some(30)));
    state().await;
    world.shake(&id, refusal(405)).await;
    assert_eq!(agreed().await, true, "a statement stands, whatever an endpoint knows of handshakes");

    world.shake(&id, shaken(true, Some(20))).await;
    world.call("DELETE", &path).send().await.ok(204);
    assert_eq!(world.consent(&id).await, json!({"origin": "https://crm.example.com", "agreed": false}));
    assert_eq!(world.allowed(&id).await, Some(20));
    world.call("DELETE", &path).send().await.ok(204);
    let audit = world.get(format!("/audit?kind=webhook&object={id}")).await;
    let items = audit["items"].as_array().unwrap();
    let withdrawn: Vec<&Value> =
        items.iter().filter(|entry| entry["action"] == "withdrawn").map(|entry| &entry["before"]).collect();
    assert_eq!(withdrawn.len(), 3, "{withdrawn:?}");
    assert!(withdrawn.iter().any(|before| before["text"] == "by mail"));
    let second = items.iter().find(|entry| entry["after"]["requests_per_minute"] == 20).unwrap();
    assert_eq!(second["before"], Value::Null, "the first one was withdrawn by then");
    state().await;
    assert_eq!((agreed().await, world.allowed(&id).await), (json!(true), Some(20)));
}
