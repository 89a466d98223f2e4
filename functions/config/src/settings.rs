//! What the deployment sets.

use std::time::Duration;

use fanhook_core::{address::AllowList, time::Millis};
use fanhook_lambda::env::Env;
use tracing::Level;

use crate::access::Access;

const DAY: Duration = Duration::from_hours(24);

/// The environment's variables.
#[derive(Debug)]
pub struct Environment {
    /// Table of the configuration.
    pub config: String,
    /// Table of profiles.
    pub profiles: String,
    /// Table of runs, endpoints and uploads.
    pub ledger: String,
    /// The bucket.
    pub bucket: String,
    /// Address of the queue of `fanout`.
    pub fanout_queue: String,
    /// Key of the endpoints' secrets.
    pub key: String,
    /// Name of the function `deliver`.
    pub deliver: String,
    /// What handlers need.
    pub settings: Settings,
    /// Lowest level of the lines that are logged.
    pub level: Level,
}

/// What handlers need of the environment.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether a webhook's address may be `http`.
    pub allow_http: bool,
    /// Endpoints that may be called though their addresses are special.
    pub allowed: AllowList,
    /// How far ahead of a message its due entry is.
    pub due_ahead: Duration,
    /// How long a run's rows are kept.
    pub retention: Duration,
    /// How long a run may last: what it reads and writes must outlive it.
    pub longest_run: Duration,
    /// Who callers are by their tokens.
    pub access: Access,
}

impl Environment {
    /// Reads all of them.
    pub fn read(env: &mut Env<'_>) -> Self {
        let (retention, segments) = (env.days("LEDGER_DAYS"), env.days("SEGMENT_DAYS"));
        Self {
            config: env.text("CONFIG_TABLE"),
            profiles: env.text("PROFILES_TABLE"),
            ledger: env.text("LEDGER_TABLE"),
            bucket: env.text("BUCKET"),
            fanout_queue: env.text("FANOUT_QUEUE_URL"),
            key: env.text("KEY_ID"),
            deliver: env.text("DELIVER_FUNCTION"),
            settings: Settings {
                allow_http: env.flag("ALLOW_HTTP"),
                allowed: env
                    .from_text("ALLOWED_ENDPOINTS", "must be `host:port` entries between commas")
                    .unwrap_or_default(),
                due_ahead: env.seconds("DUE_AHEAD_SECONDS"),
                retention,
                longest_run: retention.min(segments).saturating_sub(DAY),
                access: Access {
                    workspaces_claim: env.text("WORKSPACES_CLAIM"),
                    roles_claim: env.text("ROLES_CLAIM"),
                    organization_admin: env.text("ORGANIZATION_ADMIN_GROUP"),
                    workspace_admin: env.text("WORKSPACE_ADMIN_GROUP"),
                    member: env.text("MEMBER_GROUP"),
                    webhook: env.text("WEBHOOK_GROUP"),
                },
            },
            level: env.level("LOG_LEVEL"),
        }
    }
}

impl Settings {
    /// When a row that is made `now` may be deleted, in seconds of Unix time.
    pub(crate) fn expires(&self, now: Millis) -> u64 {
        (now + self.retention).seconds()
    }
}
