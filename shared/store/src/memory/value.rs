//! Values as the service stores, compares and counts them.

use crate::{
    StoreResult,
    memory::faults::refused,
    ports::{Item, Value},
};

/// Digits that a number may have.
const DIGITS: usize = 38;

/// The number as the service writes it: no leading or trailing zero, no plus sign, no `-0`.
pub(super) fn number(text: &str) -> StoreResult<String> {
    let (sign, digits) =
        text.strip_prefix('-').map_or(("", text.strip_prefix('+').unwrap_or(text)), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return refused(format!("`{text}` is no number without exponent"));
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    if whole.len() + fraction.len() > DIGITS {
        return refused("a number has over 38 digits");
    }
    Ok(match (whole, fraction) {
        ("", "") => "0".to_owned(),
        (whole, "") => format!("{sign}{whole}"),
        ("", fraction) => format!("{sign}0.{fraction}"),
        (whole, fraction) => format!("{sign}{whole}.{fraction}"),
    })
}

/// The value as it is stored.
pub(super) fn stored(value: Value) -> StoreResult<Value> {
    Ok(match value {
        Value::N(text) => Value::N(number(&text)?),
        Value::L(values) => Value::L(values.into_iter().map(stored).collect::<StoreResult<_>>()?),
        Value::M(entries) => Value::M(
            entries
                .into_iter()
                .map(|(name, value)| Ok((name, stored(value)?)))
                .collect::<StoreResult<_>>()?,
        ),
        Value::Ns(numbers) => {
            set(numbers.iter().map(|text| number(text)).collect::<StoreResult<_>>()?, Value::Ns)?
        }
        Value::Ss(texts) => set(texts, Value::Ss)?,
        Value::Bs(blobs) => set(blobs, Value::Bs)?,
        other => other,
    })
}

/// A set in one order, so that equal sets compare as equal.
fn set<T: PartialEq + AsRef<[u8]>>(
    mut values: Vec<T>,
    make: impl FnOnce(Vec<T>) -> Value,
) -> StoreResult<Value> {
    values.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
    if values.is_empty() || values.windows(2).any(|pair| pair[0] == pair[1]) {
        return refused("a set is empty or holds a value twice");
    }
    Ok(make(values))
}

/// Bytes that an item counts, by the service's rules.
pub(super) fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + size(value)).sum()
}

fn size(value: &Value) -> usize {
    match value {
        Value::S(text) => text.len(),
        Value::N(digits) => number_size(digits),
        Value::B(blob) => blob.as_ref().len(),
        Value::Ss(texts) => texts.iter().map(String::len).sum(),
        Value::Ns(numbers) => numbers.iter().map(|digits| number_size(digits)).sum(),
        Value::Bs(blobs) => blobs.iter().map(|blob| blob.as_ref().len()).sum(),
        Value::L(values) => 3 + values.iter().map(|value| 1 + size(value)).sum::<usize>(),
        Value::M(entries) => {
            3 + entries.iter().map(|(name, value)| 1 + name.len() + size(value)).sum::<usize>()
        }
        _ => 1,
    }
}

/// About one byte for two digits, and one more.
fn number_size(digits: &str) -> usize {
    digits.len().div_ceil(2) + 1
}
