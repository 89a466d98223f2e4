//! `make demo`: an audience of 10,000 through a coupon CRM, on this machine, told as it goes.

mod receiver;
mod show;

use std::{
    net::{Ipv4Addr, TcpListener},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use fanhook_tests::{
    api::{Api, Run},
    crowd::{Crowd, SOURCES},
};
use reqwest::Method;
use serde_json::json;
use stack::{Options, Project, Seen, Stack, tools, until};

use self::{
    receiver::Crm,
    show::{Outcome, done, progress, say},
};

/// Users of the audience; the profiles are as many.
const USERS: u64 = 10_000;
const STACK: &str = "main";
/// Below the ports that systems give out, so that they are free as a rule.
const STACK_PORT: u16 = 4566;
const CRM_PORT: u16 = 4577;
const WORKSPACE: &str = "demo";
/// Most time that the import, and that the run may take.
const BOUND: Duration = Duration::from_mins(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match demo().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("\nThe demo failed: {error:#}"));
            say(&format!(
                "What the functions say: .stack/{STACK}/logs/. To begin anew: `make down`, then `make demo`."
            ));
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<()> {
    say("Fanhook: 10,000 users through a coupon CRM, on this machine alone.\n");
    let (stack, crm) = up().await?;
    let api = Api::new(&stack, WORKSPACE).await?;
    let crowd = Crowd::new(1);

    say("3  Profiles: 10,000 users, from two sources, in five scripts of writing");
    api.put("/sources", &json!({ "items": SOURCES })).await?;
    for (source, file) in SOURCES.iter().zip([crowd.crm_file(0..USERS), crowd.shop_file(0..USERS)]) {
        let upload = api.upload("profiles", file).await?;
        import(&api, &upload, source).await?;
    }

    say("4  An audience of 10,000, a webhook to the CRM, and a push: \"Dear ${name}, …\"");
    let upload = api.upload("audience", crowd.audience(0..USERS)).await?;
    // Names are unique in a workspace, and this stack may have seen a demo before.
    let tag = upload.get(upload.len() - 6..).unwrap_or(&upload);
    let path = format!("/crm/{tag}");
    let webhook = api.webhook(&format!("Coupons {tag}"), &crm.url(&path), json!({})).await?;
    crm.trust(&path, &webhook.secret).await?;
    let push = api.push(&format!("Autumn coupons {tag}"), &webhook.id).await?;

    say("5  The CRM is asked whether it agrees, and gets one message as a test");
    handshake(&api, &webhook.id).await?;
    test_send(&api, &push).await?;
    let before = crm.stats(&path).await?;

    say(
        "6  The run: each user gets one message, or the reason why not. The CRM is busy for one in twenty at first",
    );
    let start = Instant::now();
    let run = start_run(&api, &push, &upload).await?;
    let run = follow(&api, &run).await?;
    let seconds = start.elapsed().as_secs_f64();

    let seen = crm.stats(&path).await?.since(&before);
    show::table(&run, &seen, seconds);
    show::next(&stack, &api, STACK, WORKSPACE, &run, &push);
    let outcome = Outcome::new(USERS, &run, &seen, seconds);
    say(&serde_json::to_string(&outcome)?);
    stack.leave();
    let faults = outcome.faults();
    if faults.is_empty() { Ok(()) } else { bail!("it does not add up: {}", faults.join("; ")) }
}

/// The stack, and the CRM beside it.
async fn up() -> Result<(Stack, Crm)> {
    let project = Project::find()?;
    say("1  Tools: a local AWS and the SAM CLI, in .venv/");
    let tools = tokio::task::spawn_blocking({
        let project = project.clone();
        move || tools::setup(&project).map(drop)
    });
    tools
        .await?
        .context("the tools can't be installed; `python3` with `venv` and a way to PyPI are needed")?;

    say("2  The stack: template.yaml, deployed to the local AWS");
    let folder = project.stack_folder(STACK);
    let stack = match Stack::attach(STACK) {
        Ok(stack) => {
            let allowed = stack.parameters.get("AllowedEndpoints").map_or("", String::as_str);
            for endpoint in allowed.split(',').filter(|endpoint| !endpoint.is_empty()) {
                if let Some(crm) = Crm::find(endpoint).await {
                    say("   it runs already");
                    return Ok((stack, crm));
                }
            }
            let port = port(CRM_PORT)?;
            let parameters = [("AllowedEndpoints".to_owned(), format!("127.0.0.1:{port}"))];
            let stack = stack.deploy_again(parameters.into()).await?;
            return Ok((stack, Crm::start(&project, &folder, port).await?));
        }
        Err(_) => Options::named(STACK),
    };
    let crm = port(CRM_PORT)?;
    let mut options = stack.with("AllowedEndpoints", format!("127.0.0.1:{crm}"));
    options.port = port(STACK_PORT)?;
    let stack = Stack::start(options).await.context("the stack can't be started")?;
    let crm = Crm::start(&project, &folder, crm).await?;
    Ok((stack, crm))
}

/// The port that is wanted, or a free one where it is taken.
fn port(wanted: u16) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(listener.local_addr()?.port())
}

