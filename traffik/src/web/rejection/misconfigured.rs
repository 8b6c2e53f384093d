use axum::http::HeaderName;
use thiserror::Error;
use traffik_core::clock::AnyClock;

use crate::{
    engine::Traffik, limit::ConfigError, observe::LogThrottle, warning::Warning, web::request_head::RequestHead,
};

/// The app is set up wrong. The error says what to change.
///
/// As a response it is a 500 with that text. The error is logged at most once a second. If the error is found without
/// the app, for instance because the app is missing, each thread logs it at most once a second.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct Misconfigured(pub(in crate::web) Box<Inner>);

#[derive(Debug, Error)]
#[error("{cause}")]
pub(in crate::web) struct Inner {
    cause: Cause,
    pub(in crate::web) head: RequestHead,
}

/// What is wrong.
#[derive(Debug, Error)]
pub(in crate::web) enum Cause {
    #[error(
        "traffik: a throttle found no `Traffik` in the request. Add `.layer(traffik.layer())` to the router, after its \
         routes and after the layers that throttle: layers that are added later run earlier"
    )]
    NoState,
    #[error(
        "traffik: a throttle identifies clients by the address of the peer, and the request has none. Serve the app with \
         `axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())`; in a test, set the \
         address with `traffik::test::RequestExt::with_peer`. On a Unix socket, or with your own `Connected` type, the \
         request has no `ConnectInfo<SocketAddr>`: behind a proxy on the same machine read the header of the proxy with \
         `Traffik::builder(..).client_ip(ClientIp::behind_unix_socket())`, otherwise identify the client from the \
         extensions of the request with `Traffik::builder(..).identity(..)`. To let all such requests share one limit, add \
         `.share_anonymous_clients()`"
    )]
    NoPeer,
    #[error(
        "traffik: a throttle identifies clients by the address in the header {0:?} of a proxy on a Unix socket, and the request \
         has no such header, or no address in it. Configure the proxy to set the header, or select the header that it sets \
         with `ClientIp::behind_unix_socket().header(..)`. To let all such requests share one limit, add \
         `Traffik::builder(..).share_anonymous_clients()`"
    )]
    NoForwardedAddress(HeaderName),
    #[error(
        "traffik: a throttle identifies clients by the extension `{0}`, and the request has none. Add the middleware that inserts \
         it after the layers that throttle: layers that are added later run earlier. If some requests may have none, use \
         `Settings::identity` with a function that says which client they are"
    )]
    NoExtension(&'static str),
    #[error(
        "traffik: a throttle identifies clients by the header {0:?}, which is not the name of a header: correct the name in \
         `by_header` or `by_api_key`"
    )]
    HeaderName(Box<str>),
    #[cfg(feature = "ws")]
    #[error(
        "traffik: the throttle `{throttle}` (uid {uid:?}) limits concurrent requests, so `Messages` cannot use it. To limit \
         open connections, take this throttle as a `Throttled` argument of the handler, and move the argument into the task \
         of the socket. To limit messages, use a throttle with a rate, such as \"60/min\""
    )]
    ConcurrencyOfMessages { uid: Box<str>, throttle: Box<str> },
    #[error("traffik: {0}")]
    Config(ConfigError),
}

/// When a thread last logged each error that every request may cause.
#[derive(Default)]
struct Logged {
    no_state: LogThrottle,
    config: LogThrottle,
}

thread_local! {
    static LOGGED: Logged = Logged::default();
}

impl Misconfigured {
    fn new(cause: Cause) -> Self {
        Self(Box::new(Inner { cause, head: RequestHead::default() }))
    }

    pub(in crate::web) fn no_state() -> Self {
        Self::logged(Cause::NoState)
    }

    /// Creates the error for a request without an address, and logs it at most once a second, because all requests of
    /// the app are affected. `header` is the one that was expected.
    pub(in crate::web) fn no_address(header: Option<&HeaderName>, traffik: &Traffik) -> Self {
        let cause = header.map_or(Cause::NoPeer, |header| Cause::NoForwardedAddress(header.clone()));
        let warning = Warning::NoPeerAddress;
        if !traffik.warnings().is_silenced(warning) && traffik.requests().strangers.is_due(traffik.clock().now()) {
            tracing::error!(warning = warning.name(), docs = warning.docs(), "{cause}");
        }
        Self::new(cause)
    }

    /// Creates the error for a request that cannot be decided, and logs it at most once a second.
    pub(in crate::web) fn by_a_request(error: ConfigError, traffik: &Traffik) -> Self {
        let cause = Cause::Config(error);
        if traffik.requests().unworkable.is_due(traffik.clock().now()) {
            tracing::error!("{cause}");
        }
        Self::new(cause)
    }

    /// Creates the error, and logs it once a second for each thread: without an app there is no shared clock.
    pub(in crate::web) fn logged(cause: Cause) -> Self {
        LOGGED.with(|logged| {
            let of_its_kind = if matches!(cause, Cause::NoState) { &logged.no_state } else { &logged.config };
            if of_its_kind.is_due(AnyClock::system().now()) {
                tracing::error!("{cause}");
            }
        });
        Self::new(cause)
    }
}

impl From<ConfigError> for Misconfigured {
    fn from(error: ConfigError) -> Self {
        Self::logged(Cause::Config(error))
    }
}
