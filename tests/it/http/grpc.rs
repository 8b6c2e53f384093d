//! Limits around gRPC, seen by a tonic client and on the wire.

use std::error::Error;

use axum::{
    Router,
    http::{Request, request::Parts},
    routing::{get, post},
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code,
    service::Routes,
    transport::{Channel, Server, server::TcpConnectInfo},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use traffik::{
    Bypass, Client, MemoryBackend, Rule, Throttled, Traffik, on_error::Raise, test::ManualClock, throttle_layer,
};

use super::{
    app::{builder, throttle, traffik},
    backends::Unsteady,
    server,
};

throttle!(Checks, "grpc:checks", "2/min");
throttle!(Others, "grpc:others", "1/min");
throttle!(Percent, "100%", "1/min");

/// Same as in the guide.
fn by_peer(parts: &Parts) -> Client {
    match parts.extensions.get::<TcpConnectInfo>() {
        Some(info) => info.remote_addr().map_or(Client::from("unknown"), |address| address.ip().into()),
        None => Client::from("unknown"),
    }
}

async fn connect(address: String) -> Result<HealthClient<Channel>, Box<dyn Error>> {
    Ok(HealthClient::new(Channel::from_shared(address)?.connect().await?))
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
    connect(address).await
}

fn check() -> HealthCheckRequest {
    HealthCheckRequest { service: String::new() }
}

#[tokio::test]
async fn grpc_client_over_the_limit_gets_a_status() {
    let (builder, _) = builder();
    let traffik = builder.identity(by_peer).build().unwrap();
    let mut client = serve(&traffik).await.unwrap();

    let served = client.check(check()).await.unwrap();
    assert_eq!(served.metadata().get("ratelimit").unwrap(), r#""grpc:checks";r=1;t=60"#);
    client.check(check()).await.unwrap();
    let refused = client.check(check()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(refused.message(), r#""grpc:checks" allows 2 requests per minute; try again in 1m"#);
    assert_eq!(refused.metadata().get("retry-after").unwrap(), "60");
    assert_eq!(refused.metadata().get("ratelimit").unwrap(), r#""grpc:checks";r=0;t=60"#);
    // The client is the address that tonic provides.
    let standing = traffik.limiter::<Checks>(super::app::HERE).peek().await.unwrap();
    assert_eq!(standing.tightest().remaining(), 0);
}

#[tokio::test]
async fn json_and_grpc_routes_of_one_app_need_no_settings() {
    let (traffik, _) = traffik();
    let (_, health) = tonic_health::server::health_reporter();
    let app = Routes::new(health)
        .into_axum_router()
        .layer(throttle_layer::<Checks>())
        .route("/json", get(|_: Throttled<Checks>| async {}))
        .layer(traffik.layer());
    let server = server::Server::start(app).await;
    let mut client = connect(format!("http://{}", server.address)).await.unwrap();

    client.check(check()).await.unwrap();
    assert_eq!(server.get("/json").await.status, 200);
    let refused = client.check(check()).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.metadata().get("retry-after").unwrap().as_bytes()),
        (Code::ResourceExhausted, &b"60"[..])
    );
    let json = server.get("/json").await;
    assert_eq!((json.status, json.retry_after()), (429, Some("60")));
    assert_eq!(json.header("content-type"), Some("application/problem+json"));
}

async fn post_as(server: &server::Server, content_type: &str) -> server::Reply {
    server.send(Request::post("/").header("content-type", content_type).header("accept", "text/html"), "").await
}

#[tokio::test]
async fn grpc_status_is_in_the_head_of_a_response_without_a_body() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", post(|_: Throttled<Percent>| async {})).layer(traffik.layer());
    let server = server::Server::start(app).await;
    post_as(&server, "application/grpc").await;

    for (content_type, answer) in [
        ("application/grpc", "application/grpc"),
        ("Application/GRPC+proto", "application/grpc"),
        ("application/grpc-web", "application/grpc-web"),
        ("application/grpc-web+proto", "application/grpc-web"),
        ("application/grpc-web-text+proto", "application/grpc-web-text"),
    ] {
        let reply = post_as(&server, content_type).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{content_type}");
        assert_eq!(reply.header("content-type"), Some(answer));
        assert_eq!(reply.header("grpc-status"), Some("8"));
        let message = r#""100%25" allows 1 request per minute; try again in 1m"#;
        assert_eq!(reply.header("grpc-message"), Some(message));
        assert_eq!((reply.retry_after(), reply.header("cache-control")), (Some("60"), Some("no-store")));
        assert_eq!((reply.policy(), reply.state()), (Some(r#""100%";q=1;w=60"#), Some(r#""100%";r=0;t=60"#)));
    }
    assert_eq!(post_as(&server, "application/connect+proto").await.status, 429);
}

#[tokio::test]
async fn outage_is_a_grpc_status() {
    let backend = Unsteady::new(MemoryBackend::with_clock("test", ManualClock::new()));
    backend.fails();
    let app = || Router::new().route("/", post(|_: Throttled<Checks>| async {}));
    let refusing = Traffik::new(backend.clone()).unwrap();
    let raising = Traffik::builder(backend).on_error(Raise).build().unwrap();
    let unchecked = "the limits of this request cannot be checked";
    for (app, status, message, retry_after) in [
        (app().layer(refusing.layer()), "14", format!("{unchecked} at present"), Some("1")),
        (app().layer(raising.layer()), "13", unchecked.to_owned(), None),
    ] {
        let reply = post_as(&server::Server::start(app).await, "application/grpc").await;
        assert_eq!((reply.status, reply.header("grpc-status")), (200, Some(status)));
        assert_eq!((reply.header("grpc-message"), reply.retry_after()), (Some(message.as_str()), retry_after));
    }
    let misconfigured = post_as(&server::Server::start(app()).await, "application/grpc").await;
    assert_eq!((misconfigured.status, misconfigured.header("grpc-status")), (200, Some("13")));
}
