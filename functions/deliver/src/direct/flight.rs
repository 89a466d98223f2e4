//! One request on its way by itself: with an access token where it needs one, and once more where the endpoint refused the token.

use std::{borrow::Borrow, time::Duration};

use fanhook_outbound::{Exchange, Request};

use crate::{
    Ports,
    token::{Time, Tokens, authorize, is_unauthorized},
};

/// Sends a request by `send`, with a token where there are `tokens`.
///
/// # Errors
/// It was not sent, for want of a token: what came of the request for that.
pub(super) async fn fly<T: Borrow<Exchange>>(
    ports: &Ports,
    request: &mut Request,
    tokens: Option<Tokens>,
    time: Time,
    send: impl AsyncFn(&Request, Duration) -> T,
) -> Result<T, Exchange> {
    let (http, clock) = (&*ports.http, &*ports.clock);
    let Some(tokens) = tokens else { return Ok(send(request, time.rest(clock.now())).await) };
    let token = tokens.get(http, clock, None, time).await?;
    authorize(request, &token);
    let end = send(request, time.rest(clock.now())).await;
    if !is_unauthorized(end.borrow()) {
        return Ok(end);
    }
    let newer = tokens.get(http, clock, Some(&token), time).await?;
    if newer == token {
        return Ok(end);
    }
    authorize(request, &newer);
    Ok(send(request, time.rest(clock.now())).await)
}
