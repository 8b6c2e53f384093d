use std::net::SocketAddr;

use axum::{extract::ConnectInfo, http::Request};

/// What a test needs of a request.
pub trait RequestExt: Sized {
    /// The same request as if it came from `peer`, an address with a port, such as `203.0.113.7:50000`.
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
    /// When `peer` is no such address. It is for tests.
    #[must_use]
    fn with_peer(self, peer: &str) -> Self;
}

impl<B> RequestExt for Request<B> {
    #[expect(clippy::panic, reason = "a test that names no address is wrong")]
    fn with_peer(mut self, peer: &str) -> Self {
        match peer.parse::<SocketAddr>() {
            Ok(address) => self.extensions_mut().insert(ConnectInfo(address)),
            Err(_) => panic!("{peer:?} is no address with a port, such as \"203.0.113.7:50000\""),
        };
        self
    }
}
