//! The organization key: IDs in the send form `aes`, which a receiver who has the key decrypts.
//!
//! `base64(iv ‖ ciphertext)`: AES-256-CBC with PKCS#7 padding (RFC 2315, section 10.3), under an IV that is the first 16 bytes of
//! HMAC-SHA256 over the value, with the same key. So the same ID always gives the same text: previews and retries are byte for byte the same, and a
//! receiver can compare IDs without decrypting them; other IDs give IVs that nobody can foretell.

use aes::{Aes256Enc, cipher::KeyInit as _};
use base64::{Engine, prelude::BASE64_STANDARD};
use cbc::{
    Encryptor,
    cipher::{BlockModeEncrypt, InnerIvInit, block_padding::Pkcs7},
};
use hmac::{Hmac, Mac};
use secrecy::SecretSlice;
use sha2::Sha256;

/// Bytes of an organization key.
pub const ORGANIZATION_KEY: usize = 32;
/// Bytes of an initialisation vector.
const IV: usize = 16;

/// A text or bytes are no organization key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the base64 of {ORGANIZATION_KEY} bytes")]
pub struct InvalidKey;

/// The key, prepared once and used for many IDs.
#[derive(Clone)]
pub struct OrganizationKey {
    cipher: Aes256Enc,
    mac: Hmac<Sha256>,
}

impl OrganizationKey {
    /// The key of these bytes.
    pub fn new(key: &[u8]) -> Result<Self, InvalidKey> {
        let cipher = Aes256Enc::new_from_slice(key).map_err(|_| InvalidKey)?;
        let mac = Hmac::new_from_slice(key).map_err(|_| InvalidKey)?;
        Ok(Self { cipher, mac })
    }

    /// The bytes of a key in text form.
    pub fn parse(text: &str) -> Result<SecretSlice<u8>, InvalidKey> {
        let key = BASE64_STANDARD.decode(text).ok().filter(|key| key.len() == ORGANIZATION_KEY);
        key.map(SecretSlice::from).ok_or(InvalidKey)
    }

    /// A normalised value as it is sent.
    pub fn encrypt(&self, value: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(value.as_bytes());
        let mut sent = mac.finalize().into_bytes()[..IV].to_vec();
        let mut iv = [0; IV];
        iv.copy_from_slice(&sent);
        let encryptor = Encryptor::inner_iv_init(self.cipher.clone(), &iv.into());
        sent.extend(encryptor.encrypt_padded_vec::<Pkcs7>(value.as_bytes()));
        BASE64_STANDARD.encode(sent)
    }
}

#[cfg(test)]
mod tests {
    use aes::Aes256;
    use cbc::{
        Decryptor,
        cipher::{BlockModeDecrypt, KeyIvInit},
    };
    use hmac::digest::zeroize::ZeroizeOnDrop;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_that_is_made_of_a_key_is_wiped_from_memory() {
        fn is_wiped<T: ZeroizeOnDrop>() {}
        is_wiped::<Aes256Enc>();
        // Of which an HMAC consists.
        is_wiped::<Sha256>();
    }

    /// The bytes 0 to 31.
    fn key() -> [u8; ORGANIZATION_KEY] {
        std::array::from_fn(|at| u8::try_from(at).unwrap())
    }

    fn encrypt(value: &str) -> String {
        OrganizationKey::new(&key()).unwrap().encrypt(value)
    }

    /// As a receiver does it, by the documentation alone.
    fn decrypt(sent: &str) -> String {
        let sent = BASE64_STANDARD.decode(sent).unwrap();
        let (iv, ciphertext) = sent.split_at(16);
        let decryptor = Decryptor::<Aes256>::new_from_slices(&key(), iv).unwrap();
        String::from_utf8(decryptor.decrypt_padded_vec::<Pkcs7>(ciphertext).unwrap()).unwrap()
    }

    #[test]
    fn the_documents_example_is_what_we_send() {
        // Made by Python's `hmac` and `cryptography`; stands in docs/DELIVERY.md.
        assert_eq!(encrypt("+8613800138000"), "7umBDnuDmlxSrkCTwnhfcQ3uO4Mx5CiqiO5VpZn0F5U=");
    }

    #[test]
    fn the_same_value_gives_the_same_text_and_another_value_or_key_another() {
        assert_eq!(encrypt("ann@example.com"), encrypt("ann@example.com"));
        assert_ne!(encrypt("ann@example.com")[..20], encrypt("ann@example.con")[..20]);
        let other = OrganizationKey::new(&[7; ORGANIZATION_KEY]).unwrap();
        assert_ne!(other.encrypt("ann@example.com"), encrypt("ann@example.com"));
    }

    #[test]
    fn a_key_is_the_base64_of_32_bytes() {
        for (length, fits) in [(0, false), (16, false), (31, false), (32, true), (33, false)] {
            assert_eq!(OrganizationKey::parse(&BASE64_STANDARD.encode(vec![7; length])).is_ok(), fits);
            assert_eq!(OrganizationKey::new(&vec![7; length]).is_ok(), fits, "{length}");
        }
        assert!(OrganizationKey::parse("no base64").is_err());
    }

    proptest! {
        #[test]
        fn a_receiver_decrypts_every_value(value in any::<String>()) {
            prop_assert_eq!(decrypt(&encrypt(&value)), value);
        }
    }
}
