//! The bucket, read by plain HTTP: what a test finds there is what S3 gives, by none of the project's own code.

use std::io::Read;

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use reqwest::Client;
use serde_json::Value;
use stack::Stack;

/// Objects of a listing's page.
const PAGE: usize = 1000;

/// A stack's bucket.
pub struct Bucket {
    http: Client,
    address: String,
}

impl Bucket {
    /// The bucket of a stack.
    pub fn new(stack: &Stack) -> Result<Self> {
        let outputs = stack.outputs();
        let address = format!("{}/{}", outputs.endpoint, outputs.bucket);
        Ok(Self { http: Client::builder().no_proxy().build()?, address })
    }

    /// Keys that begin with `prefix`, in order.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let mut keys: Vec<String> = Vec::new();
        loop {
            let after = keys.last().map_or("", String::as_str);
            let (prefix, after) = (encode(prefix), encode(after));
            let page = self
                .get(&format!("?list-type=2&max-keys={PAGE}&prefix={prefix}&start-after={after}"))
                .await?;
            let page = String::from_utf8(page)?;
            let found =
                page.split("<Key>").skip(1).filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned()));
            let before = keys.len();
            keys.extend(found);
            if keys.len() - before < PAGE {
                return Ok(keys);
            }
        }
    }

    /// All lines of the NDJSON objects whose keys begin with `prefix`, plain or gzip.
    pub async fn lines(&self, prefix: &str) -> Result<Vec<Value>> {
        let mut lines = Vec::new();
        for key in self.list(prefix).await? {
            let object = self.get(&format!("/{}", encode(&key))).await?;
            let mut text = String::new();
            if object.starts_with(&[0x1f, 0x8b]) {
                MultiGzDecoder::new(object.as_slice()).read_to_string(&mut text)?;
            } else {
                text = String::from_utf8(object)?;
            }
            for line in text.lines() {
                lines.push(
                    serde_json::from_str(line)
                        .with_context(|| format!("{key} holds what is no JSON: {line}"))?,
                );
            }
        }
        Ok(lines)
    }

    #[expect(clippy::disallowed_methods, reason = "the answers are our own")]
    async fn get(&self, rest: &str) -> Result<Vec<u8>> {
        let address = format!("{}{rest}", self.address);
        // The local AWS reads from a signature only whose service is meant.
        let signature = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let answer = self.http.get(&address).header("authorization", signature).send().await?;
        let status = answer.status();
        if !status.is_success() {
            bail!("{address}: {status}");
        }
        Ok(answer.bytes().await?.into())
    }
}

/// Encodes the characters of our keys that mean something in a URL.
fn encode(key: &str) -> String {
    key.replace('=', "%3D").replace('#', "%23")
}
