//! Templates of plain text and of header values.

use super::escape::Escape;
use super::parse::{Piece, Source, Template};
use crate::fault::Fault;
use crate::webhook::Parameter;

/// Parses the template of a text body.
pub(super) fn parse(text: &str, parameters: &[Parameter]) -> Result<Template, Vec<Fault>> {
    let mut source = Source::new(text, parameters);
    let mut template = Template::default();
    for piece in source.pieces(0..text.len()) {
        match piece {
            Piece::Literal(_, literal) => template.literal(literal),
            Piece::Hole(_, reference) => template.hole(reference, Escape::Plain),
        }
    }
    source.finish(template)
}

/// Parses the template of a header value.
pub(super) fn parse_header(text: &str, parameters: &[Parameter]) -> Result<Template, Vec<Fault>> {
    let mut source = Source::new(text, parameters);
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
