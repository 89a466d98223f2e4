//! The common form of a record as JSON, in one pass: no text empty, no field there twice, tags as texts.
//!
//! What has another form, right or wrong, is left to the thorough reader in `ndjson`; both give the same for what both read.

use super::row::{Row, Span, Types};
use crate::recipient::plain_prefix;

/// Reads the object on a line into `row`, where it has the common form.
pub(super) fn read(line: &str, types: &Types, row: &mut Row) -> bool {
    row.keep_line(line);
    let mut scan = Scan { line, bytes: line.as_bytes(), at: 0, row };
    scan.record(types).is_some() && scan.at == line.len()
}

struct Scan<'t> {
    line: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// Keeps the line, whose pieces its spans are.
    row: &'t mut Row,
}

impl Scan<'_> {
    fn record(&mut self, types: &Types) -> Option<()> {
        let (mut ids, mut tags) = (false, false);
        self.object(|scan, field| {
            match scan.row.get(field) {
                "qaid" if scan.row.qaid.is_none() => scan.row.qaid = Some(scan.string()?),
                "ids" if !ids => {
                    ids = true;
                    scan.object(|scan, code| {
                        let id_type = types.find(scan.row.get(code))?;
                        scan.ids(scan.row.new_id_type(id_type)?)
                    })?;
                }
                "tags" if !tags => {
                    tags = true;
                    scan.object(|scan, name| {
                        let value = scan.string()?;
                        scan.row.add_tag(name, value);
                        Some(())
                    })?;
                }
                _ => return None,
            }
            Some(())
        })
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
    fn ids(&mut self, id_type: u16) -> Option<()> {
        self.expect(b'[')?;
        loop {
            let value = self.string()?;
            self.row.add_id(id_type, value);
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A string that is not empty.
    fn string(&mut self) -> Option<Span> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escapes = false;
        loop {
            self.at += plain_prefix(self.bytes.get(self.at..)?);
            match self.bytes.get(self.at)? {
                b'"' => break,
                b'\\' => (escapes, self.at) = (true, self.at + 2),
                _ => return None,
            }
        }
        let end = self.at;
        self.at += 1;
        if escapes {
            let text: String = serde_json::from_str(&self.line[start - 1..=end]).ok()?;
            return Some(self.row.push(&text));
        }
        if end > start { Span::of(start, end) } else { None }
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
