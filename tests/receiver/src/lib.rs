//! A receiver of webhooks on loopback: a coupon CRM as a customer would have it, and endpoints that behave as badly as some do.
//!
//! What a request meets is told by the first segments of its path ([`Behaviour`]); the rest of the path is a name. Every path has
//! statistics of its own, so that one receiver serves many tests at once:
//!
//! | path | what a request meets |
//! | --- | --- |
//! | `/crm/…` | the coupon CRM: 401 for a bad signature, 503 at the first try for 5 % of the messages, 400 for a few, else 200 and a coupon |
//! | `/status/418/…` | this status |
//! | `/echo/500/…` | this status, and in its body the request as it came |
//! | `/token/…` | an access token, as OAuth 2.0 has one |
//! | `/fail/2/…` | 500 at the first two tries of each message, then 200 |
//! | `/retry-after/3/…` | 429 with `Retry-After: 3` at the first request and for 3 s from then on, then 200 |
//! | `/rate/100/…` | 200; its handshake allows 100 requests a minute, those of others any number |
//! | `/slow/250/…` | 200 after 250 ms |
//! | `/redirect/…` | 302 to `/crm/redirected` |
//! | `/never/…` | no answer, and the connection stays open |
//! | `/drip/…` | the head of a 200, then a byte of its body every 50 ms, for ever |
//! | `/huge/…` | 200 and a body without an end, as fast as it is read |
//! | `/close/…` | the connection is closed before an answer |
//! | `/reset/…` | the connection is reset before an answer |
//! | `/cut/…` | 200 with a body that is shorter than its head says |
//! | `/garbage/…` | something that is no HTTP |
//!
//! `GET /stats` answers the statistics of all paths, `GET /stats/crm/…` those of one. `PUT /secrets/crm/…` with a signing secret or a
//! public key as its body says what the signatures of a path are verified with; before that, none of its signatures verifies.

mod answer;
mod behaviour;
mod http;
mod shop;
mod signature;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc,
    thread::{self, JoinHandle},
};

pub use behaviour::{Behaviour, Fate, access_token, coupon, fate};
pub use shop::Stats;
pub use signature::{InvalidSecret, Verifier};
use tokio::{net::TcpListener, sync::oneshot};

use shop::Shops;

/// How a receiver is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The loopback port; 0 takes a free one.
    pub port: u16,
    /// Whether the body of each message that was answered 2xx is kept, and the last request to each path.
    pub keep_bodies: bool,
}

/// A receiver that runs in a thread of its own until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    shops: Shops,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Binds to loopback and begins to answer.
    pub fn start(options: Options) -> io::Result<Self> {
        let shops = Shops::new(options.keep_bodies);
        let (stop, stopped) = oneshot::channel();
        let (bound, binding) = mpsc::channel();
        let (port, served) = (options.port, shops.clone());
        let thread = thread::Builder::new()
            .name("receiver".to_owned())
            .spawn(move || run(port, &served, stopped, &bound))?;
        let address = binding.recv().map_err(io::Error::other)??;
        Ok(Self { address, shops, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a path; `path` begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Verifies the signatures of a path with a secret (`whsec_…`) or a public key (`whpk_…`) from now on.
    pub fn trust(&self, path: &str, secret: &str) -> Result<(), InvalidSecret> {
        self.shops.trust(path, secret)
    }

    /// What was seen at a path so far; all zero where nothing was.
    pub fn stats(&self, path: &str) -> Stats {
        self.shops.stats(path)
    }

    /// What was seen so far, by path.
    pub fn all_stats(&self) -> BTreeMap<String, Stats> {
        self.shops.all_stats()
    }

    /// The messages that a path has answered 2xx: `webhook-id`, and the body where bodies are kept.
    pub fn taken(&self, path: &str) -> HashMap<String, Vec<u8>> {
        self.shops.taken(path)
    }

    /// The last request to a path as it came, head and body; empty where none came, or none is kept.
    pub fn last(&self, path: &str) -> Vec<u8> {
        self.shops.last(path)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A receiver that panicked has nothing left to end.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// One thread is enough for what one machine can send, and leaves the others to what is tried.
fn run(
    port: u16,
    shops: &Shops,
    stopped: oneshot::Receiver<()>,
    bound: &mpsc::Sender<io::Result<SocketAddr>>,
) {
    // Whoever waits for the address has gone when it can't be sent.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(bound.send(Err(error))),
    };
    runtime.block_on(async {
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => listener,
            Err(error) => return drop(bound.send(Err(error))),
        };
        drop(bound.send(listener.local_addr()));
        tokio::select! {
            () = accept(&listener, shops) => {}
            // An error says that the sender is gone: to stop as well.
            _ = stopped => {}
        }
    });
    // Dropping the runtime closes every connection.
}

async fn accept(listener: &TcpListener, shops: &Shops) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(answer::serve(stream, shops.clone()))),
            // Out of file descriptors, mostly: others have to close first.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}
