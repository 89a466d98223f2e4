//! `config` is the HTTP API: webhooks, ID types, profiles, pushes, uploads, and the control of runs.
//!
//! API Gateway has verified the caller's token; [`access`] reads who it is and what the caller may do. Handlers reach the ports through
//! what `access` gives them alone, so that none can forget to ask. Nothing here opens a connection outside or decrypts a secret: what
//! needs that, `deliver` is asked for.

mod access;
mod audit;
mod document;
mod draft;
mod grants;
mod id_types;
mod input;
mod observe;
mod organization_key;
mod output;
mod parameter_sources;
mod precondition;
mod problem;
mod profiles;
mod pushes;
mod query;
mod runs;
mod settings;
mod shape;
mod sources;
mod trial;
mod uploads;
mod webhooks;

use std::sync::Arc;

use axum::{Router, middleware};
use fanhook_lambda::{clock::Clock, random::Random};
use fanhook_store::ports::{Direct, Objects, Queue, Secrets, Table};
use serde_json::Value;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use access::Sealed;

pub use access::Access;
pub use settings::{Environment, Settings};

/// Everything that the API reaches.
pub struct Ports {
    /// Table of the configuration.
    pub config: Arc<dyn Table>,
    /// Table of profiles.
    pub profiles: Arc<dyn Table>,
    /// Table of runs, endpoints and uploads.
    pub ledger: Arc<dyn Table>,
    /// The bucket.
    pub objects: Arc<dyn Objects>,
    /// Queue of `fanout`.
    pub fanout: Arc<dyn Queue>,
    /// Encryption of endpoints' secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Does what goes outside.
    pub deliver: Arc<dyn Direct>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, fit for secrets.
    pub random: Arc<dyn Random>,
    /// What the deployment sets.
    pub settings: Settings,
}

/// The API over its ports.
pub fn router(ports: Ports) -> Router {
    let clock = ports.clock.clone();
    let (router, _) = routes().split_for_parts();
    router
        .fallback(access::no_such_route)
        .method_not_allowed_fallback(access::no_such_method)
        .layer(middleware::from_fn_with_state(clock, observe::observe))
        .with_state(Sealed::new(ports))
}

/// The description of the API, OpenAPI 3.1; `docs/openapi.json` holds it.
pub fn document() -> Value {
    let (_, described) = routes().split_for_parts();
    document::complete(&described)
}

/// Every route, none without its description.
fn routes() -> OpenApiRouter<Sealed> {
    OpenApiRouter::with_openapi(document::Common::openapi())
        .routes(routes!(id_types::list))
        .routes(routes!(id_types::read, id_types::replace, id_types::delete))
        .routes(routes!(sources::read, sources::replace))
        .routes(routes!(organization_key::read, organization_key::replace))
        .routes(routes!(profiles::look_up, profiles::write, profiles::erase))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::read, webhooks::replace, webhooks::delete))
        .routes(routes!(webhooks::signing::rotate_secret))
        .routes(routes!(trial::preview_webhook))
        .routes(routes!(trial::test_webhook))
        .routes(routes!(trial::consent::handshake))
        .routes(routes!(trial::consent::read, trial::consent::state, trial::consent::withdrawn))
        .routes(routes!(parameter_sources::list, parameter_sources::create))
        .routes(routes!(parameter_sources::read, parameter_sources::replace, parameter_sources::delete))
        .routes(routes!(pushes::list, pushes::create))
        .routes(routes!(pushes::read, pushes::replace, pushes::delete))
        .routes(routes!(trial::preview_push))
        .routes(routes!(trial::test_push))
        .routes(routes!(runs::start::start))
        .routes(routes!(uploads::create))
        .routes(routes!(uploads::read))
        .routes(routes!(runs::list))
        .routes(routes!(runs::read))
        .routes(routes!(runs::control::pause))
        .routes(routes!(runs::resume::resume))
        .routes(routes!(runs::control::cancel))
        .routes(routes!(runs::failures::list))
        .routes(routes!(grants::list, grants::give))
        .routes(routes!(grants::take))
        .routes(routes!(audit::list))
        .routes(routes!(document::read))
}
