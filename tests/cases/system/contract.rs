//! The store's contract on the real SDK: the twins of the fast tests count only because the services keep it as well.
//!
//! Tables and queue are made for the suite, so that nothing of the deployed system reads what it writes.

use anyhow::{Context, Result, ensure};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use fanhook_store::{
    aws::{DynamoTable, KmsSecrets, LambdaDirect, S3Objects, SqsQueue},
    contract,
};
use serde_json::json;
use stack::Stack;

use crate::world::World;

/// The suite's tables, queue, bucket and key all keep the contract.
pub(crate) async fn the_real_services_keep_the_contract_of_the_twins(world: &World) -> Result<()> {
    let stack = &world.stack;
    let config = config(&stack.outputs().endpoint);
    let attribute = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let key = |name: &str, kind: &str| json!({"AttributeName": name, "KeyType": kind});
    for (name, attributes, keys) in [
        ("contract", vec![attribute("pk"), attribute("sk")], vec![key("pk", "HASH"), key("sk", "RANGE")]),
        ("contract-flat", vec![attribute("pk")], vec![key("pk", "HASH")]),
    ] {
        let table = json!({
            "TableName": name,
            "AttributeDefinitions": attributes,
            "KeySchema": keys,
            "BillingMode": "PAY_PER_REQUEST",
        });
        stack.call("DynamoDB_20120810.CreateTable", &table).await?;
    }
    contract::table(&DynamoTable::new(&config, "contract")).await;
    contract::ledger(&DynamoTable::new(&config, "contract")).await;
    contract::table_without_sort_key(&DynamoTable::new(&config, "contract-flat")).await;
    contract::objects(&S3Objects::new(&config, &stack.outputs().bucket), "segments/").await;
    contract::secrets(&KmsSecrets::new(&config, &stack.outputs().key_id)).await;

    contract::direct(&LambdaDirect::new(&config, &stack.outputs().deliver_function)).await;

    let made = stack.call("AmazonSQS.CreateQueue", &json!({"QueueName": "contract"})).await?;
    let url = made["QueueUrl"].as_str().context("a queue without an address")?;
    let begin = contract::queue(&SqsQueue::new(&config, url)).await;
    let bodies = received(stack, url, 12).await?;
    ensure!(bodies.len() == 12 && bodies.iter().all(|body| body.starts_with(&begin)), "received {bodies:?}");
    Ok(())
}

fn config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "tests");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// The bodies of the messages that a queue gives out now, at least `least` of them.
async fn received(stack: &Stack, url: &str, least: usize) -> Result<Vec<String>> {
    let mut bodies = Vec::new();
    while bodies.len() < least {
        let input = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 2});
        let answer = stack.call("AmazonSQS.ReceiveMessage", &input).await?;
        let messages = answer["Messages"].as_array().context("fewer messages than were sent")?;
        bodies.extend(messages.iter().filter_map(|message| message["Body"].as_str()).map(str::to_owned));
        ensure!(!messages.is_empty(), "only {} of {least} messages came", bodies.len());
    }
    Ok(bodies)
}
