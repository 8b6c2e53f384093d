//! Tests the contract of [`Backend`] on any backend of
//! [traffik](https://docs.rs/traffik), the rate limiter for axum.
//!
//! A [`Suite`] is given a way to make backends, and asks them whatever a traffik app may ask, and worse. What they answer is
//! compared, digit by digit, with a slow and simple store in memory that leaves every decision to
//! [`AnyStrategy::decide`], at times that a test's clock sets.
//!
//! ```
//! use traffik::backend::MemoryBackend;
//! use traffik_conformance::Suite;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In a test: `#[tokio::test(flavor = "multi_thread")]`.
//! let suite = Suite::new(async |namespace, clock| Ok::<_, std::io::Error>(MemoryBackend::new(namespace).clock(clock)));
//! suite.check().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it checks
//!
//! - A refusal changes nothing, and neither does a cost of 0, a cost that can never fit, or an unlimited rate.
//! - Several hits are charged together or not at all, wherever the one stands that does not fit, and add up where they are
//!   about one entry. Outcomes are in the order of hits, and of one time.
//! - Every strategy gives the decisions and the numbers that it gives in Rust: at the edges of windows, at the bounds of rates,
//!   when rates change, and when the clock goes back.
//! - `retry_after` is the truth: the same cost is admitted then, and a microsecond earlier it is not.
//! - A refund gives back what the strategy says, at any time, in any order and more than once; a reset is about one limit of
//!   one client, and [`clear`](Backend::clear) about one namespace.
//! - A [renewal](Backend::renew) is one step, each of several by itself, and loses its place to nobody.
//! - Clients and limits whose names look alike count apart, whatever is in their names.
//! - Under concurrency exactly as much is admitted as one after the other.
//! - After [`close`](Backend::close) every call fails with [`BackendError::Closed`], and a second `close` does no harm.
//!
//! What it cannot see is what a store keeps for too long, and what it does when it is lost.
//!
//! # What the backend needs for it
//!
//! It goes by a clock that is given to it. Where the server's clock decides, a test build has to let the caller say the time;
//! never let that reach production. Clients may be secret: where that takes a setting, it is set. A run is some ten
//! thousand calls.

mod bench;
mod cases;
mod cool_down;
mod failure;
mod random;
mod reference;
mod suite;
mod told;
mod words;

pub use self::{
    failure::{Failure, Failures},
    suite::{Case, Suite},
};
#[cfg(doc)]
use traffik_core::strategy::AnyStrategy;

#[cfg(doc)]
use traffik_core::backend::{Backend, BackendError};
