//! The limits of sizes and counts that people meet: all in one place. `docs/API.md` lists them, and tests try each at the limit and
//! one above.
//!
//! Texts are counted in bytes of UTF-8, unless it says characters.

use std::{ops::RangeInclusive, time::Duration};

// Webhooks.

/// Name of a webhook or a push, display name of a parameter or an ID type, in characters.
pub const NAME: usize = 100;
/// Description of a webhook, in characters.
pub const DESCRIPTION: usize = 1000;
/// Parameters of a webhook.
pub const PARAMETERS: usize = 50;
/// Parameters of type `call`. Another 40 sources instead of 40 are twice as many writes of one transaction, which takes 100.
pub const CALLS: usize = 40;
/// Template of a URL.
pub const URL_TEMPLATE: usize = 4 * 1024;
/// Static headers of a webhook.
pub const HEADERS: usize = 50;
/// Name of a header.
pub const HEADER_NAME: usize = 100;
/// Template of a header's value.
pub const HEADER_TEMPLATE: usize = 4 * 1024;
/// Template of a body.
pub const BODY_TEMPLATE: usize = 64 * 1024;
/// Placeholders and variables of a whole request.
pub const SLOTS: usize = 4096;
/// Depth of a JSON template.
pub const JSON_DEPTH: usize = 64;
/// Deadline of one request, its answer's body included.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// How long a failed request is tried again, in seconds: 30 days.
pub const GIVE_UP_AFTER: u64 = 30 * 24 * 60 * 60;
/// User name of basic authentication.
pub const USERNAME: usize = 256;
/// Secret that requests authenticate with.
pub const SECRET: usize = 4096;
/// A webhook, as JSON: beside a push it must fit into one item of what a run pins, and two versions into one of the audit log.
pub const WEBHOOK: usize = 190 * 1024;
/// Person or role that a webhook is granted to.
pub const GRANTEE: usize = 256;
/// Users of a request.
pub const BATCH: u32 = 1000;
/// URL, client and scope of OAuth 2.0.
pub const CLIENT_TEXT: usize = 1024;
/// How long a replaced signing secret stays valid beside the new one.
pub const OVERLAP: Duration = Duration::from_hours(24);
/// JSON pointer.
pub const POINTER: usize = 1024;
/// Values of a success rule, whatever they mean.
pub const RULE_VALUES: usize = 100;
/// Value in a success rule.
pub const RULE_VALUE: usize = 256;
/// Status codes of receipts.
pub const STATUSES: usize = 50;
/// Shortest and longest recovery period, in seconds: an hour to 30 days.
pub const RECOVERY_PERIOD: RangeInclusive<u32> = 60 * 60..=30 * 24 * 60 * 60;
/// Status code or status value of receipts, in characters.
pub const STATUS: usize = 64;
/// Statement of consent, in characters.
pub const STATEMENT: usize = 1000;
/// Origins whose handshakes are kept of a webhook: those that agreed last.
pub const HANDSHAKES: usize = 8;
/// A parameter source, as JSON.
pub const PARAMETER_SOURCE: usize = 100 * 1024;
/// Value that an interface tells.
pub const FETCHED: usize = 4096;

// Rendered requests; what is larger gives the outcome `too_large`.

/// Body.
pub const BODY: usize = 256 * 1024;
/// URL.
pub const URL: usize = 8 * 1024;
/// Value of a header.
pub const HEADER_VALUE: usize = 8 * 1024;

// Answers of endpoints.

/// What is read of an answer's body, and of a token endpoint's or an interface's.
pub const RECEIVED: usize = 16 * 1024;
/// What a test send shows of an answer's body.
pub const SHOWN: usize = 4 * 1024;
/// What a failure keeps of an answer's body.
pub const EXCERPT: usize = 512;

// Test sends and consent.

