//! One record of a file, in buffers that are used again for the next one.

use std::ops::Range;

use memchr::{memchr, memchr_iter};

use super::Reason;
use crate::{
    id::{IdTypeCode, Qaid, SourceName, has_control},
    identity::IdValue,
    limits, recipient,
    time::Millis,
};

/// As many tags as are compared each with each to find a repeated name.
const FEW_TAGS: usize = 16;

/// The ID types that files may name.
pub(super) struct Types(pub(super) Vec<IdTypeCode>);

impl Types {
    /// Index of a type.
    pub(super) fn find(&self, code: &str) -> Option<u16> {
        self.0.iter().position(|known| known.as_str() == code).and_then(|index| u16::try_from(index).ok())
    }
}

/// A piece of a row's text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) fn of(start: usize, end: usize) -> Option<Self> {
        Some(Self { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? })
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The fields of a record, all texts in one buffer.
#[derive(Default)]
pub(super) struct Row {
    text: String,
    /// Length of the line that `text` begins with, where that is also the line of a segment.
    line: usize,
    pub(super) qaid: Option<Span>,
    ids: Vec<(u16, Span)>,
    tags: Vec<(Span, Span)>,
    /// The source of this row or of an earlier one: most rows of a file have the same.
    source: Option<SourceName>,
    has_source: bool,
    updated: Option<Millis>,
}

impl Row {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.line = 0;
        self.qaid = None;
        self.ids.clear();
        self.tags.clear();
        self.has_source = false;
        self.updated = None;
    }

    /// Keeps a text.
    pub(super) fn push(&mut self, text: &str) -> Span {
        let start = self.position();
        self.text.push_str(text);
        Span { start, end: self.position() }
    }

    /// Keeps a whole line, whose pieces the spans are. It is a recipient's line of a segment as it stands.
    pub(super) fn keep_line(&mut self, line: &str) {
        self.clear();
        self.text.push_str(line);
        self.line = line.len();
    }

    /// A type that has no IDs yet.
    pub(super) fn new_id_type(&self, id_type: u16) -> Option<u16> {
        self.ids.iter().all(|&(known, _)| known != id_type).then_some(id_type)
    }

    /// A record is far shorter than 4 GiB.
    fn position(&self) -> u32 {
        u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn get(&self, span: Span) -> &str {
        &self.text[span.range()]
    }

    /// Adds an ID; an empty one is none.
    pub(super) fn add_id(&mut self, id_type: u16, value: Span) {
        if value.start < value.end {
            self.ids.push((id_type, value));
        }
    }

    /// Adds a tag; an empty value is none.
    pub(super) fn add_tag(&mut self, name: Span, value: Span) {
        self.tags.push((name, value));
    }

    pub(super) fn set_source(&mut self, name: &str) -> Result<(), Reason> {
        if name.is_empty() {
            return Ok(());
        }
        if self.source.as_ref().is_none_or(|known| known.as_str() != name) {
            self.source = Some(name.parse().map_err(|_| Reason::invalid("source", SourceName::RULE))?);
        }
        self.has_source = true;
        Ok(())
    }

    pub(super) fn set_updated(&mut self, text: &str) -> Result<(), Reason> {
        if text.is_empty() {
            return Ok(());
        }
        let time =
            text.parse().ok().and_then(|time: jiff::Timestamp| u64::try_from(time.as_millisecond()).ok());
        self.updated =
            Some(Millis(time.ok_or(Reason::invalid("updated", "must be a time since 1970 as in RFC 3339"))?));
        Ok(())
    }

    /// Checks the values, once all are there.
    pub(super) fn check(&self, types: &Types, needs_source: bool) -> Result<(), Reason> {
        let bytes = self.text.as_bytes();
        let reserved = |at: usize| matches!(bytes[at..], [0xEF, 0xBF, 0xBE | 0xBF, ..]);
        if memchr(0, bytes).is_some() || !bytes.is_ascii() && memchr_iter(0xEF, bytes).any(reserved) {
            return Err(Reason::NotText);
        }
        let qaid = self.qaid.map(|qaid| self.get(qaid)).ok_or(Reason::Missing { field: "qaid" })?;
        if !Qaid::is_valid(qaid) {
            return Err(Reason::invalid("qaid", Qaid::RULE));
        }
        if needs_source && !self.has_source {
            return Err(Reason::Missing { field: "source" });
        }
        for &(id_type, value) in &self.ids {
            if IdValue::read(self.get(value)).is_none() {
                return Err(Reason::invalid(format!("id.{}", types.0[usize::from(id_type)]), IdValue::RULE));
            }
        }
        Ok(())
    }

    /// Checks as of when the source says so.
    pub(super) fn check_updated(&self, latest: Millis) -> Result<(), Reason> {
        match self.updated {
            Some(updated) if updated > latest => {
                Err(Reason::invalid("updated", "must not be more than a day in the future"))
            }
            _ => Ok(()),
        }
    }

    /// Checks the names of tags, where each record brings its own.
    pub(super) fn check_tag_names(&self) -> Result<(), Reason> {
        let names = self.tags.iter().map(|&(name, _)| self.get(name));
        if let Some(rule) = names.clone().find_map(tag_name_fault) {
            return Err(Reason::invalid("tags", rule));
        }
        let repeated = if self.tags.len() <= FEW_TAGS {
            let before = |at: usize| names.clone().take(at);
            names
                .clone()
                .enumerate()
                .find(|&(at, name)| before(at).any(|other| other == name))
                .map(|(_, name)| name)
        } else {
            let mut sorted: Vec<_> = names.collect();
            sorted.sort_unstable();
            sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
        };
        match repeated {
            Some(name) => Err(Reason::Repeated { field: format!("tags.{}", super::error::short(name)) }),
            None => Ok(()),
        }
    }
}

