//! A run: one execution of a push over one audience.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    id::{IdTypeCode, PushId, RunId, UploadId, WebhookId, WorkspaceId},
    identity::IdType,
    push::PushContent,
    time::Millis,
    webhook::{Authentication, Content, RetryPolicy, Signing},
};

/// State of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Accepted; its audience is not known to be readable yet.
    Starting,
    /// Sending.
    Running,
    /// Stopped by a person, to be resumed.
    Paused,
    /// Cancelled or expired; what is pending is being settled.
    Closing,
    /// Every recipient has its outcome.
    Finished,
    /// Closed by a person.
    Cancelled,
    /// Closed by its expiry.
    Expired,
    /// Its audience can't be read on; what was delivered stays accounted.
    Failed,
}

impl RunState {
    /// Whether requests may start.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }

    /// Whether nothing more will happen, but for a resume of a failed run.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled | Self::Expired | Self::Failed)
    }

    /// Its name, as in `running`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Closing => "closing",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Starting,
            Self::Running,
            Self::Paused,
            Self::Closing,
            Self::Finished,
            Self::Cancelled,
            Self::Expired,
            Self::Failed,
        ]
        .into_iter()
        .find(|state| state.name() == name)
    }
}

/// Why a run is closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Closing {
    /// A person cancelled it.
    Cancelled,
    /// Its expiry came.
    Expired,
}

/// What a run pins when it starts: never changed afterwards, so workers may keep it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pinned {
    /// The run.
    pub run: RunId,
    /// The origin of the recipients' `webhook-id`: the run itself, or a replay's source.
    pub origin: RunId,
    /// The workspace that owns it.
    pub workspace: WorkspaceId,
    /// The push.
    pub push: PushId,
    /// Name of the push.
    pub push_name: String,
    /// The webhook.
    pub webhook: WebhookId,
    /// Version of the webhook.
    pub webhook_version: u32,
    /// The webhook's content.
    pub content: Content,
    /// The push's content.
    pub push_content: PushContent,
    /// The workspace's ID types: those enabled.
    pub id_types: Vec<IdType>,
    /// The workspace's data sources, strongest first.
    pub sources: Vec<crate::id::SourceName>,
    /// Uploaded files of the audience, a part each.
    pub uploads: Vec<UploadId>,
}

impl Pinned {
    /// Codes of the ID types that an audience file of this run may name.
    pub fn known_id_types(&self) -> impl Iterator<Item = &IdTypeCode> {
        self.id_types.iter().map(|id_type| &id_type.code)
    }
}

/// What is true of an endpoint now, for all its runs: kept in the ledger beside its budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointSettings {
    /// Requests a second; none: no limit.
    pub requests_per_second: Option<u32>,
    /// Until when failed requests are tried again.
    pub retry: RetryPolicy,
    /// How requests say who calls.
    #[serde(default)]
    pub authentication: Authentication,
    /// How requests are signed.
    pub signing: Signing,
    /// When the settings were written.
    pub updated: Millis,
}
