//! The loop that starts requests and takes their ends in.

use std::{collections::VecDeque, time::Duration};

use fanhook_core::{chunk::State, rate::Rate, retry, time::Millis};
use fanhook_lambda::{clock::Clock, sqs::caught};
use fanhook_outbound::{Exchange, HeaderValue};
use fanhook_store::{
    chunks::{self, Fenced},
    endpoints::{self, Endpoint, Taken},
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::SemaphorePermit;

use super::{
    Part, Refusal, Worker,
    land::{Known, Landed},
};
use crate::{
    Ports, UNSAVED,
    invocation::Invocation,
    pace::{self, Pace},
    parse::Recipients,
    plan::{Gate, Stop},
    prepare::{Prepared, Try},
    shares::{Slot, Used},
    token::{Time, authorize},
};

/// Ends are saved at the latest so long after the first one that is not.
const SAVE_AFTER: Duration = Duration::from_secs(2);

/// Why the loop starts nothing at the moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// Nothing is left to start.
    Nothing,
    Permit,
    Reading,
    Until(Millis),
    /// An access token has to be got.
    Token,
    /// More of the rate is to be taken.
    Rate,
    /// Slots are to be asked for.
    Ask,
    /// A slot must become free.
    Slot,
}

/// What becomes of the next request.
enum Next<'a> {
    /// It is sent, with an access token where it needs one, and in a slot where the endpoint limits them.
    Send(Option<HeaderValue>, Option<Used<'a>>),
    /// It is not, and ends so.
    End(Exchange),
}

impl<'a> Worker<'a> {
    /// Sends to all that are pending, or until something stops it; every request has ended then, unless the fence was lost.
    pub(crate) async fn send_all(&mut self, recipients: &Recipients<'_>) -> Fenced {
        let invocation = self.invocation;
        let clock = &*invocation.ports.clock;
        let mut flights = FuturesUnordered::new();
        let mut landed = VecDeque::<Landed<'_>>::new();
        let mut waiting = self.waiting();
        let mut spare = None;
        let mut save_by: Option<BoxFuture<'_, ()>> = None;
        let mut token: Option<BoxFuture<'_, ()>> = None;
        loop {
            while let Some(end) = landed.pop_front() {
                match self.land(end, recipients) {
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
                let next = match self.may_start(waiting.is_empty()) {
                    Ok(next) => next,
                    Err(pause) => break pause,
                };
                let Some(permit) = spare.take().or_else(|| invocation.permits.try_acquire().ok()) else {
                    break Pause::Permit;
                };
                if let Some((prepared, part)) = self.start(&mut waiting, recipients) {
                    if matches!(next, Next::Send(..)) {
                        self.count();
                    }
                    flights.push(fly(invocation.ports, self.deadline, prepared, part, next, permit));
                }
            };
            if pause == Pause::Rate {
                let wanted = self.requests(&waiting);
                beside(&mut flights, &mut landed, self.take_rate(wanted)).await;
                continue;
            }
            if pause == Pause::Ask {
                let wanted = self.requests(&waiting);
                beside(&mut flights, &mut landed, self.ask(wanted)).await;
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
            if pause == Pause::Token && token.is_none() {
                token = self.token();
            }
            if self.unsaved > 0 && save_by.is_none() {
                save_by = Some(clock.sleep(SAVE_AFTER));
            }
            let until = match pause {
                Pause::Until(at) => Some(at),
                Pause::Reading | Pause::Slot => Some(self.last_start + Duration::from_millis(1)),
                Pause::Nothing | Pause::Permit | Pause::Token | Pause::Rate | Pause::Ask => None,
            };
            let save = tokio::select! {
                biased;
                () = due(&mut token), if token.is_some() => {
                    if let Some((_, pace)) = &mut self.pace {
                        pace.skip(clock.now());
                    }
                    false
                }
                Some(end) = flights.next(), if !flights.is_empty() => {
                    landed.push_back(end);
                    false
                }
                permit = invocation.permits.acquire(), if pause == Pause::Permit => {
                    spare = permit.ok();
                    false
                }
                _ = self.view.changed(), if matches!(pause, Pause::Reading | Pause::Slot | Pause::Token) => {
                    self.view.mark_changed();
                    false
                }
                () = invocation.shares.freed.notified(), if pause == Pause::Slot => false,
                () = wait(clock, until), if until.is_some() => false,
                () = due(&mut save_by), if save_by.is_some() => true,
            };
            if save && beside(&mut flights, &mut landed, self.save()).await == Fenced::Lost {
                return Fenced::Lost;
            }
        }
    }

    /// Gets the access token that the next request needs: what comes of it is held for all who want one.
    fn token(&self) -> Option<BoxFuture<'a, ()>> {
        let tokens = self.credentials.tokens.clone()?;
        let refused = self.refusal().map(|refusal| refusal.token.clone());
        let ports = self.invocation.ports;
        let time = Time::new(self.deadline, ports.clock.now());
        Some(Box::pin(async move {
            let _ = tokens.get(&*ports.http, &*ports.clock, refused.as_ref(), time).await;
        }))
    }

    /// How the access token of the next request was refused, where it was.
    fn refusal(&self) -> Option<&Refusal> {
        self.parts.last()?.refusal.as_ref()
    }

    /// Who is sent to in this pass: those who were tried least, so that an endpoint which is too slow for a whole pass is not asked for
    /// the same users over and over. The others wait as long as these will after their next try.
    fn waiting(&mut self) -> VecDeque<usize> {
        let states = &self.chunk.states;
        let tries = |index: usize| match states.get(index) {
            State::Pending { tries } => tries,
            State::Final { .. } => u8::MAX,
        };
        let least = states.pending().map(tries).min().unwrap_or_default();
        let waiting: VecDeque<usize> = states.pending().filter(|&index| tries(index) == least).collect();
        if waiting.len() < states.pending_len() {
            let ports = self.invocation.ports;
            self.next = Some(ports.clock.now() + retry::wait(least.saturating_add(1), ports.random.number()));
        }
        waiting
    }

    /// What becomes of the next request now; else why it may not start.
    fn may_start(&mut self, nobody_waits: bool) -> Result<Next<'a>, Pause> {
        if let Some(pause) = self.closed(nobody_waits) {
            return Err(pause);
        }
        // Before the limits: those whose turn has come, and who wait for a token then, would all leave at once.
        let mut token = None;
        if let Some(tokens) = &self.credentials.tokens {
            let (now, refusal) = (self.invocation.ports.clock.now(), self.refusal());
            match tokens.held(now, refusal.map(|refusal| &refusal.token)).ok_or(Pause::Token)? {
                Err(end) => return Ok(Next::End(end)),
                Ok(held) => token = Some(held),
            }
            if let Some(refusal) = refusal.filter(|refusal| token.as_ref() == Some(&refusal.token)) {
                return Ok(Next::End(refusal.exchange.clone()));
            }
        }
        // Before the rate: a turn that comes without a slot is lost to all.
        let slot = self.slot()?;
        self.paced().map_or(Ok(Next::Send(token, slot)), Err)
    }

