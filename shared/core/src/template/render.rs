//! One user's request: one pass over a program into buffers that are used again.

use super::address::is_dot_segment;
use super::compile::{Action, BREAKS, OnEmpty, Part, Program, Slot};
use super::parse::Guard;
use super::text::LINE;
use crate::limits;
use crate::outcome::Reason;

/// What one user's request is rendered from; everything is borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The ID in the form that is sent.
    pub id: &'a str,
    /// Code of its type.
    pub id_type: &'a str,
    /// The recipient's `webhook-id`.
    pub delivery_id: &'a str,
    /// The user's tags in the order of [`Program::tags`]; a missing one may be `None` or left out at the end.
    pub tags: &'a [Option<&'a str>],
}

/// A rendered request. Rendering again into it costs no allocation once its buffers have grown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The whole URL, ASCII, as a URL parser would write it.
    pub url: String,
    /// Values of the headers that differ between users, in the order of [`Program::header_names`].
    pub headers: Vec<String>,
    /// The body, empty where there is none.
    pub body: String,
    /// What stands in the body behind the items, while they are added.
    rest: String,
    /// Items in the body.
    items: usize,
}

/// Whether a user's item found room in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It stands in the body.
    Added,
    /// With it the body would be too large: it belongs into the next request. The body is as it was.
    Full,
}

/// Why a user's request cannot be rendered. Nothing of the user is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrendered {
    /// A variable that may not be empty is, or a required parameter ended up blank: outcome `empty_value`.
    #[error("{name} is empty")]
    EmptyValue {
        /// As it is written: `${variable}`, or `{parameter}`.
        name: String,
    },
    /// Outcome `too_large`.
    #[error("the {part} would be larger than {limit} bytes")]
    TooLarge {
        /// `body`, `URL` or `header`.
        part: &'static str,
        /// Most bytes of it.
        limit: usize,
    },
    /// A value would change the structure around it, and no escape prevents that: outcome `refused`, reason `invalid_request`.
    #[error("{rule}")]
    Unfit {
        /// The rule that the value breaks.
        rule: &'static str,
    },
}

impl Unrendered {
    /// The recipient's final reason.
    pub fn reason(&self) -> Reason {
        match self {
            Self::EmptyValue { .. } => Reason::EmptyValue,
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::Unfit { .. } => Reason::InvalidRequest,
        }
    }
}

impl Program {
    /// Renders one user's request; what `rendered` held before is overwritten.
    ///
    /// # Errors
    /// The user is not sent to, and `rendered` means nothing.
    pub fn render(&self, values: &Values<'_>, rendered: &mut Rendered) -> Result<(), Unrendered> {
        self.check_empty(values)?;
        self.put_shared(values, rendered)?;
        if self.items.is_some() {
            // It has room for one, or the item alone is too large.
            self.add_filled(values, rendered)?;
            self.end(rendered);
        }
        Ok(())
    }

    /// Whether a request may hold several users: [`Self::begin`], [`Self::add`] and [`Self::end`] make it.
    pub fn has_items(&self) -> bool {
        self.items.is_some()
    }

    /// Begins a request of users whose IDs have this type; what `rendered` held before is overwritten.
    ///
    /// # Errors
    /// None of them is sent to, and `rendered` means nothing.
    pub fn begin(&self, id_type: &str, rendered: &mut Rendered) -> Result<(), Unrendered> {
        self.put_shared(&Values { id: "", id_type, delivery_id: "", tags: &[] }, rendered)
    }

    /// Adds a user's item. The body holds it only where the answer is [`Added::Added`], and else is as it was.
    ///
    /// # Errors
    /// The user is not sent to.
    pub fn add(&self, values: &Values<'_>, rendered: &mut Rendered) -> Result<Added, Unrendered> {
        self.check_empty(values)?;
        let before = rendered.body.len();
        let added = self.add_filled(values, rendered);
        if added != Ok(Added::Added) {
            rendered.body.truncate(before);
        }
        added
    }

    /// Ends a request: the body is whole then.
    pub fn end(&self, rendered: &mut Rendered) {
        rendered.body.push_str(&rendered.rest);
    }

    /// Puts out what is no item.
    fn put_shared(&self, values: &Values<'_>, rendered: &mut Rendered) -> Result<(), Unrendered> {
        rendered.url.clear();
        self.put(&self.url, values, &mut rendered.url, ("URL", limits::URL))?;
        rendered.headers.resize_with(self.headers.len(), String::new);
        for (part, header) in self.headers.iter().zip(&mut rendered.headers) {
            header.clear();
            self.put(part, values, header, ("header", limits::HEADER_VALUE))?;
        }
        rendered.body.clear();
        self.put(&self.body, values, &mut rendered.body, ("body", limits::BODY))?;
        if let Some(items) = &self.items {
            rendered.items = 0;
            rendered.rest.clear();
            self.put(&items.rest, values, &mut rendered.rest, ("body", limits::BODY))?;
        }
        self.keys.iter().try_for_each(|keys| self.check_keys(keys, values))
    }

