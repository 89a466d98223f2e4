//! `config` is the HTTP API: webhooks, ID types, profiles, pushes, uploads, and the control of runs.
//!
//! API Gateway has verified the caller's token; [`access`] reads who it is and what the caller may do. Handlers reach the ports through
//! what `access` gives them alone, so that none can forget to ask. Nothing here opens a connection outside or decrypts a secret.

mod access;
mod id_types;
mod input;
mod observe;
mod output;
mod problem;
mod profiles;
mod pushes;
mod runs;
mod settings;
mod sources;
mod uploads;
mod webhooks;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};
use fanhook_lambda::{clock::Clock, random::Random};
use fanhook_store::ports::{Objects, Queue, Secrets, Table};

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
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, fit for secrets.
    pub random: Arc<dyn Random>,
    /// What the deployment sets.
    pub settings: Settings,
}

/// The API over its ports.
pub fn router(ports: Ports) -> Router {
    let ports = Arc::new(ports);
    let id_type = get(id_types::read).put(id_types::replace).delete(id_types::delete);
    let webhook = get(webhooks::read).put(webhooks::replace).delete(webhooks::delete);
    let push = get(pushes::read).put(pushes::replace).delete(pushes::delete);
    Router::new()
        .route("/id-types", get(id_types::list))
        .route("/id-types/{code}", id_type)
        .route("/sources", get(sources::read).put(sources::replace))
        .route("/profiles", get(profiles::look_up).post(profiles::write).delete(profiles::erase))
        .route("/webhooks", get(webhooks::list).post(webhooks::create))
        .route("/webhooks/{id}", webhook)
        .route("/pushes", get(pushes::list).post(pushes::create))
        .route("/pushes/{id}", push)
        .route("/pushes/{id}/runs", post(runs::start))
        .route("/uploads", post(uploads::create))
        .route("/uploads/{id}", get(uploads::read))
        .route("/runs", get(runs::list))
        .route("/runs/{id}", get(runs::read))
        .route("/runs/{id}/pause", post(runs::pause))
        .route("/runs/{id}/resume", post(runs::resume))
        .route("/runs/{id}/cancel", post(runs::cancel))
        .route("/runs/{id}/failures", get(runs::failures))
        .fallback(access::no_such_route)
        .method_not_allowed_fallback(access::no_such_method)
        .layer(middleware::from_fn_with_state(ports.clone(), observe::observe))
        .with_state(ports)
}
