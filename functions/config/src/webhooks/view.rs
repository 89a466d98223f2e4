//! A webhook as callers see it: without its workspace's name and without secrets.

use fanhook_core::{
    id::{IdTypeCode, WebhookId},
    webhook::{Authentication, Content, Limits, RetryPolicy, Signing, Webhook},
};
use serde::Serialize;

/// A webhook as callers see it.
#[derive(Debug, Serialize)]
pub(crate) struct WebhookView {
    id: WebhookId,
    version: u32,
    name: String,
    description: String,
    content: Content,
    id_types: Vec<IdTypeCode>,
    authentication: AuthenticationView,
    signing: SigningView,
    limits: Limits,
    retry: RetryPolicy,
}

/// Without the secret, which is told to nobody.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum AuthenticationView {
    None {},
    Bearer {},
    Header { name: String },
    Basic { username: String },
}

impl From<&Authentication> for AuthenticationView {
    fn from(authentication: &Authentication) -> Self {
        match authentication {
            Authentication::None {} => Self::None {},
            Authentication::Bearer { .. } => Self::Bearer {},
            Authentication::Header { name, .. } => Self::Header { name: name.clone() },
            Authentication::Basic { username, .. } => Self::Basic { username: username.clone() },
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum SigningView {
    None {},
    StandardWebhooks {
        /// Told once, when it was generated.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
    },
}

impl WebhookView {
    /// A webhook; `generated` is its secret, where this request made it.
    pub(crate) fn new(webhook: &Webhook, generated: Option<String>) -> Self {
        Self {
            id: webhook.id,
            version: webhook.version,
            name: webhook.name.clone(),
            description: webhook.description.clone(),
            content: webhook.content.clone(),
            id_types: webhook.id_types.clone(),
            authentication: (&webhook.authentication).into(),
            signing: match webhook.signing {
                Signing::None {} => SigningView::None {},
                Signing::StandardWebhooks { .. } => SigningView::StandardWebhooks { secret: generated },
            },
            limits: webhook.limits,
            retry: webhook.retry,
        }
    }
}
