//! Names to addresses, each judged before it is dialled.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use hyper_util::client::legacy::connect::dns::Name;
use tokio::time::Instant;
use tower_service::Service;

use crate::{guard::all_public, watch::Watch};

/// How long a look-up is good for: a burst of new connections asks once.
const FRESH: Duration = Duration::from_secs(5);
/// Names that are kept.
const KEPT: usize = 1_000;

/// Why a name gives no address to dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// An address of the name is not to be dialled.
    #[error("an address of the name is not public")]
    Blocked,
    /// It is not known whether the name has an address: our resolver did not answer.
    #[error("the name was not resolved")]
    Unavailable,
}

/// Looks names up.
pub trait Lookup: Send + Sync {
    /// All addresses of a name.
    fn lookup(&self, name: String) -> BoxFuture<'static, Result<Vec<IpAddr>, LookupError>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> BoxFuture<'static, Result<Vec<IpAddr>, LookupError>> {
        // `tokio::net::lookup_host` loses the code that tells a name without addresses from a resolver without an answer.
        let blocking = tokio::task::spawn_blocking(move || {
            let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
            let found =
                dns_lookup::getaddrinfo(Some(&name), None, Some(hints)).map_err(|error| {
                    match error.kind() {
                        LookupErrorKind::NoName | LookupErrorKind::NoData => LookupError::NoAddress,
                        _ => LookupError::Unavailable,
                    }
                })?;
            Ok(found.filter_map(Result::ok).map(|info| info.sockaddr.ip()).collect())
        });
        blocking.map(|joined| joined.unwrap_or(Err(LookupError::Unavailable))).boxed()
    }
}

type Answer = Shared<BoxFuture<'static, Result<Arc<[IpAddr]>, LookupError>>>;

/// Look-ups that are under way or fresh, shared by all connections.
pub(crate) struct Names {
    lookup: Arc<dyn Lookup>,
    known: Mutex<HashMap<String, (Instant, Answer)>>,
}

impl Names {
    pub(crate) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self { lookup, known: Mutex::default() }
    }

    fn addresses(&self, name: &str) -> Answer {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = known.get(name).filter(|(asked, _)| now.duration_since(*asked) < FRESH) {
            return answer.clone();
        }
        if known.len() >= KEPT {
            known.clear();
        }
        let found = self.lookup.lookup(name.to_owned());
        let answer = found.map(|found| found.and_then(some).map(Arc::from)).boxed().shared();
        known.insert(name.to_owned(), (now, answer.clone()));
        answer
    }
}

fn some(addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, LookupError> {
    if addresses.is_empty() { Err(LookupError::NoAddress) } else { Ok(addresses) }
}

/// What a connector asks; the addresses that it gets are those that it dials.
#[derive(Clone)]
pub(crate) struct Resolver {
    pub(crate) names: Arc<Names>,
    /// Whether special addresses are refused.
    pub(crate) guarded: bool,
    pub(crate) watch: Option<Arc<Watch>>,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = LookupError;
    type Future = BoxFuture<'static, Result<Self::Response, LookupError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LookupError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (answer, guarded, watch) =
            (self.names.addresses(name.as_str()), self.guarded, self.watch.clone());
        Box::pin(async move {
            if let Some(watch) = &watch {
                watch.resolving();
            }
            let addresses = answer.await?;
            if guarded && !all_public(&addresses) {
                return Err(LookupError::Blocked);
            }
            if let Some(watch) = &watch {
                watch.resolved();
            }
            // The connector puts in the port.
            let sockets: Vec<SocketAddr> = addresses.iter().map(|&ip| SocketAddr::new(ip, 0)).collect();
            Ok(sockets.into_iter())
        })
    }
}
