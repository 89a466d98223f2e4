//! The deployed API, held to its own description by a tester that makes up requests from it.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
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
    let report = folder.path().join("report.json");
    let outputs = world.stack.outputs();
    let mut tester = Command::new(project.program("schemathesis", "st")?);
    tester
        .arg("run")
        .arg(project.root().join("docs/openapi.json"))
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
    Ok(())
}
