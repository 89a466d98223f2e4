//! The bytes of a file in, its content out, a bounded piece at a time.

use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};
use serde::{Deserialize, Serialize};
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use super::{FileError, detect};

/// Most bytes of content that one [`Source::fill`] adds, so that memory stays flat however much a few bytes unpack to.
const PIECE: usize = 128 << 10;
/// Bits of deflate's largest window.
const WINDOW_BITS: u8 = 15;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the formats' own")]
pub enum Compression {
    Plain,
    Gzip,
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// What came of a [`Source::fill`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// There is more content.
    More,
    /// More of the file is needed first.
    Starved,
    /// The content is complete.
    End,
}

/// A file on its way in.
pub(super) struct Source {
    /// Bytes of the file that came and are not used yet, from `used` on.
    input: Vec<u8>,
    used: usize,
    /// No more bytes come.
    ended: bool,
    stage: Stage,
    /// Content given out so far, in bytes.
    produced: u64,
    /// Most content that a compressed file may have, in bytes.
    limit: u64,
}

enum Stage {
    /// Too few bytes came to tell what the file is.
    Unknown,
    Plain,
    /// In a member, or between two where there is none.
    Gzip(Option<Decompress>),
    Zstd {
        decoder: Decoder<'static>,
        in_frame: bool,
    },
}

impl Source {
    /// A file from its first byte on.
    pub(super) fn new(limit: u64) -> Self {
        Self { input: Vec::new(), used: 0, ended: false, stage: Stage::Unknown, produced: 0, limit }
    }

    /// A plain file from anywhere on.
    pub(super) fn plain(limit: u64) -> Self {
        Self { stage: Stage::Plain, ..Self::new(limit) }
    }

    /// How the file is compressed, once enough of it came.
    pub(super) fn compression(&self) -> Option<Compression> {
        match self.stage {
            Stage::Unknown => None,
            Stage::Plain => Some(Compression::Plain),
            Stage::Gzip(_) => Some(Compression::Gzip),
            Stage::Zstd { .. } => Some(Compression::Zstd),
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.input.drain(..self.used);
        self.used = 0;
        self.input.extend_from_slice(bytes);
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Adds a piece of content to `text`.
    pub(super) fn fill(&mut self, text: &mut Vec<u8>) -> Result<Fill, FileError> {
        let before = text.len();
        text.reserve(PIECE);
        let fill = loop {
            let input = &self.input[self.used..];
            match &mut self.stage {
                Stage::Unknown if input.len() < detect::SNIFFED && !self.ended => return Ok(Fill::Starved),
                Stage::Unknown => {
                    self.stage = match detect::compression(input)? {
                        Compression::Plain => Stage::Plain,
                        Compression::Gzip => Stage::Gzip(None),
                        Compression::Zstd => {
                            let decoder =
                                Decoder::new().map_err(|error| corrupt(Compression::Zstd, error))?;
                            Stage::Zstd { decoder, in_frame: false }
                        }
                    };
                }
                Stage::Plain => {
                    let piece = &input[..input.len().min(PIECE)];
                    text.extend_from_slice(piece);
                    self.used += piece.len();
                    break if piece.is_empty() { self.dry(Compression::Plain, false)? } else { Fill::More };
                }
                Stage::Gzip(member) => match gunzip(member, input, text)? {
                    (0, written) if written == before => {
                        let in_member = member.is_some();
                        break self.dry(Compression::Gzip, in_member)?;
                    }
                    (read, _) => self.used += read,
                },
                Stage::Zstd { decoder, in_frame } => {
                    let mut from = InBuffer::around(input);
                    let mut to = OutBuffer::around_pos(text, before);
                    let hint =
                        decoder.run(&mut from, &mut to).map_err(|error| corrupt(Compression::Zstd, error))?;
                    let (read, written) = (from.pos(), to.pos() - before);
                    self.used += read;
                    if read > 0 || written > 0 {
                        *in_frame = hint > 0;
                    } else if input.is_empty() {
                        let in_frame = *in_frame;
                        break self.dry(Compression::Zstd, in_frame)?;
                    }
                }
            }
            if text.len() > before {
                break Fill::More;
            }
        };
        self.produced += (text.len() - before) as u64;
        match self.compression() {
            Some(compression @ (Compression::Gzip | Compression::Zstd)) if self.produced > self.limit => {
                Err(FileError::TooLarge { compression, limit: self.limit })
            }
            _ => Ok(fill),
        }
    }

    /// All bytes that came are used.
    fn dry(&self, compression: Compression, unfinished: bool) -> Result<Fill, FileError> {
        match (self.ended, unfinished) {
            (false, _) => Ok(Fill::Starved),
            (true, false) => Ok(Fill::End),
            (true, true) => Err(FileError::Truncated { compression }),
        }
    }
}

/// Unpacks into the spare room of `text`. Returns the bytes read and the new length of `text`.
fn gunzip(
    member: &mut Option<Decompress>,
    input: &[u8],
    text: &mut Vec<u8>,
) -> Result<(usize, usize), FileError> {
    let Some(decoder) = member else {
        // Zeros between and after members are padding, as tapes leave it.
        let zeros = input.iter().take_while(|&&byte| byte == 0).count();
        if zeros > 0 {
            return Ok((zeros, text.len()));
        }
        if !input.is_empty() {
            *member = Some(Decompress::new_gzip(WINDOW_BITS));
            return gunzip(member, input, text);
        }
        return Ok((0, text.len()));
    };
    let before = decoder.total_in();
    let status = decoder
        .decompress_vec(input, text, FlushDecompress::None)
        .map_err(|error| corrupt(Compression::Gzip, error))?;
    let read = usize::try_from(decoder.total_in() - before).unwrap_or(input.len());
    if status == Status::StreamEnd {
        *member = None;
    }
    Ok((read, text.len()))
}

fn corrupt(compression: Compression, error: impl fmt::Display) -> FileError {
    FileError::Corrupt { compression, detail: error.to_string() }
}
