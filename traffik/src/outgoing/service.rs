use std::{
    error::{Error, Error as StdError},
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use axum::http::{
    HeaderMap, Request, Response, StatusCode,
    header::{HOST, RETRY_AFTER},
    request::Parts,
    uri::Authority,
};
use thiserror::Error;
use tower_service::Service;
use traffik_core::{client::Client, clock::Timestamp};

use crate::{
    engine::{CheckError, Demand, HeldBack, Permit, Refusal, Traffik, resolve},
    limit::Throttles,
};

/// The service of an [`OutgoingLayer`](super::OutgoingLayer).
pub struct Outgoing<S, T> {
    pub(super) inner: S,
    pub(super) options: Arc<Options>,
    pub(super) throttles: PhantomData<fn() -> T>,
}

impl<S, T, B, R> Service<Request<B>> for Outgoing<S, T>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send> + Clone + Send + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    T: Throttles,
    B: Send + 'static,
{
    type Response = Response<R>;
    type Error = OutgoingError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, OutgoingError>> + Send>>;

    /// Is always ready: the client is asked when the turn of the call has come, so that no call that waits holds a slot of it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OutgoingError>> {
        Poll::Ready(Ok(()))
    }

    /// Waits for the turn of the call, and then makes it.
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut inner, options) = (self.inner.clone(), Arc::clone(&self.options));
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let key = options.key.of(&parts).ok_or(OutgoingError::NoHost)?;
            let permit = turn::<T>(&options, key.clone(), &parts).await?;
            let client = |error: S::Error| OutgoingError::Inner(error.into());
            poll_fn(|cx| inner.poll_ready(cx)).await.map_err(client)?;
            let mut response = inner.call(Request::from_parts(parts, body)).await.map_err(client)?;
            let wall_clock = options.traffik.clock().wall_clock();
            if let Some(time) = retry_after(response.status(), response.headers(), wall_clock) {
                hold_back::<T>(&options, key, time);
            }
            response.extensions_mut().insert(permit);
            Ok(response)
        })
    }
}

async fn turn<T: Throttles>(options: &Options, key: Client, parts: &Parts) -> Result<Permit<T>, OutgoingError> {
    let Options { traffik, wait, .. } = options;
    let failed = |error| OutgoingError::NotAdmitted(CheckError::Failed(error));
    let checks = traffik.checks::<T>(key).map_err(|error| failed(error.into()))?;
    let demand = Demand::new(&checks, traffik.changes());
    let decision = resolve!(traffik.wait_outgoing(demand, *wait));
    let decision = decision
        .map_err(|HeldBack { until, now }| OutgoingError::HeldBack { retry_after: until.saturating_since(now) })?;
    let limits = decision.map_err(|error| failed(error.observed(Some(parts))))?;
    limits.observe(Some(parts));
    if !limits.is_admitted() {
        return Err(OutgoingError::NotAdmitted(Refusal::new(limits).into()));
    }
    let delay = limits.delay();
    if delay > Duration::ZERO {
        traffik.clock().sleep(delay).await;
    }
    Ok(Permit::new(limits))
}

fn hold_back<T: Throttles>(options: &Options, key: Client, time: Duration) {
    let Options { traffik, max_hold_back, .. } = options;
    // The call was checked with the same.
    if let Ok(checks) = traffik.checks::<T>(key) {
        if checks.are_in_dry_run() {
            return;
        }
        traffik.hold_back(&Demand::new(&checks, traffik.changes()), time.min(*max_hold_back));
    }
}

impl<S: Clone, T> Clone for Outgoing<S, T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), options: Arc::clone(&self.options), throttles: PhantomData }
    }
}

impl<S: fmt::Debug, T> fmt::Debug for Outgoing<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("inner", &self.inner).field("options", &self.options).finish()
    }
}

/// The options of an [`OutgoingLayer`](super::OutgoingLayer).
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) traffik: Traffik,
    pub(super) key: Key,
    pub(super) wait: Duration,
    pub(super) max_hold_back: Duration,
}

/// What calls share a limit by.
#[derive(Clone)]
pub(super) enum Key {
    Host,
    One(Client),
    By(Arc<dyn Fn(&Parts) -> Client + Send + Sync>),
}

