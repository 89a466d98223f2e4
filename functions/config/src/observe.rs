//! One wide log line per request; a panic is a 500 like any other fault of ours.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use fanhook_lambda::clock::Clock;
use futures_util::FutureExt;

use crate::problem::Problem;

/// Around every request. The line names the route as it is written, never an identifier of a caller or a user.
pub(crate) async fn observe(State(clock): State<Arc<dyn Clock>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let (method, start) = (request.method().clone(), clock.now());
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let response = answer.unwrap_or_else(|_| Problem::internal().into_response());
    let elapsed_ms = clock.now().since(start).as_millis();
    tracing::info!(%method, route, status = response.status().as_u16(), elapsed_ms, "request");
    response
}
