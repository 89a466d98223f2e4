use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::aws::Aws;
use crate::emulator::{Emulator, tail};
use crate::project::{self, Project};

/// The region that the local AWS plays.
pub(crate) const REGION: &str = "us-east-1";

/// The CloudFormation stack's name, which begins the functions' names: each local AWS holds one.
const NAME: &str = "fanhook";

/// The bucket that packages go through on their way to the functions.
const PACKAGES: &str = "packages";

/// What a deployed stack consists of; the names are those of the template's outputs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Outputs {
    /// The local AWS: what `AWS_ENDPOINT_URL` is to be for an SDK.
    pub endpoint: String,
    /// The HTTP API's address, without a slash at its end …
    pub api: String,
    /// … and the `Host` header that tells the local AWS which API is meant.
    pub api_host: String,
    /// The table of webhooks, pushes, grants.
    pub config_table: String,
    /// The table of users.
    pub profiles_table: String,
    /// The table of runs, chunks, due entries.
    pub ledger_table: String,
    /// The one bucket.
    pub bucket: String,
    /// Runs and parts to fan out.
    pub fanout_queue_url: String,
    /// Chunks to deliver.
    pub deliver_queue_url: String,
    /// Profile files to import.
    pub profiles_queue_url: String,
    /// What `fanout` could not read.
    pub fanout_dead_letters_url: String,
    /// What `deliver` could not read.
    pub deliver_dead_letters_url: String,
    /// What `profiles` could not read.
    pub profiles_dead_letters_url: String,
    /// The KMS key of the endpoints' secrets.
    pub key_id: String,
    /// The user pool whose tokens the API takes.
    pub user_pool_id: String,
    /// The client that the tokens are made for.
    pub user_pool_client_id: String,
    /// The full name of `config`.
    pub config_function: String,
    /// The full name of `fanout`.
    pub fanout_function: String,
    /// The full name of `dispatch`.
    pub dispatch_function: String,
    /// The full name of `deliver`.
    pub deliver_function: String,
    /// The full name of `profiles`.
    pub profiles_function: String,
}

impl Outputs {
    /// A function's full name, by the name of its crate.
    pub fn function(&self, name: &str) -> Result<&str> {
        Ok(match name {
            "config" => &self.config_function,
            "fanout" => &self.fanout_function,
            "dispatch" => &self.dispatch_function,
            "deliver" => &self.deliver_function,
            "profiles" => &self.profiles_function,
            _ => bail!("there is no function {name}: config, fanout, dispatch, deliver, profiles"),
        })
    }
}

/// Lays the functions out as `sam build` does, deploys them with the template, and reads the outputs.
pub(crate) async fn deploy(
    project: &Project,
    emulator: &Emulator,
    aws: &Aws,
    parameters: &BTreeMap<String, String>,
) -> Result<Outputs> {
    let sam = project.program("sam", "sam")?;
    let template = lay_out(project, &emulator.folder().join("build"))?;
    aws.make_bucket(PACKAGES).await?;
    let log = emulator.folder().join("deploy.log");
    let mut command = Command::new(sam);
    command
        .args(["deploy", "--stack-name", NAME, "--s3-bucket", PACKAGES, "--region", REGION])
        .args([
            "--capabilities",
            "CAPABILITY_IAM",
            "--no-confirm-changeset",
            "--no-fail-on-empty-changeset",
            "--no-progressbar",
        ])
        .arg("--template-file")
        .arg(template)
        .arg("--parameter-overrides")
        .args(
            parameters
                .iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(key, value)| format!("{key}={value}")),
        )
        .env_clear()
        .envs(project::search_path())
        .envs([
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL", &emulator.endpoint()),
            ("LANG", "C.UTF-8"),
            ("SAM_CLI_TELEMETRY", "0"),
        ])
        // Where it keeps notes of its own; several may run at once.
        .env("__SAM_CLI_APP_DIR", emulator.folder().join("tmp"))
        .stdin(Stdio::null())
        .stdout(File::create(&log)?)
        .stderr(File::options().append(true).open(&log)?);
    let status =
        tokio::task::spawn_blocking(move || command.status()).await?.context("sam does not start")?;
    if !status.success() {
        bail!("sam deploy ended with {status}:\n{}", tail(&log));
    }
    let stacks =
        aws.cloudformation(&format!("Action=DescribeStacks&Version=2010-05-15&StackName={NAME}")).await?;
    let mut outputs = read_outputs(&stacks);
    let api = outputs.get("ApiId").and_then(Value::as_str).context("the template has no output ApiId")?;
    let host = format!("{api}.execute-api.localhost");
    outputs.insert("ApiHost".to_owned(), host.into());
    outputs.insert("Api".to_owned(), emulator.endpoint().into());
    outputs.insert("Endpoint".to_owned(), emulator.endpoint().into());
    serde_json::from_value(Value::Object(outputs)).context("an output is missing in template.yaml")
}

