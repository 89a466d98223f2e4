//! From records to segments: pure, and the same for the same records.

use std::{collections::HashMap, hash::BuildHasher};

use fanhook_core::{
    audience::{BadRow, Record},
    chunk::{CHUNKS_PER_SEGMENT, RECIPIENTS_PER_SEGMENT},
    recipient::Recipient,
};
use foldhash::fast::FixedState;

/// Most bytes of a chunk's lines, but for a chunk of one line: `deliver` holds ten chunks at a time.
const CHUNK_BYTES: usize = 2 << 20;
/// A segment is full at so many bytes of lines, however few recipients these are.
const SEGMENT_BYTES: usize = 16 << 20;
/// And at so many bytes of report, and after so many records: a file of nothing but bad rows or duplicates is committed as well.
const REPORT_BYTES: usize = 1 << 20;
const SEGMENT_RECORDS: u64 = 1_000_000;

/// Lines of one chunk, as a part of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// First byte.
    pub offset: usize,
    /// Bytes.
    pub length: usize,
    /// Lines.
    pub recipients: usize,
}

/// Cuts lines into chunks by their lengths alone, so that whoever takes over cuts a segment in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slices {
    slices: Vec<Slice>,
    /// Lines of a chunk at most.
    size: usize,
}

impl Slices {
    /// None yet; each will have at most `size` lines.
    pub fn new(size: usize) -> Self {
        Self { slices: Vec::new(), size }
    }

    /// The chunks of a segment's lines.
    pub fn of(lines: &[u8], size: usize) -> Self {
        let mut slices = Self::new(size);
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            slices.push(line.len());
        }
        slices
    }

    /// The chunks.
    pub fn as_slice(&self) -> &[Slice] {
        &self.slices
    }

    /// Lines of a chunk at most.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Lines of all chunks.
    pub fn recipients(&self) -> usize {
        self.slices.iter().map(|slice| slice.recipients).sum()
    }

    fn push(&mut self, length: usize) {
        match self.slices.last_mut() {
            Some(last) if last.recipients < self.size && last.length + length <= CHUNK_BYTES => {
                last.length += length;
                last.recipients += 1;
            }
            last => {
                let offset = last.map_or(0, |last| last.offset + last.length);
                self.slices.push(Slice { offset, length, recipients: 1 });
            }
        }
    }
}

/// A stretch of a file as it is written.
#[derive(Debug)]
pub struct Segment {
    /// A line for each recipient.
    pub lines: Vec<u8>,
    /// Its chunks.
    pub slices: Slices,
    /// A line of JSON for each bad row.
    pub report: Vec<u8>,
    /// Recipients met again in it.
    pub duplicates: u64,
}

impl Segment {
    fn new(lines: Vec<u8>, slices: Slices) -> Self {
        Self { lines, slices, report: Vec::new(), duplicates: 0 }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.report.is_empty()
    }
}

/// Packs records into one segment after the other.
pub struct Packer {
    segment: Segment,
    /// Where the line of a user begins, by a hash of the QAID.
    seen: HashMap<u64, usize, FixedState>,
    most: usize,
    recipients: usize,
    records: u64,
}

impl Packer {
    /// A packer of segments of at most `chunks` chunks of `size` recipients. `seed` keeps those who write files from choosing which users'
    /// hashes meet.
    pub fn new(chunks: usize, size: usize, seed: u64) -> Self {
        let chunks = chunks.min(CHUNKS_PER_SEGMENT).min(RECIPIENTS_PER_SEGMENT / size);
        Self {
            segment: Segment::new(Vec::new(), Slices::new(size)),
            seen: HashMap::with_hasher(FixedState::with_seed(seed)),
            most: chunks * size,
            recipients: 0,
            records: 0,
        }
    }

    /// Adds a record, unless its user is in the segment: the first one holds.
    pub fn add(&mut self, record: &Record<'_>) {
        self.records += 1;
        let lines = &mut self.segment.lines;
        let start = lines.len();
        record.write(lines);
        let hash = self.seen.hasher().hash_one(record.qaid());
        let first = *self.seen.entry(hash).or_insert(start);
        // Two users may share a hash: then the second is not looked for any more. Met again, it is a recipient with the same `webhook-id`.
        if first < start && same_user(&lines[first..], &lines[start..]) {
            lines.truncate(start);
            self.segment.duplicates += 1;
            return;
        }
        self.segment.slices.push(lines.len() - start);
        self.recipients += 1;
    }

    /// Reports a row that can't be read.
    pub fn report(&mut self, row: &BadRow) {
        self.records += 1;
        row.write(&mut self.segment.report);
    }

    /// Whether the segment is to be written now.
    pub fn is_full(&self) -> bool {
        self.recipients >= self.most
            || self.segment.lines.len() >= SEGMENT_BYTES
            || self.segment.report.len() >= REPORT_BYTES
            || self.records >= SEGMENT_RECORDS
    }

    /// Gives the segment out and begins the next one.
    pub fn take(&mut self) -> Segment {
        self.seen.clear();
        (self.recipients, self.records) = (0, 0);
        let lines = Vec::with_capacity(self.segment.lines.len());
        let slices = Slices::new(self.segment.slices.size());
        std::mem::replace(&mut self.segment, Segment::new(lines, slices))
    }
}

/// Whether two lines, each at the beginning of its text, are of the same user.
fn same_user(one: &[u8], other: &[u8]) -> bool {
    if let (Some(one), Some(other)) = (user(one), user(other)) {
        return one == other;
    }
    // A file may write its objects in any way.
    let qaid = |lines: &[u8]| {
        let line = lines.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
        Recipient::parse(line).ok().map(|recipient| recipient.qaid.as_str().to_owned())
    };
    qaid(one) == qaid(other)
}

/// The QAID of the line that a text begins with, where it comes first and is written without escapes, as most lines have it.
fn user(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"{\"qaid\":\"")?;
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    (rest[end] == b'"').then_some(&rest[..end])
}
