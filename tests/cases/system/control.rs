//! Start, pause, resume, cancel, and who may see a run.

use std::{
    collections::{BTreeMap, HashMap},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use fanhook_tests::{api::Api, harness::say};
use reqwest::Method;
use serde_json::{Value, json};
use stack::{Seen, until};

use crate::world::{Campaign, LONG, SHORT, World};

/// Users of the runs that are stopped under way.
const USERS: u64 = 20_000;
/// How long after the answer a request may still start, in milliseconds.
const GRACE: u64 = 2_000;

pub(crate) async fn a_start_that_is_repeated_starts_once(world: &World) -> Result<()> {
    let campaign = world.campaign("/status/200/once", json!({})).await?;
    let api = world.api()?;
    let upload = api.upload("audience", world.crowd.inline_audience(0..100)).await?;
    let other = api.upload("audience", world.crowd.inline_audience(0..200)).await?;
    let uploads = [upload];
    let ask = || api.ask_for_run(&campaign.push, &uploads, "once");
    let (one, two, three, four) = tokio::try_join!(ask(), ask(), ask(), ask())?;
    let id = one.body["id"].as_str().context("no run")?.to_owned();
    for answer in [one, two, three, four] {
        ensure!(answer.body["id"] == id.as_str(), "another run: {answer:?}");
    }
    let run = api.run_over(&id, SHORT).await?;
    ensure!(run.outcome("delivered") == 100 && run.sum() == 100, "{run:?}");
    ensure!(ask().await?.body["id"] == id.as_str(), "a repeat after the end started anew");
    let answer = api.ask_for_run(&campaign.push, &[other], "once").await?;
    ensure!(answer.status == 409 && answer.code() == "idempotency_key_reused", "{answer:?}");
    ensure!(world.receiver.stats(&campaign.path).received == 100);
    Ok(())
}

pub(crate) async fn another_workspace_sees_nothing_of_a_run(world: &World) -> Result<()> {
    let campaign = world.campaign("/status/200/ours", json!({})).await?;
    let run = world.start(&campaign, world.crowd.inline_audience(0..10)).await?;
    world.api()?.run_over(&run, SHORT).await?;
    let other = Api::new(&world.stack, "globex").await?;
    let unknown = "run_00000000000070008000000000000000";
    for (method, rest) in [
        (Method::GET, ""),
        (Method::GET, "/failures"),
        (Method::POST, "/pause"),
        (Method::POST, "/resume"),
        (Method::POST, "/cancel"),
    ] {
        let theirs = other.call(method.clone(), &format!("/runs/{run}{rest}"), &[], None).await?;
        let nobodys = other.call(method, &format!("/runs/{unknown}{rest}"), &[], None).await?;
        ensure!(theirs.status == 404, "{rest}: {theirs:?}");
        ensure!(theirs.body == nobodys.body, "{rest}: {theirs:?} tells more than {nobodys:?}");
    }
    let push = format!("/pushes/{}", campaign.push);
    ensure!(other.call(Method::GET, &push, &[], None).await?.status == 404);
    Ok(())
}

/// Starts a run and lets it come into the middle of its work.
async fn under_way(world: &World, campaign: &Campaign) -> Result<String> {
    let run = world.start(campaign, world.crowd.inline_audience(0..USERS)).await?;
    until("the run to be under way", SHORT, async || {
        let seen = world.receiver.stats(&campaign.path);
        Ok(if seen.received > 500 {
            Seen::Yes(())
        } else {
            Seen::NotYet(format!("{} requests", seen.received))
        })
    })
    .await?;
    Ok(run)
}

#[expect(clippy::disallowed_methods, reason = "compared with the receiver's clock")]
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Checks that no request came later than the grace after `answered`, once nothing works on the run any more.
async fn silent(world: &World, campaign: &Campaign, answered: u64) -> Result<()> {
    world.quiet().await?;
    let seen = world.receiver.stats(&campaign.path);
    let late = seen.last.saturating_sub(answered);
    ensure!(late <= GRACE, "a request came {late} ms after the answer");
    ensure!(seen.received < USERS, "the run was over before it was stopped");
    Ok(())
}

pub(crate) async fn after_a_pause_no_request_starts_and_a_resume_completes_the_run(
    world: &World,
) -> Result<()> {
    let campaign = world.campaign("/slow/50/pause", json!({"content": {"deadline_seconds": 3}})).await?;
    let run = under_way(world, &campaign).await?;
    let api = world.api()?;
    api.control(&run, "pause", None).await?.success("pause")?;
    let answered = now();
    silent(world, &campaign, answered).await?;
    ensure!(api.run(&run).await?.state == "paused");
    api.control(&run, "resume", None).await?.success("resume")?;
    let run = api.run_over(&run, LONG).await?;
    let seen = world.receiver.stats(&campaign.path);
    ensure!(run.state == "finished" && run.outcome("delivered") == USERS && run.sum() == USERS, "{run:?}");
    ensure!((seen.unique, seen.duplicates) == (USERS, 0), "{} taken, {} again", seen.unique, seen.duplicates);
    Ok(())
}

pub(crate) async fn after_a_cancel_no_request_starts_and_the_rest_is_cancelled(world: &World) -> Result<()> {
    let campaign = world.campaign("/slow/50/cancel", json!({"content": {"deadline_seconds": 3}})).await?;
    let run = under_way(world, &campaign).await?;
    let api = world.api()?;
    api.control(&run, "cancel", None).await?.success("cancel")?;
    let answered = now();
    let over = api.run_over(&run, LONG).await?;
    silent(world, &campaign, answered).await?;
    let seen = world.receiver.stats(&campaign.path);
    ensure!(over.state == "cancelled" && over.outcome("cancelled") > 0, "{over:?}");
    ensure!(over.outcome("delivered") == seen.unique, "{} taken: {over:?}", seen.unique);
    ensure!(over.sum() == over.recipients, "{over:?}");
    let objects = world.outcomes(&run).await?;
    let cancelled = objects.iter().filter(|line| line["outcome"] == "cancelled").count() as u64;
    ensure!(
        cancelled == over.outcome("cancelled"),
        "{cancelled} users stand as cancelled in outcome objects: {over:?}"
    );
    Ok(())
}

/// What one worker did for a run: an invocation, and a process does one at a time.
struct Work {
    /// First and last, in milliseconds of Unix time.
    begin: i64,
    end: i64,
    requests: u64,
}

/// What each worker did for a run, by the log of `deliver`; those who had nothing to send are left out.
fn work(log: &str, run: &str) -> Result<Vec<Work>> {
    let mut by_invocation: HashMap<String, Work> = HashMap::new();
    for line in log.lines() {
        // Metrics stand between the lines of the log, and the last line may be half written.
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let requests = line["requests"].as_u64().unwrap_or_default();
        if line["message"] != "chunk" || line["run"] != run || requests == 0 {
            continue;
        }
        let invocation = line["span"]["requestId"].as_str().context("a line names its invocation")?;
        let at = line["timestamp"].as_str().context("a line has a time")?;
        let end = DateTime::from_str(at, DateTimeFormat::DateTime)?.to_millis()?;
        let begin = end - line["ms"].as_i64().context("a line says how long it took")?;
        let work = by_invocation.entry(invocation.to_owned()).or_insert(Work { begin, end, requests: 0 });
        *work =
            Work { begin: work.begin.min(begin), end: work.end.max(end), requests: work.requests + requests };
    }
    Ok(by_invocation.into_values().collect())
}

/// Most workers that were at work at a time.
fn at_once(work: &[Work]) -> usize {
    let at = |time: i64| work.iter().filter(|one| one.begin <= time && time < one.end).count();
    work.iter().map(|one| at(one.begin)).max().unwrap_or_default()
}

/// How many workers have slots of a webhook's endpoint just now, and how many slots they have.
async fn sharing(world: &World, webhook: &str) -> Result<(usize, u64)> {
    let input = json!({
        "TableName": world.stack.outputs().ledger_table,
        "Key": {"pk": {"S": format!("endpoint#{webhook}")}, "sk": {"S": "endpoint"}},
        "ConsistentRead": true,
    });
    let answer = world.stack.call("DynamoDB_20120810.GetItem", &input).await?;
    let text = answer["Item"]["slots"]["S"].as_str().unwrap_or("{}");
    let slots: BTreeMap<String, (u64, u64)> =
        serde_json::from_str(text).with_context(|| format!("slots are written otherwise: {text}"))?;
    let now = now();
    let live: Vec<u64> =
        slots.into_values().filter(|(_, until)| *until > now).map(|(slots, _)| slots).collect();
    Ok((live.len(), live.iter().sum()))
}

pub(crate) async fn no_more_requests_are_under_way_than_the_endpoint_takes(world: &World) -> Result<()> {
    const USERS: u64 = 60_000;
    const BATCH: u64 = 50;
    // More than the ten requests of a chunk: a worker asks for as many as a chunk has, and leaves the rest to others.
    const LIMIT: u64 = 24;
    let body = json!({"template": r#"{"members":"{items}"}"#, "item": r#"["{id}","{text}"]"#});
    let more =
        json!({"content": {"body": body, "batch_size": BATCH}, "limits": {"requests_at_a_time": LIMIT}});
    let campaign = world.campaign("/slow/200/at-a-time", more).await?;
    let run = world.start(&campaign, world.crowd.inline_audience(0..USERS)).await?;
    let (mut sharers, api) = (0, world.api()?);
    let run = until("the run to end", LONG, async || {
        let (workers, slots) = sharing(world, &campaign.webhook).await?;
        ensure!(slots <= LIMIT, "{workers} workers have {slots} slots");
        sharers = sharers.max(workers);
        if world.stack.invoke("dispatch", &json!({})).await?.failed {
            bail!("dispatch failed");
        }
        let run = api.run(&run).await?;
        Ok(if run.state == "finished" { Seen::Yes(run) } else { Seen::NotYet(run.state) })
    })
    .await?;
    let seen = world.receiver.stats(&campaign.path);
    ensure!(run.outcome("delivered") == USERS && seen.received == USERS / BATCH, "{run:?}, {seen:?}");
    let workers = until("all requests to be in the log", SHORT, async || {
        let work = work(&world.log("deliver")?, &run.id)?;
        let told: u64 = work.iter().map(|work| work.requests).sum();
        Ok(if told < USERS / BATCH {
            Seen::NotYet(format!("{told} requests"))
        } else {
            Seen::Yes(at_once(&work))
        })
    })
    .await?;
    say(&format!("    {workers} workers sent at a time, {sharers} of them had slots at once"));
    ensure!(workers >= 2, "at most {workers} workers that sent something were at work at a time");
    ensure!(sharers >= 2, "the limit was never shared: at most {sharers} workers had slots at once");
    ensure!(seen.at_a_time <= LIMIT, "{} requests were under way at a time", seen.at_a_time);
    ensure!(seen.at_a_time >= LIMIT / 2, "{} requests were under way at a time", seen.at_a_time);
    Ok(())
}
