//! Checks the allocations of a request with `Throttled` arguments, the size of its future, and that it needs no
//! waiting.

use std::{
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, FromRequestParts, Request},
    handler::Handler,
    http::StatusCode,
    routing::get,
};
use futures_util::FutureExt;
use tower::Service;
use traffik::{DefaultIdentity, Limiter, Rate, Throttle, Throttled, Traffik, backend::MemoryBackend};

macro_rules! throttles {
    ($($name:ident)+) => {
        $(struct $name;

        impl Throttle for $name {
            const UID: &'static str = stringify!($name);
            const RATE: Rate = Rate::literal("1_000_000/hour");
            type Identity = DefaultIdentity;
        })+
    };
}

throttles!(One Two Three);

fn request() -> Request {
    let mut request = Request::new(Body::empty());
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000))));
    request
}

/// The bytes of the future that axum boxes for each request of a handler.
fn future_bytes<H: Handler<T, ()>, T>(handler: H) -> u64 {
    measure(|| drop(handler.call(Request::new(Body::empty()), ()))).bytes_total
}

async fn of_one(_: Throttled<One>) {}
async fn of_three(_: Throttled<One>, _: Throttled<Two>, _: Throttled<Three>) {}
async fn of_a_tuple(_: Throttled<(One, Two, Three)>) {}

#[test]
fn handler_future_with_one_or_three_throttles_is_below_800_bytes() {
    for bytes in [future_bytes(of_one), future_bytes(of_three)] {
        assert!(bytes < 800, "{bytes} bytes");
    }
}

/// Allocators are slower beyond about 1000 bytes.
#[test]
fn handler_future_with_a_tuple_is_below_900_bytes() {
    let bytes = future_bytes(of_a_tuple);
    assert!(bytes < 900, "{bytes} bytes");
}

/// Polls `extract` once with the parts of a request that came through `traffik.layer()`.
fn is_ready<T: FromRequestParts<(), Rejection: std::fmt::Debug>>(traffik: &Traffik) -> bool {
    let (mut parts, _) = request().into_parts();
    parts.extensions.insert(traffik.clone());
    let extracted = pin!(T::from_request_parts(&mut parts, &())).poll(&mut Context::from_waker(Waker::noop()));
    matches!(extracted, Poll::Ready(Ok(_)))
}

#[test]
fn check_that_needs_no_waiting_is_ready_on_the_first_poll() {
    let traffik = Traffik::new(MemoryBackend::new("test")).unwrap();
    assert!(is_ready::<Throttled<One>>(&traffik));
    assert!(is_ready::<Throttled<(One, Two, Three)>>(&traffik));
}

/// A task of the handler that goes on after the response, without `traffik.layer()`.
#[test]
fn request_without_a_layer_that_checks_again_and_again_takes_no_more_memory() {
    let traffik = Traffik::new(MemoryBackend::new("test")).unwrap();
    let (mut parts, _) = request().into_parts();
    parts.extensions.insert(traffik);
    let mut check = || {
        let limiter = Limiter::<One>::from_request_parts(&mut parts, &()).now_or_never();
        let checked = limiter.and_then(Result::ok).and_then(|limiter| limiter.check().now_or_never());
        assert!(matches!(checked, Some(Ok(_))));
    };
    check();
    let counted = measure(|| (0..1000).for_each(|_| check()));
    assert!(counted.bytes_current.abs() < 4096, "{} bytes", counted.bytes_current);
}

/// Returns the allocations of a request by a known client.
fn allocations(mut app: Router) -> u64 {
    let mut send = || {
        let response = pin!(app.call(request())).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(response, Poll::Ready(Ok(response)) if response.status() == StatusCode::OK));
    };
    send();
    send();
    measure(send).count_total
}

/// What `traffik.layer()` and the arguments of a handler add to the allocations of a request.
#[expect(clippy::unwrap_used, reason = "a test without an app fails")]
fn added<H: Handler<T, ()>, T: 'static>(handler: H) -> u64 {
    let app = |handler| Router::new().route("/", handler);
    let traffik = Traffik::new(MemoryBackend::new("test")).unwrap();
    allocations(app(get(handler)).layer(traffik.layer())) - allocations(app(get(async || {})))
}

#[test]
fn request_allocates_a_fixed_number_of_times() {
    assert_eq!([added(async || {}), added(of_one), added(of_a_tuple), added(of_three)], [6, 8, 14, 13]);
}
