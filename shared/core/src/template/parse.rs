//! What the templates of all formats share: braces, names, and faults with a place.

use std::ops::Range;

use memchr::memchr2;

use super::escape::Escape;
use crate::fault::{Fault, nearest};
use crate::id::Name;
use crate::limits;
use crate::webhook::{Parameter, ParameterType};

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reference {
    Id,
    IdType,
    DeliveryId,
    /// What the run says of itself; no template names it, the standard list body does.
    Heading(HeadingField),
    /// The items of a batch.
    Items,
    /// Index in the webhook's parameters.
    Parameter(usize),
}

/// A part of what a run says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum HeadingField {
    Push,
    Name,
    Run,
}

/// A stretch of literal output, or a hole in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    /// Goes out as it is: already escaped.
    Literal(String),
    /// A value, escaped for where it stands.
    Hole(Reference, Escape),
    /// A numeric parameter in place of a JSON string: the number itself, or `null`.
    Number(usize),
    /// What was put out since the last delimiter must be fit to stand there.
    Guard(Guard, Reference),
    /// The items of a batch.
    Items,
}

/// A check that no escape can replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Guard {
    /// A path segment is neither empty nor a dot segment.
    Segment,
    /// A `name=value` pair is not empty.
    Pair,
}

/// Keys that stand beside each other, at least one of them with a hole; no two may be equal.
pub(crate) type Keys = Vec<Vec<Node>>;

/// A parsed template: what goes out, and the keys to compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) nodes: Vec<Node>,
    pub(crate) keys: Vec<Keys>,
}

impl Template {
    /// Adds literal output.
    pub(crate) fn literal(&mut self, text: &str) {
        match self.nodes.last_mut() {
            Some(Node::Literal(last)) => last.push_str(text),
            _ if text.is_empty() => {}
            _ => self.nodes.push(Node::Literal(text.to_owned())),
        }
    }

    /// Adds a value.
    pub(crate) fn hole(&mut self, reference: Reference, escape: Escape) {
        self.nodes.push(Node::Hole(reference, escape));
    }
}

/// A piece of a template's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    /// Literal text and its place.
    Literal(usize, &'t str),
    /// A placeholder and its place.
    Hole(usize, Reference),
}

/// What a template may name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'t> {
    pub(crate) parameters: &'t [Parameter],
    /// What it makes is the same for all users of a request, of whom there may be several.
    pub(crate) shared: bool,
    /// It is the root of a body with items.
    pub(crate) root: bool,
}

/// A template's text while it is parsed, with the names it may use and the faults found so far.
pub(crate) struct Source<'t> {
    pub(crate) text: &'t str,
    scope: Scope<'t>,
    /// Whether `{items}` was met.
    items: bool,
    faults: Vec<Fault>,
}

impl<'t> Source<'t> {
    pub(crate) fn new(text: &'t str, scope: Scope<'t>) -> Self {
        Self { text, scope, items: false, faults: Vec::new() }
    }

    /// The template, unless faults were found.
    pub(crate) fn finish<T>(mut self, parsed: T) -> Result<T, Vec<Fault>> {
        if self.scope.root && !self.items && self.faults.is_empty() {
            self.fault_with_hint(
                0,
                "the root has no place for the items",
                "write `{items}` where they stand",
            );
        }
        if self.faults.is_empty() { Ok(parsed) } else { Err(self.faults) }
    }

    /// Notes a fault at a byte offset of the text.
    pub(crate) fn fault(&mut self, at: usize, detail: impl Into<String>) {
        self.add(Fault::new("", detail), at);
    }

    /// Notes a fault with a hint.
    pub(crate) fn fault_with_hint(&mut self, at: usize, detail: impl Into<String>, hint: impl Into<String>) {
        self.add(Fault::new("", detail).hint(hint), at);
    }

    fn add(&mut self, fault: Fault, at: usize) {
        if self.faults.len() < limits::FAULTS {
            self.faults.push(fault.at(self.text, at));
        }
    }

    /// Whether a placeholder stands for a numeric parameter; its index.
    pub(crate) fn numeric(&self, reference: Reference) -> Option<usize> {
        match reference {
            Reference::Parameter(index) if self.scope.parameters[index].kind == ParameterType::Numeric => {
                Some(index)
            }
            _ => None,
        }
    }

