//! The address that a request comes from.

use std::net::IpAddr;

use axum::http::request::Parts;
use traffik_core::client::{Client, Key};

use super::{
    RequestContext,
    rejection::{Misconfigured, ThrottleRejection},
};
use crate::{
    engine::Traffik,
    request::{ClientIp, peer_ip},
};

/// The IP address that a request comes from; an IPv4 address that came mapped into IPv6 is told as IPv4.
///
/// It is that of the peer, as the server itself saw it, which is there when the app is served with
/// `into_make_service_with_connect_info::<SocketAddr>()`. In an app that says by
/// [`TraffikBuilder::client_ip`](crate::TraffikBuilder::client_ip) which proxies it is behind, it is the client's that they
/// forward for. That is known within [`Traffik::layer`]; further out ask [`ClientIp::of`](crate::ClientIp::of).
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
    match RequestContext::handle(&parts.extensions).and_then(|traffik| traffik.requests().client_ip.as_ref()) {
        Some(client_ip) => client_ip.of(parts),
        None => peer_ip(parts),
    }
}

/// The client at the address that a request comes from, behind `proxies` if there are any, or the one that all share whose
/// address is not known.
pub(super) fn client_at(
    parts: &Parts,
    proxies: Option<&ClientIp>,
    traffik: &Traffik,
) -> Result<Client, ThrottleRejection> {
    let (peer, web) = (peer_ip(parts), traffik.requests());
    if web.watch.is_due() {
        web.watch.look(parts, peer, proxies, traffik.warnings());
    }
    let address = match proxies {
        None => peer,
        Some(client_ip) => client_ip.resolve(peer, &parts.headers),
    };
    match address {
        Some(address) => Ok(address.into()),
        None if web.share_anonymous => Ok(Key::anonymous().into()),
        None => Err(Misconfigured::no_address(proxies.and_then(ClientIp::header_without_peer), traffik).into()),
    }
}
