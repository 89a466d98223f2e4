//! Outcome objects: what became of each recipient, as compressed NDJSON, one object for each settled pass over a chunk.
//!
//! A line is `{"qaid":"…","outcome":"refused","reason":"status","webhook_id":"msg_…","tries":1,"status":404,"at_ms":1700000000123,
//! "answer":"…"}`. The last five are left out where they are not known: a recipient that a killed worker had finished is known by
//! its reason alone.

use std::{
    borrow::Cow,
    io::{Read as _, Write as _},
};

use bytes::Bytes;
use fanhook_core::{
    id::WorkspaceId,
    outcome::{Outcome, Reason},
    recipient::Recipient,
    time::Millis,
};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, StoreResult,
    chunks::Chunk,
    keys,
    ports::{ObjectError, Objects},
    runs::Run,
    segments,
};

const WHAT: &str = "outcomes";
/// Most bytes of one object, decompressed: far above what a chunk's recipients take.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes that one line takes about.
const LINE: usize = 160;

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record<'a> {
    /// The user.
    pub qaid: Cow<'a, str>,
    /// The final outcome.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// What the deliveries went under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<Cow<'a, str>>,
    /// Requests that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<u8>,
    /// HTTP status of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// When it became final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<Millis>,
    /// Beginning of the last answer that was no success, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Cow<'a, str>>,
}

impl<'a> Record<'a> {
    /// A record of which only the reason is known.
    pub fn new(qaid: impl Into<Cow<'a, str>>, reason: Reason) -> Self {
        Self {
            qaid: qaid.into(),
            outcome: reason.outcome(),
            reason,
            webhook_id: None,
            tries: None,
            status: None,
            at_ms: None,
            answer: None,
        }
    }
}

/// The lines of one object.
#[derive(Debug, Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// None yet; room for so many.
    pub fn with_capacity(records: usize) -> Self {
        Self(Vec::with_capacity(records * LINE))
    }

    /// Adds a record.
    pub fn push(&mut self, record: &Record<'_>) -> StoreResult<()> {
        serde_json::to_writer(&mut self.0, record).map_err(|error| StoreError::corrupt(WHAT, error))?;
        self.0.push(b'\n');
        Ok(())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object.
    pub fn compressed(&self) -> StoreResult<Bytes> {
        let mut encoder = GzEncoder::new(Vec::with_capacity(self.0.len() / 4), Compression::fast());
        let compressed = encoder.write_all(&self.0).and_then(|()| encoder.finish());
        compressed.map(Bytes::from).map_err(|error| StoreError::corrupt(WHAT, error))
    }
}

/// Puts the object of a chunk's pass whole, replacing what an earlier worker of the pass wrote; none where there is no record.
pub async fn put(
    objects: &dyn Objects,
    workspace: &WorkspaceId,
    chunk: &Chunk,
    lines: &Lines,
) -> StoreResult<()> {
    if lines.is_empty() {
        return Ok(());
    }
    objects.put(&keys::outcome(workspace, &chunk.id, chunk.pass), lines.compressed()?).await
}

/// Puts the object of a pass of which nothing but the reasons is known: every final state that is not counted yet.
pub async fn put_uncounted(objects: &dyn Objects, run: &Run, chunk: &Chunk, now: Millis) -> StoreResult<()> {
    // What can't be read has an outcome all the same: a run whose segments are gone can be closed.
    let recipients = match segments::recipients(objects, &run.workspace, chunk).await {
        Err(StoreError::Corrupt { .. }) => Bytes::new(),
        read => read?,
    };
    let all: Vec<&[u8]> = recipients.split_inclusive(|&byte| byte == b'\n').collect();
    let mut lines = Lines::default();
    for (index, reason) in chunk.states.uncounted() {
        let recipient = all.get(index).and_then(|line| Recipient::parse(line).ok()).unwrap_or_default();
        let decided_now = matches!(reason, Reason::Cancelled | Reason::Expired);
        let record = Record::new(recipient.qaid.as_str(), reason);
        lines.push(&Record { at_ms: decided_now.then_some(now), ..record })?;
    }
    put(objects, &run.workspace, chunk, &lines).await
}

/// The records of the object under `key`; none where its retention has ended since it was listed.
pub async fn read(objects: &dyn Objects, key: &str) -> StoreResult<Vec<Record<'static>>> {
    let bytes = match objects.get(key, 0..MAX_BYTES, None).await {
        Ok(fetched) => fetched.bytes,
        Err(ObjectError::NotFound) => return Ok(Vec::new()),
        Err(ObjectError::Store(error)) => return Err(error),
        Err(error) => return Err(StoreError::corrupt(WHAT, error)),
    };
    decode(&bytes)
}

fn decode(bytes: &[u8]) -> StoreResult<Vec<Record<'static>>> {
    let mut lines = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(MAX_BYTES).read_to_end(&mut lines);
    read.map_err(|error| StoreError::corrupt(WHAT, error))?;
    let lines = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|error| StoreError::corrupt(WHAT, error))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_as_they_were_written() {
        let full = Record {
            webhook_id: Some("msg_0".into()),
            tries: Some(3),
            status: Some(404),
            at_ms: Some(Millis(1_700_000_000_123)),
            answer: Some("no \"such\"\nuser".into()),
            ..Record::new("ü 🎟", Reason::Status)
        };
        let bare = Record::new("b", Reason::Delivered);
        let mut lines = Lines::default();
        assert!(lines.is_empty());
        for record in [&full, &bare] {
            lines.push(record).expect("a record");
        }
        let compressed = lines.compressed().expect("an object");
        assert_eq!(decode(&compressed).expect("records"), [full, bare]);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let line = serde_json::to_string(&Record::new("a", Reason::NoId)).expect("a line");
        assert_eq!(line, r#"{"qaid":"a","outcome":"no_id","reason":"no_id"}"#);
    }
}
