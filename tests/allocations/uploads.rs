//! Checks that draining rejected uploads costs requests without a body nothing.
#![expect(clippy::expect_used, reason = "a test whose app cannot be built fails")]

use std::{
    convert::Infallible,
    pin::pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use axum::{
    body::Body,
    http::{Request, Response},
};
use tower::{Layer, Service, service_fn};
use traffik::{Traffik, backend::MemoryBackend};

/// Returns the allocations of a request to an app with this drain limit.
fn allocations(drain_limit: u64, body: fn() -> Body) -> u64 {
    let traffik = Traffik::builder(MemoryBackend::new("test")).drain_limit(drain_limit).build().expect("a handle");
    let mut app = traffik.layer().layer(service_fn(async |request: Request<Body>| {
        drop(request);
        Ok::<_, Infallible>(Response::new(()))
    }));
    let mut cx = Context::from_waker(Waker::noop());
    let mut ask = |request| assert!(matches!(pin!(app.call(request)).poll(&mut cx), Poll::Ready(Ok(_))));
    ask(Request::new(Body::empty()));
    let request = Request::new(body());
    measure(|| ask(request)).count_total
}

#[test]
fn request_without_a_body_allocates_nothing_for_draining() {
    for body in [Body::empty, || Body::from("")] {
        assert_eq!(allocations(u64::MAX, body), allocations(0, body));
    }
    let body = || Body::from("a body");
    assert_eq!(allocations(u64::MAX, body), allocations(0, body) + 2, "one box for the body, one for its slot");
}
