//! The quick start: one backend, a limit for a route, two limits as one decision, and one limit for a whole router.
//!
//! ```text
//! cargo run -p quickstart                  # serves on 127.0.0.1:3000
//! cargo run -p quickstart -- --port 8080   # or on another port
//! cargo run -p quickstart -- --demo        # sends requests to itself, prints the responses, and stops
//! ```

mod demo;

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
use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, Throttled, Traffik, throttle_layer};

// A throttle is a type: a unique id and a rate, both checked while compiling. `DefaultIdentity` counts by the client's
// IP address, unless the app sets an identity.

struct Items;

impl Throttle for Items {
    const UID: &'static str = "api:items";
    const RATE: Rate = Rate::literal("100/min");
    type Identity = DefaultIdentity;
}

struct Burst;

impl Throttle for Burst {
    const UID: &'static str = "uploads:burst";
    const RATE: Rate = Rate::literal("10/min");
    type Identity = DefaultIdentity;
}

struct Sustained;

impl Throttle for Sustained {
    const UID: &'static str = "uploads:sustained";
    const RATE: Rate = Rate::literal("100/hour");
    type Identity = DefaultIdentity;
}

struct ApiV1;

impl Throttle for ApiV1 {
    const UID: &'static str = "api:v1";
    const RATE: Rate = Rate::literal("1000/min");
    type Identity = DefaultIdentity;
}

// A handler takes its limit as an argument. Over the limit it does not run, and the client gets a 429.
async fn items(_: Throttled<Items>) -> Json<Value> {
    Json(json!({ "items": ["widget", "gizmo", "thingamajig"] }))
}

// Two limits in a tuple are one decision: both are charged, or neither is. The permit has the client's limits.
async fn upload(permit: Throttled<(Burst, Sustained)>) -> Json<Value> {
    Json(json!({ "status": "uploaded", "left": permit.tightest().remaining().units() }))
}

async fn users() -> Json<Value> {
    Json(json!({ "users": [] }))
}

async fn products() -> Json<Value> {
    Json(json!({ "products": [] }))
}

fn app(traffik: &Traffik) -> Router {
    // All routes of a router share one limit. The handlers need no argument for it.
    let v1 = Router::new()
        .route("/users", get(users))
        .route("/products", get(products))
        .route_layer(throttle_layer::<ApiV1>());

    Router::new()
        .route("/items", get(items))
        .route("/upload", post(upload))
        .nest("/api/v1", v1)
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
    println!("  curl -i http://{address}/items");
    println!("  for i in $(seq 11); do curl -sS -X POST http://{address}/upload; echo; done");

    // Checks every throttle of the program now, rather than when a request meets it.
    let traffik = Traffik::builder(MemoryBackend::new("myapp")).strict().build()?;
    serve(listener, traffik, shutdown_signal()).await
}

async fn shutdown_signal() {
    // Without a handler ctrl-c ends the process.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
