//! What requests are signed with, and its change, as administrators configure it.

use std::time::Duration;

use fanhook_core::{
    id::WebhookId,
    signature::{Algorithm, Signer},
    time::Millis,
    webhook::{Signing, SigningSecret},
};
use fanhook_store::ports::{SecretContext, Secrets};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    webhooks::endpoint,
    world::{DAY, MEMBER, OTHER, START, World, at_once, webhook},
};

const GIVEN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_GIVEN: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// The secret key of 32 bytes of 7, and its public key.
const SECRET_KEY: &str = "whsk_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const PUBLIC_KEY: &str = "whpk_6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=";

/// How the endpoint's requests are signed: the secret's text, and that of the one before with its end.
async fn signing(world: &World, id: &str) -> (String, Option<(String, Millis)>) {
    let Signing::StandardWebhooks { secret, previous } = endpoint(world, id).await.unwrap().settings.signing
    else {
        panic!("it is not signed")
    };
    let previous = match previous {
        Some(previous) => Some((text(world, id, &previous.secret).await, previous.valid_until)),
        None => None,
    };
    (text(world, id, &secret).await, previous)
}

async fn text(world: &World, id: &str, secret: &SigningSecret) -> String {
    let id: WebhookId = id.parse().unwrap();
    let context = SecretContext { workspace: "acme".to_owned(), webhook: id.to_string(), field: "signing" };
    let bytes = world.secrets.decrypt(&context, &secret.ciphertext).await.unwrap();
    let signer = Signer::new(secret.algorithm, bytes.expose_secret()).unwrap();
    assert_eq!(signer.public_key(), secret.public_key);
    secret.algorithm.write_secret(&bytes)
}

fn signed(signing: Value) -> Value {
    let mut input = webhook("Coupons");
    input["signing"] = signing;
    input
}

async fn make(world: &World, signing: Value) -> (String, Value) {
    let made = world.call("POST", "/webhooks").json(&signed(signing)).send().await.ok(201);
    (made["id"].as_str().unwrap().to_owned(), made["signing"].clone())
}

async fn replace(world: &World, id: &str, signing: Value) -> Value {
    let put = world.call("PUT", format!("/webhooks/{id}")).json(&signed(signing));
    put.send().await.ok(200)["signing"].clone()
}

async fn rotate(world: &World, id: &str, body: &Value) -> Value {
    let rotated = world.call("POST", format!("/webhooks/{id}/rotate-secret")).json(body).send().await;
    rotated.ok(200)["signing"].clone()
}

#[tokio::test]
async fn a_secret_goes_in_and_never_comes_out() {
    let world = World::new();
    let (id, made) = make(&world, json!({"kind": "standard_webhooks", "secret": GIVEN})).await;
    let told = json!({"kind": "standard_webhooks", "algorithm": "hmac_sha256"});
    assert_eq!(made, told);
    assert_eq!(signing(&world, &id).await, (GIVEN.to_owned(), None));

    // Left out, in part or whole: it stays.
    for kept in [json!({"kind": "standard_webhooks"}), Value::Null, told.clone()] {
        assert_eq!(replace(&world, &id, kept).await, told);
        assert_eq!(signing(&world, &id).await, (GIVEN.to_owned(), None));
    }
    let stored = format!("{:?}{:?}", world.config.items(), world.ledger.items());
    assert!(!stored.contains(GIVEN));
    assert!(!world.get(format!("/webhooks/{id}")).await.to_string().contains("ciphertext"));

    assert_eq!(replace(&world, &id, json!({"kind": "none"})).await, json!({"kind": "none"}));
    assert_eq!(endpoint(&world, &id).await.unwrap().settings.signing, Signing::None {});
}

#[tokio::test]
async fn a_secret_that_is_made_here_is_told_once() {
    let world = World::new();
    let (id, made) = make(&world, json!({"kind": "standard_webhooks"})).await;
    let told = made["secret"].as_str().unwrap();
    assert_eq!(Algorithm::HmacSha256.parse_secret(told).unwrap().expose_secret().len(), 32);
    assert_eq!(signing(&world, &id).await, (told.to_owned(), None));
    let kept = json!({"kind": "standard_webhooks", "algorithm": "hmac_sha256"});
    assert_eq!(world.get(format!("/webhooks/{id}")).await["signing"], kept);
    assert_eq!(replace(&world, &id, json!({"kind": "standard_webhooks"})).await, kept);
    let mut input = signed(json!({"kind": "standard_webhooks"}));
    input["name"] = json!("Other");
    let other = world.call("POST", "/webhooks").json(&input).send().await.ok(201);
    assert_ne!(other["signing"]["secret"], told);
}

