//! A push: a webhook, a value for each parameter, the ID type to send, and what starts it.

mod check;
mod trigger;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::trigger::{Condition, Count, Filter, Group, Operator, StartedBy, Trigger};
use crate::id::{IdTypeCode, Name, PushId, WebhookId, WorkspaceId};

/// A stored push.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Push {
    /// Its identifier.
    pub id: PushId,
    /// The workspace that owns it.
    pub workspace: WorkspaceId,
    /// Counts the changes, from 1.
    pub version: u32,
    /// Name of the step, 1 to 100 characters.
    pub name: String,
    /// The webhook that it goes through.
    pub webhook: WebhookId,
    /// What a run pins when it starts.
    pub content: PushContent,
}

/// The part of a push that a run pins: what is sent to whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushContent {
    /// ID types to send, the first that a user has; one, or a waterfall.
    pub id_types: Vec<IdTypeCode>,
    /// What to do with several IDs of a type.
    #[serde(default)]
    pub id_policy: IdPolicy,
    /// How the ID is sent.
    #[serde(default)]
    pub send_form: SendForm,
    /// A value for each parameter of the webhook; text values may hold `${variables}`.
    #[serde(default)]
    pub values: BTreeMap<Name, String>,
    /// The variables that the text values use.
    #[serde(default)]
    pub variables: Vec<Variable>,
    /// What starts it; left out: an audience.
    #[serde(default, skip_serializing_if = "StartedBy::is_audience")]
    pub started_by: StartedBy,
}

/// What to do with several IDs of a type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdPolicy {
    /// Send the strongest.
    #[default]
    First,
    /// Send one message to each.
    All,
}

/// How an ID is sent: the normalised value, encrypted by the organization key, or a digest of it in lower-case hex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the forms' own")]
pub enum SendForm {
    #[default]
    Plain,
    Aes,
    Md5,
    Sha256,
}

/// A `${name}` inside a text value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Identifier, used as `${name}`.
    pub name: Name,
    /// Where its value comes from.
    pub source: VariableSource,
    /// What happens when the value is missing, null or empty.
    pub when_empty: WhenEmpty,
}

impl Variable {
    /// Whether an event gives its value.
    pub fn is_attribute(&self) -> bool {
        matches!(self.source, VariableSource::Attribute(_))
    }
}

/// Where a variable's value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum VariableSource {
    /// A tag of the user.
    Tag(String),
    /// An attribute of the event that started the push.
    Attribute(String),
}

/// What happens when a variable's value is missing, null or empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WhenEmpty {
    /// Nothing stands in its place.
    Blank,
    /// This stands in its place.
    Default(String),
    /// The user is not sent to: outcome `empty_value`.
    SkipUser,
}

#[cfg(test)]
mod tests;
