//! The signing secret: write-only, encrypted before it is stored.

use base64::{Engine, prelude::BASE64_STANDARD};
use fanhook_core::{
    fault::Fault,
    id::WebhookId,
    signature::{SECRET_PREFIX, parse_secret},
    webhook::Signing,
};
use fanhook_store::ports::SecretContext;
use secrecy::SecretSlice;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{access::Caller, problem::Result};

/// Random numbers of 8 bytes in a generated secret: 32 bytes, as Standard Webhooks advises.
const NUMBERS: usize = 4;

/// How requests shall be signed.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum SigningInput {
    /// Not at all.
    None {},
    /// Standard Webhooks `v1`.
    StandardWebhooks {
        /// `whsec_…`; left out: as it was, or a new one at first.
        #[serde(default)]
        secret: Option<String>,
    },
}

impl SigningInput {
    /// What is wrong with the secret; never the secret itself.
    pub(crate) fn check(&self) -> Option<Fault> {
        let Self::StandardWebhooks { secret: Some(secret) } = self else { return None };
        let error = parse_secret(secret).err()?;
        let fault = Fault::new("signing.secret", error.to_string());
        Some(fault.hint("leave it out to have one made"))
    }
}

/// What is stored, and the secret where it was made here.
pub(crate) struct Signature {
    pub(crate) signing: Signing,
    pub(crate) generated: Option<String>,
}

/// Whether an input leaves what is stored as it is.
pub(crate) fn keeps(input: Option<&SigningInput>, old: &Signing) -> bool {
    match input {
        None => true,
        Some(SigningInput::StandardWebhooks { secret: None }) => {
            matches!(old, Signing::StandardWebhooks { .. })
        }
        Some(_) => false,
    }
}

/// What an input means for a webhook that was stored with `old`.
pub(crate) async fn apply(
    caller: &Caller,
    webhook: WebhookId,
    input: Option<&SigningInput>,
    old: Option<&Signing>,
) -> Result<Signature> {
    if let Some(old) = old.filter(|old| keeps(input, old)) {
        return Ok(Signature { signing: old.clone(), generated: None });
    }
    let Some(SigningInput::StandardWebhooks { secret }) = input else {
        return Ok(Signature { signing: Signing::None {}, generated: None });
    };
    let given = secret.as_deref().and_then(|secret| parse_secret(secret).ok());
    let (bytes, generated) = if let Some(bytes) = given {
        (bytes, None)
    } else {
        let bytes: Vec<u8> = (0..NUMBERS).flat_map(|_| caller.random.number().to_be_bytes()).collect();
        let text = format!("{SECRET_PREFIX}{}", BASE64_STANDARD.encode(&bytes));
        (bytes, Some(text))
    };
    let context = SecretContext::signing(&caller.workspace, webhook);
    let ciphertext = caller.secrets.encrypt(&context, &SecretSlice::from(bytes)).await?;
    Ok(Signature { signing: Signing::StandardWebhooks { ciphertext }, generated })
}