#[tokio::test]
async fn of_an_ed25519_key_everybody_may_read_the_public_half_and_nobody_the_other() {
    let world = World::new();
    let ed25519 = json!({"kind": "standard_webhooks", "algorithm": "ed25519"});
    let (id, made) = make(&world, ed25519.clone()).await;
    assert!(made["public_key"].as_str().unwrap().starts_with("whpk_") && made.get("secret").is_none());
    assert_eq!(world.get(format!("/webhooks/{id}")).await["signing"], made);
    assert_eq!(replace(&world, &id, ed25519).await, made, "it stays");
    // Left out, the algorithm stays as well.
    assert_eq!(replace(&world, &id, json!({"kind": "standard_webhooks"})).await, made);

    let given = rotate(&world, &id, &json!({"secret": SECRET_KEY, "overlap_seconds": 0})).await;
    let told = json!({"kind": "standard_webhooks", "algorithm": "ed25519", "public_key": PUBLIC_KEY});
    assert_eq!(given, told);
    assert_eq!(signing(&world, &id).await, (SECRET_KEY.to_owned(), None));
}

#[tokio::test]
async fn a_secret_that_is_replaced_stays_valid_for_a_day_or_as_long_as_was_said() {
    let world = World::new();
    let (id, _) = make(&world, json!({"kind": "standard_webhooks", "secret": GIVEN})).await;
    let new = json!({"kind": "standard_webhooks", "secret": OTHER_GIVEN});
    let view = replace(&world, &id, new).await;
    assert_eq!(view["previous_valid_until"], (START + DAY).to_string());
    let day = Some((GIVEN.to_owned(), START + DAY));
    assert_eq!(signing(&world, &id).await, (OTHER_GIVEN.to_owned(), day.clone()));

    // What changes nothing of the secret changes nothing of the overlap, unless it ends it earlier.
    replace(&world, &id, Value::Null).await;
    replace(&world, &id, json!({"kind": "standard_webhooks"})).await;
    assert_eq!(signing(&world, &id).await.1, day);
    replace(&world, &id, json!({"kind": "standard_webhooks", "overlap_seconds": 60})).await;
    let minute = START + Duration::from_mins(1);
    assert_eq!(signing(&world, &id).await.1, Some((GIVEN.to_owned(), minute)));
    let ended = replace(&world, &id, json!({"kind": "standard_webhooks", "overlap_seconds": 0})).await;
    assert!(ended.get("previous_valid_until").is_none());
    assert_eq!(signing(&world, &id).await, (OTHER_GIVEN.to_owned(), None));

    // Another algorithm is another secret.
    let view = replace(&world, &id, json!({"kind": "standard_webhooks", "algorithm": "ed25519"})).await;
    assert_eq!(view["algorithm"], "ed25519");
    assert_eq!(signing(&world, &id).await.1, Some((OTHER_GIVEN.to_owned(), START + DAY)));
}

#[tokio::test]
async fn a_secret_is_rotated_by_one_call_that_changes_nothing_else() {
    let world = World::new();
    let (id, _) = make(&world, json!({"kind": "standard_webhooks", "secret": GIVEN})).await;
    let before = world.get(format!("/webhooks/{id}")).await;
    world.shut(&id).await;
    let path = format!("/webhooks/{id}/rotate-secret");
    let rotated = world.call("POST", &path).send().await.ok(200);
    assert!(world.is_shut(&id).await);
    let first = rotated["signing"]["secret"].as_str().unwrap().to_owned();
    let mut expected = before.clone();
    expected["version"] = json!(2);
    expected["signing"] = json!({
        "kind": "standard_webhooks", "algorithm": "hmac_sha256", "secret": first,
        "previous_valid_until": (START + DAY).to_string(),
    });
    assert_eq!(rotated, expected);
    assert_eq!(signing(&world, &id).await, (first.clone(), Some((GIVEN.to_owned(), START + DAY))));

    // A second rotation within the overlap ends the oldest.
    let end = START + Duration::from_hours(1);
    let given = rotate(&world, &id, &json!({"secret": OTHER_GIVEN, "overlap_seconds": 3600})).await;
    assert!(given.get("secret").is_none());
    assert_eq!(given["previous_valid_until"], end.to_string());
    assert_eq!(signing(&world, &id).await, (OTHER_GIVEN.to_owned(), Some((first, end))));
    rotate(&world, &id, &json!({"algorithm": "ed25519", "overlap_seconds": 0})).await;
    let (key, previous) = signing(&world, &id).await;
    assert!(key.starts_with("whsk_") && previous.is_none());
}

