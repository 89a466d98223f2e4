//! What each kind of problem looks like, for the description of the API; the tests hold what is answered to it.

use axum::http::StatusCode;
use fanhook_core::fault::Fault;
use fanhook_store::Users;

use super::Problem;

/// Status, code and what is said for each kind; where that differs from one occurrence to the next, one of them.
const KINDS: [(StatusCode, &str, &str); 28] = [
    (StatusCode::BAD_REQUEST, "invalid", "the input has a fault"),
    (StatusCode::BAD_REQUEST, "invalid_json", "the body is not JSON as it is read here"),
    (
        StatusCode::BAD_REQUEST,
        "invalid_if_match",
        "`If-Match` holds entity tags between double quotes, as in `\"3\"`, or `*`",
    ),
    (
        StatusCode::BAD_REQUEST,
        "workspace_missing",
        "name one of your workspaces in the header `fanhook-workspace`: acme, rival",
    ),
    (
        StatusCode::BAD_REQUEST,
        "idempotency_key_missing",
        "a start needs the header `Idempotency-Key`, 1 to 255 bytes, new for each run",
    ),
    (StatusCode::UNAUTHORIZED, "unauthorized", "a verified token is needed"),
    (
        StatusCode::FORBIDDEN,
        "forbidden",
        "only administrators of the workspace or the organization may do this",
    ),
    (
        StatusCode::FORBIDDEN,
        "not_granted",
        "no grant on this webhook is given to you, or it has ended; an administrator can give one",
    ),
    (StatusCode::NOT_FOUND, "not_found", "there is no such object in this workspace"),
    (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this address does not take this method"),
    (StatusCode::CONFLICT, "name_taken", "the name is taken"),
    (StatusCode::CONFLICT, "changed_meanwhile", "others change this object at the moment; try again"),
    (StatusCode::CONFLICT, "not_signed", "requests of this webhook are not signed; set `signing` first"),
    (
        StatusCode::CONFLICT,
        "push_outdated",
        "the push does not fit its webhook and the ID types as they are now; save it again",
    ),
    (
        StatusCode::CONFLICT,
        "parameter_source_failed",
        "a parameter source gives no value that can be sent; nothing was sent",
    ),
    (StatusCode::CONFLICT, "too_large", "webhook, push and ID types together have more than 389120 bytes"),
    (
        StatusCode::CONFLICT,
        "started_by_event",
        "an event starts this push; one that takes audiences has `started_by` `audience`",
    ),
    (StatusCode::CONFLICT, "not_uploaded", "a file of the audience is not there"),
    (
        StatusCode::CONFLICT,
        "endpoint_parked",
        "the endpoint answered `410 Gone`; when it is back, save its webhook again to open it",
    ),
    (
        StatusCode::CONFLICT,
        "idempotency_key_reused",
        "this `Idempotency-Key` came with another request before; take a new key for a new run",
    ),
    (StatusCode::CONFLICT, "wrong_state", "a run that is `finished` can't be paused"),
    (StatusCode::CONFLICT, "audience_changed", "the file is another than the one that was read so far"),
    (
        StatusCode::CONFLICT,
        "unproved",
        "untested: the audience has 250 recipients, and a webhook whose content never passed a test send takes 100 at most; test it and \
         resume the run, or start one with `confirm_untested`",
    ),
    (
        StatusCode::PRECONDITION_FAILED,
        "changed_since",
        "the object is not as `If-Match` says: somebody changed it; read it and change it again",
    ),
    (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", "a request has at most 1048576 bytes"),
    (StatusCode::TOO_MANY_REQUESTS, "too_many_tests", "a webhook is tested once a second at most; try again"),
    (StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request failed by a fault of ours"),
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "the request could not be done at the moment; try again",
    ),
];

/// An example of every kind by its name: its code, and behind `_by_`, where it differs by that, whom it speaks of.
pub(crate) fn examples() -> impl Iterator<Item = (&'static str, Problem)> {
    let said = |(status, code, detail)| (code, with_more(code, Problem::new(status, code, detail)));
    let by = |kind, id: &str, name: &str| {
        Problem::in_use(&Users { kind, first: vec![(id.to_owned(), name.to_owned())], count: 1 })
    };
    let more = [
        ("in_use_by_pushes", by("push", "psh_0190a5b2c3d4e5f60718293a4b5c6d7f", "Birthday")),
        ("in_use_by_webhooks", by("webhook", "whk_0190a5b2c3d4e5f60718293a4b5c6d7e", "Coupons")),
        ("unanswered", Problem::unanswered()),
    ];
    KINDS.into_iter().map(said).chain(more)
}

/// What a kind says beside.
fn with_more(code: &str, problem: Problem) -> Problem {
    let fault = match code {
        "invalid" => Fault {
            line: Some(3),
            column: Some(8),
            ..Fault::new("content.body.template", "`{cupon}` is no parameter of this webhook")
        }
        .hint("did you mean `{coupon}`?"),
        "invalid_json" => Fault {
            line: Some(1),
            column: Some(24),
            ..Fault::new("", "the key `name` stands twice in one object")
        },
        "name_taken" => Fault::new("name", "another webhook of the workspace has this name"),
        "not_uploaded" => Fault::new("uploads[0]", "no file was uploaded yet")
            .hint("put the file to the address that `POST /uploads` gave, then start again"),
        "wrong_state" => return problem.with("state", "finished"),
        _ => return problem,
    };
    problem.errors(vec![fault])
}
