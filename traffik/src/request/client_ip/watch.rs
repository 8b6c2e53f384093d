//! Looks for headers that proxies add, in an app that believes nobody who sends them.

use std::{
    cell::Cell,
    net::IpAddr,
    sync::atomic::{AtomicU8, Ordering},
};

use axum::http::request::Parts;

use super::{ClientIp, ForwardedHeader};
use crate::warning::{Warning, WarningLog};

/// Whether requests are looked at, until one was seen. A proxy adds its header to each request, so that the first ones will
/// tell; the others are looked at now and then, since the first may come from who asks whether the app is there at all.
#[derive(Debug, Default)]
pub(crate) struct HeaderWatch {
    /// How many requests were looked at, as long as all are.
    looked: AtomicU8,
}

/// So many requests of an app are looked at, and then one in so many of each thread.
const ALL_OF: u8 = 64;

/// There is nothing more to see.
const SEEN: u8 = u8::MAX;

thread_local! {
    static REQUESTS: Cell<u8> = const { Cell::new(0) };
}

impl HeaderWatch {
    /// Whether to look at a request. What it costs if not is a few instructions, and no write that other threads see.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        match self.looked.load(Ordering::Relaxed) {
            SEEN => false,
            ALL_OF.. => REQUESTS.with(|requests| {
                requests.set(requests.get().wrapping_add(1));
                requests.get() % ALL_OF == 0
            }),
            looked => {
                // Whoever comes first counts; the others look all the same.
                let _ = self.looked.compare_exchange(looked, looked + 1, Ordering::Relaxed, Ordering::Relaxed);
                true
            }
        }
    }

    /// Warns of a request that says whom it is forwarded for, though its peer is not believed.
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
                "a request says in a header whom it is forwarded for, and its peer is not trusted: if that is a proxy of yours, \
                 all its clients share one limit; say so with `Traffik::builder(..).client_ip(ClientIp::behind([..])?)`. If \
                 you have no proxy there, a client made it up, and nobody believed it"
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
