//! What the deployment sets.

use fanhook_core::address::AllowList;
use fanhook_lambda::env::Env;
use tracing::Level;

use crate::Times;

/// The environment's variables.
#[derive(Debug)]
pub struct Settings {
    /// Table of the ledger.
    pub ledger: String,
    /// Table of the profiles.
    pub profiles: String,
    /// The bucket.
    pub bucket: String,
    /// Address of the function's own queue.
    pub queue: String,
    /// Key of the endpoints' secrets.
    pub key: String,
    /// Endpoints that may be dialled though their addresses are special.
    pub allowed: AllowList,
    /// Whether `http` addresses may be dialled.
    pub allow_http: bool,
    /// The deployment's times.
    pub times: Times,
    /// Lowest level of the lines that are logged.
    pub level: Level,
}

impl Settings {
    /// Reads all of them.
    pub fn read(env: &mut Env<'_>) -> Self {
        Self {
            ledger: env.text("LEDGER_TABLE"),
            profiles: env.text("PROFILES_TABLE"),
            bucket: env.text("BUCKET"),
            queue: env.text("DELIVER_QUEUE_URL"),
            key: env.text("KEY_ID"),
            allowed: env
                .from_text("ALLOWED_ENDPOINTS", "must be `host:port` entries between commas")
                .unwrap_or_default(),
            allow_http: env.flag("ALLOW_HTTP"),
            times: Times { timeout: env.timeout(), lease_margin: env.seconds("LEASE_MARGIN_SECONDS") },
            level: env.level("LOG_LEVEL"),
        }
    }
}
