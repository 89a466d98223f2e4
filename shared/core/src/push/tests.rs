use serde_json::json;

use super::*;
use crate::fault::Fault;
use crate::webhook::Webhook;

fn webhook() -> Webhook {
    serde_json::from_value(json!({
        "id": "whk_0123456789abcdef0123456789abcdef",
        "workspace": "acme",
        "version": 1,
        "name": "Coupons",
        "content": {
            "url": "https://crm.example.com/{path}",
            "parameters": [
                {"name": "greeting", "type": "text", "required": true},
                {"name": "amount", "type": "numeric"},
                {"name": "path", "type": "text"},
            ],
            "body": {"kind": "json", "template": "{\"to\":\"{id}\",\"text\":\"{greeting}\",\"amount\":\"{amount}\"}"},
        },
        "id_types": ["MOBILE", "EMAIL"],
        "signing": {"kind": "none"},
    }))
    .unwrap()
}

fn push() -> Push {
    serde_json::from_value(json!({
        "id": "psh_0123456789abcdef0123456789abcdef",
        "workspace": "acme",
        "version": 1,
        "name": "Spring",
        "webhook": "whk_0123456789abcdef0123456789abcdef",
        "content": {
            "id_types": ["MOBILE"],
            "values": {"greeting": "Dear ${name} Hello", "amount": "5.00", "path": "coupons"},
            "variables": [{"name": "name", "source": {"tag": "first name"}, "when_empty": {"default": "Member"}}],
        },
    }))
    .unwrap()
}

/// The faults after a change, as `field: detail (hint)`.
fn check(change: impl FnOnce(&mut PushContent)) -> Vec<String> {
    let mut push = push();
    change(&mut push.content);
    let describe = |fault: Fault| {
        let hint = fault.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}: {}{hint}", fault.field, fault.detail)
    };
    push.check(Some(&webhook())).into_iter().map(describe).collect()
}

fn set(content: &mut PushContent, parameter: &str, value: &str) {
    content.values.insert(parameter.parse().unwrap(), value.to_owned());
}

#[test]
fn a_good_push_has_no_faults() {
    assert_eq!(check(|_| {}), Vec::<String>::new());
}

#[test]
fn a_push_has_a_name() {
    let mut push = push();
    push.name.clear();
    assert_eq!(push.check(Some(&webhook()))[0].field, "name");
}

#[test]
fn a_required_value_must_be_there_and_an_optional_one_may_not() {
    let required = "content.values.greeting: `greeting` is required";
    let without = |content: &mut PushContent| {
        content.variables.clear();
        content.values.remove("greeting");
    };
    assert_eq!(check(without), [required]);
    for (text, hint) in [("", ""), (" \n", " (white space says nothing)")] {
        let blank = |content: &mut PushContent| {
            content.variables.clear();
            set(content, "greeting", text);
        };
        assert_eq!(check(blank), [format!("{required}{hint}")]);
    }
    assert!(check(|content| drop(content.values.remove("amount"))).is_empty());
}

#[test]
fn all_faults_are_told_at_once_each_under_its_path() {
    let faults = check(|content| {
        content.id_types = vec!["OAID".parse().unwrap(), "EMAIL".parse().unwrap(), "EMAIL".parse().unwrap()];
        content.variables.push(content.variables[0].clone());
        content.variables[0].source = VariableSource::Tag(String::new());
        content.variables[1].when_empty = WhenEmpty::Default(String::new());
        set(content, "amount", "five");
        set(content, "gretting", "x");
        set(content, "greeting", "Dear ${nme}");
    });
    assert_eq!(
        faults,
        [
            "content.id_types[0]: the webhook does not take the ID type `OAID` (it takes `MOBILE`, `EMAIL`)",
            "content.id_types[2]: `EMAIL` is named twice",
            "content.variables[0].source.tag: the name of a tag has 1 to 256 bytes and no control characters",
            "content.variables[1].name: `name` is declared already",
            "content.variables[1].when_empty.default: a default is not empty (choose `blank`)",
            "content.values.gretting: the webhook has no parameter `gretting` (did you mean `greeting`?)",
            "content.values.greeting: `${nme}` is not declared (did you mean `${name}`?)",
            "content.values.amount: a number has at most 64 characters and JSON's form (write it as in JSON: `12`, `-0.5`, `1e3`)",
        ]
    );
}

#[test]
fn a_variable_that_no_value_uses_is_a_fault() {
    let faults = check(|content| set(content, "greeting", "Hello"));
    let expected =
        "content.variables[0].name: no value uses `name` (write `${name}` in a text value, or remove it)";
    assert_eq!(faults, [expected]);
}

