//! Who is let in by the deployed API: tokens that nobody has signed for us, and grants on webhooks.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use fanhook_tests::api::Api;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use stack::Person;

use crate::world::{WORKSPACE, World};

fn part(json: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json.to_string())
}

fn read(part: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part)?)?)
}

/// A token with other claims or another signature than the pool has signed.
async fn forged(world: &World) -> Result<Vec<(&'static str, String)>> {
    let api = world.api()?;
    let parts: Vec<&str> = api.token().split('.').collect();
    let [head, claims, signature] = parts[..] else { bail!("a token has three parts") };
    let (header, mut payload) = (read(head)?, read(claims)?);
    let mut tokens = vec![
        ("without an algorithm", format!("{}.{claims}.", part(&json!({"alg": "none", "typ": "JWT"})))),
        ("without a signature", format!("{head}.{claims}.")),
    ];

    // The public key, taken for a secret that both sides share.
    let keys = world.stack.token_keys().await?;
    ensure!(keys["keys"].as_array().is_some_and(|keys| !keys.is_empty()), "no public key: {keys}");
    let symmetric = part(&json!({"alg": "HS256", "typ": "JWT", "kid": header["kid"]}));
    for key in keys["keys"].as_array().into_iter().flatten() {
        let modulus = BASE64_URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap_or_default())?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&modulus)?;
        mac.update(format!("{symmetric}.{claims}").as_bytes());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        tokens.push(("with the public key as a secret", format!("{symmetric}.{claims}.{signature}")));
    }

    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(signature)?;
    bytes[10] ^= 1;
    let flipped = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    tokens.push(("with one bit of the signature changed", format!("{head}.{claims}.{flipped}")));
    let mut stranger = header.clone();
    stranger["kid"] = json!("nobody-knows-it");
    tokens.push(("with an unknown key", format!("{}.{claims}.{signature}", part(&stranger))));
    payload["custom:workspaces"] = json!("globex");
    tokens.push(("with other claims", format!("{head}.{}.{signature}", part(&payload))));
    payload["filler"] = json!("x".repeat(9_000));
    tokens.push(("over 8 KiB", format!("{head}.{}.{signature}", part(&payload))));
    tokens.push((
        "for another application",
        world.stack.foreign_token(&Person::organization_admin(WORKSPACE)).await?,
    ));
    tokens.push(("that is none", "no-token".to_owned()));
    Ok(tokens)
}

pub(crate) async fn a_token_that_is_not_verified_reaches_no_handler(world: &World) -> Result<()> {
    world.api()?.get("/webhooks").await?;
    // Other cases have requests answered meanwhile, none with this status.
    let refused_by_us = || -> Result<usize> {
        let log = fs::read_to_string(world.stack.log_file("config")?)?;
        Ok(log.lines().filter(|line| line.contains("\"status\":401")).count())
    };
    let before = refused_by_us()?;
    for (what, token) in forged(world).await? {
        let api = Api::with_token(&world.stack, token)?;
        let answer = api.call(Method::GET, "/webhooks", &[], None).await?;
        ensure!([401, 431].contains(&answer.status), "a token {what} was answered {answer:?}");
    }
    ensure!(refused_by_us()? == before, "a request without a verified token reached the function");
    Ok(())
}

pub(crate) async fn a_member_uses_the_webhooks_that_are_granted(world: &World) -> Result<()> {
    let campaign = world.campaign("/status/200/granted", json!({})).await?;
    let admin = world.api()?;
    let webhook = admin.get(&format!("/pushes/{}", campaign.push)).await?["webhook"].clone();
    let grants = format!("/webhooks/{}/grants", webhook.as_str().context("a push names its webhook")?);
    let marketer = |name: &str, groups: &[&str]| Person {
        name: name.to_owned(),
        workspaces: vec![WORKSPACE.to_owned()],
        groups: groups.iter().map(ToString::to_string).collect(),
    };
    let start = async |person: Person, key: &str| {
        let api = Api::with_token(&world.stack, world.stack.token(&person).await?)?;
        let upload = api.upload("audience", world.crowd.inline_audience(0..10)).await?;
        api.ask_for_run(&campaign.push, &[upload], key).await
    };
    let refused = start(marketer("mia", &["member", "webhook"]), "mia").await?;
    ensure!((refused.status, refused.code()) == (403, "not_granted"), "{refused:?}");
    admin.post(&grants, &json!({"to": {"role": "webhook"}, "until": "2999-01-01T00:00:00Z"})).await?;
    let answer = start(marketer("mia", &["member", "webhook"]), "mia").await?;
    ensure!(answer.status == 202, "{answer:?}");
    let refused = start(marketer("max", &["member"]), "max").await?;
    ensure!((refused.status, refused.code()) == (403, "forbidden"), "{refused:?}");
    let told =
        admin.get(&format!("/audit?kind=run&id={}", answer.body["id"].as_str().unwrap_or_default())).await?;
    ensure!(told["items"][0]["action"] == "started", "{told}");
    Ok(())
}
