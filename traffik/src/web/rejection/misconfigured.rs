use axum::{
    Extension,
    http::HeaderName,
    response::{IntoResponse, Response},
};
use thiserror::Error;
use traffik_core::clock::AnyClock;

#[cfg(feature = "ws")]
use crate::limit::Definition;
use crate::{engine::Traffik, limit::ConfigError, observe::LogThrottle, warning::Warning, web::rejection::Unwanted};

/// The app is set up wrong. The error says which line to add, and where.
///
/// As a response it is a 500 with that text. It is logged as well, once a second at most: what is found without asking the
/// app, such as that it is missing, so often by each thread.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct Misconfigured(Box<Cause>);

#[derive(Debug, Error)]
enum Cause {
    #[error(
        "traffik: a throttle found no `Traffik` in the request. Add `.layer(traffik.layer())` to the router, after its \
         routes and after the layers that throttle: what is added later runs earlier"
    )]
    NoState,
    #[error(
        "traffik: a throttle counts by the peer's address, and the request has none. Serve the app with \
         `axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())`; in a test give the request one \
         with `traffik::test::RequestExt::with_peer`. Served on a Unix socket, or with a `Connected` type of its own, the \
         request has no `ConnectInfo<SocketAddr>`: behind a proxy on the same machine read its header with \
         `Traffik::builder(..).client_ip(ClientIp::behind_unix_socket())`, else name the client from the extensions of the \
         request with `Traffik::builder(..).identity(..)`. To let all such requests share one limit say so with \
         `.share_anonymous_clients()`"
    )]
    NoPeer,
    #[error(
        "traffik: a throttle counts by the address in the header {0:?} of a proxy on a Unix socket, and the request has no such \
         header, or no address in it. Let the proxy set the header, or read the one that it sets with \
         `ClientIp::behind_unix_socket().header(..)`. To let all such requests share one limit say so with \
         `Traffik::builder(..).share_anonymous_clients()`"
    )]
    NoForwardedAddress(HeaderName),
    #[cfg(feature = "ws")]
    #[error(
        "traffik: the throttle `{throttle}` (uid {uid:?}) limits how many are there at once, and `Messages` cannot be held to \
         that: a message does not stay. To limit how many connections are open take this throttle in a `Throttled`, as an \
         argument of the handler, and move that into the task of the socket; to limit messages name a throttle here that has a \
         rate, such as \"60/min\""
    )]
    PlacesOfMessages { uid: &'static str, throttle: &'static str },
    #[error("traffik: {0}")]
    Config(ConfigError),
}

/// When a thread logged what every request may find.
#[derive(Default)]
struct Logged {
    no_state: LogThrottle,
    config: LogThrottle,
}

thread_local! {
    static LOGGED: Logged = Logged::default();
}

impl Misconfigured {
    pub(in crate::web) fn no_state() -> Self {
        Self::logged(Cause::NoState)
    }

    /// A throttle of messages has places, as if they stayed.
    #[cfg(feature = "ws")]
    pub(in crate::web) fn places_of_messages(definition: &Definition) -> Self {
        Self::logged(Cause::PlacesOfMessages { uid: definition.uid, throttle: definition.name })
    }

    /// Where one request has no address none has, so that it is logged once in a while. `header` is the one that should have
    /// had it.
    pub(in crate::web) fn no_address(header: Option<&HeaderName>, traffik: &Traffik) -> Self {
        let cause = header.map_or(Cause::NoPeer, |header| Cause::NoForwardedAddress(header.clone()));
        let warning = Warning::NoPeerAddress;
        if !traffik.warnings().is_silenced(warning) && traffik.requests().strangers.is_due(traffik.clock().now()) {
            tracing::error!(warning = warning.name(), docs = warning.docs(), "{cause}");
        }
        Self(Box::new(cause))
    }

    /// A request was to be decided in a way that does not work. That is logged once a second, however many there are.
    pub(in crate::web) fn by_a_request(error: ConfigError, traffik: &Traffik) -> Self {
        let cause = Cause::Config(error);
        if traffik.requests().unworkable.is_due(traffik.clock().now()) {
            tracing::error!("{cause}");
        }
        Self(Box::new(cause))
    }

    /// There may be no app here whose clock could tell, or that could keep when it was logged: a thread does.
    fn logged(cause: Cause) -> Self {
        LOGGED.with(|logged| {
            let of_its_kind = if matches!(cause, Cause::NoState) { &logged.no_state } else { &logged.config };
            if of_its_kind.is_due(AnyClock::system().now()) {
                tracing::error!("{cause}");
            }
        });
        Self(Box::new(cause))
    }
}

impl From<ConfigError> for Misconfigured {
    fn from(error: ConfigError) -> Self {
        Self::logged(Cause::Config(error))
    }
}

impl IntoResponse for Misconfigured {
    fn into_response(self) -> Response {
        (self.status(), Extension(Unwanted), self.body_text()).into_response()
    }
}