#[test]
fn a_misspelt_parameter_is_one_fault_and_its_variables_count_as_used() {
    let faults = check(|content| {
        set(content, "greeting", "Hello");
        set(content, "pth", "${name}");
    });
    assert_eq!(faults, ["content.values.pth: the webhook has no parameter `pth` (did you mean `path`?)"]);
}

#[test]
fn a_push_sends_at_least_one_id_type() {
    assert_eq!(check(|content| content.id_types.clear()).len(), 1);
}

#[test]
fn a_value_that_would_move_the_url_is_a_fault() {
    let faults = check(|content| set(content, "path", ".."));
    assert_eq!(faults, ["content.values.path: a segment of the URL's path is neither `.` nor `..`"]);
    assert_eq!(check(|content| drop(content.values.remove("path"))).len(), 1);
}

#[test]
fn variables_and_their_texts_have_limits() {
    let long = check(|content| content.variables[0].when_empty = WhenEmpty::Default("x".repeat(4097)));
    assert_eq!(long, ["content.variables[0].when_empty.default: a default has at most 4096 bytes"]);
    for tag in ["x".repeat(257), "a\nb".to_owned()] {
        assert_eq!(check(|content| content.variables[0].source = VariableSource::Tag(tag)).len(), 1);
    }
    let many = check(|content| content.variables = vec![content.variables[0].clone(); 101]);
    assert!(many.contains(&"content.variables: a push has at most 100 variables".to_owned()));
}

/// The faults of a push that this event starts.
fn started_by(event: &serde_json::Value) -> Vec<String> {
    check(|content| content.started_by = serde_json::from_value(json!({"event": event})).unwrap())
}

#[test]
fn only_an_event_gives_attributes() {
    let attribute = |content: &mut PushContent| {
        content.variables[0].source = VariableSource::Attribute("amount".to_owned());
    };
    assert_eq!(
        check(attribute),
        [
            "content.variables[0].source.attribute: only a push that an event starts has attributes (take a tag, or name the event in \
             `started_by`)"
        ]
    );
    let event = |content: &mut PushContent| {
        attribute(content);
        content.started_by = serde_json::from_value(json!({"event": {"name": "order_paid"}})).unwrap();
    };
    assert!(check(event).is_empty(), "beside tags too");
    let unnamed = |content: &mut PushContent| {
        event(content);
        content.variables[0].source = VariableSource::Attribute(String::new());
    };
    assert_eq!(check(unnamed).len(), 1);
}

#[test]
fn what_starts_a_push_is_checked_to_its_last_value() {
    let condition =
        |operator: &str, values| json!({"attribute": "a", "operator": operator, "values": values});
    assert!(started_by(&json!({"name": "paid", "count": {"times": 2, "within_seconds": 60}})).is_empty());
    let fits = [
        condition("is", json!(["a", 1, true])),
        condition("less_than", json!([0.5])),
        condition("contains", json!(["a"])),
        condition("missing", json!([])),
    ];
    assert!(started_by(&json!({"name": "paid", "filter": {"all": [{"any": fits}]}})).is_empty());
    let faults = started_by(&json!({
        "name": "a\nb",
        "count": {"times": 1, "within_seconds": 59},
        "filter": {"any": [
            {"all": []},
            {"any": [
                condition("is", json!([])), condition("is_not", json!([null])), condition("at_most", json!(["1"])),
                condition("more_than", json!([1, 2])), condition("contains", json!([""])), condition("exists", json!([1])),
                {"attribute": "", "operator": "missing"},
            ]},
        ]},
    }));
    let at = "content.started_by.event";
    let of = |index: usize| format!("{at}.filter.any[1].any[{index}]");
    assert_eq!(
        faults,
        [
            format!("{at}.name: the name of an event has 1 to 256 bytes and no control characters"),
            format!("{at}.filter.any[0].all: a group has a condition at least"),
            format!("{}.values: this operator takes 1 to 100 values", of(0)),
            format!("{}.values[0]: a value is a text, a number, `true` or `false`", of(1)),
            format!("{}.values[0]: this operator compares with a number", of(2)),
            format!("{}.values: this operator takes one value", of(3)),
            format!("{}.values[0]: this operator looks for a text", of(4)),
            format!("{}.values: this operator takes no value", of(5)),
            format!(
                "{}.attribute: the name of an attribute has 1 to 256 bytes and no control characters",
                of(6)
            ),
            format!("{at}.count.times: must be from 2 to 1000 (leave `count` out where one event is enough)"),
            format!("{at}.count.within_seconds: must be from 60 to 2592000"),
        ]
    );
    let flood = started_by(&json!({"name": "paid", "filter": {"all": vec![json!({"any": []}); 10_000]}}));
    assert_eq!(flood.len(), 50, "no more are told");
    let empty = started_by(&json!({"name": "paid", "filter": {"all": []}}));
    assert_eq!(empty, [format!("{at}.filter.all: a filter has a group at least (leave `filter` out)")]);
}
