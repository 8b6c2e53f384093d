use std::{fmt, iter, net::IpAddr};

use axum::http::{HeaderMap, HeaderName, request::Parts};

use super::{ForwardedHeader, address, forwarded, list, proxies::Proxies};
use crate::{limit::ConfigError, web::peer::peer_ip};

/// Finds a client's address behind proxies: which of them are believed, and by which header they tell it.
///
/// ```
/// use traffik::{ClientIp, ForwardedHeader, Traffik, backend::MemoryBackend};
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
    proxies: Proxies,
    pub(super) header: ForwardedHeader,
}

/// How many entries of a list are looked at.
const MOST_HOPS: usize = 32;

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
    /// When one is neither.
    pub fn behind(proxies: impl IntoIterator<Item: fmt::Display>) -> Result<Self, ConfigError> {
        Proxies::at(proxies).map(Self::new)
    }

    /// Believes so many proxies, the peer being the first, wherever they are: for those whose addresses change.
    ///
    /// It is safe only if nobody can reach the app past them. Whoever can is believed in their place, and chooses his
    /// address. If more proxies pass requests on than so many, the next is taken for the client.
    pub fn behind_hops(hops: u8) -> Self {
        Self::new(Proxies::everywhere()).max_hops(hops)
    }

    /// Believes whoever is not known by an address: a proxy on the same machine that connects by a Unix socket.
    ///
    /// An app that is served over TCP without `into_make_service_with_connect_info` knows nobody's, and would believe
    /// everybody. Peers that have an address are not believed.
    pub fn behind_unix_socket() -> Self {
        Self::new(Proxies::without_address())
    }

    fn new(proxies: Proxies) -> Self {
        Self { proxies, header: ForwardedHeader::default() }
    }

    /// Reads this header rather than `X-Forwarded-For`.
    pub fn header(self, header: ForwardedHeader) -> Self {
        Self { header, ..self }
    }

    /// Believes no more than so many proxies on the way of a request. So a client with an address in a network of proxies,
    /// such as another machine of the same private network, cannot add to their number.
    pub fn max_hops(mut self, hops: u8) -> Self {
        self.proxies.max_hops = hops;
        self
    }

    /// The address that a request comes from: for identifiers, handlers and logs of your own.
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

    /// The same of a request that is known by the address of its peer, if that has one, and its headers.
    #[must_use]
    pub fn resolve(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer.map(|peer| peer.to_canonical());
        if self.proxies.has_peer(peer) { self.told(headers, peer) } else { peer }
    }

    /// Whether a peer at this address is believed.
    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.proxies.has_peer(Some(peer))
    }

    /// Whether everybody is believed.
    pub(in crate::web) fn trusts_everyone(&self) -> bool {
        self.proxies.are_everybody()
    }

    /// Whom the proxies forward for, as far as they can be believed.
    fn told(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
        let name = self.header.name();
        match self.header {
            ForwardedHeader::XForwardedFor => self.walk(hops(headers, name, list::split_last), peer),
            ForwardedHeader::Forwarded => self.walk(hops(headers, name, forwarded::split_last), peer),
            _ => one(headers, name).or(peer),
        }
    }

    /// Goes from one hop to the next for as long as they are proxies.
    fn walk(&self, hops: impl Iterator<Item = Option<IpAddr>>, peer: Option<IpAddr>) -> Option<IpAddr> {
        let mut client = peer;
        for (proxies, hop) in (1..).zip(hops) {
            let Some(address) = hop else { break };
            client = Some(address);
            if !self.proxies.has(proxies, address) {
                break;
            }
        }
        client
    }
}

/// The last entry of a line, if it is an address, and the line before it, if there is more of it.
type SplitLast = fn(&[u8]) -> (Option<IpAddr>, Option<&[u8]>);

/// The entries of a list from its end. All lines of a header are one list.
fn hops<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    split_last: SplitLast,
) -> impl Iterator<Item = Option<IpAddr>> + 'a {
    let lines = headers.get_all(name).into_iter().rev();
    let entries = lines.flat_map(move |line| {
        let mut rest = Some(line.as_bytes());
        iter::from_fn(move || {
            let (entry, before) = split_last(rest?);
            rest = before;
            Some(entry)
        })
    });
    entries.take(MOST_HOPS)
}

/// The address that is all of a header.
fn one(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    let mut lines = headers.get_all(name).into_iter();
    match (lines.next(), lines.next()) {
        (Some(only), None) => address::parse(only.as_bytes().trim_ascii()),
        _ => None,
    }
}
