//! The shared parts of the benchmark programs: clients, contenders and limits that are the same for traffik and its
//! peers, and rounds that run them alternately.
//!
//! `docs/benchmarks.md` describes what each program measures, and how to run it.

pub mod apps;
pub mod clients;
pub mod contenders;
pub mod effort;
pub mod limits;
pub mod rounds;
