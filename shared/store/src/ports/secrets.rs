//! Secrets: encrypted by one function, decrypted by another.

use async_trait::async_trait;
use fanhook_core::id::{ParameterSourceId, WebhookId, WorkspaceId};
use secrecy::SecretSlice;

use super::StoreResult;

/// What a ciphertext is bound to; decryption under another context fails.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretContext {
    /// Workspace that owns the secret; empty: the organization does.
    pub workspace: String,
    /// Webhook, or parameter source, that it belongs to; empty: to none.
    pub webhook: String,
    /// Field of the webhook or the organization.
    pub field: &'static str,
}

impl SecretContext {
    /// The context of a webhook's signing secret.
    pub fn signing(workspace: &WorkspaceId, webhook: WebhookId) -> Self {
        Self { workspace: workspace.to_string(), webhook: webhook.to_string(), field: "signing" }
    }

    /// The context of a parameter source's secret header.
    pub fn parameter_source(workspace: &WorkspaceId, source: ParameterSourceId) -> Self {
        Self { workspace: workspace.to_string(), webhook: source.to_string(), field: "secret_header" }
    }

    /// The context of what a webhook's requests authenticate with.
    pub fn authentication(workspace: &WorkspaceId, webhook: WebhookId) -> Self {
        Self { field: "authentication", ..Self::signing(workspace, webhook) }
    }

    /// The context of the organization key.
    pub fn organization_key() -> Self {
        Self { workspace: String::new(), webhook: String::new(), field: "organization_key" }
    }
}

/// Encryption under the deployment's key.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// Ciphertext, base64.
    async fn encrypt(&self, context: &SecretContext, plain: &SecretSlice<u8>) -> StoreResult<String>;
    /// The secret's bytes.
    async fn decrypt(&self, context: &SecretContext, ciphertext: &str) -> StoreResult<SecretSlice<u8>>;
}
