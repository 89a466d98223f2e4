//! Uploaded files, read as a stream: ranges of them, one ahead of the one that is worked on.

use bytes::Bytes;
use fanhook_core::{
    audience::{FileError, Kind, Limits, Reader},
    id::IdTypeCode,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Sender;

use crate::{
    StoreResult,
    ports::{ObjectError, Objects},
};

/// Bytes of one range.
const RANGE: u64 = 8 << 20;

/// A range of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its bytes.
    pub bytes: Bytes,
    /// Entity tag of the file.
    pub etag: String,
}

/// A file from some offset on.
pub struct Stream<'a> {
    /// The bucket.
    pub objects: &'a dyn Objects,
    /// Key of the file.
    pub key: String,
    /// Entity tag of the version that was begun with, where one was; else the first range pins it.
    pub etag: Option<String>,
    /// Where to begin.
    pub offset: u64,
}

impl Stream<'_> {
    /// Fetches range after range, each when there is room for it, up to the file's end or the first error. It ends early where nobody
    /// takes them any more. With a channel of one place two ranges are in memory.
    pub async fn fetch(mut self, out: Sender<Result<Piece, ObjectError>>) {
        // Room first, then the range: else one more would be in memory.
        while let Ok(room) = out.reserve().await {
            let range = self.offset..self.offset.saturating_add(RANGE);
            match self.objects.get(&self.key, range, self.etag.as_deref()).await {
                Ok(fetched) if fetched.bytes.is_empty() => break,
                Ok(fetched) => {
                    self.offset += fetched.bytes.len() as u64;
                    self.etag = Some(fetched.etag.clone());
                    room.send(Ok(Piece { bytes: fetched.bytes, etag: fetched.etag }));
                    if self.offset >= fetched.size {
                        break;
                    }
                }
                Err(error) => {
                    room.send(Err(error));
                    break;
                }
            }
        }
    }
}

/// What kind of failure keeps a file from being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileCode {
    /// It is not there.
    FileMissing,
    /// It was replaced while it was read.
    FileReplaced,
    /// It is of a kind that is not read.
    UnsupportedFile,
    /// Its header line names no such columns.
    WrongHeader,
    /// It begins otherwise than the file that was read so far.
    AudienceChanged,
    /// It is larger than a file may be.
    FileTooLarge,
    /// It ends too early.
    FileTruncated,
    /// It can't be decompressed.
    FileDamaged,
}

impl FileCode {
    /// Its name, as in `wrong_header`.
    pub fn name(self) -> &'static str {
        match self {
            Self::FileMissing => "file_missing",
            Self::FileReplaced => "file_replaced",
            Self::UnsupportedFile => "unsupported_file",
            Self::WrongHeader => "wrong_header",
            Self::AudienceChanged => "audience_changed",
            Self::FileTooLarge => "file_too_large",
            Self::FileTruncated => "file_truncated",
            Self::FileDamaged => "file_damaged",
        }
    }
}

/// Why a file can't be read, or not further: a code for programs, a text for people. Written `code: text`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {text}", .code.name())]
pub struct FileFailure {
    /// Its kind.
    pub code: FileCode,
    /// What is wrong, and what to do.
    pub text: String,
}

impl FileFailure {
    /// What a failed read says of the file.
    ///
    /// # Errors
    /// The store's own failure says nothing of the file.
    pub fn of(error: ObjectError) -> StoreResult<Self> {
        let (code, text) = match error {
            ObjectError::NotFound => (FileCode::FileMissing, "the file is not there; upload it again"),
            ObjectError::Replaced => {
                (FileCode::FileReplaced, "the file was replaced while it was read; upload it again")
            }
            ObjectError::Store(error) => return Err(error),
        };
        Ok(Self { code, text: text.to_owned() })
    }
}

impl From<FileError> for FileFailure {
    fn from(error: FileError) -> Self {
        let code = match error {
            FileError::Unsupported { .. } => FileCode::UnsupportedFile,
            FileError::Header { .. } => FileCode::WrongHeader,
            FileError::Changed { .. } => FileCode::AudienceChanged,
            FileError::TooLarge { .. } => FileCode::FileTooLarge,
            FileError::Truncated { .. } => FileCode::FileTruncated,
            FileError::Corrupt { .. } => FileCode::FileDamaged,
        };
        Self { code, text: error.to_string() }
    }
}

/// What is wrong with the head of an audience file, if anything: its kind, its compression, its header line.
pub async fn check_head(
    objects: &dyn Objects,
    key: &str,
    types: Vec<IdTypeCode>,
) -> StoreResult<Option<FileFailure>> {
    // More than the longest header line.
    const HEAD: u64 = 128 << 10;
    let head = match objects.get(key, 0..HEAD, None).await {
        Ok(head) => head,
        Err(error) => return FileFailure::of(error).map(Some),
    };
    let mut reader = Reader::new(Kind::Audience, types, Limits::default());
    reader.feed(&head.bytes);
    if head.size <= HEAD {
        reader.end();
    }
    // The first record, bad row or end lies behind the header.
    Ok(reader.read().err().map(FileFailure::from))
}
