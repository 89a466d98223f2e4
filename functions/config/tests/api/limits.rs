//! Each limit, tried at the limit and one above.

use fanhook_core::limits;
use fanhook_store as store;
use serde::Serialize;
use serde_json::{Value, json};

use crate::world::{Answer, Call, World, push, webhook};

/// A request with so many, or so large a one, of what is limited.
type Request = Box<dyn Fn(usize) -> (&'static str, String, Value)>;

/// A limit, the field that is told above it, and a request.
struct Limit {
    most: usize,
    field: &'static str,
    request: Request,
}

fn limit(
    most: usize,
    field: &'static str,
    request: impl Fn(usize) -> (&'static str, String, Value) + 'static,
) -> Limit {
    Limit { most, field, request: Box::new(request) }
}

/// A webhook of its own name with one change.
fn changed(change: impl Fn(usize, &mut Value) + 'static) -> impl Fn(usize) -> (&'static str, String, Value) {
    move |n| {
        let mut input = webhook(&format!("Limit {}", uuid()));
        change(n, &mut input);
        ("POST", "/webhooks".to_owned(), input)
    }
}

/// A text that no other call gives.
fn uuid() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}", RandomState::new().hash_one(0))
}

fn x(n: usize) -> String {
    "x".repeat(n)
}

fn webhooks() -> Vec<Limit> {
    vec![
        limit(
            limits::NAME,
            "name",
            changed(|n, input| input["name"] = json!(format!("{}{}", x(n - 16), uuid()))),
        ),
        limit(limits::DESCRIPTION, "description", changed(|n, input| input["description"] = json!(x(n)))),
        limit(
            limits::PARAMETERS,
            "content.parameters",
            changed(|n, input| {
                let more = (0..n).map(|n| json!({"name": format!("p{n}"), "type": "character"}));
                input["content"]["parameters"] = more.collect();
                input["content"]["body"] = json!({"kind": "json", "template": "{}"});
            }),
        ),
        limit(
            limits::NAME,
            "content.parameters[0].display_name",
            changed(|n, input| {
                input["content"]["parameters"][0]["display_name"] = json!(x(n));
            }),
        ),
        limit(
            limits::URL_TEMPLATE,
            "content.url",
            changed(|n, input| {
                let start = "https://crm.example.com/";
                input["content"]["url"] = json!(format!("{start}{}", x(n - start.len())));
            }),
        ),
        limit(
            limits::HEADERS,
            "content.headers",
            changed(|n, input| {
                input["content"]["headers"] =
                    (0..n).map(|n| json!({"name": format!("x-{n}"), "value": "v"})).collect();
            }),
        ),
        limit(
            limits::HEADER_NAME,
            "content.headers[0].name",
            changed(|n, input| {
                input["content"]["headers"] = json!([{"name": x(n), "value": "v"}]);
            }),
        ),
        limit(
            limits::HEADER_TEMPLATE,
            "content.headers[0].value",
            changed(|n, input| {
                input["content"]["headers"] = json!([{"name": "x-a", "value": x(n)}]);
            }),
        ),
        limit(
            limits::BODY_TEMPLATE,
            "content.body.template",
            changed(|n, input| {
                let start = r#"{"to":"{id}","coupon":"{coupon}","text":"{greeting}","more":""#;
                let template = format!("{start}{}\"}}", x(n - start.len() - 2));
                input["content"]["body"] = json!({"kind": "json", "template": template});
            }),
        ),
    ]
}

fn webhooks_beside_templates() -> Vec<Limit> {
    vec![
        limit(
            usize::try_from(limits::DEADLINE.as_secs()).unwrap(),
            "content.deadline_seconds",
            changed(|n, input| {
                input["content"]["deadline_seconds"] = json!(n);
            }),
        ),
        limit(
            usize::try_from(limits::GIVE_UP_AFTER).unwrap(),
            "retry.give_up_after_seconds",
            changed(|n, input| {
                input["retry"] = json!({"give_up_after_seconds": n});
            }),
        ),
        limit(
            usize::try_from(limits::OVERLAP.as_secs()).unwrap(),
            "signing.overlap_seconds",
            changed(|n, input| {
                input["signing"] = json!({"kind": "standard_webhooks", "overlap_seconds": n});
            }),
        ),
        limit(
            limits::USERNAME,
            "authentication.username",
            changed(|n, input| {
                input["authentication"] = json!({"kind": "basic", "username": x(n), "secret": "s"});
            }),
        ),
        limit(
            limits::SECRET,
            "authentication.secret",
            changed(|n, input| {
                input["authentication"] = json!({"kind": "bearer", "secret": x(n)});
            }),
        ),
        limit(
            limits::JSON_DEPTH,
            "content.body.template",
            changed(|n, input| {
                let template = format!(
                    r#"{{"a":{}"{{id}}{{coupon}}{{greeting}}"{}}}"#,
                    "[".repeat(n - 1),
                    "]".repeat(n - 1)
                );
                input["content"]["body"] = json!({"kind": "json", "template": template});
            }),
        ),
    ]
}

