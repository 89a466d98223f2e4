//! Excerpts of answers, without what a receiver must not give back.

use std::borrow::Cow;

use http::HeaderName;

use crate::exchange::Request;

/// Most bytes of an excerpt.
pub const EXCERPT: usize = 512;

/// Shorter texts are left: removing them would tear up what has nothing to do with them.
const SHORTEST: usize = 6;
const REMOVED: &str = "[removed]";

/// Headers whose values are no secret.
const HARMLESS: [&str; 4] = ["accept", "content-type", "user-agent", "webhook-timestamp"];

/// What of a request's headers an answer must not give back: credentials and signatures, each part of a value by itself.
pub fn sensitive(request: &Request) -> Vec<&str> {
    let harmless =
        |name: &HeaderName| HARMLESS.contains(&name.as_str()) || name.as_str().starts_with("fanhook-");
    let own = request.own.iter().map(|(name, value)| (name, value));
    let headers = request.shared.iter().chain(own).filter(|(name, _)| !harmless(name));
    headers
        .filter_map(|(_, value)| value.to_str().ok())
        .flat_map(|value| value.split([' ', ',', ';', '=']))
        .collect()
}

/// The beginning of an answer as text, at most [`EXCERPT`] bytes: each of `remove` is taken out (also with `/` written `\/`, as in
/// JSON), control characters become spaces.
pub fn excerpt<'r>(answer: &[u8], remove: impl IntoIterator<Item = &'r str>) -> String {
    let mut text = String::from_utf8_lossy(answer).into_owned();
    let mut remove: Vec<Cow<'r, str>> =
        remove.into_iter().filter(|part| part.len() >= SHORTEST).map(Cow::Borrowed).collect();
    let escaped = remove.iter().filter(|part| part.contains('/')).map(|part| part.replace('/', "\\/").into());
    remove.extend(escaped.collect::<Vec<_>>());
    // The longest first: one may stand inside another.
    remove.sort_by_key(|part| std::cmp::Reverse(part.len()));
    for part in &remove {
        cut_begun(&mut text, part);
    }
    for part in &remove {
        if text.contains(&**part) {
            text = text.replace(&**part, REMOVED);
        }
    }
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = (0..=EXCERPT.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text[..end].trim_end().to_owned()
}

/// Drops an end of `text` with which `part` begins: the rest of it was not read.
fn cut_begun(text: &mut String, part: &str) {
    let longest = (SHORTEST..part.len())
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
        assert_eq!(excerpt(b"code 12 of 12", ["12"]), "code 12 of 12");
    }
}
