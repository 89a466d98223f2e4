//! Verifies signatures by Standard Webhooks, from its specification and with no code of the sender's.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How far a message's timestamp may be from now, in seconds.
const TOLERANCE: u64 = 5 * 60;

/// Why a text is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSecret;

impl fmt::Display for InvalidSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signing secret must be `whsec_` and base64")
    }
}

impl std::error::Error for InvalidSecret {}

/// Verifies messages under one secret.
#[derive(Clone)]
pub struct Verifier(Hmac<Sha256>);

impl Verifier {
    /// A verifier with a secret in text form, as in `whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`.
    pub fn new(secret: &str) -> Result<Self, InvalidSecret> {
        let key = secret.strip_prefix("whsec_").and_then(|rest| BASE64_STANDARD.decode(rest).ok());
        let key = key.filter(|key| !key.is_empty()).ok_or(InvalidSecret)?;
        Hmac::new_from_slice(&key).map(Self).map_err(|_| InvalidSecret)
    }

    /// Whether one of the signatures is this secret's over the message, and the message is of now (`now` in Unix seconds).
    pub fn verify(&self, id: &str, timestamp: &str, signatures: &str, body: &[u8], now: u64) -> bool {
        let fresh = timestamp.parse::<u64>().is_ok_and(|sent| sent.abs_diff(now) <= TOLERANCE);
        if id.is_empty() || !fresh {
            return false;
        }
        let mut mac = self.0.clone();
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        let signatures =
            signatures.split(' ').filter_map(|one| BASE64_STANDARD.decode(one.strip_prefix("v1,")?).ok());
        signatures.into_iter().any(|signature| mac.clone().verify_slice(&signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
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
    }
}
