//! Which proxies are trusted, and the address of a client behind them.

use std::{
    fmt, iter,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::connect_info::{ConnectInfo, MockConnectInfo},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

use super::{address, forwarded};
use crate::warning::{Warning, WarningLog, warn_of};

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
        let networks: Result<_, _> = proxies.into_iter().map(|proxy| parse(&proxy.to_string())).collect();
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
    fn trusts_everyone(&self) -> bool {
        self.max_hops == u8::MAX && self.networks.iter().any(|network| network.prefix_len() == 0)
    }
}

/// Warns of a `ClientIp` that trusts every address.
pub(crate) fn warn_of_trust(client_ip: &ClientIp, uid: Option<&str>, warnings: &WarningLog) {
    let warning = Warning::TrustsEveryone;
    if client_ip.trusts_everyone() && warnings.is_first(warning, uid) {
        warn_of!(
            warning,
            uid,
            "a `ClientIp` trusts every address, so clients can choose their address in the header: trust only the networks of \
             your proxies, or set their number with `.max_hops(..)`"
        );
    }
}

/// The maximum number of entries of a list that are read.
const MOST_HOPS: usize = 32;

/// Why a header does not name the client of a trusted proxy.
#[derive(Debug)]
pub(super) enum Flaw {
    /// There is no such header.
    Missing,
    /// The entry of a proxy is not an address, or a header of one address has several lines.
    Unreadable(HeaderValue),
}

/// The last entry of a line, if it is an address, and the rest of the line, if there is any.
type SplitLast = fn(&[u8]) -> (Option<IpAddr>, Option<&[u8]>);

impl ClientIp {
    /// Returns the address that a request comes from, by its headers and the address of its peer, if the peer has one.
    #[must_use]
    pub fn resolve(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer.map(|peer| peer.to_canonical());
        let (mut proxies, mut hops) = (0, self.hops(headers));
        while self.is_proxy(proxies, client) {
            let Some(Some(address)) = hops.next() else { break };
            client = Some(address);
            proxies += 1;
        }
        client
    }

    /// Returns why the header of a trusted peer does not name its client, if so.
    pub(super) fn flaw(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<Flaw> {
        if !self.is_proxy(0, peer) {
            return None;
        }
        let mut lines = headers.get_all(self.header.name()).iter();
        let Some(first) = lines.next() else { return Some(Flaw::Missing) };
        let (mut client, mut proxies, mut hops) = (peer, 0, self.hops(headers).fuse());
        while self.is_proxy(proxies, client) {
            match hops.next() {
                Some(Some(address)) => client = Some(address),
                Some(None) => return Some(Flaw::Unreadable(lines.next_back().unwrap_or(first).clone())),
                None if proxies == 0 => return Some(Flaw::Unreadable(first.clone())),
                None => return None,
            }
            proxies += 1;
        }
        None
    }

    /// Returns the entries of the header from its end. All lines of a list are one list; another header has one line.
    fn hops<'a>(&self, headers: &'a HeaderMap) -> impl Iterator<Item = Option<IpAddr>> + use<'a> {
        let lines = headers.get_all(self.header.name());
        let (split_last, is_list): (SplitLast, bool) = match self.header {
            ForwardedHeader::XForwardedFor => (address::split_last, true),
            ForwardedHeader::Forwarded => (forwarded::split_last, true),
            ForwardedHeader::CloudFrontViewerAddress => {
                (|line| (address::parse_with_port(line.trim_ascii()), None), false)
            }
            _ => (|line| (address::parse(line.trim_ascii()), None), false),
        };
        let is_read = is_list || lines.iter().nth(1).is_none();
        let entries = lines.into_iter().rev().flat_map(move |line| {
            let mut rest = Some(line.as_bytes());
            iter::from_fn(move || {
                let (entry, before) = split_last(rest?);
                rest = before;
                Some(entry)
            })
        });
        entries.take(if is_read { MOST_HOPS } else { 0 })
    }
}

/// The header in which proxies report the client's address.
///
/// In the first two, each proxy adds the address of its peer to the end of a list. The others hold one address, and the
/// proxy at the edge replaces what a client sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `Forwarded`, of [RFC 7239](https://www.rfc-editor.org/rfc/rfc7239).
    Forwarded,
    /// `X-Forwarded-For`, which most proxies add to.
    #[default]
    XForwardedFor,
    /// `X-Real-IP`, which nginx is often configured to set.
    XRealIp,
    /// `True-Client-IP`, of Akamai and Cloudflare.
    TrueClientIp,
    /// `CF-Connecting-IP`, of Cloudflare.
    CfConnectingIp,
    /// `CloudFront-Viewer-Address`, of Amazon CloudFront: an address and a port, with a colon between them and without
    /// brackets.
    CloudFrontViewerAddress,
    /// `Fastly-Client-IP`, of Fastly.
    FastlyClientIp,
    /// `Fly-Client-IP`, of Fly.io.
    FlyClientIp,
    /// `X-Azure-ClientIP`, of Azure Front Door. Azure takes it from the `X-Forwarded-For` of the client if there is one, so
    /// clients can choose it: use [`AzureSocketIp`](Self::AzureSocketIp) unless you trust what is in front of Front Door.
    AzureClientIp,
    /// `X-Azure-SocketIP`, of Azure Front Door: the other end of the connection to Front Door.
    AzureSocketIp,
    /// Another header with one address. The name of a header above is read like that one.
    Other(HeaderName),
}

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
static TRUE_CLIENT_IP: HeaderName = HeaderName::from_static("true-client-ip");
static CF_CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
static CLOUDFRONT_VIEWER_ADDRESS: HeaderName = HeaderName::from_static("cloudfront-viewer-address");
static FASTLY_CLIENT_IP: HeaderName = HeaderName::from_static("fastly-client-ip");
static FLY_CLIENT_IP: HeaderName = HeaderName::from_static("fly-client-ip");
static X_AZURE_CLIENTIP: HeaderName = HeaderName::from_static("x-azure-clientip");
static X_AZURE_SOCKETIP: HeaderName = HeaderName::from_static("x-azure-socketip");

