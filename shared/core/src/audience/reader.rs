//! The reader itself: bytes in, records out.

use serde::{Deserialize, Serialize};

use super::{
    BadRow, Commit, Compression, Counts, FileError, Reason, Record, Start,
    commit::Format,
    content::{Content, Line},
    csv::{self, Cell, Column, Quoted},
    decompress::Fill,
    detect::{self, Shape},
    ndjson,
    row::{Row, Types},
};
use crate::{id::IdTypeCode, limits, time::Millis};

/// What the records of a file are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Whom a run goes to.
    Audience,
    /// What a source knows of users.
    Profiles,
}

/// What a reader puts up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest record, in bytes without its line break.
    pub record: usize,
    /// Most content of a compressed file, in bytes.
    pub unpacked: u64,
    /// The latest time as of which a source may say something.
    pub latest: Millis,
}

impl Limits {
    /// Those of profiles that are read now.
    pub fn of_profiles(now: Millis) -> Self {
        Self { latest: now + limits::AHEAD, ..Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { record: limits::RECORD, unpacked: limits::UNPACKED, latest: Millis(u64::MAX) }
    }
}

/// What [`Reader::read`] comes upon.
pub enum Item<'a> {
    /// A record.
    Record(Record<'a>),
    /// A row that is passed over.
    Bad(BadRow),
    /// More of the file is needed: [`Reader::feed`] it, or tell its [`Reader::end`].
    Starved,
    /// The file is read to its end.
    End,
}

/// Reads one file, fed in pieces of any size. Beside the piece fed last it holds less than 1 MiB, however large the file (zstd: and
/// the window that the file was packed with, at most 128 MiB).
pub struct Reader {
    kind: Kind,
    types: Types,
    limits: Limits,
    content: Content,
    format: Option<Format>,
    /// The first bytes were looked at.
    opened: bool,
    /// In a record that is too long.
    in_long: bool,
    columns: Vec<Column>,
    counts: Counts,
    cells: Vec<Cell>,
    row: Row,
}

/// One step of reading.
enum Step {
    /// A record is in the row.
    Record,
    Bad(Reason),
    /// A blank, a header, or a part of something longer.
    Passed,
    More,
    End,
}

impl Reader {
    /// A reader for a new file. `types` are the ID types that it may name.
    pub fn new(kind: Kind, types: Vec<IdTypeCode>, limits: Limits) -> Self {
        Self {
            kind,
            types: Types(types),
            limits,
            content: Content::new(limits.unpacked),
            format: None,
            opened: false,
            in_long: false,
            columns: Vec::new(),
            counts: Counts::default(),
            cells: Vec::new(),
            row: Row::default(),
        }
    }

    /// A reader that goes on where another stopped.
    pub fn resume(
        kind: Kind,
        types: Vec<IdTypeCode>,
        limits: Limits,
        commit: &Commit,
        start: Start,
    ) -> Result<Self, FileError> {
        let types = Types(types);
        let columns = match &commit.format {
            Some(Format::Csv(names)) => csv::columns(names, kind, &types)?,
            _ => Vec::new(),
        };
        Ok(Self {
            kind,
            types,
            limits,
            content: Content::resume(limits.unpacked, commit, start),
            format: commit.format.clone(),
            opened: commit.offset > 0,
            in_long: commit.in_long,
            columns,
            counts: commit.counts,
            cells: Vec::new(),
            row: Row::default(),
        })
    }

    /// Takes the next bytes of the file.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.content.feed(bytes);
    }

    /// Takes note that no more bytes come.
    pub fn end(&mut self) {
        self.content.end();
    }

