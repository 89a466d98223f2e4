//! The service's limits, which a twin must hold as well: what passes here must not be refused there.

use std::collections::HashSet;

use super::{faults::refused, value::item_size};
use crate::{
    StoreError, StoreResult,
    ports::{Condition, Item, Key, Query, Value, Write},
};

/// Largest item, in bytes.
pub(super) const ITEM: usize = 400 * 1024;
/// Writes of one transaction.
const TRANSACTION: usize = 100;
/// Bytes of all items in one transaction.
const TRANSACTION_BYTES: usize = 4 * 1024 * 1024;
/// Keys of one batch read.
const BATCH_GET: usize = 100;
/// Writes of one batch.
pub(super) const BATCH_WRITE: usize = 25;
/// Bytes of one page of a query.
pub(super) const PAGE_BYTES: usize = 1024 * 1024;

/// Checks a key of a table with or without sort keys.
pub(super) fn key(key: &Key, sorted: bool) -> StoreResult<()> {
    if key.sk.is_some() != sorted {
        return refused("the key is not of this table's shape");
    }
    key_sizes(&key.pk, key.sk.as_deref())
}

fn key_sizes(pk: &str, sk: Option<&str>) -> StoreResult<()> {
    let sizes = [(pk.len(), 2048), (sk.map_or(1, str::len), 1024)];
    if sizes.iter().any(|&(size, most)| size == 0 || size > most) {
        return refused("a key is empty or too long");
    }
    Ok(())
}

/// Checks a query; it begins behind a key, though no item needs to have it.
pub(super) fn query(query: &Query, sorted: bool) -> StoreResult<()> {
    if !sorted || query.limit == 0 {
        return refused("a query needs sort keys and a limit of at least 1");
    }
    key_sizes(&query.pk, query.after.as_deref())
}

/// The key that stands in an item.
pub(super) fn key_of(item: &Item, sorted: bool) -> StoreResult<Key> {
    let text = |name: &str| match item.get(name) {
        Some(Value::S(text)) => Ok(text.clone()),
        _ => Err(StoreError::unavailable("the store's twin", format!("an item has no text as `{name}`"))),
    };
    let found = Key { pk: text("pk")?, sk: sorted.then(|| text("sk")).transpose()? };
    key(&found, sorted)?;
    Ok(found)
}

/// Checks an item as it would be stored.
pub(super) fn item(item: &Item) -> StoreResult<usize> {
    let size = item_size(item);
    if size > ITEM { Err(StoreError::TooLarge { operation: "the store's twin" }) } else { Ok(size) }
}

/// The key that a write touches.
pub(super) fn touched(write: &Write, sorted: bool) -> StoreResult<Key> {
    match write {
        Write::Put(item) => key_of(item, sorted),
        Write::Update(touched, update) => {
            if update.changes.is_empty() {
                return refused("an update changes nothing");
            }
            key(touched, sorted).map(|()| touched.clone())
        }
        Write::Delete(touched) | Write::Check(touched) => key(touched, sorted).map(|()| touched.clone()),
    }
}

/// The keys of several reads or writes, none twice.
pub(super) fn distinct<'a>(keys: impl IntoIterator<Item = &'a Key>) -> StoreResult<()> {
    let mut seen = HashSet::new();
    if keys.into_iter().all(|key| seen.insert(key)) {
        Ok(())
    } else {
        refused("a key stands twice in one call")
    }
}

/// Checks a batch read.
pub(super) fn reads(keys: &[Key], sorted: bool) -> StoreResult<()> {
    if keys.len() > BATCH_GET {
        return refused("a batch reads over 100 keys");
    }
    keys.iter().try_for_each(|each| key(each, sorted))?;
    distinct(keys)
}

/// Checks a transaction; the keys that it touches, in its order.
pub(super) fn transaction(writes: &[(Write, Option<Condition>)], sorted: bool) -> StoreResult<Vec<Key>> {
    if writes.is_empty() || writes.len() > TRANSACTION {
        return refused("a transaction has 1 to 100 writes");
    }
    if writes.iter().any(|(write, condition)| matches!(write, Write::Check(_)) && condition.is_none()) {
        return refused("a check has no condition");
    }
    let keys = writes.iter().map(|(write, _)| touched(write, sorted)).collect::<StoreResult<Vec<_>>>()?;
    distinct(&keys)?;
    Ok(keys)
}

/// Checks the bytes of a transaction's items.
pub(super) fn transaction_bytes(bytes: usize) -> StoreResult<()> {
    if bytes > TRANSACTION_BYTES { refused("a transaction writes over 4 MB") } else { Ok(()) }
}
