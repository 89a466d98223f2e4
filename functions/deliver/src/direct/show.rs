//! Requests and answers as people may see them.

use fanhook_core::{
    direct::{MASKED, ShownAnswer, ShownHeader, ShownRequest},
    limits,
};
use fanhook_outbound::{HeaderMap, HeaderName, HeaderValue, Request, Watched, parts, scrub};

/// Most bytes of a header's value that are shown.
const VALUE: usize = 1024;
/// Most headers of an answer that are shown.
const HEADERS: usize = 100;

/// A request that was sent: credentials and signatures are masked.
pub(super) fn sent(request: &Request) -> ShownRequest {
    show(request, is_secret)
}

/// A request that was not sent: what would be another one at each send is masked as well.
pub(super) fn unsent(request: &Request) -> ShownRequest {
    show(request, |name, value| is_secret(name, value) || name == "webhook-timestamp")
}

fn is_secret(name: &HeaderName, value: &HeaderValue) -> bool {
    value.is_sensitive() || name == "webhook-signature"
}

fn show(request: &Request, masked: impl Fn(&HeaderName, &HeaderValue) -> bool) -> ShownRequest {
    let headers = headers(request).map(|(name, value)| {
        let value =
            if masked(name, value) { MASKED.into() } else { String::from_utf8_lossy(value.as_bytes()) };
        ShownHeader { name: name.as_str().to_owned(), value: value.into_owned() }
    });
    ShownRequest {
        method: request.method.to_string(),
        url: request.target.as_text(),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&request.body).into_owned(),
    }
}

/// The headers as they are sent: the request's own in place of those that all share.
fn headers(request: &Request) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    let own = || request.own.iter().map(|(name, value)| (name, value));
    let shared = request.shared.iter().filter(move |(name, _)| own().all(|(known, _)| known != name));
    shared.chain(own())
}

/// The answer to a request, without what it gives back of the request's credentials and signatures.
pub(super) fn answer(watched: &Watched, request: &Request) -> Option<ShownAnswer> {
    let (status, headers, body) = watched.answer.as_ref()?;
    let secrets = self::headers(request).filter(|(name, value)| is_secret(name, value));
    let secrets: Vec<_> = secrets.flat_map(|(_, value)| parts(value)).collect();
    let secrets = || secrets.iter().map(|part| part.as_str());
    let clean = |bytes: &[u8]| scrub(&String::from_utf8_lossy(bytes), secrets());
    Some(ShownAnswer {
        status: status.as_u16(),
        headers: shown(headers, &clean),
        body: clean(&body[..body.len().min(limits::SHOWN)]),
    })
}

fn shown(headers: &HeaderMap, clean: &dyn Fn(&[u8]) -> String) -> Vec<ShownHeader> {
    let shown = headers.iter().take(HEADERS).map(|(name, value)| {
        let value = value.as_bytes();
        ShownHeader { name: name.as_str().to_owned(), value: clean(&value[..value.len().min(VALUE)]) }
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fanhook_outbound::{Method, Target, header::USER_AGENT};

    use super::*;

    #[test]
    fn a_header_of_the_request_itself_is_shown_in_place_of_the_one_that_all_share() {
        let mut shared = HeaderMap::new();
        shared.insert(USER_AGENT, HeaderValue::from_static("Fanhook"));
        let request = Request {
            method: Method::GET,
            target: Target::parse("https://crm.example/").unwrap(),
            shared: Arc::new(shared),
            own: vec![(USER_AGENT, HeaderValue::from_static("shop/MOBILE"))],
            body: "".into(),
            keep_answer: false,
        };
        let shown: Vec<&HeaderValue> = headers(&request).map(|(_, value)| value).collect();
        assert_eq!(shown, ["shop/MOBILE"]);
    }
}
