use std::{fmt, net::IpAddr, sync::Arc};

use axum::http::{HeaderName, request::Parts};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{ForwardedHeader, network, network::ProxyError, peer::peer_ip};
use crate::warning::{Warning, WarningLog};

/// Finds a client's address behind proxies: which of them are believed, and by which header they tell it.
///
/// ```
/// use traffik::{ClientIp, ForwardedHeader, MemoryBackend, Traffik};
///
/// let client_ip = ClientIp::behind(["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"])?.header(ForwardedHeader::Forwarded);
/// let traffik = Traffik::builder(MemoryBackend::new("myapp")).client_ip(client_ip).build()?;
/// # Ok::<(), traffik::ConfigError>(())
/// ```
///
/// # Who is believed
///
/// The peer, whose address the server itself knows, has to be one of the proxies. If it is not, it is the client, whatever
/// its headers say. If it is, the header is read from its end, where each proxy has added whom it saw: past those that are
/// proxies themselves, to the first that is none, who is the client. If all are proxies it is the furthest.
///
/// What stands before that is the client's own word, and is not read. Whatever cannot be read as an address (`unknown`,
/// `_hidden`, nothing, garbage) ends the way, and the client is who told it: a proxy, so that its clients share a limit,
/// and never somebody of the client's choice. So does what is longer than an address can be, and so do more than 32
/// entries: a header of a megabyte costs no more than a short one.
///
/// One header is read. The others are ignored, since a proxy passes on those that it does not know.
///
/// # What the proxies have to do
///
/// With `Forwarded` and `X-Forwarded-For` each adds an entry; with the others the one at the edge replaces what the client
/// sent. A proxy that passes on what it was sent lets clients choose.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ClientIp {
    networks: Arc<[IpNet]>,
    /// Whether a peer without an address is believed.
    without_address: bool,
    /// The maximum number of proxies that are believed.
    max_hops: u8,
    pub(super) header: ForwardedHeader,
}

impl ClientIp {
    /// The addresses that the Internet does not route: of the machine itself, of private networks and of links. Where proxies
    /// reach the app through such a network, and clients do not, they are those of proxies.
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

    /// Believes the proxies at these addresses and in these networks: texts, or anything that is displayed as one.
    ///
    /// # Errors
    ///
    /// Returns an error if one is neither.
    pub fn behind(proxies: impl IntoIterator<Item: fmt::Display>) -> Result<Self, ProxyError> {
        let networks: Result<_, _> = proxies.into_iter().map(|proxy| network::parse(&proxy.to_string())).collect();
        networks.map(Self::new)
    }

    /// Believes `hops` proxies, the peer being the first, wherever they are: for proxies whose addresses change.
    ///
    /// It is safe only if no client can reach the app past them. A client that can is believed in their place, and chooses its
    /// address. If a request passes more proxies, the next is taken for the client.
    pub fn behind_hops(hops: u8) -> Self {
        Self::new([Ipv4Net::default().into(), Ipv6Net::default().into()].into()).max_hops(hops)
    }

    /// Believes a peer that has no address: a proxy on the same machine that connects by a Unix socket.
    ///
    /// An app that is served over TCP without `into_make_service_with_connect_info` knows no addresses, and would believe every
    /// peer. Peers that have an address are not believed.
    pub fn behind_unix_socket() -> Self {
        Self { without_address: true, ..Self::new([].into()) }
    }

    fn new(networks: Arc<[IpNet]>) -> Self {
        Self { networks, without_address: false, max_hops: u8::MAX, header: ForwardedHeader::default() }
    }

    /// Reads this header rather than `X-Forwarded-For`.
    pub fn header(self, header: ForwardedHeader) -> Self {
        Self { header, ..self }
    }

    /// Believes at most `hops` proxies on the way of a request. So a client with an address in a network of proxies, such as
    /// another machine of the same private network, cannot add to their number.
    pub fn max_hops(self, hops: u8) -> Self {
        Self { max_hops: hops, ..self }
    }

    /// The address that a request comes from: for identities, handlers and logs of your own.
    ///
    /// ```
    /// use axum::http::Request;
    /// use traffik::{ClientIp, test::RequestExt};
    ///
    /// let request = Request::get("/").header("x-forwarded-for", "198.51.100.1, 203.0.113.7").body(()).unwrap();
    /// let (parts, ()) = request.with_peer("10.0.0.1:50000").into_parts();
    ///
    /// let client_ip = ClientIp::behind(["10.0.0.0/8"]).unwrap();
    /// assert_eq!(client_ip.of(&parts), Some([203, 0, 113, 7].into())); // not what the client wrote before
    /// ```
    ///
    /// Nothing, if the server knows no address of the peer, and nobody else is believed.
    #[must_use]
    pub fn of(&self, parts: &Parts) -> Option<IpAddr> {
        self.resolve(peer_ip(parts), &parts.headers)
    }

    /// Checks whether `address`, which `before` proxies stand before, is believed as another proxy.
    pub(super) fn is_proxy(&self, before: usize, address: Option<IpAddr>) -> bool {
        let is_known = |address| self.networks.iter().any(|network| network.contains(&address));
        before < usize::from(self.max_hops) && address.map_or(self.without_address, is_known)
    }

    /// Returns the header that names the client of a peer without an address, if such a peer is believed.
    pub(crate) fn header_without_peer(&self) -> Option<&HeaderName> {
        self.is_proxy(0, None).then(|| self.header.name())
    }

    /// Checks whether it believes every peer.
    pub(crate) fn trusts_everyone(&self) -> bool {
        self.max_hops == u8::MAX && self.networks.iter().any(|network| network.prefix_len() == 0)
    }
}

/// Warns of a `ClientIp` that trusts every address.
pub(crate) fn warn_of_trust(client_ip: &ClientIp, uid: Option<&'static str>, warnings: &WarningLog) {
    let warning = Warning::TrustsEveryone;
    if client_ip.trusts_everyone() && warnings.is_first(warning, uid) {
        tracing::warn!(
            warning = warning.name(),
            docs = warning.docs(),
            uid,
            "a `ClientIp` trusts every address, so that whoever writes the header is whoever he likes: name the networks of \
             your proxies, or say with `.max_hops(..)` how many there are"
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
