//! A webhook: the configuration of an endpoint by an administrator.

mod authentication;
mod check;
mod header;
mod port;
mod receipts;
mod signing;
mod success;

use std::{collections::BTreeSet, time::Duration};

pub use authentication::{Authentication, ClientAuthentication, TokenClient, TokenRequest, bearer};
pub use check::{AddressRule, Rules};
pub(crate) use check::{check_description, check_name};
pub(crate) use header::check_header;
pub use receipts::{ReceiptStatus, Receipts};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
pub use signing::{PreviousSecret, Signing, SigningSecret};
pub use success::{Each, Judgement, Meaning, Results, SuccessRule};
use utoipa::ToSchema;

use crate::{
    id::{IdTypeCode, Name, ParameterSourceId, WebhookId, WorkspaceId},
    limits,
    template::origin,
};

/// Users of one request in the standard list body, unless the content says otherwise.
pub const LIST_BATCH_SIZE: u32 = 50;

/// A stored webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its identifier.
    pub id: WebhookId,
    /// The workspace that owns it.
    pub workspace: WorkspaceId,
    /// Counts the changes, from 1.
    pub version: u32,
    /// Unique in the workspace, 1 to 100 characters.
    pub name: String,
    /// Free text, up to 1,000 characters.
    #[serde(default)]
    pub description: String,
    /// What a run pins when it starts.
    pub content: Content,
    /// ID types that a push may send, one or more.
    pub id_types: Vec<IdTypeCode>,
    /// How a request says who calls.
    #[serde(default)]
    pub authentication: Authentication,
    /// How a request is signed.
    pub signing: Signing,
    /// Limits of now, for every run.
    #[serde(default)]
    pub limits: Limits,
    /// Retry policy of now, for every run.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// What the receiver may report later about single users; none: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipts: Option<Receipts>,
}

/// The part of a webhook that a run pins: what a request consists of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Full address; its path and query may hold placeholders.
    pub url: String,
    /// HTTP method.
    #[serde(default)]
    pub method: Method,
    /// Static headers; values may hold placeholders.
    #[serde(default)]
    pub headers: Vec<Header>,
    /// Named, typed values that the content expects.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// The body.
    pub body: Body,
    /// Most users of one request, 1 to 1,000; left out: 50 in the standard list body, else 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub batch_size: Option<u32>,
    /// What a 2xx answer must say to mean success; left out: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<SuccessRule>,
    /// Sends a refused request for several users again in halves, until those whom the receiver refuses are found.
    #[serde(default)]
    pub split_refused: bool,
    /// Adds `fanhook-workspace`, `fanhook-push`, `fanhook-run`, `fanhook-attempt` and `fanhook-id-type`.
    #[serde(default)]
    pub carry_environment: bool,
    /// Deadline of a whole request, in seconds, 1 to 30.
    #[serde(default = "Content::default_deadline")]
    pub deadline_seconds: u32,
}

impl Content {
    fn default_deadline() -> u32 {
        10
    }

    /// SHA-256 of the content in hex: the same for equal contents, whatever their versions.
    pub fn digest(&self) -> String {
        // A struct of texts, numbers and lists always serializes.
        hex::encode(Sha256::digest(serde_json::to_vec(self).unwrap_or_default()))
    }

    /// Scheme, host and port of every request, as in `https://crm.example.com`; none where the URL has none.
    pub fn origin(&self) -> Option<String> {
        origin(&self.url).map(|url| url.origin().ascii_serialization())
    }

    /// The parameter sources that parameters name, each once.
    pub fn sources(&self) -> BTreeSet<ParameterSourceId> {
        self.parameters.iter().filter_map(|parameter| parameter.source).collect()
    }

    /// Most users of one request.
    pub fn batch_size(&self) -> u32 {
        self.batch_size.unwrap_or(if self.body == (Body::List {}) { LIST_BATCH_SIZE } else { 1 })
    }

    /// Deadline of a whole request, its answer's body included.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(u64::from(self.deadline_seconds)).min(limits::DEADLINE)
    }
}

/// HTTP method of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are the methods' own")]
pub enum Method {
    #[default]
    Post,
    Put,
    Patch,
    Get,
    Delete,
}

impl Method {
    /// The method as it stands in a request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Get => "GET",
            Self::Delete => "DELETE",
        }
    }
}

/// A static header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Name, in any case.
    pub name: String,
    /// Value; may hold placeholders.
    pub value: String,
}

/// The body of a request, a template by kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Body {
    /// `application/json`: the standard list body, `{"push":{…},"id_type":"…","items":[{"id","delivery","params"}]}`.
    List {},
    /// `application/json`; placeholders stand inside strings.
    Json {
        /// The JSON text; with an item, the root, in which the string `"{items}"` becomes the array of the items.
        template: String,
        /// The JSON text of each user's item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<String>,
    },
    /// `application/x-www-form-urlencoded`.
    Form {
        /// The form text, as in `code={coupon}&to={id}`.
        template: String,
    },
    /// `text/plain; charset=utf-8`.
    Text {
        /// The text; with an item, the root, in which `{items}` becomes the items, a line each.
        template: String,
        /// The line of each user.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<String>,
    },
    /// No body (`GET`, `DELETE`).
    None {},
}

impl Body {
    /// The template, empty where there is none.
    pub fn template(&self) -> &str {
        match self {
            Self::Json { template, .. } | Self::Form { template } | Self::Text { template, .. } => template,
            Self::List {} | Self::None {} => "",
        }
    }

    /// The template of an item, where there is one.
    pub fn item(&self) -> Option<&str> {
        match self {
            Self::Json { item, .. } | Self::Text { item, .. } => item.as_deref(),
            Self::List {} | Self::Form { .. } | Self::None {} => None,
        }
    }

    /// Whether one body may hold several users.
    pub fn has_items(&self) -> bool {
        matches!(self, Self::List {}) || self.item().is_some()
    }

    /// The content type that is sent, unless a header names another one of this kind.
    pub fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::List {} | Self::Json { .. } => Some("application/json"),
            Self::Form { .. } => Some("application/x-www-form-urlencoded"),
            Self::Text { .. } => Some("text/plain; charset=utf-8"),
            Self::None {} => None,
        }
    }
}

/// A named, typed value that the webhook's content expects, written `{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Identifier, used as `{name}`.
    pub name: Name,
    /// What a marketer reads.
    #[serde(default)]
    pub display_name: String,
    /// Type of its value.
    #[serde(rename = "type")]
    pub kind: ParameterType,
    /// Where a value of type `call` is taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ParameterSourceId>,
    /// A required parameter that ends up blank gives the outcome `empty_value`.
    #[serde(default)]
    pub required: bool,
}

/// Type of a parameter's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParameterType {
    /// Short constant text.
    Character,
    /// A number, passed on as it was typed.
    Numeric,
    /// Text that may hold variables.
    Text,
    /// `YYYY-MM-DD` or RFC 3339.
    Date,
    /// Taken from a parameter source when a run starts.
    Call,
}

/// Limits of an endpoint, across all its runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests a second; none: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// Requests under way at a time; none: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_at_a_time: Option<u32>,
}

/// Until when a failed request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// Seconds from the first try of a chunk to the last, 0 to 30 days.
    pub give_up_after_seconds: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { give_up_after_seconds: 24 * 60 * 60 }
    }
}

#[cfg(test)]
mod tests;
