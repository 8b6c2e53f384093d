//! Limits that change while the app runs: by an operator over HTTP, in all processes on a Redis server, and by a file.
//!
//! ```text
//! cargo run --example control                                # uses redis://localhost:6379/0 or REDIS_URL
//! cargo run --example control -- redis://localhost:6379/1    # uses this address
//! cargo run --example control -- --port 8080                 # serves on this port instead of 3000
//! cargo run --example control -- --limits limits.toml        # takes limits from this file
//! cargo run --example control -- --demo                      # starts Redis and two apps, changes their limits, and stops
//! ```
//!
//! The token of the operator is in ADMIN_TOKEN. Without it the program makes one and prints it.

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

use axum::{Json, Router, routing::get};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use traffik::{
    Traffik,
    admin::{self, Guard, GuardError},
    throttled,
};
use traffik_redis::RedisBackend;

use self::{exit_code::exit_code, options::Options, shutdown::shutdown_signal};

#[throttled("search", "5/hour")]
async fn search() -> Json<Value> {
    Json(json!({ "found": [] }))
}

#[throttled("reports", "1000000/hour")]
async fn reports() -> Json<Value> {
    Json(json!({ "reports": [] }))
}

fn app(traffik: &Traffik, token: &str) -> Result<Router, GuardError> {
    Ok(Router::new()
        .route("/search", get(search))
        .route("/reports", get(reports))
        .layer(traffik.layer())
        // After the layer, so that no limit keeps an operator out. Serve it to your own network alone.
        .nest("/admin", admin::router(traffik, Guard::bearer(token)?)))
}

async fn serve(
    listener: TcpListener,
    traffik: Traffik,
    token: &str,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    let service = app(&traffik, token)?.into_make_service_with_connect_info::<SocketAddr>();
    let streams = traffik.clone();
    let shutdown = async move {
        shutdown.await;
        // The server waits for its responses, and streams of events do not end by themselves.
        streams.close_event_streams();
    };
    axum::serve(listener, service).with_graceful_shutdown(shutdown).await?;
    traffik.close().await?;
    Ok(())
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let redis = RedisBackend::builder(&options.redis)
        .namespace("myapp:prod")
        .command_timeout(options.command_timeout)
        .connect()
        .await?;
    let mut builder = Traffik::builder(redis).backend_timeout(options.command_timeout * 2).strict();
    if let Some(file) = &options.limits {
        builder = builder.limits_file(file).on_limits_file(|status| {
            if let Some(error) = status.error() {
                eprintln!("the limits file cannot be used: {error}");
            }
        });
    }
    let traffik = builder.build()?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}, until ctrl-c. Try:");
    println!("  for i in $(seq 6); do curl -sS -i http://{address}/search; echo; done");
    let authorization = format!("-H 'authorization: Bearer {}'", options.token);
    println!("  curl {authorization} -X PATCH --json '{{\"rate\": \"20/hour\"}}' http://{address}/admin/limits/search");
    println!("  curl {authorization} http://{address}/admin");
    serve(listener, traffik, &options.token, shutdown_signal()).await
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
