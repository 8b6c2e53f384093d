//! The bytes of a refusal.

use std::time::Duration;

use axum::{Router, http::Request, routing::get};
use traffik::{Settings, Throttled, strategy::TokenBucket};

use super::{
    app::{throttle, traffik},
    server::{Server, read_to_end},
};

throttle!(Burst, "search:burst", "5/min", Settings::new().strategy(TokenBucket::new()));
throttle!(Sustained, "search:sustained", "50/hour");

const REFUSED: &str = r#"HTTP/1.1 429 Too Many Requests
cache-control: no-store
content-length: 226
content-type: application/problem+json
ratelimit-policy: "search:burst";q=5;w=60, "search:sustained";q=50;w=3600
ratelimit: "search:burst";r=0;t=12, "search:sustained";r=41;t=2520
retry-after: 12

{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Too Many Requests","status":429,"detail":"\"search:burst\" allows 5 requests per minute; try again in 12s","violated-policies":["search:burst"]}"#;

/// Returns a server that refuses our next request for 12 s, 18 minutes into the hour.
async fn refusing() -> Server {
    let (traffik, clock) = traffik();
    let app =
        Router::new().route("/", get(|_: Throttled<(Burst, Sustained)>| async { "found" })).layer(traffik.layer());
    let server = Server::start(app).await;
    for _ in 0..4 {
        assert_eq!(server.get("/").await.status, 200);
    }
    clock.advance(Duration::from_secs(18 * 60));
    for _ in 0..5 {
        assert_eq!(server.get("/").await.status, 200);
    }
    server
}

#[tokio::test]
async fn refusal_has_exactly_these_bytes() {
    let server = refusing().await;

    let stream = server.open("GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    let response = read_to_end(stream).await;

    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let (status, headers) = head.split_once("\r\n").unwrap();
    let of_the_connection = |line: &&str| !line.starts_with("date: ") && !line.starts_with("connection: ");
    let mut headers: Vec<_> = headers.split("\r\n").filter(of_the_connection).collect();
    headers.sort_unstable();
    assert_eq!(format!("{status}\n{}\n\n{body}", headers.join("\n")), REFUSED);
}

#[tokio::test]
async fn repeated_refusal_is_identical_and_charges_nothing() {
    let server = refusing().await;

    let first = server.get("/").await;
    for _ in 0..10 {
        let again = server.get("/").await;
        assert_eq!((again.status, again.state(), &again.body), (429, first.state(), &first.body));
    }
}

#[tokio::test]
async fn head_request_gets_the_refusal_without_a_body() {
    let server = refusing().await;

    let reply = server.send(Request::head("/"), "").await;
    assert_eq!((reply.status, reply.body.as_str()), (429, ""));
    assert_eq!((reply.retry_after(), reply.header("content-length")), (Some("12"), Some("226")));
    assert_eq!(reply.state(), Some(r#""search:burst";r=0;t=12, "search:sustained";r=41;t=2520"#));
}

#[tokio::test]
async fn display_of_a_rejection_is_the_detail_of_the_response() {
    let (traffik, _) = traffik();
    let handler = |permit: Result<Throttled<Sustained>, traffik::ThrottleRejection>| async move {
        permit.map_or_else(|rejection| rejection.to_string(), |_| "found".to_owned())
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    let server = Server::start(app).await;
    for _ in 0..50 {
        server.get("/").await;
    }

    let reply = server.get("/").await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (200, r#""search:sustained" allows 50 requests per hour; try again in 1h"#)
    );
}
