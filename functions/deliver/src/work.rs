//! Sending to a claimed chunk's recipients.
//!
//! Everything runs in the one task of the invocation: requests under way are futures in a set, and a request's end is taken in (*lands*)
//! by the chunk's loop. While the loop waits for the store, ends are set aside with their permits, so that they count as under way until
//! they are taken in: so at most [`UNSAVED`] ends are not saved, and the bound of a crash holds.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use fanhook_core::{
    chunk::State,
    outcome::Reason,
    retry::Attempt,
    signature::Signer,
    time::Millis,
    webhook::Signing,
};
use fanhook_lambda::{clock::Clock, sqs::caught, telemetry::chain};
use fanhook_outbound::{Ended, Exchange, excerpt, sensitive};
use fanhook_store::{
    StoreResult,
    chunks::{self, Chunk, Fenced},
    endpoints::{self, Endpoint, Taken},
    outcomes::Record,
    runs::Run,
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::{SemaphorePermit, watch};

use crate::{
    UNSAVED,
    apply::GONE,
    control::View,
    invocation::Invocation,
    job::Job,
    pace::{Pace, Slot},
    parse::Recipients,
    plan::{self, Decision, End, Gate, Stop},
    prepare::{Prepared, Preparer, Try},
    summary::Summary,
};

/// Ends are saved at the latest so long after the first one that is not.
const SAVE_AFTER: Duration = Duration::from_secs(2);

/// What this worker knows of a recipient that it finished.
pub(crate) struct Known {
    tries: u8,
    status: Option<u16>,
    at: Millis,
    delivery: Option<String>,
    answer: Option<String>,
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
struct Landed<'a> {
    index: usize,
    prepared: Prepared,
    /// None where our own code panicked.
    exchange: Option<Exchange>,
    _permit: SemaphorePermit<'a>,
}

/// What everybody has to be told after an end.
enum News {
    Hold(Millis),
    Park,
}

/// Why the loop starts nothing at the moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// Nothing is left to start.
    Nothing,
    Permit,
    Reading,
    Until(Millis),
    Tokens(u32),
}

