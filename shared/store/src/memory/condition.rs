//! Conditions and updates, judged and done on items in memory.

use std::cmp::Ordering;

use super::{
    faults::refused,
    value::{number, stored},
};
use crate::{
    StoreResult,
    ports::{Change, Condition, Item, Update, Value},
};

/// Whether `condition` holds for the item as it stands.
pub(super) fn holds(condition: &Condition, item: Option<&Item>) -> bool {
    let attribute = |name: &str| item.and_then(|item| item.get(name));
    let compared = |name: &str, limit: u64| attribute(name).and_then(|held| compare(held, limit));
    match condition {
        Condition::All(parts) => parts.iter().all(|part| holds(part, item)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, item)),
        Condition::Absent => item.is_none(),
        Condition::Present => item.is_some(),
        Condition::Missing(name) => attribute(name).is_none(),
        Condition::Equals(name, value) => attribute(name).is_some_and(|held| same(held, value)),
        Condition::Differs(name, value) => attribute(name).is_some_and(|held| !same(held, value)),
        Condition::AtMost(name, limit) => compared(name, *limit).is_some_and(Ordering::is_le),
        Condition::AtLeast(name, limit) => compared(name, *limit).is_some_and(Ordering::is_ge),
        Condition::NotNewer(name, updated) => match attribute(name) {
            None => true,
            Some(Value::M(map)) => {
                map.get("updated").and_then(|held| compare(held, *updated)).is_some_and(Ordering::is_le)
            }
            Some(_) => false,
        },
    }
}

/// Whether the stored value equals a given one.
fn same(held: &Value, given: &Value) -> bool {
    held == given || stored(given.clone()).is_ok_and(|given| *held == given)
}

/// Compares a stored value with a whole number that isn't negative; none where it is no number.
fn compare(held: &Value, limit: u64) -> Option<Ordering> {
    let Value::N(held) = held else { return None };
    if held.starts_with('-') {
        return Some(Ordering::Less);
    }
    let (whole, fraction) = held.split_once('.').unwrap_or((held, ""));
    // 38 digits fit, and the service stores no more.
    let whole: u128 = whole.parse().unwrap_or(u128::MAX);
    let beyond = if fraction.is_empty() { Ordering::Equal } else { Ordering::Greater };
    Some(whole.cmp(&limit.into()).then(beyond))
}

/// Changes an item.
pub(super) fn change(item: &mut Item, update: &Update) -> StoreResult<()> {
    for (at, (name, change)) in update.changes.iter().enumerate() {
        if name == "pk" || name == "sk" {
            return refused("an update may not change a key");
        }
        if update.changes[..at].iter().any(|(earlier, _)| earlier == name) {
            return refused(format!("an update changes `{name}` twice"));
        }
        match change {
            Change::Set(value) => _ = item.insert(name.clone(), stored(value.clone())?),
            Change::SetIfMissing(value) => {
                if !item.contains_key(name) {
                    item.insert(name.clone(), stored(value.clone())?);
                }
            }
            Change::Add(by) => {
                let sum = added(item.get(name), *by)?;
                item.insert(name.clone(), sum);
            }
            Change::Remove => _ = item.remove(name),
        }
    }
    Ok(())
}

fn added(held: Option<&Value>, by: i64) -> StoreResult<Value> {
    let held = match held {
        None => "0",
        Some(Value::N(digits)) => digits,
        Some(_) => return refused("only a number can be added to"),
    };
    let sum = held.parse().ok().and_then(|held: i128| held.checked_add(by.into()));
    let Some(sum) = sum else { return refused("the twin adds whole numbers only") };
    Ok(Value::N(number(&sum.to_string())?))
}
