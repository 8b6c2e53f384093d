//! A misconfigured app responds with the line to add.

use std::net::IpAddr;

use axum::{
    Router,
    extract::{ConnectInfo, connect_info::Connected},
    http::request::Parts,
    routing::get,
    serve::IncomingStream,
};
use tokio::net::TcpListener;
use traffik::{
    Client, ClientIp, EXEMPTED, ForwardedHeader, Settings, ThrottleRejection, Throttled, Traffik, throttle_layer,
};

use super::{
    app::{builder, throttle, traffik},
    server::Server,
};

throttle!(Search, "search", "5/min");
throttle!(Once, "once", "1/min");
throttle!(Twin, "search", "7/min");
throttle!(TwoNames, "two-names", "5/min", Settings::new().identity(|_| Client::from("anybody")), AnyUser);

/// A custom identity.
struct AnyUser;

impl<S: Sync> axum::extract::FromRequestParts<S> for AnyUser {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut axum::http::request::Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self)
    }
}

impl From<AnyUser> for Client {
    fn from(_: AnyUser) -> Self {
        traffik::EXEMPTED
    }
}

#[tokio::test]
async fn missing_layer_is_a_500_that_names_the_line_to_add() {
    let (traffik, _) = traffik();
    let handler = |_: Throttled<Search>| async {};
    let apps = [
        ("no layer", Router::new().route("/", get(handler))),
        ("a route that was added later", Router::new().layer(traffik.layer()).route("/", get(handler))),
        (
            "a throttle that was added later",
            Router::new().route("/", get(|| async {})).layer(traffik.layer()).layer(throttle_layer::<Search>()),
        ),
    ];
    for (what, app) in apps {
        let reply = Server::start(app).await.get("/").await;
        assert_eq!(reply.status, 500, "{what}");
        for part in [".layer(traffik.layer())", "after its routes", "after the layers that throttle"] {
            assert!(reply.body.contains(part), "{what}: {}", reply.body);
        }
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    }
}

#[tokio::test]
async fn missing_peer_address_is_a_500_that_names_the_serve_call() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Search>| async {}))
        .route("/open", get(|| async {}))
        .layer(traffik.layer());
    let server = Server::start_without_peers(app).await;

    let reply = server.get("/").await;
    assert_eq!(reply.status, 500);
    for part in [
        "into_make_service_with_connect_info::<SocketAddr>()",
        "with_peer",
        "Traffik::builder(..).identity(..)",
        "share_anonymous_clients()",
    ] {
        assert!(reply.body.contains(part), "{}", reply.body);
    }
    assert_eq!(server.get("/open").await.status, 200);
}

#[derive(Clone)]
struct Peer(IpAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(stream.remote_addr().ip())
    }
}

#[tokio::test]
async fn connected_type_of_the_app_is_a_500_until_an_identity_reads_it() {
    let app = |traffik: &Traffik| Router::new().route("/", get(|_: Throttled<Once>| async {})).layer(traffik.layer());
    let server = Server::start_with_connect_info::<Peer>(app(&traffik().0)).await;
    let reply = server.get("/").await;
    assert_eq!(reply.status, 500);
    for part in ["your own `Connected` type", "from the extensions of the request", "Traffik::builder(..).identity(..)"]
    {
        assert!(reply.body.contains(part), "{}", reply.body);
    }

    let by_peer = |parts: &Parts| parts.extensions.get().map_or(EXEMPTED, |ConnectInfo(Peer(ip))| Client::from(*ip));
    let traffik = builder().0.identity(by_peer).build().unwrap();
    let server = Server::start_with_connect_info::<Peer>(app(&traffik)).await;
    let another = server.from([127, 0, 0, 2].into());
    let statuses = [server.get("/").await.status, server.get("/").await.status, another.get("/").await.status];
    assert_eq!(statuses, [200, 429, 200]);
}

#[cfg(unix)]
#[tokio::test]
async fn request_over_unix_socket_is_a_500_that_names_the_setting_for_it() {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{UnixListener, UnixStream},
    };

    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Search>| async {})).layer(traffik.layer());
    let path = std::env::temp_dir().join(format!("traffik-test-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut stream = UnixStream::connect(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 500 "), "{reply}");
    for part in ["On a Unix socket", "Traffik::builder(..).client_ip(ClientIp::behind_unix_socket())"] {
        assert!(reply.contains(part), "{reply}");
    }
}

#[tokio::test]
async fn request_over_unix_socket_without_the_header_is_a_500_that_names_it() {
    let client_ip = ClientIp::behind_unix_socket().header(ForwardedHeader::XRealIp);
    let traffik = builder().0.client_ip(client_ip).build().unwrap();
    let app = Router::new().route("/", get(|_: Throttled<Search>| async {})).layer(traffik.layer());
    let server = Server::start_without_peers(app).await;

    let reply = server.get("/").await;
    assert_eq!(reply.status, 500);
    for part in ["x-real-ip", "ClientIp::behind_unix_socket().header(..)", "share_anonymous_clients()"] {
        assert!(reply.body.contains(part), "{}", reply.body);
    }
    let request = axum::http::Request::get("/").header("x-real-ip", "203.0.113.7");
    assert_eq!(server.send(request, "").await.status, 200);
}

#[tokio::test]
async fn handler_that_catches_a_misconfiguration_sees_its_kind() {
    let (traffik, _) = traffik();
    let handler = |permit: Result<Throttled<Search>, ThrottleRejection>| async move {
        matches!(permit, Err(ThrottleRejection::Misconfigured(_))).to_string()
    };
    let missing = Router::new().route("/", get(handler));
    assert_eq!(Server::start(missing.clone()).await.get("/").await.body, "true", "no layer");
    let no_peer = missing.layer(traffik.layer());
    assert_eq!(Server::start_without_peers(no_peer).await.get("/").await.body, "true", "no peer");
}

#[tokio::test]
async fn throttle_with_two_identities_is_a_500_with_the_config_error() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<TwoNames>| async {})).layer(traffik.layer());
    let reply = Server::start(app).await.get("/").await;

    let error = traffik.register::<TwoNames>().unwrap_err().to_string();
    assert_eq!((reply.status, reply.body), (500, format!("traffik: {error}")));
    assert!(error.contains("has two identities") && error.contains("TwoNames"), "{error}");

    let built = builder().0.register::<TwoNames>().build();
    assert_eq!(built.map(|_| ()).unwrap_err().to_string(), error);
}

#[tokio::test]
async fn shared_uid_is_a_500_that_names_both_throttles() {
    let (traffik, _) = traffik();
    let app = |traffik: &Traffik| {
        Router::new()
            .route("/", get(|_: Throttled<Search>| async {}))
            .route("/twin", get(|_: Throttled<Twin>| async {}))
            .route("/both", get(|_: Throttled<(Search, Twin)>| async {}))
            .layer(traffik.layer())
    };
    let server = Server::start(app(&traffik)).await;

    assert_eq!(server.get("/").await.status, 200);
    for path in ["/twin", "/both"] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, reply.state()), (500, None));
        for part in ["::Search", "::Twin", r#""search""#] {
            assert!(reply.body.contains(part), "{}", reply.body);
        }
    }
    assert_eq!(
        server.get("/").await.state(),
        Some(r#""search";r=3;t=60"#),
        "the first throttle still works and was not charged"
    );

    let server = Server::start(app(&builder().0.build().unwrap())).await;
    let statuses = [server.get("/twin").await.status, server.get("/").await.status, server.get("/twin").await.status];
    assert_eq!(statuses, [200, 500, 200], "another app can use the second throttle");
}
