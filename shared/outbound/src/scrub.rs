//! Excerpts of answers, without what a receiver must not give back.

use std::fmt::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use fanhook_core::limits::EXCERPT;
use http::{HeaderName, HeaderValue};

use zeroize::Zeroizing;

use crate::exchange::Request;

/// Shorter values of users are left: removing them would tear up what has nothing to do with them.
const SHORTEST: usize = 6;
const REMOVED: &str = "[removed]";
/// Stands for it meanwhile, lest a short secret is found in it: a character that no text holds.
const MARK: char = '\u{fdd0}';

/// Headers whose values are no secret.
const HARMLESS: [&str; 4] = ["accept", "content-type", "user-agent", "webhook-timestamp"];

/// Whether a value of a user is taken out of answers: not where it is so short that it may stand there by chance.
pub fn is_telling(value: &str) -> bool {
    value.len() >= SHORTEST
}

/// What of a request's headers an answer must not give back: credentials and signatures, by their [`parts`].
pub fn sensitive(request: &Request) -> Vec<Zeroizing<String>> {
    let harmless =
        |name: &HeaderName| HARMLESS.contains(&name.as_str()) || name.as_str().starts_with("fanhook-");
    let own = request.own.iter().map(|(name, value)| (name, value));
    let headers = request.shared.iter().chain(own).filter(|(name, _)| !harmless(name));
    headers.flat_map(|(_, value)| parts(value)).collect()
}

/// A header's value and each telling part of it by itself; of a credential also what follows the scheme, and the password in that where it
/// is Basic authentication (RFC 7617), however short they are.
pub fn parts(value: &HeaderValue) -> Vec<Zeroizing<String>> {
    let Ok(text) = std::str::from_utf8(value.as_bytes()) else { return Vec::new() };
    let mut parts: Vec<&str> = text.split([' ', ',', ';', '=']).chain([text]).collect();
    parts.retain(|part| is_telling(part));
    let pair = text.strip_prefix("Basic ");
    let decoded = pair.and_then(|pair| BASE64_STANDARD.decode(pair).ok()).map(Zeroizing::new);
    if value.is_sensitive() {
        parts.push(text.strip_prefix("Bearer ").or(pair).unwrap_or(text));
        let decoded = decoded.as_ref().and_then(|decoded| std::str::from_utf8(decoded).ok());
        parts.extend(decoded.and_then(|decoded| decoded.split_once(':')).map(|(_, password)| password));
    }
    parts.into_iter().map(|part| part.to_owned().into()).collect()
}

/// The beginning of an answer as text, at most [`EXCERPT`] bytes: each of `remove` is taken out, however JSON, a form or an address would
/// write it, and control characters become spaces.
pub fn excerpt<'r>(answer: &[u8], remove: impl IntoIterator<Item = &'r str>) -> String {
    let text = scrub(&String::from_utf8_lossy(answer), remove);
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = (0..=EXCERPT.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text[..end].trim_end().to_owned()
}

/// A text without any of `remove`, however JSON, a form or an address would write it. Of users' values only those that are
/// [telling](is_telling) are to be among them.
pub fn scrub<'r>(text: &str, remove: impl IntoIterator<Item = &'r str>) -> String {
    let mut text = text.to_owned();
    let mut remove: Vec<&str> = remove.into_iter().filter(|part| !part.is_empty()).collect();
    // The users of a batch share many a value.
    remove.sort_unstable();
    remove.dedup();
    let escaped: Vec<Zeroizing<String>> = remove.iter().flat_map(|part| escaped(part)).collect();
    remove.extend(escaped.iter().map(|form| form.as_str()));
    // The longest first: one may stand inside another.
    remove.sort_by_key(|part| std::cmp::Reverse(part.len()));
    for part in &remove {
        cut_begun(&mut text, part);
    }
    for part in &remove {
        if text.contains(part) {
            text = text.replace(part, MARK.encode_utf8(&mut [0; 4]));
        }
    }
    text.replace(MARK, REMOVED)
}

