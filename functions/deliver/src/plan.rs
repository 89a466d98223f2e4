//! What may begin, and what the end of a request means: pure, with the time and the jitter as arguments.

use std::time::Duration;

use fanhook_core::{
    outcome::Reason,
    recipient::DeliveryId,
    retry::{self, Attempt, Verdict},
    time::Millis,
    webhook::{Each, Judgement, SuccessRule},
};
use fanhook_outbound::Ended;
use fanhook_store::{endpoints::Endpoint, runs::Run};

use crate::Times;

/// No request starts on a reading of runs and endpoints that is older.
pub const READING: Duration = Duration::from_millis(1_500);
/// Time kept free before the end of the invocation and of the lease, for settling.
pub const SETTLING: Duration = Duration::from_secs(5);
/// A wait up to this is a message beside the due entry; a longer one is the entry alone.
pub const SHORT_WAIT: Duration = Duration::from_secs(90);
/// Wait after a fault of ours.
pub const FAULT_WAIT: Duration = Duration::from_secs(30);
/// Passes of a chunk that may wake the next one themselves: `deliver` to `deliver` is a loop, which Lambda cuts after about 16.
pub const HOPS: u64 = 3;

/// When what may begin in an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Until when a claim of this invocation holds.
    pub lease: Millis,
    /// When the platform ends the invocation.
    end: Millis,
    longest: Duration,
}

impl Window {
    /// The window of an invocation that the platform ends at `deadline`.
    pub fn new(deadline: Millis, times: Times) -> Self {
        let lease = deadline + times.lease_margin;
        Self { lease, end: deadline, longest: times.timeout.saturating_sub(SETTLING) / 2 }
    }

    /// The deadline of one request: the webhook's, but never so long that an invocation had no time for one.
    pub fn deadline(&self, wanted: Duration) -> Duration {
        wanted.min(self.longest)
    }

    /// The last moment for a request with this deadline to start, so that its end can still be settled.
    pub fn last_start(&self, deadline: Duration) -> Millis {
        Millis(self.end.0.saturating_sub(millis(deadline + SETTLING)))
    }

    /// By then the outcome object must be put: one that is put after the lease could replace a later worker's.
    pub fn last_put(&self) -> Millis {
        Millis(self.end.0.saturating_sub(millis(SETTLING) / 5))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a request may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// Not before a newer reading.
    Stale,
    /// No more in this pass.
    Closed(Stop),
}

/// Why a pass starts no more requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The run is paused, closing or over.
    NotLive,
    /// The endpoint answered 410, or its webhook was deleted.
    Gone,
    /// The endpoint wants to be left alone until then.
    Held(Millis),
    /// The endpoint's budget is spent until then.
    Spent(Millis),
    /// The invocation or the lease ends.
    OutOfTime,
    /// A fault of ours.
    OurFault,
}

impl Stop {
    /// When recipients that were not sent to come next.
    pub fn next(self, now: Millis) -> Millis {
        match self {
            Self::Held(until) | Self::Spent(until) => until,
            Self::OurFault => now + FAULT_WAIT,
            Self::NotLive | Self::Gone | Self::OutOfTime => now,
        }
    }
}

/// Judges whether a request may start `now`, by a reading begun at `read_at`.
pub fn gate(
    now: Millis,
    read_at: Millis,
    run: Option<&Run>,
    endpoint: Option<&Endpoint>,
    last_start: Millis,
) -> Gate {
    if now > last_start {
        return Gate::Closed(Stop::OutOfTime);
    }
    if now.since(read_at) > READING {
        return Gate::Stale;
    }
    if !run.is_some_and(|run| run.is_live_at(now)) {
        return Gate::Closed(Stop::NotLive);
    }
    match endpoint {
        None => Gate::Closed(Stop::Gone),
        Some(endpoint) if endpoint.parked => Gate::Closed(Stop::Gone),
        Some(Endpoint { not_before: Some(until), .. }) if *until > now => Gate::Closed(Stop::Held(*until)),
        Some(_) => Gate::Open,
    }
}

/// What the end of a request says of its recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The same of all.
    All(Verdict),
    /// Of all what the webhook's success rule says of a 2xx answer that cannot be read: the receiver may have taken any of them.
    Unread(Verdict),
    /// Of each something else, by the webhook's success rule.
    Each(Each),
}

impl Told {
    /// What it says of one recipient.
    pub fn verdict(&self, delivery: DeliveryId, id: &str) -> Verdict {
        match self {
            Self::All(verdict) | Self::Unread(verdict) => *verdict,
            Self::Each(each) => retry::verdict_by_rule(each.of(&delivery.to_string(), id)),
        }
    }
}

/// What the end of a request says: by the status, or where that is 2xx by the webhook's success rule.
pub fn told(ended: &Ended, rule: Option<&SuccessRule>) -> Told {
    match (ended.attempt, rule) {
        (Attempt::Answered { status: 200..=299 }, Some(rule)) => {
            match rule.judge(ended.is_whole.then_some(&ended.answer)) {
                Judgement::All(meaning) => Told::All(retry::verdict_by_rule(meaning)),
                Judgement::Unread(meaning) => Told::Unread(retry::verdict_by_rule(meaning)),
                Judgement::Each(each) => Told::Each(each),
            }
        }
        (attempt, _) => Told::All(retry::verdict(attempt)),
    }
}

