//! The environments with the pinned tools: the local AWS, the SAM CLI, the tester of the API, the rest, and the libraries that receivers verify
//! signatures with (Python and Node.js).

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::Project;

/// One environment of Python each, since they cannot agree on the version of a library they share.
const ENVIRONMENTS: [&str; 5] = ["ministack", "sam", "schemathesis", "tools", "verifiers"];
/// The environment of Node.js.
const NODE: &str = "node";

/// Installs what is not installed yet, all environments at once. An environment is made anew when its requirements have changed.
///
/// Returns the names of the environments that were made.
pub fn setup(project: &Project) -> Result<Vec<&'static str>> {
    let mut installs = Vec::new();
    for name in ENVIRONMENTS {
        // The requirements name every package, so nothing is left for pip to resolve.
        let script = r#"python3 -m venv "$1" && exec "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$2""#;
        let wanted = project.own_file(&format!("requirements-{name}.txt"));
        installs.extend(Install::begin(project, name, wanted, script)?);
    }
    // Installed where git does not look; what a package brings is never run.
    let script = r#"mkdir -p "$1" && cp "$2" "${2%/*}/package.json" "$1" && cd "$1" && exec npm ci --loglevel error --ignore-scripts --no-audit --no-fund"#;
    let wanted = project.root().join("tests/verifiers/package-lock.json");
    installs.extend(Install::begin(project, NODE, wanted, script)?);
    installs.into_iter().map(Install::finish).collect()
}

/// An installation under way.
struct Install {
    name: &'static str,
    child: Child,
    /// The file that names the packages.
    wanted: PathBuf,
    /// A copy of it as it was installed: written last, so that a broken installation has none.
    stamp: PathBuf,
}

impl Install {
    /// Begins what is not installed yet, by a script of the folder and the file that names the packages.
    fn begin(
        project: &Project,
        name: &'static str,
        wanted: PathBuf,
        script: &'static str,
    ) -> Result<Option<Self>> {
        let packages = fs::read(&wanted).with_context(|| format!("{} cannot be read", wanted.display()))?;
        let folder = project.environment(name);
        let stamp = folder.join("requirements.txt");
        if fs::read(&stamp).is_ok_and(|installed| installed == packages) {
            return Ok(None);
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
        }
        let child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&folder)
            .arg(&wanted)
            .stdin(Stdio::null())
            .spawn()
            .context("sh does not start")?;
        Ok(Some(Self { name, child, wanted, stamp }))
    }

    fn finish(mut self) -> Result<&'static str> {
        let status =
            self.child.wait().with_context(|| format!("the installation of {} was lost", self.name))?;
        if !status.success() {
            bail!("the installation of {} ended with {status}", self.name);
        }
        fs::copy(&self.wanted, &self.stamp)
            .with_context(|| format!("{} cannot be written", self.stamp.display()))?;
        Ok(self.name)
    }
}
