//! Signatures by Standard Webhooks: `webhook-signature` holds, between spaces, one by each valid secret over `<id>.<timestamp>.<body>`.
//!
//! `v1,<base64>` is an HMAC-SHA256, `v1a,<base64>` is Ed25519 (RFC 8032). Source of the format: the Standard Webhooks specification,
//! version 1.

use std::{fmt, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_dalek::{SigningKey, ed25519::signature::MultipartSigner};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use utoipa::ToSchema;

use crate::time::Millis;

/// Prefix of an Ed25519 public key in text form; base64 of its 32 bytes follows.
pub const PUBLIC_KEY_PREFIX: &str = "whpk_";

/// How a signature is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// `v1`: HMAC-SHA256 with a secret of 24 to 64 bytes, which the receiver has as well.
    #[default]
    HmacSha256,
    /// `v1a`: Ed25519 with a secret key that only we have; the receiver has the public key.
    Ed25519,
}

/// Why a text or bytes are no secret of an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// None of HMAC-SHA256.
    #[error("must be `whsec_` and the base64 of 24 to 64 bytes")]
    HmacSha256,
    /// None of Ed25519.
    #[error("must be `whsk_` and the base64 of a seed of 32 bytes, alone or with its public key behind it")]
    Ed25519,
}

impl Algorithm {
    /// What a secret in text form begins with; base64 follows.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::HmacSha256 => "whsec_",
            Self::Ed25519 => "whsk_",
        }
    }

    /// The bytes of a secret in text form.
    pub fn parse_secret(self, text: &str) -> Result<SecretSlice<u8>, InvalidSecret> {
        let bytes = text.strip_prefix(self.prefix()).and_then(|rest| BASE64_STANDARD.decode(rest).ok());
        let secret = SecretSlice::from(bytes.ok_or(self.invalid())?);
        Signer::new(self, secret.expose_secret())?;
        Ok(secret)
    }

    /// The text form of a secret.
    pub fn write_secret(self, secret: &SecretSlice<u8>) -> String {
        format!("{}{}", self.prefix(), BASE64_STANDARD.encode(secret.expose_secret()))
    }

    fn invalid(self) -> InvalidSecret {
        match self {
            Self::HmacSha256 => InvalidSecret::HmacSha256,
            Self::Ed25519 => InvalidSecret::Ed25519,
        }
    }
}

/// A secret, prepared once and used for many requests. A key is wiped from memory with its last copy.
#[derive(Clone)]
pub struct Signer(Key);

#[derive(Clone)]
enum Key {
    HmacSha256(Hmac<Sha256>),
    Ed25519(Arc<SigningKey>),
}

impl Signer {
    /// A signer with a secret's bytes: for Ed25519 the seed, alone or with its public key behind it.
    pub fn new(algorithm: Algorithm, secret: &[u8]) -> Result<Self, InvalidSecret> {
        let key = match algorithm {
            Algorithm::HmacSha256 if (24..=64).contains(&secret.len()) => {
                Hmac::new_from_slice(secret).ok().map(Key::HmacSha256)
            }
            Algorithm::HmacSha256 => None,
            Algorithm::Ed25519 => match <&[u8; 32]>::try_from(secret) {
                Ok(seed) => Some(SigningKey::from_bytes(seed)),
                // The public key must be the seed's own: with another one a signature would give the seed away.
                Err(_) => secret.try_into().ok().and_then(|pair| SigningKey::from_keypair_bytes(pair).ok()),
            }
            .map(|key| Key::Ed25519(Arc::new(key))),
        };
        key.map(Self).ok_or(algorithm.invalid())
    }

    /// The public key in text form, by which others verify; none of HMAC.
    pub fn public_key(&self) -> Option<String> {
        match &self.0 {
            Key::HmacSha256(_) => None,
            Key::Ed25519(key) => {
                let key = BASE64_STANDARD.encode(key.verifying_key().as_bytes());
                Some(format!("{PUBLIC_KEY_PREFIX}{key}"))
            }
        }
    }

    /// Appends one signature of `webhook-signature`.
    fn sign(&self, webhook_id: &str, at: Millis, body: &[u8], value: &mut String) {
        let mut seconds = itoa::Buffer::new();
        let content = [webhook_id.as_bytes(), b".", seconds.format(at.seconds()).as_bytes(), b".", body];
        match &self.0 {
            Key::HmacSha256(mac) => {
                let mut mac = mac.clone();
                for part in content {
                    mac.update(part);
                }
                value.push_str("v1,");
                BASE64_STANDARD.encode_string(mac.finalize().into_bytes(), value);
            }
            Key::Ed25519(key) => {
                value.push_str("v1a,");
                BASE64_STANDARD.encode_string(key.multipart_sign(&content).to_bytes(), value);
            }
        }
    }
}

/// Without the key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

/// The signers of an endpoint: that of now and, while receivers change over, the one before it.
#[derive(Clone, Debug)]
pub struct Signers {
    /// The signer of now.
    pub current: Signer,
    /// The one before it, and until when it signs as well.
    pub previous: Option<(Signer, Millis)>,
}

impl Signers {
    /// The value of `webhook-signature`, the signature by the secret of now first.
    pub fn sign(&self, webhook_id: &str, at: Millis, body: &[u8]) -> String {
        let mut value = String::with_capacity(48);
        self.current.sign(webhook_id, at, body, &mut value);
        if let Some((previous, _)) = self.previous.as_ref().filter(|(_, valid_until)| at < *valid_until) {
            value.push(' ');
            previous.sign(webhook_id, at, body, &mut value);
        }
        value
    }
}

/// Without one before it.
impl From<Signer> for Signers {
    fn from(current: Signer) -> Self {
        Self { current, previous: None }
    }
}

#[cfg(test)]
mod tests;
