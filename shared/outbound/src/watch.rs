//! Watching one exchange: when its phases ended, what came, and what went wrong, for a person who looks on.
//!
//! The client's own pools are not watched: their connectors find no watch, which costs a look at each new connection and nothing at a
//! request.

use std::{
    borrow::Borrow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use fanhook_core::{
    direct::{Phase, Times},
    limits,
};
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode, Uri};
use tokio::time::Instant;
use tower_service::Service;

use crate::exchange::Exchange;

/// What was seen of an exchange over a connection of its own.
#[derive(Debug)]
pub struct Watched {
    /// What it came to, as an unwatched one does.
    pub exchange: Exchange,
    /// How long its phases took.
    pub times: Times,
    /// The phase that it had come to when it ended.
    pub phase: Phase,
    /// Head of the answer, where one came, and as much of its body as is read (16 KiB).
    pub answer: Option<(StatusCode, HeaderMap, Vec<u8>)>,
    /// What went wrong, in the words of whoever found it; nothing of the request is in them.
    pub fault: Option<String>,
}

impl Borrow<Exchange> for Watched {
    fn borrow(&self) -> &Exchange {
        &self.exchange
    }
}

/// What is noted while an exchange goes on.
pub(crate) struct Watch {
    started: Instant,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    resolving: Option<Duration>,
    resolved: Option<Duration>,
    connected: Option<Duration>,
    /// Whether TLS follows the connection.
    securing: bool,
    secured: Option<Duration>,
    answered: Option<Duration>,
    answer: Option<(StatusCode, HeaderMap, Vec<u8>)>,
    fault: Option<String>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), noted: Mutex::default() }
    }

    fn note(&self) -> (MutexGuard<'_, Noted>, Duration) {
        (self.noted.lock().unwrap_or_else(PoisonError::into_inner), self.started.elapsed())
    }

    pub(crate) fn resolving(&self) {
        let (mut noted, now) = self.note();
        noted.resolving = Some(now);
    }

    pub(crate) fn resolved(&self) {
        let (mut noted, now) = self.note();
        noted.resolved = Some(now);
    }

    pub(crate) fn answered(&self, status: StatusCode, headers: &HeaderMap) {
        let (mut noted, now) = self.note();
        noted.answered = Some(now);
        noted.answer = Some((status, headers.clone(), Vec::new()));
    }

    pub(crate) fn read(&self, data: &[u8]) {
        let (mut noted, _) = self.note();
        if let Some((_, _, body)) = &mut noted.answer {
            body.extend_from_slice(&data[..data.len().min(limits::RECEIVED - body.len())]);
        }
    }

    pub(crate) fn failed(&self, fault: String) {
        self.note().0.fault = Some(fault);
    }

    /// What was seen of an exchange that has ended.
    pub(crate) fn end(&self, exchange: Exchange) -> Watched {
        let (mut noted, total) = self.note();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let between = |from: Option<Duration>, to: Option<Duration>| {
            to.map(|to| micros(to.saturating_sub(from.unwrap_or_default())))
        };
        let ready = noted.secured.or(noted.connected);
        let times = Times {
            dns_us: between(noted.resolving, noted.resolved),
            connect_us: between(noted.resolved, noted.connected),
            tls_us: noted.secured.and(between(noted.connected, noted.secured)),
            first_byte_us: between(ready, noted.answered),
            total_us: micros(total),
        };
        let phase = match &*noted {
            Noted { answered: Some(_), .. } => Phase::Body,
            Noted { resolving: Some(_), resolved: None, .. } => Phase::Dns,
            Noted { connected: None, .. } => Phase::Connect,
            Noted { secured: None, securing: true, .. } => Phase::Tls,
            _ => Phase::FirstByte,
        };
        Watched { exchange, times, phase, answer: noted.answer.take(), fault: noted.fault.take() }
    }
}

/// A step of making a connection, whose end is noted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Connect,
    Secure,
}

/// A connector whose end is noted where it is watched.
#[derive(Clone)]
pub(crate) struct Noting<C> {
    pub(crate) connector: C,
    pub(crate) step: Step,
    pub(crate) watch: Option<Arc<Watch>>,
}

impl<C> Service<Uri> for Noting<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = C::Error;
    type Future = BoxFuture<'static, Result<C::Response, C::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (step, watch) = (self.step, self.watch.clone());
        let secure = uri.scheme_str() == Some("https");
        let connecting = self.connector.call(uri);
        Box::pin(async move {
            let connected = connecting.await?;
            if let Some(watch) = watch {
                let (mut noted, now) = watch.note();
                match step {
                    Step::Connect => (noted.connected, noted.securing) = (Some(now), secure),
                    Step::Secure if secure => noted.secured = Some(now),
                    Step::Secure => {}
                }
            }
            Ok(connected)
        })
    }
}
