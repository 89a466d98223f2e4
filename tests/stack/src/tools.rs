//! The Python environments with the pinned tools: the local AWS, the SAM CLI, and the rest.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::Project;

/// One environment each, since they cannot agree on the version of a library they share.
const ENVIRONMENTS: [&str; 3] = ["ministack", "sam", "tools"];

/// Installs what is not installed yet, all environments at once. An environment is made anew when its requirements have changed.
///
/// Returns the names of the environments that were made.
pub fn setup(project: &Project) -> Result<Vec<&'static str>> {
    let mut installs = Vec::new();
    for name in ENVIRONMENTS {
        installs.extend(Install::begin(project, name)?);
    }
    installs.into_iter().map(Install::finish).collect()
}

/// An installation under way.
struct Install {
    name: &'static str,
    child: Child,
    requirements: PathBuf,
    /// A copy of the requirements that were installed: written last, so that a broken installation has none.
    stamp: PathBuf,
}

impl Install {
    fn begin(project: &Project, name: &'static str) -> Result<Option<Self>> {
        let requirements = project.own_file(&format!("requirements-{name}.txt"));
        let wanted =
            fs::read(&requirements).with_context(|| format!("{} cannot be read", requirements.display()))?;
        let folder = project.environment(name);
        let stamp = folder.join("requirements.txt");
        if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(None);
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
        }
        // The requirements name every package, so nothing is left for pip to resolve.
        let script = r#"python3 -m venv "$1" && exec "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$2""#;
        let child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&folder)
            .arg(&requirements)
            .stdin(Stdio::null())
            .spawn()
            .context("sh does not start")?;
        Ok(Some(Self { name, child, requirements, stamp }))
    }

    fn finish(mut self) -> Result<&'static str> {
        let status =
            self.child.wait().with_context(|| format!("the installation of {} was lost", self.name))?;
        if !status.success() {
            bail!("the installation of {} ended with {status}", self.name);
        }
        fs::copy(&self.requirements, &self.stamp)
            .with_context(|| format!("{} cannot be written", self.stamp.display()))?;
        Ok(self.name)
    }
}
