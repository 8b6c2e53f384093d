//! Tests the contract of [`Backend`] on any backend of
//! [traffik](https://docs.rs/traffik), the rate limiter for axum.
//!
//! A [`Suite`] makes backends and calls them like an app does, and with more unusual input. It compares every answer with a
//! slow and simple store in memory, which leaves each decision to [`AnyStrategy::decide`]. A manual clock sets the time.
//!
//! ```
//! use traffik::backend::MemoryBackend;
//! use traffik_conformance::Suite;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In a test: `#[tokio::test(flavor = "multi_thread")]`.
//! let suite = Suite::new(async |namespace, clock| Ok::<_, std::io::Error>(MemoryBackend::with_clock(namespace, clock)));
//! suite.check().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it checks
//!
//! - A refusal changes nothing. Neither does a cost of 0, a cost above the capacity, or an unlimited rate.
//! - Several hits are charged together or not at all, whichever of them does not fit. Hits on one entry add up. Outcomes have
//!   the order of the hits, and one time.
//! - Every strategy gives the same numbers as in Rust: at the edges of windows, at the bounds of rates, when rates change, and
//!   when the clock goes back.
//! - `retry_after` is exact: the same cost is admitted then, and refused a microsecond earlier.
//! - A settlement or refund does what the strategy says, at any time, in any order, and more than once. One that fails changes
//!   nothing, and does not stop the others of its call. A reset is about one limit of one client, and [`clear`](Backend::clear) about one namespace.
//! - Hits that take what fits get the highest amount that all of them can have. Hits that are not enforced refuse nothing.
//! - [Settings](Backend::control) are read by their version, replaced only if they are as expected, and survive a clear.
//! - A [renewal](Backend::renew) is one step. Several renewals are independent, and no other client can take a place that is
//!   renewed.
//! - Clients and limits with similar names are counted separately, whatever characters the names have.
//! - Concurrent calls admit exactly as much as consecutive calls.
//! - After [`close`](Backend::close) every call returns [`BackendError::Closed`]. A second `close` has no effect.
//!
//! It does not check that a store deletes expired entries, or what happens when the store loses data.
//!
//! # Requirements
//!
//! The backend uses the clock that it is given. If the clock of a server decides, a test build must let the caller set the
//! time; do not let this reach production. Some clients are secret: configure what the backend needs for them. A run makes
//! about ten thousand calls.

mod bench;
mod cases;
mod cool_down;
mod display;
mod failure;
mod observed;
mod random;
mod reference;
#[allow(unreachable_pub, reason = "the crate `tests` includes the file and exports its functions")]
mod strategies;
mod suite;

pub use self::{
    cases::Case,
    failure::{Failure, Failures},
    suite::Suite,
};
#[cfg(doc)]
use traffik_core::strategy::AnyStrategy;

#[cfg(doc)]
use traffik_core::backend::{Backend, BackendError};
