//! The public API of the published crates, a text file for each in `docs/api`.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, ensure};
use public_api::Builder;
use serde::Deserialize;

use crate::{
    command::{cargo, in_workspace},
    workspace::{Package, Workspace},
};

/// The version of rustdoc's JSON that the crate `public-api` reads, and the compilers that write it.
const FORMAT: u32 = 57;
const COMPILERS: &str = "Rust 1.95";

/// The part of the JSON that has the same form in every version.
#[derive(Deserialize)]
struct Header {
    format_version: u32,
}

/// Compares the API with the files.
pub(crate) fn check() -> Result<()> {
    let mut changed = Vec::new();
    for (package, api) in read_all()? {
        let path = path(&package);
        // The file of a new crate is absent.
        let accepted = fs::read_to_string(in_workspace(&path)).unwrap_or_default();
        if accepted != api {
            println!("{path}:\n{}", changes(&accepted, &api).join("\n"));
            changed.push(package.name);
        }
    }
    ensure!(changed.is_empty(), "the API of {} has changed: `cargo xtask accept` accepts this", changed.join(", "));
    Ok(())
}

/// Writes the API to the files.
pub(crate) fn accept() -> Result<()> {
    for (package, api) in read_all()? {
        let path = path(&package);
        fs::write(in_workspace(&path), api).with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}

fn path(package: &Package) -> String {
    format!("docs/api/{}.txt", package.name)
}

/// Documents the workspace as the step `doc` does, which has built the dependencies then.
fn read_all() -> Result<Vec<(Package, String)>> {
    cargo("doc --quiet --workspace --no-deps --all-features")
        .env("RUSTDOC", in_workspace("scripts/rustdoc-json"))
        .run()?;
    let Workspace { packages, target_directory } = Workspace::read()?;
    let published = packages.into_iter().filter(Package::is_published);
    let read = |package: Package| {
        let json = target_directory.join(format!("doc/{}.json", package.name.replace('-', "_")));
        let api = read(&json).with_context(|| format!("cannot read {}", json.display()))?;
        Ok((package, api))
    };
    published.map(read).collect()
}

/// An item a line. Impls that follow from other lines are left out.
fn read(json: &Path) -> Result<String> {
    let Header { format_version } = serde_json::from_str(&fs::read_to_string(json)?)?;
    ensure!(
        format_version == FORMAT,
        "the rustdoc of this toolchain writes format {format_version}, and the release of `public-api` in \
         xtask/Cargo.toml reads {FORMAT}: use {COMPILERS}, or another release of `public-api`"
    );
    let builder = Builder::from_rustdoc_json(json).omit_blanket_impls(true).omit_auto_trait_impls(true);
    Ok(builder.omit_auto_derived_impls(true).build()?.to_string())
}

/// The lines that only one of the texts has.
fn changes(before: &str, after: &str) -> Vec<String> {
    let [before, after] = [before, after].map(|text| text.lines().collect::<BTreeSet<_>>());
    let removed = before.difference(&after).map(|line| format!("- {line}"));
    removed.chain(after.difference(&before).map(|line| format!("+ {line}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::changes;

    #[test]
    fn changed_line_is_printed_as_removed_and_added() {
        assert_eq!(changes("a\nb\nc\n", "a\nB\nc\n"), ["- b", "+ B"]);
    }
}
