//! Which headers a webhook may set.

use super::{Body, Header};
use crate::fault::Fault;
use crate::limits;

/// Headers that the connection, the signature or the delivery itself decides, in lower case.
const RESERVED: [&str; 15] = [
    "accept-encoding",
    "alt-used",
    "connection",
    "content-encoding",
    "content-length",
    "date",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Beginnings of reserved names, in lower case.
const RESERVED_PREFIXES: [&str; 3] = ["fanhook-", "proxy-", "webhook-"];

/// All faults of a header, except those of its value's placeholders.
pub(crate) fn check_header(header: &Header, body: &Body) -> Vec<Fault> {
    let mut faults = Vec::new();
    let name = header.name.to_ascii_lowercase();
    if name.is_empty() || name.len() > limits::HEADER_NAME || !name.bytes().all(is_token) {
        let detail = format!(
            "a header's name has 1 to {} letters, digits and `-` (RFC 9110, a token)",
            limits::HEADER_NAME
        );
        faults.push(Fault::new("name", detail));
    } else if RESERVED.contains(&name.as_str())
        || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    {
        let detail = format!("`{}` is set by Fanhook itself and cannot be overridden", header.name);
        faults.push(Fault::new("name", detail).hint("remove this header"));
    }
    if header.value.len() > limits::HEADER_TEMPLATE {
        faults.push(Fault::new(
            "value",
            format!("a header's value has at most {} bytes", limits::HEADER_TEMPLATE),
        ));
    }
    if name == "content-type" {
        faults.extend(check_content_type(&header.value, body));
    }
    faults
}

/// `tchar` of RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Values are escaped for the body's kind, so a content type must not say that it is another.
fn check_content_type(value: &str, body: &Body) -> Option<Fault> {
    let Some(default) = body.content_type() else {
        return Some(
            Fault::new("name", "a request without a body has no content type").hint("remove this header"),
        );
    };
    if value.contains(['{', '}']) {
        return Some(Fault::new("value", "a content type holds no placeholders"));
    }
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let fits = match body {
        Body::List {} | Body::Json { .. } => essence == "application/json" || essence.ends_with("+json"),
        _ => default.split(';').next() == Some(&essence),
    };
    let hint = format!("remove this header for `{default}`, or choose another kind of body");
    (!fits).then(|| Fault::new("value", format!("`{essence}` is not what this kind of body is")).hint(hint))
}