/// Limits of what a webhook does with batches, answers and reports.
fn answers() -> Vec<Limit> {
    let rule = |change: fn(usize, &mut Value)| {
        changed(move |n, input| {
            let mut rule = json!({"pointer": "/code", "success": [0]});
            change(n, &mut rule);
            input["content"]["success"] = rule;
        })
    };
    let receipts = |change: fn(usize, &mut Value)| {
        changed(move |n, input| {
            let mut receipts =
                json!({"recovery_period_seconds": 3600, "statuses": [{"code": "200", "value": "issued"}]});
            change(n, &mut receipts);
            input["receipts"] = receipts;
        })
    };
    vec![
        limit(
            limits::BATCH as usize,
            "content.batch_size",
            changed(|n, input| {
                input["content"]["url"] = json!("https://crm.example.com/coupons");
                input["content"]["body"] = json!({"kind": "list"});
                input["content"]["batch_size"] = json!(n);
            }),
        ),
        limit(
            limits::POINTER,
            "content.success.pointer",
            rule(|n, rule| rule["pointer"] = json!(format!("/{}", x(n - 1)))),
        ),
        limit(limits::RULE_VALUES, "content.success.never", rule(|n, rule| rule["never"] = (1..n).collect())),
        limit(limits::RULE_VALUE, "content.success.retry[0]", rule(|n, rule| rule["retry"] = json!([x(n)]))),
        limit(
            limits::STATUSES,
            "receipts.statuses",
            receipts(|n, receipts| {
                let status = |n| json!({"code": format!("{n}"), "value": "issued"});
                receipts["statuses"] = (0..n).map(status).collect();
            }),
        ),
        limit(
            limits::STATUS,
            "receipts.statuses[0].code",
            receipts(|n, receipts| receipts["statuses"][0]["code"] = json!("ä".repeat(n))),
        ),
        limit(
            limits::STATUS,
            "receipts.statuses[0].value",
            receipts(|n, receipts| receipts["statuses"][0]["value"] = json!("ä".repeat(n))),
        ),
        limit(
            *limits::RECOVERY_PERIOD.end() as usize,
            "receipts.recovery_period_seconds",
            receipts(|n, receipts| receipts["recovery_period_seconds"] = json!(n)),
        ),
    ]
}

/// Limits of parameter sources, and of a webhook that takes values from one.
fn parameter_sources(source: &str) -> Vec<Limit> {
    let source = source.to_owned();
    let interface = |change: fn(usize, &mut Value)| {
        move |n: usize| {
            let value =
                json!({"kind": "interface", "url": "https://shop.example.com/stock", "pointer": "/stock"});
            let mut input = json!({"name": uuid(), "value": value});
            change(n, &mut input);
            ("POST", "/parameter-sources".to_owned(), input)
        }
    };
    vec![
        limit(
            limits::CALLS,
            "content.parameters",
            changed(move |n, input| {
                let call = |n| json!({"name": format!("p{n}"), "type": "call", "source": source});
                input["content"]["parameters"] = (0..n).map(call).collect();
                input["content"]["body"] = json!({"kind": "list"});
                input["content"]["url"] = json!("https://crm.example.com/coupons");
            }),
        ),
        limit(limits::DESCRIPTION, "description", interface(|n, input| input["description"] = json!(x(n)))),
        limit(
            limits::POINTER,
            "value.pointer",
            interface(|n, input| input["value"]["pointer"] = json!(format!("/{}", x(n - 1)))),
        ),
        limit(
            limits::SECRET,
            "value.secret_header.secret",
            interface(|n, input| input["value"]["secret_header"] = json!({"name": "x-key", "secret": x(n)})),
        ),
    ]
}

