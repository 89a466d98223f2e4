//! How requests say who calls, as administrators configure it.

use fanhook_core::{id::WebhookId, webhook::Authentication};
use fanhook_store::ports::{SecretContext, Secrets};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    webhooks::endpoint,
    world::{World, webhook},
};

/// What the endpoint's requests authenticate with.
async fn key(world: &World, id: &str) -> String {
    let settings = endpoint(world, id).await.unwrap().settings;
    let id: WebhookId = id.parse().unwrap();
    let context = SecretContext::authentication(&"acme".parse().unwrap(), id);
    let ciphertext = settings.authentication.ciphertext().unwrap();
    let secret = world.secrets.decrypt(&context, ciphertext).await.unwrap();
    String::from_utf8(secret.expose_secret().to_vec()).unwrap()
}

#[tokio::test]
async fn what_requests_authenticate_with_goes_in_and_never_comes_out() {
    let kinds = [
        json!({"kind": "bearer"}),
        json!({"kind": "header", "name": "X-Api-Key"}),
        json!({"kind": "basic", "username": "shop"}),
        json!({
            "kind": "oauth2", "token_url": "https://login.example.com/token", "client_id": "fanhook",
            "scope": "coupons members", "audience": "https://crm.example.com", "client_authentication": "body",
        }),
    ];
    for kind in kinds {
        let world = World::new();
        let mut input = webhook("Coupons");
        input["authentication"] = kind.clone();
        let refused = world.call("POST", "/webhooks").json(&input).send().await;
        assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["authentication.secret"]));
        input["authentication"]["secret"] = json!("k3y-0f-the-crm");
        let made = world.call("POST", "/webhooks").json(&input).send().await.ok(201);
        let id = made["id"].as_str().unwrap();
        assert_eq!(made["authentication"], kind);
        assert_eq!(key(&world, id).await, "k3y-0f-the-crm");

        // Left out, in part or whole: it stays.
        for authentication in [kind.clone(), Value::Null] {
            input["authentication"] = authentication;
            let kept = world.call("PUT", format!("/webhooks/{id}")).json(&input).send().await.ok(200);
            assert_eq!(kept["authentication"], kind);
            assert_eq!(key(&world, id).await, "k3y-0f-the-crm");
        }
        input["authentication"] = kind.clone();
        input["authentication"]["secret"] = json!("n3w-k3y");
        world.call("PUT", format!("/webhooks/{id}")).json(&input).send().await.ok(200);
        assert_eq!(key(&world, id).await, "n3w-k3y");
        let stored = format!("{:?}{:?}", world.config.items(), world.ledger.items());
        assert!(!stored.contains("k3y-0f-the-crm") && !stored.contains("n3w-k3y"));
        assert!(!world.get(format!("/webhooks/{id}")).await.to_string().contains("ciphertext"));

        // A secret of one kind is none of another.
        input["authentication"] = match kind["kind"].as_str() {
            Some("bearer") => json!({"kind": "basic", "username": "shop"}),
            _ => json!({"kind": "bearer"}),
        };
        let refused = world.call("PUT", format!("/webhooks/{id}")).json(&input).send().await;
        assert_eq!(refused.fields(), ["authentication.secret"]);
        input["authentication"] = json!({"kind": "none"});
        let none = world.call("PUT", format!("/webhooks/{id}")).json(&input).send().await.ok(200);
        assert_eq!(none["authentication"], json!({"kind": "none"}));
        let settings = endpoint(&world, id).await.unwrap().settings;
        assert_eq!(settings.authentication, Authentication::None {});
    }
}

#[tokio::test]
async fn a_client_authenticates_by_basic_unless_said_otherwise() {
    let world = World::new();
    let mut input = webhook("Coupons");
    let url = "https://login.example.com/token";
    input["authentication"] = json!({"kind": "oauth2", "token_url": url, "client_id": "a", "secret": "k"});
    let made = world.call("POST", "/webhooks").json(&input).send().await.ok(201);
    let told =
        json!({"kind": "oauth2", "token_url": url, "client_id": "a", "client_authentication": "basic"});
    assert_eq!(made["authentication"], told);
}

