//! The steps as a table, and those that are one command or two.

use anyhow::Result;

use crate::{
    command::{cargo, tool},
    features, instructions, layers, msrv, size,
};

/// One check, known by its name.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) purpose: &'static str,
    /// Whether `ci` runs it. A step that needs the network is run by hand, and so is one that changes files.
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

/// Every step, in the order that `ci` runs them: those that take a moment first.
pub(crate) const ALL: &[Step] = &[
    Step::new("fmt", "the code is formatted", fmt),
    Step::new("spelling", "the words are spelt right", spelling),
    Step::new("unused", "no crate has a dependency that it does not use", unused),
    Step::new("layers", "crates and modules use each other in one direction", layers::check),
    Step::new("deny", "licences, banned crates and sources are as deny.toml says", deny),
    Step::new("clippy", "no lint complains, in tests and examples too", clippy),
    Step::new("test", "unit, integration and documentation tests pass", test),
    Step::new("loom", "threads that meet in any order keep what is stored right", loom),
    Step::new("doc", "the documentation builds without a warning", doc),
    Step::new("features", "published crates build with every combination of features", features::check),
    Step::new("msrv", "published crates build on the oldest Rust that they promise", msrv::check),
    Step::new("instructions", "prints the instructions of the hot paths and how they changed", instructions::report),
    Step::new("bless", "keeps what the hot paths take now, for `instructions` to compare with", instructions::bless)
        .by_hand(),
    Step::new("size", "prints the lines of code of each crate and module", size::report).by_hand(),
    Step::new("advisories", "no dependency has a known vulnerability (needs the network)", advisories).by_hand(),
];

/// Prints the steps, a line each.
pub(crate) fn list() {
    println!("cargo xtask ci [--keep-going]   runs every step but those marked *");
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
    // cargo-deny reads every crate of the lock file, those of other platforms too: once fetched, no network is needed.
    cargo("fetch --locked").run()?;
    tool("cargo-deny", "--offline check --hide-inclusion-graph licenses bans sources").run()
}

fn clippy() -> Result<()> {
    cargo("clippy --workspace --all-targets --all-features -- -D warnings").run()
}

/// `cargo test` rather than nextest: the guide and the examples in the documentation are doctests, which nextest
/// does not run, and one runner is simpler than two.
fn test() -> Result<()> {
    tool("redis-server", "--version").run()?;
    cargo("test --workspace --all-features").run()
}

/// The tests under the model checker, which tries every order in which threads can meet. Apart from other builds, since all
/// crates are built for it.
fn loom() -> Result<()> {
    cargo("test --target-dir target/loom --package traffik --no-default-features --lib -- seqlock")
        .env("RUSTFLAGS", "--cfg traffik_loom")
        .run()
}

/// Twice, since each hides warnings of the other: a public item that links to a private one is wrong only in the first.
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
