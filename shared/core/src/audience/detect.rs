//! What a file is, told by its first bytes.

use super::{Compression, FileError};

/// As many first bytes as all rules of [`compression`] need.
pub(super) const SNIFFED: usize = 512;

/// Byte order mark of UTF-8.
pub(super) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Magic numbers of what is not read. Those that are printable text also need binary bytes after them, see [`is_text`].
const UNSUPPORTED: &[(&[u8], &str)] = &[
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"PAR1", "a Parquet file"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"ARROW1", "an Arrow file"),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an old Excel or Word document"),
    (b"%PDF-", "a PDF document"),
    (b"BZh", "a bzip2 file"),
    (b"\xFD7zXZ\x00", "an xz file"),
    (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive"),
    (b"Rar!\x1A\x07", "a RAR archive"),
    (b"\x04\x22\x4D\x18", "an LZ4 file"),
    (b"\xFF\x06\x00\x00sNaPpY", "a Snappy file"),
    (b"\x1F\x9D", "a compress (.Z) file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\xFF\xFE\x00\x00", "text in UTF-32; UTF-8 is expected"),
    (b"\xFF\xFE", "text in UTF-16; UTF-8 is expected"),
    (b"\xFE\xFF", "text in UTF-16; UTF-8 is expected"),
];

/// How a file with these first bytes is compressed: [`SNIFFED`] of them, or all.
pub(super) fn compression(first: &[u8]) -> Result<Compression, FileError> {
    if first.starts_with(b"\x1F\x8B") {
        return Ok(Compression::Gzip);
    }
    // A zstd frame, or the skippable frame that parallel and seekable encoders begin with.
    if first.starts_with(b"\x28\xB5\x2F\xFD") || matches!(first, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..]) {
        return Ok(Compression::Zstd);
    }
    content(first).map(|()| Compression::Plain)
}

/// Whether content with these first bytes can be read.
pub(super) fn content(first: &[u8]) -> Result<(), FileError> {
    if first.starts_with(b"PK\x03\x04")
        && [&b"[Content_Types].xml"[..], b"xl/", b"_rels/"]
            .iter()
            .any(|name| first[30.min(first.len())..].starts_with(name))
    {
        return Err(FileError::Unsupported { found: "an Excel workbook" });
    }
    let known = UNSUPPORTED
        .iter()
        .find(|(magic, _)| first.starts_with(magic) && !is_text(&first[..first.len().min(64)]));
    if let Some(&(_, found)) = known {
        return Err(FileError::Unsupported { found });
    }
    // POSIX.1-1988, ustar: the magic stands in the first header block.
    if first.get(257..262) == Some(b"ustar") {
        return Err(FileError::Unsupported { found: "a tar archive" });
    }
    Ok(())
}

/// Whether content that was packed can be read: it is not packed once more.
pub(super) fn unpacked(first: &[u8]) -> Result<(), FileError> {
    match compression(first)? {
        Compression::Plain => Ok(()),
        Compression::Gzip | Compression::Zstd => Err(FileError::Unsupported { found: "compressed twice" }),
    }
}

/// Whether bytes are characters as a list of QAIDs has them. A QAID may well begin like a magic number.
fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte >= b' ' || matches!(byte, b'\t' | b'\r' | b'\n')) && bytes.is_ascii()
}

/// What the records of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A JSON object a line.
    Ndjson,
    /// The line is a header.
    Csv,
    /// A QAID a line.
    Lines,
}

/// The shape of a file whose first line with content this is.
pub(super) fn shape(line: &[u8]) -> Result<Shape, FileError> {
    let trimmed = line.trim_ascii();
    if trimmed.starts_with(b"{") {
        return Ok(Shape::Ndjson);
    }
    if trimmed == b"[" || trimmed.starts_with(b"[{") {
        return Err(FileError::Unsupported { found: "a JSON array; an object a line is expected" });
    }
    // Other separators are looked at, so that a header cut by them is refused instead of read as a QAID.
    let mut cells = trimmed.split(|byte| matches!(byte, b',' | b';' | b'\t' | b'|'));
    let header = trimmed.contains(&b',')
        || cells.any(|cell| {
            let cell = cell.trim_ascii().trim_ascii_start();
            let cell = cell.strip_prefix(b"\"").and_then(|cell| cell.strip_suffix(b"\"")).unwrap_or(cell);
            cell.eq_ignore_ascii_case(b"qaid") || cell.starts_with(b"id.") || cell.starts_with(b"tag.")
        });
    Ok(if header { Shape::Csv } else { Shape::Lines })
}
