use std::{iter, net::IpAddr};

use axum::http::{HeaderMap, HeaderValue};

use super::{ClientIp, ForwardedHeader, address, forwarded, list};

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
            ForwardedHeader::XForwardedFor => (list::split_last, true),
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