/// Limits of a push through a webhook, which has the parameters `coupon` and `greeting`, `number` and `day`.
fn pushes(webhook: &str) -> Vec<Limit> {
    let webhook = webhook.to_owned();
    let changed = move |change: fn(usize, &mut Value)| {
        let webhook = webhook.clone();
        move |n: usize| {
            let mut input = push(&webhook);
            change(n, &mut input);
            ("POST", "/pushes".to_owned(), input)
        }
    };
    vec![
        limit(limits::NAME, "name", changed(|n, input| input["name"] = json!(x(n)))),
        limit(
            limits::CHARACTER,
            "content.values.coupon",
            changed(|n, input| {
                input["content"]["values"]["coupon"] = json!(x(n));
            }),
        ),
        limit(
            limits::TEXT,
            "content.values.greeting",
            changed(|n, input| {
                input["content"]["values"]["greeting"] = json!(format!("${{name}}{}", x(n - 7)));
            }),
        ),
        limit(
            limits::NUMERIC,
            "content.values.number",
            changed(|n, input| {
                input["content"]["values"]["number"] = json!("1".repeat(n));
            }),
        ),
        limit(
            limits::VARIABLES,
            "content.variables",
            changed(|n, input| {
                let variable =
                    |n| json!({"name": format!("v{n}"), "source": {"tag": "t"}, "when_empty": "blank"});
                input["content"]["variables"] = (0..n).map(variable).collect();
                let text: String = (0..n).map(|n| format!("${{v{n}}}")).collect::<Vec<_>>().concat();
                input["content"]["values"]["greeting"] = json!(text);
            }),
        ),
        limit(
            limits::DEFAULT,
            "content.variables[0].when_empty",
            changed(|n, input| {
                input["content"]["variables"][0]["when_empty"] = json!({"default": x(n)});
            }),
        ),
        limit(
            limits::LABEL,
            "content.variables[0].source",
            changed(|n, input| {
                input["content"]["variables"][0]["source"] = json!({"tag": x(n)});
            }),
        ),
        limit(
            limits::LABEL,
            "content.started_by.event.name",
            changed(|n, input| {
                input["content"]["started_by"] = json!({"event": {"name": x(n)}});
            }),
        ),
        limit(
            limits::CONDITIONS,
            "content.started_by.event.filter.all[0].any",
            changed(|n, input| {
                let conditions = vec![json!({"attribute": "a", "operator": "exists"}); n];
                input["content"]["started_by"] =
                    json!({"event": {"name": "paid", "filter": {"all": [{"any": conditions}]}}});
            }),
        ),
        limit(
            limits::CONDITION_VALUES,
            "content.started_by.event.filter.all[0].any[0].values",
            changed(|n, input| input["content"]["started_by"] = condition(&(0..n).collect())),
        ),
        limit(
            limits::CONDITION_VALUE,
            "content.started_by.event.filter.all[0].any[0].values[0]",
            changed(|n, input| input["content"]["started_by"] = condition(&json!([x(n)]))),
        ),
        limit(
            *limits::EVENT_COUNT.end() as usize,
            "content.started_by.event.count.times",
            changed(|n, input| {
                let count = json!({"times": n, "within_seconds": 60});
                input["content"]["started_by"] = json!({"event": {"name": "paid", "count": count}});
            }),
        ),
        limit(
            *limits::EVENT_PERIOD.end() as usize,
            "content.started_by.event.count.within_seconds",
            changed(|n, input| {
                let count = json!({"times": 2, "within_seconds": n});
                input["content"]["started_by"] = json!({"event": {"name": "paid", "count": count}});
            }),
        ),
    ]
}

/// What starts a push: an event whose attribute `a` is one of these values.
fn condition(values: &Value) -> Value {
    let condition = json!({"attribute": "a", "operator": "is", "values": values});
    json!({"event": {"name": "paid", "filter": {"all": [{"any": [condition]}]}}})
}

