//! One request on its way: with an access token where it needs one, and once more where the endpoint refused the token.

use std::{borrow::Borrow, time::Duration};

use fanhook_core::{retry::Attempt, time::Millis};
use fanhook_outbound::{Ended, Exchange, HeaderValue, OurFault, Request, header::AUTHORIZATION};

use crate::{
    Ports,
    token::{Tokens, Wanted},
};

/// How long what belongs to one request may take.
#[derive(Clone, Copy)]
pub(crate) struct Time {
    /// Each request on its way: it, and one for a token.
    pub(crate) each: Duration,
    /// All of them end by then.
    pub(crate) until: Millis,
}

impl Time {
    /// How long what begins now may take.
    pub(crate) fn rest(self, now: Millis) -> Duration {
        self.each.min(self.until.since(now))
    }
}

/// How a request ended.
pub(crate) enum Flown<T> {
    /// It was sent.
    Sent(T),
    /// It was not, for want of a token: what came of the request for that.
    WithoutToken(Ended),
    /// It could not be, by a fault of ours.
    OurFault(OurFault),
    /// It was not sent, or to no effect: when its token came, nothing might start any more. No try is used up.
    Unsent,
}

/// Sends a request by `send`. With `tokens` it needs one, and is sent only where, when it has it, what
/// stands beside them says that it may start.
pub(crate) async fn fly<T: Borrow<Exchange>>(
    ports: &Ports,
    request: &mut Request,
    tokens: Option<(Tokens, impl Fn() -> bool)>,
    time: Time,
    send: impl AsyncFn(&Request, Duration) -> T,
) -> Flown<T> {
    let (http, clock) = (&*ports.http, &*ports.clock);
    let Some((tokens, may_start)) = tokens else {
        return Flown::Sent(send(request, time.rest(clock.now())).await);
    };
    let mut refused: Option<(HeaderValue, T)> = None;
    loop {
        let token = match tokens.get(http, clock, refused.as_ref().map(|(token, _)| token), time).await {
            Wanted::Got(token) => token,
            Wanted::Failed(Exchange::Ended(ended)) => return Flown::WithoutToken(ended),
            Wanted::Failed(Exchange::OurFault(fault)) => return Flown::OurFault(fault),
            Wanted::Refused => return refused.map_or(Flown::Unsent, |(_, end)| Flown::Sent(end)),
        };
        if !may_start() {
            return Flown::Unsent;
        }
        // Its place is kept since the request was made.
        for (_, value) in request.own.iter_mut().filter(|(name, _)| name == AUTHORIZATION) {
            value.clone_from(&token);
        }
        let end = send(request, time.rest(clock.now())).await;
        if refused.is_some() || !is_unauthorized(end.borrow()) {
            return Flown::Sent(end);
        }
        refused = Some((token, end));
    }
}

fn is_unauthorized(exchange: &Exchange) -> bool {
    matches!(exchange, Exchange::Ended(Ended { attempt: Attempt::Answered { status: 401 }, .. }))
}

impl Flown<Exchange> {
    /// The same, whichever request ended it; none where it was not sent.
    pub(crate) fn exchange(self) -> Option<Exchange> {
        match self {
            Self::Sent(exchange) => Some(exchange),
            Self::WithoutToken(ended) => Some(Exchange::Ended(ended)),
            Self::OurFault(fault) => Some(Exchange::OurFault(fault)),
            Self::Unsent => None,
        }
    }
}
