//! Two checks over `cargo metadata`, which need no tool of their own and no compilation: unused dependencies and licences.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::Project;

/// Licences that ask no more than to be named. Anything else is a decision for people.
const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// What `cargo metadata` says, as far as it is asked here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: String,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    rename: Option<String>,
}

/// All that is to be put right, a line each.
pub fn faults(project: &Project) -> Result<Vec<String>> {
    // Offline, only what this machine's own target needs is at hand.
    let version = run(project, "rustc", &["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host];
    let metadata: Metadata = serde_json::from_str(&run(project, "cargo", &arguments)?)?;
    let packages = &metadata.packages;
    let (members, others): (Vec<_>, Vec<_>) =
        packages.iter().partition(|package| metadata.workspace_members.contains(&package.id));

    let mut faults: Vec<String> = others.into_iter().filter_map(licence_fault).collect();
    for member in &members {
        faults.extend(unused(member, packages)?);
    }
    let manifest = fs::read_to_string(project.root().join("Cargo.toml"))?;
    for name in listed(&manifest) {
        if !members.iter().any(|member| member.dependencies.iter().any(|dependency| dependency.name == name))
        {
            faults.push(format!("Cargo.toml lists {name}, which no crate depends on"));
        }
    }
    Ok(faults)
}

fn run(project: &Project, program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(project.root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{program} does not start"))?;
    if !output.status.success() {
        bail!("{program} ended with {}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn licence_fault(package: &Package) -> Option<String> {
    let expression = package.license.as_deref().unwrap_or_default();
    (!allowed(expression))
        .then(|| format!("{} {} has the licence {expression:?}", package.name, package.version))
}

/// Whether an SPDX expression can be met by allowed licences alone. `/` is how older crates write `OR`.
fn allowed(expression: &str) -> bool {
    let expression = expression.trim();
    let inner = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    if let Some(inner) = inner.filter(|inner| balanced(inner)) {
        return allowed(inner);
    }
    // OR binds weaker than AND.
    for (operator, any) in [(" OR ", true), ("/", true), (" AND ", false)] {
        let parts = split(expression, operator);
        if parts.len() > 1 {
            return if any {
                parts.iter().any(|part| allowed(part))
            } else {
                parts.iter().all(|part| allowed(part))
            };
        }
    }
    ALLOWED.contains(&expression)
}

/// Whether no bracket closes that was not opened.
fn balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    text.chars().all(|character| {
        depth += i32::from(character == '(') - i32::from(character == ')');
        depth >= 0
    })
}

/// Splits at an operator that stands outside all brackets.
fn split<'a>(text: &'a str, operator: &str) -> Vec<&'a str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    for (at, _) in text.match_indices(operator) {
        let before = &text[..at];
        if before.matches('(').count() == before.matches(')').count() {
            parts.push(&text[start..at]);
            start = at + operator.len();
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The dependencies of a crate that its source never names.
fn unused(package: &Package, packages: &[Package]) -> Result<Vec<String>> {
    let folder = Path::new(&package.manifest_path).parent().context("a manifest lies in no folder")?;
    let mut source = String::new();
    read_source(folder, &mut source)?;
    let named = |dependency: &&Dependency| {
        let name = dependency
            .rename
            .as_deref()
            .unwrap_or_else(|| library(&dependency.name, packages))
            .replace('-', "_");
        source
            .split(|character: char| !character.is_alphanumeric() && character != '_')
            .any(|word| word == name)
    };
    let unused = package.dependencies.iter().filter(|dependency| !named(dependency));
    Ok(unused.map(|dependency| format!("{} does not use {}", package.name, dependency.name)).collect())
}

/// What a package's library is called in source: `md-5` is `md5`.
fn library<'a>(package: &'a str, packages: &'a [Package]) -> &'a str {
    let targets = packages.iter().filter(|other| other.name == package).flat_map(|other| &other.targets);
    let mut libraries =
        targets.filter(|target| target.kind.iter().any(|kind| kind.contains("lib") || kind == "proc-macro"));
    libraries.next().map_or(package, |library| &library.name)
}

/// Reads all Rust files of a crate, without those of crates in folders below it.
fn read_source(folder: &Path, source: &mut String) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.join("Cargo.toml").exists() && !path.ends_with("target") {
            read_source(&path, source)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            source.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// The names in the root manifest's one dependency list.
fn listed(manifest: &str) -> impl Iterator<Item = &str> {
    let lines = manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    lines.take_while(|line| !line.starts_with('[')).filter_map(|line| Some(line.split_once('=')?.0.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_allowed_when_a_choice_of_allowed_ones_meets_it() {
        for expression in [
            "MIT",
            "MIT OR GPL-3.0",
            "MIT/Apache-2.0",
            "ISC AND (Apache-2.0 OR ISC) AND OpenSSL",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR MIT",
        ] {
            assert!(allowed(expression), "{expression}");
        }
        for expression in
            ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND (GPL-3.0 OR AGPL-3.0)", "MPL-2.0 OR GPL-2.0"]
        {
            assert!(!allowed(expression), "{expression}");
        }
    }

    #[test]
    fn the_one_dependency_list_ends_at_the_next_table() {
        let manifest = "[a]\nx = 1\n[workspace.dependencies]\none = \"1\"\ntwo-three = { path = \"x\" }\n\n[lints]\nfour = 1\n";
        assert_eq!(listed(manifest).collect::<Vec<_>>(), ["one", "two-three"]);
    }
}