impl Key {
    /// Returns the key of a request, or `None` if it has no host.
    fn of(&self, parts: &Parts) -> Option<Client> {
        match self {
            Self::Host => host(parts).map(Client::from),
            Self::One(client) => Some(client.clone()),
            Self::By(function) => Some(function(parts)),
        }
    }
}

fn host(parts: &Parts) -> Option<String> {
    if let Some(host) = parts.uri.host() {
        return Some(host.to_ascii_lowercase());
    }
    let authority: Authority = parts.headers.get(HOST)?.to_str().ok()?.parse().ok()?;
    Some(authority.host().to_ascii_lowercase())
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("Host"),
            Self::One(client) => f.debug_tuple("One").field(client).finish(),
            Self::By(_) => f.write_str("By(..)"),
        }
    }
}

/// Returns how long a response asks to wait, if it does.
fn retry_after(status: StatusCode, headers: &HeaderMap, wall_clock: Timestamp) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has are a very long time.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(date.saturating_sub(wall_clock.saturating_since(Timestamp::UNIX_EPOCH)))
}

/// Why a call has no response.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OutgoingError {
    /// The limits do not admit the call in time, or cannot be checked. The call was not made.
    #[error("the call was not made: {0}")]
    NotAdmitted(#[source] CheckError),
    /// An earlier response asks for a longer pause than the call waits. The call was not made.
    #[error("the call was not made, because an earlier response says: retry after {}", humantime::format_duration(*.retry_after))]
    #[non_exhaustive]
    HeldBack {
        /// How long until calls go on.
        retry_after: Duration,
    },
    /// The request has no host to limit it by. The call was not made.
    #[error(
        "the call was not made, because its URI has no host: use an absolute URI, or set a key with `OutgoingLayer::key` or \
         `OutgoingLayer::key_by`"
    )]
    NoHost,
    /// The error of the client that was called.
    #[error(transparent)]
    Inner(Box<dyn Error + Send + Sync>),
}

impl OutgoingError {
    /// Returns how long until the call may be made, if that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotAdmitted(CheckError::Refused(refusal)) => refusal.retry_after(),
            Self::HeldBack { retry_after } => Some(*retry_after),
            Self::NotAdmitted(CheckError::Failed(_)) | Self::NoHost | Self::Inner(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn key(uri: &str, host: Option<&str>) -> Option<Client> {
        let mut request = Request::get(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        Key::Host.of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn host_of_a_request_is_that_of_its_uri_or_its_header() {
        let host = |host: &str| Some(Client::from(host.to_owned()));
        assert_eq!(key("https://API.Example.com:8443/x", None), host("api.example.com"));
        assert_eq!(key("http://[::1]:80/", Some("other")), host("[::1]"));
        assert_eq!(key("/x", Some("Api.example.com:8443")), host("api.example.com"));
        assert_eq!(key("/x", Some("")), None);
        assert_eq!(key("/x", None), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_micros(784_111_777_000_000);
        let wait = |value: &str, status: u16| {
            let headers = [(RETRY_AFTER, value.parse().unwrap())].into_iter().collect();
            retry_after(StatusCode::from_u16(status).unwrap(), &headers, now)
        };
        assert_eq!(wait("120", 429), Some(Duration::from_secs(120)));
        assert_eq!(wait("0", 503), Some(Duration::ZERO));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:39 GMT", 503), Some(Duration::from_secs(2)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:36 GMT", 429), Some(Duration::ZERO));
        assert_eq!(wait("Sunday, 06-Nov-94 08:50:37 GMT", 429), Some(Duration::from_secs(60)));
        assert_eq!(wait("99999999999999999999999", 429), Some(Duration::from_secs(u64::MAX)));
        for nothing in ["", "-1", "1.5", "soon", "Mon, 06 Nov 1994 25:49:39 GMT"] {
            assert_eq!(wait(nothing, 429), None, "{nothing}");
        }
        assert_eq!(wait("120", 200), None);
        assert_eq!(wait("120", 301), None);
        assert_eq!(retry_after(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), now), None);
    }
}
