//! Charges that are settled by the size of a body.

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, StatusCode},
    response::Response,
    routing::get,
};
use futures_util::stream;
use http_body_util::BodyExt;
use tower::ServiceExt;
use traffik::{Settings, SlidingWindowCounter, Throttled, Traffik, refund_if, test::RequestExt};

use super::{Result, remaining};
use crate::http::{
    app::{HERE, throttle, traffik},
    server::Server,
};

throttle!(Kilobytes, "bodies:kilobytes", "1000/min", Settings::new().strategy(SlidingWindowCounter).cost(100));

throttle!(
    Refunded,
    "bodies:refunded",
    "1000/min",
    Settings::new().strategy(SlidingWindowCounter).cost(100).refund_if(refund_if::success)
);

/// Serves a stream of seven pieces of 500 bytes.
fn app(traffik: &Traffik) -> Router {
    let handler = |permit: Throttled<Kilobytes>| async move {
        let pieces = stream::iter((0..7).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[b'.'; 500]))));
        Response::new(permit.settle_body(Body::from_stream(pieces), |bytes| bytes.div_ceil(1000)))
    };
    Router::new().route("/", get(handler)).layer(traffik.layer())
}

#[tokio::test]
async fn body_that_was_sent_is_charged_by_its_size() -> Result {
    let (traffik, _) = traffik();
    let server = Server::start(app(&traffik)).await;
    let reply = server.get("/").await;
    assert_eq!((reply.status, reply.body.len()), (200, 3500));
    assert_eq!(reply.state(), Some(r#""bodies:kilobytes";r=900;t=61"#), "the fields are sent before the body");
    assert_eq!(remaining::<Kilobytes>(&traffik, HERE).await?, 996);
    Ok(())
}

#[tokio::test]
async fn dropped_body_is_charged_for_what_was_read() -> Result {
    let (traffik, _) = traffik();
    let request = || Request::get("/").body(Body::empty()).map(|request| request.with_peer("127.0.0.1:50000"));
    let mut response = app(&traffik).oneshot(request()?).await?;
    assert_eq!(response.status(), StatusCode::OK);
    for _ in 0..3 {
        let frame = response.body_mut().frame().await.ok_or("the body ended")??;
        assert_eq!(frame.data_ref().map(Bytes::len), Some(500));
    }
    assert_eq!(remaining::<Kilobytes>(&traffik, HERE).await?, 900);
    drop(response);
    assert_eq!(remaining::<Kilobytes>(&traffik, HERE).await?, 998);

    drop(app(&traffik).oneshot(request()?).await?);
    assert_eq!(remaining::<Kilobytes>(&traffik, HERE).await?, 998, "nothing was read");
    Ok(())
}

#[tokio::test]
async fn body_of_a_settled_charge_changes_nothing() -> Result {
    let (traffik, _) = traffik();
    let permit = traffik.limiter::<Kilobytes>("alice").check().await?;
    let body = permit.settle_body(Body::from("0123456789"), |bytes| bytes);
    permit.settle(50).await?;
    assert_eq!(body.collect().await?.to_bytes().len(), 10);
    assert_eq!(remaining::<Kilobytes>(&traffik, "alice").await?, 950);
    Ok(())
}

#[tokio::test]
async fn body_that_settles_a_charge_has_the_last_word() -> Result {
    let (traffik, _) = traffik();
    let handler = |permit: Throttled<Refunded>| async move { permit.settle_body(Body::from("12345"), |bytes| bytes) };
    let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.state(), Some(r#""bodies:refunded";r=900;t=61"#));
    assert_eq!(remaining::<Refunded>(&traffik, HERE).await?, 995);
    Ok(())
}
