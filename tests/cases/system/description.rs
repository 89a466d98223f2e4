//! The deployed API, held to its own description by a tester that makes up requests from it.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use fanhook_tests::api::Api;
use serde::Deserialize;
use serde_json::{Value, json};
use stack::{Person, Project};
use tokio::task::spawn_blocking;

use crate::world::{SHORT, World};

/// A workspace of its own: what is made in it is in nobody's way.
const WORKSPACE: &str = "made-up";
/// Recipients of a run that lasts as long as the tester, at one a second.
const LASTING: u64 = 1_200;
/// Fewest requests that are made up.
const REQUESTS: u64 = 2_000;
/// What is asked of every answer: no fault of ours, and nothing that the description does not say.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method,\
                      ignored_auth,use_after_free";

/// What the tester is given to begin with: an object of its own for each operation that takes one, so that none is in another's way.
struct Given<'a> {
    world: &'a World,
    api: &'a Api<'a>,
    /// A file of users whom nobody knows an ID of, and one whose run lasts.
    uploads: [String; 2],
    /// Runs that are under way.
    live: Vec<String>,
}

impl<'a> Given<'a> {
    async fn new(world: &'a World, api: &'a Api<'a>) -> Result<Self> {
        let unknown = api.upload("audience", b"a\nb\nc\n".to_vec()).await?;
        let lasting = api.upload("audience", world.crowd.inline_audience(0..LASTING)).await?;
        Ok(Self { world, api, uploads: [unknown, lasting], live: Vec::new() })
    }

    /// Writes into the description, as examples, what the tester is to use first.
    async fn show(&mut self, description: &mut Value) -> Result<()> {
        let schemas = description["components"]["schemas"].take();
        for (path, methods) in description["paths"].as_object_mut().context("there are no paths")? {
            for operation in methods.as_object_mut().context("there are no methods")?.values_mut() {
                let name = operation["operationId"].as_str().context("it has no name")?.to_owned();
                let mut values = self.values(path, &name).await?;
                for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
                    let known = parameter["name"].as_str().and_then(|name| values.get_mut(name));
                    if let Some(value) = known {
                        parameter["example"] = value.take();
                    }
                }
                if let Some(body) = operation.pointer_mut("/requestBody/content/application~1json") {
                    body["example"] = example(&schemas, &body["schema"], &values["body"]);
                }
            }
        }
        description["components"]["schemas"] = schemas;
        Ok(())
    }

    /// The values of an operation's parameters, and in `body` of its body's members.
    async fn values(&mut self, path: &str, operation: &str) -> Result<Value> {
        let mut values =
            json!({"If-Match": "*", "Idempotency-Key": operation, "code": "MOBILE", "person": "nobody"});
        let id = match path.split('/').nth(1).filter(|_| path.contains("{id}")) {
            Some("webhooks") => {
                let id = self.webhook(operation).await?;
                let grant = json!({"to": {"person": "nobody"}});
                values["grant"] =
                    self.api.post(&format!("/webhooks/{id}/grants"), &grant).await?["id"].take();
                id
            }
            Some("pushes") => self.api.push(operation, &self.webhook(operation).await?).await?,
            Some("runs") => self.run(operation).await?,
            Some("uploads") => self.uploads[0].clone(),
            Some("parameter-sources") => {
                let value = json!({"kind": "constant", "type": "character", "text": "B10"});
                let source = json!({"name": operation, "value": value});
                id(&self.api.post("/parameter-sources", &source).await?)?
            }
            _ => String::new(),
        };
        if !id.is_empty() {
            values["id"] = json!(id);
        }
        values["body"] = match operation {
            "create_push" => json!({"webhook": self.webhook(operation).await?}),
            "replace_push" => self
                .api
                .get(&format!("/pushes/{id}"))
                .await
                .map(|push| json!({"webhook": push["webhook"]}))?,
            "replace_webhook" | "replace_parameter_source" => json!({"name": operation}),
            "start_run" => json!({"uploads": [self.uploads[0]], "confirm_untested": true}),
            // What is paused goes on without one.
            "resume_run" => Value::Null,
            _ => json!({}),
        };
        match operation {
            "delete_id_type" => values["code"] = json!("MAC"),
            "read_profile" => {
                let item = json!({"qaid": "reader", "source": "crm", "ids": {}, "tags": {"name": "Ann"}});
                self.api.post("/profiles", &json!({"items": [item]})).await?;
                values["qaid"] = json!("reader");
            }
            _ => {}
        }
        Ok(values)
    }

    async fn webhook(&self, name: &str) -> Result<String> {
        let url = self.world.receiver.url("/made-up");
        let more = json!({"limits": {"requests_per_second": 1}});
        self.api.webhook(&format!("{name} of the tester"), &url, more).await.map(|webhook| webhook.id)
    }

    /// A run that an operation can be done with: one that has ended with failures, one that is under way, one that is paused.
    async fn run(&mut self, operation: &str) -> Result<String> {
        let webhook = self.webhook(operation).await?;
        let push = self.api.push(operation, &webhook).await?;
        if ["read_run", "list_failures"].contains(&operation) {
            let run = self.api.start(&push, &self.uploads[0]).await?;
            let over = self.api.run_over(&run, SHORT).await?;
            ensure!(over.outcome("no_id") == 3, "there is no failure to be listed: {over:?}");
            return Ok(run);
        }
        self.api.state_consent(&webhook).await?;
        let run = self.api.start(&push, &self.uploads[1]).await?;
        self.live.push(run.clone());
        if operation == "resume_run" {
            self.api.control(&run, "pause", None).await?.success("a pause")?;
        }
        Ok(run)
    }
}