/// A text as others may write it, where that differs: in JSON with `\/`, in JSON of ASCII alone, percent-encoded, as a form.
fn escaped(text: &str) -> Vec<Zeroizing<String>> {
    let json = serde_json::to_string(text).unwrap_or_default();
    let json = json.get(1..json.len().saturating_sub(1)).unwrap_or_default().to_owned();
    let (mut ascii, mut encoded) = (String::new(), String::new());
    // Writing to a text cannot fail.
    for c in json.chars() {
        if matches!(c, ' '..='~') {
            ascii.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(ascii, "\\u{unit:04x}");
        }
    }
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    let form = encoded.replace("%20", "+");
    let mut forms = vec![json.replace('/', "\\/"), ascii.replace('/', "\\/"), json, ascii, encoded, form];
    forms.sort_unstable();
    forms.dedup();
    forms.retain(|form| form != text);
    forms.into_iter().map(Zeroizing::new).collect()
}

/// Drops an end of `text` with which `part` begins: the rest of it was not read. Of a short part it is at least half.
fn cut_begun(text: &mut String, part: &str) {
    let longest = (SHORTEST.min(part.len().div_ceil(2))..part.len())
        .rev()
        .find(|&length| part.get(..length).is_some_and(|begun| text.ends_with(begun)));
    if let Some(length) = longest {
        text.truncate(text.len() - length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_text_without_control_characters() {
        assert_eq!(excerpt(b"no\r\nsuch\0user\xff", []), "no  such user\u{fffd}");
        let long = "ü".repeat(1_000);
        assert_eq!(excerpt(long.as_bytes(), []).len(), EXCERPT);
    }

    #[test]
    fn what_a_user_is_called_is_taken_out_however_it_is_escaped() {
        let name = "José \"Pepe\" García/Ruiz";
        let echoes = [
            name.to_owned(),
            serde_json::to_string(name).unwrap(),
            serde_json::to_string(name).unwrap().replace('/', "\\/"),
            r#"{"name":"Jos\u00e9 \"Pepe\" Garc\u00eda\/Ruiz"}"#.to_owned(),
            "name=Jos%C3%A9%20%22Pepe%22%20Garc%C3%ADa%2FRuiz&x=1".to_owned(),
            "name=Jos%C3%A9+%22Pepe%22+Garc%C3%ADa%2FRuiz&x=1".to_owned(),
        ];
        for echo in echoes {
            let text = excerpt(echo.as_bytes(), [name]);
            assert!(text.contains(REMOVED) && !text.contains("Pepe") && !text.contains("Ruiz"), "{text}");
        }
    }

    #[test]
    fn what_was_sent_in_confidence_is_taken_out_however_it_is_written() {
        let secret = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE";
        let echoes = [
            format!("you sent {secret}!"),
            format!(r#"{{"signature":"v1,{}"}}"#, secret.replace('/', "\\/")),
            format!("{secret}{secret}"),
            format!("cut off: {}", &secret[..20]),
        ];
        for echo in echoes {
            let text = excerpt(echo.as_bytes(), [secret]);
            assert!(!text.contains("g0hM9SsE") && !text.contains("JELVlN"), "{text}");
        }
    }

    #[test]
    fn a_secret_is_taken_out_however_short_it_is_and_a_short_word_of_a_header_is_not() {
        let header = |value: &'static str, sensitive| {
            let mut value = HeaderValue::from_static(value);
            value.set_sensitive(sensitive);
            value
        };
        let clean = |echo: &str, value| scrub(echo, parts(&value).iter().map(|part| part.as_str()));
        for (value, secret) in [("Bearer rm", "rm"), ("e", "e"), ("Basic c2hvcDpubw==", "no")] {
            let echo = format!("<{secret}> and {}", header(value, true).to_str().unwrap());
            let clean = clean(&echo, header(value, true));
            assert!(clean.starts_with("<[removed]>") && clean.ends_with("[removed]"), "{clean}");
        }
        assert_eq!(clean("a web of 12", header("web, 12", false)), "a web of 12");
        assert_eq!(scrub("it ends in s3cr", ["s3cr3"]), "it ends in ");
        assert!(is_telling("Adelheid") && !is_telling("12"));
    }
}