/// Recipients of a run whose webhook never passed a test send.
pub const UNTESTED: u64 = 100;
/// Recipients of a run whose endpoint's owner has not agreed.
pub const UNAGREED: u64 = 1_000;
/// Deadline of a test send: whoever asked waits for it behind an API that answers within 30 s.
pub const TEST: Duration = Duration::from_secs(20);
/// Least time between two test sends through a webhook: nobody has proved yet that its endpoint wants them.
pub const BETWEEN_TESTS: Duration = Duration::from_secs(1);

// Pushes.

/// Variables of a push.
pub const VARIABLES: usize = 100;
/// Default of a variable.
pub const DEFAULT: usize = 4096;
/// Name of a tag, of an event or of an attribute of one.
pub const LABEL: usize = 256;
/// Value of a parameter of type `character`, in characters.
pub const CHARACTER: usize = 200;
/// Value of a parameter of type `numeric`.
pub const NUMERIC: usize = 64;
/// Value of a parameter of type `text`.
pub const TEXT: usize = 16 * 1024;
/// Conditions of a filter of events.
pub const CONDITIONS: usize = 50;
/// Values of one condition.
pub const CONDITION_VALUES: usize = 100;
/// Value of a condition.
pub const CONDITION_VALUE: usize = 256;
/// How many events it takes to start a push, where it takes more than one.
pub const EVENT_COUNT: RangeInclusive<u32> = 2..=1000;
/// Within how many seconds they are counted: a minute to 30 days.
pub const EVENT_PERIOD: RangeInclusive<u32> = 60..=30 * 24 * 60 * 60;
/// A push, as JSON: beside a webhook it must fit into one item of what a run pins.
pub const PUSH: usize = 100 * 1024;
/// Value that is given for a preview or a test send.
pub const SAMPLE: usize = 4096;

// Users.

/// ID types of a workspace.
pub const ID_TYPES: usize = 50;
/// ID types that take part in ID mapping.
pub const MAPPED_ID_TYPES: usize = 5;
/// IDs of one type that a user is sent to by, under policy `all`.
pub const IDS: usize = 50;
/// An ID.
pub const ID: usize = 1024;
/// E-mail address (RFC 5321).
pub const EMAIL: usize = 254;
/// Data sources that a workspace names.
pub const SOURCES: usize = 50;
/// How far ahead of now what a source says may be (`updated`): clocks of exporters go wrong, but what is of a far future nothing replaces.
pub const AHEAD: Duration = Duration::from_hours(24);
/// Profiles of one request.
pub const PROFILES: usize = 500;

/// A record of an audience file or a profile file.
pub const RECORD: usize = 64 * 1024;
/// What is inside a compressed file.
pub const UNPACKED: u64 = 20 << 30;

// Runs.

/// Files of an audience. Two writes each of the transaction that starts a run, which takes 100.
pub const FILES: usize = 40;
/// Idempotency key.
pub const IDEMPOTENCY_KEY: usize = 255;
/// What a run pins, as JSON: one item of the ledger.
pub const PINNED: usize = 380 * 1024;

// The API.

/// Body of a request.
pub const REQUEST: usize = 1024 * 1024;
/// Items of a page.
pub const PAGE: usize = 100;
/// Failures of a page.
pub const FAILURES_PAGE: usize = 1000;
/// Faults that are told at once.
pub const FAULTS: usize = 50;
/// What an answer holds of whole requests or changes, as JSON. A function's answer has at most 6 MB, in which quotes are escaped once more.
pub const ANSWER: usize = 2 * 1024 * 1024;

/// How many things of these sizes an answer holds: as many as fit into it, and the first in any case.
pub fn fitting(sizes: impl IntoIterator<Item = usize>) -> usize {
    let mut filled = 0;
    let fits = |size: &usize| {
        filled += size;
        filled <= ANSWER
    };
    sizes.into_iter().take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_filled_to_its_limit_and_never_empty() {
        assert_eq!(fitting([ANSWER - 1, 1, 1]), 2);
        assert_eq!(fitting([ANSWER, 1]), 1);
        assert_eq!(fitting([ANSWER + 1, 1]), 1);
        assert_eq!(fitting([1, ANSWER, 1]), 1, "what is behind a gap would be lost");
    }
}
