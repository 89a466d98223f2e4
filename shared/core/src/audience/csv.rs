//! Records as CSV (RFC 4180).
//!
//! Written here because a reader of audiences must be strict: a lenient one (`csv-core`) takes a quote that is never closed for a cell
//! that holds all the following users, and never tells.

use std::{borrow::Cow, collections::HashSet, ops::Range};

use memchr::{memchr, memchr_iter, memchr2};

use super::{
    FileError, Kind, Reason,
    row::{Row, Types, tag_name_fault},
};
use crate::id::IdTypeCode;

/// Where a cell stands in its record, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) at: Range<usize>,
    /// It has quotes inside, which are written twice.
    doubled: bool,
}

/// A record that has quotes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Quoted {
    /// It goes up to here; the next begins there.
    Record { end: usize, next: usize },
    /// It goes on beyond the bytes at hand.
    More,
    /// It cannot be read.
    Bad(Reason),
}

/// Cuts a record without quotes.
pub(super) fn cut_plain(record: &[u8], cells: &mut Vec<Cell>) {
    cells.clear();
    let mut start = 0;
    for comma in memchr_iter(b',', record) {
        cells.push(Cell { at: start..comma, doubled: false });
        start = comma + 1;
    }
    cells.push(Cell { at: start..record.len(), doubled: false });
}

/// Cuts the record that `bytes` begin with. `complete`: no more bytes follow them. `limit`: longest record, in bytes.
pub(super) fn cut_quoted(bytes: &[u8], complete: bool, limit: usize, cells: &mut Vec<Cell>) -> Quoted {
    cells.clear();
    // As many bytes as a longest record and its line break have decide, however many more are at hand.
    let enough = bytes.len() >= limit + 2;
    let complete = complete && !enough;
    let bytes = &bytes[..bytes.len().min(limit + 2)];
    let unfinished = |open: bool| match (complete || enough, open) {
        (false, _) => Quoted::More,
        (true, true) => Quoted::Bad(Reason::QuoteOpen),
        (true, false) => Quoted::Bad(Reason::TooLong { limit }),
    };
    let mut at = 0;
    loop {
        let mut doubled = false;
        let (cell, after) = if bytes.get(at) == Some(&b'"') {
            let start = at + 1;
            let mut from = start;
            let end = loop {
                let Some(quote) = memchr(b'"', &bytes[from..]).map(|quote| from + quote) else {
                    return unfinished(true);
                };
                match bytes.get(quote + 1) {
                    Some(b'"') => (doubled, from) = (true, quote + 2),
                    // Whether it closes the cell, the next byte tells.
                    None if !complete => return unfinished(true),
                    _ => break quote,
                }
            };
            (start..end, end + 1)
        } else {
            let end = memchr2(b',', b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end);
            // The carriage return of a line break is not of the cell.
            let cell_end = if end > at && bytes[end - 1] == b'\r' && bytes.get(end) != Some(&b',') {
                end - 1
            } else {
                end
            };
            (at..cell_end, cell_end)
        };
        cells.push(Cell { at: cell, doubled });
        match &bytes[after..] {
            [b',', ..] => at = after + 1,
            [b'\n', ..] | [b'\r', b'\n', ..] if after > limit => {
                return Quoted::Bad(Reason::TooLong { limit });
            }
            [b'\n', ..] => return Quoted::Record { end: after, next: after + 1 },
            [b'\r', b'\n', ..] => return Quoted::Record { end: after, next: after + 2 },
            [] | [b'\r'] if complete && after <= limit => {
                return Quoted::Record { end: after, next: bytes.len() };
            }
            [] | [b'\r'] => return unfinished(false),
            _ => return Quoted::Bad(Reason::QuoteInside),
        }
    }
}

/// The text of a cell, whose bytes are given.
pub(super) fn unquoted<'t>(text: &'t str, cell: &Cell) -> Cow<'t, str> {
    if cell.doubled { Cow::Owned(text.replace("\"\"", "\"")) } else { Cow::Borrowed(text) }
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Qaid,
    Id(u16),
    Tag(String),
    Source,
    Updated,
}

/// The error of a file with such a header.
pub(super) fn refuse(detail: String, names: &[String], kind: Kind, types: &Types) -> FileError {
    let codes: Vec<_> = types.0.iter().map(IdTypeCode::as_str).collect();
    let mut expected = format!("`qaid`, `id.<TYPE>` (of {}), `tag.<name>`", codes.join(", "));
    if kind == Kind::Profiles {
        expected.push_str(", `source`, and `updated` if you like");
    }
    FileError::Header { detail, found: names.to_vec(), expected }
}

/// The columns that a header line names.
pub(super) fn columns(names: &[String], kind: Kind, types: &Types) -> Result<Vec<Column>, FileError> {
    let profiles = kind == Kind::Profiles;
    let refuse = |detail| refuse(detail, names, kind, types);
    let mut seen = HashSet::new();
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let shown = super::error::short(name);
        let column = match (name.as_str(), name.split_once('.')) {
            ("qaid", _) => Column::Qaid,
            ("source", _) if profiles => Column::Source,
            ("updated", _) if profiles => Column::Updated,
            (_, Some(("id", code))) => Column::Id(
                types
                    .find(code)
                    .ok_or_else(|| refuse(format!("`{shown}` names no ID type of the workspace")))?,
            ),
            (_, Some(("tag", tag))) if tag_name_fault(tag).is_none() => Column::Tag(tag.to_owned()),
            _ => return Err(refuse(format!("the column `{shown}` is unknown"))),
        };
        if !seen.insert(name) {
            return Err(refuse(format!("the column `{shown}` is there twice")));
        }
        columns.push(column);
    }
    for (column, name) in [(Column::Qaid, "qaid"), (Column::Source, "source")] {
        if !columns.contains(&column) && (column == Column::Qaid || profiles) {
            return Err(refuse(format!("there is no column `{name}`")));
        }
    }
    Ok(columns)
}

/// Reads the cells of a record into `row`.
pub(super) fn read(record: &str, cells: &[Cell], columns: &[Column], row: &mut Row) -> Result<(), Reason> {
    if cells.len() != columns.len() {
        return Err(Reason::Cells { found: cells.len(), expected: columns.len() });
    }
    for (cell, column) in cells.iter().zip(columns) {
        let text = &*unquoted(&record[cell.at.clone()], cell);
        if text.is_empty() && *column != Column::Qaid {
            continue;
        }
        match column {
            Column::Qaid => row.qaid = Some(row.push(text)),
            Column::Id(id_type) => {
                let value = row.push(text);
                row.add_id(*id_type, value);
            }
            Column::Tag(name) => {
                let (name, value) = (row.push(name), row.push(text));
                row.add_tag(name, value);
            }
            Column::Source => row.set_source(text)?,
            Column::Updated => row.set_updated(text)?,
        }
    }
    Ok(())
}
