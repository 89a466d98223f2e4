//! The deployed API, held to its own description by a tester that makes up requests from it.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use stack::{Person, Project};
use tokio::task::spawn_blocking;

use crate::world::World;

/// A workspace of its own: what is made in it is in nobody's way.
const WORKSPACE: &str = "made-up";
/// Fewest requests that are made up.
const REQUESTS: u64 = 2_000;
/// What is asked of every answer: no fault of ours, and nothing that the description does not say.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method,\
                      ignored_auth,use_after_free";
pub(crate) async fn no_made_up_request_gets_an_answer_that_is_not_described(world: &World) -> Result<()> {
    let project = Project::find()?;
    let token = world.stack.token(&Person::organization_admin(WORKSPACE)).await?;
    let folder = tempfile::tempdir()?;
    let (report, events) = (folder.path().join("report.json"), folder.path().join("events.ndjson"));
    let description = project.root().join("docs/openapi.json");
    let outputs = world.stack.outputs();
    let mut tester = Command::new(project.program("schemathesis", "st")?);
    tester
        .arg("run")
        .arg(&description)
        .args(["--url", &outputs.api, "--header", &format!("Host: {}", outputs.api_host)])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        // One that is made up names no workspace of the caller, and the request would end there.
        .args(["--header", &format!("fanhook-workspace: {WORKSPACE}")])
        .args(["--checks", CHECKS, "--seed", "1", "--max-examples", "10", "--workers", "1"])
        .args([
            "--continue-on-failure",
            "--no-shrink",
            "--no-color",
            "--report",
            "json",
            "--report-json-path",
        ])
        .arg(&report)
        .arg("--report-ndjson-path")
        .arg(&events)
        .current_dir(folder.path())
        .stdin(Stdio::null());
    let output = spawn_blocking(move || tester.output()).await?.context("the tester does not start")?;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "answers are not as they are described:\n{told}");
    let report: Value = serde_json::from_slice(&fs::read(&report)?)?;
    let cases = &report["test_cases"];
    let checked = cases["generated"].as_u64().unwrap_or_default()
        - cases["without_checks"].as_u64().unwrap_or_default();
    ensure!(checked >= REQUESTS, "only {checked} requests were checked:\n{told}");
    ensure!(report["operations"]["tested"] == report["operations"]["total"], "{}", report["operations"]);
    check_done(&operations(&serde_json::from_slice(&fs::read(&description)?)?), &done(&events)?)
}

/// Checks that half of the operations were done once at least, so that the tester was let in and what it made was found again. It makes its
/// requests up by chance: which operations it gets done is no demand, and the tests of `config` hold the answers of all to the description.
fn check_done(all: &BTreeSet<String>, done: &BTreeSet<String>) -> Result<()> {
    ensure!(!all.is_empty(), "the description has no operations");
    let missing: Vec<&str> = all.difference(done).map(String::as_str).collect();
    ensure!(
        missing.len() * 2 <= all.len(),
        "none of the requests for these operations was answered with 2xx:\n    {}",
        missing.join("\n    ")
    );
    Ok(())
}

/// The operations of the description, as in `GET /webhooks/{id}`.
fn operations(description: &Value) -> BTreeSet<String> {
    let paths = description["paths"].as_object().into_iter().flatten();
    let named = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, _)| format!("{} {path}", method.to_uppercase()))
    });
    named.collect()
}

/// A line of the tester's log, as far as it is read here: requests and answers stand in those of scenarios.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "ScenarioFinished")]
    scenario: Option<Scenario>,
}

#[derive(Deserialize)]
struct Scenario {
    recorder: Recorder,
}

/// Requests and answers by the identifier of a request.
#[derive(Deserialize)]
struct Recorder {
    #[serde(default)]
    cases: HashMap<String, Node>,
    #[serde(default)]
    interactions: HashMap<String, Interaction>,
}

#[derive(Deserialize)]
struct Node {
    value: Asked,
}

/// The method that was really used, and the path as it is described.
#[derive(Deserialize)]
struct Asked {
    method: String,
    path: String,
}

#[derive(Deserialize)]
struct Interaction {
    response: Option<Answered>,
}

#[derive(Deserialize)]
struct Answered {
    status_code: u16,
}

/// The operations that were answered with 2xx by the tester's log of events.
fn done(events: &Path) -> Result<BTreeSet<String>> {
    let mut done = BTreeSet::new();
    for line in BufReader::new(File::open(events)?).lines() {
        let event: Event =
            serde_json::from_str(&line?).context("the tester's events are written otherwise")?;
        let Some(Scenario { recorder }) = event.scenario else { continue };
        for (case, interaction) in &recorder.interactions {
            let status = interaction.response.as_ref().map_or(0, |answer| answer.status_code);
            if let Some(Node { value }) = recorder.cases.get(case)
                && (200..300).contains(&status)
            {
                done.insert(format!("{} {}", value.method, value.path));
            }
        }
    }
    Ok(done)
}
