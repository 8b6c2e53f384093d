//! Looks for requests that suggest that the settings about proxies are wrong.

use std::{
    cell::Cell,
    net::IpAddr,
    sync::atomic::{AtomicU8, Ordering},
};

use axum::http::{HeaderName, request::Parts};

use super::{ClientIp, ForwardedHeader, address::LONGEST, proxies::Flaw};
use crate::warning::{Warning, WarningLog, warn_of};

/// Inspects requests for headers of proxies. A proxy adds its header to each request, so the first requests show it. Later
/// ones are sampled, because the first may be health checks that bypass the proxy.
#[derive(Debug, Default)]
pub(crate) struct HeaderWatch {
    /// The number of inspected requests, until sampling begins.
    looked: AtomicU8,
    /// The number of inspected requests in a row that a trusted proxy sent without any header of proxies.
    without: AtomicU8,
}

/// The number of requests that are all inspected. After them each thread inspects one in this many.
const ALL_OF: u8 = 64;

/// A header was seen in an app without proxies, and no more requests are inspected.
const SEEN: u8 = u8::MAX;

thread_local! {
    static REQUESTS: Cell<u8> = const { Cell::new(0) };
}

impl HeaderWatch {
    /// Returns whether to inspect a request. If not, it costs a few instructions, and no write to shared memory.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        match self.looked.load(Ordering::Relaxed) {
            SEEN => false,
            ALL_OF.. => REQUESTS.with(|requests| {
                requests.set(requests.get().wrapping_add(1));
                requests.get() % ALL_OF == 0
            }),
            looked => {
                // The first of several concurrent requests counts; the others are inspected too.
                let _ = self.looked.compare_exchange(looked, looked + 1, Ordering::Relaxed, Ordering::Relaxed);
                true
            }
        }
    }

    /// Warns about a request with a forwarding header whose peer is not trusted, and about a trusted peer whose header does
    /// not name a client.
    #[cold]
    pub(crate) fn look(&self, parts: &Parts, peer: Option<IpAddr>, proxies: Option<&ClientIp>, warnings: &WarningLog) {
        match (peer, proxies.filter(|proxies| proxies.is_proxy(0, peer))) {
            (_, Some(trusting)) => self.look_at_proxy(parts, peer, trusting, warnings),
            (Some(peer), None) => self.look_at_stranger(parts, peer, proxies, warnings),
            (None, None) => {}
        }
    }

    fn look_at_stranger(&self, parts: &Parts, peer: IpAddr, proxies: Option<&ClientIp>, warnings: &WarningLog) {
        let configured = proxies.map(|proxies| &proxies.header);
        let Some(header) = known_header(parts).or_else(|| {
            configured.map(ForwardedHeader::name).filter(|name| parts.headers.contains_key(*name)).cloned()
        }) else {
            return;
        };
        if proxies.is_none() {
            self.looked.store(SEEN, Ordering::Relaxed);
        }
        let warning = Warning::UntrustedForwardingHeader;
        if warnings.is_first(warning, None) {
            warn_of!(
                warning,
                %header,
                %peer,
                "a request has a forwarding header, but its peer is not a trusted proxy, so the header is ignored. If the peer is \
                 your proxy, all its clients share one limit: trust it with \
                 `Traffik::builder(..).client_ip(ClientIp::behind([..])?)`. Otherwise a client forged the header"
            );
        }
    }

    fn look_at_proxy(&self, parts: &Parts, peer: Option<IpAddr>, proxies: &ClientIp, warnings: &WarningLog) {
        let (header, peer_text) =
            (proxies.header.name(), peer.map_or("a Unix socket".to_owned(), |peer| peer.to_string()));
        let flaw = proxies.flaw(peer, &parts.headers);
        if !matches!(flaw, Some(Flaw::Missing)) {
            self.without.store(0, Ordering::Relaxed);
        }
        match flaw {
            None => {}
            // Without an address of the peer, the request gets an error that names the header.
            Some(Flaw::Missing) if peer.is_none() => {}
            Some(Flaw::Missing) => {
                let present = known_header(parts);
                let warning = Warning::MissingForwardingHeader;
                // A few requests without any such header may be health checks of the proxy.
                if (present.is_some() || self.is_usually_missing()) && warnings.is_first(warning, None) {
                    warn_of!(
                        warning,
                        %header,
                        peer = %peer_text,
                        present = present.as_ref().map(HeaderName::as_str),
                        "a trusted proxy does not send the header that the app reads, so all its clients share one limit: read \
                         the header that it sends, with `ClientIp::header(..)`, or configure the proxy"
                    );
                }
            }
            Some(Flaw::Unreadable(value)) => {
                let warning = Warning::UnreadableForwardingHeader;
                if warnings.is_first(warning, None) {
                    let value = value.as_bytes();
                    let value =
                        String::from_utf8_lossy(value.get(value.len().saturating_sub(LONGEST)..).unwrap_or(value));
                    warn_of!(
                        warning,
                        %header,
                        peer = %peer_text,
                        ?value,
                        "the header of a trusted proxy has no address where the proxy writes one, so clients of the proxy share \
                         one limit: set the header that matches the format with `ClientIp::header(..)`, or configure the proxy"
                    );
                }
            }
        }
    }

    /// Counts a request without any header of proxies. Returns `true` after as many as are all inspected.
    fn is_usually_missing(&self) -> bool {
        let before = self.without.load(Ordering::Relaxed);
        self.without.store(before.saturating_add(1), Ordering::Relaxed);
        before >= ALL_OF - 1
    }
}

/// Returns the name of a known header of proxies in the request.
fn known_header(parts: &Parts) -> Option<HeaderName> {
    ForwardedHeader::KNOWN.iter().map(ForwardedHeader::name).find(|name| parts.headers.contains_key(*name)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_requests_are_looked_at_and_then_a_few_until_one_was_seen() {
        let watch = HeaderWatch::default();
        let looked = |requests: u32| (0..requests).filter(|_| watch.is_due()).count();
        assert_eq!(looked(64), 64);
        assert_eq!(looked(6400), 100);
        watch.looked.store(SEEN, Ordering::Relaxed);
        assert_eq!(looked(1000), 0);
    }
}
