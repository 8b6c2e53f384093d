use std::{fmt, net::IpAddr, sync::Arc};

use axum::http::{HeaderName, request::Parts};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{ForwardedHeader, network, network::ProxyError, peer::peer_ip};
use crate::warning::{Warning, WarningLog};

/// Finds a client's address behind proxies: which proxies are trusted, and which header they set.
///
/// ```
/// use traffik::{ClientIp, ForwardedHeader, MemoryBackend, Traffik};
///
/// let client_ip = ClientIp::behind(["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"])?.header(ForwardedHeader::Forwarded);
/// let traffik = Traffik::builder(MemoryBackend::new("myapp")).client_ip(client_ip).build()?;
/// # Ok::<(), traffik::ConfigError>(())
/// ```
///
/// # Which addresses are trusted
///
/// The peer is the only address that the server itself knows. If the peer is not a trusted proxy, it is the client,
/// whatever its headers say. If it is a trusted proxy, the header is read from its end, where each proxy added the
/// address of its own peer. Trusted proxies are skipped; the first other address is the client. If all are trusted
/// proxies, the client is the one furthest away.
///
/// Entries before that are written by the client, and are not read. An entry that is not an address (`unknown`,
/// `_hidden`, an empty one, garbage, or a text that is too long) ends the search. The client is then the proxy that
/// sent the entry, so that its clients share a limit; it is never an address of the client's choice. The search also
/// ends after 32 entries, so a header of a megabyte costs no more than a short one.
///
/// Only one header is read. Others are ignored, because a proxy passes on headers that it does not know.
///
/// # Requirements for the proxies
///
/// Each proxy must add an entry to `Forwarded` or `X-Forwarded-For`. For the other headers, the proxy at the edge must
/// replace what the client sent. A proxy that passes on the client's header lets clients choose their address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ClientIp {
    networks: Arc<[IpNet]>,
    /// Whether a peer without an address is trusted.
    without_address: bool,
    /// The maximum number of trusted proxies.
    max_hops: u8,
    pub(super) header: ForwardedHeader,
}

impl ClientIp {
    /// The addresses that the Internet does not route: loopback, private and link-local networks. Trust them if proxies
    /// reach the app through such a network, and clients do not.
    ///
    /// ```
    /// use traffik::ClientIp;
    ///
    /// let client_ip = ClientIp::behind(ClientIp::PRIVATE_NETWORKS)?;
    /// let and_another = ClientIp::behind(ClientIp::PRIVATE_NETWORKS.into_iter().chain(["192.0.2.7"]))?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    pub const PRIVATE_NETWORKS: [&str; 8] = [
        "127.0.0.0/8",
        "::1",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
        "169.254.0.0/16",
        "fe80::/10",
    ];

    /// Trusts the proxies at these addresses and in these networks. Takes texts, or anything that implements `Display`.
    ///
    /// # Errors
    ///
    /// Returns an error if an item is neither an address nor a network.
    pub fn behind(proxies: impl IntoIterator<Item: fmt::Display>) -> Result<Self, ProxyError> {
        let networks: Result<_, _> = proxies.into_iter().map(|proxy| network::parse(&proxy.to_string())).collect();
        networks.map(Self::new)
    }

    /// Trusts `hops` proxies, the peer being the first, at any address. For proxies whose addresses change.
    ///
    /// This is safe only if no client can reach the app directly. A client that can is trusted like a proxy, and
    /// chooses its address. If a request passes through more proxies, the next proxy counts as the client.
    pub fn behind_hops(hops: u8) -> Self {
        Self::new([Ipv4Net::default().into(), Ipv6Net::default().into()].into()).max_hops(hops)
    }

    /// Trusts a peer that has no address: a proxy on the same machine that connects through a Unix socket.
    ///
    /// An app that is served over TCP without `into_make_service_with_connect_info` knows no addresses, and would trust
    /// every peer. Peers that have an address are not trusted.
    pub fn behind_unix_socket() -> Self {
        Self { without_address: true, ..Self::new([].into()) }
    }

    fn new(networks: Arc<[IpNet]>) -> Self {
        Self { networks, without_address: false, max_hops: u8::MAX, header: ForwardedHeader::default() }
    }

    /// Sets the header. Defaults to `X-Forwarded-For`.
    pub fn header(self, header: ForwardedHeader) -> Self {
        Self { header: header.known(), ..self }
    }

    /// Sets the maximum number of trusted proxies of a request. A client with an address in a network of proxies, such
    /// as another machine of the same private network, then cannot add to their number.
    pub fn max_hops(self, hops: u8) -> Self {
        Self { max_hops: hops, ..self }
    }

    /// Returns the address that a request comes from. For identities, handlers and logs of your own.
    ///
    /// ```
    /// use axum::http::Request;
    /// use traffik::{ClientIp, test::RequestExt};
    ///
    /// let request = Request::get("/").header("x-forwarded-for", "198.51.100.1, 203.0.113.7").body(()).unwrap();
    /// let (parts, ()) = request.with_peer("10.0.0.1:50000").into_parts();
    ///
    /// let client_ip = ClientIp::behind(["10.0.0.0/8"]).unwrap();
    /// assert_eq!(client_ip.of(&parts), Some([203, 0, 113, 7].into())); // not the entry that the client wrote
    /// ```
    ///
    /// Returns `None` if the server does not know the address of the peer, and trusts no peer without one.
    #[must_use]
    pub fn of(&self, parts: &Parts) -> Option<IpAddr> {
        self.resolve(peer_ip(parts), &parts.headers)
    }

    /// Checks whether `address` is trusted as another proxy, with `before` proxies between it and the app.
    pub(super) fn is_proxy(&self, before: usize, address: Option<IpAddr>) -> bool {
        let is_known = |address| self.networks.iter().any(|network| network.contains(&address));
        before < usize::from(self.max_hops) && address.map_or(self.without_address, is_known)
    }

    /// Returns the header that identifies the client of a peer without an address, if such a peer is trusted.
    pub(crate) fn header_without_peer(&self) -> Option<&HeaderName> {
        self.is_proxy(0, None).then(|| self.header.name())
    }

    /// Checks whether every peer is trusted.
    pub(crate) fn trusts_everyone(&self) -> bool {
        self.max_hops == u8::MAX && self.networks.iter().any(|network| network.prefix_len() == 0)
    }
}

/// Warns of a `ClientIp` that trusts every address.
pub(crate) fn warn_of_trust(client_ip: &ClientIp, uid: Option<&str>, warnings: &WarningLog) {
    let warning = Warning::TrustsEveryone;
    if client_ip.trusts_everyone() && warnings.is_first(warning, uid) {
        tracing::warn!(
            warning = warning.name(),
            docs = warning.docs(),
            uid,
            "a `ClientIp` trusts every address, so clients can choose their address in the header: trust only the networks of \
             your proxies, or set their number with `.max_hops(..)`"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_every_address_trust_everyone() {
        let everyone = |network: &str| ClientIp::behind([network]).unwrap().trusts_everyone();
        assert!(["0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96", "10.0.0.1/0"].into_iter().all(everyone));
        assert!(!["0.0.0.0/1", "::/1", "0.0.0.0", "::"].into_iter().any(everyone));
        assert!(!ClientIp::behind_hops(2).trusts_everyone());
    }
}