    /// The next record, or what else there is.
    ///
    /// # Errors
    /// Nothing more can be read then; [`Self::commit`] still tells up to where the file was.
    pub fn read(&mut self) -> Result<Item<'_>, FileError> {
        loop {
            let line = self.counts.lines + 1;
            match self.step()? {
                Step::Record => return Ok(Item::Record(Record { line, row: &self.row, types: &self.types })),
                Step::Bad(reason) => return Ok(Item::Bad(BadRow { line, reason })),
                Step::Passed => {}
                Step::More => {
                    if self.content.fill()? == Fill::Starved {
                        return Ok(Item::Starved);
                    }
                }
                Step::End => return Ok(Item::End),
            }
        }
    }

    /// How much was read.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How the file is compressed; none: too little was fed to tell.
    pub fn compression(&self) -> Option<Compression> {
        self.content.compression()
    }

    /// The place just after the last item that was read.
    pub fn commit(&mut self) -> Commit {
        Commit {
            compression: self.content.compression(),
            offset: self.content.offset(),
            counts: self.counts,
            hash: self.content.hash(),
            format: self.format.clone(),
            in_long: self.in_long,
        }
    }

    fn step(&mut self) -> Result<Step, FileError> {
        if !self.opened {
            return self.open();
        }
        if self.in_long {
            return Ok(self.pass_long());
        }
        let (end, next) = match self.content.line(self.limits.record) {
            Line::Whole { end, next } => (end, next),
            Line::More => return Ok(Step::More),
            Line::None => return Ok(Step::End),
            Line::Long => {
                self.in_long = true;
                return Ok(Step::Passed);
            }
        };
        let line = &self.content.rest()[..end];
        if line.trim_ascii().is_empty() {
            self.counts.blank += 1;
            self.advance(next, 1);
            return Ok(Step::Passed);
        }
        match &self.format {
            None => self.begin(end),
            Some(Format::Csv(_)) => Ok(self.csv(end, next)),
            Some(Format::Ndjson) => {
                self.row.clear();
                let (types, row) = (&self.types, &mut self.row);
                let profiles = self.kind == Kind::Profiles;
                let read = utf8(line).and_then(|line| ndjson::read(line, types, profiles, row));
                Ok(self.done(read, next, 1))
            }
            Some(Format::Lines) => {
                self.row.clear();
                let row = &mut self.row;
                let read = utf8(line).map(|line| row.qaid = Some(row.push(line)));
                Ok(self.done(read, next, 1))
            }
        }
    }

    /// Looks at the first bytes.
    fn open(&mut self) -> Result<Step, FileError> {
        let rest = self.content.rest();
        if rest.len() < detect::SNIFFED && !self.content.is_complete() {
            return Ok(Step::More);
        }
        if self.content.compression() != Some(Compression::Plain) {
            detect::unpacked(rest)?;
        }
        let bom = if rest.starts_with(detect::BOM) { detect::BOM.len() } else { 0 };
        self.content.advance(bom);
        self.opened = true;
        Ok(Step::Passed)
    }

    /// Tells by the first line with content what the records are.
    fn begin(&mut self, end: usize) -> Result<Step, FileError> {
        let format = match detect::shape(&self.content.rest()[..end])? {
            Shape::Ndjson => Format::Ndjson,
            Shape::Lines if self.kind == Kind::Audience => Format::Lines,
            Shape::Lines | Shape::Csv => return self.header(),
        };
        self.format = Some(format);
        Ok(Step::Passed)
    }

    /// Reads the header line of a CSV file.
    fn header(&mut self) -> Result<Step, FileError> {
        let rest = self.content.rest();
        let (next, lines) =
            match csv::cut_quoted(rest, self.content.is_complete(), self.limits.record, &mut self.cells) {
                Quoted::Record { end, next } => (next, lines(&rest[..end])),
                Quoted::More => return Ok(Step::More),
                Quoted::Bad(reason) => {
                    return Err(csv::refuse(format!("the header: {reason}"), &[], self.kind, &self.types));
                }
            };
        let name =
            |cell: &Cell| csv::unquoted(&String::from_utf8_lossy(&rest[cell.at.clone()]), cell).into_owned();
        let names: Vec<_> = self.cells.iter().map(name).collect();
        self.columns = csv::columns(&names, self.kind, &self.types)?;
        self.format = Some(Format::Csv(names));
        self.counts.header += 1;
        self.advance(next, lines);
        Ok(Step::Passed)
    }

    fn csv(&mut self, end: usize, next: usize) -> Step {
        let rest = self.content.rest();
        let (end, next, lines) = if memchr::memchr(b'"', &rest[..end]).is_none() {
            csv::cut_plain(&rest[..end], &mut self.cells);
            (end, next, 1)
        } else {
            match csv::cut_quoted(rest, self.content.is_complete(), self.limits.record, &mut self.cells) {
                Quoted::Record { end, next } => (end, next, lines(&rest[..end])),
                Quoted::More => return Step::More,
                // Reading goes on at the next line, so that a stray quote costs its own line only.
                Quoted::Bad(reason) => return self.done(Err(reason), next, 1),
            }
        };
        self.row.clear();
        let read = utf8(&rest[..end])
            .and_then(|record| csv::read(record, &self.cells, &self.columns, &mut self.row));
        self.done(read, next, lines)
    }

    /// Passes over a record that is too long, as far as it is at hand.
    fn pass_long(&mut self) -> Step {
        if !self.content.pass_line() {
            return Step::More;
        }
        self.in_long = false;
        self.done(Err(Reason::TooLong { limit: self.limits.record }), 0, 1)
    }

    /// Accounts for a row that was read, up to `next`.
    fn done(&mut self, read: Result<(), Reason>, next: usize, lines: u64) -> Step {
        self.advance(next, lines);
        let read = read
            .and_then(|()| self.row.check(&self.types, self.kind == Kind::Profiles))
            .and_then(|()| self.row.check_updated(self.limits.latest));
        match read {
            Ok(()) => {
                self.counts.good += 1;
                Step::Record
            }
            Err(reason) => {
                self.counts.bad += 1;
                Step::Bad(reason)
            }
        }
    }

    /// Notes a record that goes up to `next`.
    fn advance(&mut self, next: usize, lines: u64) {
        self.counts.lines += lines;
        self.counts.records += 1;
        self.content.advance(next);
    }
}

/// The lines of a record, which has line breaks only inside.
fn lines(record: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', record).count() as u64 + 1
}

/// The text of a record, checked once as a whole.
fn utf8(record: &[u8]) -> Result<&str, Reason> {
    std::str::from_utf8(record).map_err(|error| Reason::NotUtf8 { byte: error.valid_up_to() + 1 })
}
