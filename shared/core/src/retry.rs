//! When a failed request is tried again: pure arithmetic over what happened.

use std::time::Duration;

use crate::{outcome::Reason, time::Millis, webhook::Meaning};

/// Waits after the first, second, … failed try; the last one is repeated.
pub const SCHEDULE: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(1),
    Duration::from_hours(2),
    Duration::from_hours(4),
    Duration::from_hours(8),
];

/// What happened to one request, as far as retrying goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver answered with this status.
    Answered {
        /// HTTP status.
        status: u16,
    },
    /// No whole answer came within the deadline.
    TimedOut,
    /// No connection, or it broke before an answer.
    Disconnected,
    /// The receiver's name resolves to nothing.
    Unresolved,
    /// TLS failed.
    Tls,
    /// The answer is no HTTP.
    Protocol,
    /// The address is not to be dialled.
    Blocked,
    /// No access token could be had, and the receiver was not called.
    NoToken {
        /// HTTP status of the token endpoint; none: it did not answer.
        status: Option<u16>,
    },
}

/// What a request's end means for its recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Final.
    Final(Reason),
    /// Final, and the whole endpoint is parked.
    Gone,
    /// To be tried again; should tries end here, the reason is this.
    Again(Reason),
}

/// The retry table.
pub fn verdict(attempt: Attempt) -> Verdict {
    match attempt {
        Attempt::Answered { status } => match status {
            200..=299 => Verdict::Final(Reason::Delivered),
            300..=399 => Verdict::Final(Reason::Redirect),
            408 | 425 | 429 | 500..=599 => Verdict::Again(Reason::ExhaustedStatus),
            410 => Verdict::Gone,
            _ => Verdict::Final(Reason::Status),
        },
        Attempt::TimedOut => Verdict::Again(Reason::ExhaustedTimeout),
        Attempt::Disconnected | Attempt::Unresolved => Verdict::Again(Reason::ExhaustedConnection),
        Attempt::Tls => Verdict::Again(Reason::ExhaustedTls),
        Attempt::Protocol => Verdict::Again(Reason::ExhaustedProtocol),
        Attempt::Blocked => Verdict::Final(Reason::BlockedAddress),
        // It says nothing of any recipient, and a wrong secret may be set right: even a clear no ends nobody before the retry policy does.
        Attempt::NoToken { status } => match status.map(|status| verdict(Attempt::Answered { status })) {
            Some(Verdict::Final(Reason::Redirect | Reason::Status) | Verdict::Gone) => {
                Verdict::Again(Reason::TokenRefused)
            }
            _ => Verdict::Again(Reason::ExhaustedToken),
        },
    }
}

/// What a 2xx answer means for whom the webhook's success rule speaks of.
pub fn verdict_by_rule(meaning: Meaning) -> Verdict {
    match meaning {
        Meaning::Success => Verdict::Final(Reason::Delivered),
        Meaning::Retry => Verdict::Again(Reason::ExhaustedAnswer),
        Meaning::Never => Verdict::Final(Reason::Answer),
    }
}

/// Whether a final verdict may be due to some of the users in a request: that is not so where it is said of the caller, of the method or of
/// the media type (401, 403, 405, 407, 415).
pub fn may_be_of_some(attempt: Attempt, verdict: Verdict) -> bool {
    match (verdict, attempt) {
        (Verdict::Final(Reason::Answer), _) => true,
        (Verdict::Final(Reason::Status), Attempt::Answered { status }) => {
            (400..500).contains(&status) && !matches!(status, 401 | 403 | 405 | 407 | 415)
        }
        _ => false,
    }
}

/// Wait before the next try after `tries` failed ones (at least 1): the schedule's step ± 20 %, by `random`.
pub fn wait(tries: u8, random: u64) -> Duration {
    let step = usize::from(tries.max(1) - 1).min(SCHEDULE.len() - 1);
    let fifth = SCHEDULE[step] / 5;
    let range = u64::try_from(2 * fifth.as_millis()).unwrap_or(u64::MAX);
    (SCHEDULE[step] + Duration::from_millis(random % (range + 1))).saturating_sub(fifth)
}

/// When the next try is, if there is one: not after the retry policy's end or the run's expiry.
pub fn next_try(
    now: Millis,
    tries: u8,
    random: u64,
    not_before: Option<Millis>,
    end: Millis,
) -> Option<Millis> {
    let at = (now + wait(tries, random)).max(not_before.unwrap_or_default());
    (at <= end).then_some(at)
}

