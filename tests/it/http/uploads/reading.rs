//! Rejected uploads whose clients can read the response.

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
use traffik::{Rate, Settings, Throttled, throttle_layer};

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

throttle!(
    OfPlans,
    "of-plans",
    "1/min",
    Settings::new().cost_of(|_| Err::<u64, _>((StatusCode::PAYMENT_REQUIRED, "upgrade your plan")))
);
throttle!(
    OfRates,
    "of-rates",
    "1/min",
    Settings::new().rate_of(|_, _| Err::<Rate, _>((StatusCode::CONFLICT, "choose a plan")))
);

/// Returns the status and the beginning of the body that a client reads after it wrote 8 MiB.
async fn upload(server: &Server, path: &str, framing: Framing) -> (u16, String) {
    let upload = async { Client::connect(server).await?.upload(path, framing, 8 * MIB).await };
    match upload.await {
        Ok(response) => (response.status, response.body.chars().take(12).collect()),
        Err(error) => (0, format!("{path}, {framing:?}: {error}")),
    }
}

#[tokio::test]
async fn upload_over_the_limit_gets_its_response_from_any_check() {
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
async fn connection_of_a_refused_upload_can_be_reused() {
    let (builder, clock) = builder();
    // The clock advances before the refused upload is drained.
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
async fn upload_refused_by_a_layer_under_an_extension_gets_its_response() {
    let (traffik, _) = traffik();
    let server = Server::start(uploads().layer(Extension(traffik.clone()))).await;
    let _ = traffik.limiter::<Uploads>(HERE).check().await.unwrap();

    for framing in FRAMINGS {
        assert_eq!(upload(&server, "/layer", framing).await.0, 429);
    }
}

#[tokio::test]
async fn upload_rejected_for_another_reason_gets_its_response() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/users", post(|_: Throttled<OfUsers>| async {}))
        .route("/users/layer", post(|| async {}).layer(throttle_layer::<OfUsers>()))
        .route("/plans", post(|_: Throttled<OfPlans>| async {}))
        .route("/plans/layer", post(|| async {}).layer(throttle_layer::<OfPlans>()))
        .route("/rates", post(|_: Throttled<OfRates>| async {}))
        .merge(uploads())
        .layer(traffik.layer());
    let server = Server::start(app.clone()).await;
    let without_peers = Server::start_without_peers(app).await;

    for framing in FRAMINGS {
        assert_eq!(upload(&server, "/users", framing).await, (401, "who are you?".to_owned()));
        assert_eq!(upload(&server, "/users/layer", framing).await, (401, "who are you?".to_owned()));
        assert_eq!(upload(&server, "/plans", framing).await, (402, "upgrade your".to_owned()));
        assert_eq!(upload(&server, "/plans/layer", framing).await, (402, "upgrade your".to_owned()));
        assert_eq!(upload(&server, "/rates", framing).await, (409, "choose a pla".to_owned()));
        assert_eq!(upload(&without_peers, "/attribute", framing).await, (500, "traffik: a t".to_owned()));
    }
    traffik.close().await.unwrap();
    for path in PATHS {
        assert_eq!(upload(&server, path, Framing::ContentLength).await.0, 503);
    }
}

/// Reads a piece of the body and passes on the rest.
async fn looks_at_the_start(mut request: Request, next: Next) -> Response {
    let first = request.body_mut().frame().await;
    assert!(matches!(first, Some(Ok(frame)) if frame.is_data()));
    next.run(request).await
}

#[tokio::test]
async fn partly_read_body_is_drained() {
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
async fn concurrent_refused_uploads_all_get_their_responses() {
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
