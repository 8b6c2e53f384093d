//! Limits in production: on a Redis server, and in memory while the server is away.
//!
//! ```text
//! cargo run --example production                  # uses redis://localhost:6379/0 or REDIS_URL, up or down
//! cargo run --example production -- --port 8080   # serves there instead of on 127.0.0.1:3000
//! cargo run --example production -- --demo        # starts and kills a Redis server under load, and shows what clients see
//! ```

mod decided_by;
mod demo;
#[path = "../common/exit_code.rs"]
mod exit_code;
#[path = "../common/interrupt.rs"]
mod interrupt;
#[path = "../common/redis_server.rs"]
mod redis_server;
#[path = "../common/shutdown.rs"]
mod shutdown;

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use axum::{Json, Router, response::IntoResponse, routing::get};
use serde_json::json;
use tokio::net::TcpListener;
use traffik::{MemoryBackend, OutOfRange, Throttle, Throttled, Traffik, breaker::CircuitBreaker, on_error::Failover};
use traffik_redis::RedisBackend;

use self::{exit_code::exit_code, shutdown::shutdown_signal};

/// How long the breaker stays open before it tries Redis again.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Throttle)]
#[limit("api:items", "1000/s")]
struct Items;

#[derive(Throttle)]
#[limit("api:reports", "20/s")]
struct Reports;

async fn items(permit: Throttled<Items>) -> impl IntoResponse {
    (decided_by::field(permit.limits()), Json(json!({ "items": ["widget", "gizmo"] })))
}

async fn reports(permit: Throttled<Reports>) -> impl IntoResponse {
    (decided_by::field(permit.limits()), Json(json!({ "reports": [] })))
}

// A route without a limit asks no backend.
async fn health() -> &'static str {
    "ok"
}

fn app(traffik: &Traffik) -> Router {
    Router::new()
        .route("/items", get(items))
        .route("/reports", get(reports))
        .route("/health", get(health))
        .layer(traffik.layer())
}

fn breaker(recovery_timeout: Duration) -> Result<CircuitBreaker, OutOfRange> {
    CircuitBreaker::builder().failure_threshold(10).recovery_timeout(recovery_timeout).success_threshold(3).build()
}

fn traffik(redis: &str, breaker: CircuitBreaker) -> Result<Traffik, Box<dyn Error>> {
    // `connect_lazy` works without Redis. `connect` would return an error.
    let redis = RedisBackend::builder(redis)
        .namespace("myapp:prod")
        .command_timeout(Duration::from_millis(50))
        .connect_lazy()?;
    // In memory each process counts alone: `share` would divide the limits among several.
    let failover = Failover::to(MemoryBackend::new("myapp:fallback")).breaker(breaker).retries(2);
    Ok(Traffik::builder(redis).on_error(failover).responder(decided_by::refusal).build()?)
}

/// Logs each change of the breaker's state, until the future is dropped.
async fn watch(breaker: &CircuitBreaker) {
    let mut changes = breaker.changes();
    while let Some(state) = changes.next().await {
        eprintln!("-- the breaker is {} --", decided_by::name(state));
    }
}

async fn serve(
    listener: TcpListener,
    traffik: Traffik,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    // The limits count by address, so the server must pass on the address of each client.
    let service = app(&traffik).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown).await?;
    // Close after the last request: a later request with a limit would get a 503.
    traffik.close().await?;
    Ok(())
}

async fn run(port: u16) -> Result<(), Box<dyn Error>> {
    let redis = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://localhost:6379/0".to_owned());
    let breaker = breaker(RECOVERY_TIMEOUT)?;
    let traffik = traffik(&redis, breaker.clone())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("listening on http://{}, until ctrl-c. Try:", listener.local_addr()?);
    println!("  for i in $(seq 25); do curl -sS -i http://{}/reports; echo; done", listener.local_addr()?);
    tokio::select! {
        served = serve(listener, traffik, shutdown_signal()) => served,
        () = watch(&breaker) => Err("the breaker is gone".into()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        [] => run(3000).await,
        ["--demo"] => demo::run().await,
        ["--port", port] => match port.parse() {
            Ok(port) => run(port).await,
            Err(_) => Err("`--port` needs a number".into()),
        },
        _ => Err("unknown arguments: there are `--port <number>` and `--demo`".into()),
    };
    exit_code(done)
}
