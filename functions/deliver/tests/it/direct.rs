//! Questions: previews and test sends.

use std::{sync::Arc, time::Duration};

use deliver::{Event, answer};
use fanhook_core::{
    direct::{
        Answer, Fetch, Handshake, MASKED, Message, Preview, Question, Shaken, ShownHeader, ShownRequest,
        Tested,
    },
    limits,
    outcome::{Outcome, Reason},
    push::{IdPolicy, WhenEmpty},
    retry::Attempt,
    webhook::Authentication,
};
use fanhook_lambda::clock::Clock;
use fanhook_store::{
    contract, endpoints,
    memory::{Fault, MemoryDirect, Operation},
    ports::SecretContext,
    profiles, runs,
};
use serde_json::value::RawValue;

use crate::{
    endpoint::{Reply, Seen},
    oauth::oauth,
    world::{KEY, Setup, TIMEOUT, World, line},
};

impl World {
    /// What the run pinned, for one user.
    async fn message(&self, recipient: &[u8]) -> Box<Message> {
        let pinned = runs::pinned(&*self.ledger, self.run).await.unwrap().unwrap();
        let settings = endpoints::get(&*self.ledger, self.webhook).await.unwrap().unwrap().settings;
        let recipient = String::from_utf8(recipient.to_vec()).unwrap();
        let end = self.clock.now() + TIMEOUT;
        Box::new(Message { pinned, settings, recipient, profile: false, end })
    }

    async fn ask(&self, question: Question) -> Answer {
        let answer = answer(&self.ports, question, self.clock.now() + TIMEOUT).await.unwrap();
        // As it passes between the functions.
        serde_json::from_str(&serde_json::to_string(&answer).unwrap()).unwrap()
    }

    async fn preview(&self, message: Box<Message>) -> Vec<Preview> {
        let Answer::Preview { messages, count: None } = self.ask(Question::Preview(message)).await else {
            panic!()
        };
        messages
    }

    async fn test(&self, recipient: &[u8]) -> Tested {
        let question = Question::Test(self.message(recipient).await);
        let Answer::Test(tested) = self.ask(question).await else { panic!() };
        *tested
    }
}

impl World {
    async fn shake(&self, requests_per_minute: Option<u64>) -> Shaken {
        let message = *self.message(&line(0)).await;
        let handshake = Handshake { message, origin: "api.example.com".to_owned(), requests_per_minute };
        let Answer::Handshake(shaken) = self.ask(Question::Handshake(Box::new(handshake))).await else {
            panic!()
        };
        *shaken
    }
}

#[tokio::test]
async fn a_handshake_asks_the_address_and_sends_nothing_else() {
    let world = World::new(secured()).await;
    world.endpoint.answer(Reply::Headers(
        200,
        vec![("webhook-allowed-origin", "API.example.com"), ("webhook-allowed-rate", "100")],
    ));
    let shaken = world.shake(Some(3_000)).await;
    assert_eq!((shaken.allowed, shaken.requests_per_minute, shaken.failure), (true, Some(100), None));
    let seen = world.endpoint.seen()[0].clone();
    let request = shaken.request.unwrap();
    assert_eq!((request.method.as_str(), &request.url), ("OPTIONS", &seen.url));
    assert_eq!((seen.body.as_str(), seen.headers.len()), ("", 3));
    assert!(seen.header("user-agent").is_some());
    assert_eq!(seen.header("webhook-request-origin"), Some("api.example.com"));
    assert_eq!(seen.header("webhook-request-rate"), Some("3000"));
}

#[tokio::test]
async fn a_handshake_opens_no_secret() {
    let world = World::new(secured()).await;
    world.fail(|operation| match operation {
        Operation::Decrypt(_) => Fault::Before,
        _ => Fault::None,
    });
    world.endpoint.answer(Reply::Headers(200, vec![("webhook-allowed-origin", "*")]));
    assert!(world.shake(None).await.allowed);
}

