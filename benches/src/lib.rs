//! What the benchmark programs have in common: clients, contenders and limits that are the same for traffik and its
//! peers, and rounds that run them right after each other.
//!
//! `docs/benchmarks.md` says what each program measures, and how to run it.

pub mod apps;
pub mod clients;
pub mod contenders;
pub mod effort;
pub mod limits;
pub mod rounds;
