//! The key by which IDs are encrypted.

use base64::{Engine, prelude::BASE64_STANDARD};
use fanhook_store::{
    organization_key,
    ports::{SecretContext, Secrets},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::world::{ADMIN, Answer, MEMBER, OTHER, START, Token, World, at_once, push};

const PATH: &str = "/organization-key";
const CHIEF: Token = Token { groups: "[organization-admin]", ..ADMIN };
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

async fn put(world: &World, body: Value) -> Answer {
    world.call("PUT", PATH).by(CHIEF).json(&body).send().await
}

/// The key as `deliver` reads it.
async fn stored(world: &World) -> String {
    let stored = organization_key::get(&*world.ledger).await.unwrap().unwrap();
    let key = world.secrets.decrypt(&SecretContext::organization_key(), &stored.ciphertext).await.unwrap();
    BASE64_STANDARD.encode(key.expose_secret())
}

fn encrypting(webhook: &str) -> Value {
    let mut push = push(webhook);
    push["content"]["send_form"] = json!("aes");
    push
}

#[tokio::test]
async fn a_key_goes_in_and_never_comes_out() {
    let world = World::new();
    assert_eq!(world.call("GET", PATH).send().await.code(404), "not_found");
    let told = json!({"version": 1, "updated_at": START.to_string()});
    assert_eq!(put(&world, json!({"key": KEY})).await.ok(200), told);
    assert_eq!(world.call("GET", PATH).by(MEMBER).send().await.ok(200), told);
    assert_eq!(stored(&world).await, KEY);
    // It is one of all workspaces.
    assert_eq!(world.call("GET", PATH).by(OTHER).send().await.ok(200), told);
    let stored = format!("{:?}{:?}", world.config.items(), world.ledger.items());
    assert!(!stored.contains(KEY));
    let audit = world.get("/audit?kind=organization_key&object=organization").await;
    assert_eq!((&audit["items"][0]["action"], &audit["items"][0]["after"]), (&json!("made"), &told));
}

#[tokio::test]
async fn a_key_that_is_made_here_is_told_once() {
    let world = World::new();
    let made = put(&world, json!({})).await.ok(200);
    assert_eq!(made["key"].as_str().unwrap(), stored(&world).await);
    assert!(world.get(PATH).await.get("key").is_none());
    let replaced = put(&world, json!({})).await;
    assert_eq!(replaced.headers["etag"], "\"2\"");
    assert_ne!(replaced.ok(200)["key"], made["key"]);
    let audit = world.get("/audit?kind=organization_key&object=organization").await.to_string();
    assert!(!audit.contains(made["key"].as_str().unwrap()), "{audit}");
}

#[tokio::test]
async fn a_lost_update_of_the_key_is_refused() {
    let world = World::new();
    let put = |tag: &str| world.call("PUT", PATH).by(CHIEF).header("if-match", tag).json(&json!({})).send();
    assert_eq!(put("*").await.code(412), "changed_since");
    world.call("PUT", PATH).by(CHIEF).json(&json!({})).send().await.ok(200);
    put("\"1\"").await.ok(200);
    assert_eq!(put("\"1\"").await.code(412), "changed_since");
    let calls = (0..5).map(|_| world.call("PUT", PATH).by(CHIEF).json(&json!({})));
    let answers = at_once(calls.collect());
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(world.get(PATH).await["version"], 2 + done);
    // Whoever was slower tried again, and is in the log once all the same.
    let audit = world.get("/audit?kind=organization_key&object=organization").await;
    assert_eq!(audit["items"].as_array().unwrap().len(), 2 + answers.len());
}

#[tokio::test]
async fn what_is_no_key_is_refused_and_not_told() {
    let world = World::new();
    for key in ["", "short", &KEY[..40], "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gIQ=="] {
        let refused = put(&world, json!({"key": key})).await;
        assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["key"]), "{key}");
        assert!(key.is_empty() || !refused.body.to_string().contains(key), "{key} is told");
    }
    let by_workspace = world.call("PUT", PATH).by(ADMIN).json(&json!({"key": KEY})).send().await;
    assert_eq!(by_workspace.code(403), "forbidden");
    assert!(world.ledger.items().is_empty());
}

#[tokio::test]
async fn a_push_encrypts_ids_only_where_there_is_a_key() {
    let world = World::new();
    let webhook = world.webhook().await;
    let create = || world.call("POST", "/pushes").json(&encrypting(&webhook)).send();
    let refused = create().await;
    assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["content.send_form"]));
    assert!(refused.body["errors"][0]["hint"].as_str().unwrap().contains(PATH));
    put(&world, json!({"key": KEY})).await.ok(200);
    assert_eq!(create().await.ok(201)["content"]["send_form"], "aes");
}
