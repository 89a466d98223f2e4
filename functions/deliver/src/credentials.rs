//! What requests are signed and authenticated with: secrets are decrypted once in a while, and kept in memory only as what is made of them.

use std::{sync::Arc, time::Duration};

use fanhook_core::{
    id::{WebhookId, WorkspaceId},
    run::EndpointSettings,
    signature::{Signer, Signers},
    time::Millis,
    webhook::{Authentication, Signing, SigningSecret},
};
use fanhook_outbound::{HeaderName, HeaderValue};
use fanhook_store::{
    StoreError, StoreResult,
    ports::{SecretContext, Secrets},
};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use crate::token::{Asking, Slots, Tokens};

/// How long what was made of a secret is used.
const LIFETIME: Duration = Duration::from_mins(5);

/// What the requests to an endpoint carry.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    /// None where requests are not signed.
    pub(crate) signers: Option<Signers>,
    /// The header that says who calls.
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
    /// Where the access token comes from that says so instead.
    pub(crate) tokens: Option<Tokens>,
}

/// Credentials by endpoint and settings, so that a rotated secret is another one.
#[derive(Default)]
pub(crate) struct Keyring {
    signers: Opened<SigningSecret, Signer>,
    headers: Opened<Authentication, (HeaderName, HeaderValue)>,
    asking: Opened<Authentication, Arc<Asking>>,
    slots: Slots,
}

impl Keyring {
    /// The credentials for these settings. Who asks at the same time decrypts once.
    pub(crate) async fn get(
        &self,
        secrets: &dyn Secrets,
        (workspace, webhook): (&WorkspaceId, WebhookId),
        settings: &EndpointSettings,
        now: Millis,
    ) -> StoreResult<Credentials> {
        let mut credentials = Credentials::default();
        if let Signing::StandardWebhooks { secret, previous } = &settings.signing {
            let signer = async |stored: &SigningSecret| {
                let open = async || {
                    let context = SecretContext::signing(workspace, webhook);
                    let secret = secrets.decrypt(&context, &stored.ciphertext).await?;
                    Signer::new(stored.algorithm, secret.expose_secret()).map_err(corrupt)
                };
                self.signers.get(webhook, stored, now, open).await
            };
            let mut signers = Signers::from(signer(secret).await?);
            if let Some(previous) = previous.as_ref().filter(|previous| now < previous.valid_until) {
                signers.previous = Some((signer(&previous.secret).await?, previous.valid_until));
            }
            credentials.signers = Some(signers);
        }
        let authentication = &settings.authentication;
        let context = SecretContext::authentication(workspace, webhook);
        if let Authentication::OAuth2 { client, ciphertext } = authentication {
            let open = async || {
                let secret = secrets.decrypt(&context, ciphertext).await?;
                let text = std::str::from_utf8(secret.expose_secret()).map_err(corrupt)?;
                Asking::new(client, text).map(Arc::new).map_err(corrupt)
            };
            let asking = self.asking.get(webhook, authentication, now, open).await?;
            credentials.tokens = Some(Tokens { slot: self.slots.get(webhook, authentication), asking });
        } else if let (Some(name), Some(ciphertext)) = (authentication.header(), authentication.ciphertext())
        {
            let open = async || {
                let secret = secrets.decrypt(&context, ciphertext).await?;
                let text = std::str::from_utf8(secret.expose_secret()).map_err(corrupt)?;
                let value = authentication.value(text).unwrap_or_default();
                let mut value = HeaderValue::from_str(&value).map_err(corrupt)?;
                value.set_sensitive(true);
                Ok((name.parse().map_err(corrupt)?, value))
            };
            credentials.header = Some(self.headers.get(webhook, authentication, now, open).await?);
        }
        Ok(credentials)
    }
}

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt("secret", error)
}

/// What was made of decrypted secrets.
struct Opened<K, T>(Mutex<Vec<Kept<K, T>>>);

struct Kept<K, T> {
    webhook: WebhookId,
    key: K,
    since: Millis,
    made: T,
}

impl<K, T> Default for Opened<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + PartialEq, T: Clone> Opened<K, T> {
    async fn get(
        &self,
        webhook: WebhookId,
        key: &K,
        now: Millis,
        open: impl AsyncFnOnce() -> StoreResult<T>,
    ) -> StoreResult<T> {
        let mut kept = self.0.lock().await;
        kept.retain(|kept| now.since(kept.since) < LIFETIME);
        if let Some(known) = kept.iter().find(|kept| kept.webhook == webhook && kept.key == *key) {
            return Ok(known.made.clone());
        }
        let made = open().await?;
        kept.push(Kept { webhook, key: key.clone(), since: now, made: made.clone() });
        Ok(made)
    }
}
