//! Previews and test sends: what `deliver` is asked, and what the caller gets.

use std::time::Duration;

use fanhook_core::run::Proof;
use fanhook_store::proofs;
use serde_json::{Value, json};

use crate::world::{Answer, MEMBER, World, push, webhook};

pub(crate) fn tested(passed: bool) -> Value {
    let failure = json!({"detail": "the receiver answered with status 503", "hint": "look into its log"});
    let mut tested = json!({
        "direct": "test", "passed": passed,
        "verdict": {"outcome": "exhausted", "reason": "exhausted_status", "tried_again": true},
        "request": {
            "method": "POST", "url": "https://crm.example.com/coupons/x", "body": "{\n}",
            "headers": [{"name": "webhook-signature", "value": "[masked]"}],
        },
        "answer": {"status": 503, "headers": [{"name": "x-a", "value": "b"}], "body": "busy"},
        "times": {"connect_us": 1234, "first_byte_us": 50, "total_us": 2_000_001},
    });
    if passed {
        tested["verdict"] = json!({"outcome": "delivered", "reason": "delivered", "tried_again": false});
    } else {
        tested["failure"] = failure;
    }
    tested
}

impl World {
    pub(crate) fn answers(&self, answer: Value) {
        *self.deliver.answer.lock().unwrap() = Some(answer);
    }

    /// The last question.
    fn question(&self) -> Value {
        self.deliver.questions.lock().unwrap().last().unwrap().clone()
    }

    async fn preview(&self, path: &str, input: &Value) -> Answer {
        self.answers(json!({"direct": "preview", "messages": []}));
        self.call("POST", format!("{path}/preview")).json(input).send().await
    }

    async fn test(&self, path: &str, input: &Value) -> Answer {
        self.clock.advance(Duration::from_secs(1));
        self.call("POST", format!("{path}/test")).json(input).send().await
    }

    async fn is_tested(&self, webhook: &str) -> bool {
        let (workspace, id) = ("acme".parse().unwrap(), webhook.parse().unwrap());
        let content =
            fanhook_store::webhooks::get(&*self.config, &workspace, id).await.unwrap().unwrap().content;
        !proofs::get(&*self.config, &workspace, id).await.unwrap().lacking(&content).contains(&Proof::Test)
    }
}

