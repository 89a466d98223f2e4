//! Signatures by Standard Webhooks: `webhook-signature: v1,<base64 of HMAC-SHA256 over "<id>.<timestamp>.<body>">`.
//!
//! Source of the format: the Standard Webhooks specification, version 1.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::time::Millis;

/// Prefix of a secret in text form; base64 of 24 to 64 bytes follows.
pub const SECRET_PREFIX: &str = "whsec_";

/// A key, prepared once and used for many requests.
#[derive(Clone)]
pub struct Signer(Hmac<Sha256>);

/// Why a text is no signing secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `whsec_` and the base64 of 24 to 64 bytes")]
pub struct InvalidSecret;

/// The bytes of a secret in text form.
pub fn parse_secret(text: &str) -> Result<Vec<u8>, InvalidSecret> {
    let bytes = text.strip_prefix(SECRET_PREFIX).and_then(|rest| BASE64_STANDARD.decode(rest).ok());
    bytes.filter(|bytes| (24..=64).contains(&bytes.len())).ok_or(InvalidSecret)
}

impl Signer {
    /// A signer with a secret's bytes.
    pub fn new(secret: &[u8]) -> Result<Self, InvalidSecret> {
        if secret.is_empty() {
            return Err(InvalidSecret);
        }
        Hmac::new_from_slice(secret).map(Self).map_err(|_| InvalidSecret)
    }

    /// The value of `webhook-signature`.
    pub fn sign(&self, webhook_id: &str, at: Millis, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        let mut seconds = itoa::Buffer::new();
        mac.update(webhook_id.as_bytes());
        mac.update(b".");
        mac.update(seconds.format(at.seconds()).as_bytes());
        mac.update(b".");
        mac.update(body);
        let mut value = String::with_capacity(47);
        value.push_str("v1,");
        BASE64_STANDARD.encode_string(mac.finalize().into_bytes(), &mut value);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_example_verifies() {
        let secret = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap_or_default();
        let signer = Signer::new(&secret).ok();
        let signature = signer.map(|s| {
            s.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", Millis(1_614_265_330_000), br#"{"test": 2432232314}"#)
        });
        assert_eq!(signature.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn a_secret_is_prefix_and_base64_of_24_to_64_bytes() {
        let of = |n: usize| parse_secret(&format!("whsec_{}", BASE64_STANDARD.encode(vec![7; n])));
        assert!(of(24).is_ok() && of(64).is_ok());
        assert!(of(23).is_err() && of(65).is_err());
        assert!(parse_secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err());
        assert!(Signer::new(b"").is_err());
    }
}