/// Until when failed recipients are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The retry policy's end.
    pub policy: Millis,
    /// The run's expiry.
    pub run: Option<Millis>,
}

/// What the end of a request means for its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Final.
    Final(Reason),
    /// Final, and the endpoint is gone for everybody.
    Gone,
    /// Pending until then.
    Again(Millis),
}

/// Decides after a request ended so at `now`; `tries` are those used, this one included, and `not_before` is what the receiver asked for.
pub fn decide(
    verdict: Verdict,
    tries: u8,
    not_before: Option<Millis>,
    now: Millis,
    random: u64,
    end: End,
) -> Decision {
    match verdict {
        Verdict::Final(reason) => Decision::Final(reason),
        Verdict::Gone => Decision::Gone,
        Verdict::Again(exhausted) => match retry::next_try(now, tries, random, not_before, end.policy) {
            None => Decision::Final(exhausted),
            Some(at) if end.run.is_some_and(|run| at > run) => Decision::Final(Reason::Expired),
            Some(at) => Decision::Again(at),
        },
    }
}

/// Until when the whole endpoint is left alone after an answer with `Retry-After`: only where it may be tried again, and no longer than
/// the policy lasts.
pub fn hold(verdict: Verdict, retry_after: Option<&str>, now: Millis, end: End) -> Option<Millis> {
    let again = matches!(verdict, Verdict::Again(_));
    let until = retry::retry_after(retry_after.filter(|_| again)?, now)?;
    Some(until.min(end.policy)).filter(|until| *until > now)
}

/// Delay of the message that wakes the next pass up, where there is to be one beside the due entry; whole seconds, never too early.
pub fn wake(now: Millis, next: Millis, pass: u64) -> Option<Duration> {
    let wait = next.since(now);
    let short = wait <= SHORT_WAIT && pass < HOPS;
    short.then(|| Duration::from_secs(millis(wait).div_ceil(1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_800_000_000_000);

    fn window() -> Window {
        Window::new(
            NOW + Duration::from_secs(90),
            Times { timeout: Duration::from_secs(90), lease_margin: Duration::from_secs(5) },
        )
    }

    #[test]
    fn a_request_ends_in_time_to_be_settled_within_the_invocation_and_the_lease() {
        let deadline = window().deadline(Duration::from_secs(30));
        assert_eq!(deadline, Duration::from_secs(30));
        let end = window().last_start(deadline) + deadline + SETTLING;
        assert!(end <= NOW + Duration::from_secs(90) && end < window().lease);
        assert!(window().last_put() < NOW + Duration::from_secs(90));
        let short = Times { timeout: Duration::from_secs(15), lease_margin: Duration::from_secs(5) };
        let window = Window::new(NOW + short.timeout, short);
        let deadline = window.deadline(Duration::from_secs(30));
        assert!(window.last_start(deadline) > NOW, "a short function still sends");
    }

    #[test]
    fn retry_after_counts_only_where_there_is_a_next_try_and_ends_with_the_policy() {
        let end = End { policy: NOW + Duration::from_mins(1), run: None };
        let held = |status, value| hold(retry::verdict(Attempt::Answered { status }), value, NOW, end);
        assert_eq!(held(429, Some("10")), Some(NOW + Duration::from_secs(10)));
        assert_eq!(held(503, Some("100")), Some(NOW + Duration::from_mins(1)));
        assert_eq!(held(503, None), None);
        assert_eq!(held(503, Some("0")), None);
        assert_eq!(held(503, Some("soon")), None);
        assert_eq!(held(400, Some("10")), None);
        assert_eq!(held(200, Some("10")), None);
    }

    #[test]
    fn the_expiry_of_the_run_and_the_end_of_the_policy_each_have_their_reason() {
        let failed = Verdict::Again(Reason::ExhaustedStatus);
        let end = |policy, run: Option<u64>| End {
            policy: NOW + Duration::from_secs(policy),
            run: run.map(|run| NOW + Duration::from_secs(run)),
        };
        let decide = |end| decide(failed, 1, None, NOW, 0, end);
        assert_eq!(decide(end(10, None)), Decision::Again(NOW + Duration::from_secs(4)));
        assert_eq!(decide(end(3, None)), Decision::Final(Reason::ExhaustedStatus));
        assert_eq!(decide(end(10, Some(3))), Decision::Final(Reason::Expired));
    }

    #[test]
    fn a_short_wait_is_a_message_of_whole_seconds_and_a_long_one_is_not() {
        let wake = |millis, pass| wake(NOW, NOW + Duration::from_millis(millis), pass);
        assert_eq!(wake(4_001, 0), Some(Duration::from_secs(5)));
        assert_eq!(wake(0, 2), Some(Duration::ZERO));
        assert_eq!(wake(90_000, 0), Some(Duration::from_secs(90)));
        assert_eq!(wake(90_001, 0), None);
        assert_eq!(wake(0, HOPS), None);
    }
}
