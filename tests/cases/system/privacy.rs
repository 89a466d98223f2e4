//! What stays out of logs and queues.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use fanhook_core::identity::OrganizationKey;
use fanhook_tests::{api::Run, crowd::Meets};
use receiver::access_token;
use serde_json::{Value, json};
use stack::{Seen, until};

use crate::world::{LONG, SHORT, World};

/// Users of the crowd whose data is looked for.
const CROWD: u64 = 500;
/// Users of this case's own whose data is looked for as well.
const USERS: u64 = 5;
/// All functions: each has something to do in this case.
const FUNCTIONS: [&str; 5] = ["config", "fanout", "dispatch", "deliver", "profiles"];

const BEARER: &str = "bearer-canary-5d1f9c";
const USERNAME: &str = "shop";
const PASSWORD: &str = "password-canary-81e3b7";
const HEADER: &str = "header-canary-c04a66";
const CLIENT: &str = "client-canary-2b97de";
const SHOP: &str = "shop-canary-f3580a";
/// Where the client gets its access tokens.
const TOKEN: &str = "/token/privacy";
/// Where the value of a parameter comes from.
const STOCK: &str = "/slow/0/privacy-stock";

/// What must be found nowhere.
struct Needle {
    what: &'static str,
    text: String,
}

fn needle(what: &'static str, text: impl Into<String>) -> Needle {
    Needle { what, text: text.into() }
}

/// A user whom nobody else knows, as a line of an audience or of a profile file.
struct Canary {
    qaid: String,
    mobile: String,
    email: String,
    name: String,
    city: String,
}

impl Canary {
    fn new(n: u64) -> Self {
        Self {
            qaid: format!("qaid-canary-{n}"),
            mobile: format!("+4915777700{n:03}"),
            email: format!("mail-canary-{n}@people.example"),
            name: format!("Quirina Canary {n}"),
            city: format!("Canary Wharf {n}"),
        }
    }

    fn line(&self) -> Value {
        json!({
            "qaid": self.qaid,
            "ids": {"MOBILE": [self.mobile], "EMAIL": [self.email]},
            "tags": {"name": self.name, "city": self.city},
        })
    }

    fn needles(self) -> [Needle; 5] {
        [
            needle("a QAID", self.qaid),
            needle("a phone number", self.mobile.trim_start_matches('+')),
            needle("an e-mail address", self.email),
            needle("a name", self.name),
            needle("a city", self.city),
        ]
    }
}

