//! The cost that limits add to a WebSocket message: an echo by axum's own socket, compared with one with limits, over
//! TCP.
//!
//! ```text
//! cargo bench --package benches --bench messages              # some seconds
//! cargo bench --package benches --bench messages -- --quick   # less than one
//! ```
#![expect(clippy::indexing_slicing, reason = "a side is one of an array")]

use std::{net::SocketAddr, time::Instant};

use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{WebSocketUpgrade, ws::WebSocket},
    routing::any,
};
use benches::{
    effort::Effort,
    rounds::{Spread, rounds},
};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};
use traffik::{
    Throttle, Traffik,
    backend::MemoryBackend,
    web::ws::{Messages, ThrottledSocket},
};

/// Admits all messages.
#[derive(Throttle)]
#[limit("bench:messages", "10000000/s")]
struct Limit;

const SIDES: [&str; 3] = ["axum's `WebSocket`", "limits of the connection", "limits of the client, in memory"];

/// The number of messages for a first estimate of the time.
const TRIAL: usize = 2_000;

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn main() -> Result<()> {
    let effort = Effort::from_args()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut clients = runtime.block_on(async {
        let address = serve().await?;
        let mut clients = Vec::new();
        for path in ["bare", "connection", "client"] {
            clients.push(connect_async(format!("ws://{address}/{path}")).await?.0);
        }
        anyhow::Ok(clients)
    })?;
    let mut time = |side: usize, messages: usize| runtime.block_on(time(&mut clients[side], messages));
    // The first of two is discarded, because its cache is cold.
    let [_, trial] = [TRIAL; 2].map(|messages| time(0, messages).unwrap_or(f64::NAN));
    let messages = effort.times(trial);
    let samples = rounds(effort.rounds, |side| time(side, messages).unwrap_or(f64::NAN));

    println!("| a message, there and back | ns | of the bare socket |");
    println!("|---|--:|--:|");
    for (side, name) in SIDES.iter().enumerate() {
        let took = Spread::of(samples.iter().map(|round: &[f64; 3]| round[side]));
        let ratio = Spread::of(samples.iter().map(|round| round[side] / round[0]));
        println!("| {name} | {:.0} | {ratio} |", took.median);
    }
    Ok(())
}

/// Returns the nanoseconds of a message. Each of `messages` is sent after the answer to the previous one.
async fn time(client: &mut Client, messages: usize) -> Result<f64> {
    let started = Instant::now();
    for _ in 0..messages {
        client.send(Message::Text("hello, everybody".into())).await?;
        client.next().await.context("an end")??;
    }
    Ok(started.elapsed().as_secs_f64() * 1e9 / messages as f64)
}

async fn bare(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn throttled(mut socket: ThrottledSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn serve() -> Result<SocketAddr> {
    let by_connection = async |messages: Messages<Limit>, upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(move |socket| throttled(messages.per_connection().throttle(socket)))
    };
    let by_client = async |messages: Messages<Limit>, upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(move |socket| throttled(messages.throttle(socket)))
    };
    let app = Router::new()
        .route("/bare", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(bare)))
        .route("/connection", any(by_connection))
        .route("/client", any(by_client))
        .layer(Traffik::new(MemoryBackend::new("bench"))?.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}
