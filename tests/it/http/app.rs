//! Throttles and handles for tests.

use traffik::{Traffik, TraffikBuilder, backend::MemoryBackend, test::ManualClock};

/// Declares a throttle: its uid, its rate, and optionally its settings and identity type.
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

/// Returns a handle on a clock that the test moves. The clock starts where windows begin.
#[expect(clippy::unwrap_used, reason = "a test without an app fails")]
pub(crate) fn traffik() -> (Traffik, ManualClock) {
    let clock = ManualClock::new();
    (Traffik::new(MemoryBackend::with_clock("test", clock.clone())).unwrap(), clock)
}

/// Same as `traffik`, with settings.
pub(crate) fn builder() -> (TraffikBuilder, ManualClock) {
    let clock = ManualClock::new();
    (Traffik::builder(MemoryBackend::with_clock("test", clock.clone())), clock)
}

/// The source address of requests from the default client of [`Server`](super::server::Server).
pub(crate) const HERE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
