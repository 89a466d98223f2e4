//! Cold starts: from an event to its answer, with no process of the function there yet, under AWS's own Runtime Interface Emulator.
//!
//! The emulator, which comes with the SAM CLI, starts the function's program when the first event comes. AWS is played by a server that
//! answers everything with `{}`: no table holds anything, and what a message names is unknown.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use stack::Project;

const FUNCTIONS: [&str; 5] = ["config", "fanout", "dispatch", "deliver", "profiles"];
/// Starts of each function.
const STARTS: usize = 9;
/// Most time for a start.
const BOUND: Duration = Duration::from_secs(20);

/// Milliseconds that each function takes to answer its first event, its start included: the median of several starts.
pub(crate) fn cold_start_bench() -> BTreeMap<&'static str, f64> {
    let project = Project::find().expect("the benchmark runs in the project");
    let emulator = emulator(&project).expect("the SAM CLI is in .venv; `make setup` installs it");
    let aws = empty_aws().expect("a loopback port is free");
    FUNCTIONS.map(|function| (function, median(&project, &emulator, aws, function))).into()
}

fn median(project: &Project, emulator: &Path, aws: u16, function: &str) -> f64 {
    let program = project.binary(function).expect("the functions are built");
    let event = event(project, function).expect("tests/events holds an event for each function");
    let mut times: Vec<f64> = (0..STARTS)
        .map(|_| {
            let running = Running::start(emulator, &program, aws).expect("the emulator starts");
            running.answer(&event).expect("the function answers").as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    // To a tenth.
    (times[STARTS / 2] * 10.0).round() / 10.0
}

/// The emulator's program, inside the SAM CLI's environment.
fn emulator(project: &Project) -> Option<PathBuf> {
    let name = if cfg!(target_arch = "aarch64") { "aws-lambda-rie-arm64" } else { "aws-lambda-rie-x86_64" };
    let versions = fs::read_dir(project.environment("sam").join("lib")).ok()?;
    let paths =
        versions.flatten().map(|version| version.path().join("site-packages/samcli/local/rapid").join(name));
    paths.into_iter().find(|path| path.is_file())
}

fn event(project: &Project, function: &str) -> io::Result<String> {
    fs::read_to_string(project.root().join(format!("tests/events/{function}.json")))
}

/// The emulator, which runs one function; it ends when this is dropped.
struct Running {
    emulator: Child,
    port: u16,
}

impl Running {
    fn start(emulator: &Path, program: &Path, aws: u16) -> io::Result<Self> {
        let (port, api) = (free_port()?, free_port()?);
        let emulator = Command::new(emulator)
            .args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{port}")])
            .args(["--runtime-api-address", &format!("127.0.0.1:{api}")])
            .args(["--log-level", "error"])
            .arg(program)
            .env_clear()
            .envs(environment(aws))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let running = Self { emulator, port };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if start.elapsed() > BOUND {
                return Err(io::Error::other("the emulator does not listen"));
            }
            sleep(Duration::from_millis(5));
        }
        Ok(running)
    }

    /// Time that the first event takes to be answered.
    fn answer(&self, event: &str) -> io::Result<Duration> {
        let start = Instant::now();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(BOUND))?;
        write!(
            stream,
            "POST /2015-03-31/functions/function/invocations HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{event}",
            event.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let elapsed = start.elapsed();
        if !answer.starts_with("HTTP/1.1 200") || answer.contains("errorType") {
            return Err(io::Error::other(answer));
        }
        Ok(elapsed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Asked first, so that it ends the function as well.
        let asked = rustix::process::Pid::from_child(&self.emulator);
        let _ = rustix::process::kill_process(asked, rustix::process::Signal::TERM);
        let start = Instant::now();
        while matches!(self.emulator.try_wait(), Ok(None)) {
            if start.elapsed() > Duration::from_secs(5) {
                let _ = self.emulator.kill();
            }
            sleep(Duration::from_millis(5));
        }
    }
}

/// What a deployment would set, for all functions alike.
fn environment(aws: u16) -> Vec<(&'static str, String)> {
    let aws = format!("http://127.0.0.1:{aws}");
    let mut variables: Vec<(&str, String)> = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_LAMBDA_FUNCTION_NAME", "function"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_FUNCTION_TIMEOUT", "30"),
        ("CONFIG_TABLE", "config"),
        ("LEDGER_TABLE", "ledger"),
        ("PROFILES_TABLE", "profiles"),
        ("BUCKET", "bucket"),
        ("KEY_ID", "key"),
        ("DELIVER_FUNCTION", "deliver"),
        ("ALLOW_HTTP", "false"),
        ("ALLOWED_ENDPOINTS", ""),
        ("TIMEOUT_SECONDS", "30"),
        ("VISIBILITY_SECONDS", "180"),
        ("STAND_STILL_SECONDS", "600"),
        ("STACK_NAME", "main"),
        ("DUE_AHEAD_SECONDS", "120"),
        ("LEASE_MARGIN_SECONDS", "5"),
        ("LEDGER_DAYS", "90"),
        ("SEGMENT_DAYS", "30"),
        ("WORKSPACES_CLAIM", "custom:workspaces"),
        ("ROLES_CLAIM", "cognito:groups"),
        ("ORGANIZATION_ADMIN_GROUP", "organization-admin"),
        ("WORKSPACE_ADMIN_GROUP", "workspace-admin"),
        ("MEMBER_GROUP", "member"),
        ("WEBHOOK_GROUP", "webhook"),
        ("LOG_LEVEL", "error"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into();
    for queue in ["FANOUT_QUEUE_URL", "DELIVER_QUEUE_URL", "PROFILES_QUEUE_URL"] {
        variables.push((queue, format!("{aws}/000000000000/queue")));
    }
    variables.push(("AWS_ENDPOINT_URL", aws));
    variables
}

/// Plays an AWS whose tables are empty; answers until the benchmark ends.
fn empty_aws() -> io::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away ends its thread.
            thread::spawn(move || drop(answer_all(&stream)));
        }
    });
    Ok(port)
}

fn answer_all(mut stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let header = line.to_ascii_lowercase();
            length = header
                .strip_prefix("content-length:")
                .and_then(|value| value.trim().parse().ok())
                .unwrap_or(length);
        }
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        stream.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\n\r\n{}",
        )?;
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
