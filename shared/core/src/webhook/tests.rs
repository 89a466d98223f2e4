use url::Host;

use super::*;
use crate::fault::Fault;

fn webhook() -> Webhook {
    serde_json::from_value(serde_json::json!({
        "id": "whk_0123456789abcdef0123456789abcdef",
        "workspace": "acme",
        "version": 1,
        "name": "Coupons",
        "content": {
            "url": "https://crm.example.com/coupons",
            "headers": [{"name": "X-Campaign", "value": "{campaign}"}],
            "parameters": [{"name": "campaign", "type": "character"}],
            "body": {"kind": "json", "template": "{\"to\":\"{id}\"}"},
        },
        "id_types": ["MOBILE"],
        "signing": {"kind": "none"},
    }))
    .unwrap()
}

fn rules(allow_http: bool) -> Rules<'static> {
    let address: &AddressRule<'static> = &|host, _| match host {
        Host::Ipv4(ip) if ip.is_loopback() => Err(format!("{ip} is loopback")),
        _ => Ok(()),
    };
    Rules { allow_http, address }
}

fn check(change: impl FnOnce(&mut Webhook)) -> Vec<Fault> {
    let mut webhook = webhook();
    change(&mut webhook);
    webhook.check(rules(false))
}

/// The fields with faults after a change.
fn fields(change: impl FnOnce(&mut Webhook)) -> Vec<String> {
    check(change).into_iter().map(|fault| fault.field).collect()
}

fn url_faults(url: &str) -> Vec<String> {
    let faults = check(|webhook| url.clone_into(&mut webhook.content.url));
    assert!(faults.iter().all(|fault| fault.field == "content.url"), "{faults:?}");
    faults.into_iter().map(|fault| fault.detail).collect()
}

fn header_faults(name: &str, value: &str) -> Vec<String> {
    let header = Header { name: name.to_owned(), value: value.to_owned() };
    fields(|webhook| webhook.content.headers = vec![header])
}

#[test]
fn a_good_webhook_has_no_faults() {
    assert_eq!(check(|_| {}), []);
}

#[test]
fn all_faults_are_told_at_once_each_under_its_path() {
    let fields = fields(|webhook| {
        webhook.name.clear();
        webhook.description = "x".repeat(1001);
        webhook.id_types.clear();
        webhook.limits = Limits { requests_per_second: Some(0), requests_at_a_time: Some(0) };
        webhook.retry.give_up_after_seconds = 30 * 24 * 3600 + 1;
        webhook.content.url = "http://127.0.0.1/{nope}".to_owned();
        webhook.content.headers.push(Header { name: "x-campaign".to_owned(), value: "}".to_owned() });
        webhook.content.parameters.push(webhook.content.parameters[0].clone());
        webhook.content.body = Body::Json { template: "{\"a\": {b}, \"c\": \"{d}\"}".to_owned(), item: None };
        webhook.content.method = Method::Get;
        webhook.content.deadline_seconds = 31;
        webhook.receipts = Some(Receipts { recovery_period_seconds: 1, statuses: Vec::new() });
    });
    assert_eq!(
        fields,
        [
            "name",
            "description",
            "content.url",
            "content.url",
            "content.headers[1].name",
            "content.parameters[1].name",
            "content.body",
            "content.deadline_seconds",
            "content.url",
            "content.headers[1].value",
            "content.body.template",
            "content.body.template",
            "content.body.template",
            "id_types",
            "limits.requests_per_second",
            "limits.requests_at_a_time",
            "retry.give_up_after_seconds",
            "receipts.recovery_period_seconds",
            "receipts.statuses",
        ]
    );
}

#[test]
fn a_name_has_1_to_100_characters() {
    assert!(fields(|webhook| webhook.name = "é".repeat(100)).is_empty());
    for name in ["é".repeat(101), " ".to_owned(), "a\nb".to_owned()] {
        assert_eq!(fields(|webhook| webhook.name = name), ["name"]);
    }
}

#[test]
fn http_is_for_deployments_that_allow_it() {
    let fault = check(|webhook| webhook.content.url = "http://example.com/".to_owned());
    assert_eq!(fault.len(), 1);
    assert_eq!((fault[0].line, fault[0].column), (Some(1), Some(1)));
    let mut webhook = webhook();
    webhook.content.url = "http://example.com/".to_owned();
    assert_eq!(webhook.check(rules(true)), []);
}

#[test]
fn all_spellings_of_an_address_are_one_address() {
    let spellings =
        ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "１２７.0.0.1", "127.0.0.1:9001"];
    for host in spellings {
        assert_eq!(url_faults(&format!("https://{host}/x")), ["127.0.0.1 is loopback"], "{host}");
    }
}

