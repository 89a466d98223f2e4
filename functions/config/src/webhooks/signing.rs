//! The signing secret: write-only, encrypted before it is stored; one that is replaced stays valid beside the new one for a while.

use std::time::Duration;

use fanhook_core::{
    fault::Fault,
    id::WebhookId,
    limits,
    signature::{Algorithm, Signer},
    webhook::{Signing, SigningSecret, Webhook},
};
use fanhook_store::{
    ports::SecretContext,
    webhooks::{self, Replaced},
};
use secrecy::{ExposeSecret, SecretSlice};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{find, settle, view::WebhookView};
use crate::{
    access::{Admin, Caller, Id},
    audit::Action,
    input::Optional,
    precondition::{IfMatch, Tag, Tagged},
    problem::{ATTEMPTS, Problem, Result},
};

/// Random numbers of 8 bytes in a secret that is made here: 32 bytes, as Standard Webhooks advises, and an Ed25519 seed.
const NUMBERS: usize = 4;

/// How requests shall be signed.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum SigningInput {
    /// Not at all.
    None {},
    /// By Standard Webhooks.
    StandardWebhooks {
        /// Left out: as it was, `hmac_sha256` at first.
        #[serde(default)]
        algorithm: Option<Algorithm>,
        /// `whsec_…` or `whsk_…`; left out: as it was, or a new one where there is none of the algorithm.
        #[serde(default)]
        secret: Option<String>,
        /// How long the secret before stays valid, from now on; left out: a day.
        #[serde(default)]
        #[schema(maximum = 86400)]
        overlap_seconds: Option<u32>,
    },
}

/// A new secret that requests shall be signed with.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"overlap_seconds": 3600}))]
pub(crate) struct SecretInput {
    /// Left out: as it was.
    #[serde(default)]
    algorithm: Option<Algorithm>,
    /// `whsec_…` or `whsk_…`; left out: one is made.
    #[serde(default)]
    secret: Option<String>,
    /// How long the secret before stays valid, from now on; left out: a day.
    #[serde(default)]
    #[schema(maximum = 86400)]
    overlap_seconds: Option<u32>,
}

impl SecretInput {
    fn algorithm(&self, old: &Signing) -> Algorithm {
        self.algorithm.or(old.algorithm()).unwrap_or_default()
    }

    fn overlap(&self) -> Duration {
        self.overlap_seconds.map_or(limits::OVERLAP, |seconds| Duration::from_secs(seconds.into()))
    }

    /// What is wrong with it; never the secret itself.
    fn check(&self, old: &Signing) -> Vec<Fault> {
        let mut faults = Vec::new();
        let secret = self.secret.as_deref().map(|secret| self.algorithm(old).parse_secret(secret));
        if let Some(Err(error)) = secret {
            let fault = Fault::new("secret", error.to_string());
            faults.push(fault.hint("leave it out to have one made; `algorithm` says of which kind"));
        }
        if self.overlap() > limits::OVERLAP {
            let detail = format!("at most {} seconds, which is a day", limits::OVERLAP.as_secs());
            faults.push(Fault::new("overlap_seconds", detail));
        }
        faults
    }

    /// Whether the secret stays the one that is stored.
    fn keeps(&self, old: &Signing) -> bool {
        self.secret.is_none() && old.algorithm() == Some(self.algorithm(old))
    }
}

impl SigningInput {
    /// What is wrong with it, for a webhook that was stored with `old`.
    pub(crate) fn check(&self, old: &Signing) -> Vec<Fault> {
        let faults = self.secret().map(|input| input.check(old)).unwrap_or_default();
        faults.into_iter().map(|fault| fault.within("signing")).collect()
    }

    fn secret(&self) -> Option<SecretInput> {
        match self.clone() {
            Self::None {} => None,
            Self::StandardWebhooks { algorithm, secret, overlap_seconds } => {
                Some(SecretInput { algorithm, secret, overlap_seconds })
            }
        }
    }
}

/// A secret that this request brought or had made: one, however often others are faster at changing the webhook.
#[derive(Default)]
pub(crate) struct Fresh {
    secret: Option<SigningSecret>,
    /// Its text, where it was made here and the receiver needs it: an Ed25519 key made here is known to nobody else.
    pub(crate) told: Option<String>,
}

