//! Checks that a rule allocates nothing for a path in its usual spelling.

use std::{
    convert::Infallible,
    pin::pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use axum::{
    body::Body,
    http::{Method, Request, Response, Uri},
};
use tower::{Layer, Service, ServiceExt, service_fn};
use traffik::{
    Bypass, DefaultIdentity, Rate, Rule, Settings, Throttle, Traffik, backend::MemoryBackend, test::RequestExt,
    throttle_layer,
};

use super::TIMES;

macro_rules! throttle {
    ($name:ident, $settings:expr) => {
        struct $name;

        impl Throttle for $name {
            const UID: &'static str = stringify!($name);
            const RATE: Rate = Rate::literal("1_000_000/hour");
            type Identity = DefaultIdentity;

            fn settings() -> Settings {
                $settings
            }
        }
    };
}

throttle!(Plain, Settings::new());
throttle!(
    Ruled,
    Settings::new()
        .rule(Rule::path("/api/**").and(Rule::methods([Method::GET])).and(Rule::http()))
        .rule(Rule::when(|parts| parts.uri.query().is_none()).and(Rule::path("/*/users/*")))
        .bypass(Bypass::path("/api/health"))
        .bypass(Bypass::path("/**/a*z/**"))
);

/// Returns the allocations of `TIMES` requests for a path to a service with a limit, and whether the requests met it.
#[expect(clippy::unwrap_used, reason = "a test without an app fails")]
pub(super) fn allocations<T>(path: &'static str) -> (u64, bool)
where
    T: traffik::web::ThrottleSet<()>,
    traffik::web::ThrottleService<Inner, T>:
        Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    let inner: Inner = service_fn(answer as fn(_) -> _);
    let service = Traffik::new(MemoryBackend::new("test")).unwrap().layer().layer(throttle_layer::<T>().layer(inner));
    let send = || {
        let mut request = Request::new(Body::empty()).with_peer("127.0.0.1:1");
        *request.uri_mut() = Uri::from_static(path);
        let mut cx = Context::from_waker(Waker::noop());
        let answer = pin!(service.clone().oneshot(request)).poll(&mut cx);
        matches!(answer, Poll::Ready(Ok(response)) if response.headers().contains_key("ratelimit"))
    };
    let met = send();
    let counted = measure(|| assert!((0..TIMES).all(|_| send() == met)));
    (counted.count_total, met)
}

pub(super) type Inner =
    tower::util::ServiceFn<fn(Request<Body>) -> std::future::Ready<Result<Response<Body>, Infallible>>>;

fn answer(_: Request<Body>) -> std::future::Ready<Result<Response<Body>, Infallible>> {
    std::future::ready(Ok(Response::new(Body::empty())))
}

#[test]
fn rule_on_a_usual_path_allocates_nothing() {
    let (plain, met) = allocations::<Plain>("/api/users/7");
    assert!(met && plain > 0);
    assert_eq!(allocations::<Ruled>("/api/users/7"), (plain, true));
}

#[test]
fn bypassed_request_allocates_less() {
    let (plain, _) = allocations::<Plain>("/api/health");
    let (past, met) = allocations::<Ruled>("/api/health");
    assert!(!met && 0 < past && past < plain, "{past} rather than {plain}");
}

#[test]
fn encoded_path_allocates_a_bounded_number_of_times() {
    let (plain, _) = allocations::<Plain>("/api/users/7");
    let (disguised, met) = allocations::<Ruled>("/api//./%75sers/x/..%2F7");
    assert!(met && disguised > plain && disguised < plain + 60 * TIMES, "{disguised} rather than {plain}");
}
