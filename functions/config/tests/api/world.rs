//! A deployment in memory, and callers with tokens.

use std::{
    collections::BTreeMap,
    sync::{Arc, Barrier, Mutex},
    time::Duration,
};

use axum::Router;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use config::{Access, Ports, Settings, router};
use fanhook_core::{id::RunId, time::Millis};
use fanhook_lambda::{clock::ManualClock, random::SystemRandom};
use fanhook_store::{
    endpoints,
    memory::{MemoryDirect, MemoryObjects, MemoryQueue, MemorySecrets, MemoryTable},
    ports::{Objects, Table},
    runs::{self, Run},
};
use lambda_http::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{described, repeating::Repeating};

pub(crate) const START: Millis = Millis(1_800_000_000_000);
pub(crate) const DAY: Duration = Duration::from_hours(24);

/// Claims of a token.
#[derive(Clone, Copy)]
pub(crate) struct Token {
    pub(crate) person: &'static str,
    pub(crate) workspaces: &'static str,
    pub(crate) groups: &'static str,
}

pub(crate) const ADMIN: Token = Token { person: "admin", workspaces: "acme", groups: "[workspace-admin]" };
pub(crate) const MARKETER: Token =
    Token { person: "marketer", workspaces: "acme", groups: "[member webhook]" };
pub(crate) const MEMBER: Token = Token { person: "member", workspaces: "acme", groups: "[member]" };
pub(crate) const OTHER: Token =
    Token { person: "other", workspaces: "rival", groups: "[organization-admin]" };

pub(crate) struct World {
    pub(crate) config: Arc<MemoryTable>,
    pub(crate) ledger: Arc<MemoryTable>,
    pub(crate) objects: Arc<MemoryObjects>,
    pub(crate) fanout: Arc<MemoryQueue>,
    pub(crate) secrets: Arc<MemorySecrets>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) deliver: Arc<Deliver>,
    router: Router,
}

/// What is asked of `deliver`, and what it answers; none: it fails.
pub(crate) struct Deliver {
    pub(crate) questions: Mutex<Vec<Value>>,
    pub(crate) answer: Mutex<Option<Value>>,
    /// How long each answer takes.
    pub(crate) takes: Mutex<Duration>,
    clock: Arc<ManualClock>,
}

impl Deliver {
    fn function(self: &Arc<Self>) -> MemoryDirect {
        let deliver = Arc::clone(self);
        MemoryDirect::new(move |question| {
            deliver.questions.lock().unwrap().push(serde_json::from_str(&question).unwrap());
            deliver.clock.advance(*deliver.takes.lock().unwrap());
            let answer = deliver.answer.lock().unwrap().as_ref().map(Value::to_string);
            Box::pin(std::future::ready(answer))
        })
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    pub(crate) body: Value,
}

impl Answer {
    /// The problem's code, where the status is as expected.
    pub(crate) fn code(&self, status: u16) -> &str {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], status);
        for member in ["type", "title", "detail", "code"] {
            assert!(self.body[member].as_str().is_some_and(|text| !text.is_empty()), "{}", self.body);
        }
        self.body["code"].as_str().unwrap()
    }

    /// The faults' fields.
    pub(crate) fn fields(&self) -> Vec<&str> {
        self.body["errors"].as_array().unwrap().iter().map(|fault| fault["field"].as_str().unwrap()).collect()
    }

    /// The body, where the status is as expected.
    pub(crate) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    pub(crate) fn id(self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("{}", self.body)).to_owned()
    }
}

pub(crate) struct Call<'a> {
    world: &'a World,
    method: &'static str,
    path: String,
    token: Option<Token>,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    /// Whether the body stands in base64, as API Gateway writes what may be no text.
    encoded: bool,
}