    /// Why no request may start now, whatever the endpoint's limits; none where one may.
    fn closed(&mut self, nobody_waits: bool) -> Option<Pause> {
        if (nobody_waits && self.parts.is_empty()) || self.stop.is_some() {
            return Some(Pause::Nothing);
        }
        match self.look() {
            Gate::Open => None,
            Gate::Stale => Some(Pause::Reading),
            Gate::Closed(stop) => {
                self.stop(stop);
                Some(Pause::Nothing)
            }
        }
    }

    /// Why no request may start now by the endpoint's rate; none where one may.
    fn paced(&mut self) -> Option<Pause> {
        let rate = self.rate()?;
        let now = self.invocation.ports.clock.now();
        let slot = match &mut self.pace {
            Some((taken_at, pace)) if *taken_at == rate => pace.slot(now),
            _ => pace::Slot::Over,
        };
        match slot {
            pace::Slot::Now => None,
            pace::Slot::At(at) if at > self.last_start => {
                self.stop(Stop::OutOfTime);
                Some(Pause::Nothing)
            }
            pace::Slot::At(at) => Some(Pause::Until(at)),
            pace::Slot::Over => Some(Pause::Rate),
        }
    }

    fn rate(&self) -> Option<Rate> {
        self.endpoint.as_ref().and_then(|endpoint| endpoint.settings.rate())
    }