/// A file of the canaries, with `more` in each line, and a line that cannot be read.
fn file(more: &Value) -> Vec<u8> {
    let mut lines: Vec<Value> = (0..USERS).map(|n| Canary::new(n).line()).collect();
    let mut bad = Canary::new(USERS).line();
    bad["ids"] = json!({"FAX": [Canary::new(USERS).mobile]});
    lines.push(bad);
    for line in &mut lines {
        for (name, value) in more.as_object().into_iter().flatten() {
            line[name] = value.clone();
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect::<Vec<_>>().concat().into()
}

/// A secret of 32 bytes, in base64.
fn secret(byte: u8) -> String {
    BASE64_STANDARD.encode([byte; 32])
}

/// A webhook, a push through it, and what its users are to come to.
struct Way {
    path: &'static str,
    webhook: Value,
    id_type: &'static str,
    send_form: &'static str,
    reason: &'static str,
}

/// One way for each kind of secret; some end badly, since what failed is told more of.
fn ways(world: &World, source: &str) -> [Way; 6] {
    let way =
        |path, webhook| Way { path, webhook, id_type: "MOBILE", send_form: "plain", reason: "delivered" };
    let bearer = json!({"authentication": {"kind": "bearer", "secret": BEARER}});
    let mut short = bearer.clone();
    short["retry"] = json!({"give_up_after_seconds": 1});
    let mut echoed = json!({"authentication": {"kind": "header", "name": "X-Api-Key", "secret": HEADER}});
    echoed["retry"] = short["retry"].clone();
    echoed["id_types"] = json!(["EMAIL"]);
    let basic = json!({
        "authentication": {"kind": "basic", "username": USERNAME, "secret": PASSWORD},
        "signing": {
            "kind": "standard_webhooks", "algorithm": "ed25519", "secret": format!("whsk_{}", secret(201)),
        },
    });
    let oauth = json!({"authentication": {
        "kind": "oauth2", "token_url": world.receiver.url(TOKEN), "client_id": "fanhook",
        "client_authentication": "body", "secret": CLIENT,
    }});
    let stock = json!({"content": {
        "parameters": [
            {"name": "text", "type": "text", "required": true},
            {"name": "stock", "type": "call", "source": source, "required": true},
        ],
        "body": {"template": r#"{"member":"{id}","text":"{text}","stock":"{stock}"}"#},
    }});
    [
        way("/status/200/privacy-bearer", bearer),
        Way { reason: "exhausted_protocol", ..way("/garbage/privacy-bearer", short) },
        Way { id_type: "EMAIL", reason: "exhausted_status", ..way("/echo/500/privacy-header", echoed) },
        way("/status/200/privacy-basic", basic),
        way("/status/200/privacy-oauth", oauth),
        Way { send_form: "aes", ..way("/status/200/privacy-stock", stock) },
    ]
}

/// Makes a webhook and a push, tests the push and runs it over the canaries; its run, and the secret that it is signed with.
async fn go(world: &World, way: &Way, audience: &str) -> Result<(Run, String)> {
    let (api, path) = (world.api()?, way.path);
    let webhook = api.webhook(path, &world.receiver.url(path), way.webhook.clone()).await?;
    api.state_consent(&webhook.id).await?;
    let told = api.get(&format!("/webhooks/{}", webhook.id)).await?;
    world.receiver.trust(path, told["signing"]["public_key"].as_str().unwrap_or(&webhook.secret))?;
    let push = json!({
        "name": path,
        "webhook": webhook.id,
        "content": {
            "id_types": [way.id_type],
            "send_form": way.send_form,
            "values": {"text": "Dear ${name} of ${city}"},
            "variables": [
                {"name": "name", "source": {"tag": "name"}, "when_empty": "skip_user"},
                {"name": "city", "source": {"tag": "city"}, "when_empty": "skip_user"},
            ],
        },
    });
    let push = api.post("/pushes", &push).await?;
    let push = push["id"].as_str().context("a push has an identifier")?;
    let Canary { mobile, email, name, city, .. } = Canary::new(0);
    let value = if way.id_type == "EMAIL" { email } else { mobile };
    let input =
        json!({"id": {"type": way.id_type, "value": value}, "variables": {"name": name, "city": city}});
    api.post(&format!("/pushes/{push}/preview"), &input).await?;
    // One test a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let tested = api.post(&format!("/pushes/{push}/test"), &input).await?;
    ensure!(tested["passed"] == (way.reason == "delivered"), "{path}: {tested}");

    let run = api.start(push, audience).await?;
    let run = api.run_over(&run, LONG).await?;
    ensure!(run.reasons.get(way.reason) == Some(&USERS) && run.sum() == USERS, "{path}: {run:?}");
    let seen = world.receiver.stats(path);
    ensure!(seen.received > USERS && seen.bad_signatures == 0, "{path}: {seen:?}");
    Ok((run, webhook.secret))
}

/// Checks that the last request to a path held this: what was never used could be found nowhere.
fn used(world: &World, path: &str, text: &str) -> Result<()> {
    let last = String::from_utf8_lossy(&world.receiver.last(path)).into_owned();
    ensure!(last.contains(text), "{text:?} was not sent to {path}: {last}");
    Ok(())
}

/// All messages that a queue gives out, which are hidden from others for so many seconds.
async fn messages(world: &World, queue: &str, hidden: u64) -> Result<Vec<String>> {
    let input = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10, "VisibilityTimeout": hidden,
        "AttributeNames": ["All"], "MessageAttributeNames": ["All"]});
    let mut found = Vec::new();
    for _ in 0..100 {
        let answer = world.stack.call("AmazonSQS.ReceiveMessage", &input).await?;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        if messages.is_empty() {
            break;
        }
        found.extend(messages.iter().map(Value::to_string));
    }
    Ok(found)
}

/// What stands in the queues: in those that are worked on as much as is met, in those of dead letters all.
async fn queued(world: &World) -> Result<Vec<(&'static str, String)>> {
    let outputs = world.stack.outputs();
    let campaign = world.campaign("/slow/20/privacy", json!({"content": {"deadline_seconds": 3}})).await?;
    let run = world.start(&campaign, world.crowd.inline_audience(0..40_000)).await?;
    let mut found = Vec::new();
    until("a chunk to be in the queue", SHORT, async || {
        for (name, queue) in [("fanout", &outputs.fanout_queue_url), ("deliver", &outputs.deliver_queue_url)]
        {
            found.extend(messages(world, queue, 1).await?.into_iter().map(|message| (name, message)));
        }
        let chunk = found.iter().any(|(name, message)| *name == "deliver" && message.contains(&run));
        Ok(if chunk { Seen::Yes(()) } else { Seen::NotYet(format!("{} messages", found.len())) })
    })
    .await?;
    let api = world.api()?;
    api.control(&run, "cancel", None).await?.success("cancel")?;
    api.run_over(&run, LONG).await?;
    world.quiet().await?;
    found.extend(
        messages(world, &outputs.profiles_queue_url, 1).await?.into_iter().map(|one| ("profiles", one)),
    );

    for (name, queue) in [
        ("the dead letters of fanout", &outputs.fanout_dead_letters_url),
        ("the dead letters of deliver", &outputs.deliver_dead_letters_url),
        ("the dead letters of profiles", &outputs.profiles_dead_letters_url),
    ] {
        // What is not ours is looked for as well, so that a queue that cannot be read is no empty one.
        let mark = format!("mark in {name}");
        let input = json!({"QueueUrl": queue, "MessageBody": mark});
        world.stack.call("AmazonSQS.SendMessage", &input).await?;
        let messages = messages(world, queue, 60).await?;
        ensure!(
            messages.iter().any(|message| message.contains(&mark)),
            "{name} cannot be read: {messages:?}"
        );
        found.extend(messages.into_iter().map(|message| (name, message)));
    }
    Ok(found)
}

/// What every case sends: the data of the crowd, and the secrets of the webhooks that were made so far.
fn of_others(world: &World) -> Vec<Needle> {
    let mut needles: Vec<Needle> =
        ["Guest 1", "Björn", "Ольга", "小明"].map(|name| needle("a name", name)).into();
    needles.push(needle("a QAID", "guest-1"));
    let secrets = world.secrets();
    needles
        .extend(secrets.iter().map(|secret| needle("a signing secret", secret.trim_start_matches("whsec_"))));
    for user in world.crowd.users(0..CROWD) {
        if let Meets::Message { mobile, text } = user.meets {
            needles.push(needle("a phone number", mobile.trim_start_matches('+')));
            needles.push(needle("a text", text));
        }
        needles.extend(
            user.said
                .into_iter()
                .filter_map(|said| said.email)
                .map(|email| needle("an e-mail address", email)),
        );
        // Others are so short that an identifier of ours may hold them.
        if user.qaid.starts_with("qa-") {
            needles.push(needle("a QAID", user.qaid));
        }
    }
    needles
}

/// Sends every secret and the canaries' data, and checks that each has been used; the runs, and what is to be found nowhere.
async fn send(world: &World) -> Result<(Vec<Run>, Vec<Needle>)> {
    let api = world.api()?;
    let key = secret(202);
    api.put("/organization-key", &json!({"key": key})).await?;
    let source = json!({"name": "privacy", "value": {
        "kind": "interface", "url": world.receiver.url(STOCK), "pointer": "/coupon",
        "secret_header": {"name": "X-Shop-Key", "secret": SHOP},
    }});
    let source = api.post("/parameter-sources", &source).await?;
    let source = source["id"].as_str().context("a source has an identifier")?;

    let more = json!({"source": "crm", "updated": "2024-11-03T00:00:00Z"});
    let profiles = api.upload("profiles", file(&more)).await?;
    let imported = api.imported(&profiles, LONG).await?;
    ensure!(imported["counts"]["stored"] == USERS && imported["counts"]["bad_rows"] == 1, "{imported}");
    let Canary { qaid, mobile, email, .. } = Canary::new(0);
    let profile = api.get(&format!("/profiles?qaid={qaid}")).await?.to_string();
    ensure!(profile.contains(&email) && profile.contains(&mobile), "{profile}");
    until("the import to be in the log", SHORT, async || {
        let log = world.log("profiles")?;
        Ok(if log.contains(&profiles) { Seen::Yes(()) } else { Seen::NotYet(format!("{} bytes", log.len())) })
    })
    .await?;

    // Whose IDs and tags stand in the audience, and whose profiles say them.
    let inline = api.upload("audience", file(&json!({}))).await?;
    let qaids: String = (0..USERS).map(|n| Canary::new(n).qaid + "\n").collect();
    let by_profile = api.upload("audience", format!("qaid\n{qaids}").into()).await?;
    let mut runs = Vec::new();
    let mut needles: Vec<Needle> = (0..=USERS).flat_map(|n| Canary::new(n).needles()).collect();
    for (n, way) in ways(world, source).iter().enumerate() {
        let audience = if n % 2 == 0 { &inline } else { &by_profile };
        let (run, signing) = go(world, way, audience).await?;
        let outcomes = world.outcomes(&run.id).await?;
        ensure!(outcomes.iter().any(|line| line["qaid"] == qaid.as_str()), "{outcomes:?}");
        let signing = signing.trim_start_matches("whsec_").trim_start_matches("whsk_");
        needles.push(needle("a signing secret", signing));
        runs.push(run);
    }

    let basic = BASE64_STANDARD.encode(format!("{USERNAME}:{PASSWORD}"));
    let token = access_token(TOKEN);
    for (path, what, text) in [
        ("/status/200/privacy-bearer", "a bearer key", BEARER),
        ("/garbage/privacy-bearer", "a bearer key", BEARER),
        ("/echo/500/privacy-header", "a header's key", HEADER),
        ("/status/200/privacy-basic", "a user's name and password", &*basic),
        (TOKEN, "a client's secret", CLIENT),
        ("/status/200/privacy-oauth", "an access token", &*token),
        (STOCK, "an interface's key", SHOP),
    ] {
        used(world, path, text)?;
        needles.push(needle(what, text));
    }
    needles.push(needle("a password", PASSWORD));
    let opened = OrganizationKey::new(&BASE64_STANDARD.decode(&key)?)?;
    let sent = world.receiver.taken("/status/200/privacy-stock");
    let encrypted = opened.encrypt(&mobile);
    let held = |body: &Vec<u8>| String::from_utf8_lossy(body).contains(&encrypted);
    ensure!(sent.values().any(held), "no ID was encrypted by the organization key");
    needles.push(needle("the organization key", key));
    let (_, signature) = api.token().rsplit_once('.').context("a token has a signature")?;
    needles.push(needle("a caller's token", signature));
    Ok((runs, needles))
}

/// The last case: it looks at what all others have caused to be logged as well.
pub(crate) async fn no_log_and_no_queue_holds_a_secret_or_personal_data(world: &World) -> Result<()> {
    let (runs, mut needles) = send(world).await?;
    let queued = queued(world).await?;
    ensure!(!world.stack.invoke("dispatch", &json!({})).await?.failed, "dispatch failed");
    needles.extend(of_others(world));

    // A log that lacks what was just done is no proof.
    for function in ["fanout", "deliver"] {
        until(&format!("all runs to be in the log of {function}"), SHORT, async || {
            let log = world.log(function)?;
            let missing = runs.iter().find(|run| !log.contains(&run.id));
            Ok(missing.map_or(Seen::Yes(()), |run| Seen::NotYet(format!("none of {}", run.id))))
        })
        .await?;
    }
    let mut places = queued;
    for function in FUNCTIONS {
        let log = world.log(function)?;
        ensure!(!log.is_empty(), "{function} has logged nothing");
        places.extend(log.lines().map(|line| (function, line.to_owned())));
    }
    for Needle { what, text } in needles {
        ensure!(text.len() > 3, "{text:?} would be found by chance");
        // As it stands in JSON, of which logs and messages are.
        let written = json!(text).to_string();
        let written = &written[1..written.len() - 1];
        let holds = |line: &str| line.contains(&*text) || written != text && line.contains(written);
        let place = places.iter().find(|(_, line)| holds(line));
        ensure!(place.is_none(), "{what}, {text:?}, stands in {place:?}");
    }
    Ok(())
}
