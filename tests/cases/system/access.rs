//! Who is let in by the deployed API: tokens that nobody has signed for us, and grants on webhooks.

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use fanhook_tests::api::Api;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use stack::{Person, Seen, until};

use crate::world::{SHORT, WORKSPACE, World};

/// A route that no case asks for that may run at the same time.
const ROUTE: &str = "/parameter-sources";
/// What is said of the token that is too long.
const LARGE: &str = "over 8 KiB";

fn part(json: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json.to_string())
}

fn read(part: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part)?)?)
}

/// Tokens that are not to be let in. Where only a claim or the header is wrong, the pool's own key has signed it so.
async fn forged(world: &World) -> Result<Vec<(&'static str, String)>> {
    let (stack, api) = (&world.stack, world.api()?);
    let parts: Vec<&str> = api.token().split('.').collect();
    let [head, claims, signature] = parts[..] else { bail!("a token has three parts") };
    let (header, payload) = (read(head)?, read(claims)?);
    let none = part(&json!({"alg": "none", "typ": "JWT", "kid": header["kid"]}));
    let mut tokens = vec![
        ("without an algorithm", format!("{none}.{claims}.")),
        ("without an algorithm, and with a signature", format!("{none}.{claims}.{signature}")),
        ("without a signature", format!("{head}.{claims}.")),
    ];

    // The public key, taken for a secret that both sides share.
    let keys = stack.token_keys().await?;
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
    let mut other = payload.clone();
    other["custom:workspaces"] = json!("globex");
    tokens.push(("with other claims", format!("{head}.{}.{signature}", part(&other))));
    other["filler"] = json!("x".repeat(6_000));
    let large = format!("{head}.{}.{signature}", part(&other));
    ensure!(large.len() > 8 * 1024, "{} bytes are not large", large.len());
    tokens.push((LARGE, large));

    let mut stranger = header.clone();
    stranger["kid"] = json!("nobody-knows-it");
    tokens.push(("with an unknown key", stack.signed_token(&stranger, &payload).await?));
    let began = payload["iat"].as_i64().context("a token says when it was issued")?;
    let issuer = payload["iss"].as_str().context("a token says by whom it was issued")?;
    for (what, changes) in [
        ("that has expired", json!({"iat": began - 7_200, "auth_time": began - 7_200, "exp": began - 3_600})),
        ("of another issuer", json!({"iss": format!("{issuer}x")})),
        (
            "of another issuer's host",
            json!({"iss": issuer.replace("amazonaws.com", "amazonaws.com.example.com")}),
        ),
        ("for another audience", json!({"aud": "another"})),
        ("for nobody", json!({"aud": null})),
    ] {
        let mut claims = payload.clone();
        for (name, value) in changes.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        tokens.push((what, stack.signed_token(&header, &claims).await?));
    }
    tokens.push((
        "for another application",
        stack.foreign_token(&Person::organization_admin(WORKSPACE)).await?,
    ));
    tokens.push(("that is none", "no-token".to_owned()));
    Ok(tokens)
}

/// Requests for the route that the function has handled so far.
fn handled(world: &World) -> Result<usize> {
    let field = format!("\"route\":\"{ROUTE}\"");
    Ok(world.log("config")?.lines().filter(|line| line.contains(&field)).count())
}

/// Checks that a request with this token is let through to the function.
async fn let_in(world: &World, token: String) -> Result<()> {
    let before = handled(world)?;
    let answer = Api::with_token(&world.stack, token)?.call(Method::GET, ROUTE, &[], None).await?;
    ensure!(answer.code() != "unauthorized" && answer.status == 200, "{answer:?}");
    until("the function to tell of the request", SHORT, async || {
        let now = handled(world)?;
        Ok(if now > before { Seen::Yes(()) } else { Seen::NotYet(format!("{now} requests")) })
    })
    .await
}

pub(crate) async fn a_token_that_is_not_verified_reaches_no_handler(world: &World) -> Result<()> {
    let api = world.api()?;
    let tokens = forged(world).await?;
    let before = handled(world)?;
    let_in(world, api.token().to_owned()).await?;
    for (what, token) in tokens {
        let answer = Api::with_token(&world.stack, token)?.call(Method::GET, ROUTE, &[], None).await?;
        // Whoever reads the head may find it too long before anybody reads the token.
        let refused = answer.status == 401 || what == LARGE && answer.status == 431;
        ensure!(refused, "a token {what} was answered {answer:?}");
    }
    // What refused the others was what was changed: signed anew and unchanged, a token is let in.
    let parts: Vec<&str> = api.token().split('.').collect();
    let signed = world.stack.signed_token(&read(parts[0])?, &read(parts[1])?).await?;
    let_in(world, signed).await?;
    let handled = handled(world)? - before;
    ensure!(
        handled == 2,
        "of two requests with verified tokens and some without, {handled} reached the function"
    );
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
    let told = admin
        .get(&format!("/audit?kind=run&object={}", answer.body["id"].as_str().unwrap_or_default()))
        .await?;
    ensure!(told["items"][0]["action"] == "started", "{told}");
    Ok(())
}