#[test]
fn a_refused_address_is_told_at_the_host() {
    let faults = check(|webhook| webhook.content.url = "https://127.0.0.1/{id}".to_owned());
    assert_eq!((faults[0].line, faults[0].column), (Some(1), Some(9)));
}

#[test]
fn ports_of_other_protocols_are_refused() {
    for port in [0, 1, 21, 22, 25, 587, 1023, 3306, 5432, 6379, 6667, 10250, 11211, 27017] {
        let expected = format!("port {port} is not called: it belongs to another protocol than HTTP");
        assert_eq!(url_faults(&format!("https://example.com:{port}/")), [expected]);
    }
    for port in [80, 443, 1024, 3000, 8080, 8443, 65535] {
        assert!(url_faults(&format!("https://example.com:{port}/")).is_empty(), "{port}");
    }
    assert_eq!(url_faults("https://example.com:65536/").len(), 1);
}

#[test]
fn reserved_headers_cannot_be_set() {
    for name in [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "connection",
        "TE",
        "Upgrade",
        "Trailer",
        "Expect",
        "Keep-Alive",
        "Accept-Encoding",
        "Content-Encoding",
        "Proxy-Authorization",
        "proxy-connection",
        "Webhook-Signature",
        "webhook-id",
        "Fanhook-Run",
        "",
        "a b",
        "a:b",
        "a\r\nb",
        "é",
        "(x)",
    ] {
        assert_eq!(header_faults(name, "x"), ["content.headers[0].name"], "{name:?}");
    }
    for name in ["Authorization", "X-Api-Key", "User-Agent", "Accept", "x!#$%&'*+-.^_`|~9"] {
        assert!(header_faults(name, "x").is_empty(), "{name}");
    }
    for value in ["a\r\nHost: x", "a\0", "a\u{7f}", "a\u{80}", "ÿ", "a\tb"] {
        let fields = header_faults("X-A", value);
        assert!(
            !fields.is_empty() && fields.iter().all(|field| field == "content.headers[0].value"),
            "{value:?}"
        );
    }
}

#[test]
fn a_content_type_says_what_the_body_is() {
    let set = |body: Body, value: &str| {
        let header = Header { name: "content-type".to_owned(), value: value.to_owned() };
        fields(|webhook| {
            webhook.content.body = body;
            webhook.content.headers = vec![header];
        })
    };
    let json = || Body::Json { template: "{}".to_owned(), item: None };
    let text = || Body::Text { template: "a".to_owned(), item: None };
    assert!(set(json(), "application/vnd.api+json; charset=utf-8").is_empty());
    assert!(set(json(), "Application/JSON").is_empty());
    assert!(set(text(), "text/plain").is_empty());
    assert_eq!(set(text(), "text/xml"), ["content.headers[0].value"]);
    assert_eq!(set(text(), "application/json"), ["content.headers[0].value"]);
    assert_eq!(set(json(), "text/html"), ["content.headers[0].value"]);
    assert_eq!(set(json(), "{campaign}+json"), ["content.headers[0].value"]);
    assert!(set(Body::List {}, "application/vnd.api+json").is_empty());
    assert_eq!(set(Body::List {}, "text/plain"), ["content.headers[0].value"]);
    assert_eq!(set(Body::None {}, "text/plain"), ["content.headers[0].name"]);
}

#[test]
fn parameters_have_names_of_their_own() {
    for (name, count) in [
        ("id", 1),
        ("id_type", 1),
        ("delivery_id", 1),
        ("items", 1),
        ("receipt", 1),
        ("campaign", 1),
        ("other", 0),
    ] {
        let fields = fields(|webhook| {
            let mut parameter = webhook.content.parameters[0].clone();
            parameter.name = name.parse().unwrap();
            webhook.content.parameters.push(parameter);
        });
        assert_eq!(fields, vec!["content.parameters[1].name"; count], "{name}");
    }
    let named = |length| fields(|webhook| webhook.content.parameters[0].display_name = "é".repeat(length));
    assert!(named(100).is_empty());
    assert_eq!(named(101), ["content.parameters[0].display_name"]);
}

#[test]
fn a_request_without_a_body_has_a_method_without_one() {
    for (method, count) in
        [(Method::Get, 1), (Method::Delete, 1), (Method::Post, 0), (Method::Put, 0), (Method::Patch, 0)]
    {
        assert_eq!(fields(|webhook| webhook.content.method = method), vec!["content.body"; count]);
        let none = fields(|webhook| {
            webhook.content.method = method;
            webhook.content.body = Body::None {};
        });
        assert!(none.is_empty());
    }
}

