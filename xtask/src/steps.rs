//! The table of steps, and the steps that are one or two commands.

use anyhow::Result;

use crate::{
    api,
    command::{cargo, tool},
    features, instructions, layers, long, msrv, size,
};

/// A check with a name.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) purpose: &'static str,
    pub(crate) when: When,
    pub(crate) run: fn() -> Result<()>,
}

/// The command that runs a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// `ci`. The budget is the number of seconds that the step may take on two cores if nothing is built.
    Ci { budget: u64 },
    /// `long`: what takes too much time for `ci`.
    Long,
    /// None. The step needs the network or changes files.
    ByHand,
}

const fn ci(name: &'static str, budget: u64, purpose: &'static str, run: fn() -> Result<()>) -> Step {
    Step { name, purpose, when: When::Ci { budget }, run }
}

const fn long(name: &'static str, purpose: &'static str, run: fn() -> Result<()>) -> Step {
    Step { name, purpose, when: When::Long, run }
}

const fn by_hand(name: &'static str, purpose: &'static str, run: fn() -> Result<()>) -> Step {
    Step { name, purpose, when: When::ByHand, run }
}

/// All steps in the order of `ci`: the fast ones first.
pub(crate) const ALL: &[Step] = &[
    ci("fmt", 10, "checks the formatting", fmt),
    ci("spelling", 10, "checks the spelling", spelling),
    ci("unused", 10, "finds unused dependencies", unused),
    ci("layers", 10, "checks that crates and modules use each other in one direction", layers::check),
    ci("deny", 30, "checks licences, banned crates and sources against deny.toml", deny),
    ci("clippy", 180, "runs clippy, also on tests and examples", clippy),
    ci("test", 540, "runs unit, integration and documentation tests", test),
    ci("doc", 120, "builds the documentation without warnings", doc),
    ci("api", 60, "compares the public API with docs/api", api::check),
    ci("features", 140, "builds published crates with combinations of features", features::check),
    ci("msrv", 90, "builds published crates on the oldest Rust that they support", msrv::check),
    ci("instructions", 100, "prints the instructions of the hot paths and how they changed", instructions::report),
    long("random", "runs random tests a hundred times as often, and 10 million addresses", long::random_tests),
    long("fuzz", "runs each fuzz target for 30 seconds", long::fuzz),
    long("decisions", "measures decisions next to governor", long::decisions),
    long("requests", "measures requests next to tower_governor", long::requests),
    long("faults", "measures what callers notice while Redis fails", long::redis_faults),
    by_hand("accept", "writes the public API to docs/api, for `api` to compare with", api::accept),
    by_hand("bless", "records instructions of the hot paths, for `instructions` to compare with", instructions::bless),
    by_hand("size", "prints the lines of code of each crate and module", size::report),
    by_hand("advisories", "finds dependencies with known vulnerabilities (needs the network)", advisories),
];

/// Prints one line per step.
pub(crate) fn list() {
    println!("cargo xtask ci [--keep-going]     runs the steps with a budget");
    println!("cargo xtask long [--keep-going]   runs the steps marked `long`");
    println!("cargo xtask <step>...             runs these steps\n");
    for step in ALL {
        let when = match step.when {
            When::Ci { budget } => format!("{budget} s"),
            When::Long => "long".to_owned(),
            When::ByHand => String::new(),
        };
        println!("  {:<12} {when:>5}  {}", step.name, step.purpose);
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
    // Without the variable, tests that need Redis are skipped where it is missing.
    cargo("test --workspace --all-features").env("TRAFFIK_REQUIRE_REDIS", "1").run()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_and_setup_take_at_most_twenty_five_minutes() {
        // `scripts/setup` compiles one tool and installs the others.
        const SETUP: u64 = 120;
        let budgets = ALL.iter().map(|step| if let When::Ci { budget } = step.when { budget } else { 0 });
        assert!(budgets.sum::<u64>() + SETUP <= 25 * 60);
    }
}
