//! What is wrong with a file as a whole, and with one of its rows.

use super::Compression;

/// Why a file cannot be read, or not further. Records read before it hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is of a kind that is not read.
    #[error("the file is {found}; CSV, NDJSON or a QAID a line is expected, plain, as gzip or as zstd")]
    Unsupported {
        /// What it is.
        found: &'static str,
    },
    /// Its header line is not the expected one.
    #[error("{detail}; found the columns {}; expected {expected}", list(.found))]
    Header {
        /// The rule that the header breaks.
        detail: String,
        /// The columns found.
        found: Vec<String>,
        /// The columns expected.
        expected: String,
    },
    /// It begins otherwise than the file that was read up to the commit point.
    #[error(
        "the file is another than the one that was read so far: its content differs within the first {offset} bytes"
    )]
    Changed {
        /// Offset of the commit point in the content.
        offset: u64,
    },
    /// It unpacks to more than is read from a compressed file.
    #[error(
        "the {compression} file unpacks to more than {limit} bytes; upload it plain, where no limit holds"
    )]
    TooLarge {
        /// How it is compressed.
        compression: Compression,
        /// The limit, in bytes.
        limit: u64,
    },
    /// It ends in the middle of its compressed stream.
    #[error("the {compression} file is truncated: it ends before its compressed stream does")]
    Truncated {
        /// How it is compressed.
        compression: Compression,
    },
    /// Its compressed stream is damaged.
    #[error("the {compression} file is damaged: {detail}")]
    Corrupt {
        /// How it is compressed.
        compression: Compression,
        /// What the decoder says.
        detail: String,
    },
}

/// The names, as many as one can look over.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let text =
        names.iter().take(SHOWN).map(|name| format!("`{}`", short(name))).collect::<Vec<_>>().join(", ");
    match names.len() {
        0..=SHOWN => text,
        all => format!("{text} and {} more", all - SHOWN),
    }
}

/// The beginning of a text that came from a file.
pub(super) fn short(text: &str) -> String {
    const SHOWN: usize = 64;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A row that is passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// The line that it begins on, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: Reason,
}

impl BadRow {
    /// Writes it as a line of a report: NDJSON of `line` and `reason`.
    pub fn write(&self, report: &mut Vec<u8>) {
        let line = serde_json::json!({"line": self.line, "reason": self.reason.to_string()});
        report.extend_from_slice(line.to_string().as_bytes());
        report.push(b'\n');
    }
}

/// What is wrong with a row. Its text names columns and places, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Over the limit of a record.
    #[error("it is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("it is not UTF-8 (byte {byte})")]
    NotUtf8 {
        /// The first wrong byte, from 1.
        byte: usize,
    },
    /// A character that is none.
    #[error("it holds NUL or a character that Unicode reserves (U+FFFE, U+FFFF)")]
    NotText,
    /// No JSON, or not of the expected shape.
    #[error("{detail} (byte {column})")]
    Json {
        /// What is wrong.
        detail: String,
        /// Where, in bytes from 1.
        column: usize,
    },
    /// A quote in CSV that is never closed.
    #[error("a quoted cell is not closed before the file or the longest record ends")]
    QuoteOpen,
    /// Something between a closing quote and the next comma.
    #[error("a quoted cell goes on after its closing quote; a quote inside it is written twice")]
    QuoteInside,
    /// As many cells as the header has columns are expected.
    #[error("it has {found} cells, the header has {expected}")]
    Cells {
        /// Number of cells found.
        found: usize,
        /// Number of columns of the header.
        expected: usize,
    },
    /// A field that must be there is not.
    #[error("`{field}` is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field whose value breaks its rule.
    #[error("`{field}` {rule}")]
    Invalid {
        /// The field.
        field: String,
        /// The rule.
        rule: &'static str,
    },
    /// A profile has a size limit, over all its sources.
    #[error("with it the profile of its user would be larger than 400 KB")]
    ProfileTooLarge,
    /// A field that is there twice.
    #[error("`{field}` is there twice")]
    Repeated {
        /// The field.
        field: String,
    },
}

impl Reason {
    pub(super) fn invalid(field: impl Into<String>, rule: &'static str) -> Self {
        Self::Invalid { field: field.into(), rule }
    }
}
