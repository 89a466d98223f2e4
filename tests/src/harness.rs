//! Runs the named cases of a test program that share one world, and reports as `cargo test` does.
//!
//! Cargo's own harness ends the process without dropping what tests share; a local AWS and its functions would live on. Here the
//! world is made once, given to every case, and ended in any event: after failures and panics.

use std::{
    future::Future,
    io::{Write, stdout},
    pin::Pin,
    process::ExitCode,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::task::{JoinSet, LocalSet, spawn_local};

/// How long one case may take at most.
const BOUND: Duration = Duration::from_mins(15);

/// What a case does with the world: an error or a panic fails it.
pub type Body<W> = fn(Rc<W>) -> Pin<Box<dyn Future<Output = Result<()>>>>;

/// A case.
pub struct Case<W> {
    /// What it shows, as a sentence.
    pub name: &'static str,
    /// What it does.
    pub body: Body<W>,
    /// Whether it may run beside other cases.
    pub company: Company,
}

/// Beside whom a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Alone.
    Alone,
    /// Beside its neighbours in the list that say the same.
    Shared,
}

/// What the command line asks for.
struct Asked {
    filters: Vec<String>,
    exact: bool,
    list: bool,
}

impl Asked {
    /// Options of Cargo's own harness that mean nothing here are passed over.
    fn read(arguments: impl Iterator<Item = String>) -> Self {
        let mut asked = Self { filters: Vec::new(), exact: false, list: false };
        let mut arguments = arguments.skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--exact" => asked.exact = true,
                "--list" => asked.list = true,
                "--test-threads" | "--format" | "--color" | "--skip" | "-Z" => drop(arguments.next()),
                option if option.starts_with('-') => {}
                _ => asked.filters.push(argument),
            }
        }
        asked
    }

    fn wants(&self, name: &str) -> bool {
        let meets =
            |filter: &String| if self.exact { filter == name } else { name.contains(filter.as_str()) };
        self.filters.is_empty() || self.filters.iter().any(meets)
    }
}

/// Runs the cases that the command line asks for, in their order, and ends the world.
///
/// `begin` makes the world, `end` ends it; whatever `begin` has started when it fails must end by being dropped.
pub fn main<W: 'static>(
    cases: Vec<Case<W>>,
    begin: impl AsyncFnOnce() -> Result<W>,
    end: impl FnOnce(W) -> Result<()>,
) -> ExitCode {
    let asked = Asked::read(std::env::args());
    let all = cases.len();
    let cases: Vec<Case<W>> = cases.into_iter().filter(|case| asked.wants(case.name)).collect();
    if asked.list {
        for case in &cases {
            say(&format!("{}: test", case.name));
        }
        return ExitCode::SUCCESS;
    }
    let filtered = all - cases.len();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("error: {error}"));
            return ExitCode::FAILURE;
        }
    };
    say(&format!("\nrunning {} tests", cases.len()));
    let start = Instant::now();
    let results = LocalSet::new().block_on(&runtime, in_world(cases, begin, end));
    // Whatever still runs holds the world; it ends here, and the world with it.
    drop(runtime);
    let (passed, failed) = match results {
        Ok(results) => results,
        Err(error) => {
            say(&format!("error: {error:#}"));
            (0, 1)
        }
    };
    say(&format!(
        "\ntest result: {}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {filtered} filtered out; finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        start.elapsed().as_secs_f64()
    ));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn in_world<W: 'static>(
    cases: Vec<Case<W>>,
    begin: impl AsyncFnOnce() -> Result<W>,
    end: impl FnOnce(W) -> Result<()>,
) -> Result<(usize, usize)> {
    if cases.is_empty() {
        return Ok((0, 0));
    }
    let start = Instant::now();
    let world = Rc::new(begin().await.context("the tests' world cannot be made")?);
    say(&format!("(the world was made in {:.1} s)", start.elapsed().as_secs_f64()));
    let (mut passed, mut failed) = (0, 0);
    for group in cases.chunk_by(|one, next| one.company == Company::Shared && next.company == Company::Shared)
    {
        let mut running = JoinSet::new();
        for case in group {
            running.spawn_local(run(case.name, (case.body)(Rc::clone(&world))));
        }
        while let Some(fine) = running.join_next().await {
            if fine? {
                passed += 1;
            } else {
                failed += 1;
            }
        }
    }
    match Rc::try_unwrap(world) {
        Ok(world) => end(world)?,
        Err(_) => bail!("a case has kept the world"),
    }
    Ok((passed, failed))
}

/// Runs one case and says how it went.
async fn run(name: &str, body: impl Future<Output = Result<()>> + 'static) -> bool {
    let start = Instant::now();
    let mut task = spawn_local(body);
    let result = match tokio::time::timeout(BOUND, &mut task).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(anyhow::anyhow!("{panic}")),
        Err(_) => {
            task.abort();
            // Ended by the abort; its end is waited for, since it holds the world.
            drop(task.await);
            Err(anyhow::anyhow!("it was not done after {} s", BOUND.as_secs()))
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    match &result {
        Ok(()) => say(&format!("test {name} ... ok ({seconds:.1} s)")),
        Err(error) => say(&format!("test {name} ... FAILED ({seconds:.1} s)\n    {error:#}")),
    }
    result.is_ok()
}

/// Prints a line; a reader that has gone is not missed.
pub fn say(line: &str) {
    let _ = writeln!(stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &str) -> Asked {
        Asked::read(arguments.split(' ').map(str::to_owned))
    }

    #[test]
    fn a_filter_is_part_of_a_name_unless_it_is_to_be_exact() {
        assert!(asked("program").wants("a_case"));
        assert!(asked("program cas other").wants("a_case"));
        assert!(!asked("program --exact cas").wants("a_case"));
        assert!(asked("program --exact a_case --nocapture").wants("a_case"));
        assert!(!asked("program --test-threads 1 other").wants("a_case"));
        assert!(asked("program --test-threads 1").wants("a_case"));
    }
}
