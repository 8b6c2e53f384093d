//! A message holds no permit. Its connection does.

use std::time::Duration;

use axum::{Router, extract::WebSocketUpgrade, response::Response, routing::any};
use tests::until;
use tokio_tungstenite::tungstenite::Error;
use traffik::{Throttled, Traffik, web::ws::Messages};

use super::{
    Chat, Connect, Open,
    rig::{Client, echo, start, too_many, traffik},
};
use crate::http::app::HERE;

/// Returns the status and body of a refused handshake.
async fn refused(traffik: &Traffik, path: &str) -> Option<(u16, String)> {
    async fn alone(messages: Messages<Open>, upgrade: WebSocketUpgrade) -> Response {
        upgrade.on_upgrade(async move |socket| drop(messages.throttle(socket)))
    }
    async fn together(messages: Messages<(Chat, Open)>, upgrade: WebSocketUpgrade) -> Response {
        upgrade.on_upgrade(async move |socket| drop(messages.throttle(socket)))
    }
    async fn held(_: Throttled<Open>, messages: Messages<Open>, upgrade: WebSocketUpgrade) -> Response {
        upgrade.on_upgrade(async move |socket| drop(messages.throttle(socket)))
    }
    async fn connection(messages: Messages<Chat>, each: Messages<Open>, upgrade: WebSocketUpgrade) -> Response {
        upgrade.on_upgrade(async move |socket| drop(messages.and_per_connection(&each).throttle(socket)))
    }
    let app = Router::new()
        .route("/alone", any(alone))
        .route("/together", any(together))
        .route("/held", any(held))
        .route("/connection", any(connection));
    let address = start(app.layer(traffik.layer())).await;
    match Client::try_connect(address, path).await {
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            Some((response.status().as_u16(), body.into_owned()))
        }
        _ => None,
    }
}

#[tokio::test]
async fn concurrency_limit_for_messages_is_an_error_that_names_the_fix() {
    for path in ["/alone", "/together", "/held", "/connection"] {
        let (traffik, _) = traffik();
        let (status, body) = refused(&traffik, path).await.unwrap();
        assert_eq!(status, 500, "{path}");
        for part in
            ["it::ws::Open", r#""ws:open""#, "as a `Throttled` argument", "into the task of the socket", "60/min"]
        {
            assert!(body.contains(part), "{path}: {part} is not in {body}");
        }
        // Nothing was charged, and no permit is held.
        assert_eq!(traffik.limiter::<Open>(HERE).peek().await.unwrap().tightest().remaining(), 2);
        assert_eq!(traffik.limiter::<Chat>(HERE).peek().await.unwrap().tightest().remaining(), 3);
    }
}

/// This is a mistake in the program, so tests with a disabled app must find it as well.
#[tokio::test]
async fn concurrency_limit_for_messages_is_an_error_in_a_disabled_app() {
    let (status, body) = refused(&Traffik::disabled(), "/together").await.unwrap();
    assert_eq!(status, 500);
    assert!(body.contains("as a `Throttled` argument"), "{body}");
}

#[tokio::test]
async fn permits_rates_and_messages_are_limited_independently() {
    async fn handler(
        permit: Throttled<(Connect, Open)>,
        messages: Messages<Chat>,
        upgrade: WebSocketUpgrade,
    ) -> Response {
        upgrade.on_upgrade(async move |socket| {
            let _permit = permit;
            echo(messages.throttle(socket)).await;
        })
    }
    let (traffik, clock) = traffik();
    let address = start(Router::new().route("/", any(handler)).layer(traffik.layer())).await;
    let mut first = Client::connect(address).await;
    let second = Client::connect(address).await;
    assert!(Client::try_connect(address, "/").await.is_err());

    // Messages over the limit do not release permits.
    for said in ["one", "two", "three"] {
        assert_eq!(first.ask(said).await, said);
    }
    assert_eq!(first.ask("four").await, too_many(60));
    assert_eq!(traffik.limiter::<Open>(HERE).peek().await.unwrap().tightest().remaining(), 0);

    // A free permit or room in the rate alone is not enough.
    drop(second);
    until("a permit is free", async || traffik.limiter::<Open>(HERE).peek().await.unwrap().tightest().remaining() == 1)
        .await;
    assert!(Client::try_connect(address, "/").await.is_err());
    clock.advance(Duration::from_secs(20));
    assert!(Client::try_connect(address, "/").await.is_err());
    clock.advance(Duration::from_secs(40));
    let third = Client::connect(address).await;
    assert_eq!(first.ask("five").await, "five");
    drop(third);
}
