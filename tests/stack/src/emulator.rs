use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::deploy::REGION;
use crate::project::{self, Project};
use crate::wait::{Seen, until};

/// How long a clean stop may take before it is ended the hard way.
const STOP: Duration = Duration::from_secs(10);

/// What `emulator.json` in a stack's folder says.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Running {
    pid: i32,
    port: u16,
}

/// The local AWS: one process, and the functions' processes under it.
pub(crate) struct Emulator {
    folder: PathBuf,
    running: Running,
    /// Present when this program started it; it must then be waited for, or it stays a zombie.
    child: Option<Child>,
    /// Whether it ends with this value.
    owned: bool,
}

impl Emulator {
    /// Starts it with an empty state, and waits until it answers.
    pub(crate) async fn start(project: &Project, folder: PathBuf, port: u16) -> Result<Self> {
        let python = project.program("ministack", "python")?;
        if let Ok(old) = Self::attach(&folder) {
            old.stop()?;
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
        }
        for inner in ["logs", "tmp"] {
            fs::create_dir_all(folder.join(inner))?;
        }
        let port = if port == 0 { free_port()? } else { port };
        let log = File::create(folder.join("ministack.log"))?;
        let mut command = Command::new(python);
        command
            .arg(project.own_file("launch.py"))
            .env_clear()
            .envs(project::search_path())
            .envs(environment(&folder, port))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C at the terminal is for the program in front; this one is stopped by its PID.
            .process_group(0);
        let child = command.spawn().context("ministack does not start")?;
        let running = Running { pid: i32::try_from(child.id())?, port };
        let mut emulator = Self { folder, running, child: Some(child), owned: true };
        fs::write(emulator.folder.join("emulator.json"), serde_json::to_string(&running)?)?;
        emulator.ready().await?;
        Ok(emulator)
    }

    /// Finds one that runs already and has its state in that folder.
    pub(crate) fn attach(folder: &Path) -> Result<Self> {
        let running: Running = serde_json::from_slice(&fs::read(folder.join("emulator.json"))?)?;
        let mut emulator = Self { folder: folder.to_owned(), running, child: None, owned: false };
        if !emulator.alive() {
            bail!("the process {} has ended", running.pid);
        }
        Ok(emulator)
    }

    async fn ready(&mut self) -> Result<()> {
        let aws = Aws::new(self.endpoint())?;
        let log = self.folder.join("ministack.log");
        until("ministack to answer", Duration::from_mins(1), async || {
            if let Some(status) =
                self.child.as_mut().and_then(|child| child.try_wait().transpose()).transpose()?
            {
                bail!("ministack ended with {status}:\n{}", tail(&log));
            }
            Ok(match aws.healthy().await {
                Ok(()) => Seen::Yes(()),
                Err(error) => Seen::NotYet(format!("{error:#}")),
            })
        })
        .await
    }

    pub(crate) fn endpoint(&self) -> String {
        endpoint(self.running.port)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    pub(crate) fn leave(&mut self) {
        self.owned = false;
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        self.owned = false;
        self.end()
    }

    /// Asks it to end, ends it when it does not, and leaves none of its functions behind.
    fn end(&mut self) -> Result<()> {
        let functions = self.children();
        signal(self.running.pid, Signal::TERM)?;
        let asked = Instant::now();
        while self.alive() {
            if asked.elapsed() > STOP {
                signal(self.running.pid, Signal::KILL)?;
            }
            sleep(Duration::from_millis(20));
        }
        for (pid, _) in functions {
            if variable(pid, "AWS_ENDPOINT_URL").is_some_and(|value| value == self.endpoint()) {
                kill(pid)?;
            }
        }
        // The folder's logs stay to be read.
        fs::remove_file(self.folder.join("emulator.json")).context("emulator.json cannot be removed")
    }

    /// Whether the process is there still, and is the one that was started for this folder: process IDs are used again.
    fn alive(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => variable(self.running.pid, "FUNCTION_LOGS")
                .is_some_and(|logs| Path::new(&logs) == self.logs()),
        }
    }

    /// The processes that run that function.
    pub(crate) fn function_pids(&self, function: &str) -> Vec<i32> {
        self.children().into_iter().filter(|(_, name)| name == function).map(|(pid, _)| pid).collect()
    }

    /// Its child processes that are functions, each with the function's name.
    fn children(&self) -> Vec<(i32, String)> {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        processes
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| parent(*pid) == Some(self.running.pid))
            .filter_map(|pid| Some((pid, variable(pid, "AWS_LAMBDA_FUNCTION_NAME")?)))
            .collect()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if self.owned {
            // Nobody is left to be told; the next start of that name tries again.
            let _ = self.end();
        }
    }
}

/// Ends a process at once (SIGKILL), as a crash would. A process that has ended already is no error.
pub fn kill(pid: i32) -> Result<()> {
    signal(pid, Signal::KILL)
}

fn signal(pid: i32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(pid).context("0 is no process")?;
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).context("a process cannot be signalled"),
    }
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The whole environment of the local AWS, and so of the functions: nothing of the caller's leaks in but the program path.
fn environment(folder: &Path, port: u16) -> Vec<(&'static str, String)> {
    let path = |inner: &str| folder.join(inner).display().to_string();
    vec![
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        // Each function may do what its role in the template allows, and no more.
        ("AUTH", "true".to_owned()),
        // Handed on to the functions, whose SDKs then call here.
        ("AWS_ENDPOINT_URL", endpoint(port)),
        ("BIND_HOST", "127.0.0.1".to_owned()),
        ("FUNCTION_LOGS", path("logs")),
        ("GATEWAY_PORT", port.to_string()),
        ("IOT_MTLS_ENABLED", "0".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("SFTP_ENABLED", "0".to_owned()),
        ("STATE_DIR", path("state")),
        ("TMPDIR", path("tmp")),
    ]
}

/// A port that was free just now. Somebody else may take it before it is used: the start then fails and says so.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// An environment variable of a process, as it was at its start; none for a process that has ended.
fn variable(pid: i32, name: &str) -> Option<String> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let variables = environ.split(|byte| *byte == 0).filter_map(|line| std::str::from_utf8(line).ok());
    variables
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// The parent of a process: the second field after its name, which stands in brackets and may hold anything.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The last lines of a log, for an error message.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_parent_and_its_environment() {
        let mut child = Command::new("sleep").arg("60").env("MARK", "here").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert_eq!(parent(pid), Some(i32::try_from(std::process::id()).unwrap()));
        // Between fork and exec the child still has its parent's environment.
        while variable(pid, "MARK").is_none() {
            sleep(Duration::from_millis(1));
        }
        assert_eq!(variable(pid, "MARK").as_deref(), Some("here"));
        kill(pid).unwrap();
        child.wait().unwrap();
        assert_eq!(variable(pid, "MARK"), None);
        kill(pid).unwrap();
    }
}
