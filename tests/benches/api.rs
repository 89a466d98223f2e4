//! A read by the deployed API, beside an answer that needs nothing but the function: both through the local HTTP API, in turns.

use std::time::{Duration, Instant};

use fanhook_tests::api::Api;
use reqwest::Method;
use serde_json::json;
use stack::{Options, Stack};

/// Requests of each kind.
const REQUESTS: usize = 400;
/// Requests of each kind before those that count.
const WARM_UP: usize = 40;

/// Medians, in milliseconds.
pub(crate) struct ApiBench {
    /// A webhook, read from the table.
    pub(crate) read_ms: f64,
    /// What the function answers at once: there is no such route.
    pub(crate) at_once_ms: f64,
}

pub(crate) fn api_bench() -> ApiBench {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let stack = Stack::start(Options::named("bench")).await.expect("the stack starts");
        let measured = measure(&stack).await;
        stack.stop().expect("the stack stops");
        measured
    })
}

async fn measure(stack: &Stack) -> ApiBench {
    let api = Api::new(stack, "bench").await.expect("a person is made");
    let webhook =
        api.webhook("Read", "https://crm.example.com/", json!({})).await.expect("a webhook is made");
    let path = format!("/webhooks/{}", webhook.id);
    let (mut read, mut at_once) = (Vec::new(), Vec::new());
    for turn in 0..WARM_UP + REQUESTS {
        let (reading, answering) = (ask(&api, &path, 200).await, ask(&api, "/nowhere", 404).await);
        if turn >= WARM_UP {
            read.push(reading);
            at_once.push(answering);
        }
    }
    ApiBench { read_ms: median(read), at_once_ms: median(at_once) }
}

async fn ask(api: &Api<'_>, path: &str, status: u16) -> Duration {
    let start = Instant::now();
    let answer = api.call(Method::GET, path, &[], None).await.expect("the API answers");
    let elapsed = start.elapsed();
    assert_eq!(answer.status, status, "{path}: {}", answer.body);
    elapsed
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
