//! What of a webhook is true of its endpoint now, for all its runs: kept in the ledger, where workers read it.

use fanhook_core::{id::WebhookId, run::EndpointSettings, time::Millis, webhook::Webhook};
use fanhook_store::{
    endpoints,
    proofs::{self, Proofs},
    webhooks,
};

use crate::{
    access::Caller,
    problem::{ATTEMPTS, Result},
};

/// A webhook's settings of now.
pub(crate) fn settings(webhook: &Webhook, proofs: &Proofs, updated: Millis) -> EndpointSettings {
    EndpointSettings {
        origin: webhook.content.origin(),
        requests_per_second: webhook.limits.requests_per_second,
        allowed_per_minute: proofs.allowed_per_minute(&webhook.content),
        allowed_elsewhere: proofs.allowed_elsewhere(&webhook.content),
        requests_at_a_time: webhook.limits.requests_at_a_time,
        retry: webhook.retry,
        authentication: webhook.authentication.clone(),
        signing: webhook.signing.clone(),
        updated,
    }
}

/// Writes a webhook's settings.
pub(crate) async fn write(caller: &Caller, webhook: &Webhook, proofs: &Proofs) -> Result<()> {
    endpoints::put(&*caller.ledger, webhook.id, &settings(webhook, proofs, caller.now)).await?;
    Ok(())
}

/// Brings the endpoint to what the webhook says, or away where the webhook is gone.
///
/// The two are in different tables. Of several writers at once the last one looks at the webhook after it wrote, and so sees
/// what is newest.
pub(crate) async fn settle(caller: &Caller, id: WebhookId) -> Result<()> {
    let mut written = None;
    for _ in 0..ATTEMPTS {
        let webhook = webhooks::get(&*caller.config, &caller.workspace, id).await?;
        let proofs = proofs::get(&*caller.config, &caller.workspace, id).await?;
        let newest = (webhook.as_ref().map(|webhook| webhook.version), proofs);
        if written.as_ref() == Some(&newest) {
            return Ok(());
        }
        match &webhook {
            Some(webhook) => write(caller, webhook, &newest.1).await?,
            None => endpoints::delete(&*caller.ledger, id).await?,
        }
        written = Some(newest);
    }
    // Whoever changed it last brings the endpoint to it.
    Ok(())
}
