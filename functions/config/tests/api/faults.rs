//! Faults of an input's shape and of its meaning, told in one answer.

use fanhook_lambda::clock::ManualClock;
use fanhook_store::memory::{Fault, MemoryQueue, MemoryTable};
use serde_json::{Value, json};

use crate::world::{Answer, START, World, push, webhook};

/// The same object with the member at a pointer set, or left out.
fn with(mut body: Value, changes: &[(&str, Option<Value>)]) -> Value {
    for (pointer, value) in changes {
        let (of, name) = pointer.rsplit_once('/').unwrap();
        let object = body.pointer_mut(of).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => drop(object.insert(name.to_owned(), value.clone())),
            None => drop(object.remove(name)),
        }
    }
    body
}

/// A webhook of which much has a meaning.
fn full_webhook() -> Value {
    let changes = [
        ("/description", json!("Birthdays")),
        ("/authentication", json!({"kind": "header", "name": "x-key", "secret": "a secret"})),
        ("/signing", json!({"kind": "standard_webhooks", "overlap_seconds": 60})),
        ("/retry", json!({"give_up_after_seconds": 600})),
        (
            "/receipts",
            json!({"recovery_period_seconds": 3600, "statuses": [{"code": "200", "value": "issued"}]}),
        ),
        ("/content/method", json!("PUT")),
        (
            "/content/headers",
            json!([{"name": "x-a", "value": "a"}, {"name": "content-type", "value": "application/json"}]),
        ),
        (
            "/content/body",
            json!({"kind": "json", "template": "{\"all\":\"{items}\",\"g\":\"{greeting}\"}", "item": "{\"to\":\"{id}\",\"c\":\"{coupon}\"}"}),
        ),
        ("/content/url", json!("https://crm.example.com/coupons")),
        ("/content/batch_size", json!(10)),
        ("/content/split_refused", json!(true)),
        (
            "/content/success",
            json!({"pointer": "/s", "success": ["ok"], "results": {"pointer": "/r", "id": "/id"}}),
        ),
        ("/content/deadline_seconds", json!(9)),
    ];
    with(webhook("Full"), &changes.map(|(pointer, value)| (pointer, Some(value))))
}

fn interface() -> Value {
    json!({
        "name": "Coupon of the day", "description": "",
        "value": {
            "kind": "interface", "url": "https://shop.example.com/coupon", "method": "POST", "pointer": "/code",
            "headers": [{"name": "x-a", "value": "a"}, {"name": "content-type", "value": "application/json"}],
            "body": "{}", "secret_header": {"name": "X-Api-Key", "secret": "a secret of the shop's"},
        },
    })
}

async fn refused(world: &World, path: &str, body: &Value) -> Answer {
    let refused = world.call("POST", path).json(body).send().await;
    assert_eq!(refused.code(400), "invalid");
    refused
}

