//! The files that users come in: audiences and profiles, as CSV, as NDJSON, or (audiences) a QAID a line; plain, gzip or zstd.
//!
//! A [`Reader`] is fed the bytes of a file as they come and hands out its records; it does no I/O. What a file is, its first bytes
//! tell:
//!
//! - gzip (of any number of members) and zstd are recognised by their magic numbers;
//! - content whose first character is `{` is NDJSON: `{"qaid":"…","ids":{"<TYPE>":["…"]},"tags":{"<name>":"…"}}` a line. A tag may be
//!   a number or a boolean, kept as typed; `null` is a missing tag;
//! - content whose first line is a header is CSV (RFC 4180) with the columns `qaid`, `id.<TYPE>` and `tag.<name>` in any order. A cell
//!   holds one value: several IDs of one type need NDJSON. A header is a first line that has a comma, or a cell that is `qaid` or begins
//!   with `id.` or `tag.`; it must name a column `qaid` and no unknown one, else the file is refused;
//! - everything else is a QAID a line.
//!
//! Profile files also have `source` (which data source says so; required) and `updated` (as of when, RFC 3339).
//!
//! An empty text is a missing one, and so is an empty cell. A line that is empty or white space is a blank. IDs that the source
//! hashed are written `md5:<hex>` or `sha256:<hex>`.

mod commit;
mod content;
mod csv;
mod decompress;
mod detect;
mod error;
mod ndjson;
mod reader;
mod row;
mod said;
mod scan;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod support;

pub use commit::{Commit, Counts, Start};
pub use decompress::Compression;
pub use error::{BadRow, FileError, Reason};
pub use reader::{Item, Kind, Limits, Reader};
pub use row::Record;
pub use said::Said;
