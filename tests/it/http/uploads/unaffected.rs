//! Requests and bodies that draining does not affect.

use std::task::{Context, Poll, Waker};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::DefaultBodyLimit,
    http::{Request, Response, StatusCode, Version},
    routing::post,
};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client as Client2, rt::TokioExecutor};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::limit::RequestBodyLimitLayer;
use traffik::{Throttled, test::RequestExt};

use super::{
    MIB, PATHS, Uploads,
    client::{Client, FRAMINGS, Framing},
    uploads,
};
use crate::http::{
    app::{HERE, throttle, traffik},
    server::Server,
};

throttle!(Open, "open", "1000/min");

const EXPECTS: &str = "expect: 100-continue\r\n";

#[tokio::test]
async fn expect_continue_over_the_limit_is_refused_without_a_100() {
    let (traffik, _) = traffik();
    let server = Server::start(uploads().layer(traffik.layer())).await;
    let _ = traffik.limiter::<Uploads>(HERE).check().await.unwrap();

    for framing in FRAMINGS {
        for path in PATHS {
            let mut client = Client::connect(&server).await.unwrap();
            client.announce(path, framing, 8 * MIB, EXPECTS).await.unwrap();
            assert_eq!(client.read().await.unwrap().status, 429, "no 100 precedes the refusal");
            client.closed().await;
        }
    }
}

#[tokio::test]
async fn expect_continue_below_the_limit_gets_a_100() {
    let (traffik, _) = traffik();
    let server = Server::start(uploads().layer(traffik.layer())).await;

    let mut client = Client::connect(&server).await.unwrap();
    client.announce("/extractor", Framing::ContentLength, MIB, EXPECTS).await.unwrap();
    assert_eq!(client.read().await.unwrap().status, 100);
    client.write(Framing::ContentLength, MIB).await.unwrap();
    assert_eq!(client.read().await.unwrap().body, MIB.to_string());
}

#[tokio::test]
async fn refused_http_2_upload_ends_its_stream_only() {
    let (traffik, _) = traffik();
    let server = Server::start(uploads().layer(traffik.layer())).await;
    let client = Client2::builder(TokioExecutor::new()).http2_only(true).build_http();
    let upload = async |path: &str| {
        let url = format!("http://{}{path}", server.address);
        let request = Request::post(url).body(Full::<Bytes>::from(vec![b'.'; 8 * MIB])).unwrap();
        let (head, body) = client.request(request).await.unwrap().into_parts();
        (head.version, head.status.as_u16(), body.collect().await.unwrap().to_bytes().len())
    };

    assert_eq!(upload("/layer").await, (Version::HTTP_2, 200, 7));
    for path in PATHS {
        for _ in 0..3 {
            let (version, status, length) = upload(path).await;
            assert_eq!((version, status, length > 100), (Version::HTTP_2, 429, true), "{path}");
        }
    }
}

#[tokio::test]
async fn body_ignored_by_a_handler_is_not_drained() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/ignored", post(|_: Throttled<Open>| async { "no, thanks" }))
        .route("/422", post(|_: Throttled<Open>| async { (StatusCode::UNPROCESSABLE_ENTITY, "no") }))
        // Not drained even if the handler's response is a 429.
        .route("/429", post(|_: Throttled<Open>| async { (StatusCode::TOO_MANY_REQUESTS, "no") }))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    for (path, status) in [("/ignored", 200), ("/422", 422), ("/429", 429), ("/nowhere", 404)] {
        let mut client = Client::connect(&server).await.unwrap();
        client.announce(path, Framing::ContentLength, 8 * MIB, "").await.unwrap();
        assert_eq!(client.read().await.unwrap().status, status);
        client.closed().await;
    }
}

#[tokio::test]
async fn body_limit_still_applies() {
    let (traffik, _) = traffik();
    let length = post(|_: Throttled<Open>, body: Bytes| async move { body.len().to_string() });
    let outside = Router::new()
        .route("/", length.clone())
        .layer(DefaultBodyLimit::disable())
        .layer(traffik.layer())
        .layer(RequestBodyLimitLayer::new(1000));
    let inside = Router::new()
        .route("/", length.clone())
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(1000))
        .layer(traffik.layer());
    let axums = Router::new().route("/", length).layer(DefaultBodyLimit::max(1000)).layer(traffik.layer());

    for app in [outside, inside, axums] {
        let server = Server::start(app).await;
        for framing in FRAMINGS {
            for (bytes, status) in [(1000, 200), (1001, 413)] {
                let mut client = Client::connect(&server).await.unwrap();
                assert_eq!(client.upload("/", framing, bytes).await.unwrap().status, status, "{framing:?}");
            }
        }
    }
}

#[tokio::test]
async fn layer_accepts_a_service_with_any_body_type() {
    let (traffik, _) = traffik();
    let service = traffik.layer().layer(service_fn(async |request: Request<Full<Bytes>>| {
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, std::convert::Infallible>(Response::new(body.len()))
    }));
    let response = service.oneshot(Request::new(Full::from("a body"))).await.unwrap();
    assert_eq!(response.into_body(), 6);
}

/// Without a server there is nothing to drain on.
#[test]
fn request_without_a_runtime_drains_nothing() {
    let (traffik, _) = traffik();
    let app = uploads().layer(traffik.layer());
    let mut cx = Context::from_waker(Waker::noop());
    for status in [200, 429, 429] {
        let request = Request::post("/layer").body(Body::from("a body")).unwrap().with_peer("127.0.0.1:1");
        let mut response = Box::pin(app.clone().oneshot(request));
        let Poll::Ready(response) = response.as_mut().poll(&mut cx) else {
            panic!("the response is not ready on the first poll")
        };
        assert_eq!(response.unwrap().status(), status);
    }
}