#[tokio::test]
async fn faults_of_shape_and_of_meaning_come_in_one_answer() {
    let world = World::new();
    let hook = world.webhook().await;
    let changes = [
        ("/colour", json!("red")),
        ("/description", json!(7)),
        ("/content/deadline_seconds", json!("9")),
        ("/content/body/template", json!(r#"{"to":"{id}","coupon":"{cuopon}","text":"{greeting}"}"#)),
        ("/limits", json!({"requests_per_second": 0, "requests_at_a_time": true})),
        ("/id_types", json!(["MOBLE"])),
    ];
    let body = with(webhook("Coupons"), &changes.map(|(pointer, value)| (pointer, Some(value))));
    let told = refused(&world, "/webhooks", &body).await;
    let mut fields = told.fields();
    assert_eq!(told.body["detail"], "the input has 7 faults");
    fields.sort_unstable();
    let expected = [
        "colour",
        "content.body.template",
        "content.deadline_seconds",
        "description",
        "id_types[0]",
        "limits.requests_at_a_time",
        "limits.requests_per_second",
    ];
    assert_eq!(fields, expected);

    let changes = [
        ("/name", json!(" ")),
        ("/colour", json!(7)),
        ("/content/send_form", json!("sha1")),
        ("/content/id_types", json!(["IMEI"])),
        ("/content/values", json!({"coupon": "", "greeting": "Dear ${nmae} ${name}"})),
    ];
    let body = with(push(&hook), &changes.map(|(pointer, value)| (pointer, Some(value))));
    let mut expected = vec!["colour", "content.send_form"];
    expected.extend(["name", "content.id_types[0]", "content.values.coupon", "content.values.greeting"]);
    assert_eq!(refused(&world, "/pushes", &body).await.fields(), expected);

    let changes = [
        ("/colour", json!("red")),
        ("/description", json!(7)),
        ("/value/url", json!("ftp://shop.example.com")),
        ("/value/pointer", json!("code")),
        ("/value/secret_header/secret", json!("")),
    ];
    let body = with(interface(), &changes.map(|(pointer, value)| (pointer, Some(value))));
    let expected = ["colour", "description", "value.url", "value.pointer", "value.secret_header.secret"];
    assert_eq!(refused(&world, "/parameter-sources", &body).await.fields(), expected);

    let body = json!({"display_name": " ", "priority": 20, "region": "DE", "enabled": "yes"});
    let told = world.call("PUT", "/id-types/CARD").json(&body).send().await;
    assert_eq!((told.code(400), told.fields()), ("invalid", vec!["enabled", "display_name", "region"]));
    let body = json!({"to": {"role": ""}, "until": 7});
    let told = refused(&world, &format!("/webhooks/{hook}/grants"), &body).await;
    assert_eq!(told.fields(), ["until", "to.role"]);

    // Nothing of all that was stored.
    assert_eq!(world.get("/webhooks").await["items"].as_array().unwrap().len(), 1);
    for path in ["/pushes", "/parameter-sources", &format!("/webhooks/{hook}/grants")] {
        assert_eq!(world.get(path).await, json!({"items": []}));
    }
}

#[tokio::test]
async fn what_follows_from_a_fault_of_shape_is_not_told_as_another() {
    let world = World::new();
    let hook = world.webhook().await;
    let parameters = json!([{"name": "coupon", "type": "charactr"}, {"name": "greeting", "type": "text"}]);
    let all = || webhook("Coupons")["content"]["parameters"].clone();
    let template = |text: &str| Some(json!(format!(r#"{{"to":"{{id}}","c":"{text}"}}"#)));
    let missing = &format!("whk_{}", "0".repeat(32));
    let (hooks, pushes) = ("/webhooks", "/pushes");
    let table: [(_, Value, &[&str]); 12] = [
        // `{coupon}` is no longer known; nor which place `greeting` has.
        (
            hooks,
            with(webhook("a"), &[("/content/parameters", Some(parameters))]),
            &["content.parameters[0].type"],
        ),
        (
            hooks,
            with(webhook("a"), &[("/content/parameters", None), ("/content/paramters", Some(all()))]),
            &["content.paramters"],
        ),
        (
            hooks,
            with(webhook("a"), &[("/content/parameters", None), ("/parameters", Some(all()))]),
            &["parameters"],
        ),
        // What is unknown can't be `parameters`, as these are there.
        (
            hooks,
            with(webhook("a"), &[("/colour", Some(json!(1))), ("/content/body/template", template("{x}"))]),
            &["colour", "content.body.template"],
        ),
        // The body may be meant to have items.
        (
            hooks,
            with(
                webhook("a"),
                &[("/content/body/itm", Some(json!("{id}"))), ("/content/batch_size", Some(json!(9)))],
            ),
            &["content.body.itm"],
        ),
        // One that lacks what it needs is left out, and what lacks itself can't be judged at all.
        (
            hooks,
            with(
                webhook(""),
                &[("/content/headers", Some(json!([{"name": "host"}, {"name": "host", "value": ""}])))],
            ),
            &["content.headers[0].value", "name"],
        ),
        (
            hooks,
            with(webhook(""), &[("/id_types", None), ("/limits/requests_per_second", Some(json!(0)))]),
            &["id_types"],
        ),
        (
            pushes,
            with(
                push(&hook),
                &[("/name", Some(json!(""))), ("/content/variables", Some(json!([{"name": "name"}])))],
            ),
            &["content.variables[0].source", "content.variables[0].when_empty", "name"],
        ),
        (
            pushes,
            with(push(&hook), &[("/content/values", Some(json!({"coupon": 7})))]),
            &["content.values.coupon"],
        ),
        (
            pushes,
            with(
                push(&hook),
                &[("/name", Some(json!(""))), ("/content/values/first-name", Some(json!("x")))],
            ),
            &["content.values.first-name", "name"],
        ),
        (
            pushes,
            with(
                push(&hook),
                &[("/content/values", None), ("/content/value", Some(json!({"coupon": "B10"})))],
            ),
            &["content.value"],
        ),
        // A webhook that is not there is one fault of several then.
        (
            pushes,
            with(push(missing), &[("/content/id_policy", Some(json!("last")))]),
            &["content.id_policy", "webhook"],
        ),
    ];
    for (path, body, expected) in table {
        assert_eq!(refused(&world, path, &body).await.fields(), expected, "{body}");
    }
}

/// All bodies that are as this one but for one fault of shape.
fn broken(body: &Value) -> Vec<Value> {
    fn places(value: &Value, pointer: &str, found: &mut Vec<String>) {
        let inner: Vec<(String, &Value)> = match value {
            Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
            Value::Array(items) => items.iter().enumerate().map(|(n, item)| (n.to_string(), item)).collect(),
            _ => return,
        };
        for (name, value) in inner {
            let pointer = format!("{pointer}/{name}");
            places(value, &pointer, found);
            found.push(pointer);
        }
    }
    let mut found = Vec::new();
    places(body, "", &mut found);
    let mut all = Vec::new();
    for pointer in found {
        let (of, name) = pointer.rsplit_once('/').unwrap();
        for wrong in [json!([[]]), json!({"?": 0}), json!(0.5), Value::Null] {
            let mut body = body.clone();
            *body.pointer_mut(&pointer).unwrap() = wrong;
            all.push(body);
        }
        if !body.pointer(of).unwrap().is_object() {
            continue;
        }
        let value = body.pointer(&pointer).unwrap();
        let without = || with(body.clone(), &[(&pointer, None)]);
        // Left out, misspelt, in the wrong object, beside something unknown.
        all.push(without());
        for misspelt in [format!("{of}/{name}s"), format!("{of}/{name}-")] {
            all.push(with(without(), &[(&misspelt, Some(value.clone()))]));
        }
        for other in ["", "/content", "/content/body", "/value"] {
            if without()
                .pointer(other)
                .and_then(Value::as_object)
                .is_some_and(|other| !other.contains_key(name))
            {
                all.push(with(without(), &[(&format!("{other}/{name}"), Some(value.clone()))]));
            }
        }
        all.push(with(body.clone(), &[(&format!("{of}/colour"), Some(json!("red")))]));
    }
    all
}

/// The faults of an answer: those of shape, and all others by field and rule.
fn parted(answer: &Answer) -> (usize, Vec<(Value, Value)>) {
    let faults = answer.body["errors"].as_array().cloned().unwrap_or_default();
    let of_shape = |fault: &&Value| {
        let detail = fault["detail"].as_str().unwrap();
        ["this field is ", "this must be ", "this needs "].iter().any(|start| detail.starts_with(start))
            // What a text of a component must be.
            || detail.starts_with("must be 1 to ") && fault["field"] != "display_name"
            || detail.contains(" followed by ")
    };
    let (of_shape, others): (Vec<_>, Vec<_>) = faults.iter().partition(of_shape);
    (of_shape.len(), others.iter().map(|fault| (fault["field"].clone(), fault["detail"].clone())).collect())
}

#[tokio::test]
async fn whatever_is_told_beside_a_fault_of_shape_is_a_fault_without_it_too() {
    let world = World::new();
    let hook = world.webhook().await;
    let source = world.call("POST", "/parameter-sources").json(&interface()).send().await.id();
    let full = world.call("POST", "/webhooks").json(&full_webhook()).send().await.id();
    let in_webhook = [
        ("/name", json!("")),
        ("/content/url", json!("https://crm.example.com:70000/{nobody}")),
        ("/content/headers/1/name", json!("X-A")),
        ("/content/body/template", json!("{\"all\":\"{items}\",\"g\":\"{greting}\"}")),
        ("/content/batch_size", json!(0)),
        ("/content/success/results/id", json!("id")),
        ("/authentication/name", json!("x-a")),
        ("/limits/requests_per_second", json!(0)),
    ];
    let in_push = [
        ("/name", json!("")),
        ("/content/id_types", json!(["EMAIL", "EMAIL"])),
        ("/content/values/coupon", json!("a\nb")),
        ("/content/variables/0/source/tag", json!("")),
    ];
    let in_source = [
        ("/value/url", json!("http://shop.example.com/{id}")),
        ("/value/headers/0/name", json!("content-type")),
        ("/value/secret_header/name", json!("host")),
        ("/value/pointer", json!("code")),
    ];
    let of = |body: Value, changes: &[(&str, Value)]| {
        let changes: Vec<_> =
            changes.iter().map(|(pointer, value)| (*pointer, Some(value.clone()))).collect();
        [body.clone(), with(body, &changes)]
    };
    let constant = json!({"name": "B", "value": {"kind": "constant", "type": "numeric", "text": "B10"}});
    let elsewhere = with(
        full_webhook(),
        &[("/content/url", Some(json!("https://elsewhere.example.com"))), ("/authentication/secret", None)],
    );
    let mut bodies: Vec<(&str, String, Value)> = Vec::new();
    let mut add = |method, path: &str, several: &[Value]| {
        bodies.extend(several.iter().map(|body| (method, path.to_owned(), body.clone())));
    };
    add("POST", "/webhooks", &of(full_webhook(), &in_webhook));
    add("PUT", &format!("/webhooks/{full}"), &[elsewhere]);
    let filter =
        json!({"any": [{"all": [{"attribute": "amount", "operator": "at_least", "values": ["1"]}]}]});
    let event = json!({"name": "paid", "filter": filter, "count": {"times": 1, "within_seconds": 60}});
    let by_event = [
        ("/content/started_by", Some(json!({"event": event}))),
        ("/content/variables/0/source", Some(json!({"attribute": "amount"}))),
    ];
    add("POST", "/pushes", &of(push(&hook), &in_push));
    add("POST", "/pushes", &of(with(push(&hook), &by_event), &in_push[..3]));
    add("POST", "/parameter-sources", &of(interface(), &in_source));
    add("PUT", &format!("/parameter-sources/{source}"), &[constant]);
    let (mut count, mut beside) = (0, 0);
    for (method, path, body) in bodies {
        let (_, known) = parted(&world.call(method, &path).json(&body).send().await);
        for broken in broken(&body) {
            let answer = world.call(method, &path).json(&broken).send().await;
            let (of_shape, told) = parted(&answer);
            if of_shape == 0 {
                continue;
            }
            count += 1;
            beside += told.len();
            for fault in told {
                assert!(
                    known.contains(&fault),
                    "{method} {path} {broken}: {fault:?} beside {known:?}: {}",
                    answer.body
                );
            }
        }
    }
    assert!(count > 500 && beside > 1000, "{count} bodies, {beside} faults");
}

#[tokio::test]
async fn a_store_that_fails_is_not_hidden_behind_faults_of_shape() {
    let broken = MemoryTable::new().with_faults(|_| Fault::Before);
    let world = World::over(broken, MemoryTable::new(), MemoryQueue::new(), ManualClock::new(START));
    let body = with(push(&format!("whk_{}", "0".repeat(32))), &[("/colour", Some(json!("red")))]);
    assert_eq!(world.call("POST", "/pushes").json(&body).send().await.code(503), "unavailable");
}
