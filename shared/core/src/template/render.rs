//! One user's request: one pass over a program into buffers that are used again.

use super::address::is_dot_segment;
use super::compile::{Action, OnEmpty, Part, Program, Slot};
use super::parse::Guard;
use crate::outcome::Reason;
use crate::webhook::{MAX_BODY, MAX_HEADER_VALUE, MAX_URL};

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
        rendered.url.clear();
        self.put(&self.url, values, &mut rendered.url, ("URL", MAX_URL))?;
        rendered.headers.resize_with(self.headers.len(), String::new);
        for (part, header) in self.headers.iter().zip(&mut rendered.headers) {
            header.clear();
            self.put(part, values, header, ("header", MAX_HEADER_VALUE))?;
        }
        rendered.body.clear();
        self.put(&self.body, values, &mut rendered.body, ("body", MAX_BODY))?;
        self.keys.iter().try_for_each(|keys| self.check_keys(keys, values))
    }

    fn check_empty(&self, values: &Values<'_>) -> Result<(), Unrendered> {
        for variable in self.variables.iter().filter(|variable| variable.on_empty == OnEmpty::Skip) {
            if tag(values, variable.tag).is_empty() {
                return Err(Unrendered::EmptyValue { name: variable.name.clone() });
            }
        }
        for (name, variables) in &self.required {
            if variables.iter().all(|&variable| tag(values, self.variables[variable].tag).is_empty()) {
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
            self.put(key, values, text, ("body", MAX_BODY))?;
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

fn tag<'v>(values: &Values<'v>, index: usize) -> &'v str {
    values.tags.get(index).copied().flatten().unwrap_or_default()
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
