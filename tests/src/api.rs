//! A client of the HTTP API, as a customer's program would have one.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::{Value, json};
use stack::{Person, Seen, Stack, until};

use crate::crowd;

/// A caller of the API in one workspace.
#[derive(Clone)]
pub struct Api<'a> {
    stack: &'a Stack,
    http: Client,
    token: String,
}

/// What the API answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The JSON; `null` where there was none.
    pub body: Value,
}

impl Answer {
    /// The body of an answer that is to be a success.
    pub fn success(self, what: &str) -> Result<Value> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        bail!("{what}: {} {}", self.status, self.body)
    }

    /// The `code` of a problem.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// A webhook that was made.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its identifier.
    pub id: String,
    /// What its messages are signed with.
    pub secret: String,
}

impl<'a> Api<'a> {
    /// A client for an organization administrator of a workspace, who is made if need be.
    pub async fn new(stack: &'a Stack, workspace: &str) -> Result<Self> {
        let token = stack.token(&Person::organization_admin(workspace)).await?;
        Self::with_token(stack, token)
    }

    /// A client with a token that there is already.
    pub fn with_token(stack: &'a Stack, token: String) -> Result<Self> {
        Ok(Self { stack, http: Client::builder().no_proxy().build()?, token })
    }

    /// The caller's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Calls a route and gives back whatever it answers.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer> {
        let mut request = self.stack.api(method, path).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.with_context(|| format!("{path} was not answered"))?;
        let status = response.status().as_u16();
        let text = text(response).await?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Ok(Answer { status, body })
    }

    /// `GET`; anything but a success is an error.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, &[], None).await?.success(path)
    }

    /// `POST`; anything but a success is an error.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::POST, path, &[], Some(body)).await?.success(path)
    }

    /// `PUT`; anything but a success is an error.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::PUT, path, &[], Some(body)).await?.success(path)
    }

    /// Uploads a file of a kind, `audience` or `profiles`, and gives its upload ID.
    pub async fn upload(&self, kind: &str, file: Vec<u8>) -> Result<String> {
        let upload = self.post("/uploads", &json!({ "kind": kind })).await?;
        let url = upload["upload"]["url"].as_str().context("no address to put the file to")?;
        let answer = self.http.put(url).body(file).send().await.context("the file was not taken")?;
        let status = answer.status();
        if !status.is_success() {
            bail!("the file was not taken: {status}: {}", text(answer).await?);
        }
        id(&upload)
    }

    /// How far the import of a profile file is: `state`, `counts`.
    pub async fn imported(&self, upload: &str, bound: Duration) -> Result<Value> {
        until("the profiles to be imported", bound, async || {
            let seen = self.get(&format!("/uploads/{upload}")).await?;
            match seen["state"].as_str() {
                Some("imported") => Ok(Seen::Yes(seen)),
                Some("failed") => bail!("the import failed: {seen}"),
                _ => Ok(Seen::NotYet(seen.to_string())),
            }
        })
        .await
    }

    /// Makes a webhook that sends `{"member":"{id}","text":"{text}"}`, signed; `more` is laid over its fields.
    pub async fn webhook(&self, name: &str, url: &str, more: Value) -> Result<Webhook> {
        let mut webhook = json!({
            "name": name,
            "content": {
                "url": url,
                "parameters": [{"name": "text", "type": "text", "required": true}],
                "body": {"kind": "json", "template": r#"{"member":"{id}","type":"{id_type}","text":"{text}"}"#},
            },
            "id_types": ["MOBILE"],
            "signing": {"kind": "standard_webhooks"},
        });
        merge(&mut webhook, more);
        let made = self.post("/webhooks", &webhook).await?;
        let secret =
            made["signing"]["secret"].as_str().or(webhook["signing"]["secret"].as_str()).unwrap_or_default();
        Ok(Webhook { id: id(&made)?, secret: secret.to_owned() })
    }

    /// States that a webhook's endpoint may be sent to.
    pub async fn state_consent(&self, webhook: &str) -> Result<()> {
        let statement = json!({"text": "It runs beside the tests, for them alone."});
        self.post(&format!("/webhooks/{webhook}/consent"), &statement).await.map(drop)
    }

    /// Makes a push of [`crowd::TEXT`] through a webhook.
    pub async fn push(&self, name: &str, webhook: &str) -> Result<String> {
        let push = json!({
            "name": name,
            "webhook": webhook,
            "content": {
                "id_types": ["MOBILE"],
                "values": {"text": crowd::TEXT},
                "variables": [
                    {"name": "name", "source": {"tag": "name"}, "when_empty": {"default": crowd::DEFAULT_NAME}},
                    {"name": "city", "source": {"tag": "city"}, "when_empty": "skip_user"},
                ],
            },
        });
        id(&self.post("/pushes", &push).await?)
    }

    /// Asks for a run of a push over uploaded files; its webhook need not have passed a test.
    pub async fn ask_for_run(&self, push: &str, uploads: &[String], key: &str) -> Result<Answer> {
        let path = format!("/pushes/{push}/runs");
        let body = json!({"uploads": uploads, "confirm_untested": true});
        self.call(Method::POST, &path, &[("idempotency-key", key)], Some(&body)).await
    }

    /// Starts a run of a push over one uploaded file, and gives its ID.
    pub async fn start(&self, push: &str, upload: &str) -> Result<String> {
        let answer = self.ask_for_run(push, &[upload.to_owned()], &format!("{push} {upload}")).await?;
        id(&answer.success("the start of a run")?)
    }

    /// A run as it is now.
    pub async fn run(&self, run: &str) -> Result<Run> {
        Ok(serde_json::from_value(self.get(&format!("/runs/{run}")).await?)?)
    }

    /// `pause`, `resume` or `cancel`.
    pub async fn control(&self, run: &str, action: &str, body: Option<&Value>) -> Result<Answer> {
        self.call(Method::POST, &format!("/runs/{run}/{action}"), &[], body).await
    }

    /// Waits until a run is as wanted, and lets `dispatch` look meanwhile, as each minute would.
    pub async fn run_until(
        &self,
        run: &str,
        what: &str,
        bound: Duration,
        mut wanted: impl FnMut(&Run) -> bool,
    ) -> Result<Run> {
        until(&format!("the run to be {what}"), bound, async || {
            let seen = self.run(run).await?;
            if wanted(&seen) {
                return Ok(Seen::Yes(seen));
            }
            let answer = self.stack.invoke("dispatch", &json!({})).await?;
            if answer.failed {
                bail!("dispatch failed: {}", answer.payload);
            }
            Ok(Seen::NotYet(format!("{seen:?}")))
        })
        .await
    }

    /// Waits until a run has come to its end.
    pub async fn run_over(&self, run: &str, bound: Duration) -> Result<Run> {
        let over = |run: &Run| ["finished", "cancelled", "expired", "failed"].contains(&run.state.as_str());
        self.run_until(run, "over", bound, over).await
    }
}