impl Call<'_> {
    pub(crate) fn by(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    pub(crate) fn without_token(mut self) -> Self {
        self.token = None;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn text(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(crate) fn bytes(mut self, body: &[u8]) -> Self {
        self.encoded = true;
        self.text(BASE64_STANDARD.encode(body))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.text(body.to_string())
    }

    pub(crate) async fn send(self) -> Answer {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let claims = |token: Token| json!({"custom:workspaces": token.workspaces, "cognito:groups": token.groups, "sub": token.person});
        let authorizer = self.token.map(|token| json!({"jwt": {"claims": claims(token), "scopes": null}}));
        let mut context = json!({
            "accountId": "0", "apiId": "a1b2", "domainName": "api.example.com", "domainPrefix": "api", "requestId": "r",
            "http": {"method": self.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"},
            "routeKey": "$default", "stage": "$default", "time": "", "timeEpoch": 0
        });
        if let Some(authorizer) = authorizer {
            context["authorizer"] = authorizer;
        }
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": self.headers,
            "requestContext": context, "body": self.body, "isBase64Encoded": self.encoded
        });
        let request = lambda_http::request::from_str(&event.to_string()).expect("an event");
        let response = self.world.router.clone().oneshot(request).await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = headers.get("content-type").is_some_and(|kind| kind == "text/plain; charset=utf-8");
        let body = if bytes.is_empty() || text {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).expect("JSON")
        };
        let answer = Answer { status, headers, bytes, body };
        described::hold(self.method, path, self.body.as_deref(), &answer);
        answer
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::over(MemoryTable::new(), MemoryTable::new(), MemoryQueue::new(), ManualClock::new(START))
    }

    /// Conditional writes lose their first answer, and the SDK makes them again.
    pub(crate) fn repeating() -> Self {
        let (config, ledger) = (MemoryTable::new(), MemoryTable::new());
        Self::through(config, ledger, MemoryQueue::new(), ManualClock::new(START), |table| {
            Arc::new(Repeating(table))
        })
    }

    pub(crate) fn over(
        config: MemoryTable,
        ledger: MemoryTable,
        fanout: MemoryQueue,
        clock: ManualClock,
    ) -> Self {
        Self::through(config, ledger, fanout, clock, |table| table)
    }

    fn through(
        config: MemoryTable,
        ledger: MemoryTable,
        fanout: MemoryQueue,
        clock: ManualClock,
        seen: impl Fn(Arc<MemoryTable>) -> Arc<dyn Table>,
    ) -> Self {
        let (config, ledger, fanout, clock) =
            (Arc::new(config), Arc::new(ledger), Arc::new(fanout), Arc::new(clock));
        let profiles = Arc::new(MemoryTable::without_sort_key());
        let (objects, secrets) = (Arc::new(MemoryObjects::new()), Arc::new(MemorySecrets::new()));
        let deliver = Arc::new(Deliver {
            questions: Mutex::default(),
            answer: Mutex::default(),
            takes: Mutex::default(),
            clock: clock.clone(),
        });
        let router = router(Ports {
            config: seen(config.clone()),
            profiles: seen(profiles),
            ledger: seen(ledger.clone()),
            objects: objects.clone(),
            fanout: fanout.clone(),
            secrets: secrets.clone(),
            deliver: Arc::new(deliver.function()),
            clock: clock.clone(),
            random: Arc::new(SystemRandom),
            settings: Settings {
                allow_http: false,
                allowed: "127.0.0.1:9900".parse().unwrap(),
                due_ahead: Duration::from_mins(2),
                retention: 90 * DAY,
                longest_run: 29 * DAY,
                access: Access {
                    workspaces_claim: "custom:workspaces".to_owned(),
                    roles_claim: "cognito:groups".to_owned(),
                    organization_admin: "organization-admin".to_owned(),
                    workspace_admin: "workspace-admin".to_owned(),
                    member: "member".to_owned(),
                    webhook: "webhook".to_owned(),
                },
            },
        });
        Self { config, ledger, objects, fanout, secrets, clock, deliver, router }
    }

    /// A request; by an administrator, unless said otherwise.
    pub(crate) fn call(&self, method: &'static str, path: impl Into<String>) -> Call<'_> {
        Call {
            world: self,
            method,
            path: path.into(),
            token: Some(ADMIN),
            headers: BTreeMap::new(),
            body: None,
            encoded: false,
        }
    }

    /// The same world a moment later: changes are in order by their times.
    pub(crate) fn later(&self) -> &Self {
        self.clock.advance(Duration::from_millis(1));
        self
    }

    pub(crate) async fn get(&self, path: impl Into<String>) -> Value {
        self.call("GET", path).send().await.ok(200)
    }

    pub(crate) async fn webhook(&self) -> String {
        self.call("POST", "/webhooks").json(&webhook("Coupons")).send().await.id()
    }

    pub(crate) async fn push(&self, webhook: &str) -> String {
        self.call("POST", "/pushes").json(&push(webhook)).send().await.id()
    }

    /// An upload whose file is there.
    pub(crate) async fn audience(&self) -> String {
        let id = self.call("POST", "/uploads").json(&json!({"kind": "audience"})).send().await.id();
        self.objects.put(&format!("audiences/acme/{id}"), Bytes::from_static(b"a\nb\n")).await.unwrap();
        id
    }

    pub(crate) fn start(&self, push: &str, key: &str, uploads: &[&str]) -> Call<'_> {
        let call = self.call("POST", format!("/pushes/{push}/runs"));
        call.header("idempotency-key", key).json(&json!({"uploads": uploads}))
    }

    /// A run that has just been started.
    pub(crate) async fn run(&self) -> String {
        let push = self.push(&self.webhook().await).await;
        self.start(&push, "k", &[&self.audience().await]).send().await.id()
    }

    /// A test send through a webhook passes.
    pub(crate) async fn pass_test(&self, webhook: &str) {
        *self.deliver.answer.lock().unwrap() = Some(json!({
            "direct": "test", "passed": true, "verdict": {"outcome": "delivered", "reason": "delivered", "tried_again": false},
        }));
        let input = json!({"id": {"type": "MOBILE", "value": "1"}, "values": {"coupon": "B10"}});
        self.call("POST", format!("/webhooks/{webhook}/test")).json(&input).send().await.ok(200);
    }

    /// A webhook's endpoint answered 410, and another time that it wants to be left alone.
    pub(crate) async fn shut(&self, webhook: &str) {
        let (ledger, id) = (&*self.ledger, webhook.parse().unwrap());
        endpoints::park(ledger, id, START).await.unwrap();
        endpoints::hold(ledger, id, START + DAY).await.unwrap();
    }

    /// Whether a webhook's endpoint is as [`Self::shut`] left it; else it is wholly open.
    pub(crate) async fn is_shut(&self, webhook: &str) -> bool {
        let endpoint = endpoints::get(&*self.ledger, webhook.parse().unwrap()).await.unwrap().unwrap();
        let shut = (endpoint.parked, endpoint.not_before);
        assert!([(true, Some(START + DAY)), (false, None)].contains(&shut), "{shut:?}");
        endpoint.parked
    }

    /// Runs of a webhook may be as large as they like.
    pub(crate) async fn prove(&self, webhook: &str) {
        self.pass_test(webhook).await;
        let statement = json!({"text": "it is ours"});
        self.call("POST", format!("/webhooks/{webhook}/consent")).json(&statement).send().await.ok(201);
    }

    pub(crate) async fn stored_run(&self, id: &str) -> Run {
        let id: RunId = id.parse().unwrap();
        runs::get(&*self.ledger, id).await.unwrap().unwrap()
    }
}

