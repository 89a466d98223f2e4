//! Templates of plain text, of its items, and of header values.

use super::compile::BREAKS;
use super::escape::Escape;
use super::parse::{Node, Piece, Reference, Scope, Source, Template};
use crate::fault::Fault;

/// The rule for items of a text body: a line break would make two of one.
pub(super) const LINE: &str = "an item of a text body is one line";

/// Parses the template of a text body.
pub(super) fn parse(text: &str, scope: Scope<'_>) -> Result<Template, Vec<Fault>> {
    plain(Source::new(text, scope))
}

/// Parses the template of a line of a text body.
pub(super) fn parse_item(text: &str, scope: Scope<'_>) -> Result<Template, Vec<Fault>> {
    let mut source = Source::new(text, scope);
    for (at, _) in text.match_indices(BREAKS) {
        source.fault(at, LINE);
    }
    plain(source)
}

fn plain(mut source: Source<'_>) -> Result<Template, Vec<Fault>> {
    let mut template = Template::default();
    for piece in source.pieces(0..source.text.len()) {
        match piece {
            Piece::Literal(_, literal) => template.literal(literal),
            Piece::Hole(_, Reference::Items) => template.nodes.push(Node::Items),
            Piece::Hole(_, reference) => template.hole(reference, Escape::Plain),
        }
    }
    source.finish(template)
}

/// Parses the template of a header value.
pub(super) fn parse_header(text: &str, scope: Scope<'_>) -> Result<Template, Vec<Fault>> {
    let mut source = Source::new(text, scope);
    let mut template = Template::default();
    for piece in source.pieces(0..text.len()) {
        match piece {
            Piece::Literal(at, literal) => {
                for (offset, _) in literal.char_indices().filter(|(_, c)| !matches!(c, ' '..='~')) {
                    let detail = "a header value holds visible ASCII characters and spaces only";
                    source.fault_with_hint(
                        at + offset,
                        detail,
                        "write other characters as `%` and two hex digits",
                    );
                }
                template.literal(literal);
            }
            Piece::Hole(_, reference) => template.hole(reference, Escape::Header),
        }
    }
    source.finish(template)
}