fn user(question: &Value) -> Value {
    serde_json::from_str(question["recipient"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_webhook_is_tested_with_given_values_that_are_never_variables() {
    let world = World::new();
    let id = world.webhook().await;
    let path = format!("/webhooks/{id}");
    world.answers(tested(true));
    let mobile = json!({"type": "MOBILE", "value": "+4915112345678"});
    let input = json!({"id": mobile, "values": {"coupon": "B10", "greeting": "Dear ${name} $${x}"}});
    let answer = world.test(&path, &input).await.ok(200);
    assert_eq!(
        (&answer["passed"], &answer["version"], &answer["webhook"]),
        (&json!(true), &json!(1), &json!(id))
    );
    let question = world.question();
    assert_eq!((&question["direct"], &question["profile"]), (&json!("test"), &json!(false)));
    assert_eq!(user(&question), json!({"qaid": "sample", "ids": {"MOBILE": ["+4915112345678"]}}));
    let content = &question["pinned"]["push_content"];
    assert_eq!(content["values"], json!({"coupon": "B10", "greeting": "Dear $${name} $$${x}"}));
    assert_eq!(content["id_types"], json!(["MOBILE"]));
}

#[tokio::test]
async fn a_push_is_tested_with_a_value_for_each_variable() {
    let world = World::new();
    let id = world.push(&world.webhook().await).await;
    world.answers(tested(true));
    let mobile = json!({"type": "MOBILE", "value": "+4915112345678"});
    let input = json!({"id": mobile, "variables": {"name": "Ann"}});
    world.test(&format!("/pushes/{id}"), &input).await.ok(200);
    let question = world.question();
    assert_eq!(user(&question)["tags"], json!({"name": "Ann"}));
    let content = &question["pinned"]["push_content"];
    assert_eq!(content["variables"][0]["source"], json!({"tag": "name"}));
    assert_eq!(content["values"]["greeting"], "Dear ${name}");
    assert_eq!(question["pinned"]["push"], json!(id));
}

#[tokio::test]
async fn what_is_left_out_of_a_preview_is_made_up() {
    let world = World::new();
    let webhook = world.webhook().await;
    let push = world.push(&webhook).await;
    for path in [format!("/webhooks/{webhook}"), format!("/pushes/{push}")] {
        world.answers(json!({"direct": "preview", "messages": []}));
        let answer = world.call("POST", format!("{path}/preview")).by(MEMBER).send().await;
        assert_eq!(answer.ok(200), json!({"messages": []}));
        let question = world.question();
        assert_eq!(question["direct"], "preview");
        assert_eq!(user(&question)["ids"], json!({"MOBILE": ["+14155550100"]}), "{path}");
    }
    assert_eq!(user(&world.question())["tags"], json!({"name": "name"}));
}

#[tokio::test]
async fn a_users_profile_is_for_administrators() {
    let world = World::new();
    let webhook = world.webhook().await;
    let push = world.push(&webhook).await;
    for path in [format!("/webhooks/{webhook}"), format!("/pushes/{push}")] {
        world.preview(&path, &json!({"qaid": "u1"})).await.ok(200);
        let question = world.question();
        assert_eq!((user(&question), &question["profile"]), (json!({"qaid": "u1"}), &json!(true)));
        let call = world.call("POST", format!("{path}/preview")).by(MEMBER);
        assert_eq!(call.json(&json!({"qaid": "u1"})).send().await.code(403), "forbidden");
    }
    // The push's own tags are asked for.
    assert_eq!(
        world.question()["pinned"]["push_content"]["variables"][0]["source"],
        json!({"tag": "first name"})
    );
    let id_types = |question: &Value| question["pinned"]["push_content"]["id_types"].clone();
    assert_eq!(id_types(&world.question()), json!(["MOBILE"]));
    // A webhook alone says which types it takes, not which of them is sent.
    let disabled = json!({"display_name": "Mobile phone", "priority": 2, "enabled": false});
    world.call("PUT", "/id-types/MOBILE").json(&disabled).send().await.ok(200);
    world.preview(&format!("/webhooks/{webhook}"), &json!({"qaid": "u1"})).await.ok(200);
    assert_eq!(id_types(&world.question()), json!(["EMAIL"]));
    let disabled = json!({"display_name": "E-mail", "priority": 3, "enabled": false});
    world.call("PUT", "/id-types/EMAIL").json(&disabled).send().await.ok(200);
    let refused = world.preview(&format!("/webhooks/{webhook}"), &json!({"qaid": "u1"})).await;
    assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["qaid"]));
}

#[tokio::test]
async fn an_events_attributes_are_given_for_a_preview_beside_the_profile_too() {
    let world = World::new();
    let mut input = push(&world.webhook().await);
    input["content"]["started_by"] = json!({"event": {"name": "order_paid"}});
    input["content"]["values"]["greeting"] = json!("Dear ${name}, order ${order}");
    let order = json!({"name": "order", "source": {"attribute": "first name"}, "when_empty": "skip_user"});
    input["content"]["variables"].as_array_mut().unwrap().push(order);
    let id = world.call("POST", "/pushes").json(&input).send().await.id();
    let path = format!("/pushes/{id}");
    let asked = async |input: Value| {
        world.preview(&path, &input).await.ok(200);
        let question = world.question();
        (user(&question)["tags"].clone(), question["pinned"]["push_content"]["variables"].clone())
    };
    let (tags, _) = asked(json!({"variables": {"name": "Ann", "order": "17"}})).await;
    assert_eq!(tags, json!({"name": "Ann", "order": "17"}));
    let (tags, variables) = asked(json!({"qaid": "u1", "variables": {"order": "17"}})).await;
    assert_eq!(variables[0]["source"], json!({"tag": "first name"}), "it is in the profile");
    let tag = variables[1]["source"]["tag"].as_str().unwrap();
    assert_eq!(tags, json!({tag: "17"}));
    assert!(tag.starts_with(char::is_control), "no tag of a profile is called so");
    assert_eq!(asked(json!({"qaid": "u1"})).await.0, json!({tag: ""}), "none is made up for a real user");
}

#[tokio::test]
async fn all_faults_of_a_test_are_told_at_once_and_nothing_is_asked() {
    let world = World::new();
    let webhook = world.webhook().await;
    let push = world.push(&webhook).await;
    let long = "x".repeat(4097);
    let input = json!({"id": {"type": "OAID", "value": long}, "values": {"cupon": "B10"}});
    let refused = world.test(&format!("/webhooks/{webhook}"), &input).await;
    assert_eq!(refused.code(400), "invalid");
    let mut fields = refused.fields();
    fields.sort_unstable();
    assert_eq!(fields, ["id.type", "id.value", "values.coupon", "values.cupon"]);

    let input = json!({"id": {"type": "EMAIL", "value": ""}, "variables": {"nmae": "Ann", "name": long}});
    let refused = world.test(&format!("/pushes/{push}"), &input).await;
    let mut fields = refused.fields();
    fields.sort_unstable();
    assert_eq!(fields, ["id.type", "id.value", "variables.name", "variables.nmae"]);
    let hints: Vec<_> = refused.body["errors"].as_array().unwrap().iter().map(|e| &e["hint"]).collect();
    assert!(hints.contains(&&json!("did you mean `name`?")));

    let both = json!({"qaid": "u1", "id": {"type": "MOBILE", "value": "1"}, "variables": {"name": "Ann"}});
    let refused = world.preview(&format!("/pushes/{push}"), &both).await;
    assert_eq!(refused.fields(), ["id", "variables.name"]);
    assert!(world.deliver.questions.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_test_that_passed_is_known_of_this_content_alone() {
    let world = World::new();
    let id = world.webhook().await;
    let path = format!("/webhooks/{id}");
    let input = json!({"id": {"type": "MOBILE", "value": "1"}, "values": {"coupon": "B10"}});
    world.answers(tested(false));
    world.test(&path, &input).await.ok(200);
    assert!(!world.is_tested(&id).await);
    world.answers(tested(true));
    world.test(&path, &input).await.ok(200);
    assert!(world.is_tested(&id).await);

    let mut changed = webhook("Coupons");
    changed["limits"] = json!({"requests_per_second": 1});
    world.call("PUT", &path).json(&changed).send().await.ok(200);
    assert!(world.is_tested(&id).await, "the content is the same");
    changed["content"]["url"] = json!("https://crm.example.com/other/{id}");
    world.call("PUT", &path).json(&changed).send().await.ok(200);
    assert!(!world.is_tested(&id).await);
}

#[tokio::test]
async fn tests_of_a_webhook_come_once_a_second_at_most() {
    let world = World::new();
    let id = world.webhook().await;
    let push = world.push(&id).await;
    world.answers(tested(true));
    let mobile = json!({"id": {"type": "MOBILE", "value": "1"}});
    let test = async || world.call("POST", format!("/pushes/{push}/test")).json(&mobile).send().await;
    test().await.ok(200);
    world.clock.advance(Duration::from_millis(999));
    assert_eq!(test().await.code(429), "too_many_tests");
    assert_eq!(world.deliver.questions.lock().unwrap().len(), 1);
    world.clock.advance(Duration::from_millis(1));
    test().await.ok(200);
}

#[tokio::test]
async fn a_test_is_a_log_for_those_who_want_text() {
    let world = World::new();
    let id = world.webhook().await;
    world.answers(tested(false));
    let input = json!({"id": {"type": "MOBILE", "value": "1"}, "values": {"coupon": "B10"}});
    let both = world
        .call("POST", format!("/webhooks/{id}/test"))
        .header("accept", "application/json, text/plain, */*");
    both.json(&input).send().await.ok(200);
    world.clock.advance(Duration::from_secs(1));
    let call = world.call("POST", format!("/webhooks/{id}/test")).header("accept", "text/plain;q=1, */*");
    let answer = call.json(&input).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    let disposition = answer.headers["content-disposition"].to_str().unwrap();
    assert!(disposition.starts_with("attachment; filename=\"test-whk_"), "{disposition}");
    let text = String::from_utf8(answer.bytes.to_vec()).unwrap().replace(&id, "whk_…");
    expect_test::expect![[r"
        Test send at 2027-01-15T08:00:01.000Z through whk_…, version 1
        A real send: exhausted (exhausted_status), when further tries have ended as this one
        Failure: the receiver answered with status 503
        What to do: look into its log

        > POST https://crm.example.com/coupons/x
        > webhook-signature: [masked]
        >
        > {
        > }

        < 503
        < x-a: b
        <
        < busy

        DNS               -
        connect           1.234 ms
        TLS               -
        first byte        0.050 ms
        total          2000.001 ms
    "]]
    .assert_eq(&text);
}

#[tokio::test]
async fn a_preview_that_does_not_show_all_messages_says_how_many_there_are() {
    let world = World::new();
    let push = world.push(&world.webhook().await).await;
    world.answers(json!({"direct": "preview", "messages": [], "count": 50}));
    let answer = world.call("POST", format!("/pushes/{push}/preview")).send().await.ok(200);
    assert_eq!(answer, json!({"messages": [], "count": 50}));
}

#[tokio::test]
async fn a_deliver_that_fails_is_our_fault() {
    let world = World::new();
    let id = world.webhook().await;
    let preview = async || world.call("POST", format!("/webhooks/{id}/preview")).send().await;
    assert_eq!(preview().await.code(500), "internal");
    world.answers(json!({"direct": "unavailable"}));
    assert_eq!(preview().await.code(503), "unavailable");
    world.answers(tested(true));
    assert_eq!(preview().await.code(500), "internal");
}

#[tokio::test]
async fn a_push_that_no_longer_fits_is_not_tested() {
    let world = World::new();
    let id = world.webhook().await;
    let push_id = world.push(&id).await;
    let mut changed = webhook("Coupons");
    changed["id_types"] = json!(["EMAIL"]);
    world.call("PUT", format!("/webhooks/{id}")).json(&changed).send().await.ok(200);
    let refused = world.preview(&format!("/pushes/{push_id}"), &json!({})).await;
    assert_eq!(refused.code(409), "push_outdated");
    let mut own = push(&id);
    own["content"]["id_types"] = json!(["EMAIL"]);
    world.call("PUT", format!("/pushes/{push_id}")).json(&own).send().await.ok(200);
    world.preview(&format!("/pushes/{push_id}"), &json!({})).await.ok(200);
    assert_eq!(user(&world.question())["ids"], json!({"EMAIL": ["member@example.com"]}));
}
