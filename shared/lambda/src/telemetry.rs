//! Logs: JSON lines on the standard output, one wide line per unit of work. No line holds a payload, a secret or an address.

use std::{error::Error, panic};

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
    fn an_error_is_written_with_all_its_sources() {
        let error = Outer(std::io::Error::other("connection refused"));
        assert_eq!(chain(&error), "the table is unavailable: connection refused");
    }
}
