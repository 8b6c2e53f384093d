//! The address that a request comes from.

use std::net::IpAddr;

use axum::http::request::Parts;
use traffik_core::client::{Client, Key};

use super::{
    RequestContext,
    rejection::{Denied, Misconfigured, ThrottleRejection},
};
use crate::{
    engine::Traffik,
    limit::Definition,
    request::{ClientIp, peer_ip},
};

/// Returns the IP address that a request comes from. An IPv4 address that is mapped into IPv6 is returned as IPv4.
///
/// It is the address of the peer, which is known if the app is served with
/// `into_make_service_with_connect_info::<SocketAddr>()`. Behind proxies that
/// [`TraffikBuilder::client_ip`](crate::TraffikBuilder::client_ip) trusts, it is the address of the client, which is
/// known within [`Traffik::layer`]. Outside of the layer use [`ClientIp::of`](crate::ClientIp::of).
///
/// Clients are identified by the network of the address: see `TraffikBuilder::ipv6_prefix`.
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

impl Traffik {
    /// # Errors
    ///
    /// Returns the rejection of a request from a denied network.
    #[inline]
    pub(super) fn check_network(&self, definition: &Definition, parts: &Parts) -> Result<(), ThrottleRejection> {
        let denied = &definition.settings.request.denied;
        if denied.is_empty() || !denied.has_client(parts, &self.address_by(definition)) {
            return Ok(());
        }
        Err(Denied::new().into())
    }
}

/// Returns the client at the address that a request comes from, behind `proxies` if there are any. Requests without an
/// address may share one client.
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