    /// Splits a stretch of the text at its placeholders; `{{` and `}}` become literal braces.
    pub(crate) fn pieces(&mut self, range: Range<usize>) -> Vec<Piece<'t>> {
        let text = &self.text[..range.end];
        let bytes = text.as_bytes();
        let mut pieces = Vec::new();
        let mut at = range.start;
        while let Some(found) = memchr2(b'{', b'}', &bytes[at..]) {
            let brace = at + found;
            if brace > at {
                pieces.push(Piece::Literal(at, &text[at..brace]));
            }
            let rest = &bytes[brace..];
            if rest.starts_with(b"{{") || rest.starts_with(b"}}") {
                pieces.push(Piece::Literal(brace, &text[brace..=brace]));
                at = brace + 2;
            } else if bytes[brace] == b'}' {
                self.fault_with_hint(brace, "`}` closes nothing", "write `}}` for a literal `}`");
                at = brace + 1;
            } else {
                at = self.placeholder(text, brace, &mut pieces);
            }
        }
        if at < text.len() {
            pieces.push(Piece::Literal(at, &text[at..]));
        }
        pieces
    }

    /// Reads the placeholder whose `{` stands at `brace`; where to go on.
    fn placeholder(&mut self, text: &'t str, brace: usize, pieces: &mut Vec<Piece<'t>>) -> usize {
        let inside = brace + 1;
        let close = memchr2(b'{', b'}', &text.as_bytes()[inside..]).map(|found| inside + found);
        let Some(close) = close.filter(|&at| text.as_bytes()[at] == b'}') else {
            self.fault_with_hint(brace, "`{` is never closed", "write `{{` for a literal `{`");
            return inside;
        };
        let name = &text[inside..close];
        match self.resolve(name) {
            Some(reference) if self.allows(brace, name, reference) => {
                pieces.push(Piece::Hole(brace, reference));
            }
            Some(_) => {}
            None => self.unknown(brace, name),
        }
        close + 1
    }

    /// Whether a placeholder may stand in this template; notes a fault where it may not.
    fn allows(&mut self, brace: usize, name: &str, reference: Reference) -> bool {
        match reference {
            Reference::Items if !self.scope.root => {
                let hint = "give the body an `item`; then its template is the root";
                self.fault_with_hint(brace, "`{items}` stands in the root of a body with items only", hint);
            }
            Reference::Items if self.items => self.fault(brace, "`{items}` stands in the root once"),
            Reference::Items => {
                self.items = true;
                return true;
            }
            Reference::Id | Reference::DeliveryId if self.scope.shared => {
                let detail = format!("`{{{name}}}` differs between the users of a request");
                let hint = "move it into the `item`, or send to each user singly: `\"batch_size\": 1`";
                self.fault_with_hint(brace, detail, hint);
            }
            _ => return true,
        }
        false
    }

    /// Notes a fault where no placeholder has this name.
    pub(crate) fn check_known(&mut self, brace: usize, name: &str) {
        if self.resolve(name).is_none() {
            self.unknown(brace, name);
        }
    }

    fn resolve(&self, name: &str) -> Option<Reference> {
        match name {
            "id" => Some(Reference::Id),
            "id_type" => Some(Reference::IdType),
            "delivery_id" => Some(Reference::DeliveryId),
            "items" => Some(Reference::Items),
            _ => {
                let index =
                    self.scope.parameters.iter().position(|parameter| parameter.name.as_str() == name);
                index.map(Reference::Parameter)
            }
        }
    }

    fn unknown(&mut self, brace: usize, name: &str) {
        if self.faults.len() >= limits::FAULTS {
            return;
        }
        if name.parse::<Name>().is_err() {
            let detail = "a placeholder is a name in braces, as in `{id}`";
            return self.fault_with_hint(brace, detail, "write `{{` and `}}` for literal braces");
        }
        let known: &[_] = if self.scope.root {
            &["items", "id", "id_type", "delivery_id"]
        } else {
            &["id", "id_type", "delivery_id"]
        };
        let parameters = self.scope.parameters.iter().map(|parameter| parameter.name.as_str());
        let known = known.iter().copied().chain(parameters);
        let hint = if let Some(near) = nearest(name, known.clone()) {
            format!("did you mean `{{{near}}}`?")
        } else if self.text[..brace].ends_with('$') {
            "variables `${…}` stand in a push's values; a webhook's content holds parameters".to_owned()
        } else {
            let names: Vec<_> = known.map(|name| format!("`{{{name}}}`")).collect();
            format!("known are {}", names.join(", "))
        };
        self.fault_with_hint(brace, format!("`{{{name}}}` is no parameter of this webhook"), hint);
    }
}
