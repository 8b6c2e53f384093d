//! Limits across processes: several apps share their limits on a Redis server.
//!
//! ```text
//! cargo run --example redis                                # uses redis://localhost:6379/0 or REDIS_URL
//! cargo run --example redis -- redis://localhost:6379/1    # uses this address
//! cargo run --example redis -- --port 8080                 # serves on this port instead of 3000
//! cargo run --example redis -- --demo                      # starts Redis and two apps, shows what they do, and stops
//! ```

#[path = "../common/app.rs"]
mod app;
mod demo;
#[path = "../common/exit_code.rs"]
mod exit_code;
#[path = "../common/expect.rs"]
mod expect;
#[path = "../common/interrupt.rs"]
mod interrupt;
mod options;
#[path = "../common/redis_server.rs"]
mod redis_server;
#[path = "../common/shutdown.rs"]
mod shutdown;
#[path = "../common/this_program.rs"]
mod this_program;

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use axum::{Json, Router, middleware::map_response, response::Response, routing::get};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use traffik::{SlidingWindowCounter, SlidingWindowLog, TokenBucket, Traffik, throttled};
use traffik_redis::RedisBackend;

use self::{exit_code::exit_code, options::Options, shutdown::shutdown_signal};

#[throttled("api:data", "20/hour", strategy = TokenBucket::new())]
async fn data() -> Json<Value> {
    Json(json!({ "data": "value" }))
}

// At most 30 in any hour, wherever the hour begins.
#[throttled("api:reports", "30/hour", strategy = SlidingWindowLog)]
async fn reports() -> Json<Value> {
    Json(json!({ "reports": [] }))
}

// Two limits of one client are one decision and one command.
#[throttled("search:burst", "100/min", strategy = TokenBucket::new())]
#[throttled("search:sustained", "1000/hour", strategy = SlidingWindowCounter)]
async fn search() -> Json<Value> {
    Json(json!({ "found": [] }))
}

// A route without a limit asks no backend.
async fn health() -> &'static str {
    "ok"
}

fn app(traffik: &Traffik) -> Router {
    Router::new()
        .route("/data", get(data))
        .route("/reports", get(reports))
        .route("/search", get(search))
        .route("/health", get(health))
        .layer(traffik.layer())
        .layer(map_response(add_process_id))
}

/// Names the process that answered.
async fn add_process_id(mut response: Response) -> Response {
    response.headers_mut().insert("x-process", std::process::id().into());
    response
}

async fn serve(
    listener: TcpListener,
    traffik: Traffik,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    // The limits count by address, so the server must pass on the address of each client.
    let service = app(&traffik).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown).await?;
    // Closes the connection. The usage stays, for the other processes and for the next start.
    traffik.close().await?;
    Ok(())
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    // `connect` returns an error if Redis is down. `connect_lazy` would start, and requests would get a 503 until it is up.
    let redis = RedisBackend::builder(options.redis)
        .namespace("myapp:prod")
        .command_timeout(options.command_timeout)
        .connect()
        .await?;
    // Calls to Redis have their own deadline. This one bounds the whole decision.
    let traffik = Traffik::builder(redis).backend_timeout(options.command_timeout * 2).build()?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}, until ctrl-c. Start another with `--port`, and try both:");
    println!("  for i in $(seq 21); do curl -sS -i http://{address}/data; echo; done");
    serve(listener, traffik, shutdown_signal()).await
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let done = match args.as_slice() {
        [only] if only == "--demo" => demo::run().await,
        _ => match Options::read(args) {
            Ok(options) => run(options).await,
            Err(error) => Err(error),
        },
    };
    exit_code(done)
}
