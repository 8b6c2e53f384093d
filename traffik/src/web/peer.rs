//! The address that a request comes from.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::connect_info::{ConnectInfo, MockConnectInfo},
    http::request::Parts,
};

use super::rejection::{Misconfigured, ThrottleRejection};
use crate::client::{Client, Key};

/// The IP address of the peer that sent a request, as the server itself saw it; an IPv4 address that came mapped into
/// IPv6 is told as IPv4.
///
/// It is there when the app is served with `into_make_service_with_connect_info::<SocketAddr>()`. No header is read:
/// behind a proxy it is the proxy's.
///
/// As a client it counts by its network, like every address: see `TraffikBuilder::ipv6_prefix`.
///
/// ```
/// use axum::http::Request;
/// use traffik::{client_ip, test::RequestExt};
///
/// let (parts, ()) = Request::new(()).with_peer("[::ffff:203.0.113.7]:50000").into_parts();
/// assert_eq!(client_ip(&parts), Some("203.0.113.7".parse().unwrap()));
/// ```
#[must_use]
pub fn client_ip(parts: &Parts) -> Option<IpAddr> {
    let served = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address);
    let mocked = || parts.extensions.get::<MockConnectInfo<SocketAddr>>().map(|MockConnectInfo(address)| address);
    served.or_else(mocked).map(|address| address.ip().to_canonical())
}

/// The client at the address that a request comes from, or the one that all share whose address is not known.
pub(super) fn peer(parts: &Parts, share_anonymous: bool) -> Result<Client, ThrottleRejection> {
    match client_ip(parts) {
        Some(address) => Ok(address.into()),
        None if share_anonymous => Ok(Key::anonymous().into()),
        None => Err(Misconfigured::no_peer().into()),
    }
}
