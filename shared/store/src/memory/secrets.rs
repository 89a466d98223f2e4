//! The twin of encryption: it hides nothing, but binds a secret to its context as the real one does.

use std::hash::{DefaultHasher, Hash, Hasher};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretSlice};

use super::faults::{Fault, Faults, Operation, refused};
use crate::{
    StoreError, StoreResult,
    ports::{SecretContext, Secrets},
};

/// Largest secret, in bytes.
const SECRET: usize = 4096;

/// Secrets in plain sight.
#[derive(Default)]
pub struct MemorySecrets {
    faults: Faults,
}

impl MemorySecrets {
    /// Without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, failing as `hook` says.
    #[must_use]
    pub fn with_faults(self, hook: impl Fn(&Operation<'_>) -> Fault + Send + Sync + 'static) -> Self {
        Self { faults: Faults::new(hook) }
    }
}

/// What the context adds to a ciphertext.
fn bound(context: &SecretContext) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    context.hash(&mut hasher);
    hasher.finish().to_be_bytes()
}

#[async_trait]
impl Secrets for MemorySecrets {
    async fn encrypt(&self, context: &SecretContext, plain: &SecretSlice<u8>) -> StoreResult<String> {
        self.faults.around(&Operation::Encrypt(context), || {
            let plain = plain.expose_secret();
            if plain.is_empty() || plain.len() > SECRET {
                return refused("a secret has 1 to 4,096 bytes");
            }
            Ok(BASE64_STANDARD.encode([&bound(context), plain].concat()))
        })
    }

    async fn decrypt(&self, context: &SecretContext, ciphertext: &str) -> StoreResult<SecretSlice<u8>> {
        self.faults.around(&Operation::Decrypt(context), || {
            let ciphertext =
                BASE64_STANDARD.decode(ciphertext).map_err(|error| StoreError::corrupt("secret", error))?;
            let plain = ciphertext.strip_prefix(&bound(context));
            let plain = plain
                .ok_or_else(|| StoreError::corrupt("secret", "it was not encrypted under this context"))?;
            Ok(plain.to_vec().into())
        })
    }
}
