//! Writes on DynamoDB: single, in a transaction, in batches.

use aws_sdk_dynamodb::{
    error::{BuildError, ProvideErrorMetadata, SdkError},
    operation::{
        delete_item::DeleteItemError, put_item::PutItemError, transact_write_items::TransactWriteItemsError,
        update_item::UpdateItemError,
    },
    types::{
        CancellationReason, ConditionCheck, Delete, DeleteRequest, Put, PutRequest, ReturnValue,
        ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem, Update as UpdateWrite,
        WriteRequest,
    },
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    backoff::Backoff,
    expression::Placeholders,
    table::{DynamoTable, key_item, met, rest},
};
use crate::{
    StoreError, StoreResult,
    ports::{Condition, Conditional, Item, Transaction, Write},
};

/// Writes of one batch, by the service's limit.
const BATCH: usize = 25;
/// Batches in flight at a time.
const BATCHES: usize = 4;

/// Why one attempt of a single write ended without its effect.
enum Refused {
    Condition(Option<Item>),
    Conflict(StoreError),
    Error(StoreError),
}

impl Refused {
    fn new<E>(
        operation: &'static str,
        error: SdkError<E>,
        condition: impl FnOnce(&E) -> Option<Option<Item>>,
    ) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        if let Some(item) = error.as_service_error().and_then(condition) {
            return Self::Condition(met(item));
        }
        // The service has no code of its own for it.
        if error.message().is_some_and(|message| message.contains("exceeded the maximum allowed size")) {
            return Self::Error(StoreError::TooLarge { operation });
        }
        let conflict = error.code() == Some("TransactionConflictException");
        let error = StoreError::unavailable(operation, error);
        if conflict { Self::Conflict(error) } else { Self::Error(error) }
    }
}