/// The rule that a tag's name breaks.
pub(super) fn tag_name_fault(name: &str) -> Option<&'static str> {
    let valid = (1..=limits::LABEL).contains(&name.len()) && !has_control(name);
    (!valid).then_some("must have names of 1 to 256 bytes without control characters")
}

/// One record of a file, borrowed from its reader.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub(super) line: u64,
    pub(super) row: &'a Row,
    pub(super) types: &'a Types,
}

impl<'a> Record<'a> {
    /// The line that it begins on, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The user.
    pub fn qaid(&self) -> &'a str {
        self.row.qaid.map_or("", |qaid| self.row.get(qaid))
    }

    /// IDs, type and value, as the file has them; those of one type stand next to each other.
    pub fn ids(&self) -> impl Iterator<Item = (&'a IdTypeCode, &'a str)> + Clone + use<'a> {
        let (row, types) = (self.row, self.types);
        row.ids.iter().map(|&(id_type, value)| (&types.0[usize::from(id_type)], row.get(value)))
    }

    /// Tags, name and value, without empty ones.
    pub fn tags(&self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone + use<'a> {
        let row = self.row;
        row.tags
            .iter()
            .map(|&(name, value)| (row.get(name), row.get(value)))
            .filter(|(_, value)| !value.is_empty())
    }

    /// The source that says so; there in every record of a profile file.
    pub fn source(&self) -> Option<&'a SourceName> {
        self.row.source.as_ref().filter(|_| self.row.has_source)
    }

    /// As of when the source says so.
    pub fn updated(&self) -> Option<Millis> {
        self.row.updated
    }

    /// Writes it as a recipient's line of a segment.
    pub fn write(&self, line: &mut Vec<u8>) {
        if self.row.line > 0 {
            line.extend_from_slice(&self.row.text.as_bytes()[..self.row.line]);
            line.push(b'\n');
            return;
        }
        recipient::write(
            line,
            self.qaid(),
            self.ids().map(|(id_type, value)| (id_type.as_str(), value)),
            self.tags(),
        );
    }
}
