//! What an error of the client means, told by the types in its chain.

use std::{error::Error, io};

use fanhook_core::retry::Attempt;

use crate::{exchange::OurFault, resolver::LookupError};

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The receiver's, or the way's to it.
    Theirs(Attempt),
    /// Ours.
    Ours(OurFault),
}

/// The error `T` in the chain of `error`. An [`io::Error`] hides the one that it wraps from the chain, so it is opened.
fn find<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

pub(crate) fn classify(error: &(dyn Error + 'static)) -> Failure {
    if let Some(error) = find::<LookupError>(error) {
        return match error {
            LookupError::NoAddress => Failure::Theirs(Attempt::Unresolved),
            LookupError::Blocked => Failure::Theirs(Attempt::Blocked),
            LookupError::Unavailable => Failure::Ours(OurFault::Resolver),
        };
    }
    if find::<rustls::Error>(error).is_some() {
        return Failure::Theirs(Attempt::Tls);
    }
    if find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        return Failure::Theirs(Attempt::Protocol);
    }
    match find::<io::Error>(error) {
        Some(error) if is_ours(error) => Failure::Ours(OurFault::Sockets),
        _ => Failure::Theirs(Attempt::Disconnected),
    }
}

/// What an error says, for people: the words of what lies deepest in it, which hold nothing of the request.
pub(crate) fn describe(error: &(dyn Error + 'static)) -> String {
    if let Some(error) = find::<LookupError>(error) {
        return error.to_string();
    }
    if let Some(error) = find::<rustls::Error>(error) {
        return error.to_string();
    }
    if let Some(error) = find::<io::Error>(error) {
        return error.to_string();
    }
    find::<hyper::Error>(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Whether nothing of the request was written, so that sending it again can't double it.
pub(crate) fn is_unsent(error: &(dyn Error + 'static)) -> bool {
    find::<hyper::Error>(error).is_some_and(hyper::Error::is_canceled)
}

/// Too many open files in the process or the system, no memory for buffers, no address or network of our own.
fn is_ours(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE | ENOBUFS))
        || matches!(
            error.kind(),
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::NetworkDown | io::ErrorKind::OutOfMemory
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_inside_an_io_error_is_found() {
        let wrapped = io::Error::other(io::Error::other(LookupError::Blocked));
        assert_eq!(classify(&wrapped), Failure::Theirs(Attempt::Blocked));
        let tls = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert_eq!(classify(&tls), Failure::Theirs(Attempt::Tls));
    }

    #[test]
    fn faults_of_ours_are_told_from_the_receivers() {
        assert_eq!(classify(&LookupError::Unavailable), Failure::Ours(OurFault::Resolver));
        assert_eq!(classify(&LookupError::NoAddress), Failure::Theirs(Attempt::Unresolved));
        assert_eq!(classify(&io::Error::from_raw_os_error(24)), Failure::Ours(OurFault::Sockets));
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(classify(&refused), Failure::Theirs(Attempt::Disconnected));
    }

    #[tokio::test]
    async fn a_request_that_its_connection_never_took_is_unsent() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stream = tokio::net::TcpStream::connect(listener.local_addr().expect("an address"))
            .await
            .expect("a connection");
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("a connection");
        let sent = sender.send_request(http::Request::new(http_body_util::Full::new(bytes::Bytes::new())));
        drop(connection);
        let error = sent.await.expect_err("nobody takes it");
        assert!(is_unsent(&error));
        assert!(!is_unsent(&io::Error::from(io::ErrorKind::ConnectionReset)));
    }
}
