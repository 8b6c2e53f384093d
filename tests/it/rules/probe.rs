//! A layer that shows whether its throttle applies.
#![expect(clippy::expect_used, clippy::panic, reason = "a probe that does not answer fails the test")]

use std::{
    convert::Infallible,
    pin::pin,
    task::{Context, Poll, Waker},
};

use axum::{
    body::Body,
    http::{Request, Response, Uri},
};
use tower::{Layer, Service, ServiceExt, service_fn};
use traffik::{
    Bypass, DefaultIdentity, Rate, Rule, Throttle, Traffik, backend::MemoryBackend, test::RequestExt, throttle_layer,
    web::ThrottleLayer,
};

pub(crate) struct Probe;

impl Throttle for Probe {
    const UID: &'static str = "rules:probe";
    const RATE: Rate = Rate::literal("1_000_000_000/1000h");
    type Identity = DefaultIdentity;
}

/// Returns whether a throttle with this rule applies to a request for a path.
pub(crate) fn rule_lets_apply(rule: Rule, path: &str) -> bool {
    applies(&throttle_layer::<Probe>().rule::<Probe>(rule), get(path))
}

/// Returns whether a bypass lets a request for a path skip the throttle.
pub(crate) fn bypass_skips(bypass: Bypass, path: &str) -> bool {
    !applies(&throttle_layer::<Probe>().bypass::<Probe>(bypass), get(path))
}

pub(crate) fn get(path: &str) -> Request<Body> {
    Request::get(path.parse::<Uri>().expect("a path")).body(Body::empty()).expect("a request")
}

/// Returns whether the throttle of a layer applies to a request, by the fields of the response. The layer needs no
/// waiting.
#[expect(clippy::unwrap_used, reason = "a test without an app fails")]
pub(crate) fn applies(layer: &ThrottleLayer<Probe>, request: Request<Body>) -> bool {
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let service = Traffik::new(MemoryBackend::new("test")).unwrap().layer().layer(layer.layer(inner));
    let response = answer(service, request.with_peer("127.0.0.1:1"));
    assert_eq!(response.status(), 200);
    response.headers().contains_key("ratelimit")
}

fn answer<S>(service: S, request: Request<Body>) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(service.oneshot(request)).poll(&mut cx) {
        Poll::Ready(Ok(response)) => response,
        Poll::Pending => panic!("the layer was not ready on the first poll"),
    }
}
