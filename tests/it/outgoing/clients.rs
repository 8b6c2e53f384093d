//! The usual clients, over TCP.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Body, http, routing::get};
use http_body_util::BodyExt;
use hyper_util::{client::legacy, rt::TokioExecutor};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::{Layer, ServiceExt, service_fn};
use traffik::{
    DefaultIdentity, Gcra, Rate, Settings, Throttle, Throttled, Traffik, backend::MemoryBackend,
    outgoing::OutgoingLayer,
};

use super::Result;

// The API allows a burst, which is the room for calls that arrive late.
throttles! {
    Allowed: "outgoing:allowed", "20/s", Settings::new().strategy(Gcra::new().burst(5));
    Asked: "outgoing:asked", "20/s", Settings::new().strategy(Gcra::new());
}

const CALLS: usize = 8;

/// Starts an API that refuses who asks too often.
async fn api() -> Result<String> {
    async fn answer(_: Throttled<Allowed>) -> &'static str {
        "an answer"
    }

    let traffik = Traffik::new(MemoryBackend::new("api"))?;
    let app = Router::new().route("/", get(answer)).layer(traffik.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("http://{}/", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(uri)
}

fn layer() -> Result<OutgoingLayer<Asked>> {
    Ok(Traffik::new(MemoryBackend::new("app"))?.outgoing::<Asked>().wait(Duration::from_secs(60)))
}

#[tokio::test]
async fn client_of_hyper_waits_for_its_turns() -> Result {
    let uri = api().await?;
    let client = layer()?.layer(legacy::Client::builder(TokioExecutor::new()).build_http::<Body>());
    for _ in 0..CALLS {
        let response = client.clone().oneshot(http::Request::get(&uri).body(Body::empty())?).await?;
        assert_eq!(response.status(), 200);
        assert_eq!(response.into_body().collect().await?.to_bytes(), "an answer");
    }
    Ok(())
}

#[tokio::test]
async fn client_of_reqwest_waits_for_its_turns() -> Result {
    let uri = api().await?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    // Same as in the guide.
    let client = layer()?.layer(service_fn(move |request: http::Request<reqwest::Body>| {
        let call = reqwest::Request::try_from(request).map(|request| client.execute(request));
        async move { call?.await.map(http::Response::from) }
    }));
    let mut calls = JoinSet::new();
    // Several at a time: fewer than the API admits together, whenever they arrive.
    for _ in 0..4 {
        let (client, uri) = (client.clone(), uri.clone());
        calls.spawn(async move {
            for _ in 0..2 {
                let request =
                    http::Request::get(&uri).body(reqwest::Body::default()).map_err(|error| error.to_string())?;
                let response = client.clone().oneshot(request).await.map_err(|error| error.to_string())?;
                let response = reqwest::Response::from(response);
                let answer = response.error_for_status().map_err(|error| error.to_string())?.text().await;
                assert_eq!(answer.map_err(|error| error.to_string())?, "an answer");
            }
            Ok::<(), String>(())
        });
    }
    while let Some(called) = calls.join_next().await {
        called??;
    }
    Ok(())
}

#[tokio::test]
async fn channel_of_tonic_waits_for_its_turns() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("http://{}", listener.local_addr()?);
    let (_, health) = tonic_health::server::health_reporter();
    tokio::spawn(Server::builder().add_service(health).serve_with_incoming(TcpListenerStream::new(listener)));

    let traffik = Traffik::new(MemoryBackend::new("app"))?;
    let channel = Channel::from_shared(uri)?.connect().await?;
    // The URI of a gRPC call has no host.
    let channel = traffik.outgoing::<Asked>().key("health").layer(channel);
    let mut client = HealthClient::new(channel);
    for _ in 0..CALLS {
        client.check(HealthCheckRequest { service: String::new() }).await?;
    }
    let hasty = traffik.outgoing::<Asked>().key("health").wait(Duration::ZERO);
    let mut calls = Vec::new();
    for _ in 0..2 {
        let channel = Channel::from_static("http://127.0.0.1:9").connect_lazy();
        calls.push(HealthClient::new(hasty.layer(channel)).check(HealthCheckRequest::default()).await);
    }
    assert!(
        calls.iter().any(|call| call.as_ref().is_err_and(|status| status.message().contains("was not made"))),
        "{calls:?}"
    );
    Ok(())
}
