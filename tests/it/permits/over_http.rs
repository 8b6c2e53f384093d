//! A request holds its permit until its response is made, and under a layer until the response is sent.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::Request,
    routing::{get, post},
};
use tests::until_idle;
use tokio::sync::Semaphore;
use traffik::{Fields, Throttled, Traffik, throttle_layer};

use super::{Result, free, places, until_free};
use crate::http::{
    app::{HERE, throttle, traffik},
    server::{Server, read_to_end},
};

places!(Reports, "reports:open", "2/30s");
throttle!(Narrow, "narrow", "1/min");

/// Requests that run until the test releases them.
async fn waiting(permit: Throttled<Reports>, gate: Arc<Semaphore>) -> String {
    let _pass = gate.acquire().await;
    format!("{} left", permit.tightest().remaining())
}

fn gated(traffik: &Traffik) -> (Router, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let at_gate = Arc::clone(&gate);
    let handler = move |permit: Throttled<Reports>| waiting(permit, at_gate);
    let app = Router::new().route("/", get(handler)).route_layer(throttle_layer::<Reports>()).layer(traffik.layer());
    (app, gate)
}

#[tokio::test]
async fn layer_and_handler_hold_one_permit_together() -> Result {
    let (traffik, _) = traffik();
    let (app, gate) = gated(&traffik);
    let server = Arc::new(Server::start(app).await);
    let asking = |server: &Arc<Server>| {
        let server = Arc::clone(server);
        tokio::spawn(async move { server.get("/").await })
    };
    let first = asking(&server);
    until_free::<Reports>(&traffik, HERE, 1).await;
    let second = asking(&server);
    until_free::<Reports>(&traffik, HERE, 0).await;

    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.retry_after()), (429, Some("30")));
    assert_eq!(refused.policy(), Some(r#""reports:open";q=2"#), "a concurrency limit has no window");
    assert_eq!(refused.state(), Some(r#""reports:open";r=0"#), "the time of the next release is unknown");
    assert_eq!(refused.problem("detail"), r#""reports:open" allows 2 at once; try again in 30s"#);

    gate.add_permits(5);
    for answer in [first.await?, second.await?] {
        assert_eq!((answer.status, answer.policy()), (200, Some(r#""reports:open";q=2"#)));
    }
    until_free::<Reports>(&traffik, HERE, 2).await;
    assert_eq!(server.get("/").await.body, "1 left");
    until_free::<Reports>(&traffik, HERE, 2).await;
    Ok(())
}

#[tokio::test]
async fn disconnected_client_releases_its_permit() -> Result {
    let (traffik, _) = traffik();
    let (app, _gate) = gated(&traffik);
    let server = Server::start(app).await;
    for _ in 0..20 {
        let one = server.open("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let other = server.open("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        until_free::<Reports>(&traffik, HERE, 0).await;
        // With a TCP reset, and with an orderly close.
        one.set_zero_linger()?;
        drop((one, other));
        until_free::<Reports>(&traffik, HERE, 2).await;
    }
    Ok(())
}

#[tokio::test]
async fn layer_holds_the_permit_until_a_streamed_body_ends_or_is_dropped() -> Result {
    let (traffik, _) = traffik();
    // The handler echoes the body as long as more arrives.
    let echo = |request: Request| async { Body::from_stream(request.into_body().into_data_stream()) };
    let app = Router::new().route("/", post(echo)).layer(throttle_layer::<Reports>()).layer(traffik.layer());
    let server = Server::start(app).await;
    let begin = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n7\r\na piece\r\n";
    let (one, other) = (server.open(begin).await, server.open(begin).await);
    for stream in [&one, &other] {
        stream.readable().await?;
    }
    until_idle().await;
    assert_eq!(free::<Reports>(&traffik, HERE).await, 0, "the responses have begun and continue");
    assert_eq!(server.send(Request::post("/"), "another").await.status, 429);
    drop(one);
    until_free::<Reports>(&traffik, HERE, 1).await;
    assert_eq!(other.try_write(b"0\r\n\r\n")?, 5);
    assert!(read_to_end(other).await.contains("a piece"));
    until_free::<Reports>(&traffik, HERE, 2).await;
    Ok(())
}

#[tokio::test]
async fn later_refusal_releases_the_permit_once() -> Result {
    let (traffik, _) = traffik();
    let app =
        Router::new().route("/", get(|_: Throttled<Reports>, _: Throttled<Narrow>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!(server.get("/").await.status, 200);
    let _held = traffik.limiter::<Reports>(HERE).check().await?;
    for _ in 0..3 {
        let refused = server.get("/").await;
        assert_eq!((refused.status, refused.state()), (429, Some(r#""reports:open";r=1, "narrow";r=0;t=60"#)));
        assert_eq!(free::<Reports>(&traffik, HERE).await, 1);
    }
    Ok(())
}

#[tokio::test]
async fn extension_without_a_layer_holds_the_permit_in_the_handler() -> Result {
    let (traffik, _) = traffik();
    let gate = Arc::new(Semaphore::new(0));
    let at_gate = Arc::clone(&gate);
    let app = Router::new()
        .route("/", get(move |permit: Throttled<Reports>| waiting(permit, at_gate)))
        .layer(axum::Extension(traffik.clone()));
    let server = Arc::new(Server::start(app).await);
    let asking = Arc::clone(&server);
    let first = tokio::spawn(async move { asking.get("/").await });
    until_free::<Reports>(&traffik, HERE, 1).await;
    gate.add_permits(1);
    assert_eq!(first.await?.status, 200);
    until_free::<Reports>(&traffik, HERE, 2).await;
    Ok(())
}

#[tokio::test]
async fn x_ratelimit_fields_of_a_concurrency_limit_have_no_reset() -> Result {
    let (builder, _) = crate::http::app::builder();
    let traffik = builder.fields(Fields::both()).build()?;
    let app = Router::new().route("/", get(|_: Throttled<Reports>| async {})).layer(traffik.layer());
    let reply = Server::start(app).await.get("/").await;
    assert_eq!((reply.header("x-ratelimit-limit"), reply.header("x-ratelimit-remaining")), (Some("2"), Some("1")));
    assert_eq!(reply.header("x-ratelimit-reset"), None);
    Ok(())
}