impl Fresh {
    /// What an input means for a webhook that is stored with `old`.
    pub(crate) async fn signing(
        &mut self,
        caller: &Caller,
        webhook: WebhookId,
        input: Option<&SigningInput>,
        old: &Signing,
    ) -> Result<Signing> {
        let Some(input) = input else { return Ok(old.clone()) };
        match input.secret() {
            None => Ok(Signing::None {}),
            Some(input) if self.secret.is_none() && input.keeps(old) => {
                Ok(old.shortened(input.overlap(), caller.now))
            }
            Some(input) => self.rotated(caller, webhook, &input, old).await,
        }
    }

    /// The same with a new secret, whatever is stored.
    async fn rotated(
        &mut self,
        caller: &Caller,
        webhook: WebhookId,
        input: &SecretInput,
        old: &Signing,
    ) -> Result<Signing> {
        let secret = match self.secret.take() {
            Some(secret) => secret,
            None => self.make(caller, webhook, input, old).await?,
        };
        self.secret = Some(secret.clone());
        Ok(old.rotated(secret, input.overlap(), caller.now))
    }

    async fn make(
        &mut self,
        caller: &Caller,
        webhook: WebhookId,
        input: &SecretInput,
        old: &Signing,
    ) -> Result<SigningSecret> {
        let algorithm = input.algorithm(old);
        let secret = if let Some(text) = &input.secret {
            algorithm.parse_secret(text).map_err(|_| Problem::invalid(input.check(old)))?
        } else {
            let numbers = (0..NUMBERS).flat_map(|_| caller.random.number().to_be_bytes());
            let secret = SecretSlice::from(numbers.collect::<Vec<u8>>());
            self.told = (algorithm == Algorithm::HmacSha256).then(|| algorithm.write_secret(&secret));
            secret
        };
        let signer = Signer::new(algorithm, secret.expose_secret()).map_err(|_| Problem::internal())?;
        let context = SecretContext::signing(&caller.workspace, webhook);
        let ciphertext = caller.secrets.encrypt(&context, &secret).await?;
        Ok(SigningSecret { algorithm, ciphertext, public_key: signer.public_key() })
    }
}

/// Replaces the signing secret by a new one, given or made, and changes nothing else.
///
/// The old one stays valid beside it for the overlap; the one before that, where there still is one, no longer. An HMAC secret that is made
/// is told in this answer, once.
#[utoipa::path(post, path = "/webhooks/{id}/rotate-secret", tag = "Webhooks", operation_id = "rotate_secret",
    params(("id" = WebhookId, Path), IfMatch), request_body = Option<SecretInput>, responses(
    (status = 200, description = "The webhook.", body = WebhookView, headers(("etag" = String, description = "For `If-Match`."))),
    (status = 409, description = "`not_signed`; `changed_meanwhile`."),
))]
pub(crate) async fn rotate_secret(
    admin: Admin,
    Id(id): Id<WebhookId>,
    if_match: IfMatch,
    Optional(input): Optional<SecretInput>,
) -> Result<Tagged<WebhookView>> {
    let input = input.unwrap_or_default();
    let mut fresh = Fresh::default();
    for _ in 0..ATTEMPTS {
        let old = find(&admin, id).await?;
        let faults = input.check(&old.signing);
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        if_match.check(Some(&Tag::version(old.version)))?;
        if old.signing == (Signing::None {}) {
            let detail = "requests of this webhook are not signed; set `signing` first";
            return Err(Problem::conflict("not_signed", detail));
        }
        let signing = fresh.rotated(&admin, id, &input, &old.signing).await?;
        let new = Webhook { version: old.version + 1, signing, ..old.clone() };
        let (before, after) = (WebhookView::audited(&old), WebhookView::audited(&new));
        let entry = admin.entry(Action::Replaced, ("webhook", &id.to_string()), Some(&before), Some(&after));
        match webhooks::replace(&*admin.config, &old, &new, None, &entry).await? {
            Replaced::Done => {
                settle(&admin, id).await?;
                return Ok(WebhookView::tagged(&new, fresh.told));
            }
            Replaced::Gone => return Err(Problem::not_found()),
            // Name and sources are its own already, so that only a change by others is in the way.
            Replaced::Changed | Replaced::NameTaken | Replaced::SourceGone => {}
        }
    }
    Err(Problem::busy())
}
