//! A handshake is checked like any other request.
#![expect(clippy::panic, reason = "a test whose handshake is not refused fails")]

use axum::{Router, extract::WebSocketUpgrade, response::Response, routing::any};
use tokio_tungstenite::tungstenite::{Error, http::Response as Refusal};
use traffik::{Throttled, throttled, web::ws::Messages};

use super::{
    Chat, Connect,
    rig::{Client, echo, start, too_many, traffik},
};

async fn by_argument(_: Throttled<Connect>, messages: Messages<Chat>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |socket| {
        echo(messages.throttle(socket)).await;
    })
}

#[throttled(Connect)]
async fn by_attribute(messages: Messages<Chat>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |socket| {
        echo(messages.throttle(socket)).await;
    })
}

async fn refused(address: std::net::SocketAddr, path: &str) -> Refusal<Option<Vec<u8>>> {
    match Client::try_connect(address, path).await {
        Err(Error::Http(response)) => *response,
        other => panic!("{other:?}"),
    }
}

fn field<'a, B>(response: &'a Refusal<B>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

#[tokio::test]
async fn handshake_over_the_limit_is_a_429_without_an_upgrade() {
    for path in ["/argument", "/attribute"] {
        let (traffik, _) = traffik();
        let app = Router::new()
            .route("/argument", any(by_argument))
            .route("/attribute", any(by_attribute))
            .layer(traffik.layer());
        let address = start(app).await;

        let (mut first, response) = Client::try_connect(address, path).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), field(&response, "ratelimit")),
            (101, Some(r#""ws:connect";r=1;t=60"#))
        );
        let mut second = Client::try_connect(address, path).await.unwrap().0;

        let refusal = refused(address, path).await;
        assert_eq!(refusal.status(), 429);
        assert_eq!(field(&refusal, "retry-after"), Some("60"));
        assert_eq!(field(&refusal, "content-type"), Some("application/problem+json"));
        assert_eq!(field(&refusal, "upgrade"), None);

        // Open connections stay open, and the refused handshake charged nothing to the message limit.
        assert_eq!(first.ask("one").await, "one");
        assert_eq!(second.ask("two").await, "two");
        assert_eq!(first.ask("three").await, "three");
        assert_eq!(second.ask("four").await, too_many(60));
    }
}

#[tokio::test]
async fn charge_of_the_handshake_is_separate_from_messages() {
    let (traffik, _) = traffik();
    let handler = async |_: Throttled<Chat>, messages: Messages<Chat>, upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async move |socket| {
            echo(messages.throttle(socket)).await;
        })
    };
    let address = start(Router::new().route("/", any(handler)).layer(traffik.layer())).await;

    let mut client = Client::connect(address).await;
    assert_eq!(client.ask("one").await, "one");
    assert_eq!(client.ask("two").await, "two");
    assert_eq!(client.ask("three").await, too_many(60));
}

#[tokio::test]
async fn misconfigured_handshake_is_a_500_that_names_the_fix() {
    let handler = async |messages: Messages<Chat>, upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async move |socket| {
            echo(messages.throttle(socket)).await;
        })
    };
    let refusal = refused(start(Router::new().route("/", any(handler))).await, "/").await;
    assert_eq!(refusal.status(), 500);
    assert!(String::from_utf8_lossy(refusal.body().as_ref().unwrap()).contains("`.layer(traffik.layer())`"));

    let (traffik, _) = traffik();
    let app = Router::new().route("/", any(handler)).layer(traffik.layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let refusal = refused(address, "/").await;
    assert_eq!(refusal.status(), 500);
    let body = String::from_utf8_lossy(refusal.body().as_ref().unwrap()).into_owned();
    assert!(body.contains("into_make_service_with_connect_info"), "{body}");
}
