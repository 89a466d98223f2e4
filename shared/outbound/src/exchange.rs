//! A request and what came of it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use fanhook_core::retry::Attempt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header::InvalidHeaderValue};
use zeroize::{Zeroize, Zeroizing};

use crate::watch::Watched;

/// A full address, parsed once and shared by the requests to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target(pub(crate) Uri);

/// A text is no full `http` or `https` address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no full http or https address")]
pub struct InvalidTarget;

impl Target {
    /// Parses an address as a URL parser writes it.
    pub fn parse(url: &str) -> Result<Self, InvalidTarget> {
        let uri = Uri::try_from(url).map_err(|_| InvalidTarget)?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        if known && uri.host().is_some_and(|host| !host.is_empty()) {
            Ok(Self(uri))
        } else {
            Err(InvalidTarget)
        }
    }

    /// The address as text.
    pub fn as_text(&self) -> String {
        self.0.to_string()
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Where it goes.
    pub target: Target,
    /// Headers that many requests share.
    pub shared: Arc<HeaderMap>,
    /// Headers of this one.
    pub own: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Bytes,
    /// Whether the answer is kept as far as it is read, that of a success as well.
    pub keep_answer: bool,
}

/// A header's value that is shown nowhere, and is wiped with its last copy.
///
/// # Errors
/// A header can't hold the text.
pub fn confidential(
    text: Zeroizing<impl AsRef<[u8]> + Zeroize + Send + 'static>,
) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// It ended, by the receiver or by the way to it.
    Ended(Ended),
    /// It could not be made, by a fault of ours: it is not held against the receiver. No byte of it was sent.
    OurFault(OurFault),
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What happened, as far as retrying goes.
    pub attempt: Attempt,
    /// `Retry-After` of the answer.
    pub retry_after: Option<String>,
    /// Beginning of an answer that is no success, as it came: 4 KiB; where the answer is kept, all of it up to 16 KiB.
    pub answer: Vec<u8>,
    /// Whether `answer` is the whole answer.
    pub is_whole: bool,
    /// Whether it was sent once more, because a kept connection had died before a byte was written.
    pub resent: bool,
    /// Time from the start to the end.
    pub elapsed: Duration,
}

/// A fault of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OurFault {
    /// Our resolver did not answer.
    #[error("names are not resolved")]
    Resolver,
    /// No socket could be had.
    #[error("there are no sockets")]
    Sockets,
}

/// Sends requests.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends one and waits for its end, at most for `deadline`.
    async fn send(&self, request: &Request, deadline: Duration) -> Exchange;

    /// Sends one over a connection of its own, in the same way, and tells all that was seen on it.
    async fn watch(&self, request: &Request, deadline: Duration) -> Watched;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confidential_value_is_the_text_itself_and_no_copy_that_nobody_wipes() {
        let text = Zeroizing::new("a secret of some length".to_owned());
        let address = text.as_ptr();
        let value = confidential(text).unwrap();
        assert_eq!((value.as_bytes().as_ptr(), value.clone().as_bytes().as_ptr()), (address, address));
        assert!(value.is_sensitive());
        assert!(confidential(Zeroizing::new("a\nb".to_owned())).is_err());
    }
}
