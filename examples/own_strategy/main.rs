//! A custom strategy: three mails a day, and up to four more that were not sent on earlier days.
//!
//! ```text
//! cargo run --example own_strategy                  # serves on 127.0.0.1:3000
//! cargo run --example own_strategy -- --port 8080   # or on another port
//! cargo run --example own_strategy -- --demo        # sends requests to itself, prints the responses, and stops
//! ```

mod demo;
mod roll_over;

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
};

use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use traffik::{MemoryBackend, Traffik, strategy::AnyStrategy, throttled};

use self::roll_over::RollOver;

#[throttled("mails:sent", "3/day", strategy = AnyStrategy::custom(RollOver { saved: 4 }))]
async fn send() -> Json<Value> {
    Json(json!({ "status": "sent" }))
}

fn app(traffik: &Traffik) -> Router {
    Router::new().route("/mails", post(send)).layer(traffik.layer())
}

async fn serve(
    listener: TcpListener,
    traffik: Traffik,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    // The limits count by address, so the server must pass on the address of each client.
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
    println!("listening on http://{address}, until ctrl-c. Try:");
    println!("  for i in $(seq 8); do curl -sS -i -X POST http://{address}/mails; echo; done");

    let traffik = Traffik::builder(MemoryBackend::new("myapp")).build()?;
    serve(listener, traffik, shutdown_signal()).await
}

async fn shutdown_signal() {
    // Without a handler ctrl-c ends the process.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
