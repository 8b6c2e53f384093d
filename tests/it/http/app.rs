//! Throttles and handles to test with.

use traffik::{Traffik, TraffikBuilder, backend::MemoryBackend, test::ManualClock};

/// A throttle: its uid, its rate, and where they matter its settings and the type of its identity.
macro_rules! throttle {
    ($name:ident, $uid:literal, $rate:literal) => {
        throttle!($name, $uid, $rate, ::traffik::Settings::new());
    };
    ($name:ident, $uid:literal, $rate:literal, $settings:expr) => {
        throttle!($name, $uid, $rate, $settings, ::traffik::DefaultIdentity);
    };
    ($name:ident, $uid:literal, $rate:literal, $settings:expr, $identity:ty) => {
        #[derive(Debug)]
        struct $name;

        impl ::traffik::Throttle for $name {
            const UID: &'static str = $uid;
            const RATE: ::traffik::Rate = ::traffik::Rate::literal($rate);
            type Identity = $identity;

            fn settings() -> ::traffik::Settings {
                $settings
            }
        }
    };
}
pub(crate) use throttle;

/// A handle whose limits go by a clock that stands still until it is moved. It stands where windows begin.
#[expect(clippy::unwrap_used, reason = "a test without an app fails")]
pub(crate) fn traffik() -> (Traffik, ManualClock) {
    let clock = ManualClock::new();
    (Traffik::new(MemoryBackend::with_clock("test", clock.clone())).unwrap(), clock)
}

/// The same with settings.
pub(crate) fn builder() -> (TraffikBuilder, ManualClock) {
    let clock = ManualClock::new();
    (Traffik::builder(MemoryBackend::with_clock("test", clock.clone())), clock)
}

/// Where requests of [`Server`](super::server::Server)'s own client come from.
pub(crate) const HERE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
