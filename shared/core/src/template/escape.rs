//! How a value is written so that it cannot change what stands around it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but RFC 3986 unreserved characters: right in a path segment, in a query and in a form alike.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a header value cannot hold, and `%` itself so that decoding gives the value back.
const UNFIT_FOR_HEADER: &AsciiSet = &percent_encoding::CONTROLS.add(b'%');

/// How a value is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Escape {
    /// Not at all: plain text.
    Plain,
    /// Inside a JSON string.
    Json,
    /// Inside a URL's path or query, or a form.
    Percent,
    /// Inside a header value.
    Header,
}

impl Escape {
    /// Appends the escaped value.
    #[inline]
    pub(crate) fn write(self, value: &str, out: &mut String) {
        match self {
            Self::Plain => out.push_str(value),
            Self::Json => json(value, out),
            Self::Percent => out.extend(utf8_percent_encode(value, RESERVED)),
            Self::Header => out.extend(utf8_percent_encode(value, UNFIT_FOR_HEADER)),
        }
    }
}

fn needs_json_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Nearly every value holds nothing to escape: that is told by one pass without branches, which the compiler
/// vectorises, and the value is then copied whole.
fn json(value: &str, out: &mut String) {
    if value.bytes().fold(false, |found, byte| found | needs_json_escape(byte)) {
        json_slow(value, out);
    } else {
        out.push_str(value);
    }
}

#[cold]
fn json_slow(value: &str, out: &mut String) {
    let mut copied = 0;
    for (at, byte) in value.bytes().enumerate().filter(|&(_, byte)| needs_json_escape(byte)) {
        out.push_str(&value[copied..at]);
        copied = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out.push_str(&value[copied..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(escape: Escape, value: &str) -> String {
        let mut out = String::new();
        escape.write(value, &mut out);
        out
    }

    #[test]
    fn a_json_string_holds_any_text() {
        assert_eq!(
            escaped(Escape::Json, "Zoë \"Z\" \\ \n\r\t\u{1}\u{1f}\u{7f}\u{2028}"),
            "Zoë \\\"Z\\\" \\\\ \\n\\r\\t\\u0001\\u001f\u{7f}\u{2028}"
        );
    }

    #[test]
    fn only_unreserved_characters_stand_in_a_url() {
        assert_eq!(escaped(Escape::Percent, "a-Z_0.~"), "a-Z_0.~");
        assert_eq!(
            escaped(Escape::Percent, "/?#&=+%\\ \n;:@é"),
            "%2F%3F%23%26%3D%2B%25%5C%20%0A%3B%3A%40%C3%A9"
        );
    }

    #[test]
    fn a_header_value_stays_on_its_line() {
        assert_eq!(escaped(Escape::Header, "a\r\nhost: x\0\u{7f}"), "a%0D%0Ahost: x%00%7F");
        assert_eq!(escaped(Escape::Header, "100% é"), "100%25 %C3%A9");
    }
}
