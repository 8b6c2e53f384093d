//! The core of [traffik](https://docs.rs/traffik), the rate limiter for axum: what authors of backends and strategies build
//! on.
//!
//! Applications depend on `traffik`, which re-exports all modules of this crate.
//!
//! | module | contents |
//! |---|---|
//! | [`rate`] | how many per period, and how a rate is written |
//! | [`clock`] | time, and clocks that tests drive by hand |
//! | [`client`] | the client that a limit counts |
//! | [`strategy`] | the algorithms: pure functions in integer time |
//! | [`decision`] | what a backend is asked, and what it decides |
//! | [`backend`] | the trait that a store implements |
//!
//! Each module uses only those above it. Nothing here knows of HTTP.

pub mod backend;
pub mod client;
pub mod clock;
pub mod decision;
mod out_of_range;
pub mod rate;
pub mod strategy;

pub use self::{
    client::{Client, EXEMPTED},
    out_of_range::OutOfRange,
    rate::{Rate, RateError},
};
