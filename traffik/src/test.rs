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

use std::net::SocketAddr;

use axum::{extract::ConnectInfo, http::Request};

pub use traffik_core::clock::ManualClock;

/// Adds methods to requests for tests.
pub trait RequestExt: Sized {
    /// Sets the address of the peer: an address with a port, such as `203.0.113.7:50000`.
    ///
    /// ```
    /// use axum::http::Request;
    /// use traffik::{client_ip, test::RequestExt};
    ///
    /// let (parts, ()) = Request::new(()).with_peer("203.0.113.7:50000").into_parts();
    /// assert_eq!(client_ip(&parts), Some("203.0.113.7".parse().unwrap()));
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if `peer` is not such an address. Use it only in tests.
    #[must_use]
    fn with_peer(self, peer: &str) -> Self;
}

impl<B> RequestExt for Request<B> {
    #[expect(clippy::panic, reason = "a test that names no address is wrong")]
    fn with_peer(mut self, peer: &str) -> Self {
        match peer.parse::<SocketAddr>() {
            Ok(address) => self.extensions_mut().insert(ConnectInfo(address)),
            Err(_) => panic!("{peer:?} is not an address with a port, such as \"203.0.113.7:50000\""),
        };
        self
    }
}
