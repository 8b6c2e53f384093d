//! A permit that ends with the handler while its response continues is warned of.

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    Router,
    body::Body,
    extract::ws::WebSocketUpgrade,
    http::{Request, header::CONTENT_ENCODING},
    middleware::from_extractor,
    response::{IntoResponse, Response},
    routing::{MethodRouter, any, get},
};
use futures_util::stream;
use hyper::{client::conn::http2, ext::Protocol};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::client_async;
use traffik::{Throttled, TraffikBuilder, throttle_layer, warning::Warning};

use super::{Result, places};
use crate::http::{
    app::builder,
    logs::Log,
    server::{Server, read_to_end},
};

places!(Open, "early:open", "9/30s");

fn streaming() -> Body {
    Body::from_stream(stream::iter(["one", "two"].map(Ok::<_, Infallible>)))
}

/// Returns the number of warnings of a request to this route, and of the next request.
async fn warnings(route: MethodRouter, settings: fn(TraffikBuilder) -> TraffikBuilder) -> Result<usize> {
    let (log, _guard) = Log::begin();
    let traffik = settings(builder().0).build()?;
    let server = Server::start(Router::new().route("/", route).layer(traffik.layer())).await;
    for _ in 0..2 {
        read_to_end(server.open("GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await).await;
    }
    Ok(log.text().matches("warning=\"permit-ends-early\"").count())
}

/// Returns the number of warnings of a handshake.
async fn warnings_of_socket(route: MethodRouter) -> Result<usize> {
    let (log, _guard) = Log::begin();
    let app = Router::new().route("/", route).layer(builder().0.build()?.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    for _ in 0..2 {
        client_async(format!("ws://{address}/"), TcpStream::connect(address).await?).await?;
    }
    server.abort();
    let text = log.text();
    assert!(text.lines().all(|line| line.contains("early:open")), "{text}");
    Ok(text.matches("warning=\"permit-ends-early\"").count())
}

#[tokio::test]
async fn socket_that_outlives_its_permit_is_warned_of() -> Result {
    let dropped = |_: Throttled<Open>, upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(|_| async {}) };
    assert_eq!(warnings_of_socket(get(dropped)).await?, 1);
    assert_eq!(warnings_of_socket(get(dropped).layer(throttle_layer::<Open>())).await?, 1);

    let kept =
        |permit: Throttled<Open>, upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(|_| async { drop(permit) }) };
    assert_eq!(warnings_of_socket(get(kept)).await?, 0);
    Ok(())
}

#[tokio::test]
async fn socket_over_http_2_that_outlives_its_permit_is_warned_of() -> Result {
    let (log, _guard) = Log::begin();
    let socket = |_: Throttled<Open>, upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(|_| async {}) };
    let app = Router::new().route("/", any(socket)).route("/plain", get(|_: Throttled<Open>| async {}));
    let server = Server::start(app.layer(builder().0.build()?.layer())).await;
    let stream = TokioIo::new(TcpStream::connect(server.address).await?);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
    tokio::spawn(connection);
    let url = |path| format!("http://{}{path}", server.address);
    // The answer shows that the settings of the server have arrived.
    assert_eq!(sender.send_request(Request::get(url("/plain")).body(String::new())?).await?.status(), 200);
    let head = Request::connect(url("/")).extension(Protocol::from_static("websocket"));
    let handshake = head.header("sec-websocket-version", "13").body(String::new())?;
    assert_eq!(sender.send_request(handshake).await?.status(), 200);
    assert_eq!(log.text().matches("warning=\"permit-ends-early\"").count(), 1, "{}", log.text());
    Ok(())
}

#[tokio::test]
async fn stream_that_outlives_its_permit_is_warned_of() -> Result {
    let dropped = |_: Throttled<Open>| async { streaming() };
    assert_eq!(warnings(get(dropped), |app| app).await?, 1);
    assert_eq!(warnings(get(dropped), |app| app.silence(Warning::PermitEndsEarly)).await?, 0);
    assert_eq!(warnings(get(dropped).layer(throttle_layer::<Open>()), |app| app).await?, 0);

    let inner = || async { streaming() };
    assert_eq!(warnings(get(inner).layer(from_extractor::<Throttled<Open>>()), |app| app).await?, 1);
    assert_eq!(warnings(get(inner).layer(throttle_layer::<Open>()), |app| app).await?, 0);
    Ok(())
}

#[tokio::test]
async fn response_of_known_length_or_encoded_is_not_warned_of() -> Result {
    let encoded = |_: Throttled<Open>| async { ([(CONTENT_ENCODING, "gzip")], streaming()) };
    assert_eq!(warnings(get(encoded), |app| app).await?, 0);
    let whole = |_: Throttled<Open>| async { "whole" };
    assert_eq!(warnings(get(whole), |app| app).await?, 0);
    let empty = |_: Throttled<Open>| async { Response::new(Body::empty()).into_response() };
    assert_eq!(warnings(get(empty), |app| app).await?, 0);
    Ok(())
}