impl DynamoTable {
    pub(super) async fn write_one(
        &self,
        write: Write,
        condition: Option<Condition>,
    ) -> StoreResult<Conditional> {
        let mut backoff = Backoff::default();
        loop {
            match self.attempt(write.clone(), condition.clone()).await {
                Ok(item) => return Ok(Conditional::Done(item)),
                Err(Refused::Condition(item)) => return Ok(Conditional::Failed(item)),
                Err(Refused::Error(error)) => return Err(error),
                Err(Refused::Conflict(error)) => {
                    if !backoff.wait().await {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn attempt(&self, write: Write, condition: Option<Condition>) -> Result<Item, Refused> {
        let mut placeholders = Placeholders::default();
        let condition = condition.map(|condition| placeholders.condition(condition));
        match write {
            Write::Put(item) => {
                let request = self.client.put_item().table_name(&self.name).set_item(Some(item));
                let request = request
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(placeholders.names())
                    .set_expression_attribute_values(placeholders.values())
                    .return_values_on_condition_check_failure(OnFailure::AllOld);
                let answer = request.send().await.map_err(|error| {
                    Refused::new("DynamoDB PutItem", error, |error| match error {
                        PutItemError::ConditionalCheckFailedException(failed) => Some(failed.item.clone()),
                        _ => None,
                    })
                });
                answer.map(|_| Item::new())
            }
            Write::Update(key, update) => {
                let update = placeholders.update(update);
                let request = self.client.update_item().table_name(&self.name).set_key(Some(key_item(&key)));
                let request = request
                    .update_expression(update)
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(placeholders.names())
                    .set_expression_attribute_values(placeholders.values())
                    .return_values(ReturnValue::AllNew)
                    .return_values_on_condition_check_failure(OnFailure::AllOld);
                let answer = request.send().await.map_err(|error| {
                    Refused::new("DynamoDB UpdateItem", error, |error| match error {
                        UpdateItemError::ConditionalCheckFailedException(failed) => Some(failed.item.clone()),
                        _ => None,
                    })
                });
                answer.map(|answer| answer.attributes.unwrap_or_default())
            }
            Write::Delete(key) => {
                let request = self.client.delete_item().table_name(&self.name).set_key(Some(key_item(&key)));
                let request = request
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(placeholders.names())
                    .set_expression_attribute_values(placeholders.values())
                    .return_values_on_condition_check_failure(OnFailure::AllOld);
                let answer = request.send().await.map_err(|error| {
                    Refused::new("DynamoDB DeleteItem", error, |error| match error {
                        DeleteItemError::ConditionalCheckFailedException(failed) => Some(failed.item.clone()),
                        _ => None,
                    })
                });
                answer.map(|_| Item::new())
            }
            Write::Check(_) => Err(Refused::Error(StoreError::unavailable(
                "DynamoDB ConditionCheck",
                "it needs a transaction",
            ))),
        }
    }

    pub(super) async fn write_all(
        &self,
        writes: Vec<(Write, Option<Condition>)>,
    ) -> StoreResult<Transaction> {
        const OPERATION: &str = "DynamoDB TransactWriteItems";
        let writes = writes.into_iter().map(|(write, condition)| self.part(write, condition));
        let writes = writes
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| StoreError::unavailable(OPERATION, error))?;
        let request = self.client.transact_write_items().set_transact_items(Some(writes));
        let mut backoff = Backoff::default();
        loop {
            // The SDK makes a client request token for each of these, and keeps it over its own attempts. A cancelled
            // transaction left no trace, so that a new token is safe here; whoever gets an error does not know.
            let Err(error) = request.clone().send().await else { return Ok(Transaction::Done) };
            let reasons = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    cancelled.cancellation_reasons()
                }
                _ => &[],
            };
            let failed = failed_conditions(reasons);
            if !failed.is_empty() {
                return Ok(Transaction::Failed(failed));
            }
            if !may_be_tried_again(reasons) || !backoff.wait().await {
                return Err(StoreError::unavailable(OPERATION, error));
            }
        }
    }

    /// One write as a part of a transaction.
    fn part(&self, write: Write, condition: Option<Condition>) -> Result<TransactWriteItem, BuildError> {
        let mut placeholders = Placeholders::default();
        let condition = condition.map(|condition| placeholders.condition(condition));
        let part = TransactWriteItem::builder();
        let part = match write {
            Write::Put(item) => part.put(
                Put::builder()
                    .table_name(&self.name)
                    .set_item(Some(item))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(placeholders.names())
                    .set_expression_attribute_values(placeholders.values())
                    .return_values_on_condition_check_failure(OnFailure::AllOld)
                    .build()?,
            ),
            Write::Update(key, update) => part.update(
                UpdateWrite::builder()
                    .table_name(&self.name)
                    .set_key(Some(key_item(&key)))
                    .update_expression(placeholders.update(update))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(placeholders.names())
                    .set_expression_attribute_values(placeholders.values())
                    .return_values_on_condition_check_failure(OnFailure::AllOld)
                    .build()?,
            ),
            Write::Delete(key) => part.delete(
                Delete::builder()
                    .table_name(&self.name)
                    .set_key(Some(key_item(&key)))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(placeholders.names())
                    .set_expression_attribute_values(placeholders.values())
                    .return_values_on_condition_check_failure(OnFailure::AllOld)
                    .build()?,
            ),
            Write::Check(key) => part.condition_check(
                ConditionCheck::builder()
                    .table_name(&self.name)
                    .set_key(Some(key_item(&key)))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(placeholders.names())
                    .set_expression_attribute_values(placeholders.values())
                    .return_values_on_condition_check_failure(OnFailure::AllOld)
                    .build()?,
            ),
        };
        Ok(part.build())
    }

    pub(super) async fn write_batches(&self, writes: Vec<Write>) -> StoreResult<()> {
        let requests = writes.into_iter().map(batched).collect::<StoreResult<Vec<_>>>()?;
        let batches: Vec<_> = requests.chunks(BATCH).map(<[_]>::to_vec).collect();
        let sent = stream::iter(batches).map(|batch| self.write_batch(batch));
        sent.buffer_unordered(BATCHES).try_collect().await
    }

    async fn write_batch(&self, mut batch: Vec<WriteRequest>) -> StoreResult<()> {
        let mut backoff = Backoff::default();
        loop {
            let request = self.client.batch_write_item().request_items(&self.name, batch);
            let answer = request.send().await.map_err(|error| StoreError::unavailable(BATCH_WRITE, error))?;
            match rest(answer.unprocessed_items, &self.name).filter(|rest| !rest.is_empty()) {
                None => return Ok(()),
                Some(unprocessed) => batch = unprocessed,
            }
            if !backoff.wait().await {
                return Err(StoreError::unavailable(BATCH_WRITE, "writes stayed unprocessed"));
            }
        }
    }
}

const BATCH_WRITE: &str = "DynamoDB BatchWriteItem";

/// One write as a part of a batch.
fn batched(write: Write) -> StoreResult<WriteRequest> {
    let request = WriteRequest::builder();
    let request = match write {
        Write::Put(item) => {
            PutRequest::builder().set_item(Some(item)).build().map(|put| request.put_request(put))
        }
        Write::Delete(key) => {
            let delete = DeleteRequest::builder().set_key(Some(key_item(&key))).build();
            delete.map(|delete| request.delete_request(delete))
        }
        Write::Update(..) | Write::Check(_) => {
            return Err(StoreError::unavailable(BATCH_WRITE, "it takes puts and deletes only"));
        }
    };
    Ok(request.map_err(|error| StoreError::unavailable(BATCH_WRITE, error))?.build())
}

/// The writes whose conditions failed: the reasons stand in the order of the writes.
fn failed_conditions(reasons: &[CancellationReason]) -> Vec<(usize, Option<Item>)> {
    let failed =
        reasons.iter().enumerate().filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"));
    failed.map(|(index, reason)| (index, met(reason.item.clone()))).collect()
}

/// Whether a transaction was cancelled for reasons that pass, and for no other.
fn may_be_tried_again(reasons: &[CancellationReason]) -> bool {
    const PASSING: [&str; 3] = ["TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"];
    let mut codes =
        reasons.iter().filter_map(CancellationReason::code).filter(|code| *code != "None").peekable();
    codes.peek().is_some() && codes.all(|code| PASSING.contains(&code))
}
