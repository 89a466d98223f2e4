//! Sending to a claimed chunk's recipients.
//!
//! Everything runs in the one task of the invocation: requests under way are futures in a set, and a request's end is taken in (*lands*)
//! by the chunk's loop. While the loop waits for the store, ends are set aside with their permits, so that they count as under way until
//! they are taken in: so at most [`UNSAVED`](crate::UNSAVED) ends are not saved, and the bound of a crash holds.

mod land;
mod send;

use std::time::Duration;

use fanhook_core::{chunk::State, outcome::Reason, rate::Rate, run::EndpointSettings, time::Millis};
use fanhook_lambda::telemetry::chain;
use fanhook_outbound::{Exchange, HeaderValue};
use fanhook_store::{StoreResult, chunks::Chunk, endpoints::Endpoint, runs::Run};
use tokio::sync::watch;

pub(crate) use self::land::Known;
use crate::{
    control::View,
    credentials::Credentials,
    invocation::Invocation,
    job::Job,
    pace::Pace,
    plan::{self, End, Gate, Stop},
    prepare::Preparer,
    summary::Summary,
};

/// Works one claimed chunk.
pub(crate) struct Worker<'a> {
    pub(crate) chunk: Chunk,
    pub(crate) known: Vec<Option<Known>>,
    summary: &'a mut Summary,
    invocation: &'a Invocation<'a>,
    job: &'a Job,
    preparer: Preparer<'a>,
    view: watch::Receiver<View>,
    read_at: Millis,
    run: Option<Run>,
    endpoint: Option<Endpoint>,
    /// The settings that the credentials are made of.
    settings: Option<EndpointSettings>,
    credentials: Credentials,
    deadline: Duration,
    last_start: Millis,
    /// Tokens taken, and at which rate.
    pace: Option<(Rate, Pace)>,
    stop: Option<Stop>,
    /// The earliest next try.
    next: Option<Millis>,
    unsaved: usize,
    /// Recipients of one request each, cut already: halves of refused ones, and those whose access token was refused; the last one first.
    parts: Vec<Part>,
}

/// Recipients of one request.
pub(super) struct Part {
    pub(super) indexes: Vec<usize>,
    /// Whether they are of a refused request that was cut in halves.
    pub(super) half: bool,
    /// Where they are sent to once more, for their access token was refused.
    pub(super) refusal: Option<Refusal>,
}

/// How an access token was refused.
pub(super) struct Refusal {
    pub(super) token: HeaderValue,
    /// What the request comes to where no newer token is to be had.
    pub(super) exchange: Exchange,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(
        invocation: &'a Invocation<'a>,
        job: &'a Job,
        chunk: Chunk,
        summary: &'a mut Summary,
    ) -> Self {
        let deadline = invocation.window.deadline(job.deadline);
        summary.pending = chunk.states.pending_len();
        let mut worker = Self {
            known: std::iter::repeat_with(|| None).take(chunk.states.len()).collect(),
            summary,
            chunk,
            invocation,
            job,
            preparer: Preparer::new(job),
            view: invocation.control.subscribe(),
            read_at: Millis(0),
            run: None,
            endpoint: None,
            settings: None,
            credentials: Credentials::default(),
            deadline,
            last_start: invocation.window.last_start(deadline),
            pace: None,
            stop: None,
            next: None,
            unsaved: 0,
            parts: Vec::new(),
        };
        worker.take_view();
        worker
    }

    fn take_view(&mut self) {
        let view = self.view.borrow_and_update();
        self.read_at = view.read_at;
        self.run = view.run(self.chunk.id.run).cloned();
        self.endpoint = view.endpoint(self.job.pinned.webhook).map(|endpoint| Endpoint {
            settings: endpoint.settings.of_run(&self.job.pinned),
            ..endpoint.clone()
        });
    }

    /// Whether a request may start now.
    pub(crate) fn look(&self) -> Gate {
        let now = self.invocation.ports.clock.now();
        plan::gate(now, self.read_at, self.run.as_ref(), self.endpoint.as_ref(), self.last_start)
    }

    /// Starts nothing more in this pass.
    pub(crate) fn stop(&mut self, stop: Stop) {
        self.stop.get_or_insert(stop);
    }

    /// Why the pass ended before all were sent to.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.stop
    }

    /// Gets the credentials for the settings of now.
    pub(crate) async fn ready(&mut self) -> StoreResult<()> {
        let Some(endpoint) = &self.endpoint else { return Ok(()) };
        let (ports, pinned) = (self.invocation.ports, &self.job.pinned);
        let settings = endpoint.settings.clone();
        let of = (&pinned.workspace, pinned.webhook);
        self.credentials =
            ports.kept.keyring.get(ports, of, &settings, pinned.push_content.send_form).await?;
        self.settings = Some(settings);
        Ok(())
    }

    /// Takes a newer reading in.
    async fn refresh(&mut self) {
        self.take_view();
        let changed =
            self.endpoint.as_ref().is_some_and(|endpoint| Some(&endpoint.settings) != self.settings.as_ref());
        if changed && let Err(error) = self.ready().await {
            self.fault(&error);
        }
    }

    fn end(&mut self, index: usize, reason: Reason, known: Known) {
        match reason {
            Reason::Delivered => self.summary.delivered += 1,
            _ => self.summary.failed += 1,
        }
        self.chunk.states.finish(index, reason);
        self.known[index] = Some(known);
    }

    fn ends(&self) -> End {
        let retry = self.endpoint.as_ref().map(|endpoint| endpoint.settings.retry).unwrap_or_default();
        let first = self.chunk.first_attempt.unwrap_or_else(|| self.invocation.ports.clock.now());
        End {
            policy: first + Duration::from_secs(retry.give_up_after_seconds),
            run: self.run.as_ref().and_then(|run| run.expires_at),
        }
    }

    fn fault(&mut self, error: &(dyn std::error::Error + 'static)) {
        if self.stop != Some(Stop::OurFault) {
            tracing::warn!(error = %chain(error), run = %self.chunk.id.run, chunk = self.chunk.id.chunk, "a pass stops");
        }
        self.summary.our_faults += 1;
        self.stop(Stop::OurFault);
    }

    /// Ends the pass: who is pending at a gone endpoint is final. Answers when the others are tried again.
    pub(crate) fn finish(&mut self) -> Millis {
        self.take_view();
        let now = self.invocation.ports.clock.now();
        let live = self.run.as_ref().is_some_and(|run| run.state.is_live());
        if live && self.endpoint.as_ref().is_none_or(|endpoint| endpoint.parked) {
            for index in self.chunk.states.pending().collect::<Vec<_>>() {
                if let State::Pending { tries } = self.chunk.states.get(index) {
                    self.end(
                        index,
                        Reason::EndpointGone,
                        Known { tries, status: None, at: now, delivery: None, answer: None },
                    );
                }
            }
        }
        // Halves use no try, and the next pass begins with the whole: an endpoint that is too slow for the halves of one pass would be asked
        // without end.
        if now > self.ends().policy && matches!(self.stop, Some(Stop::OutOfTime | Stop::Spent(_))) {
            for index in self.parts.drain(..).filter(|part| part.half).flat_map(|part| part.indexes) {
                self.chunk.states.tried(index);
            }
        }
        let unsent = self.stop.map(|stop| stop.next(now));
        let next = self.next.into_iter().chain(unsent).min().unwrap_or(now);
        next.max(self.endpoint.as_ref().and_then(|endpoint| endpoint.not_before).unwrap_or_default())
    }
}
