//! The template of a JSON body: JSON, with placeholders inside its strings.
//!
//! The text is read as RFC 8259 has it, so that what goes out is JSON before any value stands in it. Escapes inside
//! strings stay as they were written; `\u007b` is therefore a literal brace too.

use std::collections::HashSet;
use std::ops::Range;

use super::escape::Escape;
use super::parse::{Node, Piece, Reference, Scope, Source, Template};
use crate::fault::Fault;
use crate::limits;

/// Parses the template of a JSON body.
pub(super) fn parse(text: &str, scope: Scope<'_>) -> Result<Template, Vec<Fault>> {
    let mut scanner =
        Scanner { source: Source::new(text, scope), template: Template::default(), at: 0, copied: 0 };
    if scanner.document().is_ok() {
        scanner.copy_to(text.len());
    }
    let Scanner { source, template, .. } = scanner;
    source.finish(template)
}

/// Syntax is broken at a place that has been noted; what follows means nothing.
struct Broken;

struct Scanner<'t> {
    source: Source<'t>,
    template: Template,
    /// Where reading stands.
    at: usize,
    /// Up to where the text has been put out.
    copied: usize,
}

impl<'t> Scanner<'t> {
    fn document(&mut self) -> Result<(), Broken> {
        self.value(0)?;
        match self.peek() {
            None => Ok(()),
            Some(_) => self.broken(self.at, "the JSON value ends before this"),
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), Broken> {
        match self.peek() {
            Some(b'{' | b'[') if depth == limits::JSON_DEPTH => {
                self.broken(self.at, format!("nested deeper than {} levels", limits::JSON_DEPTH))
            }
            Some(b'{') if self.stray_placeholder() => Ok(()),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => {
                let string = self.string()?;
                self.put_value(&string);
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(_) => self.broken(self.at, "a JSON value should stand here"),
            None => self.broken(self.at, "the text ends where a JSON value should stand"),
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Broken> {
        self.at += 1;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            if self.take(b']') {
                return Ok(());
            }
            self.expect(b',', "`,` or `]`")?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Broken> {
        self.at += 1;
        if self.take(b'}') {
            return Ok(());
        }
        let mut keys = HashSet::new();
        let mut order = Vec::new();
        loop {
            self.key(&mut keys, &mut order)?;
            self.expect(b':', "`:`")?;
            self.value(depth + 1)?;
            if self.take(b'}') {
                break;
            }
            self.expect(b',', "`,` or `}`")?;
        }
        if order.iter().any(|key: &Vec<Node>| key.iter().any(|node| matches!(node, Node::Hole(..)))) {
            self.template.keys.push(order);
        }
        Ok(())
    }

    fn key(&mut self, keys: &mut HashSet<Vec<Node>>, order: &mut Vec<Vec<Node>>) -> Result<(), Broken> {
        match self.peek() {
            Some(b'"') => {}
            Some(b'{') if self.stray_placeholder() => return Ok(()),
            Some(b'{') => {
                let hint = "write JSON's own braces once; only inside strings `{{` is a literal `{`";
                self.source.fault_with_hint(self.at, "a key in quotes should stand here", hint);
                return Err(Broken);
            }
            _ => return self.broken(self.at, "a key in quotes should stand here"),
        }
        let place = self.at;
        let string = self.string()?;
        let key = decoded(&string.pieces);
        self.put_pieces(&string);
        if keys.insert(key.clone()) {
            order.push(key);
        } else {
            self.source.fault(place, "this key stands in its object already");
        }
        Ok(())
    }

    /// Steps over a placeholder that stands where JSON's structure does, and notes the fault.
    fn stray_placeholder(&mut self) -> bool {
        let inside = &self.source.text[self.at + 1..];
        let Some((name, _)) = inside.split_once('}') else { return false };
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return false;
        }
        let hint = format!(
            "write `\"{{{name}}}\"`; a string that is exactly one numeric placeholder becomes a number"
        );
        self.source.fault_with_hint(self.at, "in JSON a placeholder stands inside a string", hint);
        self.source.check_known(self.at, name);
        self.at += 1 + inside.find('}').unwrap_or_default() + 1;
        true
    }

    /// Reads a string, whose opening quote comes next.
    fn string(&mut self) -> Result<Text<'t>, Broken> {
        let open = self.at;
        let bytes = self.source.text.as_bytes();
        self.at += 1;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => {
                    let hint =
                        "write `\\n` for a line break, `\\t` for a tab, `\\u` and four digits for others";
                    self.source.fault_with_hint(self.at, "a JSON string holds no control characters", hint);
                    self.at += 1;
                }
                Some(_) => self.at += 1,
                None => return self.broken(open, "this string is never closed"),
            }
        }
        self.at += 1;
        let pieces = self.source.pieces(open + 1..self.at - 1);
        Ok(Text { range: open..self.at, pieces })
    }

    fn escape(&mut self) -> Result<(), Broken> {
        let start = self.at;
        match self.source.text.as_bytes().get(start + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                return Ok(());
            }
            Some(b'u') => {}
            _ => return self.broken(start, "this is no escape of JSON"),
        }
        let length = match (self.unit(start), self.unit(start + 6)) {
            (None, _) => return self.broken(start, "`\\u` is followed by four hex digits"),
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => 12,
            (Some(0xd800..0xe000), _) => return self.broken(start, "half of a surrogate pair"),
            (Some(_), _) => 6,
        };
        self.at += length;
        Ok(())
    }