#[tokio::test]
async fn an_endpoint_agrees_only_by_naming_who_asks() {
    let origin = |value| ("webhook-allowed-origin", value);
    let rate = |value| ("webhook-allowed-rate", value);
    let table = [
        (Reply::Headers(200, vec![origin("*")]), Ok(None)),
        (Reply::Headers(204, vec![origin("*"), rate("*")]), Ok(None)),
        (Reply::Headers(200, vec![origin("api.example.com"), rate(" 30 ")]), Ok(Some(30))),
        (Reply::Headers(200, vec![origin("*"), rate("99999999999")]), Ok(Some(u32::MAX))),
        (Reply::Headers(200, vec![]), Err("no `WebHook-Allowed-Origin`")),
        (Reply::Headers(200, vec![origin("other.example.com")]), Err("somebody else")),
        (Reply::Headers(405, vec![origin("*")]), Err("status 405")),
        (Reply::Headers(302, vec![origin("*")]), Err("status 302")),
        (Reply::Headers(200, vec![origin("*"), rate("0")]), Err("neither")),
        (Reply::Headers(200, vec![origin("*"), rate("fast")]), Err("neither")),
        (Reply::Attempt(Attempt::Tls), Err("TLS")),
    ];
    for (reply, wanted) in table {
        let world = World::new(secured()).await;
        world.endpoint.answer(reply.clone());
        let shaken = world.shake(None).await;
        assert_eq!(shaken.allowed, wanted.is_ok(), "{reply:?}");
        match wanted {
            Ok(rate) => assert_eq!(shaken.requests_per_minute, rate, "{reply:?}"),
            Err(part) => assert!(shaken.failure.unwrap().detail.contains(part), "{reply:?}"),
        }
    }
}

fn secured() -> Setup {
    Setup {
        chunks: vec![1],
        url: "https://crm.example/coupons/{id}?type={id_type}",
        authentication: |ciphertext| Authentication::Bearer { ciphertext },
        ..Setup::default()
    }
}

fn value<'a>(request: &'a ShownRequest, name: &str) -> &'a str {
    &request.headers.iter().find(|header| header.name == name).unwrap().value
}

fn token(answer: &'static str, status: u16) -> impl Fn(&Seen, usize) -> (Duration, Reply) {
    move |_, _| (Duration::from_millis(20), Reply::Body(status, answer.to_owned()))
}

const TOKEN: &str = r#"{"access_token":"t0ken-of-the-crm","token_type":"bearer"}"#;

#[tokio::test]
async fn a_preview_is_byte_for_byte_what_a_run_sends() {
    for authentication in [secured().authentication, oauth] {
        preview_and_send(World::new(Setup { authentication, ..secured() }).await).await;
    }
}

async fn preview_and_send(world: World) {
    world.endpoint.tokens(token(TOKEN, 200));
    let previews = world.preview(world.message(&line(0)).await).await;
    assert!(world.endpoint.seen().is_empty() && world.endpoint.asked().is_empty(), "a preview sends nothing");
    world.drive().await;
    let seen = world.endpoint.seen()[0].clone();
    let [Preview { request: Some(request), verdict: None, failure: None }] = &previews[..] else {
        panic!("{previews:?}")
    };
    assert_eq!((&request.url, &request.body), (&seen.url, &seen.body));
    assert_eq!(request.method, "POST");
    let masked = ["webhook-timestamp", "webhook-signature", "authorization"];
    let sent: Vec<ShownHeader> = seen
        .headers
        .iter()
        .map(|(name, value)| {
            let value = if masked.contains(&name.as_str()) { MASKED } else { value };
            ShownHeader { name: name.clone(), value: value.to_owned() }
        })
        .collect();
    assert_eq!(request.headers, sent);
}

#[tokio::test]
async fn a_test_is_sent_as_a_run_sends_and_shows_no_secret_even_where_the_receiver_gives_it_back() {
    let world = World::new(secured()).await;
    let echo = format!("you are Bearer {KEY}");
    world.endpoint.answer(Reply::Body(401, echo));
    let tested = world.test(&line(0)).await;
    let seen = world.endpoint.seen()[0].clone();
    assert_eq!(seen.header("authorization"), Some(&*format!("Bearer {KEY}")));
    assert!(seen.header("webhook-signature").is_some_and(|signature| signature.starts_with("v1,")));
    let request = tested.request.as_ref().unwrap();
    assert_eq!((&request.url, &request.body), (&seen.url, &seen.body));
    assert_eq!(value(request, "webhook-timestamp"), seen.header("webhook-timestamp").unwrap());
    assert_eq!((value(request, "authorization"), value(request, "webhook-signature")), (MASKED, MASKED));
    let shown = serde_json::to_string(&tested).unwrap();
    assert!(!shown.contains(KEY), "{shown}");
    assert_eq!(tested.answer.unwrap().status, 401);
    assert!(!tested.passed);
    assert_eq!(tested.verdict.reason, Reason::Status);
    assert!(tested.failure.unwrap().hint.contains("authentication"));
    assert_eq!(tested.times.unwrap().total_us, 50_000);
}

