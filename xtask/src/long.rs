//! The steps of `cargo xtask long`. docs/benchmarks.md has their last figures.

use std::fs;

use anyhow::{Context, Result};

use crate::command::{cargo, in_workspace, tool};

/// The time of each fuzz target in seconds.
const FUZZ_TIME: u32 = 30;

pub(crate) fn random_tests() -> Result<()> {
    let tests = "test --release --package tests --test it --test redis --test allocations";
    cargo(tests).env("TRAFFIK_LONG", "1").env("TRAFFIK_REQUIRE_REDIS", "1").run()
}

/// Runs each target on its seeds and what it found earlier. No sanitizer: this workspace has no unsafe code.
pub(crate) fn fuzz() -> Result<()> {
    for target in targets()? {
        let corpus = format!("fuzz/corpus/{target}");
        fs::create_dir_all(in_workspace(&corpus)).with_context(|| format!("cannot create {corpus}"))?;
        let seeds = format!("fuzz/seeds/{target}");
        let seeds = if in_workspace(&seeds).exists() { seeds } else { String::new() };
        let run = format!("+nightly fuzz run --sanitizer none {target} {corpus} {seeds} --");
        // `CARGO` is the cargo of the toolchain that runs this program. rustup's chooses another toolchain.
        tool("cargo", &format!("{run} -fork=0 -workers=1 -timeout=10 -max_total_time={FUZZ_TIME}")).run()?;
    }
    Ok(())
}

/// Returns the names of the fuzz targets, in order.
fn targets() -> Result<Vec<String>> {
    let files = fs::read_dir(in_workspace("fuzz/targets")).context("cannot read fuzz/targets")?;
    let name = |file: fs::DirEntry| file.path().file_stem().map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<_> = files.collect::<Result<Vec<_>, _>>()?.into_iter().filter_map(name).collect();
    names.sort();
    Ok(names)
}

pub(crate) fn decisions() -> Result<()> {
    bench("decisions")
}

pub(crate) fn requests() -> Result<()> {
    bench("requests")
}

pub(crate) fn redis_faults() -> Result<()> {
    bench("redis_faults")
}

fn bench(name: &str) -> Result<()> {
    cargo(&format!("bench --package benches --bench {name}")).run()
}
