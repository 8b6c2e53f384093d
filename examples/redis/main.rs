//! Limits across processes: what several apps admit they count together, on a Redis server.
//!
//! ```text
//! cargo run --example redis                                # on redis://localhost:6379/0, or on what REDIS_URL says
//! cargo run --example redis -- redis://localhost:6379/1    # or on this
//! cargo run --example redis -- --port 8080                 # serves there instead of on 127.0.0.1:3000
//! cargo run --example redis -- --demo                      # starts a Redis and two apps, shows what they do, and stops
//! ```

mod demo;
mod options;
#[path = "../common/redis_server.rs"]
mod redis_server;
#[path = "../common/shutdown.rs"]
mod shutdown;

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use axum::{Json, Router, middleware::map_response, response::Response, routing::get};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use traffik::{
    Traffik,
    strategy::{SlidingWindowCounter, SlidingWindowLog, TokenBucket},
    throttled,
};
use traffik_redis::RedisBackend;

use self::{options::Options, shutdown::shutdown_signal};

#[throttled("api:data", "20/hour", strategy = TokenBucket::new())]
async fn data() -> Json<Value> {
    Json(json!({ "data": "value" }))
}

// As many as that in any hour, wherever it begins.
#[throttled("api:reports", "30/hour", strategy = SlidingWindowLog)]
async fn reports() -> Json<Value> {
    Json(json!({ "reports": [] }))
}

// Two limits of one client are one decision on Redis as well, and one command.
#[throttled("search:burst", "100/min", strategy = TokenBucket::new())]
#[throttled("search:sustained", "1000/hour", strategy = SlidingWindowCounter)]
async fn search() -> Json<Value> {
    Json(json!({ "found": [] }))
}

// What has no limit asks nobody.
async fn health() -> &'static str {
    "fine"
}

fn app(traffik: &Traffik) -> Router {
    Router::new()
        .route("/data", get(data))
        .route("/reports", get(reports))
        .route("/search", get(search))
        .route("/health", get(health))
        .layer(traffik.layer())
        .layer(map_response(tell_who_answers))
}

/// There are several processes, and one wants to see which of them it was.
async fn tell_who_answers(mut response: Response) -> Response {
    response.headers_mut().insert("x-process", std::process::id().into());
    response
}

async fn serve(
    listener: TcpListener,
    traffik: Traffik,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    // The limits are counted by address, so the server has to hand the address of each client on.
    let service = app(&traffik).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown).await?;
    // Lets go of the connection. What is counted stays, for the other processes and for the next start.
    traffik.close().await?;
    Ok(())
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    // `connect` insists that Redis is there. `connect_lazy` would come up without it, and answer 503 until it is.
    let redis = RedisBackend::builder(options.redis)
        .namespace("myapp:prod")
        .command_timeout(options.command_timeout)
        .connect()
        .await?;
    // Calls of Redis have their own deadline. This one is for whatever else there may be to wait for.
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
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
