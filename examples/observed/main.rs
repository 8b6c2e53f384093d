//! Rolls a limit out. In a dry run it refuses nothing, and the metrics show what it would have refused. Then it is enforced.
//!
//! ```text
//! cargo run --example observed                              # serves on 127.0.0.1:3000, and enforces the limit
//! cargo run --example observed -- --dry-run                 # refuses nothing
//! cargo run --example observed -- --port 8080 --dry-run     # on another port
//! cargo run --example observed -- --demo                    # sends requests to itself, prints the metrics, and stops
//! ```

mod demo;
#[path = "../common/shutdown.rs"]
mod shutdown;

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
};

use axum::{Router, routing::get};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use traffik::{ConfigError, MemoryBackend, Traffik, observe::LogLevel, throttled};

#[throttled("search", "3/min")]
async fn search() -> &'static str {
    "nothing found"
}

/// Installs the recorder of the program. Do it before the first request.
fn install_recorder() -> Result<PrometheusHandle, Box<dyn Error>> {
    let recorder = PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets(&[0.0001, 0.001, 0.01, 0.1])?
        .build_recorder();
    let scrape = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| error.to_string())?;
    Ok(scrape)
}

/// The dry run counts in the same entries, so a client stands where it would when the limit is enforced.
fn limits(backend: MemoryBackend, is_dry_run: bool) -> Result<Traffik, ConfigError> {
    let builder = Traffik::builder(backend).log_refusals(LogLevel::Info).strict();
    if is_dry_run { builder.dry_run().build() } else { builder.build() }
}

/// `/metrics` has no limit. Serve it to your own network alone.
fn app(traffik: &Traffik, scrape: PrometheusHandle) -> Router {
    Router::new()
        .route("/search", get(search))
        .layer(traffik.layer())
        .route("/metrics", get(move || async move { scrape.render() }))
}

async fn serve(
    listener: TcpListener,
    app: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(shutdown).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut port, mut is_dry_run) = (3000, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--port" => port = args.next().ok_or("`--port` needs a number")?.parse()?,
            "--dry-run" => is_dry_run = true,
            "--demo" => return demo::run().await.map(drop),
            other => {
                let known = "`--port <number>`, `--dry-run` and `--demo`";
                return Err(format!("unknown argument `{other}`: there are {known}").into());
            }
        }
    }

    let scrape = install_recorder()?;
    let traffik = limits(MemoryBackend::new("shop"), is_dry_run)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}, until ctrl-c. Try:");
    println!("  curl -i http://{address}/search     # four times");
    println!("  curl http://{address}/metrics");
    serve(listener, app(&traffik, scrape), shutdown::shutdown_signal()).await?;
    Ok(traffik.close().await?)
}
