//! A WebSocket holds its permit as long as its connection lives, however the connection ends.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::Response,
    routing::get,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite};
use traffik::{Throttled, Traffik, throttle_layer};

use super::{Result, free, places, until_free};
use crate::{
    http::app::{HERE, traffik},
    patience::times,
};

places!(Open, "ws:open", "200/30s");

/// The permit moves into the task of the socket.
async fn chat(open: Throttled<Open>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| async move {
        let _open = open;
        talk(socket).await;
    })
}

async fn talk(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        match message {
            Message::Text(text) if text == "go" => return,
            Message::Text(text) => assert_ne!(text, "panic", "this is meant to be"),
            _ => {}
        }
    }
}

async fn serve(traffik: &Traffik) -> std::io::Result<SocketAddr> {
    let app = Router::new().route("/", get(chat)).route_layer(throttle_layer::<Open>()).layer(traffik.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

type Socket = WebSocketStream<TcpStream>;

async fn connect(address: SocketAddr) -> std::result::Result<Socket, tungstenite::Error> {
    let stream = TcpStream::connect(address).await?;
    Ok(client_async(format!("ws://{address}/"), stream).await?.0)
}

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Closed,
    Gone,
    Reset,
    HalfClosed,
    ServerLeaves,
    ServerPanics,
    BrokenFrame,
}

const ENDS: [End; 7] =
    [End::Closed, End::Gone, End::Reset, End::HalfClosed, End::ServerLeaves, End::ServerPanics, End::BrokenFrame];

async fn end(mut socket: Socket, how: End) -> Result {
    use tokio::io::AsyncWriteExt;
    match how {
        End::Closed => socket.close(None).await?,
        End::Gone => drop(socket),
        End::Reset => {
            socket.get_ref().set_zero_linger()?;
            drop(socket);
        }
        End::HalfClosed => {
            socket.get_mut().shutdown().await?;
            // The server still reads the sent bytes, and no more follow.
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                drop(socket);
            });
        }
        End::ServerLeaves => send(&mut socket, "go").await?,
        End::ServerPanics => send(&mut socket, "panic").await?,
        End::BrokenFrame => socket.get_mut().write_all(&[0xFF; 20]).await?,
    }
    Ok(())
}

async fn send(socket: &mut Socket, text: &'static str) -> std::result::Result<(), tungstenite::Error> {
    // A text frame of a client, masked with zeros.
    use tokio::io::AsyncWriteExt;
    let length = u8::try_from(text.len()).unwrap_or(0);
    let head = [0x81, 0x80 | length, 0, 0, 0, 0];
    socket.get_mut().write_all(&head).await?;
    socket.get_mut().write_all(text.as_bytes()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_sockets_leave_no_permit_behind() -> Result {
    let (traffik, _) = traffik();
    let address = serve(&traffik).await?;
    for wave in 0..times(10, 200) {
        let mut sockets = Vec::new();
        for _ in 0..200 {
            sockets.push(connect(address).await?);
        }
        assert_eq!(free::<Open>(&traffik, HERE).await, 0, "wave {wave}");
        for (socket, how) in sockets.into_iter().zip(ENDS.into_iter().cycle()) {
            end(socket, how).await?;
        }
        until_free::<Open>(&traffik, HERE, 200).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_that_ends_in_any_way_frees_its_permit_for_the_next() -> Result {
    let (traffik, _) = traffik();
    let address = serve(&traffik).await?;
    let mut others = Vec::new();
    for _ in 0..199 {
        others.push(connect(address).await?);
    }
    for how in ENDS.into_iter().cycle().take(28) {
        let last = connect(address).await?;
        let refused = connect(address).await;
        let is_refused = matches!(&refused, Err(tungstenite::Error::Http(answer)) if answer.status() == 429);
        assert!(is_refused, "{how:?}: {:?}", refused.err());
        end(last, how).await?;
        until_free::<Open>(&traffik, HERE, 1).await;
    }
    drop(others);
    until_free::<Open>(&traffik, HERE, 200).await;
    Ok(())
}

/// A client that disconnects during the handshake held a permit for a moment, if at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_handshakes_hold_no_permits() -> Result {
    let (traffik, _) = traffik();
    let address = serve(&traffik).await?;
    for _ in 0..500 {
        let stream = TcpStream::connect(address).await?;
        stream.writable().await?;
        stream.try_write(
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
              sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )?;
        stream.set_zero_linger()?;
    }
    until_free::<Open>(&traffik, HERE, 200).await;
    Ok(())
}
