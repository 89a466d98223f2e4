//! What the cases share.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use fanhook_core::{
    id::RunId,
    recipient::{RecipientKey, delivery_id},
};
use fanhook_tests::{
    api::{Api, Run},
    bucket::Bucket,
    crowd::{Crowd, Meets, SOURCES},
    harness::say,
};
use receiver::{Fate, Receiver, fate};
use serde_json::{Value, json};
use stack::{Options, Stack};

/// Users whose profiles are imported.
pub(crate) const PROFILES: u64 = 100_000;
/// The workspace of the cases.
pub(crate) const WORKSPACE: &str = "acme";
/// Most time for what takes long.
pub(crate) const LONG: Duration = Duration::from_mins(10);
/// Most time for what is quick.
pub(crate) const SHORT: Duration = Duration::from_mins(2);

/// A deployed stack, a receiver, and a crowd whose profiles are imported.
pub(crate) struct World {
    pub(crate) stack: Stack,
    pub(crate) receiver: Receiver,
    pub(crate) crowd: Crowd,
    token: String,
    secrets: Mutex<Vec<String>>,
}

/// A push through a webhook to a path of the receiver.
pub(crate) struct Campaign {
    pub(crate) path: String,
    pub(crate) push: String,
    pub(crate) webhook: String,
}

impl World {
    pub(crate) async fn begin() -> Result<Self> {
        let receiver = Receiver::start(receiver::Options { port: 0, keep_bodies: true })?;
        let options = Options::named("system")
            .with("AllowedEndpoints", receiver.address().to_string())
            .with("DeliverTimeout", "20")
            .with("DeliverVisibility", "120")
            .with("DueAheadSeconds", "5")
            .with("StandStillSeconds", "5");
        let stack = Stack::start(options).await?;
        let crowd = Crowd::new(7);
        let token = {
            let api = Api::new(&stack, WORKSPACE).await?;
            api.put("/sources", &json!({ "items": SOURCES })).await?;
            import(&api, crowd).await.context("the profiles were not imported")?;
            api.token().to_owned()
        };
        Ok(Self { stack, receiver, crowd, token, secrets: Mutex::default() })
    }

    pub(crate) fn end(self) -> Result<()> {
        self.stack.stop()
    }

