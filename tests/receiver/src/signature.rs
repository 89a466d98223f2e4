//! Verifies signatures by Standard Webhooks, from its specification and with no code of the sender's.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How far a message's timestamp may be from now, in seconds.
const TOLERANCE: u64 = 5 * 60;

/// Why a text is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSecret;

impl fmt::Display for InvalidSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the signing secret must be `whsec_` and base64, or `whpk_` and the base64 of a public key",
        )
    }
}

impl std::error::Error for InvalidSecret {}

/// Verifies messages under one secret, or one public key.
#[derive(Clone)]
pub struct Verifier(Key);

#[derive(Clone)]
enum Key {
    /// `v1`
    HmacSha256(Hmac<Sha256>),
    /// `v1a`
    Ed25519(VerifyingKey),
}

impl Verifier {
    /// A verifier with a secret or a public key in text form, as in `whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`.
    pub fn new(secret: &str) -> Result<Self, InvalidSecret> {
        let decode = |text: &str| BASE64_STANDARD.decode(text).ok().filter(|key| !key.is_empty());
        let key = if let Some(key) = secret.strip_prefix("whpk_") {
            let key = decode(key).and_then(|key| key.try_into().ok());
            key.and_then(|key| VerifyingKey::from_bytes(&key).ok()).map(Key::Ed25519)
        } else {
            let key = secret.strip_prefix("whsec_").and_then(decode);
            key.and_then(|key| Hmac::new_from_slice(&key).ok()).map(Key::HmacSha256)
        };
        key.map(Self).ok_or(InvalidSecret)
    }

    /// Whether one of the signatures is this key's over the message, and the message is of now (`now` in Unix seconds).
    pub fn verify(&self, id: &str, timestamp: &str, signatures: &str, body: &[u8], now: u64) -> bool {
        let fresh = timestamp.parse::<u64>().is_ok_and(|sent| sent.abs_diff(now) <= TOLERANCE);
        if id.is_empty() || !fresh {
            return false;
        }
        let content = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        let of = |version: &'static str| {
            let signatures = signatures.split(' ').filter_map(move |one| one.strip_prefix(version));
            signatures.filter_map(|signature| BASE64_STANDARD.decode(signature).ok())
        };
        match &self.0 {
            Key::HmacSha256(mac) => {
                let mut mac = mac.clone();
                for part in content {
                    mac.update(part);
                }
                of("v1,").any(|signature| mac.clone().verify_slice(&signature).is_ok())
            }
            Key::Ed25519(key) => {
                let content = content.concat();
                let mut signatures = of("v1a,").filter_map(|one| Signature::from_slice(&one).ok());
                signatures.any(|signature| key.verify_strict(&content, &signature).is_ok())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: u64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn the_specifications_example_verifies_and_nothing_beside_it_does() {
        let verifier = Verifier::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let verify =
            |id, at: u64, signatures: &str, body| verifier.verify(id, &at.to_string(), signatures, body, AT);
        assert!(verify(ID, AT, SIGNATURE, BODY));
        assert!(verify(ID, AT, &format!("v1a,AAAA v1,AAAA {SIGNATURE}"), BODY));
        assert!(!verify(ID, AT, SIGNATURE, br#"{"test": 2432232315}"#));
        assert!(!verify("msg_p5jXN8AQM9LWM0D4loKWxJel", AT, SIGNATURE, BODY));
        assert!(!verify(ID, AT + 1, SIGNATURE, BODY));
        assert!(!verify(ID, AT, "", BODY));
        assert!(!verify(ID, AT, &SIGNATURE[3..], BODY));
    }

    #[test]
    fn a_public_key_verifies_what_its_secret_key_signed() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = BASE64_STANDARD.encode(key.verifying_key().as_bytes());
        let verifier = Verifier::new(&format!("whpk_{public}")).unwrap();
        let content = [format!("{ID}.{AT}.").as_bytes(), BODY].concat();
        let signature = format!("v1a,{}", BASE64_STANDARD.encode(key.sign(&content).to_bytes()));
        let verify = |signatures: &str, body| verifier.verify(ID, &AT.to_string(), signatures, body, AT);
        assert!(verify(&signature, BODY) && verify(&format!("{SIGNATURE} {signature}"), BODY));
        assert!(!verify(&signature, br#"{"test": 2432232315}"#));
        assert!(!verify(SIGNATURE, BODY) && !verify(&signature.replace("v1a", "v1"), BODY));
    }

    #[test]
    fn a_message_of_another_time_is_refused() {
        let verifier = Verifier::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let at = AT.to_string();
        assert!(verifier.verify(ID, &at, SIGNATURE, BODY, AT + TOLERANCE));
        assert!(!verifier.verify(ID, &at, SIGNATURE, BODY, AT + TOLERANCE + 1));
        assert!(!verifier.verify(ID, "soon", SIGNATURE, BODY, AT));
    }

    #[test]
    fn a_secret_is_its_prefix_and_base64() {
        assert!(Verifier::new("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err());
        assert!(Verifier::new("whsec_").is_err());
        assert!(Verifier::new("whsec_?").is_err());
        assert!(Verifier::new("whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err());
    }
}
