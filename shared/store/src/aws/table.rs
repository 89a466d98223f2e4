//! The table on DynamoDB.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::{Client, types::KeysAndAttributes};

use super::{backoff::Backoff, expression::Placeholders};
use crate::{
    StoreError, StoreResult,
    ports::{Condition, Conditional, Item, Key, Order, Page, Query, Table, Transaction, Value, Write},
};

/// A table of DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoTable {
    pub(super) client: Client,
    pub(super) name: String,
}

impl DynamoTable {
    /// The table `name` of the configured account and region.
    pub fn new(config: &SdkConfig, name: impl Into<String>) -> Self {
        Self { client: Client::new(config), name: name.into() }
    }

    async fn query_page(&self, query: &Query, start: Option<&str>) -> StoreResult<Page> {
        let mut placeholders = Placeholders::default();
        let pk = placeholders.name("pk");
        let mut condition = format!("{pk} = {}", placeholders.value(Value::S(query.pk.clone())));
        if !query.prefix.is_empty() {
            let sk = placeholders.name("sk");
            let prefix = placeholders.value(Value::S(query.prefix.clone()));
            condition = format!("{condition} AND begins_with({sk}, {prefix})");
        }
        let start = start.map(|sk| key_item(&Key { pk: query.pk.clone(), sk: Some(sk.to_owned()) }));
        let answer = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression(condition)
            .set_expression_attribute_names(placeholders.names())
            .set_expression_attribute_values(placeholders.values())
            .set_exclusive_start_key(start)
            .limit(i32::try_from(query.limit).unwrap_or(i32::MAX))
            .scan_index_forward(query.order == Order::Ascending)
            .consistent_read(query.consistent)
            .send()
            .await
            .map_err(|error| StoreError::unavailable("DynamoDB Query", error))?;
        let more = answer.last_evaluated_key.and_then(|mut key| match key.remove("sk") {
            Some(Value::S(sk)) => Some(sk),
            _ => None,
        });
        Ok(Page { items: answer.items.unwrap_or_default(), more })
    }
}

/// The key as attributes.
pub(super) fn key_item(key: &Key) -> Item {
    let mut item = Item::from([("pk".to_owned(), Value::S(key.pk.clone()))]);
    item.extend(key.sk.as_ref().map(|sk| ("sk".to_owned(), Value::S(sk.clone()))));
    item
}

/// The item that a failed condition met: the service may name none as an empty one.
pub(super) fn met(item: Option<Item>) -> Option<Item> {
    item.filter(|item| !item.is_empty())
}

#[async_trait]
impl Table for DynamoTable {
    async fn get(&self, key: &Key) -> StoreResult<Option<Item>> {
        let request =
            self.client.get_item().table_name(&self.name).set_key(Some(key_item(key))).consistent_read(true);
        let answer =
            request.send().await.map_err(|error| StoreError::unavailable("DynamoDB GetItem", error))?;
        Ok(met(answer.item))
    }

    async fn get_many(&self, keys: &[Key], consistent: bool) -> StoreResult<Vec<Item>> {
        const OPERATION: &str = "DynamoDB BatchGetItem";
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let keys = keys.iter().map(key_item).collect();
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(consistent).build();
        let mut wanted = wanted.map_err(|error| StoreError::unavailable(OPERATION, error))?;
        let mut items = Vec::new();
        let mut backoff = Backoff::default();
        loop {
            let request = self.client.batch_get_item().request_items(&self.name, wanted);
            let answer = request.send().await.map_err(|error| StoreError::unavailable(OPERATION, error))?;
            items.extend(answer.responses.into_iter().flatten().flat_map(|(_, items)| items));
            match rest(answer.unprocessed_keys, &self.name).filter(|rest| !rest.keys.is_empty()) {
                None => return Ok(items),
                Some(unprocessed) => wanted = unprocessed,
            }
            if !backoff.wait().await {
                return Err(StoreError::unavailable(OPERATION, "keys stayed unprocessed"));
            }
        }
    }

    async fn query(&self, query: &Query) -> StoreResult<Page> {
        let Some(after) = query.after.as_deref() else { return self.query_page(query, None).await };
        if after.starts_with(&query.prefix) {
            return self.query_page(query, Some(after)).await;
        }
        // The service refuses a start outside the range of the prefix: then all of it lies behind, or none.
        let ahead = match query.order {
            Order::Ascending => after < query.prefix.as_str(),
            Order::Descending => after > query.prefix.as_str(),
        };
        if ahead { self.query_page(query, None).await } else { Ok(Page::default()) }
    }

    async fn write(&self, write: Write, condition: Option<Condition>) -> StoreResult<Conditional> {
        self.write_one(write, condition).await
    }

    async fn transact(&self, writes: Vec<(Write, Option<Condition>)>) -> StoreResult<Transaction> {
        self.write_all(writes).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> StoreResult<()> {
        self.write_batches(writes).await
    }
}

/// What the service left undone for this table.
pub(super) fn rest<T>(unprocessed: Option<HashMap<String, T>>, table: &str) -> Option<T> {
    let mut unprocessed = unprocessed?;
    // An address may name the table by its ARN; there is one table a call.
    let by_name = unprocessed.remove(table);
    by_name.or_else(|| unprocessed.into_values().next())
}