#[test]
fn sizes_and_counts_have_limits() {
    let template = |length: usize| Body::Text { template: "x".repeat(length), item: None };
    assert!(fields(|webhook| webhook.content.body = template(64 * 1024)).is_empty());
    assert_eq!(fields(|webhook| webhook.content.body = template(64 * 1024 + 1)), ["content.body.template"]);
    assert_eq!(fields(|webhook| webhook.content.url.push_str(&"x".repeat(4096))), ["content.url"]);
    assert_eq!(header_faults("x-a", &"x".repeat(4097)), ["content.headers[0].value"]);
    assert_eq!(header_faults(&"x".repeat(101), "x"), ["content.headers[0].name"]);
    let headers =
        |count: usize| (0..count).map(|n| Header { name: format!("x-{n}"), value: String::new() }).collect();
    assert!(fields(|webhook| webhook.content.headers = headers(50)).is_empty());
    assert_eq!(fields(|webhook| webhook.content.headers = headers(51)), ["content.headers"]);
    let many = |webhook: &mut Webhook| {
        let parameter = webhook.content.parameters[0].clone();
        let named = |n: usize| Parameter { name: format!("p{n}").parse().unwrap(), ..parameter.clone() };
        webhook.content.parameters.extend((0..50).map(named));
    };
    assert_eq!(fields(many), ["content.parameters"]);
    for seconds in [0, 31] {
        assert_eq!(
            fields(|webhook| webhook.content.deadline_seconds = seconds),
            ["content.deadline_seconds"]
        );
    }
    assert!(fields(|webhook| webhook.content.deadline_seconds = 30).is_empty());
}

#[test]
fn a_request_holds_one_user_or_as_many_as_its_body_has_items_for() {
    let json = |item: Option<&str>| Body::Json {
        template: if item.is_some() { r#"["{items}"]"# } else { "{}" }.to_owned(),
        item: item.map(str::to_owned),
    };
    let with = |body: Body, size: Option<u32>| {
        fields(|webhook| {
            webhook.content.headers.clear();
            webhook.content.body = body;
            webhook.content.batch_size = size;
        })
    };
    for size in [1, 50, 1000] {
        assert!(with(Body::List {}, Some(size)).is_empty() && with(json(Some("1")), Some(size)).is_empty());
    }
    for size in [0, 1001, u32::MAX] {
        assert_eq!(with(Body::List {}, Some(size)), ["content.batch_size"]);
    }
    let form = || Body::Form { template: "a=1".to_owned() };
    for body in [json(None), form(), Body::None {}] {
        assert_eq!(with(body.clone(), Some(2)), ["content.batch_size"]);
        assert!(with(body.clone(), Some(1)).is_empty() && with(body, None).is_empty());
    }
    let size = |body: Body| Content { body, ..webhook().content }.batch_size();
    assert_eq!([Body::List {}, json(Some("1")), json(None)].map(size), [50, 1, 1]);
    let long = "x".repeat(64 * 1024);
    let text = |item: String| Body::Text { template: "{items}".to_owned(), item: Some(item) };
    assert!(with(text(long.clone()), Some(9)).is_empty());
    assert_eq!(with(text(long + "}"), Some(9)), ["content.body.item"]);
}

#[test]
fn the_success_rule_and_splitting_fit_the_body() {
    let rule = |text: &str| serde_json::from_str::<SuccessRule>(text).unwrap();
    let results = r#"{"pointer":"/code","success":[0],"results":{"pointer":"/all","id":"/id"}}"#;
    let set = |body: Option<Body>, success: &str, split_refused: bool| {
        fields(|webhook| {
            webhook.content.headers.clear();
            webhook.content.body = body.unwrap_or(webhook.content.body.clone());
            webhook.content.success = Some(rule(success));
            webhook.content.split_refused = split_refused;
        })
    };
    assert!(set(Some(Body::List {}), results, true).is_empty());
    assert_eq!(set(None, results, true), ["content.split_refused", "content.success.results"]);
    assert_eq!(
        set(None, r#"{"pointer":"code"}"#, false),
        ["content.success.pointer", "content.success.success"]
    );
}

#[test]
fn what_is_over_its_limit_is_not_parsed() {
    let body = Body::Json { template: "}".repeat(64 * 1024 + 1), item: None };
    assert_eq!(fields(|webhook| webhook.content.body = body), ["content.body.template"]);
    let url = format!("https://example.com/{}", "}".repeat(4096));
    assert_eq!(fields(|webhook| webhook.content.url = url), ["content.url"]);
}

#[test]
fn id_types_are_named_once() {
    assert_eq!(fields(|webhook| webhook.id_types.push("MOBILE".parse().unwrap())), ["id_types[1]"]);
}
