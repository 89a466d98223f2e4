//! The common form of a record as JSON, in one pass: texts without escapes, none empty, nothing there twice.
//!
//! What has another form, right or wrong, is left to the thorough reader in `ndjson`; both give the same for what both read.

use super::row::{Row, Span, Types};
use crate::recipient::plain_prefix;

/// Reads the object on a line into an empty `row`, where it has the common form.
pub(super) fn read(line: &str, types: &Types, row: &mut Row) -> bool {
    row.keep_line(line);
    Scan { bytes: line.as_bytes(), at: 0 }.record(types, row).is_some()
}

struct Scan<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl<'t> Scan<'t> {
    fn record(&mut self, types: &Types, row: &mut Row) -> Option<()> {
        let (mut ids, mut tags) = (false, false);
        self.object(|scan, name| {
            match scan.text(name) {
                b"qaid" if row.qaid.is_none() => row.qaid = Some(scan.string()?),
                b"ids" if !ids => {
                    ids = true;
                    scan.object(|scan, code| scan.ids(row.new_id_type(types.find(scan.text(code))?)?, row))?;
                }
                b"tags" if !tags => {
                    tags = true;
                    scan.object(|scan, name| {
                        row.add_tag(name, scan.string()?);
                        Some(())
                    })?;
                }
                _ => return None,
            }
            Some(())
        })?;
        (self.at == self.bytes.len()).then_some(())
    }

    /// An object that is not empty, whose members `member` reads; it is given their names.
    fn object(&mut self, mut member: impl FnMut(&mut Self, Span) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        loop {
            let name = self.string()?;
            self.expect(b':')?;
            member(self, name)?;
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A list of IDs of one type, which is not empty.
    fn ids(&mut self, id_type: u16, row: &mut Row) -> Option<()> {
        self.expect(b'[')?;
        loop {
            row.add_id(id_type, self.string()?);
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A string that is not empty and has no escapes.
    fn string(&mut self) -> Option<Span> {
        self.expect(b'"')?;
        let start = self.at;
        let end = start + plain_prefix(&self.bytes[start..]);
        self.at = end;
        let closed = self.bytes.get(end) == Some(&b'"') && end > start;
        self.at += 1;
        if closed { Span::of(start, end) } else { None }
    }

    fn text(&self, span: Span) -> &'t [u8] {
        &self.bytes[span.range()]
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// The next byte that is no space.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if byte != b' ' {
                return Some(byte);
            }
        }
    }
}
