//! A table whose conditional writes lose their first answer: the SDK makes them again, and they meet their own result.

use async_trait::async_trait;
use fanhook_store::{
    StoreResult,
    memory::MemoryTable,
    ports::{Condition, Conditional, Item, Key, Page, Query, Table, Transaction, Write},
};
use serde_json::json;
use std::sync::Arc;

use crate::world::World;

pub(crate) struct Repeating(pub(crate) Arc<MemoryTable>);

#[async_trait]
impl Table for Repeating {
    async fn get(&self, key: &Key) -> StoreResult<Option<Item>> {
        self.0.get(key).await
    }

    async fn get_many(&self, keys: &[Key], consistent: bool) -> StoreResult<Vec<Item>> {
        self.0.get_many(keys, consistent).await
    }

    async fn query(&self, query: &Query) -> StoreResult<Page> {
        self.0.query(query).await
    }

    async fn write(&self, write: Write, condition: Option<Condition>) -> StoreResult<Conditional> {
        if condition.is_some() {
            self.0.write(write.clone(), condition.clone()).await?;
        }
        self.0.write(write, condition).await
    }

    async fn transact(&self, writes: Vec<(Write, Option<Condition>)>) -> StoreResult<Transaction> {
        // A repeated transaction is recognised by the service.
        self.0.transact(writes).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> StoreResult<()> {
        self.0.write_many(writes).await
    }
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_meets_its_own_result() {
    let world = World::repeating();
    let run = world.run().await;
    for (action, state) in [("pause", "paused"), ("resume", "running"), ("cancel", "closing")] {
        let answer = world.call("POST", format!("/runs/{run}/{action}")).send().await.ok(200);
        assert_eq!(answer["state"], state);
    }
    assert_eq!(world.stored_run(&run).await.epoch, 3);
    let id_type = json!({"display_name": "Card", "priority": 50});
    world.call("PUT", "/id-types/CARD").json(&id_type).send().await.ok(201);
    assert_eq!(world.call("DELETE", "/id-types/CARD").send().await.status, 204);
}
