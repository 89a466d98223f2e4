//! Phone numbers as E.164 (ITU-T): `+`, a country's calling code, the national number; at most 15 digits.
//!
//! The full rules of all countries (libphonenumber's) would cost a cold start 100 ms. What an administrator knows of the numbers in
//! the workspace's own data is enough, and refuses what does not fit instead of guessing.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fault::Fault;

/// Fewest and most digits of an international number.
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// How numbers without a calling code are dialled, as in `{"calling_code":86,"trunk_prefix":"0","min_digits":11,"max_digits":11}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DialPlan {
    /// The country's calling code, 1 to 999.
    pub calling_code: u16,
    /// What is dialled before a national number inside the country and is no part of it; may be empty.
    #[serde(default)]
    pub trunk_prefix: String,
    /// Fewest digits of a national number, without the trunk prefix.
    pub min_digits: usize,
    /// Most digits of a national number, without the trunk prefix.
    pub max_digits: usize,
}

impl DialPlan {
    /// What is wrong with the plan.
    pub(super) fn check(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !(1..=999).contains(&self.calling_code) {
            faults
                .push(Fault::new("calling_code", "must be 1 to 999").hint("without `+` or zeros before it"));
        }
        if self.trunk_prefix.len() > 3 || !self.trunk_prefix.bytes().all(|b| b.is_ascii_digit()) {
            faults.push(Fault::new("trunk_prefix", "must be at most 3 digits"));
        }
        if !(4..=14).contains(&self.min_digits) || !(self.min_digits..=14).contains(&self.max_digits) {
            faults.push(Fault::new("max_digits", "must be 4 to 14, and no less than `min_digits`"));
        }
        faults
    }

    /// The international number that the digits of a national one stand for.
    fn international(&self, digits: &str) -> Option<String> {
        let calling_code = self.calling_code.to_string();
        let fits = |digits: &&str| (self.min_digits..=self.max_digits).contains(&digits.len());
        let national = Some(digits)
            .filter(|_| !self.trunk_prefix.is_empty())
            .and_then(|d| d.strip_prefix(&*self.trunk_prefix));
        let national = national.filter(fits).or_else(|| Some(digits).filter(fits));
        // Exports often write the international number without its `+`.
        let national = national.or_else(|| digits.strip_prefix(&*calling_code).filter(fits))?;
        Some(format!("{calling_code}{national}"))
    }
}

/// The number as E.164; none where it is none, or is national and there is no plan for it.
pub(super) fn e164<'a>(text: &'a str, plan: Option<&DialPlan>) -> Option<Cow<'a, str>> {
    if text.strip_prefix('+').is_some_and(is_international) {
        return Some(Cow::Borrowed(text));
    }
    let text = text.trim();
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
    let digits = match (plus, digits.strip_prefix("00")) {
        (true, _) => digits,
        (false, Some(international)) => international.to_owned(),
        (false, None) => plan?.international(&digits)?,
    };
    is_international(&digits).then(|| Cow::Owned(format!("+{digits}")))
}

fn is_international(digits: &str) -> bool {
    DIGITS.contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}
