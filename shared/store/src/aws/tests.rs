//! The real adapters against scripted answers of the services: what an emulator never does, but AWS may.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value as Json, json};

use super::{DynamoTable, LambdaDirect, S3Objects, SqsQueue};
use crate::{
    contract,
    ports::{
        Condition, Conditional, Direct, DirectError, Item, Key, Message, ObjectError, Objects, Queue, Table,
        Transaction, Update, Value, Write,
    },
};

/// An answer: status, headers, body.
type Answer = (u16, Vec<(&'static str, String)>, String);

/// A service that gives its answers one after the other, the last one for ever, and keeps what it was asked.
#[derive(Clone, Debug)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<(String, Json)>>>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), asked: Arc::default() }
    }

    /// Headers of interest and body of each request.
    fn asked(&self) -> Vec<(String, Json)> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn config(&self) -> SdkConfig {
        let connector = SharedHttpConnector::new(self.clone());
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("eu-central-1"))
            .endpoint_url("http://service.invalid")
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "id", "secret", None, None, "test",
            )))
            .retry_config(RetryConfig::disabled())
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build()
    }
}

impl HttpConnector for Script {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let header = |name| request.headers().get(name).unwrap_or_default();
        let headers = format!("{}{}", header("range"), header("if-match"));
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push((headers, body));
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        let (status, headers, body) = answer.unwrap_or((500, Vec::new(), String::new()));
        let status = status.try_into().unwrap_or_else(|_| unreachable!("a status of the script"));
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        for (name, value) in headers {
            response.headers_mut().insert(name, value);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

fn ok(body: &Json) -> Answer {
    (200, Vec::new(), body.to_string())
}

fn refused(code: &str, rest: Json) -> Answer {
    let mut body =
        json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "refused"});
    if let (Some(body), Json::Object(rest)) = (body.as_object_mut(), rest) {
        body.extend(rest);
    }
    (400, Vec::new(), body.to_string())
}

fn key(sk: &str) -> Key {
    Key { pk: "p".to_owned(), sk: Some(sk.to_owned()) }
}

fn item(sk: &str) -> Item {
    Item::from([("pk".to_owned(), Value::S("p".to_owned())), ("sk".to_owned(), Value::S(sk.to_owned()))])
}

fn wire(sk: &str) -> Json {
    json!({"pk": {"S": "p"}, "sk": {"S": sk}})
}

#[tokio::test]
async fn keys_that_stay_unprocessed_are_asked_for_again_and_no_others() {
    let first =
        ok(&json!({"Responses": {"t": [wire("a")]}, "UnprocessedKeys": {"t": {"Keys": [wire("b")]}}}));
    let second = ok(&json!({"Responses": {"t": [wire("b")]}, "UnprocessedKeys": {}}));
    let script = Script::new([first, second]);
    let items = DynamoTable::new(&script.config(), "t").get_many(&[key("a"), key("b")], true).await;
    assert_eq!(items.ok(), Some(vec![item("a"), item("b")]));
    let asked = script.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].1["RequestItems"]["t"]["Keys"], json!([wire("b")]));
}

#[tokio::test]
async fn keys_that_stay_unprocessed_for_ever_are_an_error_and_no_gap() {
    let script =
        Script::new([ok(&json!({"Responses": {"t": []}, "UnprocessedKeys": {"t": {"Keys": [wire("b")]}}}))]);
    let items = DynamoTable::new(&script.config(), "t").get_many(&[key("b")], true).await;
    assert!(items.is_err());
    assert_eq!(script.asked().len(), 8);
}

#[tokio::test]
async fn writes_that_stay_unprocessed_are_written_again_and_no_others() {
    let put = |sk: &str| json!({"PutRequest": {"Item": wire(sk)}});
    let script = Script::new([
        ok(&json!({"UnprocessedItems": {"t": [put("b")]}})),
        ok(&json!({"UnprocessedItems": {}})),
    ]);
    let table = DynamoTable::new(&script.config(), "t");
    assert!(table.write_many(vec![Write::Put(item("a")), Write::Put(item("b"))]).await.is_ok());
    assert_eq!(script.asked()[1].1["RequestItems"]["t"], json!([put("b")]));
    let script = Script::new([ok(&json!({"UnprocessedItems": {"t": [put("b")]}}))]);
    assert!(DynamoTable::new(&script.config(), "t").write_many(vec![Write::Put(item("b"))]).await.is_err());
}

