//! A table of items: the part of DynamoDB that Fanhook uses, as data instead of expression strings.

use std::collections::HashMap;

use async_trait::async_trait;
pub use aws_sdk_dynamodb::types::AttributeValue as Value;

use super::StoreResult;

/// Attributes by name, the keys `pk` and `sk` included.
pub type Item = HashMap<String, Value>;

/// Primary key of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Partition key, attribute `pk`.
    pub pk: String,
    /// Sort key, attribute `sk`; none in a table without one.
    pub sk: Option<String>,
}

/// A condition on the item as it stands before a write.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The item (or for [`Condition::Missing`] the attribute) is judged by all of these.
    All(Vec<Condition>),
    /// At least one holds.
    Any(Vec<Condition>),
    /// The item does not exist.
    Absent,
    /// The item exists.
    Present,
    /// The attribute does not exist.
    Missing(&'static str),
    /// The attribute exists and equals the value.
    Equals(&'static str, Value),
    /// The attribute exists and differs from the value.
    Differs(&'static str, Value),
    /// The attribute is a number and is at most this.
    AtMost(&'static str, u64),
    /// The attribute is a number and is at least this.
    AtLeast(&'static str, u64),
    /// The attribute does not exist, or is a map whose number `updated` is at most this. The name is data, as in [`Update`].
    NotNewer(String, u64),
}

/// A change of one attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Becomes the value.
    Set(Value),
    /// Becomes the value where it does not exist yet.
    SetIfMissing(Value),
    /// The number is added to it; a missing one counts as 0. Only inside a transaction or beside a fence in the same item:
    /// an `Add` that the SDK repeats counts twice.
    Add(i64),
    /// Is removed.
    Remove,
}

/// Changes of one item; an item that does not exist is made.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Update {
    /// Attribute names and their changes; names are literals or data source names.
    pub changes: Vec<(String, Change)>,
}

impl Update {
    /// Adds a change.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, change: Change) -> Self {
        self.changes.push((name.into(), change));
        self
    }

    /// Sets an attribute.
    #[must_use]
    pub fn set(self, name: impl Into<String>, value: Value) -> Self {
        self.with(name, Change::Set(value))
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Puts the whole item.
    Put(Item),
    /// Changes some attributes.
    Update(Key, Update),
    /// Deletes the item.
    Delete(Key),
    /// Writes nothing; only the condition counts. Only inside a transaction.
    Check(Key),
}

/// What became of a conditional write.
#[derive(Clone, Debug, PartialEq)]
pub enum Conditional {
    /// It was done; the item as it stands afterwards (for an update), else empty.
    Done(Item),
    /// The condition failed; the item as it stands, none where there is none.
    Failed(Option<Item>),
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Transaction {
    /// All of it was done.
    Done,
    /// Nothing was done: these writes' conditions failed, by their index, each with the item as it stands.
    Failed(Vec<(usize, Option<Item>)>),
}

/// Order of a query's items by sort key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Order {
    /// Smallest first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

/// A query of one partition.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Query {
    /// Partition key.
    pub pk: String,
    /// Only sort keys that begin so.
    pub prefix: String,
    /// Only sort keys behind this one, in the query's order.
    pub after: Option<String>,
    /// At most so many items.
    pub limit: usize,
    /// Order by sort key.
    pub order: Order,
    /// Whether the read must see every write that was answered before.
    pub consistent: bool,
}

/// Items of a query.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Page {
    /// The items, in the query's order.
    pub items: Vec<Item>,
    /// Sort key to go on `after`, where there may be more.
    pub more: Option<String>,
}

/// A table. Every method may fail with its effect done or not; the caller recognises its own success.
#[async_trait]
pub trait Table: Send + Sync {
    /// One item, strongly consistent.
    async fn get(&self, key: &Key) -> StoreResult<Option<Item>>;

    /// Up to 100 items in any order, those that exist; unprocessed keys are asked for again, a bounded number of times.
    async fn get_many(&self, keys: &[Key], consistent: bool) -> StoreResult<Vec<Item>>;

    /// One page of a partition.
    async fn query(&self, query: &Query) -> StoreResult<Page>;

    /// One write under an optional condition.
    async fn write(&self, write: Write, condition: Option<Condition>) -> StoreResult<Conditional>;

    /// Up to 100 writes, all or none. A conflict with another transaction is tried again, a bounded number of times. A repeat of the
    /// same call by the SDK is recognised by the service (client request token).
    async fn transact(&self, writes: Vec<(Write, Option<Condition>)>) -> StoreResult<Transaction>;

    /// Any number of puts and deletes without conditions, none of the same key; unprocessed ones are tried again, a bounded number of times.
    async fn write_many(&self, writes: Vec<Write>) -> StoreResult<()>;
}