/// Works one claimed chunk.
pub(crate) struct Worker<'a> {
    pub(crate) chunk: Chunk,
    pub(crate) known: Vec<Option<Known>>,
    pub(crate) summary: Summary,
    invocation: &'a Invocation<'a>,
    job: &'a Job,
    preparer: Preparer<'a>,
    view: watch::Receiver<View>,
    read_at: Millis,
    run: Option<Run>,
    endpoint: Option<Endpoint>,
    signing: Signing,
    signer: Option<Signer>,
    deadline: Duration,
    last_start: Millis,
    /// Tokens taken, and at which rate.
    pace: Option<(u32, Pace)>,
    stop: Option<Stop>,
    /// The earliest next try.
    next: Option<Millis>,
    unsaved: usize,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(invocation: &'a Invocation<'a>, job: &'a Job, run: &Run, chunk: Chunk) -> Self {
        let deadline = invocation.window.deadline(job.deadline);
        let pending = chunk.states.pending_len();
        let mut worker = Self {
            known: std::iter::repeat_with(|| None).take(chunk.states.len()).collect(),
            summary: Summary { pass: chunk.pass, recipients: chunk.states.len(), pending, ..Summary::default() },
            chunk,
            invocation,
            job,
            preparer: Preparer::new(job),
            view: invocation.control.subscribe(),
            read_at: Millis(0),
            run: Some(run.clone()),
            endpoint: None,
            signing: Signing::None {},
            signer: None,
            deadline,
            last_start: invocation.window.last_start(deadline),
            pace: None,
            stop: None,
            next: None,
            unsaved: 0,
        };
        worker.take_view();
        worker
    }

    fn take_view(&mut self) {
        let view = self.view.borrow_and_update();
        self.read_at = view.read_at;
        self.run = view.run(self.chunk.id.run).cloned();
        self.endpoint = view.endpoint(self.job.pinned.webhook).cloned();
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

    /// Gets the signer for the settings of now.
    pub(crate) async fn ready(&mut self) -> StoreResult<()> {
        let Some(endpoint) = &self.endpoint else { return Ok(()) };
        let (ports, pinned) = (self.invocation.ports, &self.job.pinned);
        let (signing, now) = (endpoint.settings.signing.clone(), ports.clock.now());
        let signers = &ports.kept.signers;
        self.signer = signers.get(&*ports.secrets, &pinned.workspace, pinned.webhook, &signing, now).await?;
        self.signing = signing;
        Ok(())
    }

    /// Sends to all that are pending, or until something stops it; every request has ended then, unless the fence was lost.
    pub(crate) async fn send_all(&mut self, recipients: &Recipients<'_>) -> Fenced {
        let invocation = self.invocation;
        let clock = &*invocation.ports.clock;
        let mut flights = FuturesUnordered::new();
        let mut landed = VecDeque::new();
        let mut waiting: VecDeque<usize> = self.chunk.states.pending().collect();
        let mut spare = None;
        let mut save_by: Option<BoxFuture<'_, ()>> = None;
        loop {
            while let Some(end) = landed.pop_front() {
                match self.land(end) {
                    None => {}
                    Some(news) => beside(&mut flights, &mut landed, self.tell(news)).await,
                }
                if self.unsaved == UNSAVED {
                    save_by = None;
                    if beside(&mut flights, &mut landed, self.save()).await == Fenced::Lost {
                        return Fenced::Lost;
                    }
                }
            }
            if self.view.has_changed().unwrap_or(false) {
                beside(&mut flights, &mut landed, self.refresh()).await;
            }
            let pause = loop {
                let pause = self.pause(waiting.len());
                if let Some(pause) = pause {
                    break pause;
                }
                let Some(permit) = spare.take().or_else(|| invocation.permits.try_acquire().ok()) else { break Pause::Permit };
                let Some(index) = waiting.pop_front() else { break Pause::Nothing };
                if let Some(prepared) = self.start(index, recipients) {
                    let (http, deadline) = (&*invocation.ports.http, self.deadline);
                    flights.push(async move {
                        let exchange = caught(http.send(&prepared.request, deadline)).await;
                        Landed { index, prepared, exchange, _permit: permit }
                    });
                }
            };
            if let Pause::Tokens(wanted) = pause {
                beside(&mut flights, &mut landed, self.take_tokens(wanted)).await;
                continue;
            }
            if !landed.is_empty() {
                continue;
            }
            if pause == Pause::Nothing && flights.is_empty() {
                return Fenced::Held;
            }
            if pause != Pause::Permit {
                spare = None;
            }
            if self.unsaved > 0 && save_by.is_none() {
                save_by = Some(clock.sleep(SAVE_AFTER));
            }
            let until = match pause {
                Pause::Until(at) => Some(at),
                Pause::Reading => Some(self.last_start + Duration::from_millis(1)),
                Pause::Nothing | Pause::Permit | Pause::Tokens(_) => None,
            };
            let save = tokio::select! {
                biased;
                Some(end) = flights.next(), if !flights.is_empty() => {
                    landed.push_back(end);
                    false
                }
                permit = invocation.permits.acquire(), if pause == Pause::Permit => {
                    spare = permit.ok();
                    false
                }
                _ = self.view.changed(), if pause == Pause::Reading => {
                    self.view.mark_changed();
                    false
                }
                () = wait(clock, until), if until.is_some() => false,
                () = due(&mut save_by), if save_by.is_some() => true,
            };
            if save {
                save_by = None;
                if beside(&mut flights, &mut landed, self.save()).await == Fenced::Lost {
                    return Fenced::Lost;
                }
            }
        }
    }

    /// Why no request may start now; none where one may.
    fn pause(&mut self, waiting: usize) -> Option<Pause> {
        if waiting == 0 || self.stop.is_some() {
            return Some(Pause::Nothing);
        }
        match self.look() {
            Gate::Open => {}
            Gate::Stale => return Some(Pause::Reading),
            Gate::Closed(stop) => {
                self.stop(stop);
                return Some(Pause::Nothing);
            }
        }
        let rate = self.rate()?;
        let now = self.invocation.ports.clock.now();
        let slot = match &mut self.pace {
            Some((taken_at, pace)) if *taken_at == rate => pace.slot(now),
            _ => Slot::Over,
        };
        match slot {
            Slot::Now => None,
            Slot::At(at) if at > self.last_start => {
                self.stop(Stop::OutOfTime);
                Some(Pause::Nothing)
            }
            Slot::At(at) => Some(Pause::Until(at)),
            Slot::Over => Some(Pause::Tokens(u32::try_from(waiting).unwrap_or(u32::MAX))),
        }
    }

    fn rate(&self) -> Option<u32> {
        self.endpoint.as_ref().and_then(|endpoint| endpoint.settings.requests_per_second)
    }

    /// Takes tokens of the endpoint, no more than can be used in this pass.
    async fn take_tokens(&mut self, wanted: u32) {
        let Some(rate) = self.rate() else { return };
        let (ports, now) = (self.invocation.ports, self.invocation.ports.clock.now());
        let usable = self.last_start.since(now).as_secs().saturating_add(1).saturating_mul(u64::from(rate));
        let wanted = wanted.min(u32::try_from(usable).unwrap_or(u32::MAX));
        let webhook = self.job.pinned.webhook;
        match endpoints::take(&*ports.ledger, webhook, rate, wanted, now, self.last_start).await {
            Ok(Taken::Block(block)) => self.pace = Some((rate, Pace::new(block))),
            Ok(Taken::Later(at)) => self.stop(Stop::Spent(at)),
            Err(error) => self.fault(&error),
        }
    }

    /// The request of a recipient that is still pending; where there is none, it is final.
    fn start(&mut self, index: usize, recipients: &Recipients<'_>) -> Option<Prepared> {
        let now = self.invocation.ports.clock.now();
        let State::Pending { tries } = self.chunk.states.get(index) else { return None };
        let prepared = match recipients.get(index) {
            None => Err(Reason::Internal),
            Some(recipient) => {
                let attempt = Try { tries, now, signer: self.signer.as_ref() };
                let (preparer, profile) = (&mut self.preparer, recipients.profile(recipient));
                // One user's values that trip our own code are that user's end alone.
                catch_unwind(AssertUnwindSafe(|| preparer.prepare(recipient, profile, attempt))).unwrap_or(Err(Reason::Internal))
            }
        };
        match prepared {
            Ok(prepared) => {
                self.summary.requests += 1;
                if let Some((_, pace)) = &mut self.pace {
                    pace.use_slot();
                }
                Some(prepared)
            }
            Err(reason) => {
                self.end(index, reason, Known { tries, status: None, at: now, delivery: None, answer: None });
                None
            }
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

    /// Takes the end of a request in.
    fn land(&mut self, landed: Landed<'_>) -> Option<News> {
        let Landed { index, prepared, exchange, .. } = landed;
        let now = self.invocation.ports.clock.now();
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
                let tries = self.chunk.states.tried(index);
                let known = Known { tries, status: None, at: now, delivery: Some(prepared.delivery), answer: None };
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
            Decision::Gone => (GONE, Some(News::Park)),
        };
        let status = match ended.attempt {
            Attempt::Answered { status } => Some(status),
            _ => None,
        };
        let answer = (!ended.answer.is_empty()).then(|| {
            let id = prepared.id.as_str();
            excerpt(&ended.answer, sensitive(&prepared.request).into_iter().chain([id]))
        });
        self.end(index, reason, Known { tries, status, at: now, delivery: Some(prepared.delivery), answer });
        news
    }

    fn ends(&self) -> End {
        let retry = self.endpoint.as_ref().map(|endpoint| endpoint.settings.retry).unwrap_or_default();
        let first = self.chunk.first_attempt.unwrap_or_default();
        End {
            policy: first + Duration::from_secs(retry.give_up_after_seconds),
            run: self.run.as_ref().and_then(|run| run.expires_at),
        }
    }

    async fn tell(&self, news: News) {
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

    /// Takes a newer reading in.
    async fn refresh(&mut self) {
        self.take_view();
        let changed = self.endpoint.as_ref().is_some_and(|endpoint| endpoint.settings.signing != self.signing);
        if changed && let Err(error) = self.ready().await {
            self.fault(&error);
        }
    }

    /// Saves the states. After a failure nothing more starts.
    async fn save(&mut self) -> Fenced {
        self.summary.checkpoints += 1;
        match chunks::checkpoint(&*self.invocation.ports.ledger, &self.chunk).await {
            Ok(fenced) => {
                self.unsaved = 0;
                fenced
            }
            Err(error) => {
                self.fault(&error);
                Fenced::Held
            }
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
                    self.end(index, GONE, Known { tries, status: None, at: now, delivery: None, answer: None });
                }
            }
        }
        let unsent = self.stop.map(|stop| stop.next(now));
        let next = self.next.into_iter().chain(unsent).min().unwrap_or(now);
        next.max(self.endpoint.as_ref().and_then(|endpoint| endpoint.not_before).unwrap_or_default())
    }
}

/// Does `work` while requests go on; those that end are set aside.
async fn beside<F: Future, T>(
    flights: &mut FuturesUnordered<F>,
    landed: &mut VecDeque<F::Output>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            Some(end) = flights.next(), if !flights.is_empty() => landed.push_back(end),
        }
    }
}

async fn wait(clock: &dyn Clock, until: Option<Millis>) {
    let wait = until.unwrap_or_default().since(clock.now());
    clock.sleep(wait).await;
}

async fn due(timer: &mut Option<BoxFuture<'_, ()>>) {
    if let Some(timer) = timer {
        timer.await;
    }
}
