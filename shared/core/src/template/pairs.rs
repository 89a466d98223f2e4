//! `name=value` pairs joined by `&`: a URL's query and a form body.

use std::collections::BTreeSet;
use std::ops::Range;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::escape::Escape;
use super::parse::{Guard, Node, Piece, Reference, Scope, Source, Template};
use crate::fault::Fault;

/// What a literal of a path, a query or a form is percent-encoded for; `%` is no part of it, it begins an escape.
const UNFIT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'\'')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Parses the template of a form body.
pub(super) fn parse(text: &str, scope: Scope<'_>) -> Result<Template, Vec<Fault>> {
    let mut source = Source::new(text, scope);
    let mut template = Template::default();
    for (at, c) in text.char_indices().filter(|(_, c)| c.is_control()) {
        let hint = format!("write it as `{}`", utf8_percent_encode(c.encode_utf8(&mut [0; 4]), UNFIT));
        source.fault_with_hint(at, "a form holds no control characters and no line breaks", hint);
    }
    pairs(&mut source, 0..text.len(), &mut template);
    source.finish(template)
}

/// Parses a stretch of pairs.
pub(super) fn pairs(source: &mut Source<'_>, range: Range<usize>, template: &mut Template) {
    let mut fixed = BTreeSet::new();
    let mut open = Vec::new();
    let mut start = range.start;
    for pair in source.text[range.clone()].split('&') {
        if start > range.start {
            template.literal("&");
        }
        let pieces = source.pieces(start..start + pair.len());
        start += pair.len() + 1;
        for &piece in &pieces {
            put(source, piece, template);
        }
        if let Some(reference) = holes_alone(&pieces) {
            template.nodes.push(Node::Guard(Guard::Pair, reference));
        }
        match key(&pieces) {
            None => {}
            Some(Key::Fixed(name)) => drop(fixed.insert(name)),
            Some(Key::Open(nodes)) => open.push(nodes),
        }
    }
    if !open.is_empty() {
        open.extend(fixed.into_iter().map(|name| vec![Node::Literal(name)]));
        template.keys.push(open);
    }
}

/// Puts out a piece of a path, a query or a form.
pub(super) fn put(source: &mut Source<'_>, piece: Piece<'_>, template: &mut Template) {
    match piece {
        Piece::Hole(_, reference) => template.hole(reference, Escape::Percent),
        Piece::Literal(at, literal) => {
            for (offset, _) in literal.match_indices('%') {
                let digits = literal.as_bytes().get(offset + 1..offset + 3);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    source.fault_with_hint(
                        at + offset,
                        "`%` begins no escape",
                        "write `%25` for a literal `%`",
                    );
                }
            }
            template.literal(&utf8_percent_encode(literal, UNFIT).to_string());
        }
    }
}

/// The first placeholder of a stretch that holds nothing but placeholders.
pub(super) fn holes_alone(pieces: &[Piece<'_>]) -> Option<Reference> {
    match pieces {
        [Piece::Hole(_, first), rest @ ..] if rest.iter().all(|piece| matches!(piece, Piece::Hole(..))) => {
            Some(*first)
        }
        _ => None,
    }
}

enum Key {
    Fixed(String),
    Open(Vec<Node>),
}

/// The decoded name of a pair: all that stands before its first literal `=`.
fn key(pieces: &[Piece<'_>]) -> Option<Key> {
    let mut name = Template::default();
    for &piece in pieces {
        match piece {
            Piece::Hole(_, reference) => name.hole(reference, Escape::Plain),
            Piece::Literal(_, literal) => {
                let (before, ends) =
                    literal.split_once('=').map_or((literal, false), |(before, _)| (before, true));
                name.literal(&percent_decode_str(&before.replace('+', " ")).decode_utf8_lossy());
                if ends {
                    break;
                }
            }
        }
    }
    match name.nodes.as_mut_slice() {
        [] => None,
        [Node::Literal(fixed)] => Some(Key::Fixed(std::mem::take(fixed))),
        _ => Some(Key::Open(name.nodes)),
    }
}