/// A run, as far as it is looked at here.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    /// Its identifier.
    pub id: String,
    /// Its state, as in `running`.
    pub state: String,
    /// Recipients by outcome.
    #[serde(default)]
    pub outcomes: BTreeMap<String, u64>,
    /// Recipients by reason.
    #[serde(default)]
    pub reasons: BTreeMap<String, u64>,
    /// Recipients read so far.
    #[serde(default)]
    pub recipients: u64,
    /// Why it failed.
    #[serde(default)]
    pub failure: Option<String>,
    /// The parts of its audience.
    #[serde(default)]
    pub parts: Vec<Part>,
}

/// A part of a run's audience: one file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Part {
    /// Recipients read so far.
    pub recipients: u64,
    /// Lines read so far.
    pub lines: u64,
    /// Rows that could not be read.
    pub bad_rows: u64,
    /// Users met again.
    pub duplicates: u64,
    /// Blank lines.
    pub blanks: u64,
    /// Header lines.
    pub headers: u64,
    /// Why it can't be read on.
    pub failure: Option<String>,
}

impl Run {
    /// Recipients with that outcome.
    pub fn outcome(&self, name: &str) -> u64 {
        self.outcomes.get(name).copied().unwrap_or_default()
    }

    /// Recipients with any outcome.
    pub fn sum(&self) -> u64 {
        self.outcomes.values().sum()
    }
}

/// The identifier of what was made.
fn id(made: &Value) -> Result<String> {
    Ok(made["id"].as_str().with_context(|| format!("no id in {made}"))?.to_owned())
}

/// Lays one JSON value over another, object by object.
fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                merge(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

#[expect(clippy::disallowed_methods, reason = "the answers are our own")]
async fn text(response: reqwest::Response) -> Result<String> {
    Ok(response.text().await?)
}
