//! The whole system on this machine: starts a local AWS, deploys `template.yaml` to it, and speaks with both.
//!
//! The local AWS is [ministack](https://ministack.org), started by `launch.py` on a loopback port of its own; the template is deployed by
//! the SAM CLI, as it would be to AWS. Functions run as child processes of ministack, so a test can find and kill them. Linux only.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use stack::{Options, Person, Stack};
//!
//! let stack = Stack::start(Options::named("example").with("AllowedEndpoints", "127.0.0.1:8080")).await?;
//! let token = stack.token(&Person::organization_admin("acme")).await?;
//! let answer = stack.invoke("dispatch", &serde_json::json!({})).await?;
//! # Ok(())
//! # }
//! ```
//! Several stacks run side by side: each has a name, a port and the folder `.stack/<name>/`. What [`Stack::start`] started ends when
//! the [`Stack`] is dropped, unless it was told to stay by [`Stack::leave`].

mod aws;
mod deploy;
mod emulator;
mod people;
mod project;
pub mod tidy;
pub mod tools;
mod wait;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

pub use aws::Answer;
pub use deploy::Outputs;
pub use emulator::kill;
pub use people::Person;
pub use project::Project;
pub use wait::{Seen, until};

use aws::Aws;
use emulator::Emulator;

/// Where and how a stack is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names the folder `.stack/<name>/`; a stack of that name that still runs is stopped first.
    pub name: String,
    /// The loopback port of the local AWS; 0 takes a free one.
    pub port: u16,
    /// Template parameters, over those that suit a local run ([`Options::named`]).
    pub parameters: BTreeMap<String, String>,
}

impl Options {
    /// A stack on a free port, with the template parameters that suit one machine: short times, `http` allowed, few invocations at once.
    pub fn named(name: &str) -> Self {
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
        let parameters = [
            ("Architecture", architecture),
            ("AllowHttp", "true"),
            ("DeletionProtection", "false"),
            ("FanoutTimeout", "60"),
            ("FanoutVisibility", "360"),
            ("DispatchTimeout", "30"),
            ("DeliverTimeout", "30"),
            ("DeliverVisibility", "180"),
            ("ProfilesTimeout", "60"),
            ("ProfilesVisibility", "360"),
            ("StandStillSeconds", "10"),
            ("DueAheadSeconds", "5"),
            ("LeaseMarginSeconds", "5"),
            ("FanoutConcurrency", "2"),
            ("DeliverConcurrency", "4"),
            ("ProfilesConcurrency", "2"),
        ];
        Self {
            name: name.to_owned(),
            port: 0,
            parameters: parameters.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        }
    }

    /// Sets one template parameter.
    #[must_use]
    pub fn with(mut self, parameter: &str, value: impl Into<String>) -> Self {
        self.parameters.insert(parameter.to_owned(), value.into());
        self
    }
}

/// A deployed stack.
pub struct Stack {
    emulator: Emulator,
    aws: Aws,
    outputs: Outputs,
    /// The template parameters that were set; all others have the template's defaults.
    pub parameters: BTreeMap<String, String>,
}

impl Stack {
    /// Starts a local AWS and deploys the template with the functions built beside the running program.
    pub async fn start(options: Options) -> Result<Self> {
        let project = Project::find()?;
        let folder = project.stack_folder(&options.name);
        let Options { port, parameters, .. } = options;
        let emulator = Emulator::start(&project, folder, port).await?;
        Self::deploy(&project, emulator, parameters).await
    }

    /// Finds a stack that runs already, as another program left it. Dropping it does not stop it.
    pub fn attach(name: &str) -> Result<Self> {
        let project = Project::find()?;
        let emulator = Emulator::attach(&project.stack_folder(name))
            .with_context(|| format!("no stack named {name} runs here; `make up` starts one"))?;
        let (outputs, parameters) = deploy::load(emulator.folder())?;
        Ok(Self { aws: Aws::new(emulator.endpoint())?, emulator, outputs, parameters })
    }

