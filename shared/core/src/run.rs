//! A run: one execution of a push over one audience.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    id::{IdTypeCode, PushId, RunId, UploadId, WebhookId, WorkspaceId},
    identity::IdType,
    limits,
    push::PushContent,
    rate::Rate,
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

/// What a webhook proves before runs of it may be large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Its content passed a test send.
    Test,
    /// Whoever owns its endpoint has agreed.
    Consent,
}

impl Proof {
    /// Most recipients of a run whose webhook lacks it.
    pub fn most(self) -> u64 {
        match self {
            Self::Test => limits::UNTESTED,
            Self::Consent => limits::UNAGREED,
        }
    }

    /// Why a run with so many recipients fails without it: a code, and a text for people.
    pub fn lacking(self, recipients: &str) -> String {
        let most = self.most();
        match self {
            Self::Test => format!(
                "untested: the audience has {recipients} recipients, and a webhook whose content never passed a test send takes {most} at \
                 most; test it and resume the run, or start one with `confirm_untested`"
            ),
            Self::Consent => format!(
                "no_consent: the audience has {recipients} recipients, and an endpoint whose owner has not agreed takes {most} at most; do \
                 the webhook's handshake, or state the consent, and resume the run"
            ),
        }
    }

    /// Its name, as in `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Consent => "consent",
        }
    }
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
    /// What holds for this run's URL, should the webhook move to another one.
    #[serde(default)]
    pub stays: Stays,
}

/// What was true of an endpoint when a run started, and goes with scheme, host and port of the URL that the run sends to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stays {
    /// Requests a minute that the endpoint's handshake allowed; none: any number.
    pub allowed_per_minute: Option<u32>,
    /// How requests say who calls.
    pub authentication: Authentication,
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
    /// Scheme, host and port of the webhook's URL: the allowed rate and the authentication are for these.
    #[serde(default)]
    pub origin: Option<String>,
    /// Requests a second; none: no limit.
    pub requests_per_second: Option<u32>,
    /// Requests a minute that the endpoint's handshake allowed; none: any number.
    #[serde(default)]
    pub allowed_per_minute: Option<u32>,
    /// The same of other origins that the webhook was at, as far as it is known: runs go on to them.
    #[serde(default)]
    pub allowed_elsewhere: BTreeMap<String, Option<u32>>,
    /// Requests under way at a time; none: no limit.
    #[serde(default)]
    pub requests_at_a_time: Option<u32>,
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

impl EndpointSettings {
    /// The settings that hold for a run: where the webhook has moved since to another scheme, host or port, the run goes on to the old one as
    /// that one allowed it, and the new one's secret is not told there.
    #[must_use]
    pub fn of_run(&self, pinned: &Pinned) -> Self {
        if self.origin.is_none() || self.origin == pinned.content.origin() {
            return self.clone();
        }
        let Stays { allowed_per_minute: at_first, authentication } = pinned.stays.clone();
        // It may have allowed another rate since the run started.
        let since = pinned.content.origin().and_then(|origin| self.allowed_elsewhere.get(&origin));
        Self { allowed_per_minute: since.copied().unwrap_or(at_first), authentication, ..self.clone() }
    }

    /// The rate that holds: the limit, and no more than the endpoint allows; none: no limit.
    pub fn rate(&self) -> Option<Rate> {
        let limit = self.requests_per_second.map(Rate::per_second);
        let allowed = self.allowed_per_minute.map(Rate::per_minute);
        limit.into_iter().chain(allowed).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_limit_and_allowed_rate_holds() {
        let rate = |requests_per_second, allowed_per_minute| {
            let settings = EndpointSettings {
                origin: None,
                requests_per_second,
                allowed_per_minute,
                allowed_elsewhere: BTreeMap::new(),
                requests_at_a_time: None,
                retry: RetryPolicy::default(),
                authentication: Authentication::default(),
                signing: Signing::None {},
                updated: Millis(0),
            };
            settings.rate().map(Rate::a_minute)
        };
        assert_eq!(rate(None, None), None);
        assert_eq!(rate(Some(2), None), Some(120));
        assert_eq!(rate(None, Some(30)), Some(30));
        assert_eq!(rate(Some(2), Some(100)), Some(100));
        assert_eq!(rate(Some(1), Some(100)), Some(60));
    }

    #[test]
    fn a_run_whose_webhook_moved_to_another_host_goes_on_as_the_old_one_allowed_it() {
        let bearer = |ciphertext: &str| Authentication::Bearer { ciphertext: ciphertext.to_owned() };
        let now = |origin: Option<&str>| EndpointSettings {
            origin: origin.map(str::to_owned),
            requests_per_second: Some(50),
            allowed_per_minute: None,
            allowed_elsewhere: BTreeMap::new(),
            requests_at_a_time: None,
            retry: RetryPolicy::default(),
            authentication: bearer("new"),
            signing: Signing::None {},
            updated: Millis(0),
        };
        let content = serde_json::json!({"url": "https://old.example.com/{id}", "body": {"kind": "none"}});
        let id = "0".repeat(32);
        let pinned: Pinned = serde_json::from_value(serde_json::json!({
            "run": format!("run_{id}"), "origin": format!("run_{id}"), "workspace": "acme", "push": format!("psh_{id}"), "push_name": "a",
            "webhook": format!("whk_{id}"), "webhook_version": 1, "content": content, "push_content": {"id_types": ["MOBILE"], "values": {}},
            "id_types": [], "sources": [], "uploads": [],
            "stays": {"allowed_per_minute": 100, "authentication": bearer("old")},
        }))
        .unwrap();
        for here in [None, Some("https://old.example.com")] {
            assert_eq!(now(here).of_run(&pinned), now(here), "limits and secrets are those of now");
        }
        let moved = now(Some("https://new.example.com")).of_run(&pinned);
        assert_eq!((moved.allowed_per_minute, moved.authentication), (Some(100), bearer("old")));
        assert_eq!(moved.requests_per_second, Some(50));

        for allowed in [Some(30), None] {
            let allowed_elsewhere = BTreeMap::from([
                ("https://old.example.com".to_owned(), allowed),
                ("https://other.example.com".to_owned(), Some(1)),
            ]);
            let settings = EndpointSettings { allowed_elsewhere, ..now(Some("https://new.example.com")) };
            let moved = settings.of_run(&pinned);
            assert_eq!(moved.allowed_per_minute, allowed, "what it allowed last holds");
            assert_eq!(moved.authentication, bearer("old"));
        }
    }
}
