//! Limits around a tonic server, seen by a tonic client.

use std::error::Error;

use axum::{
    http::request::Parts,
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code,
    transport::{Channel, Server, server::TcpConnectInfo},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use traffik::{Bypass, Client, Limited, Rule, Traffik, throttle_layer};

use super::app::{builder, throttle};

throttle!(Checks, "grpc:checks", "2/min");
throttle!(Others, "grpc:others", "1/min");

/// Same as in the guide.
fn resource_exhausted(_: &Limited) -> Response {
    let fields = [("content-type", "application/grpc"), ("grpc-status", "8"), ("grpc-message", "over the limit")];
    fields.into_response()
}

/// Same as in the guide.
fn by_peer(parts: &Parts) -> Client {
    match parts.extensions.get::<TcpConnectInfo>() {
        Some(info) => info.remote_addr().map_or(Client::from("unknown"), |address| address.ip().into()),
        None => Client::from("unknown"),
    }
}

async fn serve(traffik: &Traffik) -> Result<HealthClient<Channel>, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let (_, health) = tonic_health::server::health_reporter();
    let policy = throttle_layer::<(Checks, Others)>()
        .rule::<Checks>(Rule::path("/grpc.health.v1.Health/*"))
        .bypass::<Others>(Bypass::prefix("/grpc.health.v1.Health"));
    // The first layer is the outermost.
    let server = Server::builder().layer(traffik.layer()).layer(policy).add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    Ok(HealthClient::new(Channel::from_shared(address)?.connect().await?))
}

#[tokio::test]
async fn grpc_client_over_the_limit_gets_a_status() {
    let (builder, _) = builder();
    let traffik = builder.identity(by_peer).responder(resource_exhausted).build().unwrap();
    let mut client = serve(&traffik).await.unwrap();
    let check = || HealthCheckRequest { service: String::new() };

    let served = client.check(check()).await.unwrap();
    assert_eq!(served.metadata().get("ratelimit").unwrap(), r#""grpc:checks";r=1;t=60"#);
    client.check(check()).await.unwrap();
    let refused = client.check(check()).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::ResourceExhausted, "over the limit"));
    assert_eq!(refused.metadata().get("retry-after").unwrap(), "60");
    // The client is the address that tonic provides.
    let standing = traffik.limiter::<Checks>(super::app::HERE).peek().await.unwrap();
    assert_eq!(standing.tightest().remaining(), 0);
}
