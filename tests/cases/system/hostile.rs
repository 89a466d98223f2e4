//! Receivers that behave badly.

use std::fs;

use anyhow::{Result, ensure};
use fanhook_tests::{api::Run, harness::say};
use serde_json::{Value, json};

use crate::world::{LONG, World};

/// Users of each run: one chunk.
const USERS: u64 = 200;
/// Most memory that a process of `deliver` may ever have had, in KiB. Endless answers to 200 users, read whole, would take far more.
const MEMORY: u64 = 128 * 1024;

/// Paths of the receiver, and the reason that their users end with. All but the last two give up at once.
const TABLE: [(&str, &str); 14] = [
    ("/never/a", "exhausted_timeout"),
    ("/drip/a", "exhausted_timeout"),
    ("/close/a", "exhausted_connection"),
    ("/reset/a", "exhausted_connection"),
    ("/garbage/a", "exhausted_protocol"),
    ("/status/500/a", "exhausted_status"),
    ("/status/404/a", "status"),
    ("/status/410/a", "endpoint_gone"),
    ("/redirect/a", "redirect"),
    // The status has decided by the time that the body disappoints.
    ("/cut/a", "delivered"),
    ("/huge/a", "delivered"),
    ("/slow/200/a", "delivered"),
    ("/fail/1/a", "delivered"),
    ("/retry-after/3/a", "delivered"),
];

pub(crate) async fn every_bad_receiver_gives_the_outcome_of_the_retry_table_in_flat_memory(
    world: &World,
) -> Result<()> {
    let api = world.api()?;
    let mut runs = Vec::new();
    for (index, (path, _)) in TABLE.iter().enumerate() {
        let patient = index >= TABLE.len() - 2;
        let campaign = world.campaign(path, settings(patient)).await?;
        runs.push(world.start(&campaign, world.crowd.inline_audience(0..USERS)).await?);
    }
    let mut most = 0;
    for ((path, reason), run) in TABLE.iter().zip(&runs) {
        let run = api.run_until(run, "finished", LONG, |run| {
            most = most.max(memory(world));
            run.state == "finished"
        });
        let run: Run = run.await?;
        ensure!(run.reasons.get(*reason) == Some(&USERS) && run.sum() == USERS, "{path}: {run:?}");
    }
    ensure!(world.receiver.stats("/crm/redirected").received == 0, "a redirect was followed");
    let patient = world.receiver.stats("/retry-after/3/a");
    ensure!(patient.unique == USERS, "{patient:?}");
    say(&format!("    deliver had at most {} MiB in a process", most / 1024));
    ensure!(most > 0, "no process of deliver was seen");
    ensure!(most < MEMORY, "a process of deliver has had {} MiB", most / 1024);
    Ok(())
}

fn settings(patient: bool) -> Value {
    // The first wait is 5 s: who gives up after one has one try.
    let give_up = if patient { 300 } else { 1 };
    json!({"content": {"deadline_seconds": 2}, "retry": {"give_up_after_seconds": give_up}})
}

/// The most memory that a process of `deliver` has had so far, in KiB.
fn memory(world: &World) -> u64 {
    let pids = world.stack.function_pids("deliver").unwrap_or_default();
    let peak = |pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    pids.into_iter().filter_map(peak).max().unwrap_or_default()
}
