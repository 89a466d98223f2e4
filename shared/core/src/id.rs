//! Identifiers: each a type of its own, whose parser is its validator. None may hold `#`, the delimiter of keys.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};
use uuid::Uuid;

/// Why a text is no identifier of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct InvalidId {
    /// The rule that the text breaks.
    pub rule: &'static str,
}

/// In the API's description: text of this pattern (ECMA-262).
fn text_schema(pattern: &str) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).into()
}

/// An identifier `<prefix><32 hex digits>` around a UUID: mostly of version 7, so that identifiers sort by the time they were made.
macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// The identifier around a UUID that the caller made.
            pub fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let rule = concat!("must be `", $prefix, "…` with 32 lower-case hex digits");
                let digits = text.strip_prefix($prefix).ok_or(InvalidId { rule })?;
                let canonical = digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                let uuid = canonical.then(|| Uuid::try_parse(digits).ok()).flatten();
                uuid.map(Self).ok_or(InvalidId { rule })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                text_schema(concat!("^", $prefix, "[0-9a-f]{32}$"))
            }
        }

        impl ToSchema for $name {}
    };
}

prefixed_id!(
    /// A webhook.
    WebhookId,
    "whk_"
);
prefixed_id!(
    /// A push.
    PushId,
    "psh_"
);
prefixed_id!(
    /// A run of a push.
    RunId,
    "run_"
);
prefixed_id!(
    /// A parameter source.
    ParameterSourceId,
    "prs_"
);
prefixed_id!(
    /// An uploaded file.
    UploadId,
    "upl_"
);
prefixed_id!(
    /// A usage grant, around a digest of whom it is given to: a grantee has one on a webhook at most.
    GrantId,
    "grt_"
);
prefixed_id!(
    /// An entry of the audit log.
    EntryId,
    ""
);

/// A short text under a rule, checked by its parser.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $rule:literal, $pattern:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The rule that its parser holds a text to.
            pub const RULE: &'static str = $rule;

            /// Whether a text is such an identifier, without making one of it.
            pub fn is_valid(text: &str) -> bool {
                let check: fn(&str) -> bool = $check;
                check(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                if Self::is_valid(&text) { Ok(Self(text)) } else { Err(InvalidId { rule: $rule }) }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                text_schema($pattern)
            }
        }

        impl ToSchema for $name {}

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id!(
    /// A workspace: the tenant.
    WorkspaceId,
    "must be 1 to 64 of a-z, 0-9, `-` and `_`",
    "^[a-z0-9_-]{1,64}$",
    |text| (1..=64).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
);
text_id!(
    /// The code of an ID type, as in `MOBILE`.
    IdTypeCode,
    "must be 1 to 32 of A-Z, 0-9 and `_`, and begin with a letter",
    "^[A-Z][A-Z0-9_]{0,31}$",
    |text| text.len() <= 32
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
);
text_id!(
    /// A data source that profiles come from, as in `crm` or `web-shop`.
    SourceName,
    "must be 1 to 32 of a-z, 0-9, `-` and `_`",
    "^[a-z0-9_-]{1,32}$",
    |text| (1..=32).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
);
text_id!(
    /// A name in templates: of a parameter (`{name}`) or a variable (`${name}`).
    Name,
    "must be 1 to 64 of a-z, A-Z, 0-9 and `_`, and begin with a letter or `_`",
    "^[A-Za-z_][A-Za-z0-9_]{0,63}$",
    |text| text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
);
text_id!(
    /// The unified ID of one user: opaque text, never trimmed, folded or read as a number.
    Qaid,
    "must be 1 to 1,024 bytes of text without control characters",
    r"^[^\u0000-\u001f\u007f-\u009f]{1,1024}$",
    |text| (1..=1024).contains(&text.len()) && !has_control(text)
);

/// Whether a text holds control characters. Most texts are ASCII, which is looked over faster.
pub fn has_control(text: &str) -> bool {
    !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_reads_back_what_it_writes() {
        let id = RunId::new(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("run_7".parse::<RunId>().is_err());
        assert!(id.to_string().to_uppercase().parse::<RunId>().is_err());
        assert!(id.to_string().parse::<PushId>().is_err());
    }

    #[test]
    fn an_identifier_without_a_prefix_is_its_digits() {
        let id = EntryId::new(Uuid::from_u128(7));
        assert_eq!(id.to_string(), format!("{:032}", 7));
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "7", "00000000-0000-0000-0000-000000000007"] {
            assert!(wrong.parse::<EntryId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_identifier_in_a_key_holds_the_delimiter() {
        assert!("a#b".parse::<WorkspaceId>().is_err());
        assert!("A#B".parse::<IdTypeCode>().is_err());
        assert!("a#b".parse::<SourceName>().is_err());
    }

    #[test]
    fn a_qaid_is_opaque() {
        for text in ["__proto__", "1e5", "a#b", "🎟", " x ", &"x".repeat(1024)] {
            assert_eq!(text.parse::<Qaid>().map(String::from).as_deref(), Ok(text));
        }
        assert!("".parse::<Qaid>().is_err());
        assert!("a\0".parse::<Qaid>().is_err());
        assert!("x".repeat(1025).parse::<Qaid>().is_err());
    }
}
