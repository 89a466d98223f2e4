//! What the demo prints.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write, stdout},
};

use fanhook_tests::api::{Api, Run};
use serde::Serialize;
use serde_json::Value;
use stack::Stack;

use crate::receiver::Stats;

/// Outcomes that are shown though nobody had them.
const ALWAYS: [&str; 4] = ["delivered", "no_id", "empty_value", "refused"];

/// Prints a line; a reader that has gone is not missed.
pub(crate) fn say(line: &str) {
    let _ = writeln!(stdout(), "{line}");
}

/// Prints a line over the one before, where a person looks on.
pub(crate) fn progress(line: &str) {
    if stdout().is_terminal() {
        let _ = write!(stdout(), "\r\x1b[K{line}");
        let _ = stdout().flush();
    }
}

/// Ends a line of progress with what it came to.
pub(crate) fn done(line: &str) {
    progress("");
    say(line);
}

/// The result, as a program reads it.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    audience: u64,
    outcomes: BTreeMap<String, u64>,
    sum: u64,
    received: u64,
    unique: u64,
    bad_signatures: u64,
    seconds: f64,
}

impl Outcome {
    pub(crate) fn new(audience: u64, run: &Run, seen: &Stats, seconds: f64) -> Self {
        let shown = |(name, count): &(&String, &u64)| **count > 0 || ALWAYS.contains(&name.as_str());
        let outcomes =
            run.outcomes.iter().filter(shown).map(|(name, count)| (name.clone(), *count)).collect();
        Self {
            audience,
            outcomes,
            sum: run.sum(),
            received: seen.received,
            unique: seen.unique,
            bad_signatures: seen.bad_signatures,
            seconds: (seconds * 10.0).round() / 10.0,
        }
    }

    /// What does not add up.
    pub(crate) fn faults(&self) -> Vec<String> {
        let delivered = self.outcomes.get("delivered").copied().unwrap_or_default();
        let mut faults = Vec::new();
        if self.sum != self.audience {
            faults.push(format!("{} users have an outcome, {} are in the audience", self.sum, self.audience));
        }
        if self.unique != delivered {
            faults.push(format!("{} messages were taken, {delivered} are told as delivered", self.unique));
        }
        if self.bad_signatures > 0 {
            faults.push(format!("{} signatures did not verify", self.bad_signatures));
        }
        faults
    }
}

/// A handshake: what was asked, and what was answered.
pub(crate) fn handshake(shaken: &Value) {
    let line = |mark: char, header: &Value| {
        let part = |name: &str| header[name].as_str().unwrap_or_default().to_owned();
        say(&format!("   {mark} {}: {}", part("name"), part("value")));
    };
    let (request, answer) = (&shaken["request"], &shaken["answer"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    say(&format!("   > {} {}", text(&request["method"]), text(&request["url"])));
    request["headers"].as_array().into_iter().flatten().for_each(|header| line('>', header));
    say(&format!("   < {}", answer["status"]));
    answer["headers"].as_array().into_iter().flatten().for_each(|header| line('<', header));
    say("");
}

/// The log of a test send.
pub(crate) fn log(text: &str) {
    text.lines().for_each(|line| say(format!("   {line}").trim_end()));
    say("");
}

/// The outcomes, for people.
pub(crate) fn table(run: &Run, seen: &Stats, seconds: f64) {
    say("\n   outcome        users");
    say("   ─────────────────────");
    for (name, count) in
        run.outcomes.iter().filter(|(name, count)| **count > 0 || ALWAYS.contains(&name.as_str()))
    {
        say(&format!("   {name:<12} {count:>8}"));
    }
    say("   ─────────────────────");
    say(&format!("   {:<12} {:>8}", "sum", run.sum()));
    say(&format!(
        "\n   The CRM got {} requests in {seconds:.1} s: {} coupons issued, {} repeats of an issued one, {} bad signatures.",
        seen.received, seen.unique, seen.duplicates, seen.bad_signatures
    ));
}

/// What to try next.
pub(crate) fn next(stack: &Stack, api: &Api<'_>, name: &str, workspace: &str, run: &Run, push: &str) {
    let outputs = stack.outputs();
    let (host, address) = (&outputs.api_host, &outputs.api);
    say("\nThe stack stays up. A token for an hour, and what to try with it:\n");
    say(&format!("   TOKEN={}", api.token()));
    let call =
        |rest: &str| say(&format!("   curl -sH \"authorization: Bearer $TOKEN\" -H 'host: {host}' {rest}"));
    call(&format!("{address}/runs/{}", run.id));
    call(&format!("'{address}/runs/{}/failures?limit=5'", run.id));
    call(&format!("{address}/pushes/{push}"));
    call(&format!("{address}/uploads --json '{{\"kind\":\"audience\"}}'"));
    say(&format!("\n   The next token:  target/release/stack token --workspaces {workspace}"));
    say(&format!(
        "   Outcomes:        AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test aws --endpoint-url {} s3 ls s3://{}/outcomes/workspace={workspace}/run={}/",
        outputs.endpoint, outputs.bucket, run.id
    ));
    say(&format!("   Logs:            .stack/{name}/logs/"));
    say("   Stop:            make down\n");
}
