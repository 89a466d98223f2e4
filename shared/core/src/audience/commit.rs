//! A place in a file to go on from, and what was read up to there.

use serde::{Deserialize, Serialize};
use sha2::{
    Digest, Sha256,
    digest::common::hazmat::{SerializableState, SerializedState},
};

use super::Compression;

/// How much was read. `records` = `good` + `bad` + `blank` + `header`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Lines. A record in CSV may have several.
    pub lines: u64,
    /// Records of all kinds.
    pub records: u64,
    /// Records that were handed out.
    pub good: u64,
    /// Rows that could not be read.
    pub bad: u64,
    /// Lines of nothing but white space.
    pub blank: u64,
    /// Header lines.
    pub header: u64,
}

/// A place in a file to go on from: just after an item that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// How the file is compressed; none: too little was read to tell.
    pub compression: Option<Compression>,
    /// Offset in the content (of a compressed file: unpacked) of what is read next, in bytes.
    pub offset: u64,
    /// What was read up to there.
    pub counts: Counts,
    /// The hash of the content up to there.
    pub(super) hash: Hash,
    /// What the records are; none: too little was read to tell.
    pub(super) format: Option<Format>,
    /// The offset lies in a record that is too long, whose rest is passed over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) in_long: bool,
}

/// What the records of a file are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    Ndjson,
    /// With the names of its columns.
    Csv(Vec<String>),
    Lines,
}

/// From where on the caller feeds a file that is gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From the commit's offset: only a plain file that is known to be the same.
    Offset,
    /// From the first byte: a compressed file, or one that may be another. It must have the same content up to the commit.
    Beginning,
}

/// SHA-256 on its way: its inner state, so that it can go on. Written in hex.
///
/// The state holds up to 63 bytes of the content that did not fill a block yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Hash(SerializedState<Sha256>);

impl Hash {
    pub(super) fn of(hash: &Sha256) -> Self {
        Self(hash.serialize())
    }

    /// The hash that goes on from here.
    pub(super) fn go_on(&self) -> Sha256 {
        // Its parser let only states pass that can be gone on from.
        Sha256::deserialize(&self.0).unwrap_or_default()
    }

    /// Whether another hash had the same content.
    pub(super) fn agrees(&self, other: &Sha256) -> bool {
        self.go_on().finalize() == other.clone().finalize()
    }
}

impl TryFrom<String> for Hash {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut state = SerializedState::<Sha256>::default();
        hex::decode_to_slice(&text, &mut state).map_err(|_| "is not the state of a hash in hex")?;
        Sha256::deserialize(&state).map_err(|_| "is not the state of a hash")?;
        Ok(Self(state))
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hex::encode(hash.0)
    }
}