#[tokio::test]
async fn a_conflict_is_tried_again_and_a_failed_condition_is_an_answer() {
    let conflict = || refused("TransactionConflictException", json!({}));
    let failed = refused("ConditionalCheckFailedException", json!({"Item": wire("a")}));
    let script = Script::new([conflict(), conflict(), failed]);
    let table = DynamoTable::new(&script.config(), "t");
    let update = Write::Update(key("a"), Update::default().set("n", Value::Bool(true)));
    let answer = table.write(update, Some(Condition::Missing("n"))).await;
    assert_eq!(answer.ok(), Some(Conditional::Failed(Some(item("a")))));
    assert_eq!(script.asked().len(), 3);
    assert_eq!(script.asked()[0].1["ReturnValuesOnConditionCheckFailure"], "ALL_OLD");
    let script = Script::new([refused("ConditionalCheckFailedException", json!({}))]);
    let answer = DynamoTable::new(&script.config(), "t")
        .write(Write::Delete(key("a")), Some(Condition::Present))
        .await;
    assert_eq!(answer.ok(), Some(Conditional::Failed(None)));
}

fn cancelled(codes: &[&str]) -> Answer {
    let reasons = codes.iter().map(|code| match *code {
        "ConditionalCheckFailed" => json!({"Code": code, "Item": wire("a")}),
        _ => json!({"Code": code}),
    });
    refused("TransactionCanceledException", json!({"CancellationReasons": reasons.collect::<Vec<_>>()}))
}

#[tokio::test]
async fn a_transaction_is_tried_again_after_a_conflict_with_a_token_of_its_own() {
    let script = Script::new([
        cancelled(&["None", "TransactionConflict"]),
        cancelled(&["None", "ConditionalCheckFailed"]),
    ]);
    let table = DynamoTable::new(&script.config(), "t");
    let writes = || ["a", "b"].map(|sk| (Write::Delete(key(sk)), Some(Condition::Present))).to_vec();
    assert_eq!(table.transact(writes()).await.ok(), Some(Transaction::Failed(vec![(1, Some(item("a")))])));
    let asked = script.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|(_, body)| body["ClientRequestToken"].is_string()));

    let script = Script::new([cancelled(&["TransactionConflict", "None"])]);
    assert!(DynamoTable::new(&script.config(), "t").transact(writes()).await.is_err());
    assert_eq!(script.asked().len(), 8, "conflicts without end are an error");

    let script = Script::new([cancelled(&["ValidationError", "TransactionConflict"])]);
    assert!(DynamoTable::new(&script.config(), "t").transact(writes()).await.is_err());
    assert_eq!(script.asked().len(), 1, "what can't succeed is not tried again");
}

#[tokio::test]
async fn messages_that_failed_are_sent_again_and_no_others() {
    let failed = |ids: &[&str], ours: bool| {
        let failed = ids.iter().map(|id| json!({"Id": id, "Code": "InternalError", "SenderFault": ours}));
        ok(&json!({"Successful": [], "Failed": failed.collect::<Vec<_>>()}))
    };
    let messages = |count: usize| -> Vec<_> {
        let message = |n: usize| Message {
            body: n.to_string(),
            delay: Duration::from_millis(1500),
            group: "acme".to_owned(),
        };
        (0..count).map(message).collect()
    };
    let ids = |script: &Script| -> Vec<Vec<String>> {
        let ids = |body: &Json| {
            body["Entries"].as_array().into_iter().flatten().map(|entry| entry["Id"].to_string()).collect()
        };
        script.asked().iter().map(|(_, body)| ids(body)).collect()
    };
    let script = Script::new([failed(&["1", "7", "9"], false), failed(&["7"], false), failed(&[], false)]);
    let queue = SqsQueue::new(&script.config(), "http://service.invalid/q");
    assert!(queue.send(messages(12)).await.is_ok());
    let rounds = ids(&script);
    assert_eq!(rounds.iter().map(Vec::len).collect::<Vec<_>>(), [10, 3, 1, 2]);
    assert_eq!(rounds[2], ["\"7\""]);
    let entry = &script.asked()[0].1["Entries"][0];
    assert_eq!((&entry["DelaySeconds"], &entry["MessageGroupId"]), (&json!(2), &json!("acme")));

    let script = Script::new([failed(&["0"], false)]);
    assert!(SqsQueue::new(&script.config(), "http://service.invalid/q").send(messages(1)).await.is_err());
    assert_eq!(script.asked().len(), 8);

    let script = Script::new([failed(&["0"], true)]);
    assert!(SqsQueue::new(&script.config(), "http://service.invalid/q").send(messages(1)).await.is_err());
    assert_eq!(script.asked().len(), 1, "what the service refuses for good is not sent again");
}