#[tokio::test]
async fn a_test_shows_the_beginning_of_an_answer() {
    for (length, shown) in [(limits::SHOWN, limits::SHOWN), (limits::SHOWN + 1, limits::SHOWN)] {
        let world = World::new(secured()).await;
        world.endpoint.answer(Reply::Body(200, "x".repeat(length)));
        assert_eq!(world.test(&line(0)).await.answer.unwrap().body.len(), shown);
    }
}

#[tokio::test]
async fn a_test_tells_what_a_real_send_would_come_to_and_what_to_do() {
    let table = [
        (Reply::Status(204), Outcome::Delivered, Reason::Delivered, false, ""),
        (Reply::Status(302), Outcome::Refused, Reason::Redirect, false, "final address"),
        (Reply::Status(404), Outcome::Refused, Reason::Status, false, "path"),
        (Reply::Status(405), Outcome::Refused, Reason::Status, false, "content.method"),
        (Reply::Status(410), Outcome::Refused, Reason::EndpointGone, false, "park"),
        (Reply::Status(415), Outcome::Refused, Reason::Status, false, "content type"),
        (Reply::Status(422), Outcome::Refused, Reason::Status, false, "body"),
        (Reply::Status(429), Outcome::Exhausted, Reason::ExhaustedStatus, true, "limits"),
        (Reply::Status(503), Outcome::Exhausted, Reason::ExhaustedStatus, true, "log"),
        (Reply::Attempt(Attempt::Blocked), Outcome::Refused, Reason::BlockedAddress, false, "public https"),
        (
            Reply::Attempt(Attempt::Unresolved),
            Outcome::Exhausted,
            Reason::ExhaustedConnection,
            true,
            "typing errors",
        ),
        (Reply::Attempt(Attempt::Tls), Outcome::Exhausted, Reason::ExhaustedTls, true, "certificate"),
        (
            Reply::Attempt(Attempt::Protocol),
            Outcome::Exhausted,
            Reason::ExhaustedProtocol,
            true,
            "another protocol",
        ),
        (
            Reply::Attempt(Attempt::Disconnected),
            Outcome::Exhausted,
            Reason::ExhaustedConnection,
            true,
            "closed",
        ),
    ];
    for (reply, outcome, reason, again, hint) in table {
        let world = World::new(secured()).await;
        world.endpoint.answer(reply.clone());
        let tested = world.test(&line(0)).await;
        let verdict = tested.verdict;
        assert_eq!(
            (verdict.outcome, verdict.reason, verdict.tried_again),
            (outcome, reason, again),
            "{reply:?}"
        );
        assert_eq!(
            (tested.passed, tested.failure.is_none()),
            (hint.is_empty(), hint.is_empty()),
            "{reply:?}"
        );
        assert!(tested.failure.is_none_or(|failure| failure.hint.contains(hint)), "{reply:?}");
    }
}

