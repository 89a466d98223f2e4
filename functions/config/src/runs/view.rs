//! A run as callers see it.

use std::collections::BTreeMap;

use fanhook_core::{
    chunk::{self, Totals},
    id::{PushId, RunId, UploadId, WebhookId},
    outcome::{Outcome, Reason},
    run::{Closing, Proof, RunState},
    time::Millis,
};
use fanhook_store::{
    parts::{Part, PartState},
    runs::Run,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::output::Time;

/// A run in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "run_0190a5b2c3d4e5f60718293a4b5c6d7e", "push": "psh_0190a5b2c3d4e5f60718293a4b5c6d7f",
    "webhook": "whk_0190a5b2c3d4e5f60718293a4b5c6d7e", "state": "running", "created_at": "2027-01-15T08:00:00.000Z",
}))]
pub(crate) struct RunItem {
    /// Its identifier.
    id: RunId,
    /// What it executes.
    push: PushId,
    /// What it goes through.
    webhook: WebhookId,
    /// Its state.
    state: RunState,
    /// When it was started.
    created_at: Time,
    /// When it is closed at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Time>,
    /// What its webhook has not proved: nothing is sent before the audience is counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unproved: Vec<Proof>,
    /// Why it is closing, or was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    closing: Option<Closing>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

impl From<Run> for RunItem {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            push: run.push,
            webhook: run.webhook,
            state: run.state,
            created_at: Time(run.created),
            expires_at: run.expires_at.map(Time),
            ended_at: run.ended.map(Time),
            unproved: run.unproved,
            closing: run.closing,
            failure: run.failure,
        }
    }
}

/// A run with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Run)]
#[schema(example = json!({
    "id": "run_0190a5b2c3d4e5f60718293a4b5c6d7e", "push": "psh_0190a5b2c3d4e5f60718293a4b5c6d7f",
    "webhook": "whk_0190a5b2c3d4e5f60718293a4b5c6d7e", "state": "running", "created_at": "2027-01-15T08:00:00.000Z",
    "recipients": 10000, "audience_read": true, "done": 6400, "progress": 0.64, "per_second": 212.5, "seconds_left": 17,
    "outcomes": {
        "delivered": 6112, "no_id": 201, "empty_value": 87, "too_large": 0, "suppressed": 0, "refused": 0, "exhausted": 0, "expired": 0,
        "cancelled": 0, "unknown": 0,
    },
    "reasons": {"delivered": 6112, "no_id": 201, "empty_value": 87},
    "parts": [{
        "part": 0, "upload": "upl_0190a5b2c3d4e5f60718293a4b5c6d7e", "state": "ended", "recipients": 10000, "chunks": 50, "released": 50,
        "lines": 10003, "bad_rows": 1, "duplicates": 1, "blanks": 0, "headers": 1,
    }],
}))]
pub(crate) struct RunView {
    #[serde(flatten)]
    run: RunItem,
    /// Recipients read so far.
    recipients: u64,
    /// Whether every file is read to its end, so that `recipients` is their final number.
    audience_read: bool,
    /// Recipients that have their outcome.
    done: u64,
    /// `done` of `recipients`, 0 to 1.
    progress: f64,
    /// Recipients that got their outcome a second, on average since the start.
    per_second: f64,
    /// How long the rest takes at that rate; none where it is not known.
    seconds_left: Option<u64>,
    /// Recipients by outcome, every outcome named.
    outcomes: BTreeMap<Outcome, u64>,
    /// Recipients by reason, those that occur.
    reasons: BTreeMap<Reason, u64>,
    /// The files of the audience.
    parts: Vec<PartView>,
}

/// A part of a run: one file of its audience.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Part)]
struct PartView {
    /// Its number, from 0.
    #[schema(value_type = u32)]
    part: chunk::Part,
    /// Its file.
    upload: UploadId,
    /// How far it is read.
    state: PartState,
    /// Recipients read so far.
    recipients: u64,
    /// Chunks made so far.
    chunks: u32,
    /// Chunks released so far.
    released: u32,
    /// Lines read so far.
    lines: u64,
    /// Rows that could not be read.
    bad_rows: u64,
    /// Users met again near by.
    duplicates: u64,
    /// Blank lines.
    blanks: u64,
    /// Header lines.
    headers: u64,
    /// Why it can't be read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

impl From<Part> for PartView {
    fn from(part: Part) -> Self {
        Self {
            part: part.part,
            upload: part.upload,
            state: part.state,
            recipients: part.commit.recipients,
            chunks: part.commit.chunks,
            released: part.released,
            lines: part.commit.lines,
            bad_rows: part.commit.bad_rows,
            duplicates: part.commit.duplicates,
            blanks: part.commit.blanks,
            headers: part.commit.headers,
            failure: part.failure.map(|failure| failure.to_string()),
        }
    }
}

impl RunView {
    /// A run as its rows say it is `now`.
    pub(crate) fn new(run: Run, parts: Vec<Part>, totals: &Totals, now: Millis) -> Self {
        let recipients: u64 = parts.iter().map(|part| part.commit.recipients).sum();
        let audience_read =
            parts.iter().all(|part| matches!(part.state, PartState::Ended | PartState::Stopped));
        let done = totals.sum();
        let seconds = run.ended.unwrap_or(now).since(run.created).as_secs_f64();
        let per_second = if seconds > 0.0 { round(float(done) / seconds) } else { 0.0 };
        let left = recipients.saturating_sub(done);
        let known = run.state.is_live() && audience_read && per_second > 0.0;
        let mut outcomes: BTreeMap<Outcome, u64> =
            Outcome::ALL.into_iter().map(|outcome| (outcome, 0)).collect();
        for (reason, count) in &totals.0 {
            *outcomes.entry(reason.outcome()).or_default() += count;
        }
        Self {
            recipients,
            audience_read,
            done,
            progress: match recipients {
                0 => f64::from(u8::from(run.state.is_over())),
                _ => round(float(done) / float(recipients)),
            },
            per_second,
            seconds_left: known.then(|| whole(float(left) / per_second)),
            outcomes,
            reasons: totals.0.clone(),
            parts: parts.into_iter().map(PartView::from).collect(),
            run: run.into(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of recipients are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

/// To four places.
fn round(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from a float saturates, and no time is negative"
)]
fn whole(seconds: f64) -> u64 {
    seconds.ceil() as u64
}