#[tokio::test]
async fn a_rotation_that_is_repeated_by_mistake_is_refused_by_its_version() {
    let world = World::new();
    let (id, _) = make(&world, json!({"kind": "standard_webhooks", "secret": GIVEN})).await;
    let rotate =
        || world.call("POST", format!("/webhooks/{id}/rotate-secret")).header("if-match", "\"1\"").send();
    let rotated = rotate().await;
    assert_eq!(rotated.headers["etag"], "\"2\"");
    assert_eq!(rotate().await.code(412), "changed_since");
    assert_eq!(signing(&world, &id).await.1, Some((GIVEN.to_owned(), START + DAY)));
}

#[tokio::test]
async fn of_concurrent_rotations_each_that_is_answered_was_in_force_for_a_time() {
    let world = World::new();
    let (id, _) = make(&world, json!({"kind": "standard_webhooks", "secret": GIVEN})).await;
    let calls = (0..4).map(|_| world.call("POST", format!("/webhooks/{id}/rotate-secret")));
    let answers = at_once(calls.collect());
    let told: Vec<_> =
        answers.iter().filter_map(|answer| answer.body["signing"]["secret"].as_str()).collect();
    assert_eq!(world.get(format!("/webhooks/{id}")).await["version"], 1 + told.len());
    let (now, previous) = signing(&world, &id).await;
    assert!(told.contains(&now.as_str()));
    assert!(told.contains(&previous.unwrap().0.as_str()) || told.len() == 1);
}

#[tokio::test]
async fn who_may_not_change_a_webhook_does_not_rotate_its_secret() {
    let world = World::new();
    let (id, _) = make(&world, json!({"kind": "standard_webhooks", "secret": GIVEN})).await;
    let path = format!("/webhooks/{id}/rotate-secret");
    assert_eq!(world.call("POST", &path).by(MEMBER).send().await.code(403), "forbidden");
    assert_eq!(world.call("POST", &path).by(OTHER).send().await.code(404), "not_found");
    assert_eq!(signing(&world, &id).await, (GIVEN.to_owned(), None));
}

#[tokio::test]
async fn what_cannot_sign_is_refused_with_its_place_and_not_told() {
    let world = World::new();
    let (id, _) = make(&world, json!({"kind": "standard_webhooks", "secret": GIVEN})).await;
    let table = [
        (json!({"secret": "whsec_c2hvcnQ="}), vec!["secret"]),
        (json!({"secret": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}), vec!["secret"]),
        (json!({"secret": SECRET_KEY}), vec!["secret"]),
        (json!({"algorithm": "ed25519", "secret": GIVEN}), vec!["secret"]),
        (json!({"algorithm": "ed25519", "secret": "whsk_BwcHBwc="}), vec!["secret"]),
        (json!({"overlap_seconds": 86_401}), vec!["overlap_seconds"]),
        (json!({"secret": "whsec_", "overlap_seconds": 86_401}), vec!["secret", "overlap_seconds"]),
    ];
    for (input, fields) in table {
        let refused = world.call("POST", format!("/webhooks/{id}/rotate-secret")).json(&input).send().await;
        assert_eq!((refused.code(400), refused.fields()), ("invalid", fields.clone()), "{input}");
        let mut signing = input.clone();
        signing["kind"] = json!("standard_webhooks");
        let put = world.call("PUT", format!("/webhooks/{id}")).json(&signed(signing)).send().await;
        let fields: Vec<_> = fields.iter().map(|field| format!("signing.{field}")).collect();
        assert_eq!(put.fields(), fields, "{input}");
        for answer in [refused, put] {
            let secret = input["secret"].as_str().filter(|secret| secret.len() > 6);
            assert!(secret.is_none_or(|secret| !answer.body.to_string().contains(secret)), "it is told");
        }
    }
    let unsigned = world.call("PUT", format!("/webhooks/{id}")).json(&signed(json!({"kind": "none"})));
    unsigned.send().await.ok(200);
    let refused = world.call("POST", format!("/webhooks/{id}/rotate-secret")).send().await;
    assert_eq!(refused.code(409), "not_signed");
    let unknown = world.call("PUT", format!("/webhooks/{id}"));
    let unknown = unknown.json(&signed(json!({"kind": "standard_webhooks", "overlap": 1}))).send().await;
    assert_eq!(unknown.code(400), "invalid");
}
