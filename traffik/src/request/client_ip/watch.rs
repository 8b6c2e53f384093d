//! Looks for headers of proxies in an app that does not trust the sender.

use std::{
    cell::Cell,
    net::IpAddr,
    sync::atomic::{AtomicU8, Ordering},
};

use axum::http::request::Parts;

use super::{ClientIp, ForwardedHeader};
use crate::warning::{Warning, WarningLog};

/// Inspects requests until one has such a header. A proxy adds its header to each request, so the first requests show
/// it. Later ones are sampled, because the first may be health checks that bypass the proxy.
#[derive(Debug, Default)]
pub(crate) struct HeaderWatch {
    /// The number of inspected requests, until sampling begins.
    looked: AtomicU8,
}

/// The number of requests that are all inspected. After them each thread inspects one in this many.
const ALL_OF: u8 = 64;

/// A header was seen, and no more requests are inspected.
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

    /// Warns about a request with a forwarding header whose peer is not trusted.
    #[cold]
    pub(crate) fn look(&self, parts: &Parts, peer: Option<IpAddr>, proxies: Option<&ClientIp>, warnings: &WarningLog) {
        let Some(peer) = peer.filter(|peer| !proxies.is_some_and(|proxies| proxies.is_proxy(0, Some(*peer)))) else {
            return;
        };
        let configured = proxies.map(|proxies| &proxies.header);
        let known = ForwardedHeader::KNOWN.iter().chain(configured);
        let Some(header) = known.map(ForwardedHeader::name).find(|name| parts.headers.contains_key(*name)) else {
            return;
        };
        self.looked.store(SEEN, Ordering::Relaxed);
        let warning = Warning::UntrustedForwardingHeader;
        if warnings.is_first(warning, None) {
            tracing::warn!(
                warning = warning.name(),
                docs = warning.docs(),
                %header,
                %peer,
                "a request has a forwarding header, but its peer is not a trusted proxy, so the header is ignored. If the peer is \
                 your proxy, all its clients share one limit: trust it with \
                 `Traffik::builder(..).client_ip(ClientIp::behind([..])?)`. Otherwise a client forged the header"
            );
        }
    }
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
