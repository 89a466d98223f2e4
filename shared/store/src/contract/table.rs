//! The contract of a table.

use super::unique;
use crate::{
    StoreError,
    ports::{
        Change, Condition, Conditional, Item, Key, Order, Query, Table, Transaction, Update, Value, Write,
    },
};

fn text(text: &str) -> Value {
    Value::S(text.to_owned())
}

fn number(number: i64) -> Value {
    Value::N(number.to_string())
}

fn key(pk: &str, sk: &str) -> Key {
    Key { pk: pk.to_owned(), sk: Some(sk.to_owned()) }
}

/// An item under `key` with these attributes.
fn item(key: &Key, attributes: &[(&str, Value)]) -> Item {
    let mut item: Item = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    item.insert("pk".to_owned(), text(&key.pk));
    item.extend(key.sk.as_ref().map(|sk| ("sk".to_owned(), text(sk))));
    item
}

/// A table with sort keys.
pub async fn table(table: &dyn Table) {
    items_read_back(table).await;
    conditions(table).await;
    changes(table).await;
    checks_and_deletes(table).await;
    transactions(table).await;
    transactions_with_failed_conditions(table).await;
    own_success_is_recognised(table).await;
    too_large_items(table).await;
    queries(table).await;
    queries_behind_a_key(table).await;
    batches(table).await;
}

/// A table whose keys have no sort key.
pub async fn table_without_sort_key(table: &dyn Table) {
    let keys: Vec<_> = (0..3).map(|n| Key { pk: format!("{}🎟{n}", unique("flat")), sk: None }).collect();
    let missing = table.get(&keys[0]).await.expect("get");
    assert_eq!(missing, None);
    for key in &keys {
        let update = Update::default().set("crm", text(&key.pk));
        let done = table.write(Write::Update(key.clone(), update), None).await.expect("update");
        assert_eq!(done, Conditional::Done(item(key, &[("crm", text(&key.pk))])));
    }
    let found = table.get_many(&keys, false).await.expect("get_many");
    assert_eq!(found.len(), 3);
    table.write_many(keys.into_iter().map(Write::Delete).collect()).await.expect("write_many");
}

async fn put(table: &dyn Table, item: &Item) {
    let done = table.write(Write::Put(item.clone()), None).await.expect("put");
    assert_eq!(done, Conditional::Done(Item::new()));
}

async fn items_read_back(table: &dyn Table) {
    let at = key(&unique("🎟 pk"), "__proto__#1e5 🎟");
    assert_eq!(table.get(&at).await.expect("get"), None);
    let whole = item(
        &at,
        &[
            ("text", text("")),
            ("number", number(-7)),
            ("bytes", Value::B(vec![0, 255, 128, 10].into())),
            ("truth", Value::Bool(true)),
            ("nothing", Value::Null(true)),
            ("list", Value::L(vec![text("a"), number(1)])),
            ("map", Value::M([("🎟".to_owned(), text("\u{0}\u{fffe}"))].into())),
            ("set", Value::Ss(vec!["only".to_owned()])),
            ("size", text("a reserved word of the service")),
        ],
    );
    put(table, &whole).await;
    assert_eq!(table.get(&at).await.expect("get"), Some(whole));
    let smaller = item(&at, &[("other", number(1))]);
    put(table, &smaller).await;
    assert_eq!(table.get(&at).await.expect("get"), Some(smaller), "a put replaces the whole item");
}

