//! The table's twin.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    condition::{change, holds},
    faults::{Fault, Faults, Operation, refused},
    limits,
    value::stored,
};
use crate::{
    StoreResult,
    ports::{Condition, Conditional, Item, Key, Order, Page, Query, Table, Transaction, Value, Write},
};

/// A table in memory.
pub struct MemoryTable {
    sorted: bool,
    partitions: Mutex<Partitions>,
    faults: Faults,
}

/// An item and its size in bytes.
struct Stored {
    item: Item,
    size: usize,
}

/// Items by partition key, then by the sort key's bytes; under an empty one where the table has none.
#[derive(Default)]
struct Partitions(HashMap<String, BTreeMap<Vec<u8>, Stored>>);

/// What a write makes of an item; `None` leaves nothing.
type Effect = Option<Stored>;

impl Default for MemoryTable {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryTable {
    /// An empty table with sort keys.
    pub fn new() -> Self {
        Self { sorted: true, partitions: Mutex::default(), faults: Faults::default() }
    }

    /// An empty table without sort keys.
    pub fn without_sort_key() -> Self {
        Self { sorted: false, ..Self::new() }
    }

    /// The same table, whose operations fail as `hook` says.
    #[must_use]
    pub fn with_faults(self, hook: impl Fn(&Operation<'_>) -> Fault + Send + Sync + 'static) -> Self {
        Self { faults: Faults::new(hook), ..self }
    }

    /// Every item, by partition and sort key.
    pub fn items(&self) -> Vec<Item> {
        let partitions = self.lock();
        let mut sorted: Vec<_> = partitions.0.iter().collect();
        sorted.sort_by_key(|(pk, _)| *pk);
        sorted.iter().flat_map(|(_, items)| items.values()).map(|stored| stored.item.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Partitions> {
        // A panic elsewhere leaves no write half done: each is put in place whole.
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `write` would make of the item.
    fn effect(write: &Write, key: &Key, before: Option<&Stored>) -> StoreResult<Effect> {
        let item = match write {
            Write::Put(item) => {
                let attributes = item.iter().map(|(name, value)| Ok((name.clone(), stored(value.clone())?)));
                attributes.collect::<StoreResult<Item>>()?
            }
            Write::Update(_, update) => {
                let mut item = before.map_or_else(|| key_item(key), |before| before.item.clone());
                change(&mut item, update)?;
                item
            }
            Write::Delete(_) => return Ok(None),
            Write::Check(_) => return refused("a check is no write"),
        };
        let size = limits::item(&item)?;
        Ok(Some(Stored { item, size }))
    }
}

/// The key as attributes.
fn key_item(key: &Key) -> Item {
    let text = |text: &String| Value::S(text.clone());
    let mut item = Item::from([("pk".to_owned(), text(&key.pk))]);
    item.extend(key.sk.as_ref().map(|sk| ("sk".to_owned(), text(sk))));
    item
}

impl Partitions {
    fn get(&self, key: &Key) -> Option<&Stored> {
        self.0.get(&key.pk)?.get(key.sk.as_deref().unwrap_or_default().as_bytes())
    }

    fn place(&mut self, key: Key, effect: Effect) {
        let sk = key.sk.unwrap_or_default().into_bytes();
        match effect {
            Some(stored) => _ = self.0.entry(key.pk).or_default().insert(sk, stored),
            None => {
                if let Some(partition) = self.0.get_mut(&key.pk) {
                    partition.remove(&sk);
                }
            }
        }
    }

    fn page(&self, query: &Query) -> Page {
        let Some(partition) = self.0.get(&query.pk) else { return Page::default() };
        let (prefix, after) = (query.prefix.as_bytes(), query.after.as_deref().map(str::as_bytes));
        let begins = |(sk, _): &(&Vec<u8>, &Stored)| sk.starts_with(prefix);
        match query.order {
            Order::Ascending => {
                let start =
                    after.filter(|after| *after >= prefix).map_or(Bound::Included(prefix), Bound::Excluded);
                fill(query, partition.range::<[u8], _>((start, Bound::Unbounded)).take_while(begins))
            }
            Order::Descending => {
                let beyond = successor(prefix);
                let end = [after, beyond.as_deref()].into_iter().flatten().min();
                let end = end.map_or(Bound::Unbounded, Bound::Excluded);
                fill(query, partition.range::<[u8], _>((Bound::Unbounded, end)).rev().take_while(begins))
            }
        }
    }
}

/// The smallest bytes behind all that begin with `prefix`; none behind those of an empty one.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let (last, before) = prefix.split_last()?;
    // No byte of UTF-8 is the largest.
    Some([before, &[last + 1]].concat())
}

/// Items up to the query's limit or the service's.
fn fill<'a>(query: &Query, within: impl Iterator<Item = (&'a Vec<u8>, &'a Stored)>) -> Page {
    let mut page = Page::default();
    let mut bytes = 0;
    for (sk, stored) in within {
        page.items.push(stored.item.clone());
        bytes += stored.size;
        if page.items.len() == query.limit || bytes > limits::PAGE_BYTES {
            // As the service does: without looking whether anything follows.
            page.more = Some(String::from_utf8_lossy(sk).into_owned());
            break;
        }
    }
    page
}

#[async_trait]
impl Table for MemoryTable {
    async fn get(&self, key: &Key) -> StoreResult<Option<Item>> {
        self.faults.around(&Operation::Get(key), || {
            limits::key(key, self.sorted)?;
            Ok(self.lock().get(key).map(|stored| stored.item.clone()))
        })
    }

    async fn get_many(&self, keys: &[Key], _consistent: bool) -> StoreResult<Vec<Item>> {
        self.faults.around(&Operation::GetMany(keys), || {
            limits::reads(keys, self.sorted)?;
            let partitions = self.lock();
            Ok(keys.iter().filter_map(|key| partitions.get(key)).map(|stored| stored.item.clone()).collect())
        })
    }

    async fn query(&self, query: &Query) -> StoreResult<Page> {
        self.faults.around(&Operation::Query(query), || {
            limits::query(query, self.sorted)?;
            Ok(self.lock().page(query))
        })
    }

    async fn write(&self, write: Write, condition: Option<Condition>) -> StoreResult<Conditional> {
        self.faults.around(&Operation::Write(&write, condition.as_ref()), || {
            let key = limits::touched(&write, self.sorted)?;
            let mut partitions = self.lock();
            let before = partitions.get(&key);
            if condition
                .as_ref()
                .is_some_and(|condition| !holds(condition, before.map(|stored| &stored.item)))
            {
                return Ok(Conditional::Failed(before.map(|stored| stored.item.clone())));
            }
            let shown = matches!(write, Write::Update(..));
            let effect = Self::effect(&write, &key, before)?;
            let after = effect.as_ref().filter(|_| shown).map(|stored| stored.item.clone());
            partitions.place(key, effect);
            Ok(Conditional::Done(after.unwrap_or_default()))
        })
    }

    async fn transact(&self, writes: Vec<(Write, Option<Condition>)>) -> StoreResult<Transaction> {
        self.faults.around(&Operation::Transact(&writes), || {
            let keys = limits::transaction(&writes, self.sorted)?;
            let mut partitions = self.lock();
            let failed = writes.iter().zip(&keys).enumerate().filter_map(|(index, ((_, condition), key))| {
                let item = partitions.get(key).map(|stored| &stored.item);
                let fails = condition.as_ref().is_some_and(|condition| !holds(condition, item));
                fails.then(|| (index, item.cloned()))
            });
            let failed: Vec<_> = failed.collect();
            if !failed.is_empty() {
                return Ok(Transaction::Failed(failed));
            }
            let mut effects = Vec::with_capacity(keys.len());
            for ((write, _), key) in writes.iter().zip(keys) {
                if !matches!(write, Write::Check(_)) {
                    effects.push((Self::effect(write, &key, partitions.get(&key))?, key));
                }
            }
            limits::transaction_bytes(
                effects.iter().filter_map(|(effect, _)| effect.as_ref()).map(|stored| stored.size).sum(),
            )?;
            for (effect, key) in effects {
                partitions.place(key, effect);
            }
            Ok(Transaction::Done)
        })
    }

    async fn write_many(&self, writes: Vec<Write>) -> StoreResult<()> {
        if writes.iter().any(|write| matches!(write, Write::Update(..) | Write::Check(_))) {
            return refused("a batch takes puts and deletes only");
        }
        let keys = writes
            .iter()
            .map(|write| limits::touched(write, self.sorted))
            .collect::<StoreResult<Vec<_>>>()?;
        limits::distinct(&keys)?;
        for (batch, keys) in writes.chunks(limits::BATCH_WRITE).zip(keys.chunks(limits::BATCH_WRITE)) {
            self.faults.around(&Operation::WriteMany(batch), || {
                let effects = batch.iter().zip(keys).map(|(write, key)| Self::effect(write, key, None));
                let effects = effects.collect::<StoreResult<Vec<_>>>()?;
                let mut partitions = self.lock();
                for (key, effect) in keys.iter().zip(effects) {
                    partitions.place(key.clone(), effect);
                }
                StoreResult::Ok(())
            })?;
        }
        Ok(())
    }
}