fn part(body: &str, range: &str, length: usize) -> Answer {
    let headers = vec![
        ("content-range", range.to_owned()),
        ("content-length", length.to_string()),
        ("etag", "\"e\"".to_owned()),
    ];
    (206, headers, body.to_owned())
}

#[tokio::test]
async fn a_short_answer_is_asked_for_again_whole() {
    let script = Script::new([part("345", "bytes 3-7/10", 5), part("34567", "bytes 3-7/10", 5)]);
    let fetched = S3Objects::new(&script.config(), "bucket").get("key", 3..8, Some("\"e\"")).await;
    let fetched = fetched.map(|fetched| (fetched.bytes, fetched.etag, fetched.size)).ok();
    assert_eq!(fetched, Some(("34567".into(), "\"e\"".to_owned(), 10)));
    assert_eq!(
        script.asked().iter().map(|(headers, _)| headers.as_str()).collect::<Vec<_>>(),
        ["bytes=3-7\"e\""; 2]
    );
    let script = Script::new([part("345", "bytes 3-7/10", 5)]);
    let fetched = S3Objects::new(&script.config(), "bucket").get("key", 3..8, None).await;
    assert!(matches!(fetched, Err(ObjectError::Store(_))));
}

#[tokio::test]
async fn a_replaced_object_and_a_missing_one_are_told_apart_from_a_failure() {
    let answer = |status, code: &str| (status, Vec::new(), format!("<Error><Code>{code}</Code></Error>"));
    let get = async |answer| {
        let script = Script::new([answer]);
        S3Objects::new(&script.config(), "bucket").get("key", 0..8, Some("\"e\"")).await
    };
    assert!(matches!(get(answer(404, "NoSuchKey")).await, Err(ObjectError::NotFound)));
    assert!(matches!(get(answer(412, "PreconditionFailed")).await, Err(ObjectError::Replaced)));
    assert!(matches!(get(answer(404, "NoSuchBucket")).await, Err(ObjectError::Store(_))));
    assert!(matches!(get(answer(503, "SlowDown")).await, Err(ObjectError::Store(_))));
}

#[tokio::test]
async fn an_answer_that_ignores_the_range_is_cut_to_it() {
    let whole = (
        200,
        vec![("content-length", "10".to_owned()), ("etag", "\"e\"".to_owned())],
        "0123456789".to_owned(),
    );
    let script = Script::new([whole]);
    let fetched = S3Objects::new(&script.config(), "bucket").get("key", 3..5, None).await;
    assert_eq!(fetched.ok().map(|fetched| (fetched.bytes, fetched.size)), Some(("34".into(), 10)));
}

#[tokio::test]
async fn who_asks_waits_no_longer_than_it_has_time() {
    #[derive(Debug)]
    struct Silent;
    impl HttpConnector for Silent {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            HttpConnectorFuture::new(std::future::pending())
        }
    }
    let connector = SharedHttpConnector::new(Silent);
    let config = Script::new([]).config().into_builder();
    let config = config.http_client(http_client_fn(move |_, _| connector.clone())).build();
    let deliver = LambdaDirect::new(&config, "deliver");
    let asked = deliver.ask(&contract::question("{}"), Duration::from_millis(1)).await;
    assert!(matches!(asked, Err(DirectError::Unanswered(_))), "{asked:?}");
}
