//! An ID as it is kept: plain text, or a digest that the source delivered in its place.
//!
//! A digest is written `md5:<32 hex digits>` or `sha256:<64 hex digits>`, in files and in stored profiles alike. Everything else
//! is plain text.

use std::{borrow::Cow, fmt};

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    id::{InvalidId, has_control},
    limits,
    push::SendForm,
};

/// An ID's value, as kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdValue<'a> {
    /// The value as the source delivered it.
    Plain(&'a str),
    /// The MD5 of the normalised value, in hex.
    Md5(&'a str),
    /// The SHA-256 of the normalised value, in hex.
    Sha256(&'a str),
}

impl<'a> IdValue<'a> {
    /// What an ID must be.
    pub const RULE: &'static str = "must be 1 to 1,024 bytes of text without control characters; \
        after `md5:` 32 hex digits, after `sha256:` 64";

    /// Reads a value as files and stored profiles write it; none where it breaks [`Self::RULE`].
    pub fn read(text: &'a str) -> Option<Self> {
        let digest = |digits: &'a str, length: usize| {
            (digits.len() == length && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some(digits)
        };
        if let Some(digits) = text.strip_prefix("md5:") {
            return digest(digits, 32).map(Self::Md5);
        }
        if let Some(digits) = text.strip_prefix("sha256:") {
            return digest(digits, 64).map(Self::Sha256);
        }
        let valid = (1..=limits::ID).contains(&text.len()) && !has_control(text);
        valid.then_some(Self::Plain(text))
    }

    /// What is sent for the value under `form`; none where it cannot be had. For `aes` it is still to be encrypted, by whoever has the key.
    ///
    /// A digest goes as it is where that very form is wanted, and has no other form. `normalise` gives a plain value its one form,
    /// none where it is no valid value of its type.
    pub fn sent(
        self,
        form: SendForm,
        normalise: impl FnOnce(&'a str) -> Option<Cow<'a, str>>,
    ) -> Option<Cow<'a, str>> {
        match (self, form) {
            (Self::Plain(text), SendForm::Plain | SendForm::Aes) => normalise(text),
            (Self::Plain(text), SendForm::Md5) => {
                Some(hex::encode(Md5::digest(normalise(text)?.as_bytes())).into())
            }
            (Self::Plain(text), SendForm::Sha256) => {
                Some(hex::encode(Sha256::digest(normalise(text)?.as_bytes())).into())
            }
            (Self::Md5(digits), SendForm::Md5) | (Self::Sha256(digits), SendForm::Sha256) => {
                Some(lower_case(digits))
            }
            (Self::Md5(_) | Self::Sha256(_), _) => None,
        }
    }
}

/// ASCII text in lower case; borrowed where it is already.
pub(super) fn lower_case(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// An ID in a stored profile: its text keeps to [`IdValue::RULE`].
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StoredId(String);

impl StoredId {
    /// What the text stands for.
    pub fn value(&self) -> IdValue<'_> {
        // Its parser let only readable text pass.
        IdValue::read(&self.0).unwrap_or(IdValue::Plain(&self.0))
    }

    /// The text, as files write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StoredId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        match IdValue::read(&text) {
            Some(_) => Ok(Self(text)),
            None => Err(InvalidId { rule: IdValue::RULE }),
        }
    }
}

impl From<StoredId> for String {
    fn from(id: StoredId) -> Self {
        id.0
    }
}

/// Without the value, which is personal data.
impl fmt::Debug for StoredId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredId(…)")
    }
}
