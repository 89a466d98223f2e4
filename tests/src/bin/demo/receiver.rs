//! The coupon CRM: a process of its own beside the stack, so that there is somebody to send to after the demo. It ends with the stack.

use std::{
    fs::File,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use reqwest::Client;
use serde::Deserialize;
use stack::{Project, Seen, until};

/// What the CRM has seen at a path.
#[derive(Debug, Deserialize)]
pub(crate) struct Stats {
    /// Requests.
    pub(crate) received: u64,
    /// Distinct `webhook-id`s that were answered 2xx.
    pub(crate) unique: u64,
    /// Requests under a `webhook-id` that was answered 2xx before.
    pub(crate) duplicates: u64,
    /// Requests whose signature did not verify.
    pub(crate) bad_signatures: u64,
}

impl Stats {
    /// What it has seen since.
    pub(crate) fn since(self, before: &Self) -> Self {
        Self {
            received: self.received - before.received,
            unique: self.unique - before.unique,
            duplicates: self.duplicates - before.duplicates,
            bad_signatures: self.bad_signatures - before.bad_signatures,
        }
    }
}

/// The CRM, as it is spoken to by HTTP.
pub(crate) struct Crm {
    http: Client,
    /// Host and port.
    endpoint: String,
}

impl Crm {
    /// The CRM at that endpoint, if one answers there.
    pub(crate) async fn find(endpoint: &str) -> Option<Self> {
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().ok()?;
        let crm = Self { http, endpoint: endpoint.to_owned() };
        crm.stats("/crm").await.ok().map(|_| crm)
    }

    /// Starts one at that port, for as long as the stack of that folder runs.
    pub(crate) async fn start(project: &Project, folder: &Path, port: u16) -> Result<Self> {
        let log = File::create(folder.join("logs").join("receiver.log"))?;
        let mut child = Command::new(project.binary("receiver")?)
            .args(["--port", &port.to_string(), "--with"])
            .arg(folder.join("emulator.json"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C at the terminal is for the demo alone.
            .process_group(0)
            .spawn()
            .context("the receiver does not start")?;
        let endpoint = format!("127.0.0.1:{port}");
        until("the receiver to answer", Duration::from_secs(10), async || {
            if let Some(status) = child.try_wait()? {
                bail!("the receiver ended with {status}; is port {port} taken?");
            }
            Ok(Self::find(&endpoint).await.map_or_else(|| Seen::NotYet("no answer".to_owned()), Seen::Yes))
        })
        .await
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.endpoint)
    }

    /// Tells it what the messages to a path are signed with.
    pub(crate) async fn trust(&self, path: &str, secret: &str) -> Result<()> {
        let put = self.http.put(self.url(&format!("/secrets{path}"))).body(secret.to_owned());
        let status = put.send().await.context("the receiver does not answer")?.status();
        if !status.is_success() {
            bail!("the receiver does not take the secret: {status}");
        }
        Ok(())
    }

    /// What it has seen at a path.
    #[expect(clippy::disallowed_methods, reason = "the answers are our own")]
    pub(crate) async fn stats(&self, path: &str) -> Result<Stats> {
        let answer = self.http.get(self.url(&format!("/stats{path}"))).send().await;
        let text = answer.context("the receiver does not answer")?.text().await?;
        serde_json::from_str(&text)
            .with_context(|| format!("what answers at {} is no receiver", self.endpoint))
    }
}
