use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use fanhook_core::time::Millis;

use super::*;
use crate::{
    contract,
    ports::{
        Change, Condition, Item, Key, Message, Objects, Query, Queue, Table, Transaction, Update, Value,
        Write,
    },
};

fn key(pk: &str, sk: &str) -> Key {
    Key { pk: pk.to_owned(), sk: Some(sk.to_owned()) }
}

fn item(pk: &str, sk: &str, bytes: usize) -> Item {
    let text = |text: &str| Value::S(text.to_owned());
    let bytes = Value::B(vec![0; bytes].into());
    Item::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk)), ("bytes".to_owned(), bytes)])
}

/// A hook under which the `nth` operation, counted from 0, has this fault.
fn nth(nth: usize, fault: Fault) -> impl Fn(&Operation<'_>) -> Fault {
    let count = AtomicUsize::new(0);
    move |_| if count.fetch_add(1, Relaxed) == nth { fault } else { Fault::None }
}

#[tokio::test]
async fn the_tables_twin_keeps_the_contract() {
    contract::table(&MemoryTable::new()).await;
    contract::ledger(&MemoryTable::new()).await;
    contract::table_without_sort_key(&MemoryTable::without_sort_key()).await;
}

#[tokio::test]
async fn the_buckets_twin_keeps_the_contract() {
    contract::objects(&MemoryObjects::new(), "segments/").await;
}

#[tokio::test]
async fn the_queues_twin_keeps_the_contract() {
    let queue = MemoryQueue::new();
    let begin = contract::queue(&queue).await;
    assert_eq!(queue.next_visible(), Some(Millis(0)));
    let now = queue.take(Millis(899_999));
    assert!(now.len() == 12 && now.iter().all(|message| message.body.starts_with(&begin)));
    assert_eq!(queue.waiting().len(), 1, "the delayed one waits");
    assert_eq!(queue.take(Millis(900_000)).len(), 1);
    assert_eq!(queue.take(Millis(u64::MAX)).len(), 0, "a message is taken once");
}

#[tokio::test]
async fn the_twin_of_encryption_keeps_the_contract() {
    contract::secrets(&MemorySecrets::new()).await;
}

#[tokio::test]
async fn an_item_has_at_most_400_kilobytes_in_the_end_as_well() {
    let table = MemoryTable::new();
    let room = 400 * 1024 - "pk".len() - "sk".len() - "bytes".len() - 2;
    assert!(table.write(Write::Put(item("a", "b", room + 1)), None).await.is_err());
    assert!(table.write(Write::Put(item("a", "b", room)), None).await.is_ok());
    let grown = Write::Update(key("a", "b"), Update::default().set("more", Value::Bool(true)));
    assert!(table.write(grown, None).await.is_err());
    assert_eq!(table.get(&key("a", "b")).await.ok().flatten(), Some(item("a", "b", room)));
}

#[tokio::test]
async fn a_transaction_has_at_most_100_writes_and_4_megabytes() {
    let table = MemoryTable::new();
    let puts = |count: usize, bytes| {
        (0..count).map(|n| (Write::Put(item("a", &n.to_string(), bytes)), None)).collect()
    };
    assert_eq!(table.transact(puts(100, 1)).await.ok(), Some(Transaction::Done));
    assert!(table.transact(puts(101, 1)).await.is_err());
    assert!(table.transact(puts(0, 1)).await.is_err());
    assert!(table.transact(puts(11, 399 * 1024)).await.is_err());
    let mixed = vec![(Write::Put(item("a", "b", 1)), None), (Write::Check(key("a", "c")), None)];
    assert!(table.transact(mixed).await.is_err(), "a check without a condition");
    assert_eq!(table.get(&key("a", "b")).await.ok(), Some(None));
}

#[tokio::test]
async fn batches_and_keys_keep_to_the_services_limits() {
    let table = MemoryTable::new();
    let keys: Vec<_> = (0..101).map(|n| key("a", &n.to_string())).collect();
    assert!(table.get_many(&keys[..100], true).await.is_ok());
    assert!(table.get_many(&keys, true).await.is_err());
    assert!(table.get_many(&[key("a", "b"), key("a", "b")], true).await.is_err(), "no key twice in a batch");
    let twice = vec![Write::Delete(key("a", "b")), Write::Put(item("a", "b", 1))];
    assert!(table.write_many(twice).await.is_err());
    for wrong in [key("", "b"), key("a", ""), key(&"a".repeat(2049), "b"), key("a", &"b".repeat(1025))] {
        assert!(table.get(&wrong).await.is_err());
    }
    assert!(table.get(&Key { pk: "a".to_owned(), sk: None }).await.is_err(), "a key of the table's shape");
    let query = Query { pk: "a".to_owned(), limit: 0, ..Query::default() };
    assert!(table.query(&query).await.is_err());
    for (after, fits) in [(String::new(), false), ("x".repeat(1024), true), ("x".repeat(1025), false)] {
        let query = Query { after: Some(after), limit: 1, ..query.clone() };
        assert_eq!(table.query(&query).await.is_ok(), fits);
    }
    assert!(
        table.write(Write::Update(key("a", "b"), Update::default()), None).await.is_err(),
        "an update changes something"
    );
    let overlapping = Update::default().set("n", Value::Bool(true)).with("n", Change::Remove);
    assert!(table.write(Write::Update(key("a", "b"), overlapping), None).await.is_err());
}