/// Puts each function's program into a folder of its own as `bootstrap`, beside a template whose `CodeUri`s name those folders.
fn lay_out(project: &Project, build: &Path) -> Result<std::path::PathBuf> {
    let template = project.template();
    let text =
        fs::read_to_string(&template).with_context(|| format!("{} cannot be read", template.display()))?;
    let (text, functions) = point_at_folders(&text);
    for (resource, binary) in &functions {
        let folder = build.join(resource);
        fs::create_dir_all(&folder)?;
        let from = project.binary(binary)?;
        fs::copy(&from, folder.join("bootstrap"))
            .with_context(|| format!("{} cannot be copied", from.display()))?;
    }
    let laid = build.join("template.yaml");
    fs::write(&laid, text)?;
    Ok(laid)
}

/// Replaces each function's `CodeUri: .` by its resource's name; also returns each function's resource and program.
///
/// Works on lines, so that the rest of the template is deployed as it was written.
fn point_at_folders(template: &str) -> (String, Vec<(&str, &str)>) {
    let (mut text, mut functions, mut resource) = (String::new(), Vec::new(), "");
    for line in template.lines() {
        let indent = line.len() - line.trim_start().len();
        let line_text = line.trim();
        match (indent, line_text.strip_suffix(':')) {
            (2, Some(name)) => resource = name,
            _ => functions.extend(line_text.strip_prefix("Binary: ").map(|binary| (resource, binary))),
        }
        if line_text == "CodeUri: ." {
            text.push_str(&line.replace("CodeUri: .", &format!("CodeUri: {resource}")));
        } else {
            text.push_str(line);
        }
        text.push('\n');
    }
    (text, functions)
}

/// The outputs in CloudFormation's answer. None of their values holds a character that XML escapes.
fn read_outputs(answer: &str) -> Map<String, Value> {
    let text = |member: &str, tag: &str| {
        let inner = member.split_once(&format!("<{tag}>"))?.1.split_once(&format!("</{tag}>"))?.0;
        Some(inner.to_owned())
    };
    let outputs = answer.split("<OutputKey>").skip(1).map(|rest| format!("<OutputKey>{rest}"));
    outputs
        .filter_map(|output| Some((text(&output, "OutputKey")?, text(&output, "OutputValue")?.into())))
        .collect()
}

/// What `outputs.json` in a stack's folder holds.
#[derive(Serialize, Deserialize)]
struct Saved {
    #[serde(flatten)]
    outputs: Outputs,
    #[serde(rename = "Parameters")]
    parameters: BTreeMap<String, String>,
}

pub(crate) fn save(folder: &Path, outputs: &Outputs, parameters: &BTreeMap<String, String>) -> Result<()> {
    let saved = Saved { outputs: outputs.clone(), parameters: parameters.clone() };
    Ok(fs::write(folder.join("outputs.json"), serde_json::to_string_pretty(&saved)?)?)
}

pub(crate) fn load(folder: &Path) -> Result<(Outputs, BTreeMap<String, String>)> {
    let text = fs::read(folder.join("outputs.json")).context("nothing is deployed there yet")?;
    let saved: Saved = serde_json::from_slice(&text)?;
    Ok((saved.outputs, saved.parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_function_points_at_a_folder_of_its_own_and_nothing_else_changes() {
        let template = "Resources:\n  One:\n    Metadata:\n      Binary: one\n    Properties:\n      CodeUri: .\n      Timeout: 3\n  Two:\n    Metadata:\n      Binary: two\n    Properties:\n      CodeUri: .\n";
        let (text, functions) = point_at_folders(template);
        assert_eq!(functions, [("One", "one"), ("Two", "two")]);
        assert_eq!(
            text,
            template.replacen("CodeUri: .", "CodeUri: One", 1).replacen("CodeUri: .", "CodeUri: Two", 1)
        );
    }

    #[test]
    fn outputs_are_read_whatever_their_order() {
        let answer = "<Outputs><member><OutputKey>A</OutputKey><OutputValue>1</OutputValue></member>\
                      <member><OutputKey>B</OutputKey><Description>x</Description><OutputValue>2</OutputValue></member></Outputs>";
        let outputs = read_outputs(answer);
        assert_eq!((&outputs["A"], &outputs["B"]), (&Value::from("1"), &Value::from("2")));
    }
}
