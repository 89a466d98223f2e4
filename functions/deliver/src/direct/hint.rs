//! What a failed test means, and what to do about it.

use fanhook_core::{
    direct::{Failure, Phase},
    outcome::Reason,
    retry::Attempt,
};
use fanhook_outbound::{Ended, Watched};

use crate::prepare::Unsent;

/// The failure of a request that was sent, or was to be.
pub(super) fn of(attempt: Attempt, watched: &Watched) -> Failure {
    let phase = match attempt {
        Attempt::Answered { .. } | Attempt::Blocked | Attempt::NoToken { .. } => None,
        _ => Some(watched.phase),
    };
    let (what, hint) = match attempt {
        Attempt::Answered { status } => return Failure { phase, ..answered(status) },
        Attempt::NoToken { status } => return no_token(status, ""),
        Attempt::TimedOut => (timed_out(watched.phase), slow(watched.phase)),
        Attempt::Disconnected if watched.phase == Phase::Connect => (
            "no connection could be made",
            "check that the endpoint listens at this host and port, and that no firewall keeps us out",
        ),
        Attempt::Disconnected if watched.phase == Phase::Tls => (
            "the connection broke during the TLS handshake",
            "check that the port speaks TLS 1.2 or 1.3, and that no firewall or proxy cuts the connection",
        ),
        Attempt::Disconnected => (
            "the connection broke before an answer came",
            "look into the receiver's log: it, or a proxy before it, closed the connection without an answer",
        ),
        Attempt::Unresolved => (
            "the host name has no address",
            "check the host in the URL for typing errors, and that its DNS record is public",
        ),
        Attempt::Tls => (
            "TLS failed, and nothing was sent",
            "the endpoint needs a certificate for its host name that is valid today and issued by a public authority, sent with all \
             intermediate certificates; TLS 1.2 or 1.3",
        ),
        Attempt::Protocol => (
            "the answer is not HTTP/1.1",
            "check host and port: what listens there speaks another protocol, or speaks HTTP wrongly",
        ),
        Attempt::Blocked => (
            "the address is not called: it, or one that its name resolves to, is private or otherwise special, or it is no https",
            "use a public https address; an address inside a private network is for the deployment to allow",
        ),
    };
    let detail = match &watched.fault {
        Some(fault) => format!("{what}: {fault}"),
        None => what.to_owned(),
    };
    Failure { phase, detail, hint: hint.to_owned() }
}

fn timed_out(phase: Phase) -> &'static str {
    match phase {
        Phase::Dns => "the deadline came while the host name was looked up",
        Phase::Connect => "the deadline came before a connection was made",
        Phase::Tls => "the deadline came during the TLS handshake",
        Phase::FirstByte => "the deadline came before an answer began",
        Phase::Body => "the deadline came before the answer's body had ended",
    }
}

fn slow(phase: Phase) -> &'static str {
    match phase {
        Phase::Dns => "check the name servers of the host: they do not answer in time",
        Phase::Connect => "a firewall may drop our packets without a word, or the host is down",
        Phase::Tls => "check what ends TLS at this port: it takes the connection and does not go on",
        Phase::FirstByte => {
            "let the receiver answer first and work afterwards, or set a longer `content.deadline_seconds` (a test waits 20 s at most)"
        }
        Phase::Body => "let the receiver send a short body and end it; of an answer at most 16 KiB are read",
    }
}

/// The failure that a status tells.
fn answered(status: u16) -> Failure {
    let hint = match status {
        300..=399 => "redirects are never followed: write the final address into the webhook's URL",
        400 | 422 => {
            "the receiver does not like the request: compare the body with what it expects; its answer may say more"
        }
        401 => {
            "the receiver does not know who calls: check the webhook's `authentication` and `signing`, and the secret on both sides"
        }
        403 => {
            "the receiver knows who calls and refuses: check what this key may do there, and whether our addresses are allowed"
        }
        404 => "check path and query of the URL; for a path with `{id}`, whether the receiver knows this ID",
        405 => "the receiver does not take this method here: check `content.method`",
        408 | 425 | 429 => {
            "the receiver wants fewer or later requests: set `limits` to what it takes; a real send is tried again"
        }
        410 => {
            "the receiver says that this endpoint is gone for good: a real send would park it; check the URL"
        }
        411 | 413 => "the receiver does not take a body of this size",
        415 => {
            "the receiver does not take this content type: check the kind of body, or set a `content-type` header that it takes"
        }
        500..=599 => "the receiver failed: look into its log; a real send is tried again",
        200..=299 => {
            "the answer's status is a success, its content is not: compare it with the webhook's success rule"
        }
        _ => {
            "the receiver answered with a status that no success has; its documentation may say what it means"
        }
    };
    Failure {
        phase: None,
        detail: format!("the receiver answered with status {status}"),
        hint: hint.to_owned(),
    }
}

/// The failure of a request for an access token.
pub(super) fn without_token(ended: &Ended) -> Failure {
    match ended.attempt {
        Attempt::NoToken { status } => no_token(status, &String::from_utf8_lossy(&ended.answer)),
        _ => Failure {
            phase: None,
            detail: "the token URL is not called: it, or an address that its name resolves to, is private or otherwise special".to_owned(),
            hint: "use a public https address as `authentication.token_url`".to_owned(),
        },
    }
}

fn no_token(status: Option<u16>, answer: &str) -> Failure {
    let hint = match status {
        Some(200..=299) => {
            "its answer holds no bearer token (RFC 6749, section 5.1): check `authentication.token_url`"
        }
        Some(300..=399) => {
            "redirects are never followed: write the final address as `authentication.token_url`"
        }
        Some(400 | 401 | 403) => {
            "check `client_id` and `secret`, `scope`, `audience`, and whether this server wants `client_authentication` `body`"
        }
        Some(408 | 425 | 429 | 500..=599) => {
            "the token endpoint has a fault, or is asked too often; a real send is tried again"
        }
        Some(_) => "check `authentication.token_url`",
        None => {
            "check host and port of `authentication.token_url`, its certificate, and that no firewall keeps us out"
        }
    };
    let detail = match status {
        Some(status) if answer.is_empty() => {
            format!("the token URL gave no access token, with status {status}")
        }
        Some(status) => format!("the token URL gave no access token, with status {status}: {answer}"),
        None => "the token URL did not answer".to_owned(),
    };
    Failure { phase: None, detail, hint: hint.to_owned() }
}

/// Why nothing is sent to this user.
pub(super) fn unsent(unsent: Unsent) -> Failure {
    let (detail, hint) = match unsent.reason {
        Reason::NoId => (
            "the user has no usable ID of these types",
            "give an ID that its type's normaliser takes and that can be sent in the push's form, or a `qaid` whose profile has one",
        ),
        Reason::EmptyValue => {
            ("what may not be empty is", "give it a value, or a default to the variable that is empty")
        }
        Reason::TooLarge => ("the request is too large", "shorten the values"),
        _ => (
            "no request can be made of these values: one would change the structure around it",
            "change the value that breaks this rule",
        ),
    };
    let detail = unsent.detail.unwrap_or_else(|| detail.to_owned());
    Failure { phase: None, detail, hint: hint.to_owned() }
}
