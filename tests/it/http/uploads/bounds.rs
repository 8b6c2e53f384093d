//! Bounds of draining rejected uploads: bytes, time and number.
#![expect(clippy::expect_used, reason = "a test without its server fails")]

use std::time::Duration;

use tests::{until, until_idle};
use traffik::TraffikBuilder;

use super::{
    MIB, PATHS, Uploads,
    client::{Client, FRAMINGS, Framing},
    uploads,
};
use crate::http::{
    app::{HERE, builder},
    server::Server,
};

/// Returns a server that rejects every upload.
async fn refusing(builder: TraffikBuilder) -> Server {
    let traffik = builder.build().expect("a handle");
    let server = Server::start(uploads().layer(traffik.layer())).await;
    drop(traffik.limiter::<Uploads>(HERE).check().await.expect("a permit"));
    server
}

#[tokio::test]
async fn response_does_not_wait_for_the_body() {
    let server = refusing(builder().0).await;

    for framing in FRAMINGS {
        for path in PATHS {
            let mut client = Client::connect(&server).await.unwrap();
            client.announce(path, framing, 8 * MIB, "").await.unwrap();
            assert_eq!(client.read().await.unwrap().status, 429, "{path}");
            client.write(framing, 8 * MIB).await.unwrap();
            assert_eq!(client.upload(path, framing, MIB).await.unwrap().status, 429, "the connection stays open");
        }
    }
}

#[tokio::test]
async fn upload_beyond_the_bound_closes_the_connection() {
    let server = refusing(builder().0.drain_limit(MIB as u64)).await;

    for framing in FRAMINGS {
        for path in PATHS {
            let mut client = Client::connect(&server).await.unwrap();
            client.announce(path, framing, 256 * MIB, "").await.unwrap();
            assert_eq!(client.read().await.unwrap().status, 429);
            // More than the buffers of the machine hold, which hide the rest.
            assert!(client.write(framing, 256 * MIB).await.is_err(), "{path}, {framing:?}");
        }
    }
}

#[tokio::test]
async fn trickling_body_holds_its_connection_until_the_time_bound() {
    let (builder, clock) = builder();
    let server = refusing(builder.drain_timeout(Duration::from_secs(5))).await;

    for framing in FRAMINGS {
        for path in PATHS {
            let mut client = Client::connect(&server).await.unwrap();
            client.announce(path, framing, 8 * MIB, "").await.unwrap();
            assert_eq!(client.read().await.unwrap().status, 429);
            let closed = tokio::spawn(async move { client.closed().await });
            // The time runs from the start of draining.
            until_idle().await;
            clock.advance(Duration::from_millis(4999));
            until_idle().await;
            assert!(!closed.is_finished(), "{path}");
            clock.advance(Duration::from_millis(1));
            closed.await.unwrap();
        }
    }
}

#[tokio::test]
async fn concurrent_drains_are_bounded() {
    let server = refusing(builder().0.drains_at_once(2)).await;
    let begin = async || {
        let mut client = Client::connect(&server).await.expect("a connection");
        client.announce("/layer", Framing::ContentLength, 8 * MIB, "").await.expect("a connection");
        assert_eq!(client.read().await.expect("a response").status, 429);
        client
    };

    let (mut first, second) = (begin().await, begin().await);
    begin().await.closed().await;
    first.write(Framing::ContentLength, 8 * MIB).await.unwrap();
    drop(second);
    // There is room again once the server notices.
    until("there is room", async || begin().await.write(Framing::ContentLength, 8 * MIB).await.is_ok()).await;
}

#[tokio::test]
async fn bound_of_zero_reads_nothing() {
    let off: [fn(TraffikBuilder) -> TraffikBuilder; 3] = [
        |builder| builder.drain_limit(0),
        |builder| builder.drain_timeout(Duration::ZERO),
        |builder| builder.drains_at_once(0),
    ];
    for off in off {
        let server = refusing(off(builder().0)).await;
        for path in PATHS {
            let mut client = Client::connect(&server).await.unwrap();
            client.announce(path, Framing::ContentLength, 8 * MIB, "").await.unwrap();
            assert_eq!(client.read().await.unwrap().status, 429);
            client.closed().await;
        }
    }
}
