//! Logs: JSON lines on the standard output, one wide line per unit of work. No line holds a payload, a secret or an address.

use std::{error::Error, io::Write as _, panic};

use fanhook_core::time::Millis;
use serde_json::{Value, json};
use tracing::Level;

/// Starts the process's log at `level`. A panic becomes one line with its place, and without its message, which may hold data.
pub fn start(level: Level) {
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_ansi(false).with_max_level(level);
    // The first start wins: tests start it once more.
    drop(log.try_init());
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}

/// Counts `value` of what `metric` names, as one line in CloudWatch's embedded metric format: namespace `Fanhook`, dimension `Stack`.
/// Format: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
pub fn count(stack: &str, metric: &'static str, value: u64, now: Millis) {
    let line = embedded(stack, metric, value, now);
    // A log that can't be written must not stop the work.
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

fn embedded(stack: &str, metric: &'static str, value: u64, now: Millis) -> Value {
    let metrics = json!([{"Name": metric, "Unit": "Count"}]);
    let directive = json!([{"Namespace": "Fanhook", "Dimensions": [["Stack"]], "Metrics": metrics}]);
    json!({"_aws": {"Timestamp": now.0, "CloudWatchMetrics": directive}, "Stack": stack, metric: value})
}

/// An error with its sources, as `first: second: third`: no message repeats its source.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the table is unavailable")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_count_names_the_metric_its_unit_and_its_stack() {
        let line = embedded("main", "ParkedChunks", 3, Millis(7));
        let metric = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(metric["Metrics"], json!([{"Name": "ParkedChunks", "Unit": "Count"}]));
        assert_eq!((&line["Stack"], &line["ParkedChunks"]), (&json!("main"), &json!(3)));
    }

    #[test]
    fn an_error_is_written_with_all_its_sources() {
        let error = Outer(std::io::Error::other("connection refused"));
        assert_eq!(chain(&error), "the table is unavailable: connection refused");
    }
}
