//! A webhook as callers see it: without its workspace's name and without secrets.

use fanhook_core::{
    id::{IdTypeCode, WebhookId},
    signature::Algorithm,
    webhook::{Authentication, Content, Limits, Receipts, RetryPolicy, Signing, TokenClient, Webhook},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    audit::masked,
    output::Time,
    precondition::{Tag, Tagged},
};

/// A webhook as callers see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
#[schema(example = json!({
    "id": "whk_0190a5b2c3d4e5f60718293a4b5c6d7e", "version": 3, "name": "Coupons", "description": "",
    "content": {
        "url": "https://crm.example.com/coupons/{id}", "method": "POST", "headers": [],
        "parameters": [{"name": "text", "display_name": "Text", "type": "text", "required": true}],
        "body": {"kind": "json", "template": "{\"to\":\"{id}\",\"text\":\"{text}\"}"},
        "carry_environment": false, "deadline_seconds": 10,
    },
    "id_types": ["MOBILE"], "authentication": {"kind": "header", "name": "X-Api-Key"}, "signing": {"kind": "standard_webhooks", "algorithm": "hmac_sha256"},
    "limits": {"requests_per_second": 50}, "retry": {"give_up_after_seconds": 86400},
    "receipts": {"recovery_period_seconds": 86400, "statuses": [{"code": "200", "value": "issued"}]},
}))]
pub(crate) struct WebhookView {
    /// Its identifier.
    id: WebhookId,
    /// Counts the changes, from 1.
    version: u32,
    /// Unique in the workspace.
    name: String,
    /// Free text.
    description: String,
    /// What a request consists of.
    content: Content,
    /// ID types that a push may send.
    id_types: Vec<IdTypeCode>,
    /// How requests say who calls.
    authentication: AuthenticationView,
    /// How requests are signed.
    signing: SigningView,
    /// Limits of now, for every run.
    limits: Limits,
    /// Retry policy of now, for every run.
    retry: RetryPolicy,
    /// What the receiver may report later about single users; left out: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipts: Option<Receipts>,
}

/// Without the secret, which is told to nobody.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Authentication)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum AuthenticationView {
    None {},
    Bearer {},
    Header {
        name: String,
    },
    Basic {
        username: String,
    },
    #[serde(rename = "oauth2")]
    OAuth2(TokenClient),
}

impl From<&Authentication> for AuthenticationView {
    fn from(authentication: &Authentication) -> Self {
        match authentication {
            Authentication::None {} => Self::None {},
            Authentication::Bearer { .. } => Self::Bearer {},
            Authentication::Header { name, .. } => Self::Header { name: name.clone() },
            Authentication::Basic { username, .. } => Self::Basic { username: username.clone() },
            Authentication::OAuth2 { client, .. } => Self::OAuth2(client.clone()),
        }
    }
}

/// How requests are signed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Signing)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum SigningView {
    None {},
    StandardWebhooks {
        /// What it signs by.
        algorithm: Algorithm,
        /// Told once, when it was made here.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
        /// Of `ed25519`: what receivers verify with.
        #[serde(skip_serializing_if = "Option::is_none")]
        public_key: Option<String>,
        /// Until when the secret before signs as well.
        #[serde(skip_serializing_if = "Option::is_none")]
        previous_valid_until: Option<Time>,
    },
}

impl SigningView {
    fn new(signing: &Signing, made: Option<String>) -> Self {
        match signing {
            Signing::None {} => Self::None {},
            Signing::StandardWebhooks { secret, previous } => Self::StandardWebhooks {
                algorithm: secret.algorithm,
                secret: made,
                public_key: secret.public_key.clone(),
                previous_valid_until: previous.as_ref().map(|previous| Time(previous.valid_until)),
            },
        }
    }
}

impl WebhookView {
    /// The same with its entity tag.
    pub(crate) fn tagged(webhook: &Webhook, made: Option<String>) -> Tagged<Self> {
        Tagged(Tag::version(webhook.version), Self::new(webhook, made))
    }

    /// A webhook as the audit log tells it.
    pub(crate) fn audited(webhook: &Webhook) -> Value {
        let signing = match &webhook.signing {
            Signing::None {} => None,
            Signing::StandardWebhooks { secret, .. } => Some(secret.ciphertext.as_str()),
        };
        let secrets = [("/authentication", webhook.authentication.ciphertext()), ("/signing", signing)];
        masked(&Self::new(webhook, None), secrets)
    }

    /// A webhook; `made` is its signing secret, where this request made it.
    pub(crate) fn new(webhook: &Webhook, made: Option<String>) -> Self {
        Self {
            id: webhook.id,
            version: webhook.version,
            name: webhook.name.clone(),
            description: webhook.description.clone(),
            content: webhook.content.clone(),
            id_types: webhook.id_types.clone(),
            authentication: (&webhook.authentication).into(),
            signing: SigningView::new(&webhook.signing, made),
            limits: webhook.limits,
            retry: webhook.retry,
            receipts: webhook.receipts.clone(),
        }
    }
}
