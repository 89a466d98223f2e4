//! That everybody is delivered to, whatever happens to workers and messages.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use fanhook_core::limits;
use fanhook_tests::{crowd::Meets, harness::say};
use serde_json::{Value, json};
use stack::{Seen, kill, until};

use crate::world::{LONG, PROFILES, SHORT, World, webhook_id};

/// Requests that a killed worker may cause to be sent again: 128 under way, and 64 not saved in each of 10 chunks.
const AGAIN: u64 = 128 + 10 * 64;

pub(crate) async fn each_of_100_000_users_has_exactly_one_outcome(world: &World) -> Result<()> {
    let campaign = world.campaign("/crm/whole", json!({})).await?;
    let api = world.api()?;
    // Two files: two parts, worked side by side.
    let half = PROFILES / 2;
    let mut uploads = Vec::new();
    for range in [0..half, half..PROFILES] {
        uploads.push(api.upload("audience", world.crowd.audience(range)).await?);
    }
    let started = api.ask_for_run(&campaign.push, &uploads, "whole").await?.success("the start")?;
    let run = api.run_over(started["id"].as_str().unwrap_or_default(), LONG).await?;
    world.check_crowd(&campaign, &run, PROFILES).await?;
    let seen = world.receiver.stats(&campaign.path);
    ensure!(seen.duplicates == 0, "{} messages came again without a crash", seen.duplicates);
    let seconds = (seen.last - seen.first) / 1000;
    say(&format!("    {} requests in {seconds} s", seen.received));
    Ok(())
}

pub(crate) async fn a_run_survives_the_death_of_its_workers(world: &World) -> Result<()> {
    const USERS: u64 = 30_000;
    const KILLS: u64 = 4;
    let campaign = world.campaign("/crm/kills", json!({"content": {"deadline_seconds": 3}})).await?;
    let run = world.start(&campaign, world.crowd.audience(0..USERS)).await?;
    let mut killed = 0;
    for round in 1..=KILLS {
        // In the middle of the work: a share of the run between two kills.
        let share = round * USERS / (KILLS + 2);
        until(&format!("{share} messages to be taken"), LONG, async || {
            let unique = world.receiver.stats(&campaign.path).unique;
            if unique >= share {
                return Ok(Seen::Yes(()));
            }
            if world.stack.invoke("dispatch", &json!({})).await?.failed {
                bail!("dispatch failed");
            }
            Ok(Seen::NotYet(format!("{unique} messages")))
        })
        .await?;
        let pids = world.stack.function_pids("deliver")?;
        for pid in pids.into_iter().take(2) {
            kill(pid)?;
            killed += 1;
        }
    }
    let api = world.api()?;
    let run = api.run_over(&run, LONG).await?;
    world.check_crowd(&campaign, &run, USERS).await?;
    let again = world.receiver.stats(&campaign.path).duplicates;
    say(&format!(
        "    {killed} processes killed; {again} messages were taken more than once, {} may be",
        killed * AGAIN
    ));
    ensure!(killed >= KILLS, "only {killed} processes were there to be killed");
    ensure!(again <= killed * AGAIN, "{again} messages came again");
    Ok(())
}

