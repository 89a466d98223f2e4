//! What tests see of a file.

use super::{Commit, Counts, FileError, Item, Kind, Limits, Reader, Record, Start};
use crate::id::IdTypeCode;

/// All that a reader gave.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    /// Line and text; bad rows are errors.
    pub(super) items: Vec<(u64, Result<String, String>)>,
    pub(super) counts: Counts,
    pub(super) error: Option<FileError>,
    pub(super) commit: Commit,
}

pub(super) fn types() -> Vec<IdTypeCode> {
    ["EMAIL", "MOBILE"].map(|code| code.parse().unwrap()).to_vec()
}

/// Reads an audience.
pub(super) fn read(file: &[u8]) -> Seen {
    read_as(Kind::Audience, file)
}

pub(super) fn read_as(kind: Kind, file: &[u8]) -> Seen {
    Seen::of(kind, Limits::default(), file, None)
}

/// Goes on with an audience, as another worker does.
pub(super) fn resume(commit: &Commit, file: &[u8], start: Start) -> Seen {
    let reader = Reader::resume(Kind::Audience, types(), Limits::default(), commit, start).unwrap();
    Seen::drain(reader, [file], None)
}

impl Seen {
    /// Reads a file, up to its end or to so many items.
    pub(super) fn of(kind: Kind, limits: Limits, file: &[u8], stop: Option<usize>) -> Self {
        Self::drain(Reader::new(kind, types(), limits), [file], stop)
    }

    /// Feeds a reader piece by piece, up to the end or to so many items.
    pub(super) fn drain<'f>(
        mut reader: Reader,
        pieces: impl IntoIterator<Item = &'f [u8]>,
        stop: Option<usize>,
    ) -> Self {
        let mut pieces = pieces.into_iter();
        let mut items = Vec::new();
        let mut error = None;
        while stop != Some(items.len()) {
            match reader.read() {
                Ok(Item::Record(record)) => items.push((record.line(), Ok(text(&record)))),
                Ok(Item::Bad(row)) => items.push((row.line, Err(row.reason.to_string()))),
                Ok(Item::Starved) => match pieces.next() {
                    Some(piece) => reader.feed(piece),
                    None => reader.end(),
                },
                Ok(Item::End) => break,
                Err(failed) => {
                    error = Some(failed);
                    break;
                }
            }
        }
        Self { items, counts: reader.counts(), error, commit: reader.commit() }
    }

    pub(super) fn records(&self) -> Vec<&str> {
        self.items.iter().filter_map(|(_, item)| item.as_deref().ok()).collect()
    }

    pub(super) fn bad(&self) -> Vec<(u64, String)> {
        self.items.iter().filter_map(|(line, item)| Some((*line, item.clone().err()?))).collect()
    }

    pub(super) fn lines(&self) -> Vec<u64> {
        self.items.iter().map(|&(line, _)| line).collect()
    }
}

/// A record as a text, in the order of its file.
fn text(record: &Record<'_>) -> String {
    use std::fmt::Write;
    let mut text = record.qaid().to_owned();
    for (id_type, value) in record.ids() {
        write!(text, " {id_type}={value}").unwrap();
    }
    for (name, value) in record.tags() {
        write!(text, " {name}={value}").unwrap();
    }
    if let Some(source) = record.source() {
        write!(text, " @{source}").unwrap();
    }
    if let Some(updated) = record.updated() {
        write!(text, " {updated}").unwrap();
    }
    text
}