async fn conditions(table: &dyn Table) {
    use Condition::{Absent, All, Any, AtLeast, AtMost, Differs, Equals, Missing, NotNewer, Present};
    let pk = unique("conditions");
    let (there, gone) = (key(&pk, "there"), key(&pk, "gone"));
    let said = Value::M([("updated".to_owned(), number(5))].into());
    let bytes = Value::B(vec![1, 2].into());
    let held = item(&there, &[("n", number(7)), ("s", text("x")), ("b", bytes), ("said 🎟", said)]);
    put(table, &held).await;
    let cases = [
        // (condition, on the item, on no item)
        (Absent, false, true),
        (Present, true, false),
        (Missing("n"), false, true),
        (Missing("none"), true, true),
        (Equals("n", number(7)), true, false),
        (Equals("n", Value::N("7.0".to_owned())), true, false),
        (Equals("n", text("7")), false, false),
        (Equals("b", Value::B(vec![1, 2].into())), true, false),
        (Equals("none", text("x")), false, false),
        (Differs("s", text("x")), false, false),
        (Differs("s", text("y")), true, false),
        (Differs("s", number(1)), true, false),
        (Differs("none", text("x")), false, false),
        (AtMost("n", 7), true, false),
        (AtMost("n", 6), false, false),
        (AtMost("s", u64::MAX), false, false),
        (AtMost("none", u64::MAX), false, false),
        (AtLeast("n", 7), true, false),
        (AtLeast("n", 8), false, false),
        (AtLeast("s", 0), false, false),
        (AtLeast("none", 0), false, false),
        (NotNewer("said 🎟".to_owned(), 5), true, true),
        (NotNewer("said 🎟".to_owned(), 4), false, true),
        (NotNewer("silent".to_owned(), 0), true, true),
        (NotNewer("s".to_owned(), u64::MAX), false, true),
        (All(Vec::new()), true, true),
        (Any(Vec::new()), false, false),
        (All(vec![Present, AtLeast("n", 1), Any(vec![Missing("n"), AtMost("n", 9)])]), true, false),
        (All(vec![Present, Missing("n")]), false, false),
        (Any(vec![Absent, AtMost("n", 1)]), false, true),
    ];
    for (condition, on_item, on_none) in cases {
        // A write that leaves the item as it is, and one that leaves none.
        let done = table.write(Write::Put(held.clone()), Some(condition.clone())).await.expect("write");
        let expected =
            if on_item { Conditional::Done(Item::new()) } else { Conditional::Failed(Some(held.clone())) };
        assert_eq!(done, expected, "{condition:?} on an item");
        let done = table.write(Write::Delete(gone.clone()), Some(condition.clone())).await.expect("write");
        let expected = if on_none { Conditional::Done(Item::new()) } else { Conditional::Failed(None) };
        assert_eq!(done, expected, "{condition:?} on no item");
    }
}

async fn changes(table: &dyn Table) {
    let at = key(&unique("changes"), "a");
    let first = Update::default()
        .set("set", text("1"))
        .with("kept", Change::SetIfMissing(text("first")))
        .with("count", Change::Add(5))
        .with("none", Change::Remove)
        .set("data source/🎟", Value::B(vec![0].into()));
    let made = item(
        &at,
        &[
            ("set", text("1")),
            ("kept", text("first")),
            ("count", number(5)),
            ("data source/🎟", Value::B(vec![0].into())),
        ],
    );
    let done = table.write(Write::Update(at.clone(), first), None).await.expect("update");
    assert_eq!(done, Conditional::Done(made), "an update makes the item that does not exist, and shows it");
    let second = Update::default()
        .set("set", text("2"))
        .with("kept", Change::SetIfMissing(text("second")))
        .with("count", Change::Add(-7))
        .with("data source/🎟", Change::Remove);
    let changed = item(&at, &[("set", text("2")), ("kept", text("first")), ("count", number(-2))]);
    let done = table.write(Write::Update(at.clone(), second.clone()), None).await.expect("update");
    assert_eq!(done, Conditional::Done(changed.clone()));
    let refused = table
        .write(Write::Update(at.clone(), second), Some(Condition::AtLeast("count", 0)))
        .await
        .expect("update");
    assert_eq!(
        refused,
        Conditional::Failed(Some(changed.clone())),
        "a failed condition shows the item as it stands"
    );
    assert_eq!(table.get(&at).await.expect("get"), Some(changed), "and changes nothing");
    let key_changed =
        table.write(Write::Update(at.clone(), Update::default().set("sk", text("b"))), None).await;
    assert!(key_changed.is_err(), "a key can't be changed");
    let text_added =
        table.write(Write::Update(at, Update::default().with("set", Change::Add(1))), None).await;
    assert!(text_added.is_err(), "only a number can be added to");
}

async fn checks_and_deletes(table: &dyn Table) {
    let at = key(&unique("deletes"), "a");
    assert!(
        table.write(Write::Check(at.clone()), Some(Condition::Absent)).await.is_err(),
        "a check needs a transaction"
    );
    let held = item(&at, &[("fence", number(1))]);
    put(table, &held).await;
    let condition = Condition::Equals("fence", number(2));
    let kept = table.write(Write::Delete(at.clone()), Some(condition)).await.expect("delete");
    assert_eq!(kept, Conditional::Failed(Some(held)));
    for _ in 0..2 {
        let done = table.write(Write::Delete(at.clone()), None).await.expect("delete");
        assert_eq!(done, Conditional::Done(Item::new()), "deleting what is gone is done as well");
    }
    assert_eq!(table.get(&at).await.expect("get"), None);
}