pub(crate) async fn a_message_doubled_and_one_deleted_change_nothing_but_time(world: &World) -> Result<()> {
    const USERS: u64 = 30_000;
    let campaign = world.campaign("/slow/20/queue", json!({"content": {"deadline_seconds": 3}})).await?;
    let run = world.start(&campaign, world.crowd.inline_audience(0..USERS)).await?;
    let queue = &world.stack.outputs().deliver_queue_url;
    // One is taken away before a worker sees it …
    let receive = json!({"QueueUrl": queue, "MaxNumberOfMessages": 1, "VisibilityTimeout": 600});
    let message = until("a message to be in the queue", SHORT, async || {
        let answer = world.stack.call("AmazonSQS.ReceiveMessage", &receive).await?;
        let message = &answer["Messages"][0];
        Ok(if message.is_object() { Seen::Yes(message.clone()) } else { Seen::NotYet("none".to_owned()) })
    })
    .await?;
    let delete = json!({"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]});
    world.stack.call("AmazonSQS.DeleteMessage", &delete).await?;
    // … and others are there twice.
    for chunk in 0..8 {
        let body = json!({"run": run, "part": 0, "chunk": chunk}).to_string();
        world.stack.call("AmazonSQS.SendMessage", &json!({"QueueUrl": queue, "MessageBody": body})).await?;
    }
    let run = world.api()?.run_over(&run, LONG).await?;
    let seen = world.receiver.stats(&campaign.path);
    ensure!(run.state == "finished" && run.outcome("delivered") == USERS && run.sum() == USERS, "{run:?}");
    ensure!(
        (seen.received, seen.unique) == (USERS, USERS),
        "{} requests, {} taken",
        seen.received,
        seen.unique
    );
    Ok(())
}

pub(crate) async fn users_who_share_requests_each_come_once_under_an_id_of_their_own(
    world: &World,
) -> Result<()> {
    const USERS: u64 = 5_000;
    const BATCH: u64 = 40;
    let body = json!({
        "template": r#"{"type":"{id_type}","members":"{items}"}"#,
        "item": r#"{"member":"{id}","delivery":"{delivery_id}","text":"{text}"}"#,
    });
    // Each request fails at its first try.
    let more = json!({"content": {"body": body, "batch_size": BATCH}});
    let campaign = world.campaign("/fail/1/batches", more).await?;
    let run = world.start(&campaign, world.crowd.audience(0..USERS)).await?;
    let run = world.api()?.run_over(&run, LONG).await?;
    ensure!(run.state == "finished" && run.sum() == USERS, "{run:?}");

    let mut members = HashMap::new();
    for body in world.receiver.taken(&campaign.path).into_values() {
        let body: Value = serde_json::from_slice(&body)?;
        let items = body["members"].as_array().with_context(|| format!("{body} has no members"))?;
        ensure!(items.len() as u64 <= BATCH && body["type"] == "MOBILE", "{body}");
        for item in items {
            let delivery = item["delivery"].as_str().unwrap_or_default().to_owned();
            ensure!(members.insert(delivery, item.clone()).is_none(), "{item} came twice");
        }
    }
    ensure!(members.len() as u64 == run.outcome("delivered"), "{} users came: {run:?}", members.len());
    for user in world.crowd.users(0..USERS) {
        let Meets::Message { mobile, text } = user.meets else { continue };
        let delivery = webhook_id(&run.id, &user.qaid)?;
        let wanted = json!({"member": mobile, "delivery": delivery, "text": text});
        let came = members.remove(&delivery);
        ensure!(came.as_ref() == Some(&wanted), "{came:?} came, {wanted} is right");
    }
    ensure!(members.is_empty(), "{} came that nobody knows", members.len());
    let seen = world.receiver.stats(&campaign.path);
    let most = 2 * USERS / BATCH + 20;
    ensure!(seen.bad_signatures == 0 && seen.received <= most, "{seen:?}");
    Ok(())
}

pub(crate) async fn a_url_and_a_header_of_the_most_bytes_are_sent_and_those_of_one_more_are_not(
    world: &World,
) -> Result<()> {
    let (api, address) = (world.api()?, world.receiver.url("/status/200/limits"));
    let begin = format!("{address}/");
    let header = json!([{"name": "x-text", "value": "{text}"}]);
    for (name, content, most) in [
        ("a URL", json!({"url": format!("{begin}{{text}}")}), limits::URL - begin.len()),
        ("a header", json!({"headers": header}), limits::HEADER_VALUE),
    ] {
        let webhook = api.webhook(name, &address, json!({"content": content})).await?;
        api.state_consent(&webhook.id).await?;
        let push = json!({"name": name, "webhook": webhook.id, "content": {
            "id_types": ["MOBILE"],
            "values": {"text": "${name}"},
            "variables": [{"name": "name", "source": {"tag": "name"}, "when_empty": "skip_user"}],
        }});
        let push = api.post("/pushes", &push).await?;
        let line = |qaid: &str, length: usize| {
            let ids = json!({"MOBILE": ["+4915100000001"]});
            json!({"qaid": qaid, "ids": ids, "tags": {"name": "x".repeat(length)}}).to_string() + "\n"
        };
        let audience = line("at the limit", most) + &line("above it", most + 1);
        let upload = api.upload("audience", audience.into()).await?;
        let run = api.start(push["id"].as_str().context("no push")?, &upload).await?;
        let run = api.run_over(&run, SHORT).await?;
        let outcomes = world.outcomes(&run.id).await?;
        let of = |qaid: &str| {
            let line = outcomes.iter().find(|line| line["qaid"] == qaid);
            line.and_then(|line| line["outcome"].as_str()).unwrap_or_default()
        };
        ensure!(
            (of("at the limit"), of("above it")) == ("delivered", "too_large") && run.sum() == 2,
            "{name}: {run:?} {outcomes:?}"
        );
    }
    Ok(())
}