    /// The code unit of the `\uXXXX` at a place.
    fn unit(&self, at: usize) -> Option<u16> {
        let digits = self.source.text.get(at..at + 6)?.strip_prefix("\\u")?;
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hex { u16::from_str_radix(digits, 16).ok() } else { None }
    }

    fn number(&mut self) -> Result<(), Broken> {
        let rest = &self.source.text[self.at..];
        let end =
            rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        if !is_number(&rest[..end]) {
            return self.broken(self.at, "this is no JSON number");
        }
        self.at += end;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), Broken> {
        if !self.source.text[self.at..].starts_with(word) {
            return self.broken(self.at, "a JSON value should stand here");
        }
        self.at += word.len();
        Ok(())
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.source.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, name: &str) -> Result<(), Broken> {
        if self.take(byte) { Ok(()) } else { self.broken(self.at, format!("{name} should stand here")) }
    }

    fn broken<T>(&mut self, at: usize, detail: impl Into<String>) -> Result<T, Broken> {
        self.source.fault(at, format!("no valid JSON: {}", detail.into()));
        Err(Broken)
    }

    /// Puts out the text up to a place as it was written.
    fn copy_to(&mut self, end: usize) {
        self.template.literal(&self.source.text[self.copied..end]);
        self.copied = end;
    }

    fn put_value(&mut self, string: &Text<'_>) {
        let [Piece::Hole(_, whole)] = string.pieces[..] else { return self.put_pieces(string) };
        if whole == Reference::Items {
            self.copy_to(string.range.start);
            self.template.literal("[");
            self.template.nodes.push(Node::Items);
            self.template.literal("]");
        } else if let Some(parameter) = self.source.numeric(whole) {
            self.copy_to(string.range.start);
            self.template.nodes.push(Node::Number(parameter));
        } else {
            return self.put_pieces(string);
        }
        self.copied = string.range.end;
    }

    fn put_pieces(&mut self, string: &Text<'_>) {
        let as_written = match string.pieces[..] {
            [] => true,
            [Piece::Literal(_, literal)] => literal.len() + 2 == string.range.len(),
            _ => false,
        };
        if as_written {
            return;
        }
        self.copy_to(string.range.start + 1);
        for piece in &string.pieces {
            match *piece {
                Piece::Literal(_, literal) => self.template.literal(literal),
                Piece::Hole(place, Reference::Items) => {
                    let detail = "in a JSON root the items stand in place of a value";
                    self.source.fault_with_hint(
                        place,
                        detail,
                        "write them as a string of their own: `\"{items}\"`",
                    );
                }
                Piece::Hole(_, reference) => self.template.hole(reference, Escape::Json),
            }
        }
        self.copied = string.range.end - 1;
    }
}

/// A string of the template: where it stands, quotes included, and what is in it.
struct Text<'t> {
    range: Range<usize>,
    pieces: Vec<Piece<'t>>,
}

/// What a key says, escapes resolved.
fn decoded(pieces: &[Piece<'_>]) -> Vec<Node> {
    let mut key = Template::default();
    for piece in pieces {
        match *piece {
            Piece::Literal(_, literal) => {
                let text =
                    serde_json::from_str(&format!("\"{literal}\"")).unwrap_or_else(|_| literal.to_owned());
                key.literal(&text);
            }
            Piece::Hole(_, reference) => key.hole(reference, Escape::Plain),
        }
    }
    key.nodes
}

/// Whether a text is a JSON number: `-1.5e3`, not `+1`, `01`, `.5`, `1.` or `NaN`.
pub(crate) fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}
