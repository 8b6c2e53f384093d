//! Checks that published crates build on the `rust-version` that they state.
//!
//! It leaves out dev-dependencies, which may require a newer release without effect on users, and the features that a
//! crate lists in `package.metadata.msrv`, because their dependencies require one.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, bail};

use crate::{
    command::{Call, cargo, in_workspace, tool},
    workspace::{Package, Workspace},
};

pub(crate) fn check() -> Result<()> {
    let workspace = Workspace::read()?;
    let mut by_version = BTreeMap::<&str, Vec<&Package>>::new();
    for package in workspace.published() {
        let version = package.rust_version.as_deref();
        let version = version.with_context(|| format!("{} states no rust-version", package.name))?;
        by_version.entry(version).or_default().push(package);
    }
    by_version.iter().try_for_each(|(version, packages)| build_on(version, packages, &workspace.target_directory))
}

/// Builds all of the crates at once: built one by one, their dependencies would be compiled again for each.
fn build_on(version: &str, packages: &[&Package], target: &Path) -> Result<()> {
    let names: Vec<String> = packages.iter().map(|package| format!("--package {}", package.name)).collect();
    let features = packages
        .iter()
        .flat_map(|package| package.features_of_its_oldest_rust().map(|feature| format!("{}/{feature}", package.name)));
    let features: Vec<String> = features.collect();
    let args = format!("check {} --lib --no-default-features --features={}", names.join(" "), features.join(","));
    // A separate directory keeps two compilers from overwriting each other's output.
    cargo_of(version, &args)?.env("CARGO_TARGET_DIR", target.join("msrv")).run()
}

/// Calls cargo with the compiler of this version: rustup's if it has one, else the one that `scripts/setup` unpacked.
fn cargo_of(version: &str, args: &str) -> Result<Call> {
    // A missing rustup is not an error.
    let toolchains = tool("rustup", "toolchain list").read().unwrap_or_default();
    if let Some(toolchain) = toolchain_of(version, &toolchains) {
        return Ok(tool("rustup", &format!("run {toolchain} cargo {args}")));
    }
    let unpacked = in_workspace(&format!(".tools/rust-{version}/rustc"));
    if unpacked.exists() {
        return Ok(cargo(args).env("RUSTC", unpacked));
    }
    bail!("no Rust {version} here: `scripts/setup` installs it, as does `rustup toolchain install {version}`")
}

/// Returns the first of rustup's toolchains of this version: `1.85-<host>` and `1.85.1-<host>` are 1.85.
fn toolchain_of<'a>(version: &str, toolchains: &'a str) -> Option<&'a str> {
    let names = toolchains.lines().filter_map(|line| line.split_whitespace().next());
    names.into_iter().find(|name| name.strip_prefix(version).is_some_and(|rest| rest.starts_with(['-', '.'])))
}

#[cfg(test)]
mod tests {
    use super::toolchain_of;

    #[test]
    fn patch_release_belongs_to_its_version() {
        let toolchains = "stable-x86_64-unknown-linux-gnu (active, default)\n1.85.1-x86_64-unknown-linux-gnu\n";
        assert_eq!(toolchain_of("1.85", toolchains), Some("1.85.1-x86_64-unknown-linux-gnu"));
        assert_eq!(toolchain_of("1.8", toolchains), None);
    }
}