    /// A slot for the next request, where the endpoint limits them; else why there is none.
    fn slot(&self) -> Result<Option<Used<'a>>, Pause> {
        let Some((endpoint, limit)) = self.slots() else { return Ok(None) };
        let now = self.invocation.ports.clock.now();
        match self.invocation.shares.slot(endpoint, limit, self.read_at, now) {
            Slot::Used(used) => Ok(Some(used)),
            Slot::Ask => Err(Pause::Ask),
            Slot::Wait => Err(Pause::Slot),
        }
    }

    /// The endpoint, where it limits the requests at a time, and how many it takes.
    fn slots(&self) -> Option<(&Endpoint, u32)> {
        let endpoint = self.endpoint.as_ref()?;
        Some((endpoint, endpoint.settings.requests_at_a_time?))
    }

    /// Asks for slots for so many requests.
    async fn ask(&mut self, wanted: u32) {
        let Some((endpoint, limit)) = self.slots() else { return };
        let Invocation { shares, ports, .. } = self.invocation;
        if let Err(error) = shares.ask(ports, endpoint, (wanted, limit), self.read_at).await {
            self.fault(&error);
        }
    }

    /// Takes some of the endpoint's rate, no more than can be used in this pass.
    async fn take_rate(&mut self, wanted: u32) {
        let Some(rate) = self.rate() else { return };
        let (ports, now) = (self.invocation.ports, self.invocation.ports.clock.now());
        let webhook = self.job.pinned.webhook;
        let usable = rate.within(self.last_start.since(now)).saturating_add(1);
        let wanted = wanted.min(u32::try_from(usable).unwrap_or(u32::MAX));
        // No more than there are slots for at once: by the next ones, others may be at work.
        let wanted = self.slots().map_or(wanted, |_| wanted.min(self.invocation.shares.free(webhook)));
        match endpoints::take(&*ports.ledger, webhook, rate, wanted, now, self.last_start).await {
            Ok(Taken::Block(block)) => self.pace = Some((rate, Pace::new(block))),
            Ok(Taken::Later(at)) => self.stop(Stop::Spent(at)),
            Err(error) => self.fault(&error),
        }
    }

    /// How many requests those who wait will share, by the fixed places at which a chunk is cut.
    fn requests(&self, waiting: &VecDeque<usize>) -> u32 {
        let size = self.job.batch_size;
        let mut last = None;
        let cuts = waiting.iter().filter(|&index| last.replace(index / size) != Some(index / size));
        u32::try_from(cuts.count() + self.parts.len()).unwrap_or(u32::MAX)
    }

    /// The next who wait and may share a request: those left of one batch, for batches are cut at fixed places of the chunk.
    fn cut(&self, waiting: &mut VecDeque<usize>) -> Option<Vec<usize>> {
        let size = self.job.batch_size;
        let cut = *waiting.front()? / size;
        let count = waiting.iter().take(size).take_while(|&index| index / size == cut).count();
        Some(waiting.drain(..count).collect())
    }

    /// The request of the next who are due one, and who they are. Who cannot be sent to is final; who finds no room in it waits on.
    fn start(
        &mut self,
        waiting: &mut VecDeque<usize>,
        recipients: &Recipients<'_>,
    ) -> Option<(Prepared, Part)> {
        let now = self.invocation.ports.clock.now();
        let whole = |indexes| Part { indexes, half: false, refusal: None };
        let mut part = self.parts.pop().or_else(|| self.cut(waiting).map(whole))?;
        // They were tried equally often: so it was decided who waits.
        let State::Pending { tries } = self.chunk.states.get(*part.indexes.first()?) else { return None };
        let attempt = Try { tries, now, credentials: &self.credentials };
        let batch = self.preparer.batch(&part.indexes, recipients, attempt);
        for index in batch.left.into_iter().rev() {
            waiting.push_front(index);
        }
        for (index, reason) in batch.refused {
            self.end(index, reason, Known { tries, status: None, at: now, delivery: None, answer: None });
        }
        let prepared = batch.prepared?;
        part.indexes = prepared.sent.iter().map(|sent| sent.index).collect();
        Some((prepared, part))
    }

    /// A request is sent.
    fn count(&mut self) {
        self.summary.requests += 1;
        if let Some((_, pace)) = &mut self.pace {
            pace.use_slot();
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
}

/// Has a request sent, where it is.
async fn fly<'a>(
    ports: &'a Ports,
    deadline: Duration,
    mut prepared: Prepared,
    part: Part,
    next: Next<'a>,
    permit: SemaphorePermit<'a>,
) -> Landed<'a> {
    let (exchange, token, slot) = match next {
        Next::End(end) => (Some(end), None, None),
        Next::Send(token, slot) => {
            if let Some(token) = &token {
                authorize(&mut prepared.request, token);
            }
            let exchange = caught(ports.http.send(&prepared.request, deadline)).await;
            (exchange, token.filter(|_| part.refusal.is_none()), slot)
        }
    };
    Landed { prepared, part, token, exchange, _permit: permit, _slot: slot }
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

/// Waits for what is on its way, which then is so no more.
async fn due(coming: &mut Option<BoxFuture<'_, ()>>) {
    if let Some(coming) = coming {
        coming.await;
    }
    *coming = None;
}
