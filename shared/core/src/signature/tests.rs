use std::time::{Duration, SystemTime};

use ed25519_dalek::{Signature, VerifyingKey};
use http::HeaderMap;
use standardwebhooks::Webhook;

use super::*;

const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn signer(algorithm: Algorithm, text: &str) -> Signer {
    Signer::new(algorithm, algorithm.parse_secret(text).unwrap().expose_secret()).unwrap()
}

fn hmac(text: &str) -> Signer {
    signer(Algorithm::HmacSha256, text)
}

/// The secret key of the first test of RFC 8032, section 7.1.
fn ed25519() -> Signer {
    let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
    Signer::new(Algorithm::Ed25519, &seed).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the official library verifies against the real time")]
fn now() -> Millis {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Millis(u64::try_from(now.as_millis()).unwrap())
}

/// A message as a receiver gets it.
#[derive(Clone)]
struct Message {
    id: String,
    timestamp: String,
    signatures: String,
    body: Vec<u8>,
}

impl Message {
    fn signed(signers: &Signers, at: Millis) -> Self {
        let signatures = signers.sign(ID, at, BODY);
        Self { id: ID.to_owned(), timestamp: at.seconds().to_string(), signatures, body: BODY.to_vec() }
    }

    /// The official library's verdict.
    fn verifies(&self, secret: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", self.id.parse().unwrap());
        headers.insert("webhook-timestamp", self.timestamp.parse().unwrap());
        headers.insert("webhook-signature", self.signatures.parse().unwrap());
        Webhook::new(secret).unwrap().verify(&self.body, &headers).is_ok()
    }

    /// The verdict of the Ed25519 library by a public key in text form: the official one knows no `v1a`.
    fn verifies_by(&self, public_key: &str) -> bool {
        let bytes = BASE64_STANDARD.decode(public_key.strip_prefix("whpk_").unwrap()).unwrap();
        let key = VerifyingKey::from_bytes(&bytes.try_into().unwrap()).unwrap();
        let content = [self.id.as_bytes(), b".", self.timestamp.as_bytes(), b".", &self.body].concat();
        let signatures = self.signatures.split(' ').filter_map(|one| one.strip_prefix("v1a,"));
        let mut signatures = signatures.filter_map(|text| BASE64_STANDARD.decode(text).ok());
        signatures.any(|bytes| {
            Signature::from_slice(&bytes)
                .is_ok_and(|signature| key.verify_strict(&content, &signature).is_ok())
        })
    }

    /// The same message with one bit of it flipped, in each of its parts.
    fn flipped(&self) -> [Self; 4] {
        let other = |text: &str, from: char, to: char| text.replacen(from, &to.to_string(), 1);
        let mut body = self.body.clone();
        body[2] ^= 1;
        let (last, rest) = (self.timestamp.chars().last().unwrap(), self.timestamp.len() - 1);
        let last = char::from(u8::try_from(last).unwrap() ^ 1);
        let (version, signature) = self.signatures.split_once(',').unwrap();
        let mut signature = BASE64_STANDARD.decode(signature).unwrap();
        signature[7] ^= 1;
        [
            Self { id: other(&self.id, 'p', 'q'), ..self.clone() },
            Self { timestamp: format!("{}{last}", &self.timestamp[..rest]), ..self.clone() },
            Self { body, ..self.clone() },
            Self { signatures: format!("{version},{}", BASE64_STANDARD.encode(signature)), ..self.clone() },
        ]
    }
}

#[test]
fn the_specifications_example_is_what_we_sign() {
    let signature = Signers::from(hmac(NEW)).sign(ID, Millis(1_614_265_330_000), BODY);
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn the_official_library_verifies_what_we_sign_and_nothing_with_a_bit_flipped() {
    let message = Message::signed(&hmac(NEW).into(), now());
    assert!(message.verifies(NEW) && !message.verifies(OLD));
    assert!(message.flipped().iter().all(|flipped| !flipped.verifies(NEW)));
}

#[test]
fn a_public_key_verifies_what_its_secret_key_signed_and_nothing_with_a_bit_flipped() {
    let public_key = ed25519().public_key().unwrap();
    // Of the same test of RFC 8032.
    let bytes = hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap();
    assert_eq!(public_key, format!("whpk_{}", BASE64_STANDARD.encode(bytes)));
    let message = Message::signed(&ed25519().into(), now());
    assert!(message.signatures.starts_with("v1a,") && message.verifies_by(&public_key));
    assert!(message.flipped().iter().all(|flipped| !flipped.verifies_by(&public_key)));
    let other = Signer::new(Algorithm::Ed25519, &[7; 32]).unwrap().public_key().unwrap();
    assert!(!message.verifies_by(&other));
}

#[test]
fn while_receivers_change_over_either_secret_verifies_and_afterwards_the_new_one_alone() {
    let end = now();
    let overlapping = Signers { current: hmac(NEW), previous: Some((hmac(OLD), end)) };
    let before = Message::signed(&overlapping, Millis(end.0 - 1));
    assert!(before.verifies(NEW) && before.verifies(OLD));
    let alone = Signers::from(hmac(NEW)).sign(ID, Millis(end.0 - 1), BODY);
    assert!(before.signatures.starts_with(&format!("{alone} v1,")), "the new one first");
    for at in [end, end + Duration::from_secs(1)] {
        let after = Message::signed(&overlapping, at);
        assert!(after.verifies(NEW) && !after.verifies(OLD) && !after.signatures.contains(' '));
    }
}

#[test]
fn while_receivers_change_the_algorithm_either_verifies() {
    let end = now() + Duration::from_mins(1);
    let overlapping = Signers { current: ed25519(), previous: Some((hmac(OLD), end)) };
    let message = Message::signed(&overlapping, now());
    assert!(message.verifies(OLD) && message.verifies_by(&ed25519().public_key().unwrap()));
}

#[test]
fn a_secret_is_its_prefix_and_base64_of_the_right_length() {
    let parse = |algorithm: Algorithm, prefix: &str, bytes: &[u8]| {
        algorithm.parse_secret(&format!("{prefix}{}", BASE64_STANDARD.encode(bytes)))
    };
    let hmac = |length: usize| parse(Algorithm::HmacSha256, "whsec_", &vec![7; length]);
    assert!(hmac(24).is_ok() && hmac(64).is_ok());
    assert_eq!(hmac(23).err(), Some(InvalidSecret::HmacSha256));
    assert_eq!(hmac(65).err(), Some(InvalidSecret::HmacSha256));
    assert!(Algorithm::HmacSha256.parse_secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err());

    let ed25519 = |bytes: &[u8]| parse(Algorithm::Ed25519, "whsk_", bytes);
    let mut pair = SigningKey::from_bytes(&[7; 32]).to_keypair_bytes();
    assert_eq!(ed25519(&pair).unwrap().expose_secret(), pair);
    assert!(ed25519(&pair[..32]).is_ok());
    for length in [0, 31, 33, 63] {
        assert_eq!(ed25519(&vec![7; length]).err(), Some(InvalidSecret::Ed25519), "{length}");
    }
    pair[40] ^= 1;
    assert!(ed25519(&pair).is_err(), "another public key than the seed's");
    assert!(parse(Algorithm::Ed25519, "whsec_", &[7; 32]).is_err());
    assert!(parse(Algorithm::HmacSha256, "whsk_", &[7; 32]).is_err());
}

#[test]
fn a_secret_in_text_form_reads_as_it_was_written() {
    for algorithm in [Algorithm::HmacSha256, Algorithm::Ed25519] {
        let secret = SecretSlice::from(vec![9; 32]);
        let text = algorithm.write_secret(&secret);
        assert_eq!(algorithm.parse_secret(&text).unwrap().expose_secret(), secret.expose_secret());
    }
}

#[test]
fn a_signer_does_not_show_its_key() {
    assert_eq!(format!("{:?}", ed25519()), "Signer(…)");
}
