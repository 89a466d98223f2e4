//! What the end of a request leads to.

use std::sync::Arc;

use fanhook_core::{
    chunk::State,
    outcome::Reason,
    recipient::DeliveryId,
    retry::{self, Attempt},
    time::Millis,
};
use fanhook_lambda::telemetry::chain;
use fanhook_outbound::{Ended, Exchange, HeaderValue, excerpt, is_telling, sensitive};
use fanhook_store::outcomes::Record;
use tokio::sync::SemaphorePermit;

use super::{Part, Refusal, Worker};
use crate::{
    parse::Recipients,
    plan::{self, Decision, Told},
    prepare::{Prepared, Sent, merged, tags},
    shares::Used,
    token::is_unauthorized,
};

/// Bytes of an answer that an excerpt is made of.
const BEGINNING: usize = 4 * 1024;

/// What this worker knows of a recipient that it finished.
pub(crate) struct Known {
    pub(super) tries: u8,
    pub(super) status: Option<u16>,
    pub(super) at: Millis,
    pub(super) delivery: Option<DeliveryId>,
    /// Shared by all recipients of a request.
    pub(super) answer: Option<Arc<str>>,
}

impl Known {
    /// The record with all that is known.
    pub(crate) fn record<'a>(&'a self, record: Record<'a>) -> Record<'a> {
        Record {
            webhook_id: self.delivery.map(|delivery| delivery.to_string().into()),
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
    pub(super) prepared: Prepared,
    pub(super) part: Part,
    /// The access token whose refusal has it sent once more.
    pub(super) token: Option<HeaderValue>,
    /// None where our own code panicked.
    pub(super) exchange: Option<Exchange>,
    pub(super) _permit: SemaphorePermit<'a>,
    /// Where the endpoint limits the requests at a time.
    pub(super) _slot: Option<Used<'a>>,
}

/// What everybody has to be told after an end.
pub(super) enum News {
    Hold(Millis),
    Park,
}

impl Worker<'_> {
    /// Takes the end of a request in; one whose access token was refused goes out once more, for the same recipients and as the same try.
    pub(super) fn land(&mut self, landed: Landed<'_>, recipients: &Recipients<'_>) -> Option<News> {
        let Landed { prepared, part, token, exchange, .. } = landed;
        let now = self.invocation.ports.clock.now();
        self.chunk.first_attempt.get_or_insert(now);
        let exchange = match (exchange, token) {
            (Some(exchange), Some(token)) if is_unauthorized(&exchange) => {
                self.parts.push(Part { refusal: Some(Refusal { token, exchange }), ..part });
                return None;
            }
            (exchange, _) => exchange,
        };
        let ends = self.ends();
        let ended = match exchange {
            Some(Exchange::Ended(ended)) => ended,
            // For ever it can't go on: when the policy has ended, the way to the receiver is what failed.
            Some(Exchange::OurFault(_)) if now > ends.policy => Ended::without_answer(Attempt::Disconnected),
            Some(Exchange::OurFault(fault)) => {
                self.fault(&fault);
                return None;
            }
            None => {
                self.unsaved += 1;
                let tries = self.tried(&prepared);
                for &Sent { index, delivery, .. } in &prepared.sent {
                    let known =
                        Known { tries, status: None, at: now, delivery: Some(delivery), answer: None };
                    self.end(index, Reason::Internal, known);
                }
                return None;
            }
        };
        self.summary.resent += u64::from(ended.resent);
        let told = plan::told(&ended, self.job.pinned.content.success.as_ref());
        let mut hold = None;
        if let Told::All(verdict) | Told::Unread(verdict) = told {
            hold = plan::hold(verdict, ended.retry_after.as_deref(), now, ends);
        }
        // An answer that could not be read refuses nobody: who sent it may have taken all of them.
        if let Told::All(verdict) = told
            && retry::may_be_of_some(ended.attempt, verdict)
            && self.is_split(&prepared, part.half || now <= ends.policy)
        {
            self.split(prepared.sent);
            return None;
        }
        self.unsaved += 1;
        let not_before = hold.max(self.endpoint.as_ref().and_then(|endpoint| endpoint.not_before));
        let random = self.invocation.ports.random.number();
        let tries = self.tried(&prepared);
        let decide = |sent: &Sent| {
            plan::decide(told.verdict(sent.delivery, &sent.id), tries, not_before, now, random, ends)
        };
        let decisions: Vec<Decision> = prepared.sent.iter().map(decide).collect();
        let mut news = hold.map(News::Hold);
        let status = match ended.attempt {
            Attempt::Answered { status } => Some(status),
            Attempt::NoToken { status } => status,
            _ => None,
        };
        let answer = self.kept(&ended.answer, &decisions, &prepared, recipients);
        for (sent, decision) in prepared.sent.iter().zip(decisions) {
            let reason = match decision {
                Decision::Again(at) => {
                    self.summary.again += 1;
                    self.next = Some(self.next.map_or(at, |next| next.min(at)));
                    continue;
                }
                Decision::Final(reason) => reason,
                Decision::Gone => {
                    news = Some(News::Park);
                    Reason::EndpointGone
                }
            };
            let answer = answer.clone().filter(|_| reason != Reason::Delivered);
            self.end(
                sent.index,
                reason,
                Known { tries, status, at: now, delivery: Some(sent.delivery), answer },
            );
        }
        news
    }

    /// Whether a refused request is to be sent again in halves. That uses no try: the end of the retry policy ends what is not `begun` alone.
    fn is_split(&self, prepared: &Prepared, begun: bool) -> bool {
        let [first, _, ..] = prepared.sent.as_slice() else { return false };
        let untried = self.chunk.states.get(first.index) == State::Pending { tries: 0 };
        self.job.pinned.content.split_refused && (begun || untried)
    }

    /// Has the recipients of a refused request sent to again in halves, at once and as the same try: so all but those whom the receiver
    /// refuses are delivered to, with less than two requests for each. Should the pass end before, the next one begins with the whole.
    fn split(&mut self, sent: Vec<Sent>) {
        self.summary.split += 1;
        let mut first: Vec<usize> = sent.into_iter().map(|sent| sent.index).collect();
        let second = first.split_off(first.len().div_ceil(2));
        // The first half is sent first, and split before the second one is sent: the fewest are under way at an end of the pass.
        self.parts.extend([second, first].map(|indexes| Part { indexes, half: true, refusal: None }));
    }

    /// One more try of a request's recipients was used. Answers how many there are now: all were tried equally often.
    fn tried(&mut self, prepared: &Prepared) -> u8 {
        prepared.sent.iter().map(|sent| self.chunk.states.tried(sent.index)).max().unwrap_or_default()
    }

    /// What is kept of an answer, where it ended anybody without success.
    fn kept(
        &self,
        answer: &[u8],
        decisions: &[Decision],
        prepared: &Prepared,
        recipients: &Recipients<'_>,
    ) -> Option<Arc<str>> {
        let failed = |decision: &Decision| match decision {
            Decision::Final(reason) => *reason != Reason::Delivered,
            Decision::Gone => true,
            Decision::Again(_) => false,
        };
        let keep = !answer.is_empty() && decisions.iter().any(failed);
        keep.then(|| self.excerpt(&answer[..answer.len().min(BEGINNING)], prepared, recipients).into())
    }

    /// The beginning of an answer, without what a receiver may have echoed of the request: credentials, the IDs, the users' tags.
    fn excerpt(&self, answer: &[u8], prepared: &Prepared, recipients: &Recipients<'_>) -> String {
        let sensitive = sensitive(&prepared.request);
        let recipient = |sent: &Sent| {
            let recipient = recipients.get(sent.index)?;
            Some((recipient, merged(self.job, recipients.profile(recipient))))
        };
        let known: Vec<_> = prepared.sent.iter().filter_map(recipient).collect();
        let tags = known.iter().flat_map(|(recipient, merged)| tags(self.job, recipient, merged.as_ref()));
        let ids =
            prepared.sent.iter().flat_map(|sent| [Some(sent.id.as_str()), sent.clear.as_deref()]).flatten();
        let values = ids.chain(tags.flatten()).filter(|value| is_telling(value));
        excerpt(answer, sensitive.iter().map(|part| part.as_str()).chain(values))
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
