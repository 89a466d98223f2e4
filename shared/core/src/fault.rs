//! What is wrong with an input: the field, the place in it, the rule, and what to do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One fault of an input. All faults of an input are collected before any is reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// Path of the field, as in `body.template` or `parameters[2].name`.
    pub field: String,
    /// Line in the field's text, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in that line, in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The rule that the value breaks.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Fault {
    /// A fault of a whole field.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), line: None, column: None, detail: detail.into(), hint: None }
    }

    /// The same fault at the byte `offset` of the field's `text`.
    #[must_use]
    pub fn at(mut self, text: &str, offset: usize) -> Self {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.line = Some(count(memchr::memchr_iter(b'\n', before).count() + 1));
        self.column = Some(count(String::from_utf8_lossy(&before[line_start..]).chars().count() + 1));
        self
    }

    /// The same fault with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same fault inside a field that stands at `prefix`.
    #[must_use]
    pub fn within(mut self, prefix: &str) -> Self {
        self.field = match (prefix.is_empty(), self.field.is_empty()) {
            (true, _) => self.field,
            (_, true) => prefix.to_owned(),
            _ if self.field.starts_with('[') => format!("{prefix}{}", self.field),
            _ => format!("{prefix}.{}", self.field),
        };
        self
    }
}

/// The known name nearest to `wrong`, where one is near enough to be what was meant.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|&(distance, name)| distance <= (name.chars().count() / 3).max(1))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let text = "é{\nab🎟x";
        let fault = Fault::new("body", "wrong").at(text, text.find('x').unwrap_or_default());
        assert_eq!((fault.line, fault.column), (Some(2), Some(4)));
        let first = Fault::new("body", "wrong").at(text, 2);
        assert_eq!((first.line, first.column), (Some(1), Some(2)));
    }

    #[test]
    fn the_nearest_name_must_be_near() {
        assert_eq!(nearest("cuopon", ["coupon", "name"]), Some("coupon"));
        assert_eq!(nearest("zzz", ["coupon", "name"]), None);
    }
}
