//! The content of a file at hand: its lines, how far it was read, and the hash up to there.

use memchr::memchr;
use sha2::{Digest, Sha256};

use super::{
    Commit, Compression, FileError, Start,
    commit::Hash,
    decompress::{Fill, Source},
};

/// Content, of which a bounded piece is at hand.
pub(super) struct Content {
    source: Source,
    /// How the file was compressed when it was read before.
    before: Option<Compression>,
    /// Content at hand; what is read next begins at `start`.
    text: Vec<u8>,
    start: usize,
    /// So many bytes from `start` on have no line break.
    scanned: usize,
    /// `text` goes up to the end of the content.
    complete: bool,
    /// Offset of `start` in the content.
    offset: u64,
    /// Hash of the content up to `hashed`, which is not beyond `start`.
    hash: Sha256,
    hashed: usize,
    verify: Option<Verify>,
}

/// Content that was read before, still to be compared.
struct Verify {
    left: u64,
    expected: Hash,
}

/// A line of the content at hand.
pub(super) enum Line {
    /// It begins at the start of [`Content::rest`], goes up to `end`, and the next begins at `next`.
    Whole { end: usize, next: usize },
    /// It is longer than the limit.
    Long,
    /// It goes on beyond what is at hand.
    More,
    /// There is none.
    None,
}

impl Content {
    /// Content from its first byte on. `limit`: most content of a compressed file, in bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            source: Source::new(limit),
            before: None,
            text: Vec::new(),
            start: 0,
            scanned: 0,
            complete: false,
            offset: 0,
            hash: Sha256::new(),
            hashed: 0,
            verify: None,
        }
    }

    /// Content from a commit on.
    pub(super) fn resume(limit: u64, commit: &Commit, start: Start) -> Self {
        let mut content = Self { offset: commit.offset, before: commit.compression, ..Self::new(limit) };
        // Of what was not read there is nothing to go on from, nor to compare.
        if commit.offset > 0 {
            match start {
                Start::Offset => (content.source, content.hash) = (Source::plain(limit), commit.hash.go_on()),
                Start::Beginning => {
                    content.verify = Some(Verify { left: commit.offset, expected: commit.hash.clone() });
                }
            }
        }
        content
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.source.feed(bytes);
    }

    pub(super) fn end(&mut self) {
        self.source.end();
    }

    pub(super) fn compression(&self) -> Option<Compression> {
        self.source.compression().or(self.before)
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// What is at hand and not read.
    pub(super) fn rest(&self) -> &[u8] {
        &self.text[self.start..]
    }

    /// Notes that so many bytes of the rest are read.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
        self.scanned = 0;
    }

    /// The line that is next. `limit`: longest line, in bytes without its line break.
    pub(super) fn line(&mut self, limit: usize) -> Line {
        let rest = &self.text[self.start..];
        let (end, next) = match memchr(b'\n', &rest[self.scanned..]) {
            Some(at) => (self.scanned + at, self.scanned + at + 1),
            None if self.complete && rest.is_empty() => return Line::None,
            None if self.complete => (rest.len(), rest.len()),
            // The carriage return may be the last of so many bytes.
            None if rest.len() > limit + 1 => return Line::Long,
            None => {
                self.scanned = rest.len();
                return Line::More;
            }
        };
        let end = if rest[..end].ends_with(b"\r") { end - 1 } else { end };
        if end > limit { Line::Long } else { Line::Whole { end, next } }
    }

    /// Passes over what is left of a line that is too long; whether its end was met.
    pub(super) fn pass_line(&mut self) -> bool {
        let end = memchr(b'\n', self.rest());
        self.advance(end.map_or(self.rest().len(), |end| end + 1));
        end.is_some() || self.complete
    }

    /// Gets more content to hand.
    pub(super) fn fill(&mut self) -> Result<Fill, FileError> {
        self.hash_read();
        self.text.drain(..self.start);
        (self.start, self.hashed) = (0, 0);
        let fill = self.source.fill(&mut self.text)?;
        self.complete = fill == Fill::End;
        let Some(verify) = &mut self.verify else { return Ok(fill) };
        let known = usize::try_from(verify.left).unwrap_or(usize::MAX).min(self.text.len());
        verify.left -= known as u64;
        self.hash.update(&self.text[..known]);
        self.text.drain(..known);
        let changed = Err(FileError::Changed { offset: self.offset });
        match verify.left {
            0 if verify.expected.agrees(&self.hash) => self.verify = None,
            0 => return changed,
            _ if self.complete => return changed,
            _ => {}
        }
        Ok(fill)
    }

    /// The hash of what was read.
    pub(super) fn hash(&mut self) -> Hash {
        self.hash_read();
        match &self.verify {
            Some(verify) => verify.expected.clone(),
            None => Hash::of(&self.hash),
        }
    }

    /// In one go for many records: each update has a price of its own.
    fn hash_read(&mut self) {
        self.hash.update(&self.text[self.hashed..self.start]);
        self.hashed = self.start;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn memory_stays_flat_whatever_a_few_bytes_unpack_to() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![0; 1 << 20];
        for _ in 0..256 {
            encoder.write_all(&zeros).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        let mut content = Content::new(u64::MAX);
        content.feed(&bomb);
        content.end();
        while content.fill().unwrap() != Fill::End {
            assert!(content.text.capacity() <= 512 << 10, "{} bytes", content.text.capacity());
            content.advance(content.rest().len());
        }
        assert_eq!(content.offset(), 256 << 20);
    }
}