#[tokio::test]
async fn a_page_ends_at_a_megabyte() {
    let table = MemoryTable::new();
    let puts = (0..10).map(|n| Write::Put(item("a", &n.to_string(), 300 * 1024)));
    assert!(table.write_many(puts.collect()).await.is_ok());
    let page =
        table.query(&Query { pk: "a".to_owned(), limit: 100, ..Query::default() }).await.unwrap_or_default();
    assert_eq!((page.items.len(), page.more.as_deref()), (4, Some("3")));
}

#[tokio::test]
async fn numbers_are_kept_as_the_service_writes_them() {
    let table = MemoryTable::new();
    let kept = [("007", "7"), ("-0", "0"), ("1.50", "1.5"), (".5", "0.5"), ("-12.0", "-12")];
    for (given, expected) in kept {
        let update = Update::default().set("n", Value::N(given.to_owned()));
        let done = table.write(Write::Update(key("a", "b"), update), None).await;
        assert!(done.is_ok());
        let item = table.get(&key("a", "b")).await.ok().flatten().unwrap_or_default();
        assert_eq!(item["n"], Value::N(expected.to_owned()));
    }
    for wrong in ["", "x", "1e5", &"9".repeat(39)] {
        let update = Update::default().set("n", Value::N(wrong.to_owned()));
        assert!(table.write(Write::Update(key("a", "b"), update), None).await.is_err(), "{wrong}");
    }
    for (held, limit, at_most) in
        [("1.5", 1, false), ("1.5", 2, true), ("-3", 0, true), ("18446744073709551616", u64::MAX, false)]
    {
        let update = Update::default().set("n", Value::N(held.to_owned()));
        assert!(table.write(Write::Update(key("a", "b"), update), None).await.is_ok());
        let condition = Some(Condition::AtMost("n", limit));
        let check = table.transact(vec![(Write::Check(key("a", "b")), condition)]).await;
        assert_eq!(matches!(check, Ok(Transaction::Done)), at_most, "{held} ≤ {limit}");
    }
}

#[tokio::test]
async fn an_operation_fails_before_or_after_its_effect() {
    let count = |table: &MemoryTable| table.items().len();
    let table = MemoryTable::new().with_faults(nth(0, Fault::Before));
    assert!(table.write(Write::Put(item("a", "b", 1)), None).await.is_err());
    assert_eq!(count(&table), 0);
    let table = MemoryTable::new().with_faults(nth(0, Fault::After));
    assert!(table.write(Write::Put(item("a", "b", 1)), None).await.is_err());
    assert_eq!(count(&table), 1);
    let table = MemoryTable::new().with_faults(nth(0, Fault::After));
    assert!(table.transact(vec![(Write::Put(item("a", "b", 1)), None)]).await.is_err());
    assert_eq!(count(&table), 1);
    let objects = MemoryObjects::new().with_faults(nth(0, Fault::After));
    assert!(objects.put("a", Bytes::from_static(b"x")).await.is_err());
    assert_eq!((objects.keys(), objects.read("a")), (vec!["a".to_owned()], Some(Bytes::from_static(b"x"))));
}

#[tokio::test]
async fn a_batch_may_fail_in_part() {
    let table = MemoryTable::new().with_faults(nth(1, Fault::Before));
    let puts = (0..60).map(|n| Write::Put(item("a", &n.to_string(), 1)));
    assert!(table.write_many(puts.collect()).await.is_err());
    assert_eq!(table.items().len(), 25);
    let queue = MemoryQueue::new().with_faults(nth(1, Fault::Before));
    let message =
        |body: &str| Message { body: body.to_owned(), delay: Duration::ZERO, group: "acme".to_owned() };
    assert!(queue.send(vec![message("a"), message("b"), message("c")]).await.is_err());
    assert_eq!(queue.waiting(), [message("a"), message("c")]);
}

#[tokio::test]
async fn a_queue_refuses_what_sqs_refuses() {
    let queue = MemoryQueue::new();
    let message = |body: &str, group: &str| Message {
        body: body.to_owned(),
        delay: Duration::ZERO,
        group: group.to_owned(),
    };
    for wrong in [
        message("", "acme"),
        message("a\u{0}", "acme"),
        message("\u{fffe}", "acme"),
        message("a", ""),
        message("a", "é"),
    ] {
        assert!(queue.send(vec![message("a", "acme"), wrong]).await.is_err());
    }
    assert_eq!(queue.waiting(), []);
    let part = Message { delay: Duration::from_millis(1), ..message("a", "acme") };
    assert!(queue.send(vec![part]).await.is_ok());
    assert_eq!(queue.next_visible(), Some(Millis(1000)), "a part of a second counts as one");
}