impl ForwardedHeader {
    /// The headers with a variant of their own.
    pub(super) const KNOWN: [Self; 10] = [
        Self::XForwardedFor,
        Self::Forwarded,
        Self::XRealIp,
        Self::TrueClientIp,
        Self::CfConnectingIp,
        Self::CloudFrontViewerAddress,
        Self::FastlyClientIp,
        Self::FlyClientIp,
        Self::AzureClientIp,
        Self::AzureSocketIp,
    ];

    /// Returns the variant with this name, if there is one.
    fn known(self) -> Self {
        match self {
            Self::Other(name) => {
                let known = Self::KNOWN.into_iter().find(|known| *known.name() == name);
                known.unwrap_or(Self::Other(name))
            }
            known => known,
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &HeaderName {
        match self {
            Self::Forwarded => &header::FORWARDED,
            Self::XForwardedFor => &X_FORWARDED_FOR,
            Self::XRealIp => &X_REAL_IP,
            Self::TrueClientIp => &TRUE_CLIENT_IP,
            Self::CfConnectingIp => &CF_CONNECTING_IP,
            Self::CloudFrontViewerAddress => &CLOUDFRONT_VIEWER_ADDRESS,
            Self::FastlyClientIp => &FASTLY_CLIENT_IP,
            Self::FlyClientIp => &FLY_CLIENT_IP,
            Self::AzureClientIp => &X_AZURE_CLIENTIP,
            Self::AzureSocketIp => &X_AZURE_SOCKETIP,
            Self::Other(name) => name,
        }
    }
}

/// An error for a proxy that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the trusted proxy {proxy:?} is neither an address nor a network: write it as \"192.0.2.7\", \
     \"10.0.0.0/8\" or \"2001:db8::/32\", without a port or brackets, and each as a separate item"
)]
pub struct ProxyError {
    proxy: Box<str>,
}

fn parse(text: &str) -> Result<IpNet, ProxyError> {
    address::network(text).ok_or_else(|| ProxyError { proxy: text.trim().into() })
}

/// Returns the address of the peer, as the server saw it.
pub(crate) fn peer_ip(parts: &Parts) -> Option<IpAddr> {
    let served = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address);
    let mocked = || parts.extensions.get::<MockConnectInfo<SocketAddr>>().map(|MockConnectInfo(address)| address);
    served.or_else(mocked).map(|address| address.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn networks_of_every_address_trust_everyone() {
        let everyone = |network: &str| ClientIp::behind([network]).unwrap().trusts_everyone();
        assert!(["0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96", "10.0.0.1/0"].into_iter().all(everyone));
        assert!(!["0.0.0.0/1", "::/1", "0.0.0.0", "::"].into_iter().any(everyone));
        assert!(!ClientIp::behind_hops(2).trusts_everyone());
    }

    fn has(networks: &[&str], address: &str) -> bool {
        let address: IpAddr = address.parse().unwrap();
        networks.iter().any(|network| parse(network).unwrap().contains(&address))
    }

    #[test]
    fn networks_and_addresses_of_both_kinds_are_known() {
        let networks =
            ["10.0.0.0/8", "192.0.2.7", " 2001:db8::/32 ", "2001:db9::1", "fe80::1%eth0", "198.51.100.77/24"];
        for address in ["10.255.0.1", "192.0.2.7", "2001:db8:ffff::1", "2001:db9::1", "fe80::1", "198.51.100.1"] {
            assert!(has(&networks, address), "{address}");
        }
        for address in ["11.0.0.0", "192.0.2.8", "2001:db7::1", "2001:db9::2", "::", "198.51.101.1"] {
            assert!(!has(&networks, address), "{address}");
        }
    }

    #[test]
    fn network_mapped_into_ipv6_is_the_ipv4_network() {
        assert!(has(&["::ffff:10.0.0.0/104"], "10.1.2.3") && !has(&["::ffff:10.0.0.0/104"], "11.0.0.0"));
        assert!(has(&["::ffff:10.0.0.1"], "10.0.0.1") && has(&["::ffff:0:0/96"], "10.0.0.1"));
        assert!(!has(&["::/0"], "10.0.0.1") && !has(&["0.0.0.0/0"], "::1"));
    }

    #[test]
    fn anything_else_is_an_error_that_shows_it() {
        for text in
            ["", "localhost", "10.0.0.0/33", "10.0.0/8", "10.0.0.1:80", "[::1]", "::1/129", "10.0.0.0/8,10.1.0.0/16"]
        {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")) && error.contains("10.0.0.0/8"), "{error}");
        }
    }
}