fn others(webhook: &str, push: &str, run: &str) -> Vec<Limit> {
    let grants = format!("/webhooks/{webhook}/grants");
    let consent = format!("/webhooks/{webhook}/consent");
    let preview = format!("/pushes/{push}/preview");
    let failures = format!("/runs/{run}/failures");
    vec![
        limit(limits::GRANTEE, "to.role", move |n| ("POST", grants.clone(), json!({"to": {"role": x(n)}}))),
        limit(limits::NAME, "display_name", |n| {
            ("PUT", "/id-types/CARD".to_owned(), json!({"display_name": x(n), "priority": 40}))
        }),
        limit(limits::SOURCES, "items", |n| {
            let sources: Vec<String> = (0..n).map(|n| format!("s{n}")).collect();
            ("PUT", "/sources".to_owned(), json!({"items": sources}))
        }),
        limit(limits::PROFILES, "items", |n| {
            let item = |n| json!({"qaid": format!("u{n}"), "source": "crm"});
            ("POST", "/profiles".to_owned(), json!({"items": (0..n).map(item).collect::<Vec<_>>()}))
        }),
        limit(limits::STATEMENT, "text", move |n| ("POST", consent.clone(), json!({"text": x(n)}))),
        limit(limits::SAMPLE, "variables.name", move |n| {
            ("POST", preview.clone(), json!({"variables": {"name": x(n)}}))
        }),
        limit(limits::FAILURES_PAGE, "limit", move |n| ("GET", format!("{failures}?limit={n}"), Value::Null)),
        limit(limits::PAGE, "limit", |n| ("GET", format!("/webhooks?limit={n}"), Value::Null)),
        limit(limits::PAGE, "limit", |n| ("GET", format!("/audit?person=a&limit={n}"), Value::Null)),
    ]
}

#[tokio::test]
async fn at_a_limit_it_is_taken_and_one_above_the_field_is_told() {
    let world = World::new();
    let mut input = webhook("Limits");
    input["content"]["parameters"].as_array_mut().unwrap().push(json!({"name": "number", "type": "numeric"}));
    let id = world.call("POST", "/webhooks").json(&input).send().await.id();
    let run = world.run().await;
    let push = world.get(format!("/runs/{run}")).await["push"].as_str().unwrap().to_owned();
    let source = json!({"name": "Stock", "value": {"kind": "constant", "type": "numeric", "text": "1"}});
    let source = world.call("POST", "/parameter-sources").json(&source).send().await.id();
    world.answers(json!({"direct": "preview", "messages": []}));
    let all = [
        webhooks(),
        webhooks_beside_templates(),
        answers(),
        parameter_sources(&source),
        pushes(&id),
        others(&id, &push, &run),
    ];
    for Limit { most, field, request } in all.into_iter().flatten() {
        let ask = async |n| {
            let (method, path, body) = request(n);
            world.call(method, path).json(&body).send().await
        };
        let at = ask(most).await;
        assert!(at.status.is_success(), "{field} at {most}: {}", at.body);
        let above = ask(most + 1).await;
        assert_eq!(above.code(400), "invalid", "{field}");
        let told = above.fields();
        assert!(told.iter().any(|told| told.starts_with(field)), "{field} above {most}: {}", above.body);
    }
}

#[tokio::test]
async fn a_workspace_has_so_many_id_types_and_so_many_in_the_mapping() {
    let world = World::new();
    let put = |n: usize, in_mapping: bool| {
        let id_type = json!({"display_name": "Card", "priority": 100 + n, "in_mapping": in_mapping});
        world.call("PUT", format!("/id-types/CARD{n}")).json(&id_type).send()
    };
    let listed = async || world.get("/id-types").await["items"].as_array().unwrap().clone();
    let mapped = async || listed().await.iter().filter(|id_type| id_type["in_mapping"] == true).count();
    for n in listed().await.len()..limits::ID_TYPES {
        put(n, mapped().await < limits::MAPPED_ID_TYPES).await.ok(201);
    }
    assert_eq!((listed().await.len(), mapped().await), (limits::ID_TYPES, limits::MAPPED_ID_TYPES));
    assert_eq!(put(49, true).await.code(400), "invalid");
    assert_eq!(put(limits::ID_TYPES, false).await.code(400), "invalid");
}

#[tokio::test]
async fn a_start_has_so_many_files_and_so_long_a_key() {
    let world = World::new();
    let push = world.push(&world.webhook().await).await;
    let unknown = |n: usize| (0..n).map(|n| format!("upl_{n:032x}")).collect::<Vec<_>>();
    let start = async |key: &str, files: usize| {
        let files = unknown(files);
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        world.start(&push, key, &files).send().await
    };
    let key = x(limits::IDEMPOTENCY_KEY);
    assert_eq!(start(&key, limits::FILES).await.code(404), "not_found");
    let above = start(&key, limits::FILES + 1).await;
    assert_eq!((above.code(400), above.fields()), ("invalid", vec!["uploads"]));
    assert_eq!(start(&format!("{key}x"), 1).await.code(400), "idempotency_key_missing");
}

