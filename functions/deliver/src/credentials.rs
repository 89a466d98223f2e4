//! What requests are signed and authenticated with: secrets are decrypted once in a while, and kept in memory only as what is made of them.

use std::{sync::Arc, time::Duration};

use fanhook_core::{
    id::{WebhookId, WorkspaceId},
    identity::OrganizationKey,
    push::SendForm,
    run::EndpointSettings,
    signature::{Signer, Signers},
    time::Millis,
    webhook::{Authentication, Signing, SigningSecret},
};
use fanhook_outbound::{HeaderName, HeaderValue, confidential};
use fanhook_store::{StoreError, StoreResult, organization_key, ports::SecretContext};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use crate::{
    Ports,
    token::{Asking, Slots, Tokens},
};

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
    /// What IDs are encrypted by, where they are.
    pub(crate) organization_key: Option<OrganizationKey>,
}

/// Credentials by endpoint and settings, so that a rotated secret is another one.
#[derive(Default)]
pub(crate) struct Keyring {
    signers: Opened<(WebhookId, SigningSecret), Signer>,
    headers: Opened<(WebhookId, Authentication), (HeaderName, HeaderValue)>,
    asking: Opened<(WebhookId, Authentication), Arc<Asking>>,
    organization_keys: Opened<String, OrganizationKey>,
    slots: Slots,
}

impl Keyring {
    /// The credentials for these settings and this form of IDs. Who asks at the same time decrypts once.
    pub(crate) async fn get(
        &self,
        ports: &Ports,
        (workspace, webhook): (&WorkspaceId, WebhookId),
        settings: &EndpointSettings,
        form: SendForm,
    ) -> StoreResult<Credentials> {
        let (secrets, now) = (&*ports.secrets, ports.clock.now());
        self.sweep(now).await;
        let mut credentials = Credentials::default();
        if let Signing::StandardWebhooks { secret, previous } = &settings.signing {
            let signer = async |stored: &SigningSecret| {
                let open = async || {
                    let context = SecretContext::signing(workspace, webhook);
                    let secret = secrets.decrypt(&context, &stored.ciphertext).await?;
                    Signer::new(stored.algorithm, secret.expose_secret()).map_err(corrupt)
                };
                self.signers.get((webhook, stored.clone()), now, open).await
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
                Asking::new(client.clone(), text.into()).map(Arc::new).map_err(corrupt)
            };
            let asking = self.asking.get((webhook, authentication.clone()), now, open).await?;
            credentials.tokens = Some(Tokens { slot: self.slots.get(webhook, authentication), asking });
        } else if let (Some(name), Some(ciphertext)) = (authentication.header(), authentication.ciphertext())
        {
            let open = async || {
                let secret = secrets.decrypt(&context, ciphertext).await?;
                let text = std::str::from_utf8(secret.expose_secret()).map_err(corrupt)?;
                let value = authentication.value(text).unwrap_or_default();
                Ok((name.parse().map_err(corrupt)?, confidential(value).map_err(corrupt)?))
            };
            let key = (webhook, authentication.clone());
            credentials.header = Some(self.headers.get(key, now, open).await?);
        }
        if form == SendForm::Aes {
            credentials.organization_key = Some(self.organization_key(ports, now).await?);
        }
        Ok(credentials)
    }

    /// Lets go of all that is over, whosever it is: no secret is kept for an endpoint that is sent to no more.
    async fn sweep(&self, now: Millis) {
        self.signers.sweep(now).await;
        self.headers.sweep(now).await;
        self.asking.sweep(now).await;
        self.organization_keys.sweep(now).await;
        self.slots.sweep(now);
    }

    /// The organization key of now.
    async fn organization_key(&self, ports: &Ports, now: Millis) -> StoreResult<OrganizationKey> {
        let stored = organization_key::get(&*ports.ledger).await?;
        // No push is saved with encrypted IDs before there is one, and it is never deleted.
        let stored = stored.ok_or_else(|| StoreError::corrupt("organization key", "it is missing"))?;
        let open = async || {
            let context = SecretContext::organization_key();
            let key = ports.secrets.decrypt(&context, &stored.ciphertext).await?;
            OrganizationKey::new(key.expose_secret()).map_err(corrupt)
        };
        self.organization_keys.get(stored.ciphertext.clone(), now, open).await
    }
}

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt("secret", error)
}

/// What was made of decrypted secrets, by what it was made of, and when.
struct Opened<K, T>(Mutex<Vec<(K, Millis, T)>>);

impl<K, T> Default for Opened<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: PartialEq, T: Clone> Opened<K, T> {
    async fn get(&self, key: K, now: Millis, open: impl AsyncFnOnce() -> StoreResult<T>) -> StoreResult<T> {
        let mut kept = self.0.lock().await;
        if let Some((_, _, made)) = kept.iter().find(|(known, _, _)| *known == key) {
            return Ok(made.clone());
        }
        let made = open().await?;
        kept.push((key, now, made.clone()));
        Ok(made)
    }

    async fn sweep(&self, now: Millis) {
        self.0.lock().await.retain(|(_, since, _)| now.since(*since) < LIFETIME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_made_of_a_secret_is_swept_after_its_time() {
        let opened = Opened::<&str, u8>::default();
        let made = async |now, value| opened.get("a", now, async || Ok(value)).await.unwrap();
        assert_eq!((made(Millis(0), 1).await, made(Millis(1), 2).await), (1, 1));
        opened.sweep(Millis(0) + (LIFETIME.saturating_sub(Duration::from_millis(1)))).await;
        assert_eq!(opened.0.lock().await.len(), 1);
        opened.sweep(Millis(0) + LIFETIME).await;
        assert_eq!(opened.0.lock().await.len(), 0);
    }
}