#[tokio::test]
async fn a_test_is_judged_by_the_success_rule_and_holds_one_user() {
    let rule = serde_json::json!({
        "pointer": "/code", "success": [0], "retry": [1],
        "results": {"pointer": "/results", "id": "/who", "missing": "never"},
    });
    for (code, reason, again) in
        [(0, Reason::Delivered, false), (1, Reason::ExhaustedAnswer, true), (2, Reason::Answer, false)]
    {
        let body = Some(serde_json::json!({"kind": "list"}));
        let world = World::new(Setup { body, success: Some(rule.clone()), ..Setup::default() }).await;
        world.endpoint.script(move |seen, _| {
            let results = serde_json::json!({"results": [{"who": seen.webhook_id, "code": code}]});
            (Duration::from_millis(50), Reply::Body(200, results.to_string()))
        });
        let previews = world.preview(world.message(&line(0)).await).await;
        let tested = world.test(&line(0)).await;
        let verdict = tested.verdict;
        assert_eq!((verdict.reason, verdict.tried_again, tested.passed), (reason, again, code == 0));
        assert!(tested.failure.is_none_or(|failure| failure.hint.contains("success rule")));
        let seen = world.endpoint.seen()[0].clone();
        assert_eq!(previews[0].request.as_ref().unwrap().body, seen.body);
        assert!(seen.body.contains(&format!(r#""delivery":"{}""#, seen.webhook_id)), "{}", seen.body);
    }
}

#[tokio::test]
async fn a_test_waits_for_twenty_seconds_at_most() {
    let world = World::new(Setup { deadline_seconds: 30, ..secured() }).await;
    world.endpoint.script(|_, _| (Duration::from_secs(25), Reply::Status(200)));
    let began = world.clock.now();
    let tested = world.test(&line(0)).await;
    assert_eq!(tested.verdict.reason, Reason::ExhaustedTimeout);
    assert_eq!(world.clock.now().since(began), Duration::from_secs(20));
    assert!(tested.failure.unwrap().hint.contains("deadline_seconds"));
}

#[tokio::test]
async fn a_test_ends_while_who_asks_still_waits_and_is_not_begun_where_nobody_would_hear_of_it() {
    let world = World::new(secured()).await;
    world.endpoint.script(|_, _| (Duration::from_secs(9), Reply::Status(200)));
    let question = async |left| {
        let end = world.clock.now() + left;
        Question::Test(Box::new(Message { end, ..*world.message(&line(0)).await }))
    };
    let began = world.clock.now();
    let short = question(Duration::from_secs(5)).await;
    let Answer::Test(tested) = world.ask(short).await else { panic!() };
    assert_eq!(tested.verdict.reason, Reason::ExhaustedTimeout);
    assert_eq!(world.clock.now().since(began), Duration::from_secs(4));
    let late = question(Duration::from_secs(1)).await;
    assert_eq!(world.ask(late).await, Answer::Unavailable {});
    assert_eq!(world.endpoint.seen().len(), 1);
}

#[tokio::test]
async fn who_would_not_be_sent_to_is_not_tested_and_told_why() {
    let world = World::new(Setup::default()).await;
    let nobody = b"{\"qaid\":\"u\",\"ids\":{\"MOBILE\":[\"no number\"]}}\n";
    let tested = world.test(nobody).await;
    assert_eq!((tested.verdict.reason, tested.request), (Reason::NoId, None));
    assert!(!tested.passed && tested.failure.is_some());
    assert!(world.endpoint.seen().is_empty());
    let previews = world.preview(world.message(nobody).await).await;
    assert_eq!(previews[0].verdict.map(|verdict| verdict.outcome), Some(Outcome::NoId));
    assert_eq!((&previews[0].request, &previews[0].failure), (&None, &tested.failure));
}

#[tokio::test]
async fn the_variable_is_named_that_may_not_be_empty() {
    let world = World::new(Setup::default()).await;
    let mut message = world.message(b"{\"qaid\":\"u\",\"ids\":{\"MOBILE\":[\"+4915112345678\"]}}\n").await;
    message.pinned.push_content.variables[0].when_empty = WhenEmpty::SkipUser;
    let previews = world.preview(message.clone()).await;
    let Answer::Test(tested) = world.ask(Question::Test(message)).await else { panic!("it was a test") };
    for failure in [&previews[0].failure, &tested.failure] {
        assert_eq!(failure.as_ref().unwrap().detail, "${name} is empty");
    }
    assert_eq!((tested.verdict.reason, world.endpoint.seen().len()), (Reason::EmptyValue, 0));
}

#[tokio::test]
async fn our_own_fault_is_told_as_such() {
    let world = World::new(Setup::default()).await;
    world.endpoint.answer(Reply::OurFault);
    let question = Question::Test(world.message(&line(0)).await);
    assert_eq!(world.ask(question).await, Answer::Unavailable {});
}

#[tokio::test]
async fn a_profile_is_read_only_where_the_question_allows_it() {
    let world = World::new(Setup::default()).await;
    let row =
        serde_json::json!({"updated": 1, "ids": {"MOBILE": ["+4915112345678"]}, "tags": {"name": "Zoe"}});
    let source = serde_json::from_value(row).unwrap();
    let qaid = "zoe".parse().unwrap();
    let crm = "crm".parse().unwrap();
    profiles::put_source(&*world.profiles, &world.workspace, &qaid, &crm, &source).await.unwrap();
    let mut message = world.message(b"{\"qaid\":\"zoe\"}\n").await;
    assert_eq!(world.preview(message.clone()).await[0].request, None);
    message.profile = true;
    let previews = world.preview(message).await;
    let body = &previews[0].request.as_ref().unwrap().body;
    assert_eq!(body, r#"{"to":"+4915112345678","text":"Dear Zoe"}"#);
}

#[tokio::test]
async fn under_policy_all_each_id_is_a_message() {
    let world = World::new(Setup::default()).await;
    let user = b"{\"qaid\":\"u\",\"ids\":{\"MOBILE\":[\"+4915112345678\",\"+4915112345679\"]}}\n";
    let mut message = world.message(user).await;
    message.pinned.push_content.id_policy = IdPolicy::All;
    let previews = world.preview(message).await;
    let requests: Vec<&ShownRequest> =
        previews.iter().map(|preview| preview.request.as_ref().unwrap()).collect();
    assert_eq!(requests.len(), 2);
    assert_ne!(value(requests[0], "webhook-id"), value(requests[1], "webhook-id"));
    assert!(requests[1].body.contains("+4915112345679"));
}

#[tokio::test]
async fn of_more_messages_than_an_answer_holds_the_first_are_shown_whole_and_all_are_counted() {
    let world = World::new(Setup::default()).await;
    let ids: Vec<String> = (0..50).map(|n| format!("+49151{n:08}")).collect();
    let user = serde_json::json!({"qaid": "u", "ids": {"MOBILE": ids}, "tags": {"name": "x".repeat(60_000)}});
    let mut message = world.message(format!("{user}\n").as_bytes()).await;
    message.pinned.push_content.id_policy = IdPolicy::All;
    let answer = world.ask(Question::Preview(message)).await;
    let Answer::Preview { messages, count: Some(50) } = answer else { panic!() };
    assert!(messages.len() > 30 && (messages.len() + 1) * 60_000 > limits::ANSWER - 60_000);
    assert!(serde_json::to_vec(&messages).unwrap().len() <= limits::ANSWER + 100);
    for (message, id) in messages.iter().zip(&ids) {
        let body = &message.request.as_ref().unwrap().body;
        assert!(body.starts_with(&format!(r#"{{"to":"{id}""#)) && body.len() > 60_000);
    }
}

#[tokio::test]
async fn the_function_keeps_the_contract_of_questions() {
    let world = Arc::new(World::new(Setup::default()).await);
    let ask = async |world: &World, question: String| {
        let event = Event::parse(&RawValue::from_string(question).ok()?).ok()?;
        let Event::Direct(question) = event else { return None };
        let answer = answer(&world.ports, question, world.clock.now() + TIMEOUT).await.ok()?;
        serde_json::to_string(&answer).ok()
    };
    let direct = MemoryDirect::new(move |question| {
        let world = Arc::clone(&world);
        // As the platform does it: in a process of its own, more or less.
        let function = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(ask(&world, question))
        });
        Box::pin(std::future::ready(function.join().unwrap()))
    });
    contract::direct(&direct).await;
}

async fn fetch(world: &World, pointer: &str) -> Answer {
    let source = fanhook_core::id::ParameterSourceId::new(world.ports.random.uuid7(world.clock.now()));
    let context = SecretContext::parameter_source(&world.workspace, source);
    let ciphertext = world.ports.secrets.encrypt(&context, &KEY.as_bytes().to_vec().into()).await.unwrap();
    let interface = serde_json::json!({
        "url": "https://shop.example.com/stock?all=1", "method": "POST", "body": "{\"q\":\"{{x}}\"}", "pointer": pointer,
        "headers": [{"name": "x-shop", "value": "web"}],
        "secret_header": {"name": "X-Api-Key", "ciphertext": ciphertext},
    });
    let interface = serde_json::from_value(interface).unwrap();
    let end = world.clock.now() + TIMEOUT;
    world
        .ask(Question::Fetch(Box::new(Fetch { workspace: world.workspace.clone(), source, interface, end })))
        .await
}

#[tokio::test]
async fn an_interface_is_asked_as_it_says_and_gives_the_value_at_its_pointer() {
    let world = World::new(Setup::default()).await;
    world.endpoint.answer(Reply::Body(200, r#"{"stock":[{"left":1.50}]}"#.to_owned()));
    assert_eq!(fetch(&world, "/stock/0/left").await, Answer::Value { value: "1.50".to_owned() });
    let seen = world.endpoint.seen()[0].clone();
    assert_eq!(
        (seen.url.as_str(), seen.body.as_str()),
        ("https://shop.example.com/stock?all=1", r#"{"q":"{x}"}"#)
    );
    assert_eq!((seen.header("x-api-key"), seen.header("x-shop")), (Some(KEY), Some("web")));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert!(seen.header("webhook-signature").is_none());
}

#[tokio::test]
async fn an_interface_that_gives_no_value_is_told_with_what_to_do() {
    let table = [
        (Reply::Body(200, "{}".to_owned()), "pointer"),
        (Reply::Body(200, "<html>".to_owned()), "not JSON"),
        (Reply::Cut(200, r#"{"stock":1}"#.to_owned()), "cut off"),
        (Reply::Body(500, r#"{"stock":1}"#.to_owned()), "status 500"),
        (Reply::Attempt(Attempt::Blocked), "not called"),
        (Reply::Attempt(Attempt::TimedOut), "deadline"),
    ];
    for (reply, part) in table {
        let world = World::new(Setup::default()).await;
        world.endpoint.answer(reply.clone());
        let Answer::NoValue { failure } = fetch(&world, "/stock").await else { panic!("{reply:?}") };
        assert!(failure.detail.contains(part) && !failure.hint.is_empty(), "{failure:?}");
        assert!(!serde_json::to_string(&failure).unwrap().contains(KEY));
    }
    let world = World::new(Setup::default()).await;
    world.endpoint.answer(Reply::OurFault);
    assert_eq!(fetch(&world, "/stock").await, Answer::Unavailable {});
}

#[tokio::test]
async fn a_test_gets_its_access_token_and_replaces_one_that_is_refused() {
    let world = World::new(Setup { authentication: oauth, ..secured() }).await;
    let renewed = |earlier| if earlier == 0 { TOKEN.to_owned() } else { TOKEN.replace("t0ken", "t0ken-2") };
    world.endpoint.tokens(move |_, earlier| (Duration::ZERO, Reply::Body(200, renewed(earlier))));
    world.endpoint.script(|seen, _| {
        let newer = seen.header("authorization") == Some("Bearer t0ken-2-of-the-crm");
        (Duration::from_millis(50), Reply::Status(if newer { 200 } else { 401 }))
    });
    let tested = world.test(&line(0)).await;
    assert!(tested.passed);
    assert_eq!((world.endpoint.asked().len(), world.endpoint.seen().len()), (2, 2));
    assert_eq!(value(&tested.request.unwrap(), "authorization"), MASKED);

    let world = World::new(Setup { authentication: oauth, ..secured() }).await;
    world.endpoint.tokens(token(TOKEN, 200));
    world.endpoint.answer(Reply::Status(401));
    assert_eq!(world.test(&line(0)).await.verdict.reason, Reason::Status);
    assert_eq!(
        (world.endpoint.asked().len(), world.endpoint.seen().len()),
        (2, 1),
        "the same token again is no newer one"
    );
}

#[tokio::test]
async fn a_test_without_an_access_token_says_what_the_token_url_answered_and_what_to_do() {
    let world = World::new(Setup { authentication: oauth, ..secured() }).await;
    world.endpoint.tokens(token(r#"{"error":"invalid_client"}"#, 401));
    let tested = world.test(&line(0)).await;
    assert_eq!(
        (tested.passed, tested.verdict.reason, tested.verdict.tried_again),
        (false, Reason::TokenRefused, true)
    );
    let failure = tested.failure.unwrap();
    assert!(
        failure.detail.contains("status 401") && failure.detail.contains("invalid_client"),
        "{}",
        failure.detail
    );
    assert!(failure.hint.contains("client_id"), "{}", failure.hint);
    assert!(world.endpoint.seen().is_empty() && tested.request.is_none());

    let world = World::new(Setup { authentication: oauth, ..secured() }).await;
    world.endpoint.tokens(|_, _| (Duration::ZERO, Reply::Attempt(Attempt::Disconnected)));
    let tested = world.test(&line(0)).await;
    assert_eq!((tested.verdict.reason, tested.verdict.tried_again), (Reason::ExhaustedToken, true));
    assert!(tested.failure.unwrap().hint.contains("token_url"));
}

#[tokio::test]
async fn a_request_for_a_token_that_the_end_of_a_test_cut_short_tells_a_run_nothing() {
    let world = World::new(Setup { authentication: oauth, ..secured() }).await;
    world.endpoint.tokens(|_, earlier| {
        let answer = TOKEN.replace("t0ken", &format!("t0ken-{earlier}"));
        (Duration::from_secs(if earlier == 1 { 3 } else { 0 }), Reply::Body(200, answer))
    });
    world.endpoint.script(|seen, _| {
        let old = seen.header("authorization") == Some("Bearer t0ken-0-of-the-crm");
        (Duration::from_secs(if old { 8 } else { 0 }), Reply::Status(if old { 401 } else { 200 }))
    });
    assert_eq!(world.test(&line(0)).await.verdict.reason, Reason::ExhaustedToken);
    world.invoke().await;
    world.assert_all(Reason::Delivered).await;
    assert_eq!(world.records().await[0].tries, Some(1));
    assert_eq!(world.endpoint.asked().len(), 3);
}
