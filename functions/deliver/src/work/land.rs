//! What the end of a request leads to.

use fanhook_core::{outcome::Reason, retry::Attempt, time::Millis};
use fanhook_lambda::telemetry::chain;
use fanhook_outbound::{Ended, Exchange, excerpt, sensitive};
use fanhook_store::outcomes::Record;
use tokio::sync::SemaphorePermit;

use super::Worker;
use crate::{
    flight::Flown,
    parse::Recipients,
    plan::{self, Decision},
    prepare::{Prepared, tags},
};

/// What this worker knows of a recipient that it finished.
pub(crate) struct Known {
    pub(super) tries: u8,
    pub(super) status: Option<u16>,
    pub(super) at: Millis,
    pub(super) delivery: Option<String>,
    pub(super) answer: Option<String>,
}

impl Known {
    /// The record with all that is known.
    pub(crate) fn record<'a>(&'a self, record: Record<'a>) -> Record<'a> {
        Record {
            webhook_id: self.delivery.as_deref().map(Into::into),
            tries: Some(self.tries),
            status: self.status,
            at_ms: Some(self.at),
            answer: self.answer.as_deref().map(Into::into),
            ..record
        }
    }
}

/// The end of a request, not taken in yet.
pub(super) struct Landed<'a> {
    pub(super) index: usize,
    pub(super) prepared: Prepared,
    /// None where our own code panicked.
    pub(super) flown: Option<Flown<Exchange>>,
    pub(super) _permit: SemaphorePermit<'a>,
}

/// What everybody has to be told after an end.
pub(super) enum News {
    Hold(Millis),
    Park,
}

impl Worker<'_> {
    /// Takes the end of a request in; one that was not sent is as it was.
    pub(super) fn land(&mut self, landed: Landed<'_>, recipients: &Recipients<'_>) -> Option<News> {
        let Landed { index, prepared, flown, .. } = landed;
        let now = self.invocation.ports.clock.now();
        self.chunk.first_attempt.get_or_insert(now);
        let ends = self.ends();
        let ended = match flown.map(Flown::exchange) {
            Some(Some(Exchange::Ended(ended))) => ended,
            // For ever it can't go on: when the policy has ended, the way to the receiver is what failed.
            Some(Some(Exchange::OurFault(_))) if now > ends.policy => {
                Ended::without_answer(Attempt::Disconnected)
            }
            Some(Some(Exchange::OurFault(fault))) => {
                self.fault(&fault);
                return None;
            }
            Some(None) => return None,
            None => {
                self.unsaved += 1;
                let tries = self.chunk.states.tried(index);
                let known =
                    Known { tries, status: None, at: now, delivery: Some(prepared.delivery), answer: None };
                self.end(index, Reason::Internal, known);
                return None;
            }
        };
        self.unsaved += 1;
        self.summary.resent += u64::from(ended.resent);
        let tries = self.chunk.states.tried(index);
        let hold = plan::hold(ended.attempt, ended.retry_after.as_deref(), now, ends);
        let not_before = hold.max(self.endpoint.as_ref().and_then(|endpoint| endpoint.not_before));
        let random = self.invocation.ports.random.number();
        let (reason, news) = match plan::decide(ended.attempt, tries, not_before, now, random, ends) {
            Decision::Again(at) => {
                self.summary.again += 1;
                self.next = Some(self.next.map_or(at, |next| next.min(at)));
                return hold.map(News::Hold);
            }
            Decision::Final(reason) => (reason, hold.map(News::Hold)),
            Decision::Gone => (Reason::EndpointGone, Some(News::Park)),
        };
        let status = match ended.attempt {
            Attempt::Answered { status } => Some(status),
            Attempt::NoToken { status } => status,
            _ => None,
        };
        let answer =
            (!ended.answer.is_empty()).then(|| self.excerpt(&ended.answer, &prepared, recipients, index));
        self.end(index, reason, Known { tries, status, at: now, delivery: Some(prepared.delivery), answer });
        news
    }

    /// The beginning of an answer, without what a receiver may have echoed of the request: credentials, the ID, the user's tags.
    fn excerpt(
        &self,
        answer: &[u8],
        prepared: &Prepared,
        recipients: &Recipients<'_>,
        index: usize,
    ) -> String {
        let recipient = recipients.get(index);
        let profile = recipient.and_then(|recipient| recipients.profile(recipient));
        let merged = profile.map(|profile| profile.merged(&self.job.pinned.sources));
        let tags =
            recipient.into_iter().flat_map(|recipient| tags(self.job, recipient, merged.as_ref())).flatten();
        let ids = [Some(prepared.id.as_str()), prepared.clear.as_deref()].into_iter().flatten();
        excerpt(answer, sensitive(&prepared.request).into_iter().chain(ids).chain(tags))
    }

    pub(super) async fn tell(&self, news: News) {
        let (control, webhook) = (&self.invocation.control, self.job.pinned.webhook);
        let told = match news {
            News::Hold(until) => control.hold(webhook, until).await,
            News::Park => control.park(webhook).await,
        };
        if let Err(error) = told {
            // This invocation knows; others learn it from their own answers.
            tracing::warn!(error = %chain(&error), %webhook, "an endpoint's state is not written");
        }
    }
}