    /// Appends the item of a user who has all that must not be empty.
    fn add_filled(&self, values: &Values<'_>, rendered: &mut Rendered) -> Result<Added, Unrendered> {
        let Some(items) = &self.items else { return Ok(Added::Full) };
        let limit = limits::BODY.saturating_sub(rendered.rest.len());
        if rendered.items > 0 {
            rendered.body.push_str(items.separator);
        }
        let start = rendered.body.len();
        match self.put(&items.item, values, &mut rendered.body, ("body", limit)) {
            // Alone it may have room; where not, it is told then.
            Err(Unrendered::TooLarge { .. }) if rendered.items > 0 => return Ok(Added::Full),
            Err(Unrendered::TooLarge { part, .. }) => {
                return Err(Unrendered::TooLarge { part, limit: limits::BODY });
            }
            put => put?,
        }
        if items.lines && rendered.body[start..].contains(BREAKS) {
            return Err(Unrendered::Unfit { rule: LINE });
        }
        items.keys.iter().try_for_each(|keys| self.check_keys(keys, values))?;
        rendered.items += 1;
        Ok(Added::Added)
    }

    fn check_empty(&self, values: &Values<'_>) -> Result<(), Unrendered> {
        for variable in self.variables.iter().filter(|variable| variable.on_empty == OnEmpty::Skip) {
            if tag(values, variable.tag).is_empty() {
                return Err(Unrendered::EmptyValue { name: variable.name.clone() });
            }
        }
        for (name, variables) in &self.required {
            if variables.iter().all(|&index| self.value(Slot::Variable(index), values).trim().is_empty()) {
                return Err(Unrendered::EmptyValue { name: name.clone() });
            }
        }
        Ok(())
    }

    /// Appends a part; `limit` names it and bounds its bytes.
    #[inline]
    fn put(
        &self,
        part: &Part,
        values: &Values<'_>,
        out: &mut String,
        limit: (&'static str, usize),
    ) -> Result<(), Unrendered> {
        for step in &part.steps {
            out.push_str(&step.literal);
            match &step.action {
                Action::Put(slot, escape) => escape.write(self.value(*slot, values), out),
                Action::Guard(guard, name) => guard.check(out, name)?,
            }
            if out.len() > limit.1 {
                return Err(Unrendered::TooLarge { part: limit.0, limit: limit.1 });
            }
        }
        out.push_str(&part.tail);
        if out.len() > limit.1 {
            return Err(Unrendered::TooLarge { part: limit.0, limit: limit.1 });
        }
        Ok(())
    }

    #[inline]
    fn value<'v>(&'v self, slot: Slot, values: &Values<'v>) -> &'v str {
        match slot {
            Slot::Id => values.id,
            Slot::IdType => values.id_type,
            Slot::DeliveryId => values.delivery_id,
            Slot::Variable(index) => {
                let variable = &self.variables[index];
                match (tag(values, variable.tag), &variable.on_empty) {
                    ("", OnEmpty::Default(text)) => text,
                    (text, _) => text,
                }
            }
        }
    }

    fn check_keys(&self, keys: &[Part], values: &Values<'_>) -> Result<(), Unrendered> {
        let mut texts = vec![String::new(); keys.len()];
        for (key, text) in keys.iter().zip(&mut texts) {
            self.put(key, values, text, ("body", limits::BODY))?;
        }
        texts.sort_unstable();
        if texts.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Unrendered::Unfit { rule: DUPLICATE_KEY });
        }
        Ok(())
    }
}

/// The rule for keys with placeholders.
pub(super) const DUPLICATE_KEY: &str =
    "a key with a placeholder is no other key of its object, query or form";

fn tag<'v>(values: &Values<'v>, index: Option<usize>) -> &'v str {
    index.and_then(|index| values.tags.get(index).copied().flatten()).unwrap_or_default()
}

impl Guard {
    /// Checks what was put out since the last delimiter; `name` is the placeholder to name.
    pub(super) fn check(self, out: &str, name: &str) -> Result<(), Unrendered> {
        let piece = match self {
            Self::Segment => out.rsplit('/').next(),
            Self::Pair => out.rsplit(['&', '?']).next(),
        };
        match piece.unwrap_or_default() {
            "" => Err(Unrendered::EmptyValue { name: name.to_owned() }),
            piece if self == Self::Segment && is_dot_segment(piece) => {
                Err(Unrendered::Unfit { rule: "a segment of the URL's path is neither `.` nor `..`" })
            }
            _ => Ok(()),
        }
    }
}