/// A body as its schema has one, with other members laid over it; none where there is to be none.
fn example(schemas: &Value, schema: &Value, members: &Value) -> Value {
    let Some(members) = members.as_object() else { return Value::Null };
    let schema = schema["oneOf"].get(0).unwrap_or(schema);
    let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let mut example = schemas[name]["example"].clone();
    for (name, value) in members {
        example[name] = value.clone();
    }
    example
}

/// The identifier of what was made.
fn id(made: &Value) -> Result<String> {
    Ok(made["id"].as_str().context("it has no identifier")?.to_owned())
}

pub(crate) async fn no_made_up_request_gets_an_answer_that_is_not_described(world: &World) -> Result<()> {
    let token = world.stack.token(&Person::organization_admin(WORKSPACE)).await?;
    let api = Api::with_token(&world.stack, token)?;
    let mut given = Given::new(world, &api).await?;
    let tested = test(&mut given).await;
    // If the tester has not: they are in the way of who comes next. What that answers is of no interest.
    for run in &given.live {
        api.control(run, "cancel", None).await?;
    }
    tested
}

async fn test(given: &mut Given<'_>) -> Result<()> {
    let project = Project::find()?;
    let mut described: Value = serde_json::from_slice(&fs::read(project.root().join("docs/openapi.json"))?)?;
    given.show(&mut described).await?;
    let folder = tempfile::tempdir()?;
    let [description, report, events] =
        ["openapi.json", "report.json", "events.ndjson"].map(|name| folder.path().join(name));
    fs::write(&description, described.to_string())?;
    let outputs = given.world.stack.outputs();
    let mut tester = Command::new(project.program("schemathesis", "st")?);
    tester
        .arg("run")
        .arg(&description)
        .args(["--url", &outputs.api, "--header", &format!("Host: {}", outputs.api_host)])
        .args(["--header", &format!("Authorization: Bearer {}", given.api.token())])
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
    check_done(&operations(&described), &done(&events)?)
}

/// Checks that each operation was done once at least.
fn check_done(all: &BTreeSet<String>, done: &BTreeSet<String>) -> Result<()> {
    ensure!(!all.is_empty(), "the description has no operations");
    let missing: Vec<&str> = all.difference(done).map(String::as_str).collect();
    ensure!(
        missing.is_empty(),
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
