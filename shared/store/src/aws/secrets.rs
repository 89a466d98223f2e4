//! Secrets under a key of KMS.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_kms::{Client, operation::decrypt::DecryptError, primitives::Blob};
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretSlice};

use crate::{
    StoreError, StoreResult,
    ports::{SecretContext, Secrets},
};

/// A key of KMS.
#[derive(Clone, Debug)]
pub struct KmsSecrets {
    client: Client,
    key_id: String,
}

impl KmsSecrets {
    /// The key `key_id`: an identifier or an ARN.
    pub fn new(config: &SdkConfig, key_id: impl Into<String>) -> Self {
        Self { client: Client::new(config), key_id: key_id.into() }
    }
}

/// The context as KMS binds it; it is logged in plain text there.
fn bound(context: &SecretContext) -> HashMap<String, String> {
    let parts =
        [("workspace", &*context.workspace), ("webhook", &*context.webhook), ("field", context.field)];
    let named = parts.into_iter().filter(|(_, value)| !value.is_empty());
    named.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[async_trait]
impl Secrets for KmsSecrets {
    async fn encrypt(&self, context: &SecretContext, plain: &SecretSlice<u8>) -> StoreResult<String> {
        const OPERATION: &str = "KMS Encrypt";
        let request = self.client.encrypt().key_id(&self.key_id).plaintext(Blob::new(plain.expose_secret()));
        let answer = request.set_encryption_context(Some(bound(context))).send().await;
        let answer = answer.map_err(|error| StoreError::unavailable(OPERATION, error))?;
        let ciphertext = answer
            .ciphertext_blob
            .ok_or_else(|| StoreError::unavailable(OPERATION, "the answer is empty"))?;
        Ok(BASE64_STANDARD.encode(ciphertext))
    }

    async fn decrypt(&self, context: &SecretContext, ciphertext: &str) -> StoreResult<SecretSlice<u8>> {
        const OPERATION: &str = "KMS Decrypt";
        let ciphertext =
            BASE64_STANDARD.decode(ciphertext).map_err(|error| StoreError::corrupt("secret", error))?;
        let request = self.client.decrypt().key_id(&self.key_id).ciphertext_blob(Blob::new(ciphertext));
        let answer = request.set_encryption_context(Some(bound(context))).send().await;
        let answer = answer.map_err(|error| match error.as_service_error() {
            Some(DecryptError::InvalidCiphertextException(_) | DecryptError::IncorrectKeyException(_)) => {
                StoreError::corrupt("secret", "it was not encrypted under this key and context")
            }
            _ => StoreError::unavailable(OPERATION, error),
        })?;
        let plain =
            answer.plaintext.ok_or_else(|| StoreError::unavailable(OPERATION, "the answer is empty"))?;
        Ok(plain.into_inner().into())
    }
}
