//! Signers of endpoints: their secrets are decrypted once in a while, and kept in memory only as a keyed hash.

use std::time::Duration;

use fanhook_core::{
    id::{WebhookId, WorkspaceId},
    signature::Signer,
    time::Millis,
    webhook::Signing,
};
use fanhook_store::{
    StoreError, StoreResult,
    ports::{SecretContext, Secrets},
};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

/// How long a decrypted secret is used.
const LIFETIME: Duration = Duration::from_mins(5);

/// Signers by endpoint and ciphertext, so that a rotated secret is another one.
#[derive(Default)]
pub(crate) struct Signers(Mutex<Vec<Kept>>);

struct Kept {
    webhook: WebhookId,
    ciphertext: String,
    since: Millis,
    signer: Signer,
}

impl Signers {
    /// The signer for these settings; none where requests are not signed. Who asks at the same time decrypts once.
    pub(crate) async fn get(
        &self,
        secrets: &dyn Secrets,
        workspace: &WorkspaceId,
        webhook: WebhookId,
        signing: &Signing,
        now: Millis,
    ) -> StoreResult<Option<Signer>> {
        let Signing::StandardWebhooks { ciphertext } = signing else { return Ok(None) };
        let mut kept = self.0.lock().await;
        kept.retain(|kept| now.since(kept.since) < LIFETIME);
        if let Some(known) =
            kept.iter().find(|kept| kept.webhook == webhook && kept.ciphertext == *ciphertext)
        {
            return Ok(Some(known.signer.clone()));
        }
        let context = SecretContext::signing(workspace, webhook);
        let secret = secrets.decrypt(&context, ciphertext).await?;
        let signer =
            Signer::new(secret.expose_secret()).map_err(|error| StoreError::corrupt("secret", error))?;
        kept.push(Kept { webhook, ciphertext: ciphertext.clone(), since: now, signer: signer.clone() });
        Ok(Some(signer))
    }
}
