//! Previews, test sends and consent, and the runs that wait for them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use stack::{Seen, until};

use crate::world::{LONG, SHORT, World};

fn member() -> Value {
    json!({"id": {"type": "MOBILE", "value": "+4915112345678"}, "variables": {"name": "Ann", "city": "Ulm"}})
}

/// Tests a push, as often as the CRM is busy; one test a second.
async fn pass(world: &World, push: &str) -> Result<Value> {
    let (api, path) = (world.api()?, format!("/pushes/{push}/test"));
    until("a test send to pass", SHORT, async || {
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let tested = api.post(&path, &member()).await?;
        Ok(if tested["passed"] == true { Seen::Yes(tested) } else { Seen::NotYet(tested.to_string()) })
    })
    .await
}

pub(crate) async fn a_preview_shows_what_a_test_sends_and_a_test_what_came_of_it(
    world: &World,
) -> Result<()> {
    let campaign = world.campaign("/crm/trial", json!({})).await?;
    let api = world.api()?;
    let preview = api.post(&format!("/pushes/{}/preview", campaign.push), &member()).await?;
    let request = &preview["messages"][0]["request"];
    ensure!(world.receiver.stats(&campaign.path).received == 0, "a preview was sent");
    let tested = pass(world, &campaign.push).await?;
    for field in ["method", "url", "body"] {
        ensure!(
            request[field] == tested["request"][field] && request[field].is_string(),
            "{preview} {tested}"
        );
    }
    let taken = world.receiver.taken(&campaign.path);
    let body = taken.values().next().context("nothing was taken")?;
    ensure!(request["body"].as_str().map(str::as_bytes) == Some(body), "{preview}");
    ensure!(world.receiver.stats(&campaign.path).bad_signatures == 0);
    ensure!(tested["answer"]["body"].as_str().is_some_and(|body| body.contains("coupon")), "{tested}");
    let times = &tested["times"];
    ensure!(
        times["connect_us"].is_u64() && times["first_byte_us"].is_u64() && times["tls_us"].is_null(),
        "{times}"
    );

    let silent = world.campaign("/never/trial", json!({"content": {"deadline_seconds": 1}})).await?;
    let path = format!("/pushes/{}/test", silent.push);
    let failed = api.post(&path, &member()).await?;
    ensure!(failed["verdict"]["reason"] == "exhausted_timeout", "{failed}");
    ensure!(failed["failure"]["phase"] == "first_byte", "{failed}");
    ensure!(failed["failure"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{failed}");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let log = api.call(Method::POST, &path, &[("accept", "text/plain")], Some(&member())).await?;
    let text = log.success("a log")?;
    ensure!(
        text.as_str().is_some_and(|text| text.contains("> POST http://") && text.contains("What to do: ")),
        "{text}"
    );
    Ok(())
}

pub(crate) async fn a_run_waits_for_what_its_webhook_has_to_prove(world: &World) -> Result<()> {
    let api = world.api()?;
    let path = "/status/200/gate";
    let webhook = api.webhook(path, &world.receiver.url(path), json!({})).await?;
    world.receiver.trust(path, &webhook.secret)?;
    let push = api.push(path, &webhook.id).await?;
    let start = async |users: u64, key: &str| -> Result<String> {
        let upload = api.upload("audience", world.crowd.inline_audience(0..users)).await?;
        let body = json!({"uploads": [upload]});
        let headers = [("idempotency-key", key)];
        let run = api.call(Method::POST, &format!("/pushes/{push}/runs"), &headers, Some(&body)).await?;
        Ok(run.success("a start")?["id"].as_str().context("no run")?.to_owned())
    };
    let small = api.run_over(&start(100, "small").await?, SHORT).await?;
    ensure!(small.state == "finished" && small.outcome("delivered") == 100, "{small:?}");
    let large = start(1_500, "large").await?;
    let failed = api.run_over(&large, SHORT).await?;
    let failure = failed.failure.as_deref().unwrap_or_default();
    ensure!(
        failed.state == "failed" && failure.contains("untested") && failure.contains("1500"),
        "{failed:?}"
    );
    ensure!(failure.contains("no_consent"), "{failed:?}");
    ensure!(world.receiver.stats(path).received == 100, "something was sent");

    pass(world, &push).await?;
    let refused = api.control(&large, "resume", None).await?;
    ensure!(refused.status == 409 && refused.code() == "unproved", "{refused:?}");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let shaken = api.post(&format!("/webhooks/{}/handshake", webhook.id), &json!({})).await?;
    ensure!(shaken["allowed"] == true, "{shaken}");
    api.control(&large, "resume", None).await?.success("resume")?;
    let done = api.run_over(&large, LONG).await?;
    ensure!(done.state == "finished" && done.outcome("delivered") == 1_500, "{done:?}");
    Ok(())
}

pub(crate) async fn the_rate_that_a_handshake_allows_is_kept_to(world: &World) -> Result<()> {
    let campaign = world.campaign("/rate/120/handshake", json!({})).await?;
    let shaken = world.api()?.post(&format!("/webhooks/{}/handshake", campaign.webhook), &json!({})).await?;
    ensure!(shaken["requests_per_minute"] == 120, "{shaken}");
    let run = world.start(&campaign, world.crowd.inline_audience(0..20)).await?;
    let run = world.api()?.run_over(&run, LONG).await?;
    ensure!(run.outcome("delivered") == 20, "{run:?}");
    let seen = world.receiver.stats(&campaign.path);
    let took = seen.last - seen.first;
    ensure!(took >= 9_000, "19 intervals of half a second took {took} ms");
    ensure!(seen.per_second.values().all(|requests| *requests <= 3), "{:?}", seen.per_second);
    Ok(())
}