    /// Deploys the template and the functions again to a stack that runs, with the parameters it has and those given.
    pub async fn deploy_again(self, parameters: BTreeMap<String, String>) -> Result<Self> {
        let project = Project::find()?;
        let mut all = self.parameters;
        all.extend(parameters);
        Self::deploy(&project, self.emulator, all).await
    }

    async fn deploy(
        project: &Project,
        emulator: Emulator,
        parameters: BTreeMap<String, String>,
    ) -> Result<Self> {
        let aws = Aws::new(emulator.endpoint())?;
        let outputs = deploy::deploy(project, &emulator, &aws, &parameters).await?;
        deploy::save(emulator.folder(), &outputs, &parameters)?;
        Ok(Self { emulator, aws, outputs, parameters })
    }

    /// Lets the stack run on after this program; `stack down` stops it.
    pub fn leave(mut self) {
        self.emulator.leave();
    }

    /// Stops the local AWS, and waits until it and its functions have ended.
    pub fn stop(self) -> Result<()> {
        self.emulator.stop()
    }

    /// What the template's outputs say: addresses, tables, queues, functions.
    pub fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// A template parameter that was set, as a number of seconds or the like.
    pub fn number(&self, parameter: &str) -> Result<u64> {
        let text =
            self.parameters.get(parameter).with_context(|| format!("parameter {parameter} was not set"))?;
        text.parse().with_context(|| format!("parameter {parameter} is no number: {text}"))
    }

    /// Makes a person in the stack's user pool, or changes the one of that name, and returns an ID token that holds for an hour.
    pub async fn token(&self, person: &Person) -> Result<String> {
        people::token(&self.aws, &self.outputs, person, &self.outputs.user_pool_client_id).await
    }

    /// A token of the same pool that is meant for another application.
    pub async fn foreign_token(&self, person: &Person) -> Result<String> {
        let client = people::another_client(&self.aws, &self.outputs).await?;
        people::token(&self.aws, &self.outputs, person, &client).await
    }

    /// A token with this header and these claims, signed with the key that the pool signs its own with.
    pub async fn signed_token(&self, header: &Value, claims: &Value) -> Result<String> {
        people::sign(self.emulator.folder(), &self.outputs, header, claims).await
    }

    /// The public keys that tokens are signed with, a JWK set.
    pub async fn token_keys(&self) -> Result<Value> {
        self.aws.get(&format!("/{}/.well-known/jwks.json", self.outputs.user_pool_id)).await
    }

    /// A request to the HTTP API; `path` begins with `/`.
    pub fn api(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let address = format!("{}{path}", self.outputs.api);
        self.aws.http().request(method, address).header("host", &self.outputs.api_host)
    }

    /// Calls a function (`config`, `fanout`, `dispatch`, `deliver`, `profiles`) with an event and waits for its answer.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Answer> {
        self.aws.invoke(self.outputs.function(function)?, event).await
    }

    /// The environment that a function runs in, with what leads it to this local AWS.
    pub async fn environment(&self, function: &str) -> Result<BTreeMap<String, String>> {
        let mut variables = self.aws.variables(self.outputs.function(function)?).await?;
        let local = [
            ("AWS_ENDPOINT_URL", self.outputs.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", deploy::REGION),
        ];
        variables.extend(local.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Ok(variables)
    }

    /// Calls an operation of one of AWS's JSON services, such as `AmazonSQS.SendMessage`.
    pub async fn call(&self, operation: &str, input: &Value) -> Result<Value> {
        self.aws.call(operation, input).await
    }

    /// The processes that run a function just now.
    pub fn function_pids(&self, function: &str) -> Result<Vec<i32>> {
        Ok(self.emulator.function_pids(self.outputs.function(function)?))
    }

    /// The file with all that a function has printed; absent while it has printed nothing.
    pub fn log_file(&self, function: &str) -> Result<PathBuf> {
        Ok(self.emulator.logs().join(format!("{}.log", self.outputs.function(function)?)))
    }
}
