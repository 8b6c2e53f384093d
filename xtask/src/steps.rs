//! The table of steps, and the steps that are one or two commands.

use anyhow::Result;

use crate::{
    api,
    command::{cargo, tool},
    features, instructions, layers, msrv, size,
};

/// A check with a name.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) purpose: &'static str,
    /// Whether `ci` runs it. Steps that need the network or change files run by hand.
    pub(crate) in_ci: bool,
    pub(crate) run: fn() -> Result<()>,
}

impl Step {
    const fn new(name: &'static str, purpose: &'static str, run: fn() -> Result<()>) -> Self {
        Self { name, purpose, in_ci: true, run }
    }

    const fn by_hand(self) -> Self {
        Self { in_ci: false, ..self }
    }
}

/// All steps in the order of `ci`: the fast ones first.
pub(crate) const ALL: &[Step] = &[
    Step::new("fmt", "checks the formatting", fmt),
    Step::new("spelling", "checks the spelling", spelling),
    Step::new("unused", "finds unused dependencies", unused),
    Step::new("layers", "checks that crates and modules use each other in one direction", layers::check),
    Step::new("deny", "checks licences, banned crates and sources against deny.toml", deny),
    Step::new("clippy", "runs clippy, also on tests and examples", clippy),
    Step::new("test", "runs unit, integration and documentation tests", test),
    Step::new("loom", "checks the sequence lock with every order of threads", loom),
    Step::new("doc", "builds the documentation without warnings", doc),
    Step::new("api", "compares the public API with docs/api", api::check),
    Step::new("accept", "writes the public API to docs/api, for `api` to compare with", api::accept).by_hand(),
    Step::new("features", "builds published crates with every combination of features", features::check),
    Step::new("msrv", "builds published crates on the oldest Rust that they support", msrv::check),
    Step::new("instructions", "prints the instructions of the hot paths and how they changed", instructions::report),
    Step::new(
        "bless",
        "records the instructions of the hot paths, for `instructions` to compare with",
        instructions::bless,
    )
    .by_hand(),
    Step::new("size", "prints the lines of code of each crate and module", size::report).by_hand(),
    Step::new("advisories", "finds dependencies with known vulnerabilities (needs the network)", advisories).by_hand(),
];

/// Prints one line per step.
pub(crate) fn list() {
    println!("cargo xtask ci [--keep-going]   runs every step except those marked *");
    println!("cargo xtask <step>...           runs these steps\n");
    for step in ALL {
        let mark = if step.in_ci { ' ' } else { '*' };
        println!("  {:<12} {mark} {}", step.name, step.purpose);
    }
}

fn fmt() -> Result<()> {
    cargo("fmt --all --check").run()
}

fn spelling() -> Result<()> {
    tool("typos", "").run()
}

fn unused() -> Result<()> {
    tool("cargo-machete", "").run()
}

fn deny() -> Result<()> {
    // cargo-deny reads every crate of the lock file, including other platforms'. After a fetch it needs no network.
    cargo("fetch --locked").run()?;
    tool("cargo-deny", "--offline check --hide-inclusion-graph licenses bans sources").run()
}

fn clippy() -> Result<()> {
    cargo("clippy --workspace --all-targets --all-features -- -D warnings").run()
}

/// Uses `cargo test` instead of nextest, which does not run doctests: the guide and the examples in the documentation.
fn test() -> Result<()> {
    tool("redis-server", "--version").run()?;
    cargo("test --workspace --all-features").run()
}

/// Runs tests under the model checker, which tries every order of threads. It builds all crates differently, so it has a
/// separate folder.
fn loom() -> Result<()> {
    cargo("test --target-dir target/loom --package traffik --no-default-features --lib -- seqlock")
        .env("RUSTFLAGS", "--cfg traffik_loom")
        .run()
}

/// Builds twice, because each build hides warnings of the other: a link from a public item to a private one is an error only
/// in the first.
fn doc() -> Result<()> {
    for private in ["", "--document-private-items"] {
        cargo(&format!("doc --workspace --no-deps --all-features {private}"))
            .env("RUSTDOCFLAGS", "-D warnings")
            .run()?;
    }
    Ok(())
}

fn advisories() -> Result<()> {
    tool("cargo-deny", "check advisories").run()
}
