use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Where programs are looked for: the one variable that a child's otherwise fresh environment takes over.
#[expect(clippy::disallowed_methods, reason = "where programs lie is the machine's affair, no configuration")]
pub(crate) fn search_path() -> Option<(&'static str, OsString)> {
    Some(("PATH", env::var_os("PATH")?))
}

/// The folders of this project.
#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// Finds the project that the current folder lies in: the nearest one above with a `template.yaml`.
    pub fn find() -> Result<Self> {
        let here = env::current_dir().context("the current folder cannot be read")?;
        let root = here.ancestors().find(|folder| folder.join("template.yaml").is_file());
        let root = root.with_context(|| format!("no template.yaml in {} or above", here.display()))?;
        Ok(Self { root: root.to_owned() })
    }

    /// The project's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The template that is deployed.
    pub fn template(&self) -> PathBuf {
        self.root.join("template.yaml")
    }

    /// Where an environment lies: `ministack`, `sam`, `schemathesis`, `tools` or `verifiers` of Python, or `node`.
    pub fn environment(&self, name: &str) -> PathBuf {
        self.root.join(".venv").join(name)
    }

    /// A program of a Python environment.
    pub fn program(&self, environment: &str, program: &str) -> Result<PathBuf> {
        let path = self.environment(environment).join("bin").join(program);
        if !path.is_file() {
            bail!("{} is missing; `make setup` installs it", path.display());
        }
        Ok(path)
    }

    /// Files that come with this crate.
    pub fn own_file(&self, name: &str) -> PathBuf {
        self.root.join("tests/stack").join(name)
    }

    /// The state of the stack of that name.
    pub fn stack_folder(&self, name: &str) -> PathBuf {
        self.root.join(".stack").join(name)
    }

    /// A function's program, built in the same cargo run as the program that asks.
    pub fn binary(&self, name: &str) -> Result<PathBuf> {
        let this = env::current_exe().context("the running program cannot be found")?;
        let folder = this.parent().context("the running program lies in no folder")?;
        // Tests and benchmarks lie one folder deeper than programs.
        let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
        let path = folder.join(name);
        if !path.is_file() {
            bail!("{} is missing; `make build` builds it", path.display());
        }
        Ok(path)
    }
}