async fn import(api: &Api<'_>, upload: &str, source: &str) -> Result<()> {
    let start = Instant::now();
    let stored = until("the profiles to be imported", BOUND, async || {
        let seen = api.get(&format!("/uploads/{upload}")).await?;
        let stored = seen["counts"]["stored"].as_u64().unwrap_or_default();
        progress(&format!("   {source}: {stored} stored, {:.0} s", start.elapsed().as_secs_f64()));
        match seen["state"].as_str() {
            Some("imported") => Ok(Seen::Yes(stored)),
            Some("failed") => bail!("the import failed: {}", seen["failure"]),
            _ => Ok(Seen::NotYet(seen.to_string())),
        }
    })
    .await?;
    done(&format!("   {source}: {stored} stored in {:.1} s", start.elapsed().as_secs_f64()));
    Ok(())
}

/// The handshake: without it, a run has at most 1,000 recipients.
async fn handshake(api: &Api<'_>, webhook: &str) -> Result<()> {
    let shaken = api.post(&format!("/webhooks/{webhook}/handshake"), &json!({})).await?;
    show::handshake(&shaken);
    if shaken["allowed"] != true {
        bail!("the CRM does not agree: {}", shaken["failure"]);
    }
    Ok(())
}

/// A test send that passes: without it, a run has at most 100 recipients. The CRM is busy for one message in twenty.
async fn test_send(api: &Api<'_>, push: &str) -> Result<()> {
    let path = format!("/pushes/{push}/test");
    let id = json!({"type": "MOBILE", "value": "+4915112345678"});
    let input = json!({"id": id, "variables": {"name": "Ann", "city": "Ulm"}});
    until("a test send to pass", Duration::from_secs(30), async || {
        // One a second.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let log = api.call(Method::POST, &path, &[("accept", "text/plain")], Some(&input)).await?;
        let text = log.success(&path)?.as_str().unwrap_or_default().to_owned();
        if text.contains("(delivered)") {
            show::log(&text);
            return Ok(Seen::Yes(()));
        }
        Ok(Seen::NotYet(text))
    })
    .await
}

/// Starts the run: its webhook has passed a test, and its endpoint agrees.
async fn start_run(api: &Api<'_>, push: &str, upload: &str) -> Result<String> {
    let (path, body) = (format!("/pushes/{push}/runs"), json!({"uploads": [upload]}));
    let answer = api.call(Method::POST, &path, &[("idempotency-key", upload)], Some(&body)).await?;
    let run = answer.success("the start of the run")?;
    Ok(run["id"].as_str().context("a run without an identifier")?.to_owned())
}

/// Shows how far a run is, until it is over.
async fn follow(api: &Api<'_>, run: &str) -> Result<Run> {
    let start = Instant::now();
    let over = api
        .run_until(run, "over", BOUND, |run| {
            progress(&format!(
                "   {:>6} of {USERS} users, {} delivered, {:.0} s",
                run.sum(),
                run.outcome("delivered"),
                start.elapsed().as_secs_f64()
            ));
            ["finished", "cancelled", "expired", "failed"].contains(&run.state.as_str())
        })
        .await?;
    done(&format!("   {} users in {:.1} s", over.sum(), start.elapsed().as_secs_f64()));
    if over.state != "finished" {
        bail!("the run has not finished: {over:?}");
    }
    Ok(over)
}
