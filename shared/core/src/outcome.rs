//! What became of one recipient in one run: a final outcome and its reason.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Final outcome of a recipient; each ends in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The receiver took it.
    Delivered,
    /// The user has no usable ID.
    NoId,
    /// A variable or a required parameter was empty.
    EmptyValue,
    /// The rendered request is over the limit.
    TooLarge,
    /// The user is not to be sent to.
    Suppressed,
    /// The receiver, or a rule of ours about the receiver, refused it for good.
    Refused,
    /// The retry policy ended before the receiver took it.
    Exhausted,
    /// The run expired first.
    Expired,
    /// The run was cancelled first.
    Cancelled,
    /// At-most-once mode only: sent, and no answer came.
    Unknown,
}

/// Why a recipient has its outcome. The table [`REASONS`] gives each its byte in a chunk row and its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// An answer that means success.
    Delivered,
    /// No usable ID of the wanted types.
    NoId,
    /// A variable said `skip_user`, or a required parameter was blank.
    EmptyValue,
    /// The body is over the limit.
    TooLarge,
    /// A status that is final: 4xx but 408, 425, 429, or one outside 200 to 599.
    Status,
    /// A redirect; it is never followed.
    Redirect,
    /// The endpoint's address is private, loopback, link-local or otherwise not to be dialled.
    BlockedAddress,
    /// The endpoint answered 410, for this recipient or an earlier one.
    EndpointGone,
    /// The request can't be made of this user's values.
    InvalidRequest,
    /// Our own code failed on this recipient.
    Internal,
    /// A 2xx answer that means "never" by the webhook's success rule.
    Answer,
    /// The token endpoint refused to give an access token; the receiver was not called.
    TokenRefused,
    /// Tries ended with a status that may be tried again.
    ExhaustedStatus,
    /// Tries ended with a time-out.
    ExhaustedTimeout,
    /// Tries ended without a connection.
    ExhaustedConnection,
    /// Tries ended with a TLS error.
    ExhaustedTls,
    /// Tries ended with an answer that is no HTTP.
    ExhaustedProtocol,
    /// Tries ended without an access token; the receiver was not called.
    ExhaustedToken,
    /// Tries ended with a 2xx answer that means "try again" by the webhook's success rule.
    ExhaustedAnswer,
    /// The run's expiry came first.
    Expired,
    /// The run was cancelled.
    Cancelled,
}

/// Every reason: its byte in a chunk row (32 to 127, never re-used), its outcome, its name in API and outcome objects.
pub const REASONS: [(Reason, u8, Outcome, &str); 21] = [
    (Reason::Delivered, 32, Outcome::Delivered, "delivered"),
    (Reason::NoId, 40, Outcome::NoId, "no_id"),
    (Reason::EmptyValue, 48, Outcome::EmptyValue, "empty_value"),
    (Reason::TooLarge, 56, Outcome::TooLarge, "too_large"),
    (Reason::Status, 72, Outcome::Refused, "status"),
    (Reason::Redirect, 73, Outcome::Refused, "redirect"),
    (Reason::BlockedAddress, 74, Outcome::Refused, "blocked_address"),
    (Reason::EndpointGone, 75, Outcome::Refused, "endpoint_gone"),
    (Reason::InvalidRequest, 76, Outcome::Refused, "invalid_request"),
    (Reason::Internal, 77, Outcome::Refused, "internal"),
    (Reason::Answer, 78, Outcome::Refused, "answer"),
    (Reason::TokenRefused, 79, Outcome::Refused, "token_refused"),
    (Reason::ExhaustedStatus, 88, Outcome::Exhausted, "exhausted_status"),
    (Reason::ExhaustedTimeout, 89, Outcome::Exhausted, "exhausted_timeout"),
    (Reason::ExhaustedConnection, 90, Outcome::Exhausted, "exhausted_connection"),
    (Reason::ExhaustedTls, 91, Outcome::Exhausted, "exhausted_tls"),
    (Reason::ExhaustedProtocol, 92, Outcome::Exhausted, "exhausted_protocol"),
    (Reason::ExhaustedToken, 93, Outcome::Exhausted, "exhausted_token"),
    (Reason::ExhaustedAnswer, 94, Outcome::Exhausted, "exhausted_answer"),
    (Reason::Expired, 96, Outcome::Expired, "expired"),
    (Reason::Cancelled, 104, Outcome::Cancelled, "cancelled"),
];

impl Reason {
    fn row(self) -> &'static (Reason, u8, Outcome, &'static str) {
        // The table is in the order of the enum; a test holds it so.
        &REASONS[self as usize]
    }

    /// Its byte in a chunk row.
    pub fn byte(self) -> u8 {
        self.row().1
    }

    /// The reason behind a chunk row's byte, the counted bit aside.
    pub fn from_byte(byte: u8) -> Option<Self> {
        REASONS.iter().find(|row| row.1 == byte & 0x7f).map(|row| row.0)
    }

    /// The outcome that it stands for.
    pub fn outcome(self) -> Outcome {
        self.row().2
    }

    /// Its name, as in `exhausted_timeout`.
    pub fn name(self) -> &'static str {
        self.row().3
    }

    /// The reason of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        REASONS.iter().find(|row| row.3 == name).map(|row| row.0)
    }
}

impl Outcome {
    /// All outcomes, in the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::Delivered,
        Self::NoId,
        Self::EmptyValue,
        Self::TooLarge,
        Self::Suppressed,
        Self::Refused,
        Self::Exhausted,
        Self::Expired,
        Self::Cancelled,
        Self::Unknown,
    ];

    /// Its name, as in `no_id`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::NoId => "no_id",
            Self::EmptyValue => "empty_value",
            Self::TooLarge => "too_large",
            Self::Suppressed => "suppressed",
            Self::Refused => "refused",
            Self::Exhausted => "exhausted",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_row_byte_and_name() {
        for (at, &(reason, byte, outcome, name)) in REASONS.iter().enumerate() {
            assert_eq!(reason as usize, at);
            assert!((32..128).contains(&byte));
            assert_eq!(Reason::from_byte(byte | 0x80), Some(reason));
            assert_eq!(Reason::from_name(name), Some(reason));
            assert_eq!(serde_json::to_string(&reason).ok(), Some(format!("\"{name}\"")));
            assert_eq!(serde_json::to_string(&outcome).ok(), Some(format!("\"{outcome}\"")));
        }
        let bytes: std::collections::BTreeSet<u8> = REASONS.iter().map(|row| row.1).collect();
        assert_eq!(bytes.len(), REASONS.len());
    }
}