#[tokio::test]
async fn what_cannot_authenticate_is_refused_with_its_place() {
    let world = World::new();
    let long = "x".repeat(4097);
    let table = [
        (json!({"kind": "bearer", "secret": ""}), vec!["authentication.secret"]),
        (json!({"kind": "bearer", "secret": "two words"}), vec!["authentication.secret"]),
        (json!({"kind": "bearer", "secret": "a\r\nx-admin: 1"}), vec!["authentication.secret"]),
        (json!({"kind": "bearer", "secret": long}), vec!["authentication.secret"]),
        (json!({"kind": "header", "name": "X-Key", "secret": "ü"}), vec!["authentication.secret"]),
        (json!({"kind": "header", "name": "Host", "secret": "k"}), vec!["authentication.name"]),
        (json!({"kind": "header", "name": "webhook-signature", "secret": "k"}), vec!["authentication.name"]),
        (json!({"kind": "header", "name": "a b", "secret": "k"}), vec!["authentication.name"]),
        (json!({"kind": "header", "name": "content-type", "secret": "k"}), vec!["authentication.name"]),
        (json!({"kind": "header", "name": "x-campaign", "secret": "k"}), vec!["authentication"]),
        (json!({"kind": "basic", "username": "a:b", "secret": "k"}), vec!["authentication.username"]),
        (
            json!({"kind": "basic", "username": "", "secret": "k\n"}),
            vec!["authentication.username", "authentication.secret"],
        ),
        (
            json!({"kind": "oauth2", "token_url": "https://169.254.169.254/", "client_id": "", "scope": " ", "audience": "", "secret": "ü"}),
            vec![
                "authentication.token_url",
                "authentication.client_id",
                "authentication.scope",
                "authentication.audience",
                "authentication.secret",
            ],
        ),
        (
            json!({"kind": "oauth2", "token_url": "http://login.example.com/", "client_id": "a", "secret": "k"}),
            vec!["authentication.token_url"],
        ),
        (
            json!({"kind": "oauth2", "token_url": "https://api.example.com/token", "client_id": "a", "secret": "k"}),
            vec!["authentication.token_url"],
        ),
    ];
    for (authentication, fields) in table {
        let mut input = webhook("Coupons");
        input["content"]["headers"] = json!([{"name": "X-Campaign", "value": "autumn"}]);
        input["authentication"] = authentication.clone();
        let refused = world.call("POST", "/webhooks").json(&input).send().await;
        assert_eq!((refused.code(400), refused.fields()), ("invalid", fields), "{authentication}");
        if let Some(secret) = authentication["secret"].as_str().filter(|secret| secret.len() > 5) {
            assert!(!refused.body.to_string().contains(secret), "a secret is told");
        }
    }
}

#[tokio::test]
async fn a_stored_secret_goes_to_no_other_host() {
    let oauth = |url: &str| json!({"kind": "oauth2", "token_url": url, "client_id": "fanhook"});
    let elsewhere = "https://elsewhere.example.com/coupons/{id}";
    let (here, same) = ("https://crm.example.com/coupons/{id}", "https://CRM.example.com:443/v2/{id}");
    let (login, other) = (oauth("https://login.example.com/token"), oauth("https://elsewhere.example.com/"));
    // What is stored, where it goes then, and whether the secret may stay.
    let table = [
        (json!({"kind": "bearer"}), same, json!({"kind": "bearer"}), true),
        (json!({"kind": "bearer"}), elsewhere, json!({"kind": "bearer"}), false),
        (json!({"kind": "bearer"}), elsewhere, Value::Null, false),
        (login.clone(), same, login.clone(), true),
        // There the tokens would go that are got by it.
        (login.clone(), elsewhere, login.clone(), false),
        (login.clone(), elsewhere, Value::Null, false),
        (login, here, other, false),
    ];
    for (first, url, then, stays) in table {
        let world = World::new();
        let mut input = webhook("Coupons");
        input["content"]["url"] = json!(here);
        input["authentication"] = first;
        input["authentication"]["secret"] = json!("k3y-0f-the-crm");
        let id = world.call("POST", "/webhooks").json(&input).send().await.id();
        input["content"]["url"] = json!(url);
        input["authentication"] = then.clone();
        let path = format!("/webhooks/{id}");
        let answer = world.call("PUT", &path).json(&input).send().await;
        if stays {
            answer.ok(200);
            assert_eq!(key(&world, &id).await, "k3y-0f-the-crm");
        } else {
            assert_eq!(
                (answer.code(400), answer.fields()),
                ("invalid", vec!["authentication.secret"]),
                "{then}"
            );
        }
    }
}
