//! The API as API Gateway calls it, over the twins in memory.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod access;
mod audit;
mod audited;
mod authentication;
mod consent;
mod control;
mod described;
mod document;
mod failures;
mod faults;
mod id_types;
mod if_match;
mod limits;
mod operations;
mod organization_key;
mod parameter_sources;
mod profiles;
mod pushes;
mod repeating;
mod resume;
mod schema;
mod signing;
mod start;
mod text;
mod trial;
mod uploads;
mod webhooks;
mod world;
