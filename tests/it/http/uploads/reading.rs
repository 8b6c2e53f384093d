//! Who gets to read what turned the upload away.

use std::time::Duration;

use axum::{
    Extension, Router,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::Response,
    routing::post,
};
use http_body_util::BodyExt;
use traffik::{Settings, Throttled, throttle_layer};

use super::{
    MIB, PATHS, Uploads,
    client::{Client, FRAMINGS, Framing},
    uploads,
};
use crate::http::{
    app::{HERE, builder, throttle, traffik},
    server::Server,
};

throttle!(
    OfUsers,
    "of-users",
    "1/min",
    Settings::new().identity(|_| Err::<traffik::Client, _>((StatusCode::UNAUTHORIZED, "who are you?")))
);

/// The status and how the body begins of what a client reads that wrote 8 MiB first.
async fn upload(server: &Server, path: &str, framing: Framing) -> (u16, String) {
    let upload = async { Client::connect(server).await?.upload(path, framing, 8 * MIB).await };
    match upload.await {
        Ok(response) => (response.status, response.body.chars().take(12).collect()),
        Err(error) => (0, format!("{path}, {framing:?}: {error}")),
    }
}

#[tokio::test]
async fn whoever_is_over_the_limit_wherever_it_is_met() {
    let (traffik, _) = traffik();
    let server = Server::start(uploads().layer(traffik.layer())).await;

    for framing in FRAMINGS {
        traffik.clear().await.unwrap();
        assert_eq!(upload(&server, "/extractor", framing).await, (200, (8 * MIB).to_string()));
        for path in PATHS {
            for _ in 0..3 {
                let (status, said) = upload(&server, path, framing).await;
                assert_eq!(status, 429, "{said}");
            }
        }
    }
}

#[tokio::test]
async fn the_same_connection_goes_on_afterwards() {
    let (builder, clock) = builder();
    // The clock moves on before the last of what was refused is drained.
    let traffik = builder.drain_timeout(Duration::from_secs(3600)).build().unwrap();
    let server = Server::start(uploads().layer(traffik.layer())).await;
    let _ = traffik.limiter::<Uploads>(HERE).check().await.unwrap();

    let mut client = Client::connect(&server).await.unwrap();
    for framing in FRAMINGS {
        for path in PATHS {
            assert_eq!(client.upload(path, framing, 8 * MIB).await.unwrap().status, 429);
        }
    }
    clock.advance(Duration::from_secs(60));
    assert_eq!(client.upload("/layer", Framing::Chunked, 8 * MIB).await.unwrap().body, (8 * MIB).to_string());
}

#[tokio::test]
async fn with_the_handle_as_an_extension_those_that_a_layer_turns_away() {
    let (traffik, _) = traffik();
    let server = Server::start(uploads().layer(Extension(traffik.clone()))).await;
    let _ = traffik.limiter::<Uploads>(HERE).check().await.unwrap();

    for framing in FRAMINGS {
        assert_eq!(upload(&server, "/layer", framing).await.0, 429);
    }
}

#[tokio::test]
async fn whoever_is_turned_away_for_another_reason() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/users", post(|_: Throttled<OfUsers>| async {}))
        .route("/users/layer", post(|| async {}).layer(throttle_layer::<OfUsers>()))
        .merge(uploads())
        .layer(traffik.layer());
    let server = Server::start(app.clone()).await;
    let without_peers = Server::start_without_peers(app).await;

    for framing in FRAMINGS {
        assert_eq!(upload(&server, "/users", framing).await, (401, "who are you?".to_owned()));
        assert_eq!(upload(&server, "/users/layer", framing).await, (401, "who are you?".to_owned()));
        assert_eq!(upload(&without_peers, "/attribute", framing).await, (500, "traffik: a t".to_owned()));
    }
    traffik.close().await.unwrap();
    for path in PATHS {
        assert_eq!(upload(&server, path, Framing::ContentLength).await.0, 503);
    }
}

/// Reads a piece of the body, and hands on the rest.
async fn looks_at_the_start(mut request: Request, next: Next) -> Response {
    let first = request.body_mut().frame().await;
    assert!(matches!(first, Some(Ok(frame)) if frame.is_data()));
    next.run(request).await
}

#[tokio::test]
async fn a_body_that_was_begun_is_read_to_its_end() {
    let (traffik, _) = traffik();
    let app = uploads().layer(from_fn(looks_at_the_start)).layer(traffik.layer());
    let server = Server::start(app).await;
    let _ = traffik.limiter::<Uploads>(HERE).check().await.unwrap();

    for framing in FRAMINGS {
        for path in PATHS {
            assert_eq!(upload(&server, path, framing).await.0, 429);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_many_at_once() {
    let (traffik, _) = traffik();
    let server = Server::start(uploads().layer(traffik.layer())).await;
    let _ = traffik.limiter::<Uploads>(HERE).check().await.unwrap();

    let clients: Vec<_> = (0..50)
        .map(|nth| {
            let server = server.clone();
            tokio::spawn(async move { upload(&server, PATHS[nth % 4], FRAMINGS[nth % 2]).await.0 })
        })
        .collect();
    for client in clients {
        assert_eq!(client.await.unwrap(), 429);
    }
}
