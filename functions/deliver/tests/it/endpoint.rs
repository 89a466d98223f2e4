//! A scripted endpoint: what it answers, when, and what it has seen.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use fanhook_core::direct::{Phase, Times};
use fanhook_core::{retry::Attempt, time::Millis};
use fanhook_lambda::clock::{Clock, ManualClock};
use fanhook_outbound::{Ended, Exchange, HeaderMap, Http, OurFault, Request, StatusCode, Watched};

use crate::world::Crash;

/// A request as it was met.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Millis,
    pub(crate) webhook_id: String,
    pub(crate) body: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What a request comes to.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16),
    RetryAfter(u16, String),
    Body(u16, String),
    /// Headers that a watched request sees.
    Headers(u16, Vec<(&'static str, &'static str)>),
    /// An answer of which this is the beginning.
    Cut(u16, String),
    Attempt(Attempt),
    OurFault,
    Panic,
}

type Script = dyn Fn(&Seen, usize) -> (Duration, Reply) + Send + Sync;

/// Address of the endpoint's token endpoint.
pub(crate) const TOKEN_URL: &str = "https://login.example/token";

pub(crate) struct Endpoint {
    clock: Arc<ManualClock>,
    crash: Arc<Crash>,
    seen: Mutex<Vec<Seen>>,
    /// Requests for tokens.
    asked: Mutex<Vec<Seen>>,
    under_way: AtomicUsize,
    most: AtomicUsize,
    script: Mutex<Arc<Script>>,
    token_script: Mutex<Arc<Script>>,
}

/// Counts a request as under way until its future is gone.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Endpoint {
    pub(crate) fn new(clock: Arc<ManualClock>, crash: Arc<Crash>) -> Self {
        let script: Arc<Script> = Arc::new(|_, _| (Duration::from_millis(50), Reply::Status(200)));
        Self {
            clock,
            crash,
            seen: Mutex::default(),
            asked: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            token_script: Mutex::new(Arc::clone(&script)),
            script: Mutex::new(script),
        }
    }

    /// Answers each request by the number of earlier ones under the same `webhook-id`.
    pub(crate) fn script(&self, script: impl Fn(&Seen, usize) -> (Duration, Reply) + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// Answers every request so, after 50 ms.
    pub(crate) fn answer(&self, reply: Reply) {
        self.script(move |_, _| (Duration::from_millis(50), reply.clone()));
    }

    /// Answers each request for a token by the number of earlier ones.
    pub(crate) fn tokens(&self, script: impl Fn(&Seen, usize) -> (Duration, Reply) + Send + Sync + 'static) {
        *self.token_script.lock().unwrap() = Arc::new(script);
    }

    /// Requests for tokens.
    pub(crate) fn asked(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.asked.lock().unwrap()
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap()
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    /// Most requests that were started within so long a time.
    pub(crate) fn most_within(&self, time: Duration) -> usize {
        let mut starts: Vec<Millis> = self.seen().iter().map(|seen| seen.at).collect();
        starts.sort_unstable();
        let from = |at: usize| starts[at..].iter().take_while(|&&start| start < starts[at] + time).count();
        (0..starts.len()).map(from).max().unwrap_or_default()
    }

    /// Most requests that were under way at a time.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Http for Endpoint {
    async fn send(&self, request: &Request, deadline: Duration) -> Exchange {
        let disconnected = Exchange::Ended(Ended::without_answer(Attempt::Disconnected));
        if self.crash.strikes("request") {
            return disconnected;
        }
        let shared = request.shared.iter();
        let headers = shared.chain(request.own.iter().map(|(name, value)| (name, value)));
        let headers: Vec<_> =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        // A handshake has none.
        let webhook_id = headers.iter().find(|(name, _)| name == "webhook-id");
        let webhook_id = webhook_id.map(|(_, value)| value.clone()).unwrap_or_default();
        let wants_token = request.target.as_text() == TOKEN_URL;
        let seen = Seen {
            at: self.clock.now(),
            webhook_id,
            body: String::from_utf8(request.body.to_vec()).unwrap(),
            url: request.target.as_text(),
            headers,
        };
        let earlier = {
            let mut all = if wants_token { self.asked() } else { self.seen() };
            all.push(seen.clone());
            all.iter().filter(|other| other.webhook_id == seen.webhook_id).count() - 1
        };
        let count = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        let _under_way = UnderWay(&self.under_way);
        self.most.fetch_max(count, Ordering::SeqCst);
        let script = if wants_token { &self.token_script } else { &self.script };
        let script = Arc::clone(&*script.lock().unwrap());
        let (wait, reply) = script(&seen, earlier);
        self.clock.sleep(wait.min(deadline)).await;
        if self.crash.strikes("answer") {
            return disconnected;
        }
        if wait > deadline {
            return Exchange::Ended(Ended::without_answer(Attempt::TimedOut));
        }
        let answered = |status| Ended::without_answer(Attempt::Answered { status });
        Exchange::Ended(match reply {
            Reply::Status(status) | Reply::Headers(status, _) => answered(status),
            Reply::RetryAfter(status, value) => Ended { retry_after: Some(value), ..answered(status) },
            Reply::Body(status, body) => {
                Ended { answer: body.into_bytes(), is_whole: true, ..answered(status) }
            }
            Reply::Cut(status, body) => Ended { answer: body.into_bytes(), ..answered(status) },
            Reply::Attempt(attempt) => Ended::without_answer(attempt),
            Reply::OurFault => return Exchange::OurFault(OurFault::Resolver),
            Reply::Panic => panic!("the endpoint's script"),
        })
    }

    async fn watch(&self, request: &Request, deadline: Duration) -> Watched {
        let exchange = self.send(request, deadline).await;
        let mut headers = HeaderMap::new();
        if let Some(seen) = self.seen().last().cloned()
            && let Reply::Headers(_, pairs) = (self.script.lock().unwrap())(&seen, 0).1
        {
            for (name, value) in pairs {
                headers.insert(name, value.parse().unwrap());
            }
        }
        let answer = match &exchange {
            Exchange::Ended(Ended { attempt: Attempt::Answered { status }, answer, .. }) => {
                Some((StatusCode::from_u16(*status).unwrap(), headers, answer.clone()))
            }
            _ => None,
        };
        let times = Times { total_us: 50_000, ..Times::default() };
        Watched { exchange, times, phase: Phase::FirstByte, answer, fault: None }
    }
}
