//! What is read at all: JSON and query strings.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use fanhook_core::limits;
use serde_json::{Value, json};

use crate::world::{World, webhook};

#[tokio::test]
async fn what_is_no_plain_json_is_refused() {
    let world = World::new();
    let post = |text: String| world.call("POST", "/uploads").text(text).send();
    let deep = format!("{}{}", "{\"kind\":".repeat(10_000), "}".repeat(10_000));
    let table = [
        (deep, 400, "invalid_json"),
        (r#"{"kind":"audience","kind":"profiles"}"#.to_owned(), 400, "invalid_json"),
        (r#"{"kind":"audience"} "#.to_owned() + "x", 400, "invalid_json"),
        (r#"{"kind":"audience""#.to_owned(), 400, "invalid_json"),
        (String::new(), 400, "invalid_json"),
        ("\u{feff}{}".to_owned(), 400, "invalid_json"),
        (" ".repeat(1024 * 1024) + "{}", 413, "request_too_large"),
        (r#"{"kind":"audiences"}"#.to_owned(), 400, "invalid"),
        (r#"{"kind":null}"#.to_owned(), 400, "invalid"),
        ("[]".to_owned(), 400, "invalid"),
        (r#"["audience"]"#.to_owned(), 400, "invalid"),
    ];
    for (text, status, code) in table {
        let start: String = text.chars().take(30).collect();
        assert_eq!(post(text).await.code(status), code, "{start}");
    }
    post(r#"{"kind":"audience"}"#.to_owned()).await.ok(201);
    for (member, value) in [("limits", json!([null, null])), ("retry", json!([60]))] {
        let mut input = webhook("Coupons");
        input[member] = value;
        let refused = world.call("POST", "/webhooks").json(&input).send().await;
        assert_eq!((refused.code(400), refused.fields()), ("invalid", vec![member]));
    }
}

#[tokio::test]
async fn what_is_no_unicode_is_refused_with_its_place() {
    let world = World::new();
    let post = |body: &[u8]| world.call("POST", "/uploads").bytes(body).send();
    post(b"{\n \"kind\": \"audience\"}").await.ok(201);
    let table: [&[u8]; 9] = [
        b"{\n \"kind\": \"audience\xff\"}",
        b"{\n \"kind\": \"audience\xc3\"}",
        // A slash of two bytes, and half of a pair in three.
        b"{\n \"kind\": \"\xc0\xaf\"}",
        b"{\n \"kind\": \"\xed\xa0\x80\"}",
        b"{\n \"kind\xff\": \"audience\"}",
        b"{\n \"kind\": \"\\ud800\"}",
        b"{\n \"kind\": \"\\ud800\\u0041\"}",
        b"{\n \"kind\": \"\\udc00\"}",
        b"{\n \"\\ud800\": \"audience\"}",
    ];
    for body in table {
        let text = String::from_utf8_lossy(body);
        let refused = post(body).await;
        assert_eq!(refused.code(400), "invalid_json", "{text}");
        let fault = &refused.body["errors"][0];
        assert_eq!(fault["line"], 2, "{text}: {fault}");
        assert!(fault["column"].as_u64().is_some_and(|column| column > 1), "{text}: {fault}");
        assert!(fault["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{text}: {fault}");
    }
    for utf16 in [&b"\xff\xfe{\0}\0"[..], b"\xfe\xff\0{\0}"] {
        assert_eq!(post(utf16).await.code(400), "invalid_json");
    }

    // Where any text may stand as well; two halves that belong together are a character.
    let named = |name: &str| {
        world.call("POST", "/webhooks").text(webhook("Coupons").to_string().replace("Coupons", name))
    };
    assert_eq!(named(r"\ud83c").send().await.code(400), "invalid_json");
    assert_eq!(named(r"\udf9f\ud83c").send().await.code(400), "invalid_json");
    assert_eq!(named(r"\ud83c\udf9f").send().await.ok(201)["name"], "\u{1f39f}");
}

#[tokio::test]
async fn keys_that_stand_twice_in_a_map_are_refused_too() {
    let world = World::new();
    let webhook = world.webhook().await;
    let text = crate::world::push(&webhook).to_string();
    let twice = text.replace(r#""coupon":"B10""#, r#""coupon":"B10","coupon":"B20""#);
    let refused = world.call("POST", "/pushes").text(twice).send().await;
    assert_eq!(refused.code(400), "invalid_json");
    assert_eq!(refused.body["errors"][0]["detail"], "the key `coupon` stands twice in one object");
}

#[tokio::test]
async fn an_unknown_field_is_told_with_its_place_and_what_was_meant() {
    let world = World::new();
    let refused = world.call("POST", "/uploads").text("{\n \"knid\": \"audience\"}").send().await;
    assert_eq!(refused.code(400), "invalid");
    assert_eq!(refused.fields(), ["kind", "knid"]);
    let fault = &refused.body["errors"][1];
    assert_eq!((&fault["line"], &fault["column"]), (&json!(2), &json!(10)));
    assert_eq!(fault["hint"], "did you mean `kind`?");
}

#[tokio::test]
async fn a_query_string_is_read_strictly() {
    let world = World::new();
    for query in
        ["limit=0", "limit=101", "limit=x", "lmit=1", "cursor=%21", "cursor=aGFsbG8", "limit=1&limit=2"]
    {
        let refused = world.call("GET", format!("/webhooks?{query}")).send().await;
        assert_eq!(refused.code(400), "invalid", "{query}");
    }
}

#[tokio::test]
async fn a_cursor_that_no_list_gave_is_refused_by_every_list() {
    let world = World::new();
    let webhook = world.webhook().await;
    let push = world.push(&webhook).await;
    let run = world.start(&push, "k", &[&world.audience().await]).send().await.id();
    let places = [String::new(), "x".repeat(1025), "hallo".to_owned()];
    let document = config::document();
    let paged = |path: &&String| {
        let parameters = document["paths"][*path]["get"]["parameters"].as_array();
        parameters.is_some_and(|all| all.iter().any(|parameter| parameter["name"] == "cursor"))
    };
    let lists: Vec<_> = document["paths"].as_object().unwrap().keys().filter(paged).collect();
    assert!(lists.len() >= 7, "{lists:?}");
    for path in lists {
        let id = if path.starts_with("/runs") { &run } else { &webhook };
        let filters: &[&str] =
            if path == "/audit" { &["person=a&", "kind=webhook&object=a&"] } else { &[""] };
        for (filter, place) in
            filters.iter().flat_map(|filter| places.iter().map(move |place| (filter, place)))
        {
            let cursor = BASE64_URL_SAFE_NO_PAD.encode(place);
            let address = format!("{}?{filter}cursor={cursor}", path.replace("{id}", id));
            let refused = world.call("GET", &address).send().await;
            assert_eq!(refused.code(400), "invalid", "{address}");
            assert_eq!(refused.fields(), ["cursor"], "{address}");
        }
    }
}

#[tokio::test]
async fn of_a_flood_of_faults_the_first_are_told() {
    let world = World::new();
    let hook = world.webhook().await;
    let many = |value: Value| json!(vec![value; 20_000]);
    let mut floods = Vec::new();
    for (field, value) in [
        ("headers", json!({"name": "", "value": ""})),
        ("parameters", json!({"name": "a", "type": "call", "source": format!("prs_{}", "0".repeat(32))})),
    ] {
        let mut input = webhook("Coupons");
        input["content"][field] = many(value);
        floods.push(("/webhooks", input));
    }
    let mut input = webhook("Coupons");
    input["id_types"] = many(json!("A"));
    floods.push(("/webhooks", input));
    let mut input = crate::world::push(&hook);
    input["content"]["id_types"] = many(json!("A"));
    floods.push(("/pushes", input));
    floods.push(("/uploads", json!(vec![json!({}); 20_000])));
    for (path, input) in floods {
        let mut text = input.to_string();
        text.truncate(text.len().min(1024 * 1024));
        let refused = world.call("POST", path).text(text).send().await;
        assert!(refused.status == 400 && refused.bytes.len() < 100_000, "{path} {}", refused.bytes.len());
        assert!(refused.fields().len() <= limits::FAULTS, "{path}");
    }
}

#[tokio::test]
async fn all_faults_of_a_query_are_told_at_once() {
    let world = World::new();
    let refused = world.call("GET", "/runs?limit=x&lmit=1&push=a&push=b").send().await;
    assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["limit", "lmit", "push"]));
    assert_eq!(refused.body["errors"][1]["hint"], "did you mean `limit`?");
    let refused = world.call("GET", "/webhooks?limit=0&cursor=%21").send().await;
    assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["cursor", "limit"]));
    assert_eq!(world.call("GET", "/profiles").send().await.fields(), ["qaid"]);
    assert_eq!(world.call("GET", "/runs?push=a").send().await.fields(), ["push"]);
}
