//! The template of a URL: a literal origin, then a path and a query that may hold placeholders.

use std::ops::Range;

use ::url::Url;

use super::pairs;
use super::parse::{Guard, Node, Piece, Reference, Scope, Source, Template};
use crate::fault::Fault;

/// A parsed URL template.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// Scheme, host and port, as a URL parser normalises them.
    pub(crate) origin: Url,
    /// The whole URL.
    pub(crate) template: Template,
}

const FULL_ADDRESS: &str = "write the full address, as in `https://example.com/path`";

const END_OF_AUTHORITY: &[char] = &['/', '?', '#', '\\'];

/// Parses the template of a URL.
pub(crate) fn parse(text: &str, scope: Scope<'_>) -> Result<Address, Vec<Fault>> {
    let mut source = Source::new(text, scope);
    let mut template = Template::default();
    for (at, _) in text.char_indices().filter(|&(_, c)| c.is_control() || c.is_whitespace() || c == '\\') {
        source.fault_with_hint(
            at,
            "a URL holds no spaces, control characters or `\\`",
            "write a space as `%20`",
        );
    }
    let Some(authority_start) = after_scheme(text) else {
        source.fault_with_hint(0, "the URL of a webhook begins with `https://`", FULL_ADDRESS);
        return Err(source.finish(()).err().unwrap_or_default());
    };
    let end_of =
        |from: usize, delimiters: &[char]| text[from..].find(delimiters).map_or(text.len(), |at| from + at);
    let authority_end = end_of(authority_start, END_OF_AUTHORITY);
    let path_end = end_of(authority_end, &['?', '#']);
    let query_end = end_of(path_end, &['#']);

    let origin = checked_origin(&mut source, authority_start, authority_end);
    if let Some(origin) = &origin {
        template.literal(origin.as_str().trim_end_matches('/'));
    }
    template.literal("/");
    path(&mut source, (authority_end + 1).min(path_end)..path_end, &mut template);
    if path_end < query_end {
        template.literal("?");
        pairs::pairs(&mut source, path_end + 1..query_end, &mut template);
    }
    if query_end < text.len() {
        let hint = "a fragment is never sent; write `%23` for a literal `#`";
        source.fault_with_hint(query_end, "the URL of a webhook has no fragment", hint);
    }
    match (source.finish(()), origin) {
        (Err(faults), _) => Err(faults),
        (Ok(()), None) => Err(vec![Fault::new("", "this is no address").hint(FULL_ADDRESS)]),
        (Ok(()), Some(origin)) => Ok(Address { origin, template }),
    }
}

/// Scheme, host and port of a URL template, as a URL parser normalises them, where they can be told.
pub(crate) fn origin(text: &str) -> Option<Url> {
    let authority = after_scheme(text)?;
    let end = text[authority..].find(END_OF_AUTHORITY).map_or(text.len(), |at| authority + at);
    Url::parse(&text[..end]).ok()
}

/// Where the authority begins.
fn after_scheme(text: &str) -> Option<usize> {
    let scheme = text.split("://").next().unwrap_or_default();
    let known = ["https", "http"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    (known && scheme.len() < text.len()).then(|| scheme.len() + 3)
}

fn checked_origin(source: &mut Source<'_>, authority_start: usize, authority_end: usize) -> Option<Url> {
    let text = &source.text[..authority_end];
    if let Some(at) = text.find(['{', '}']) {
        let hint = "write scheme, host and port in full; make one webhook for each host";
        source.fault_with_hint(at, "placeholders stand only in the path and the query of a URL", hint);
        return None;
    }
    if let Some(at) = text[authority_start..].find('@') {
        let hint = "send credentials in a header";
        source.fault_with_hint(
            authority_start + at,
            "the URL of a webhook names no user and no password",
            hint,
        );
        return None;
    }
    match Url::parse(text) {
        Ok(url) => Some(url),
        Err(error) => {
            source.fault_with_hint(
                authority_start,
                format!("this is no host and port: {error}"),
                FULL_ADDRESS,
            );
            None
        }
    }
}

fn path(source: &mut Source<'_>, range: Range<usize>, template: &mut Template) {
    let mut start = range.start;
    for segment in source.text[range.clone()].split('/') {
        if start > range.start {
            template.literal("/");
        }
        let pieces = source.pieces(start..start + segment.len());
        for &piece in &pieces {
            pairs::put(source, piece, template);
        }
        match first_hole(&pieces) {
            Some(reference) if could_be_dots(&pieces) => {
                template.nodes.push(Node::Guard(Guard::Segment, reference));
            }
            None if is_dot_segment(segment) => {
                let hint = "write the path that is meant, without `.` and `..`";
                source.fault_with_hint(start, "a URL's path has no dot segments", hint);
            }
            _ => {}
        }
        start += segment.len() + 1;
    }
}

fn first_hole(pieces: &[Piece<'_>]) -> Option<Reference> {
    pieces.iter().find_map(|piece| match piece {
        Piece::Hole(_, reference) => Some(*reference),
        Piece::Literal(..) => None,
    })
}

/// Whether what stands around the holes leaves it to the values whether this is a dot segment or an empty one.
fn could_be_dots(pieces: &[Piece<'_>]) -> bool {
    pieces.iter().all(|piece| match piece {
        Piece::Hole(..) => true,
        Piece::Literal(_, literal) => dots(literal).is_some_and(|count| count <= 2),
    })
}

/// Whether URL parsers take a segment for `.` or `..`.
pub(super) fn is_dot_segment(segment: &str) -> bool {
    matches!(dots(segment), Some(1 | 2))
}

/// How many dots a segment consists of, plain or as `%2e`; none if it holds anything else.
fn dots(mut segment: &str) -> Option<usize> {
    let mut count = 0;
    while !segment.is_empty() {
        let escaped = segment.get(..3).filter(|start| start.eq_ignore_ascii_case("%2e")).map(str::len);
        segment = match escaped {
            Some(length) => &segment[length..],
            None => segment.strip_prefix('.')?,
        };
        count += 1;
    }
    Some(count)
}
