//! Limits as attributes. The handlers need no argument for them.
//!
//! ```text
//! cargo run --example decorator                  # serves on 127.0.0.1:3000
//! cargo run --example decorator -- --port 8080   # or on another port
//! cargo run --example decorator -- --demo        # sends requests to itself, prints the responses, and stops
//! ```

mod demo;
#[path = "../common/expect.rs"]
mod expect;

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
};

use axum::{
    Json, Router,
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use traffik::{MemoryBackend, Throttle, Traffik, throttled};

// A uid and a rate, both checked while compiling. Stacked attributes are one decision: both limits are charged, or
// neither is.
#[throttled("search:burst", "5/min")]
#[throttled("search:sustained", "50/hour")]
async fn search() -> Json<Value> {
    Json(json!({ "results": [] }))
}

// Limits that several handlers share are types.
#[derive(Throttle)]
#[limit("uploads:burst", "10/min")]
struct Burst;

#[derive(Throttle)]
#[limit("uploads:sustained", "100/hour")]
struct Sustained;

#[throttled(Burst, Sustained)]
async fn upload() -> Json<Value> {
    Json(json!({ "status": "uploaded" }))
}

// An avatar counts as an upload, and also has its own limit.
#[throttled(Burst, Sustained)]
#[throttled("avatars:daily", "3/day")]
async fn avatar() -> Json<Value> {
    Json(json!({ "status": "smiling" }))
}

fn app(traffik: &Traffik) -> Router {
    Router::new()
        .route("/search", get(search))
        .route("/upload", post(upload))
        .route("/avatar", post(avatar))
        // Add it last, so it is around everything above. The throttles find the backend through it.
        .layer(traffik.layer())
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
    println!("  for i in $(seq 6); do curl -sS http://{address}/search; echo; done");
    println!("  curl -i -X POST http://{address}/avatar");

    // `build` returns an error if two throttles of the program have the same uid.
    let traffik = Traffik::builder(MemoryBackend::new("myapp")).build()?;
    serve(listener, traffik, shutdown_signal()).await
}

async fn shutdown_signal() {
    // Without a handler ctrl-c ends the process.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
