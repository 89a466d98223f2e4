//! `stack`: the whole system on this machine, from the command line.

use std::fs;
use std::io::{Read, Write, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};
use stack::{Options, Person, Project, Stack, tidy, tools};

/// Starts a local AWS, deploys template.yaml to it, and speaks with both.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Name {
    /// The stack's name: its state lies in `.stack/<name>/`.
    #[arg(long, default_value = "main")]
    name: String,
}

#[derive(Subcommand)]
enum Command {
    /// Install the pinned tools into `.venv/`: ministack, the SAM CLI, cargo-lambda, typos, verifiers of signatures.
    Setup,
    /// Start the stack with the functions that are built, or deploy to it again if it runs.
    Up {
        #[command(flatten)]
        name: Name,
        /// The loopback port of the local AWS; 0 takes a free one.
        #[arg(long, default_value_t = 4566)]
        port: u16,
        /// A template parameter, as NAME=VALUE; may be given several times.
        #[arg(long = "parameter", value_parser = pair)]
        parameters: Vec<(String, String)>,
    },
    /// Stop the stack; its state is forgotten, its logs stay.
    Down {
        #[command(flatten)]
        name: Name,
    },
    /// Print the stack's addresses and names as JSON.
    Outputs {
        #[command(flatten)]
        name: Name,
    },
    /// Print an ID token for the API, for a person who is made if need be.
    Token {
        #[command(flatten)]
        name: Name,
        /// The person's user name.
        #[arg(long, default_value = "me")]
        user: String,
        /// The workspaces that the person belongs to, separated by commas.
        #[arg(long, value_delimiter = ',', required = true)]
        workspaces: Vec<String>,
        /// The person's groups, separated by commas.
        #[arg(long, value_delimiter = ',', default_value = "organization-admin")]
        groups: Vec<String>,
    },
    /// Call a function and print its answer.
    Invoke {
        #[command(flatten)]
        name: Name,
        /// config, fanout, dispatch, deliver or profiles.
        function: String,
        /// A JSON file with the event, as in tests/events; `{}` without one, `-` reads standard input.
        #[arg(long)]
        event: Option<PathBuf>,
    },
    /// Print the environment of a function, as an env file: with it the function runs outside of the stack, on the stack's tables.
    Environment {
        #[command(flatten)]
        name: Name,
        /// config, fanout, dispatch, deliver or profiles.
        function: String,
    },
    /// Print what a function has logged.
    Logs {
        #[command(flatten)]
        name: Name,
        /// config, fanout, dispatch, deliver or profiles.
        function: String,
        /// Go on printing what is added.
        #[arg(long)]
        follow: bool,
    },
    /// Look for dependencies that nothing uses and for licences that are not allowed.
    Tidy,
}

fn pair(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').context("not of the form NAME=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With a broken standard error there is nobody to tell.
            let _ = writeln!(stderr(), "stack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    match Cli::parse().command {
        Command::Setup => {
            for name in tools::setup(&Project::find()?)? {
                say(&format!("installed .venv/{name}"))?;
            }
        }
        Command::Up { name, port, parameters } => up(&name.name, port, parameters).await?,
        Command::Down { name } => match Stack::attach(&name.name) {
            Ok(stack) => stack.stop()?,
            Err(_) => say(&format!("no stack named {} runs", name.name))?,
        },
        Command::Outputs { name } => {
            say(&serde_json::to_string_pretty(Stack::attach(&name.name)?.outputs())?)?;
        }
        Command::Token { name, user, workspaces, groups } => {
            let person = Person { name: user, workspaces, groups };
            say(&Stack::attach(&name.name)?.token(&person).await?)?;
        }
        Command::Invoke { name, function, event } => {
            let answer = Stack::attach(&name.name)?.invoke(&function, &read(event)?).await?;
            say(&serde_json::to_string_pretty(&answer.payload)?)?;
            if answer.failed {
                bail!("{function} failed");
            }
        }
        Command::Environment { name, function } => {
            for (variable, value) in Stack::attach(&name.name)?.environment(&function).await? {
                say(&format!("{variable}={value}"))?;
            }
        }
        Command::Logs { name, function, follow } => logs(&Stack::attach(&name.name)?, &function, follow)?,
        Command::Tidy => {
            let faults = tidy::faults(&Project::find()?)?;
            faults.iter().try_for_each(|fault| say(fault))?;
            if !faults.is_empty() {
                bail!("{} to put right", faults.len());
            }
        }
    }
    Ok(())
}

async fn up(name: &str, port: u16, parameters: Vec<(String, String)>) -> Result<()> {
    let stack = if let Ok(running) = Stack::attach(name) {
        running.deploy_again(parameters.into_iter().collect()).await?
    } else {
        let mut options = Options::named(name);
        options.port = port;
        options.parameters.extend(parameters);
        Stack::start(options).await?
    };
    say(&serde_json::to_string_pretty(stack.outputs())?)?;
    stack.leave();
    Ok(())
}

fn read(event: Option<PathBuf>) -> Result<Value> {
    let Some(path) = event else { return Ok(json!({})) };
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    }
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

fn logs(stack: &Stack, function: &str, follow: bool) -> Result<()> {
    let file = stack.log_file(function)?;
    let mut printed = 0;
    loop {
        let text = fs::read(&file).unwrap_or_default();
        stdout().write_all(text.get(printed..).unwrap_or_default())?;
        stdout().flush()?;
        printed = text.len();
        if !follow {
            return Ok(());
        }
        sleep(Duration::from_millis(300));
    }
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(stdout(), "{text}")?)
}
