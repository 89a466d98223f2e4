//! The one form of an ID, in which it is sent and hashed.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Region, phone};
use crate::limits;

/// How a value is brought into its one form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normaliser {
    /// Left as it is.
    #[default]
    None,
    /// White space around it taken off.
    Trim,
    /// An e-mail address, trimmed, in lower case.
    Email,
    /// A phone number as E.164, `+` and 8 to 15 digits.
    Phone,
}

impl Normaliser {
    /// The value in its one form; none where it is no value of this kind. `region` is where phone numbers without a calling code belong to.
    pub fn apply(self, text: &str, region: Option<Region>) -> Option<Cow<'_, str>> {
        match self {
            Self::None => Some(text).filter(|text| !text.is_empty()).map(Cow::Borrowed),
            Self::Trim => Some(text.trim()).filter(|text| !text.is_empty()).map(Cow::Borrowed),
            Self::Email => email(text.trim()),
            Self::Phone => phone::e164(text, region),
        }
    }
}

/// An address with a local part and a domain, none of which holds white space or a second `@`.
fn email(text: &str) -> Option<Cow<'_, str>> {
    let (local, domain) = text.split_once('@')?;
    let part = |text: &str| {
        !text.is_empty() && !text.contains(|c: char| c == '@' || c.is_whitespace() || c.is_control())
    };
    if text.len() > limits::EMAIL || !part(local) || !part(domain) {
        return None;
    }
    let lower = text.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase());
    Some(if lower { Cow::Borrowed(text) } else { Cow::Owned(text.to_lowercase()) })
}
