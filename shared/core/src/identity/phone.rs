//! Phone numbers as E.164 (ITU-T): `+`, a country's calling code, the national number; at most 15 digits.
//!
//! How numbers are dialled inside a country is libphonenumber's knowledge, by the crate `phonenumber`. It is asked only where it is needed:
//! its data takes 130 ms of CPU and 5 MB to load and a number 10 to 30 µs, and most numbers stand in their international form already.
//! An international number never goes to it together with a region: it then takes digits away that mean something in that region.

use std::{borrow::Cow, fmt, str::FromStr};

use phonenumber::{PhoneNumber, country};
use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use crate::id::InvalidId;

/// Fewest and most digits of an international number.
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;
/// Longest calling code of a country, in digits.
const CALLING_CODE: usize = 3;

/// A country or region whose numbers may stand without their calling code: ISO 3166-1 alpha-2, as in `CN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(country::Id);

impl Region {
    /// What a region must be.
    pub const RULE: &'static str =
        "must be a country or region by its two letters of ISO 3166-1, upper case, as in `CN`";
}

impl FromStr for Region {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.parse().map(Self).map_err(|_| InvalidId { rule: Self::RULE })
    }
}

impl TryFrom<String> for Region {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.to_string()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref())
    }
}

impl PartialSchema for Region {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Z]{2}$")).into()
    }
}

impl ToSchema for Region {}

/// The number as E.164; none where it is none, or is national and the region is not known or has no such number.
pub(super) fn e164(text: &str, region: Option<Region>) -> Option<Cow<'_, str>> {
    if text.strip_prefix('+').is_some_and(|digits| is_international(digits) && !may_hold_trunk_zero(digits)) {
        return Some(Cow::Borrowed(text));
    }
    let (international, digits) = digits(text.trim())?;
    let digits = match (international, region) {
        (true, _) if !is_international(&digits) => return None,
        (true, _) if may_hold_trunk_zero(&digits) => without_trunk_zero(digits),
        (true, _) => digits,
        (false, region) => from_national(&digits, region?)?,
    };
    is_international(&digits).then(|| Cow::Owned(format!("+{digits}")))
}

/// The digits of a number as people write it, and whether they begin with a calling code; none where it is no number.
fn digits(text: &str) -> Option<(bool, String)> {
    // The trunk prefix as it is written between calling code and number, for readers inside the country.
    let text =
        if text.contains("(0)") { Cow::Owned(text.replacen("(0)", "", 1)) } else { Cow::Borrowed(text) };
    let mut digits = String::with_capacity(text.len());
    let mut plus = false;
    for (at, c) in text.char_indices() {
        match c {
            '0'..='9' => digits.push(c),
            // Full-width digits, as East Asian input methods write them.
            '０'..='９' => digits.extend(char::from_digit(u32::from(c) - u32::from('０'), 10)),
            '+' | '＋' if at == 0 => plus = true,
            ' ' | '\u{a0}' | '\u{3000}' | '-' | '\u{2010}'..='\u{2015}' | '.' | '/' | '(' | ')' => {}
            _ => return None,
        }
    }
    Some(match (plus, digits.strip_prefix("00")) {
        (false, Some(international)) => (true, international.to_owned()),
        _ => (plus, digits),
    })
}

fn is_international(digits: &str) -> bool {
    DIGITS.contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a zero stands where the trunk prefix would, if it was left behind the calling code.
fn may_hold_trunk_zero(digits: &str) -> bool {
    digits.bytes().skip(1).take(CALLING_CODE).any(|digit| digit == b'0')
}

/// An international number without a trunk zero behind its calling code, where it is a number of that country only without it.
fn without_trunk_zero(digits: String) -> String {
    let Ok(number) = phonenumber::parse(None, format!("+{digits}")) else { return digits };
    let bare = international(&number);
    let code = number.code().value().to_string();
    let with_zero = bare.strip_prefix(&code).map(|national| format!("{code}0{national}"));
    if with_zero.as_ref() == Some(&digits) && number.is_valid() { bare } else { digits }
}

/// The international number that the digits of a national one stand for, trunk prefix or calling code before it or not; none where the
/// region has no such number.
fn from_national(digits: &str, region: Region) -> Option<String> {
    let number = phonenumber::parse(Some(region.0), digits).ok()?;
    // Behind another prefix of international calls than `00` a number of another country would be read as one of this region.
    let inside = matches!(number.code().source(), country::Source::Default | country::Source::Number);
    (inside && number.is_valid()).then(|| international(&number))
}

fn international(number: &PhoneNumber) -> String {
    format!("{}{}", number.code().value(), number.national())
}