/// Sends calls at the same moment, each from a thread of its own, so that they really meet each other.
pub(crate) fn at_once(calls: Vec<Call<'_>>) -> Vec<Answer> {
    let barrier = Barrier::new(calls.len());
    let send = |call: Call<'_>| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        barrier.wait();
        runtime.block_on(call.send())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = calls.into_iter().map(|call| scope.spawn(|| send(call))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

pub(crate) fn webhook(name: &str) -> Value {
    json!({
        "name": name,
        "content": {
            "url": "https://crm.example.com/coupons/{id}",
            "parameters": [
                {"name": "coupon", "type": "character", "required": true},
                {"name": "greeting", "type": "text"},
            ],
            "body": {"kind": "json", "template": r#"{"to":"{id}","coupon":"{coupon}","text":"{greeting}"}"#},
        },
        "id_types": ["MOBILE", "EMAIL"],
        "limits": {"requests_per_second": 50},
    })
}

pub(crate) fn push(webhook: &str) -> Value {
    json!({
        "name": "Birthday",
        "webhook": webhook,
        "content": {
            "id_types": ["MOBILE"],
            "values": {"coupon": "B10", "greeting": "Dear ${name}"},
            "variables": [{"name": "name", "source": {"tag": "first name"}, "when_empty": {"default": "member"}}],
        },
    })
}