/// `Retry-After` of an answer, as a point in time: seconds, or an HTTP date.
pub fn retry_after(value: &str, now: Millis) -> Option<Millis> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(now + Duration::from_secs(seconds.min(u64::from(u32::MAX))));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp().as_millisecond();
    u64::try_from(date).ok().map(Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_2xx_is_success_and_only_what_may_pass_is_tried_again() {
        let answered = |status| verdict(Attempt::Answered { status });
        for status in [200, 204, 206, 299] {
            assert_eq!(answered(status), Verdict::Final(Reason::Delivered), "{status}");
        }
        for status in [408, 425, 429, 500, 503, 599] {
            assert_eq!(answered(status), Verdict::Again(Reason::ExhaustedStatus), "{status}");
        }
        for status in [300, 302, 304, 399] {
            assert_eq!(answered(status), Verdict::Final(Reason::Redirect), "{status}");
        }
        for status in [100, 101, 400, 401, 404, 418, 451, 600, 999] {
            assert_eq!(answered(status), Verdict::Final(Reason::Status), "{status}");
        }
        assert_eq!(answered(410), Verdict::Gone);
    }

    #[test]
    fn without_a_token_nobody_ends_before_his_tries_and_a_clear_no_is_the_reason_then() {
        let no_token = |status| verdict(Attempt::NoToken { status });
        for status in [302, 400, 401, 403, 404, 410] {
            assert_eq!(no_token(Some(status)), Verdict::Again(Reason::TokenRefused), "{status}");
        }
        for status in [None, Some(200), Some(408), Some(429), Some(500), Some(503)] {
            assert_eq!(no_token(status), Verdict::Again(Reason::ExhaustedToken), "{status:?}");
        }
    }

    #[test]
    fn a_rule_has_reasons_of_its_own() {
        let verdicts = [Meaning::Success, Meaning::Retry, Meaning::Never].map(verdict_by_rule);
        let expected = [
            Verdict::Final(Reason::Delivered),
            Verdict::Again(Reason::ExhaustedAnswer),
            Verdict::Final(Reason::Answer),
        ];
        assert_eq!(verdicts, expected);
    }

    #[test]
    fn what_is_said_of_the_caller_or_the_endpoint_is_not_said_of_single_users() {
        let of_some = |status| {
            let attempt = Attempt::Answered { status };
            may_be_of_some(attempt, verdict(attempt))
        };
        assert_eq!([400, 404, 409, 413, 422, 499].map(of_some), [true; 6]);
        assert_eq!([200, 302, 401, 403, 405, 407, 410, 415, 429, 503, 600].map(of_some), [false; 11]);
        let ok = Attempt::Answered { status: 200 };
        assert!(may_be_of_some(ok, verdict_by_rule(Meaning::Never)));
        assert!(!may_be_of_some(ok, verdict_by_rule(Meaning::Retry)));
        assert!(!may_be_of_some(Attempt::Blocked, verdict(Attempt::Blocked)));
    }

    #[test]
    fn waits_follow_the_schedule_within_a_fifth() {
        for tries in 1..40 {
            let step = SCHEDULE[usize::from(tries - 1).min(8)];
            for random in [0, 1, u64::MAX, 123_456_789] {
                let wait = wait(tries, random);
                assert!(wait >= step * 4 / 5 && wait <= step * 6 / 5, "{tries} {random} {wait:?}");
            }
        }
    }

    #[test]
    fn a_try_after_the_end_is_not_waited_for() {
        let now = Millis(1_000_000);
        assert_eq!(
            next_try(now, 1, 0, None, now + Duration::from_secs(4)),
            Some(now + Duration::from_secs(4))
        );
        assert_eq!(next_try(now, 1, 0, None, now + Duration::from_millis(3_999)), None);
        let later = now + Duration::from_mins(1);
        assert_eq!(next_try(now, 1, 0, Some(later), later), Some(later));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Millis(1_700_000_000_000);
        assert_eq!(retry_after(" 120 ", now), Some(now + Duration::from_mins(2)));
        assert_eq!(retry_after("Tue, 14 Nov 2023 22:14:20 GMT", now), Some(Millis(1_700_000_060_000)));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("", now), None);
        assert!(retry_after("99999999999999999999999", now).is_some());
    }
}
