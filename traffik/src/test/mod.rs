//! For tests: a manual clock, and requests with a peer address.
//!
//! A test need not sleep until a window has passed: give the backend a [`ManualClock`] and advance it.
//!
//! ```
//! use std::time::Duration;
//! use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, Traffik, test::ManualClock};
//!
//! struct Login;
//!
//! impl Throttle for Login {
//!     const UID: &'static str = "auth:login";
//!     const RATE: Rate = Rate::literal("1/min");
//!     type Identity = DefaultIdentity;
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = ManualClock::new();
//! let traffik = Traffik::new(MemoryBackend::with_clock("test", clock.clone()))?;
//!
//! let _ = traffik.limiter::<Login>("alice").check().await?;
//! assert!(traffik.limiter::<Login>("alice").check().await.is_err());
//!
//! clock.advance(Duration::from_secs(60));
//! let _ = traffik.limiter::<Login>("alice").check().await?;
//! # Ok(())
//! # }
//! ```
//!
//! If limits disturb a test, [`Traffik::disabled`](crate::Traffik::disabled) admits everything.

mod request;

pub use traffik_core::clock::ManualClock;

pub use self::request::RequestExt;
