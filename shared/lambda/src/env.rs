//! The environment: the only place that reads it, once, whole. Nothing falls back to anything.
//!
//! ```
//! # use std::time::Duration;
//! struct Settings { table: String, lease_margin: Duration }
//!
//! # let variables = |name: &str| Some(if name == "LEDGER_TABLE" { "ledger" } else { "5" }.to_owned());
//! let settings = fanhook_lambda::env::read_from(variables, |env| Settings {
//!     table: env.text("LEDGER_TABLE"),
//!     lease_margin: env.seconds("LEASE_MARGIN_SECONDS"),
//! })?;
//! # assert_eq!((settings.table.as_str(), settings.lease_margin), ("ledger", Duration::from_secs(5)));
//! # Ok::<_, fanhook_lambda::env::EnvError>(())
//! ```

use std::{fmt, str::FromStr, time::Duration};

use tracing::Level;

/// All that is wrong with the environment, each with the variable's name; no values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvError {
    /// Names of the variables that are missing.
    pub missing: Vec<String>,
    /// What is wrong with those that are there.
    pub wrong: Vec<String>,
}

impl fmt::Display for EnvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.wrong.clone();
        if !self.missing.is_empty() {
            parts.insert(0, format!("missing variables: {}", self.missing.join(", ")));
        }
        write!(f, "the environment is incomplete: {}", parts.join("; "))
    }
}

impl std::error::Error for EnvError {}

/// Reads what `build` asks for from the process's environment.
///
/// After a fault `build` goes on with empty values, so that every other fault is found as well; what it builds is then dropped.
///
/// # Errors
/// Everything that is missing or wrong, at once.
#[expect(clippy::disallowed_methods, reason = "this is where configuration is read, once and whole")]
pub fn read<T>(build: impl FnOnce(&mut Env<'_>) -> T) -> Result<T, EnvError> {
    read_from(|name| std::env::var(name).ok(), build)
}

/// Reads what `build` asks for from given `variables`.
///
/// # Errors
/// Everything that is missing or wrong, at once.
pub fn read_from<T>(
    variables: impl Fn(&str) -> Option<String>,
    build: impl FnOnce(&mut Env<'_>) -> T,
) -> Result<T, EnvError> {
    let mut env = Env { variables: &variables, error: EnvError { missing: Vec::new(), wrong: Vec::new() } };
    let settings = build(&mut env);
    if env.error.missing.is_empty() && env.error.wrong.is_empty() { Ok(settings) } else { Err(env.error) }
}

/// The environment while it is read.
pub struct Env<'a> {
    variables: &'a dyn Fn(&str) -> Option<String>,
    error: EnvError,
}

impl Env<'_> {
    /// A text that isn't empty.
    pub fn text(&mut self, name: &str) -> String {
        self.parsed(name, "must not be empty", |text| (!text.is_empty()).then(|| text.to_owned()))
            .unwrap_or_default()
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str) -> bool {
        self.from_text(name, "must be `true` or `false`").unwrap_or_default()
    }

    /// A whole number of at least 1.
    pub fn number(&mut self, name: &str) -> u64 {
        let rule = "must be a whole number of at least 1";
        self.parsed(name, rule, |text| text.parse().ok().filter(|&number| number > 0)).unwrap_or_default()
    }

    /// A whole number of seconds, at least 1.
    pub fn seconds(&mut self, name: &str) -> Duration {
        Duration::from_secs(self.number(name))
    }

    /// A whole number of days, at least 1.
    pub fn days(&mut self, name: &str) -> Duration {
        Duration::from_secs(self.number(name).saturating_mul(24 * 60 * 60))
    }

    /// Texts between commas, with white space around them dropped; the variable may be empty, but must exist.
    pub fn list(&mut self, name: &str) -> Vec<String> {
        let parts = |text: &str| {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        self.parsed(name, "", |text| Some(parts(text))).unwrap_or_default()
    }

    /// Lowest level of the lines that are logged: `error`, `warn`, `info`, `debug` or `trace`.
    pub fn level(&mut self, name: &str) -> Level {
        self.from_text(name, "must be `error`, `warn`, `info`, `debug` or `trace`").unwrap_or(Level::TRACE)
    }

    /// The function's time-out, from `TIMEOUT_SECONDS`, and a check that its queue's visibility, from `VISIBILITY_SECONDS`, is at
    /// least six times as long: else a message comes again while its first worker still runs.
    pub fn timeout(&mut self) -> Duration {
        let (timeout, visibility) = (self.seconds("TIMEOUT_SECONDS"), self.seconds("VISIBILITY_SECONDS"));
        if !visibility.is_zero() && visibility < timeout * 6 {
            self.error.wrong.push("VISIBILITY_SECONDS must be at least 6 × TIMEOUT_SECONDS".to_owned());
        }
        timeout
    }

    /// What the type's own parser reads; `rule` says what it must be. The variable may be empty, but must exist.
    pub fn from_text<T: FromStr>(&mut self, name: &str, rule: &str) -> Option<T> {
        self.parsed(name, rule, |text| text.parse().ok())
    }

    fn parsed<T>(&mut self, name: &str, rule: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let Some(text) = (self.variables)(name) else {
            self.error.missing.push(name.to_owned());
            return None;
        };
        let value = parse(&text);
        if value.is_none() {
            self.error.wrong.push(format!("{name} {rule}"));
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables<'a>(given: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| given.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn all_that_is_missing_or_wrong_is_named_at_once_and_no_value_is() {
        let given = [("C", "a secret"), ("D", "yes"), ("E", ""), ("F", "loud")];
        let error = read_from(variables(&given), |env| {
            (env.text("A"), env.list("B"), env.seconds("C"), env.flag("D"), env.text("E"), env.level("F"))
        });
        let text = error.map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(
            text,
            Err("the environment is incomplete: missing variables: A, B; C must be a whole number of at least 1; \
                 D must be `true` or `false`; E must not be empty; F must be `error`, `warn`, `info`, `debug` or `trace`"
                .to_owned())
        );
    }

    #[test]
    fn each_kind_of_value_is_read() {
        let given =
            [("A", "x"), ("B", " a, b ,"), ("C", ""), ("D", "7"), ("E", "true"), ("F", "2"), ("G", "info")];
        let read = read_from(variables(&given), |env| {
            (
                env.text("A"),
                env.list("B"),
                env.list("C"),
                env.seconds("D"),
                env.flag("E"),
                env.days("F"),
                env.level("G"),
            )
        });
        let days = Duration::from_hours(48);
        let lists = (vec!["a".to_owned(), "b".to_owned()], Vec::new());
        assert_eq!(
            read,
            Ok(("x".to_owned(), lists.0, lists.1, Duration::from_secs(7), true, days, Level::INFO))
        );
    }

    #[test]
    fn a_visibility_below_six_time_outs_is_refused() {
        let read = |visibility| {
            read_from(variables(&[("TIMEOUT_SECONDS", "90"), ("VISIBILITY_SECONDS", visibility)]), |env| {
                env.timeout()
            })
        };
        assert_eq!(read("540"), Ok(Duration::from_secs(90)));
        let error = read("539").map_err(|error| error.wrong);
        assert_eq!(error, Err(vec!["VISIBILITY_SECONDS must be at least 6 × TIMEOUT_SECONDS".to_owned()]));
    }
}
