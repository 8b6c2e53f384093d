//! A chat with limits on new connections, on open connections and on messages.
//!
//! ```text
//! cargo run --example websocket                  # serves on 127.0.0.1:3000
//! cargo run --example websocket -- --port 8080   # or on another port
//! cargo run --example websocket -- --demo        # connects to itself, prints the answers, and stops
//! ```

mod demo;
#[path = "../common/shutdown.rs"]
mod shutdown;

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
};

use axum::{Router, extract::WebSocketUpgrade, response::Response, routing::any};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use traffik::{
    MemoryBackend, Throttle, Throttled, Traffik,
    web::ws::{Messages, RecvJsonError, ThrottledSocket},
};

/// Limits how often a client connects. Over the limit it gets a 429, and no WebSocket.
#[derive(Throttle)]
#[limit("ws:connect", "20/min")]
struct Connect;

/// Limits how many connections a client has open. Over the limit it gets a 429, too.
#[derive(Throttle)]
#[limit("ws:open", "10 at once")]
struct Open;

/// Limits the messages of a client, on all of its connections together.
#[derive(Throttle)]
#[limit("ws:messages", "60/min")]
struct Message;

/// Limits the messages on one connection.
#[derive(Throttle)]
#[limit("ws:burst", "20/10s")]
struct Burst;

// The limits on connections are one decision: if one refuses, the other is not charged. The limits on messages take the
// client from this request, and outlive it.
async fn chat(
    permit: Throttled<(Connect, Open)>,
    messages: Messages<Message>,
    burst: Messages<Burst>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let messages = messages.and_per_connection(&burst);
    // A larger message is not read.
    upgrade.max_message_size(16 * 1024).on_upgrade(move |socket| async move {
        // The connection counts until this task ends and drops the permit.
        let _permit = permit;
        talk(messages.throttle(socket)).await;
    })
}

/// Answers admitted messages. The socket has already answered those over a limit.
async fn talk(mut socket: ThrottledSocket) {
    while let Some(received) = socket.recv_json::<Value>().await {
        let answer = match received {
            Ok(data) => json!({ "type": "message", "echo": data }),
            Err(RecvJsonError::Json(_)) => json!({ "type": "error", "error": "This is not JSON" }),
            // The connection is lost.
            Err(_) => return,
        };
        if socket.send_json(&answer).await.is_err() {
            return;
        }
    }
}

fn app(traffik: &Traffik) -> Router {
    Router::new().route("/ws/chat", any(chat)).layer(traffik.layer())
}

async fn serve(
    listener: TcpListener,
    traffik: Traffik,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    let service = app(&traffik).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown).await?;
    traffik.close().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let port = match args.next().as_deref() {
        None => 3000,
        Some("--port") => args.next().ok_or("`--port` needs a number")?.parse()?,
        Some("--demo") => return demo::run().await,
        Some(other) => {
            return Err(format!("unknown argument `{other}`: there are `--port <number>` and `--demo`").into());
        }
    };

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    println!("listening on ws://{address}/ws/chat, until ctrl-c. Try, in the console of a browser:");
    println!("  let ws = new WebSocket(\"ws://{address}/ws/chat\");");
    println!("  ws.onmessage = ({{ data }}) => console.log(data);");
    println!("  for (let i = 0; i < 25; i++) ws.send(JSON.stringify({{ nth: i }}));");

    let traffik = Traffik::builder(MemoryBackend::new("myapp")).build()?;
    serve(listener, traffik, shutdown::shutdown_signal()).await
}