#[tokio::test]
async fn a_request_has_so_many_bytes() {
    let world = World::new();
    let sources = |length: usize| {
        let text = json!({"items": []}).to_string();
        world.call("PUT", "/sources").text(format!("{text}{}", " ".repeat(length - text.len()))).send()
    };
    sources(limits::REQUEST).await.ok(200);
    assert_eq!(sources(limits::REQUEST + 1).await.code(413), "request_too_large");
}

/// Tries objects of `most` bytes as they are stored, and of one more: `make` makes one with a text of so many bytes in it.
async fn whole<'a>(most: usize, make: impl Fn(usize) -> Call<'a>, stored: impl AsyncFn(&str) -> usize) {
    let least = stored(&make(1).send().await.id()).await;
    let id = make(1 + most - least).send().await.id();
    assert_eq!(stored(&id).await, most);
    let above = make(2 + most - least).send().await;
    assert_eq!((above.code(400), above.fields()), ("invalid", vec![""]));
}

/// A constant address.
const ADDRESS: &str = "https://crm.example.com/";

/// Tries a webhook of this content and a push whose greeting is this: what is above a limit is told when the push is saved.
async fn request(world: &World, content: Value, greeting: String) -> Answer {
    let mut input = webhook(&uuid());
    for (name, value) in content.as_object().unwrap() {
        input["content"][name] = value.clone();
    }
    let id = world.call("POST", "/webhooks").json(&input).send().await.id();
    let mut input = push(&id);
    if !greeting.contains("${name}") {
        input["content"]["variables"] = json!([]);
    }
    input["content"]["values"]["greeting"] = json!(greeting);
    world.call("POST", "/pushes").json(&input).send().await
}

