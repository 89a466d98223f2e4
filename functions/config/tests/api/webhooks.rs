use std::sync::Mutex;

use fanhook_core::limits;
use fanhook_lambda::clock::ManualClock;
use fanhook_store::{
    endpoints::{self, Endpoint},
    memory::{Fault, MemoryQueue, MemoryTable, Operation},
    ports::Write,
};
use serde_json::{Value, json};

use crate::world::{ADMIN, OTHER, START, Token, World, at_once, push, webhook};

pub(crate) async fn endpoint(world: &World, id: &str) -> Option<Endpoint> {
    endpoints::get(&*world.ledger, id.parse().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_webhook_is_made_read_listed_replaced_and_deleted() {
    let world = World::new();
    let made = world.call("POST", "/webhooks").json(&webhook("Coupons")).send().await.ok(201);
    let id = made["id"].as_str().unwrap();
    assert_eq!((&made["version"], &made["signing"]), (&json!(1), &json!({"kind": "none"})));
    assert_eq!(made["content"]["deadline_seconds"], 10);
    assert_eq!(world.get(format!("/webhooks/{id}")).await, made);
    assert_eq!(world.get("/webhooks").await, json!({"items": [made]}));
    assert_eq!(endpoint(&world, id).await.unwrap().settings.requests_per_second, Some(50));

    let mut changed = webhook("Coupons 2");
    changed["limits"] = json!({});
    let replaced = world.call("PUT", format!("/webhooks/{id}")).json(&changed).send().await.ok(200);
    assert_eq!((&replaced["version"], &replaced["name"]), (&json!(2), &json!("Coupons 2")));
    assert_eq!(endpoint(&world, id).await.unwrap().settings.requests_per_second, None);

    assert_eq!(world.call("DELETE", format!("/webhooks/{id}")).send().await.status, 204);
    assert_eq!(world.call("GET", format!("/webhooks/{id}")).send().await.code(404), "not_found");
    assert_eq!(world.call("DELETE", format!("/webhooks/{id}")).send().await.code(404), "not_found");
    assert_eq!(
        world.call("PUT", format!("/webhooks/{id}")).json(&changed).send().await.code(404),
        "not_found"
    );
    assert_eq!(endpoint(&world, id).await, None);
}

#[tokio::test]
async fn batches_success_rule_and_receipts_are_checked_stored_and_shown() {
    let world = World::new();
    let mut input = webhook("Coupons");
    input["content"]["url"] = json!("https://crm.example.com/coupons");
    input["content"]["body"] = json!({"kind": "list"});
    let made = world.call("POST", "/webhooks").json(&input).send().await.ok(201);
    let content = &made["content"];
    assert_eq!(
        (&content["batch_size"], &content["success"], &made["receipts"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(content["split_refused"], false);

    input["content"]["batch_size"] = json!(1000);
    input["content"]["split_refused"] = json!(true);
    input["content"]["success"] = json!({
        "pointer": "/code", "success": ["ok", 0], "retry": ["busy"], "never": [null], "otherwise": "retry",
        "results": {"pointer": "/results", "id": "/id", "missing": "success"},
    });
    input["receipts"] = json!({
        "recovery_period_seconds": 3600,
        "statuses": [{"code": "200", "value": "issued"}, {"code": "409", "value": "refused"}],
    });
    let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
    let replaced = world.call("PUT", path.clone()).json(&input).send().await.ok(200);
    for field in ["batch_size", "split_refused", "success"] {
        assert_eq!(replaced["content"][field], input["content"][field], "{field}");
    }
    assert_eq!(replaced["receipts"], input["receipts"]);
    assert_eq!(world.get(path.clone()).await, replaced);

    input["content"]["batch_size"] = json!(1001);
    input["content"]["success"]["pointer"] = json!("code");
    input["receipts"]["statuses"][1]["code"] = json!("200");
    let refused = world.call("PUT", path.clone()).json(&input).send().await;
    assert_eq!(refused.code(400), "invalid");
    let expected = ["content.batch_size", "content.success.pointer", "receipts.statuses[1].code"];
    assert_eq!(refused.fields(), expected);
    // Left out they are off.
    let plain = world.call("PUT", path).json(&webhook("Coupons")).send().await.ok(200);
    assert!(plain["receipts"].is_null() && plain["content"]["success"].is_null());
}

#[tokio::test]
async fn every_version_stays() {
    let world = World::new();
    let id = world.webhook().await;
    world.call("PUT", format!("/webhooks/{id}")).json(&webhook("Second")).send().await.ok(200);
    let (workspace, id) = ("acme".parse().unwrap(), id.parse().unwrap());
    for (version, name) in [(1, "Coupons"), (2, "Second")] {
        let stored =
            fanhook_store::webhooks::get_version(&*world.config, &workspace, id, version).await.unwrap();
        assert_eq!(stored.unwrap().name, name);
    }
}

#[tokio::test]
async fn a_name_is_unique_in_its_workspace_and_free_again_when_it_is_given_up() {
    let world = World::new();
    let first = world.webhook().await;
    let post = |name: &str| world.call("POST", "/webhooks").json(&webhook(name)).send();
    let taken = post("Coupons").await;
    assert_eq!((taken.code(409), taken.fields()), ("name_taken", vec!["name"]));
    // Nothing is left of the attempt.
    let endpoints = world.ledger.items().len();
    assert_eq!(endpoints, 1);
    world.call("PUT", format!("/webhooks/{first}")).json(&webhook("Vouchers")).send().await.ok(200);
    let second = post("Coupons").await.id();
    let taken = world.call("PUT", format!("/webhooks/{second}")).json(&webhook("Vouchers")).send().await;
    assert_eq!(taken.code(409), "name_taken");
    world.call("DELETE", format!("/webhooks/{first}")).send().await;
    world.call("PUT", format!("/webhooks/{second}")).json(&webhook("Vouchers")).send().await.ok(200);
    let rival = Token { workspaces: "rival", ..ADMIN };
    world.call("POST", "/webhooks").by(rival).json(&webhook("Vouchers")).send().await.ok(201);
}

#[tokio::test]
async fn of_a_hundred_of_one_name_one_is_made() {
    let world = World::new();
    let calls = (0..100).map(|_| world.call("POST", "/webhooks").json(&webhook("Same")));
    let made = at_once(calls.collect()).iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1);
    assert_eq!(world.get("/webhooks").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn all_faults_are_told_at_once_each_with_its_place() {
    let world = World::new();
    let wrong = json!({
        "name": "",
        "content": {
            "url": "http://169.254.169.254/latest/{cuopon}",
            "headers": [{"name": "Host", "value": "x"}],
            "parameters": [{"name": "coupon", "type": "character"}],
            "body": {"kind": "json", "template": "{\n \"to\": \"{id}\",\n \"c\": \"{cupon}\"}"},
            "deadline_seconds": 31,
        },
        "id_types": [],
        "signing": {"kind": "standard_webhooks", "secret": "whsec_c2hvcnQ="},
        "limits": {"requests_per_second": 0},
    });
    let refused = world.call("POST", "/webhooks").json(&wrong).send().await;
    assert_eq!(refused.code(400), "invalid");
    let fields = refused.fields();
    let expected = [
        "name",
        "content.url",
        "content.headers[0].name",
        "content.deadline_seconds",
        "content.body.template",
        "id_types",
        "signing.secret",
        "limits.requests_per_second",
    ];
    for field in expected {
        assert!(fields.contains(&field), "{field} in {fields:?}");
    }
    let faults = refused.body["errors"].as_array().unwrap();
    let body = faults.iter().find(|fault| fault["field"] == "content.body.template").unwrap();
    assert_eq!((&body["line"], &body["column"]), (&json!(3), &json!(8)));
    assert!(body["hint"].as_str().unwrap().contains("coupon"), "{body}");
    assert!(!refused.body.to_string().contains("c2hvcnQ"), "a secret is never told");
    assert!(world.config.items().is_empty() && world.ledger.items().is_empty());
}

#[tokio::test]
async fn an_address_that_is_not_to_be_called_is_refused() {
    let world = World::new();
    let refused = [
        "http://crm.example.com/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1%25eth0]/",
        "https://127.0.0.1:9001/2018-06-01/runtime/invocation/x/response",
        "https://localhost:2773/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://１２７.０.０.１/",
        "https://10.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://127.0.0.1:9901/",
        "https://127.0.0.2:9900/",
        "https://crm.example.com:22/",
        "https://crm.example.com:25/",
        "https://crm.example.com:6379/",
        "https://crm.example.com:0/",
        "https://crm.example.com:65536/",
        "https://api.example.com/webhooks",
        "https://API.example.com./webhooks",
        "https://a1b2.execute-api.eu-west-1.amazonaws.com/runs",
        "https://user:password@crm.example.com/",
        "https://{id}.example.com/",
        "ftp://crm.example.com/",
        "crm.example.com",
    ];
    for url in refused {
        let mut webhook = webhook("Coupons");
        webhook["content"]["url"] = json!(url);
        let answer = world.call("POST", "/webhooks").json(&webhook).send().await;
        assert_eq!(answer.code(400), "invalid", "{url}");
        assert!(answer.fields().contains(&"content.url"), "{url}: {}", answer.body);
    }
    for url in ["https://127.0.0.1:9900/hook", "https://crm.example.com:8443/{id}"] {
        let mut webhook = webhook(url);
        webhook["content"]["url"] = json!(url);
        world.call("POST", "/webhooks").json(&webhook).send().await.ok(201);
    }
}

#[tokio::test]
async fn reserved_headers_and_values_that_break_lines_are_refused() {
    let world = World::new();
    let names = [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "webhook-signature",
        "Connection",
        "webhook-id",
        "a b",
    ];
    let cases = names.map(|name| (name, "x")).into_iter().chain([
        ("x-a", "a\r\nb: c"),
        ("x-a", "a\u{0}"),
        ("x-a", "ü"),
    ]);
    for (name, value) in cases {
        let mut webhook = webhook("Coupons");
        webhook["content"]["headers"] = json!([{"name": name, "value": value}]);
        let answer = world.call("POST", "/webhooks").json(&webhook).send().await;
        assert_eq!(answer.code(400), "invalid", "{name}: {value}");
        assert!(answer.fields()[0].starts_with("content.headers[0]"), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_webhook_that_pushes_use_is_not_deleted() {
    let world = World::new();
    let id = world.webhook().await;
    let first = world.push(&id).await;
    world.clock.advance(std::time::Duration::from_millis(1));
    let second = world.push(&id).await;
    let refused = world.call("DELETE", format!("/webhooks/{id}")).send().await;
    assert_eq!(refused.code(409), "in_use");
    let used = json!([{"push": first, "name": "Birthday"}, {"push": second, "name": "Birthday"}]);
    assert_eq!(refused.body["used_by"], used);
    world.get(format!("/webhooks/{id}")).await;
    // One moves to another webhook, one goes.
    let other = world.call("POST", "/webhooks").json(&webhook("Other")).send().await.id();
    world.call("PUT", format!("/pushes/{first}")).json(&push(&other)).send().await.ok(200);
    world.call("DELETE", format!("/pushes/{second}")).send().await;
    assert_eq!(world.call("DELETE", format!("/webhooks/{id}")).send().await.status, 204);
    assert_eq!(world.call("DELETE", format!("/webhooks/{other}")).send().await.code(409), "in_use");
}

#[tokio::test]
async fn of_many_users_the_first_are_told_and_how_many_there_are() {
    let world = World::new();
    let id = world.webhook().await;
    for _ in 0..=limits::PAGE {
        world.push(&id).await;
    }
    let refused = world.call("DELETE", format!("/webhooks/{id}")).send().await;
    assert_eq!(refused.code(409), "in_use");
    assert_eq!(refused.body["used_by"].as_array().map(Vec::len), Some(limits::PAGE));
    assert_eq!(refused.body["used_by_count"], limits::PAGE + 1);
}

#[tokio::test]
async fn a_deletion_that_broke_off_is_finished_when_it_is_tried_again() {
    let once = Mutex::new(true);
    let ledger = MemoryTable::new().with_faults(move |operation| match operation {
        Operation::Write(Write::Delete(_), _) if std::mem::take(&mut *once.lock().unwrap()) => Fault::Before,
        _ => Fault::None,
    });
    let (clock, queue) = (ManualClock::new(START), MemoryQueue::new());
    let world = World::over(MemoryTable::new(), ledger, queue, clock);
    let id = world.webhook().await;
    let delete = || world.call("DELETE", format!("/webhooks/{id}"));
    assert_eq!(delete().send().await.code(503), "unavailable");
    assert!(endpoint(&world, &id).await.is_some());
    assert_eq!(delete().by(OTHER).send().await.code(404), "not_found");
    assert!(endpoint(&world, &id).await.is_some(), "it is another workspace's");
    assert_eq!(delete().send().await.code(404), "not_found");
    assert_eq!(endpoint(&world, &id).await, None);
}

#[tokio::test]
async fn a_push_and_a_deletion_at_once_never_leave_a_push_without_its_webhook() {
    for _ in 0..50 {
        let world = World::new();
        let id = world.webhook().await;
        let creation = world.call("POST", "/pushes").json(&push(&id));
        let deletion = world.call("DELETE", format!("/webhooks/{id}"));
        let [made, deleted] = &at_once(vec![creation, deletion])[..] else { panic!("two answers") };
        assert_ne!(made.status == 201, deleted.status == 204, "{} {}", made.status, deleted.status);
    }
}

#[tokio::test]
async fn after_concurrent_changes_the_endpoint_has_the_newest() {
    let world = World::new();
    let id = world.webhook().await;
    let calls = (1..=8).map(|rate| {
        let mut input = webhook("Coupons");
        input["limits"] = json!({"requests_per_second": rate});
        world.call("PUT", format!("/webhooks/{id}")).json(&input)
    });
    at_once(calls.collect());
    let stored = world.get(format!("/webhooks/{id}")).await;
    let rate = endpoint(&world, &id).await.unwrap().settings.requests_per_second;
    assert_eq!(stored["limits"]["requests_per_second"], rate.unwrap());
}

#[tokio::test]
async fn a_list_goes_on_where_its_page_ended() {
    let world = World::new();
    for n in 0..5 {
        world.call("POST", "/webhooks").json(&webhook(&format!("W{n}"))).send().await.ok(201);
        world.clock.advance(std::time::Duration::from_millis(1));
    }
    let (mut names, mut path) = (Vec::new(), "/webhooks?limit=2".to_owned());
    loop {
        let page = world.get(path).await;
        names.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()),
        );
        match page["cursor"].as_str() {
            Some(cursor) => path = format!("/webhooks?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(names, ["W0", "W1", "W2", "W3", "W4"]);
}
