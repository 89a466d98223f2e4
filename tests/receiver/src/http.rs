//! Reads HTTP/1.1 requests from a connection, as much of HTTP as a webhook needs.

use std::{io, str};

use tokio::{io::AsyncReadExt, net::TcpStream};

/// Largest request that is read, its head included.
const MAX_REQUEST: usize = 1024 * 1024;
const MAX_HEADERS: usize = 64;

/// A request, borrowed from what was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// The path, its query cut off.
    pub(crate) path: &'a str,
    pub(crate) id: &'a str,
    pub(crate) timestamp: &'a str,
    pub(crate) signatures: &'a str,
    /// Who asks whether it may send.
    pub(crate) origin: &'a str,
    pub(crate) body: &'a [u8],
    /// All of it, as it came.
    pub(crate) whole: &'a [u8],
}

/// What has been read of a connection and not been used yet.
#[derive(Default)]
pub(crate) struct Input(Vec<u8>);

impl Input {
    /// Reads on until a whole request stands at the front, and answers its length; none where the connection has ended.
    pub(crate) async fn fill(&mut self, stream: &mut TcpStream) -> io::Result<Option<usize>> {
        loop {
            if let Some(length) = whole(&self.0)? {
                return Ok(Some(length));
            }
            if self.0.len() > MAX_REQUEST {
                return Err(invalid("larger than 1 MiB"));
            }
            if stream.read_buf(&mut self.0).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The request at the front.
    pub(crate) fn request(&self, length: usize) -> io::Result<Request<'_>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let whole = &self.0[..length];
        let httparse::Status::Complete(head) = parsed.parse(whole).map_err(invalid)? else {
            return Err(invalid("no end of the head"));
        };
        let target = parsed.path.unwrap_or_default();
        let mut request = Request {
            method: parsed.method.unwrap_or_default(),
            path: target.split_once('?').map_or(target, |(path, _)| path),
            id: "",
            timestamp: "",
            signatures: "",
            origin: "",
            body: &whole[head..],
            whole,
        };
        for header in parsed.headers {
            let value = str::from_utf8(header.value).map_err(invalid)?;
            match header.name {
                name if name.eq_ignore_ascii_case("webhook-id") => request.id = value,
                name if name.eq_ignore_ascii_case("webhook-timestamp") => request.timestamp = value,
                name if name.eq_ignore_ascii_case("webhook-signature") => request.signatures = value,
                name if name.eq_ignore_ascii_case("webhook-request-origin") => request.origin = value,
                _ => {}
            }
        }
        Ok(request)
    }

    /// Takes the request at the front away.
    pub(crate) fn consume(&mut self, length: usize) {
        self.0.drain(..length);
    }
}

/// Length of the request that the bytes begin with, if all of it is there.
fn whole(bytes: &[u8]) -> io::Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(bytes).map_err(invalid)? else { return Ok(None) };
    let mut body = 0;
    for header in request.headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            let value =
                str::from_utf8(header.value).ok().and_then(|value| value.trim().parse::<usize>().ok());
            body =
                value.filter(|&length| length <= MAX_REQUEST).ok_or_else(|| invalid("bad content length"))?;
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(invalid("a body without a length"));
        }
    }
    Ok((bytes.len() >= head + body).then_some(head + body))
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_whole_once_its_body_is_there() {
        let bytes = b"POST /crm/a?b=c HTTP/1.1\r\nWebhook-Id: msg_1\r\ncontent-length: 4\r\n\r\nbodyGET";
        for end in 0..bytes.len() - 3 {
            assert_eq!(whole(&bytes[..end]).unwrap(), None, "{end}");
        }
        let length = whole(bytes).unwrap().unwrap();
        assert_eq!(length, bytes.len() - 3);
        let input = Input(bytes.to_vec());
        let request = input.request(length).unwrap();
        assert_eq!((request.method, request.path, request.id), ("POST", "/crm/a", "msg_1"));
        assert_eq!(request.body, b"body");
    }

    #[test]
    fn a_body_whose_length_is_not_told_is_refused() {
        assert!(whole(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(whole(b"POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n").is_err());
        assert!(whole(b"not HTTP\r\n\r\n").is_err());
    }
}