    /// The API, called by the administrator of the cases' workspace.
    pub(crate) fn api(&self) -> Result<Api<'_>> {
        Api::with_token(&self.stack, self.token.clone())
    }

    pub(crate) fn bucket(&self) -> Result<Bucket> {
        Bucket::new(&self.stack)
    }

    /// Makes a webhook to a path of the receiver, and a push through it; `more` is laid over the webhook's fields.
    pub(crate) async fn campaign(&self, path: &str, more: Value) -> Result<Campaign> {
        let api = self.api()?;
        let webhook = api.webhook(path, &self.receiver.url(path), more).await?;
        api.state_consent(&webhook.id).await?;
        self.receiver.trust(path, &webhook.secret)?;
        self.secrets().push(webhook.secret);
        let push = api.push(path, &webhook.id).await?;
        Ok(Campaign { path: path.to_owned(), push, webhook: webhook.id })
    }

    /// Uploads an audience, and starts a run over it.
    pub(crate) async fn start(&self, campaign: &Campaign, audience: Vec<u8>) -> Result<String> {
        let api = self.api()?;
        let upload = api.upload("audience", audience).await?;
        api.start(&campaign.push, &upload).await
    }

    /// The secrets of all webhooks so far.
    pub(crate) fn secrets(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a function has printed so far: nothing where it has not run yet.
    pub(crate) fn log(&self, function: &str) -> Result<String> {
        match fs::read(self.stack.log_file(function)?) {
            Ok(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error).with_context(|| format!("the log of {function} cannot be read")),
        }
    }

    /// The lines of a run's outcome objects.
    pub(crate) async fn outcomes(&self, run: &str) -> Result<Vec<Value>> {
        self.bucket()?.lines(&format!("outcomes/workspace={WORKSPACE}/run={run}/")).await
    }

    /// Checks a finished run of the crowd's users `0..users` to the last of them: the run's sums, the outcome objects, and what the CRM got.
    pub(crate) async fn check_crowd(&self, campaign: &Campaign, run: &Run, users: u64) -> Result<()> {
        let (mut texts, mut expected, mut busy) = (HashMap::new(), HashMap::new(), 0);
        for user in self.crowd.users(0..users) {
            let outcome = match user.meets {
                Meets::NoId => "no_id",
                Meets::EmptyValue => "empty_value",
                Meets::Message { mobile, text } => {
                    let id = webhook_id(&run.id, &user.qaid)?;
                    busy += u64::from(fate(&id) == Fate::BusyOnce);
                    if fate(&id) == Fate::Refused {
                        "refused"
                    } else {
                        texts.insert(id, json!({"member": mobile, "type": "MOBILE", "text": text}));
                        "delivered"
                    }
                }
            };
            expected.insert(user.qaid, outcome);
        }
        ensure!(run.state == "finished", "the run is {run:?}");
        for outcome in ["delivered", "no_id", "empty_value", "refused"] {
            let count = expected.values().filter(|known| **known == outcome).count() as u64;
            ensure!(run.outcome(outcome) == count, "{count} users are to be {outcome}: {run:?}");
        }
        ensure!(run.sum() == users, "the outcomes' sum is not {users}: {run:?}");

        let seen = self.receiver.stats(&campaign.path);
        ensure!(seen.bad_signatures == 0, "{} bad signatures", seen.bad_signatures);
        ensure!(seen.unique == run.outcome("delivered"), "{} messages were taken: {run:?}", seen.unique);
        let least = seen.unique + busy + run.outcome("refused");
        ensure!(seen.received >= least, "{} requests, {least} are needed", seen.received);
        let taken = self.receiver.taken(&campaign.path);
        for (id, wanted) in &texts {
            let body = taken.get(id).with_context(|| format!("{id} was not taken"))?;
            let body: Value = serde_json::from_slice(body)?;
            ensure!(body == *wanted, "{id}: {body} came, {wanted} is right");
        }
        self.check_objects(&run.id, &expected).await
    }

    /// Checks that each user stands in exactly one outcome object, with the expected outcome.
    async fn check_objects(&self, run: &str, expected: &HashMap<String, &str>) -> Result<()> {
        let mut seen = HashSet::new();
        for line in self.outcomes(run).await? {
            let qaid = line["qaid"].as_str().unwrap_or_default().to_owned();
            let wanted = expected.get(&qaid).with_context(|| format!("nobody knows the user of {line}"))?;
            ensure!(line["outcome"] == **wanted, "{line} is to be {wanted}");
            ensure!(seen.insert(qaid), "{line} stands there twice");
        }
        ensure!(
            seen.len() == expected.len(),
            "{} users of {} have an outcome object",
            seen.len(),
            expected.len()
        );
        Ok(())
    }

    /// Waits until nothing is in the deliver queue: nothing waits, and nothing is being worked on.
    pub(crate) async fn quiet(&self) -> Result<()> {
        let names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ];
        let input = json!({"QueueUrl": self.stack.outputs().deliver_queue_url, "AttributeNames": names});
        stack::until("the deliver queue to be empty", SHORT * 2, async || {
            let answer = self.stack.call("AmazonSQS.GetQueueAttributes", &input).await?;
            let empty = names.iter().all(|name| answer["Attributes"][name] == "0");
            Ok(if empty { stack::Seen::Yes(()) } else { stack::Seen::NotYet(answer.to_string()) })
        })
        .await
    }
}

/// What the messages to a user of a run go under.
pub(crate) fn webhook_id(run: &str, qaid: &str) -> Result<String> {
    let run: RunId = run.parse()?;
    Ok(delivery_id(run, qaid, RecipientKey::User).to_string())
}

async fn import(api: &Api<'_>, crowd: Crowd) -> Result<()> {
    let mut stored = 0;
    for file in [crowd.crm_file(0..PROFILES), crowd.shop_file(0..PROFILES)] {
        let upload = api.upload("profiles", file).await?;
        let imported = api.imported(&upload, LONG).await?;
        let counts = &imported["counts"];
        if counts["bad_rows"] != 0 {
            bail!("rows were refused: {imported}");
        }
        stored += counts["stored"].as_u64().unwrap_or_default();
    }
    let said: usize = crowd.users(0..PROFILES).map(|user| user.said.len()).sum();
    ensure!(stored == said as u64, "{said} rows were uploaded, {stored} are stored");
    say(&format!("({stored} rows of {PROFILES} profiles were imported)"));
    Ok(())
}
