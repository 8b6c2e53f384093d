use std::net::SocketAddr;

use axum::{extract::ConnectInfo, http::Request};

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
