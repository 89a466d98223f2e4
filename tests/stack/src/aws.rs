use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use reqwest::{Client, Response};
use serde_json::Value;

/// What a function answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What it returned, or the description of its error.
    pub payload: Value,
    /// Whether it failed: an error that it returned, a panic, a time-out, a process that ended.
    pub failed: bool,
}

/// A client of the local AWS, for the few operations that need no SDK.
#[derive(Clone)]
pub(crate) struct Aws {
    http: Client,
    endpoint: String,
}

impl Aws {
    pub(crate) fn new(endpoint: String) -> Result<Self> {
        // Longer than any function may run.
        let http = Client::builder().no_proxy().timeout(Duration::from_mins(15)).build()?;
        Ok(Self { http, endpoint })
    }

    pub(crate) fn http(&self) -> &Client {
        &self.http
    }

    /// Calls an operation of a JSON service by its full name, such as `AmazonSQS.SendMessage`.
    pub(crate) async fn call(&self, operation: &str, input: &Value) -> Result<Value> {
        let request = self
            .http
            .post(&self.endpoint)
            .header("authorization", signature(service(operation)))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", operation)
            .body(input.to_string());
        let text =
            text(request.send().await.with_context(|| format!("{operation} was not answered"))?, operation)
                .await?;
        if text.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
    }

    /// Calls an operation of CloudFormation, which speaks in forms and XML.
    pub(crate) async fn cloudformation(&self, form: &str) -> Result<String> {
        let request = self
            .http
            .post(&self.endpoint)
            .header("authorization", signature("cloudformation"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        text(request.send().await.context("CloudFormation did not answer")?, form).await
    }

    pub(crate) async fn make_bucket(&self, name: &str) -> Result<()> {
        let request =
            self.http.put(format!("{}/{name}", self.endpoint)).header("authorization", signature("s3"));
        text(request.send().await.context("S3 did not answer")?, "CreateBucket").await?;
        Ok(())
    }

    pub(crate) async fn healthy(&self) -> Result<()> {
        let answer = self.http.get(format!("{}/_ministack/health", self.endpoint)).send().await?;
        answer.error_for_status()?;
        Ok(())
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.http.get(format!("{}{path}", self.endpoint)).send().await?;
        Ok(serde_json::from_str(&text(answer, path).await?)?)
    }

    /// The environment variables of a function.
    pub(crate) async fn variables(&self, function: &str) -> Result<BTreeMap<String, String>> {
        let address = format!("{}/2015-03-31/functions/{function}/configuration", self.endpoint);
        let request = self.http.get(address).header("authorization", signature("lambda"));
        let answer = request.send().await.with_context(|| format!("{function} was not asked for"))?;
        let configuration: Value = serde_json::from_str(&text(answer, function).await?)?;
        Ok(serde_json::from_value(configuration["Environment"]["Variables"].clone())?)
    }

    pub(crate) async fn invoke(&self, function: &str, event: &Value) -> Result<Answer> {
        let address = format!("{}/2015-03-31/functions/{function}/invocations", self.endpoint);
        let request =
            self.http.post(address).header("authorization", signature("lambda")).body(event.to_string());
        let answer = request.send().await.with_context(|| format!("{function} was not invoked"))?;
        let failed = answer.headers().contains_key("x-amz-function-error");
        let text = text(answer, function).await?;
        Ok(Answer { payload: serde_json::from_str(&text).unwrap_or(Value::String(text)), failed })
    }
}

/// The local AWS reads from a signature only whose service, region and account are meant.
fn signature(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/{}/{service}/aws4_request, SignedHeaders=host, Signature=0",
        crate::deploy::REGION
    )
}

fn service(operation: &str) -> &'static str {
    match operation.split(['.', '_']).next() {
        Some("AmazonSQS") => "sqs",
        Some("AWSCognitoIdentityProviderService") => "cognito-idp",
        Some("DynamoDB") => "dynamodb",
        Some("TrentService") => "kms",
        _ => "unknown",
    }
}

#[expect(clippy::disallowed_methods, reason = "the local AWS is trusted with its answers' length")]
async fn text(answer: Response, what: &str) -> Result<String> {
    let status = answer.status();
    let text = answer.text().await.with_context(|| format!("the answer to {what} broke off"))?;
    if !status.is_success() {
        bail!("{what}: {status}: {text}");
    }
    Ok(text)
}
