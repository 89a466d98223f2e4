//! The client itself.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use fanhook_core::{limits, retry::Attempt};
use http::{HeaderMap, header::RETRY_AFTER};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use tokio::time::{Instant, timeout};

use crate::{
    exchange::{Ended, Exchange, Http, Request},
    failure::{Failure, classify, describe, is_unsent},
    guard::{Guard, Route},
    resolver::{Lookup, Names, Resolver, SystemLookup},
    watch::{Noting, Step, Watch, Watched},
};

/// Bytes of an answer that are kept, for an excerpt of its beginning, where it is not wanted whole.
const KEPT: usize = 4 * 1024;
/// Idle connections are dropped before most receivers drop them.
const IDLE: Duration = Duration::from_secs(50);
/// Idle connections that are kept for one receiver.
const IDLE_CONNECTIONS: usize = 128;

type Pool = legacy::Client<Noting<HttpsConnector<Noting<HttpConnector<Resolver>>>>, Full<Bytes>>;

/// Why a client can't be built.
#[derive(Debug, thiserror::Error)]
#[error("TLS can't be set up")]
pub struct ClientError(#[from] rustls::Error);

/// The client. Build it once: its connections are kept across invocations.
pub struct Client {
    guard: Guard,
    tls: ClientConfig,
    lookup: Arc<dyn Lookup>,
    /// Dials public addresses only.
    public: Pool,
    /// Dials any address.
    allowed: Pool,
}

impl Client {
    /// A client with the system's resolver and Mozilla's roots.
    pub fn new(guard: Guard) -> Result<Self, ClientError> {
        Self::with_lookup(guard, SystemLookup)
    }

    /// The same with another way to look names up.
    pub fn with_lookup(guard: Guard, lookup: impl Lookup + 'static) -> Result<Self, ClientError> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        // AWS-LC is in the program already, for the AWS SDK.
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let lookup: Arc<dyn Lookup> = Arc::new(lookup);
        let names = Arc::new(Names::new(Arc::clone(&lookup)));
        let pool = |guarded| pool(tls.clone(), Resolver { names: Arc::clone(&names), guarded, watch: None });
        let (public, allowed) = (pool(true), pool(false));
        Ok(Self { guard, tls, lookup, public, allowed })
    }

    /// A pool for one watched exchange: its connection and its look-up are new, so that all phases are seen.
    fn watched_pool(&self, guarded: bool, watch: &Arc<Watch>) -> Pool {
        let names = Arc::new(Names::new(Arc::clone(&self.lookup)));
        pool(self.tls.clone(), Resolver { names, guarded, watch: Some(Arc::clone(watch)) })
    }
}

fn pool(tls: ClientConfig, resolver: Resolver) -> Pool {
    let watch = resolver.watch.clone();
    let mut connector = HttpConnector::new_with_resolver(resolver);
    connector.enforce_http(false);
    connector.set_nodelay(true);
    let connector = Noting { connector, step: Step::Connect, watch: watch.clone() };
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    let connector = Noting { connector, step: Step::Secure, watch };
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        // It is done here, where it is recorded.
        .retry_canceled_requests(false)
        .build(connector)
}

#[async_trait]
impl Http for Client {
    async fn send(&self, request: &Request, deadline: Duration) -> Exchange {
        match self.guard.route(&request.target.0) {
            Route::Public => timed(&self.public, request, deadline, None).await,
            Route::Allowed => timed(&self.allowed, request, deadline, None).await,
            Route::Blocked => Exchange::Ended(Ended::without_answer(Attempt::Blocked)),
        }
    }

    async fn watch(&self, request: &Request, deadline: Duration) -> Watched {
        let watch = Arc::new(Watch::new());
        let exchange = match self.guard.route(&request.target.0) {
            Route::Blocked => Exchange::Ended(Ended::without_answer(Attempt::Blocked)),
            route => {
                let pool = self.watched_pool(route == Route::Public, &watch);
                timed(&pool, request, deadline, Some(&watch)).await
            }
        };
        watch.end(exchange)
    }
}

async fn timed(pool: &Pool, request: &Request, deadline: Duration, watch: Option<&Watch>) -> Exchange {
    let started = Instant::now();
    let exchange = timeout(deadline, exchange(pool, request, watch)).await;
    let mut exchange = exchange.unwrap_or(Exchange::Ended(Ended::without_answer(Attempt::TimedOut)));
    if let Exchange::Ended(ended) = &mut exchange {
        ended.elapsed = started.elapsed();
    }
    exchange
}

async fn exchange(pool: &Pool, request: &Request, watch: Option<&Watch>) -> Exchange {
    let mut resent = 0;
    loop {
        match pool.request(assemble(request)).await {
            Ok(response) => {
                let ended = answered(response, request.keep_answer, watch).await;
                return Exchange::Ended(Ended { resent: resent > 0, ..ended });
            }
            // After a freeze all kept connections may be dead; each is met once.
            Err(error) if is_unsent(&error) && resent < IDLE_CONNECTIONS => resent += 1,
            Err(error) => {
                if let Some(watch) = watch {
                    watch.failed(describe(&error));
                }
                return match classify(&error) {
                    Failure::Theirs(attempt) => {
                        Exchange::Ended(Ended { resent: resent > 0, ..Ended::without_answer(attempt) })
                    }
                    Failure::Ours(fault) => Exchange::OurFault(fault),
                };
            }
        }
    }
}

fn assemble(request: &Request) -> http::Request<Full<Bytes>> {
    let mut headers = HeaderMap::clone(&request.shared);
    // With room for `host`, which the client adds.
    headers.reserve(request.own.len() + 1);
    for (name, value) in &request.own {
        headers.insert(name.clone(), value.clone());
    }
    let mut assembled = http::Request::new(Full::new(request.body.clone()));
    *assembled.method_mut() = request.method.clone();
    *assembled.uri_mut() = request.target.0.clone();
    *assembled.headers_mut() = headers;
    assembled
}

/// Reads an answer's body: to its end, so that the connection can be kept, but not without end.
async fn answered(response: http::Response<Incoming>, keep: bool, watch: Option<&Watch>) -> Ended {
    let status = response.status();
    if let Some(watch) = watch {
        watch.answered(status, response.headers());
    }
    let retry_after =
        response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let kept = match (keep, status.is_success()) {
        (true, _) => limits::RECEIVED,
        (false, true) => 0,
        (false, false) => KEPT,
    };
    let mut body = response.into_body();
    let (mut read, mut answer) = (0, Vec::new());
    // The status has decided by now: a body that breaks changes nothing, one that never ends meets the deadline.
    let is_whole = loop {
        match body.frame().await {
            Some(Ok(frame)) => {
                let Some(data) = frame.data_ref() else { continue };
                read += data.len();
                if let Some(watch) = watch {
                    watch.read(data);
                }
                answer.extend_from_slice(&data[..data.len().min(kept - answer.len())]);
            }
            Some(Err(_)) => break false,
            None => break read == answer.len(),
        }
        if read > limits::RECEIVED {
            break false;
        }
    };
    Ended {
        retry_after,
        answer,
        is_whole,
        ..Ended::without_answer(Attempt::Answered { status: status.as_u16() })
    }
}

impl Ended {
    /// An end of which nothing else is known.
    pub fn without_answer(attempt: Attempt) -> Self {
        Self {
            attempt,
            retry_after: None,
            answer: Vec::new(),
            is_whole: false,
            resent: false,
            elapsed: Duration::ZERO,
        }
    }
}