async fn transactions(table: &dyn Table) {
    let pk = unique("transactions");
    let (a, b, c, d) = (key(&pk, "a"), key(&pk, "b"), key(&unique("transactions"), "c"), key(&pk, "d"));
    put(table, &item(&a, &[("n", number(1))])).await;
    put(table, &item(&b, &[("n", number(1))])).await;
    let writes = vec![
        (
            Write::Update(a.clone(), Update::default().with("n", Change::Add(1))),
            Some(Condition::Equals("n", number(1))),
        ),
        (Write::Delete(b.clone()), Some(Condition::Present)),
        (Write::Put(item(&c, &[("n", number(3))])), Some(Condition::Absent)),
        (Write::Check(d.clone()), Some(Condition::Absent)),
    ];
    assert_eq!(table.transact(writes).await.expect("transact"), Transaction::Done);
    assert_eq!(table.get(&a).await.expect("get"), Some(item(&a, &[("n", number(2))])));
    assert_eq!(table.get(&b).await.expect("get"), None);
    assert_eq!(table.get(&c).await.expect("get"), Some(item(&c, &[("n", number(3))])));
    assert_eq!(table.get(&d).await.expect("get"), None);
    let twice = vec![(Write::Delete(a.clone()), None), (Write::Put(item(&a, &[])), None)];
    assert!(table.transact(twice).await.is_err(), "no key twice in a transaction");
    assert!(table.get(&a).await.expect("get").is_some());
}

async fn transactions_with_failed_conditions(table: &dyn Table) {
    let pk = unique("transactions");
    let (a, b, c) = (key(&pk, "a"), key(&pk, "b"), key(&pk, "c"));
    let held = item(&a, &[("owner", text("me")), ("bytes", Value::B(vec![32, 200].into()))]);
    put(table, &held).await;
    let writes = vec![
        (
            Write::Update(a.clone(), Update::default().set("owner", text("you"))),
            Some(Condition::Missing("owner")),
        ),
        (Write::Put(item(&b, &[])), Some(Condition::Absent)),
        (Write::Check(c.clone()), Some(Condition::Present)),
    ];
    let failed = table.transact(writes).await.expect("transact");
    assert_eq!(failed, Transaction::Failed(vec![(0, Some(held.clone())), (2, None)]));
    assert_eq!(table.get(&a).await.expect("get"), Some(held), "all or nothing");
    assert_eq!(table.get(&b).await.expect("get"), None);
}

/// A write whose answer was lost meets its own effect: the item that the failed condition shows is enough to recognise it.
async fn own_success_is_recognised(table: &dyn Table) {
    let at = key(&unique("own"), "a");
    let claim = || {
        let update = Update::default().set("owner", text("me")).with("fence", Change::Add(1));
        table.write(Write::Update(at.clone(), update), Some(Condition::Missing("owner")))
    };
    let claimed = item(&at, &[("owner", text("me")), ("fence", number(1))]);
    assert_eq!(claim().await.expect("claim"), Conditional::Done(claimed.clone()));
    assert_eq!(claim().await.expect("claim"), Conditional::Failed(Some(claimed)));
}

fn sort_keys(items: &[Item]) -> Vec<&str> {
    items.iter().filter_map(|item| item["sk"].as_s().ok()).map(String::as_str).collect()
}

/// The partition that queries are tried on, in the order of its bytes.
const SORTED: [&str; 7] = ["A#1", "a", "a#1", "a#10", "a#2", "b", "é🎟"];

async fn sorted_partition(table: &dyn Table) -> String {
    let pk = unique("queries");
    // The last first, so that the order of writing is not the order of reading.
    let puts = SORTED.iter().rev().map(|sk| Write::Put(item(&key(&pk, sk), &[])));
    table.write_many(puts.collect()).await.expect("write_many");
    pk
}