#[tokio::test]
async fn a_request_has_so_many_slots_and_so_long_a_url_and_headers() {
    type Content = fn(usize) -> (Value, String);
    let table: [(&str, usize, Content); 3] = [
        ("slots", limits::SLOTS, |n| {
            let body = json!({"kind": "text", "template": "{greeting}".repeat(n)});
            (json!({"url": ADDRESS, "body": body}), "${name}".to_owned())
        }),
        ("a URL", limits::URL, |n| (json!({"url": format!("{ADDRESS}{{greeting}}")}), x(n - ADDRESS.len()))),
        ("a header", limits::HEADER_VALUE, |n| {
            (json!({"headers": [{"name": "x-a", "value": "{greeting}"}]}), x(n))
        }),
    ];
    let world = World::new();
    for (what, most, make) in table {
        let ask = async |n| {
            let (content, greeting) = make(n);
            request(&world, content, greeting).await
        };
        let at = ask(most).await;
        assert_eq!(at.status, 201, "{what} at {most}: {}", at.body);
        let above = ask(most + 1).await;
        assert_eq!((above.code(400), above.fields()), ("invalid", vec!["content.values"]), "{what}");
        let detail = above.body["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(&most.to_string()), "{what}: {detail}");
    }
}

#[tokio::test]
async fn a_run_pins_so_many_bytes() {
    /// Parameters whose text a push gives, and how long the first of them are.
    const TEXTS: usize = 6;
    const LONG: usize = 15_000;
    let world = World::new();
    let stock = json!({"kind": "interface", "url": "https://shop.example.com/stock", "pointer": "/stock"});
    let stock = world.call("POST", "/parameter-sources").json(&json!({"name": "Stock", "value": stock}));
    let stock = stock.send().await.id();
    let mut input = webhook("Wide");
    let calls = (0..limits::CALLS).map(|n| json!({"name": format!("c{n}"), "type": "call", "source": stock}));
    let texts = (0..TEXTS).map(|n| json!({"name": format!("t{n}"), "type": "text"}));
    input["content"]["parameters"] = calls.chain(texts).collect();
    input["content"]["url"] = json!("https://crm.example.com/coupons");
    input["content"]["body"] = json!({"kind": "list"});
    input["content"]["headers"] = headers(40, 4096);
    let hook = world.call("POST", "/webhooks").json(&input).send().await.id();
    let id = world.push_with_texts(&hook, &[]).await;
    let upload = world.audience().await;
    // One value for all calls, and a last text of so many bytes.
    let start = async |value: usize, length: usize| {
        world.answers(json!({"direct": "value", "value": x(value)}));
        let mut texts = vec![LONG; TEXTS - 1];
        texts.push(length);
        world.replace_texts(&id, &hook, &texts).await;
        world.start(&id, &uuid(), &[&upload]).send().await
    };
    let pinned = async |run: &str| {
        bytes(&store::runs::pinned(&*world.ledger, run.parse().unwrap()).await.unwrap().unwrap())
    };
    let least = pinned(&start(1, 1).await.id()).await;
    // What is missing, in equal parts, and a rest that the last text fills.
    let value = 1 + (limits::PINNED - least) / limits::CALLS;
    let filled = pinned(&start(value, 1).await.id()).await;
    let rest = 1 + limits::PINNED - filled;
    assert!(value <= limits::FETCHED && rest <= limits::TEXT, "{value} {rest}");
    let at = start(value, rest).await;
    assert_eq!(at.status, 202, "{}", at.body);
    assert_eq!(pinned(&at.id()).await, limits::PINNED);
    let above = start(value, rest + 1).await;
    assert_eq!(above.code(409), "too_large");
    assert!(above.body["detail"].as_str().unwrap().contains(&limits::PINNED.to_string()), "{}", above.body);
}

impl World {
    /// A push whose texts have so many bytes each, `t0` first.
    async fn push_with_texts(&self, webhook: &str, lengths: &[usize]) -> String {
        self.call("POST", "/pushes").json(&texts(webhook, lengths)).send().await.id()
    }

    async fn replace_texts(&self, push: &str, webhook: &str, lengths: &[usize]) {
        self.call("PUT", format!("/pushes/{push}")).json(&texts(webhook, lengths)).send().await.ok(200);
    }
}

fn texts(webhook: &str, lengths: &[usize]) -> Value {
    let mut input = push(webhook);
    let values = lengths.iter().enumerate().map(|(n, length)| (format!("t{n}"), json!(x(*length))));
    input["content"]["values"] = values.collect::<serde_json::Map<_, _>>().into();
    input["content"]["variables"] = json!([]);
    input
}

fn bytes(object: &impl Serialize) -> usize {
    serde_json::to_vec(object).unwrap().len()
}

fn headers(count: usize, length: usize) -> Value {
    (0..count).map(|n| json!({"name": format!("x-{n:02}"), "value": x(length)})).collect()
}

#[tokio::test]
async fn a_webhook_a_push_and_a_parameter_source_have_so_many_bytes_in_all() {
    let world = World::new();
    let (table, acme) = (&*world.config, "acme".parse().unwrap());
    let make = |n: usize| {
        let mut input = webhook(&uuid());
        input["content"]["parameters"] = json!([]);
        input["content"]["headers"] = headers(32, 4096);
        input["content"]["body"] = json!({"kind": "text", "template": x(n)});
        world.call("POST", "/webhooks").json(&input)
    };
    let stored = async |id: &str| {
        bytes(&store::webhooks::get(table, &acme, id.parse().unwrap()).await.unwrap().unwrap())
    };
    whole(limits::WEBHOOK, make, stored).await;

    let mut wide = webhook("Wide");
    let parameter = |n: usize| json!({"name": format!("p{n}"), "type": "text"});
    wide["content"]["parameters"] = (0..7).map(parameter).collect();
    let places: String = (0..7).map(|n| format!("{{p{n}}}")).collect::<Vec<_>>().concat();
    wide["content"]["body"] = json!({"kind": "text", "template": places});
    let wide = world.call("POST", "/webhooks").json(&wide).send().await.id();
    let make = |n: usize| {
        let mut input = push(&wide);
        let texts =
            (0..6).map(|n| (format!("p{n}"), json!(x(limits::TEXT)))).chain([("p6".to_owned(), json!(x(n)))]);
        input["content"]["values"] = texts.collect::<serde_json::Map<_, _>>().into();
        input["content"]["variables"] = json!([]);
        world.call("POST", "/pushes").json(&input)
    };
    let stored = async |id: &str| {
        bytes(&store::pushes::get(table, &acme, id.parse().unwrap()).await.unwrap().unwrap())
    };
    whole(limits::PUSH, make, stored).await;

    let make = |n: usize| {
        let mut all = headers(24, 4096);
        all.as_array_mut().unwrap().push(json!({"name": "x-more", "value": x(n)}));
        let value = json!({
            "kind": "interface", "url": "https://shop.example.com/stock", "pointer": "/stock", "headers": all,
        });
        world.call("POST", "/parameter-sources").json(&json!({"name": uuid(), "value": value}))
    };
    let stored = async |id: &str| {
        bytes(&store::parameter_sources::get(table, &acme, id.parse().unwrap()).await.unwrap().unwrap())
    };
    whole(limits::PARAMETER_SOURCE, make, stored).await;
}