async fn queries(table: &dyn Table) {
    let pk = sorted_partition(table).await;
    let whole = Query { pk: pk.clone(), limit: 100, consistent: true, ..Query::default() };
    let all = table.query(&whole).await.expect("query");
    assert_eq!((sort_keys(&all.items), all.more), (SORTED.to_vec(), None));
    let none = table.query(&Query { pk: unique("nobody"), ..whole.clone() }).await.expect("query");
    assert_eq!((none.items.len(), none.more), (0, None));
    let begins = table.query(&Query { prefix: "a#".to_owned(), ..whole.clone() }).await.expect("query");
    assert_eq!(sort_keys(&begins.items), ["a#1", "a#10", "a#2"]);
    let back = Query { prefix: "a".to_owned(), order: Order::Descending, ..whole.clone() };
    let back = table.query(&back).await.expect("query");
    assert_eq!(sort_keys(&back.items), ["a#2", "a#10", "a#1", "a"]);
    for order in [Order::Ascending, Order::Descending] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let query = Query { after, limit: 2, order, ..whole.clone() };
            let page = table.query(&query).await.expect("query");
            assert!(page.items.len() <= 2, "a page keeps to its limit");
            seen.extend(sort_keys(&page.items).into_iter().map(str::to_owned));
            after = page.more;
            if after.is_none() {
                break;
            }
        }
        if order == Order::Descending {
            seen.reverse();
        }
        assert_eq!(seen, SORTED, "pages in {order:?} order hold each item once");
    }
}

async fn queries_behind_a_key(table: &dyn Table) {
    use Order::{Ascending, Descending};
    let pk = sorted_partition(table).await;
    let cases: [(&str, &str, Order, &[&str]); 9] = [
        ("", "a#1", Ascending, &["a#10", "a#2", "b", "é🎟"]),
        ("", "a#1", Descending, &["a", "A#1"]),
        ("", "a#15", Ascending, &["a#2", "b", "é🎟"]),
        ("a#", "a#1", Ascending, &["a#10", "a#2"]),
        ("a#", "a#10", Descending, &["a#1"]),
        ("a#", "A", Ascending, &["a#1", "a#10", "a#2"]),
        ("a#", "b", Ascending, &[]),
        ("a#", "b", Descending, &["a#2", "a#10", "a#1"]),
        ("a#", "A", Descending, &[]),
    ];
    for (prefix, after, order, expected) in cases {
        let (prefix, after) = (prefix.to_owned(), Some(after.to_owned()));
        let query = Query { pk: pk.clone(), prefix, after, limit: 100, order, consistent: true };
        let page = table.query(&query).await.expect("query");
        assert_eq!(sort_keys(&page.items), expected, "{query:?}");
    }
}

async fn too_large_items(table: &dyn Table) {
    let at = key(&unique("too large"), "one");
    let half = text(&"x".repeat(250 * 1024));
    put(table, &item(&at, &[("a", half.clone())])).await;
    let update = Write::Update(at.clone(), Update::default().set("b", half.clone()));
    let whole = Write::Put(item(&at, &[("a", half.clone()), ("b", half.clone())]));
    for write in [update, whole] {
        let refused = table.write(write, None).await;
        assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    }
    assert_eq!(table.get(&at).await.expect("get"), Some(item(&at, &[("a", half)])), "nothing was written");
}

async fn batches(table: &dyn Table) {
    let pk = unique("batches");
    let keys: Vec<_> = (0..60).map(|n| key(&pk, &format!("{n:02}"))).collect();
    assert_eq!(table.get_many(&[], true).await.expect("get_many"), Vec::<Item>::new());
    table.write_many(Vec::new()).await.expect("write_many");
    let puts = keys.iter().map(|key| Write::Put(item(key, &[("bytes", Value::B(vec![7; 500].into()))])));
    table.write_many(puts.collect()).await.expect("write_many");
    let missing = key(&pk, "missing");
    let wanted: Vec<_> = keys.iter().chain([&missing]).cloned().collect();
    let found = table.get_many(&wanted, true).await.expect("get_many");
    let mut found = sort_keys(&found);
    found.sort_unstable();
    assert_eq!(
        found,
        keys.iter().filter_map(|key| key.sk.as_deref()).collect::<Vec<_>>(),
        "those that exist, each once"
    );
    let mixed = keys[..30].iter().cloned().map(Write::Delete).chain([Write::Put(item(&missing, &[]))]);
    table.write_many(mixed.collect()).await.expect("write_many");
    assert_eq!(table.get_many(&wanted, true).await.expect("get_many").len(), 31);
    let update = Write::Update(keys[0].clone(), Update::default().set("a", number(1)));
    assert!(table.write_many(vec![update]).await.is_err(), "a batch takes puts and deletes only");
}
